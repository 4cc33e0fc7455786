//! elbow: a sticky-session load balancer for Linux. The architecture page follows with the modules.

pub mod config;
pub mod control;
pub mod demo;
pub mod health;
pub mod limits;
pub mod state;
pub mod sys;
