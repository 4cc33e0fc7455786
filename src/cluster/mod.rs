//! A cluster: several nodes that act as one. Clients may come to any of them, and the same session
//! goes to the same backend through each.
//!
//! What makes nodes one is a secret that all of them have. The keys of cookies come of it, so that
//! each opens what another has sealed, and so do those of the datagrams by which they tell each
//! other what they know; whoever has it not can neither read those nor write any.
//!
//! Not here: sockets, clocks, names and whom to send to (`control`). Invariant: every value is a
//! function of the arguments alone, so a cluster can be played through without a network.

mod secret;

pub use secret::{Secret, Secrets};
