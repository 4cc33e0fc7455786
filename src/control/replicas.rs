//! What the API changes on one node, on its way to the others.
//!
//! ```text
//! follow ─► stamp ─► journal ─► in force ─► made ─► Replica ─► other nodes
//! other nodes ─► Replica ─► receive ─► waits ─► in force, in the journal (adopt.rs)
//!                                        └─ cannot be: reported, and tried again
//! ```
//!
//! Not how it travels, nor how it comes to be in force. Invariants: of two changes of one thing
//! that with the later stamp stays, on every node; files, certificates and secrets stay on theirs.
//!
//! | file | |
//! |---|---|
//! | `envelope.rs` | a change as text, and what is refused of such |
//! | `known.rs` | what this node knows of the changes of all, and what of it waits |
//! | `shown.rs` | what is told of that |

mod envelope;
mod known;
mod shown;

pub use self::envelope::Replica;
pub(super) use self::known::OF_FILE;
pub use self::known::Replicas;
pub use self::shown::{Conflict, Replicated, Waiting};
