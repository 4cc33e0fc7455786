//! What nodes of a cluster are to each other: who is there, what they tell, and who decides.
//!
//! Values only. Not here: what follows from it for backends and sessions (`health`, `state`), and
//! how it travels (`control`). Invariant: everything is a function of what was heard, in whatever
//! order, so that nodes which have heard the same decide the same.

mod nodes;
mod saying;

pub use nodes::{Peer, Roll, node_number};
pub use saying::{Said, Saying, Topic, Unreadable};
