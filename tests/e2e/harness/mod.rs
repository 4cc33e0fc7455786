//! What the tests are made of: elbow as a child process, backends that do as they are told, and
//! HTTP/1.1 as bytes.

mod backend;
mod clock;
mod elbow;
mod message;
mod pattern;
mod process;
mod raw;
mod setup;
mod tls;
mod traffic;
mod wire;

use std::thread;
use std::time::{Duration, Instant};

pub(crate) use backend::{After, Backend, Gate, reply};
pub(crate) use clock::Clock;
pub(crate) use elbow::{Directory, Elbow, Outcome, sum_of};
pub(crate) use message::{Framing, Head, Response, get, post};
pub(crate) use pattern::{expect_pattern, pattern, send_pattern};
pub(crate) use process::BackendProcess;
pub(crate) use raw::{RawBackend, dial};
pub(crate) use setup::{Listener, Setup};
pub(crate) use tls::{Authority, Identity, Site, TlsClient};
pub(crate) use traffic::Traffic;
pub(crate) use wire::Wire;

/// How long anything may take before a test gives up. Generous: it is only spent on failures.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// Asks `condition` again and again until it holds; fails after [`PATIENCE`].
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "after {PATIENCE:?} still not: {what}"
        );
        thread::sleep(Duration::from_millis(2));
    }
}
