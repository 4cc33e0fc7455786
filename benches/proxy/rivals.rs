//! Who is compared, and how each of them comes to run.
//!
//! How each is configured is in `recipes`. Invariant: what is timed has been verified before, on
//! the address that is timed.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;

use crate::Failure;
use crate::cpu::process_tree;
use crate::load::Front;
use crate::process::{Process, free_addresses};
use crate::recipes::{self, Beside};
use crate::verify::{verify, wait_until_ready};
use crate::watch::Watch;

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rival {
    /// The binary of this crate, in the profile of the bench.
    Elbow,
    /// The same with an access log, scraped each second and with a console open.
    Watched,
    /// The same as a node of a cluster of two.
    Clustered,
    /// nginx from the path.
    Nginx,
    /// HAProxy from the path.
    Haproxy,
    /// The bench's own relay that parses nothing.
    Relay,
}

impl fmt::Display for Rival {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Elbow => "elbow",
            Self::Watched => "watched",
            Self::Clustered => "clustered",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Relay => "relay",
        })
    }
}

/// Where a rival runs and what it stands in front of.
pub(crate) struct Site<'a> {
    /// The core that is its own.
    pub(crate) core: usize,
    /// For its files.
    pub(crate) directory: &'a Path,
    /// The backends.
    pub(crate) backends: [SocketAddr; 2],
    /// The PEM file of a certificate and its key.
    pub(crate) certificate: &'a Path,
}

/// Where a rival listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// In clear.
    pub(crate) clear: SocketAddr,
    /// Over TLS; the relay does not.
    pub(crate) tls: SocketAddr,
    /// For bytes.
    pub(crate) tcp: SocketAddr,
}

impl Addresses {
    /// Of the listener that speaks this.
    pub(crate) fn of(self, front: Front) -> SocketAddr {
        match front {
            Front::Http => self.clear,
            Front::Tls => self.tls,
            Front::Tcp => self.tcp,
        }
    }
}

/// A rival that has been verified and waits for load.
pub(crate) struct Running {
    /// Which one.
    pub(crate) rival: Rival,
    /// As it calls itself.
    pub(crate) version: String,
    /// How it binds sessions.
    pub(crate) stickiness: &'static str,
    /// Where it listens.
    pub(crate) addresses: Addresses,
    /// The cookies of a session that it has bound, for a `Cookie` field.
    pub(crate) cookies: String,
    /// Its processes.
    pub(crate) processes: Vec<u32>,
    /// Who looks at it.
    pub(crate) watch: Option<Watch>,
    /// Ends it when dropped.
    _process: Process,
    /// The other node of its cluster.
    _peer: Option<Process>,
}

impl Rival {
    /// Whether it takes part in a scenario.
    pub(crate) fn plays(self, front: Front) -> bool {
        match (self, front) {
            (Self::Watched | Self::Clustered, front) => front == Front::Http,
            (Self::Relay, front) => front != Front::Tls,
            (Self::Elbow | Self::Nginx | Self::Haproxy, _) => true,
        }
    }

    /// The program it needs from the system, which is also the name of its Debian package.
    pub(crate) fn package(self) -> Option<&'static str> {
        match self {
            Self::Nginx => Some("nginx"),
            Self::Haproxy => Some("haproxy"),
            Self::Elbow | Self::Watched | Self::Clustered | Self::Relay => None,
        }
    }

    /// Starts it, waits until it serves, and verifies what it serves.
    ///
    /// # Errors
    /// If it ends, does not serve in time, or serves the wrong thing; with the end of its log.
    pub(crate) fn start(self, site: &Site<'_>) -> Result<Running, Failure> {
        let [clear, tls, tcp, admin, node, peer] = free_addresses()?;
        let tcp = match self {
            // It knows nothing else.
            Self::Relay => clear,
            _ => tcp,
        };
        let addresses = Addresses { clear, tls, tcp };
        let recipe = match self {
            Self::Elbow => recipes::elbow(site, addresses, Beside::Nothing)?,
            Self::Watched => recipes::elbow(site, addresses, Beside::Watched(admin))?,
            Self::Clustered => recipes::elbow(site, addresses, Beside::Clustered([node, peer]))?,
            Self::Nginx => recipes::nginx(site, addresses)?,
            Self::Haproxy => recipes::haproxy(site, addresses)?,
            Self::Relay => recipes::relay(site, clear)?,
        };
        let name = self.to_string();
        let mut process = Process::start(
            &name,
            site.core,
            &recipe.program,
            &recipe.arguments,
            site.directory,
        )?;
        let peer = match self {
            Self::Clustered => Some(start_peer(site, [peer, node])?),
            _ => None,
        };
        let cookies = wait_until_ready(&mut process, clear)
            .and_then(|()| verify(tcp, false))
            .and_then(|_| verify(clear, self != Self::Relay))
            .map_err(|error| format!("{self}: {error}\n{}", process.log_tail()))?;
        Ok(Running {
            rival: self,
            version: recipe.version,
            stickiness: recipe.stickiness,
            addresses,
            cookies,
            processes: process_tree(process.id())?,
            watch: recipe.log.map(|log| Watch::start(admin, &log)),
            _process: process,
            _peer: peer,
        })
    }
}

/// Starts another node, which has nothing to do, where the backends are.
fn start_peer(site: &Site<'_>, nodes: [SocketAddr; 2]) -> Result<Process, Failure> {
    let [clear, tls, tcp] = free_addresses()?;
    let addresses = Addresses { clear, tls, tcp };
    let recipe = recipes::elbow(site, addresses, Beside::Clustered(nodes))?;
    let (program, arguments) = (&recipe.program, &recipe.arguments);
    Ok(Process::start(
        "peer",
        site.core,
        program,
        arguments,
        site.directory,
    )?)
}
