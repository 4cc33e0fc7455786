//! HTTPS listeners as the clients of others find them: `openssl s_client`, `curl`, Chromium and
//! `sslyze`. Each has an implementation of TLS that is not elbow's, and an opinion of its own.
//!
//! Not part of a plain `cargo test`: `tests/run clients` installs the programs and runs this. What
//! HTTPS promises beside that is in tests/e2e, whose harness this uses. Invariant: a program that
//! is missing is a failure, and nothing leaves the loopback interface.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the clock to have deadlines, and share records between ordinary threads"
)]

mod authority;
mod chromium;
mod curl;
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/e2e, which has more than these tests need"
)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod openssl;
mod program;
mod sslyze;

use authority::{Authority, Kind};
use harness::{Backend, Elbow, Setup};

/// The host that certificates are for, where there is one.
const HOST: &str = "site.test";

/// Elbow with an HTTPS listener whose certificate has such a key, before one backend.
struct Bench {
    authority: Authority,
    elbow: Elbow,
    _backend: Backend,
}

impl Bench {
    fn new(kind: Kind, backend: Backend) -> Self {
        Self::with(kind, backend, |setup| setup)
    }

    fn with(kind: Kind, backend: Backend, words: impl FnOnce(Setup) -> Setup) -> Self {
        let authority = Authority::new();
        let lines = authority.certify(&[HOST], kind).lines();
        let setup = Setup::new(&[backend.address]).https(&lines);
        let elbow = words(setup).start(&[&backend]);
        Self {
            authority,
            elbow,
            _backend: backend,
        }
    }

    /// The port of the HTTPS listener; the first listener is in clear.
    fn port(&self) -> u16 {
        self.elbow.listeners[1].port()
    }
}
