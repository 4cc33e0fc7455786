//! Scenarios: the kinds of load that rivals are compared under.
//!
//! Not how a load is played (`wrk.rs`).

use std::net::SocketAddr;

use crate::wrk::Load;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// HTTP.
    Http,
    /// HTTP over TLS. wrk offers the session of a connection again on the next one.
    Tls,
    /// Nothing: it passes bytes on.
    Tcp,
}

/// One kind of load.
#[expect(
    clippy::struct_excessive_bools,
    reason = "sides of a scenario, in any combination"
)]
pub(crate) struct Scenario {
    /// How `--scenario` calls it.
    pub(crate) name: &'static str,
    /// What is asked for, one of [`crate::backend::BODIES`].
    pub(crate) path: &'static str,
    /// Concurrent connections.
    pub(crate) connections: usize,
    /// Whether requests carry the rival's stickiness cookie.
    pub(crate) is_sticky: bool,
    /// Whether each request has a connection of its own.
    pub(crate) closes: bool,
    /// Which of a rival's listeners it goes to.
    pub(crate) front: Front,
    /// Whether TLS sessions are never resumed; by TLS 1.2.
    pub(crate) is_full_handshake: bool,
    /// Whether `--quick` plays it.
    pub(crate) is_quick: bool,
}

/// All of them, in the order of the table.
pub(crate) const SCENARIOS: [Scenario; 15] = [
    Scenario::sticky("small-8", "/128", 8),
    Scenario::sticky("small-64", "/128", 64).also_quick(),
    Scenario::sticky("small-512", "/128", 512),
    Scenario {
        is_sticky: false,
        ..Scenario::sticky("small-64-no-cookie", "/128", 64)
    },
    Scenario::sticky("16k-64", "/16k", 64).also_quick(),
    Scenario::sticky("1m-16", "/1m", 16),
    Scenario {
        closes: true,
        ..Scenario::sticky("close-64", "/128", 64)
    }
    .also_quick(),
    Scenario::sticky("tcp-small-64", "/128", 64)
        .over_tcp()
        .also_quick(),
    Scenario::sticky("tcp-1m-16", "/1m", 16).over_tcp(),
    Scenario::sticky("tcp-16m-4", "/16m", 4).over_tcp(),
    Scenario {
        closes: true,
        ..Scenario::sticky("tcp-close-64", "/128", 64)
    }
    .over_tcp(),
    Scenario::sticky("tls-small-64", "/128", 64)
        .over_tls()
        .also_quick(),
    Scenario::sticky("tls-16k-64", "/16k", 64).over_tls(),
    Scenario {
        closes: true,
        ..Scenario::sticky("tls-resumed-64", "/128", 64)
    }
    .over_tls(),
    Scenario {
        closes: true,
        is_full_handshake: true,
        ..Scenario::sticky("tls-full-64", "/128", 64)
    }
    .over_tls(),
];

impl Scenario {
    /// Kept connections that carry the stickiness cookie.
    const fn sticky(name: &'static str, path: &'static str, connections: usize) -> Self {
        Self {
            name,
            path,
            connections,
            is_sticky: true,
            closes: false,
            front: Front::Http,
            is_full_handshake: false,
            is_quick: false,
        }
    }

    const fn over_tls(self) -> Self {
        Self {
            front: Front::Tls,
            ..self
        }
    }

    /// Relayed: nobody looks at its cookie.
    const fn over_tcp(self) -> Self {
        Self {
            front: Front::Tcp,
            is_sticky: false,
            ..self
        }
    }

    const fn also_quick(self) -> Self {
        Self {
            is_quick: true,
            ..self
        }
    }

    /// The load, for a listener at this address; `cookies` is what the rival set.
    pub(crate) fn load(&self, address: SocketAddr, cookies: &str, seconds: u64) -> Load {
        let scheme = match self.front {
            Front::Tls => "https",
            Front::Http | Front::Tcp => "http",
        };
        let cookies = if self.is_sticky { cookies } else { "" };
        Load {
            url: format!("{scheme}://{address}{}", self.path),
            connections: self.connections,
            seconds,
            cookies: cookies.to_owned(),
            closes: self.closes,
            is_full_handshake: self.is_full_handshake,
        }
    }
}
