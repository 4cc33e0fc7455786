//! What the control thread knows, and the only way to change it.

mod load;
mod snapshot;

pub use load::{BackendLine, Count, LoadBalancerLine, PerShard, ShardLine};
pub use snapshot::{Backend, DurationPolicy, Report, Route, Snapshot};
