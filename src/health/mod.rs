//! What elbow makes of check results, and which backend a session belongs to.
//!
//! Not here: the checks themselves (`control`), and who is told of a verdict (`state`). Invariant:
//! every value is a function of the arguments alone, so shards and nodes that know the same things
//! give the same answers.

mod agreement;
mod chronicle;
mod hash;
pub mod rank;
mod rise_fall;
mod stamp;
mod view;

pub use agreement::{Opinion, Standing, agreement};
#[cfg(test)]
pub(crate) use chronicle::tests::chronicles;
pub use chronicle::{Chronicle, Life};
pub use hash::{id_hash, key_hash, mix};
pub use rise_fall::{Failure, Outcome, Reason, RiseFall, Status, Thresholds, Transition};
pub use stamp::{Clock, Stamp};
pub use view::{Home, Move, View};
