//! The operating system as elbow sees it: sockets, buffers of the ring, clock, threads.
//!
//! The only place with `unsafe`, the only place that reads a clock. Not here: what is done with a
//! connection (`shard`), or decided (`state`). Invariant: every function is safe to call as its
//! documentation says, whatever is passed.

mod bell;
mod block;
mod clock;
mod link;
mod outlet;
mod pipe;
mod secured;
pub mod socket;
mod stream;
pub mod thread;

pub use bell::{Bell, Ear};
pub use block::{Block, Blocks, Mark};
pub use clock::{Instant, Moment, thread_cpu_nanos, unix_micros, unix_millis, unix_seconds};
pub use link::{BackendTerms, Link, Listeners, Listening, Phase, Terms, TlsOffer};
pub use outlet::Outlet;
pub use pipe::{Pipe, Pipes};
pub use secured::Secured;
pub use stream::Stream;
