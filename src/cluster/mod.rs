//! What nodes of a cluster say to each other, and what follows from it.
//!
//! Not how it travels (`control`). Invariant: every value is a function of what was said, however
//! late, in whatever order and however often it came.

mod register;

pub use register::{Entry, Merged, Register};
