//! elbow: a sticky-session load balancer for Linux. The architecture page follows with the modules.

pub mod balance;
pub mod cli;
pub mod config;
pub mod control;
pub mod demo;
pub mod health;
pub mod http;
pub mod limits;
pub mod shard;
pub mod state;
pub mod sticky;
pub mod sys;
