//! slowhttptest's four ways to hold a server with little, and the time that each needs.
//!
//! Not the honest load (`../proxy/wrk.rs`). Invariant: an attack that has ended by itself, or has
//! not reached elbow in full, is no attack, and fails the bench.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::Failure;
use crate::elbow::Elbow;
use crate::process::{Process, look_until};

/// How long elbow may take to have accepted an attack's connections.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an attack would last; it is ended before.
const SECONDS: u64 = 300;

/// What is done slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Heads that never end (Slowloris).
    Headers,
    /// Bodies that hardly go on (R-U-Dead-Yet).
    Body,
    /// A long answer read by windows of a few bytes.
    Read,
    /// Requests for a thousand ranges at once (Apache killer); not slow, and as many as come.
    Range,
}

/// How large an attack is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) connections: usize,
    /// Seconds after which whoever sends slowly sends again.
    pub(crate) interval: u64,
    /// Seconds over which those come that do not stay.
    pub(crate) window: u64,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] = [Self::Headers, Self::Body, Self::Read, Self::Range];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Headers => "slow headers (-H)",
            Self::Body => "slow body (-B)",
            Self::Read => "slow read (-X)",
            Self::Range => "ranges (-R)",
        }
    }

    /// Whether its connections stay.
    pub(crate) fn holds(self) -> bool {
        self != Self::Range
    }

    /// The arguments; whoever reads slowly reads each second.
    fn arguments(self, size: Size, front: SocketAddr) -> Vec<String> {
        let Size {
            connections,
            interval,
            window,
        } = size;
        let interval = interval.to_string();
        let (mode, path, more): (_, _, &[&str]) = match self {
            Self::Headers => ("-H", "/128", &["-i", &interval]),
            Self::Body => ("-B", "/128", &["-i", &interval, "-s", "65536", "-x", "8"]),
            Self::Read => ("-X", "/1m", &["-n", "1", "-w", "8", "-y", "64", "-z", "4"]),
            Self::Range => ("-R", "/128", &["-a", "1", "-b", "1000"]),
        };
        let rate = match self.holds() {
            true => connections,
            false => connections / usize::try_from(window).unwrap_or(usize::MAX),
        };
        let url = format!("http://{front}{path}");
        let mut all = vec![mode.to_owned(), "-u".to_owned(), url];
        all.extend(more.iter().map(|&argument| argument.to_owned()));
        for (flag, number) in [("-c", connections), ("-r", rate.max(1))] {
            all.extend([flag.to_owned(), number.to_string()]);
        }
        all.extend(["-l", &SECONDS.to_string(), "-v", "0"].map(str::to_owned));
        all
    }
}

/// An attack that goes on until it is dropped.
pub(crate) struct Attack<'e> {
    mode: Mode,
    connections: usize,
    elbow: &'e Elbow,
    accepted_before: u64,
    process: Process,
}

impl<'e> Attack<'e> {
    /// Begins one, and waits until its connections are there if it holds them.
    ///
    /// # Errors
    /// If it cannot be started, or elbow has not accepted it in time.
    pub(crate) fn start(
        mode: Mode,
        size: Size,
        (program, core, directory): (&Path, usize, &Path),
        elbow: &'e Elbow,
    ) -> Result<Self, Failure> {
        let arguments = mode.arguments(size, elbow.front);
        let accepted_before = elbow.metric("elbow_connections_accepted_total")?;
        let process = Process::start("attack", core, program, &arguments, directory)?;
        let mut attack = Self {
            mode,
            connections: size.connections,
            elbow,
            accepted_before,
            process,
        };
        if mode.holds() {
            attack.expect_in_full()?;
        }
        Ok(attack)
    }

    /// It goes on, and all of its connections have been accepted.
    ///
    /// # Errors
    /// If that is not so in time.
    pub(crate) fn expect_in_full(&mut self) -> Result<(), Failure> {
        let mut accepted = 0;
        let in_full = look_until(PATIENCE, || {
            accepted = self.elbow.metric("elbow_connections_accepted_total").ok()?;
            (accepted >= self.accepted_before + self.connections as u64).then_some(())
        });
        let has_ended = self.mode.holds() && self.process.exit_status()?.is_some();
        match in_full {
            Some(()) if !has_ended => Ok(()),
            _ => Err(format!(
                "{}: {} of {} connections, ended: {has_ended}\n{}",
                self.mode.name(),
                accepted - self.accepted_before,
                self.connections,
                self.process.log_tail()
            )
            .into()),
        }
    }
}
