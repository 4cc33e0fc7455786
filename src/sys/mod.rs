//! The operating system as elbow sees it: sockets, pinning, clock, signals, buffers of the ring.
//!
//! The only place with `unsafe`, the only place that reads a clock. Not here: what is done with a
//! connection (`shard`), or decided (`state`).

pub mod link;
