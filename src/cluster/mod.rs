//! What nodes of a cluster are to each other: who is there, what they tell, and who decides.
//!
//! What makes them one is a secret that all of them have (`secret.rs`): the keys of cookies come of
//! it, so that each opens what another has sealed, and so do those of the datagrams by which they
//! tell each other what they know; whoever does not have it can neither read those nor write any.
//!
//! Values only. Not here: what follows from it for backends and sessions (`health`, `state`), and
//! how it travels (`control`). Invariant: everything is a function of what was heard, in whatever
//! order, so that nodes which have heard the same decide the same.

mod nodes;
mod pieces;
mod refusal;
mod saying;
mod seal;
mod secret;

pub use nodes::{Peer, Roll, node_number};
pub use pieces::{Joiner, Piece, cut};
pub use refusal::Refusal;
pub use saying::{Said, Saying, Topic, Unreadable};
pub use seal::{NONCE_BYTES, Opened, Opener, Sealer, Sender};
pub use secret::{Secret, Secrets};
