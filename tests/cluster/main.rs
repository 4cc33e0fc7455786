//! Several nodes as one: the real binary in network namespaces, with backends and clients around
//! it, and a network that loses, splits and stops as a test wants.
//!
//! Not part of a plain `cargo test`, as it needs root, nftables and iproute2: `tests/run cluster`
//! installs those and runs this. What holds for a thousand histories is tests/simulation's; here is
//! what users see of it. Invariant: nothing leaves the lab's own namespaces.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the clock to have deadlines, and share records between ordinary threads"
)]

#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/e2e, which has more than these tests need"
)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod lab;
mod node;
mod sessions;
mod space;

mod agreement;
mod clocks;
mod leaving;
mod quiet;
mod replicas;
mod strangers;
mod trouble;
