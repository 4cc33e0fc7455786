//! A cluster: several nodes that act as one. Clients may come to any of them, and the same session
//! goes to the same backend through each.
//!
//! | file | |
//! |---|---|
//! | `secret.rs` | what makes them one: the keys of cookies and of datagrams come of it |
//! | `seal.rs`, `refusal.rs` | datagrams that only who has it can make or read, each once |
//! | `pieces.rs` | messages that are longer than a datagram |
//! | `nodes.rs` | who is there, who is enough to decide, and who does what for all |
//! | `saying.rs` | what nodes tell each other of backends |
//! | `register.rs` | what was changed where, of which the last word counts |
//!
//! Not here: what follows for backends and sessions (`health`, `state`), and sockets, clocks, names
//! and whom to send to (`control`). Invariant: everything is a function of what was heard, however
//! late, in whatever order and however often, so that nodes which have heard the same decide the
//! same, and a cluster can be played through without a network.

mod nodes;
mod pieces;
mod refusal;
mod register;
mod saying;
mod seal;
mod secret;

pub use nodes::{Duties, Peer, Roll, node_number};
pub use pieces::{Joiner, Piece, cut};
pub use refusal::Refusal;
pub use register::{Entry, Merged, Register};
pub use saying::{Said, Saying, Topic, Unreadable};
pub use seal::{NONCE_BYTES, Opened, Opener, Sealer, Sender};
pub use secret::{Secret, Secrets};
