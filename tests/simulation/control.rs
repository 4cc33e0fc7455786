//! The control thread and the backends that it checks, without sockets.
//!
//! Every change of the state goes through the product's own [`State::apply`].

use std::sync::Arc;

use elbow::config::{self, DrainMode};
use elbow::health::{Failure, Outcome};
use elbow::limits::{CHECK_BURST_PAUSE, CHECK_BURST_SPACING};
use elbow::state::{Bound, Command, Remembered, Snapshot, State};

use crate::scale::{CHECK_TIMEOUT_MS, LOAD_BALANCER, Scale};

/// What a backend's machine does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It answers.
    Up,
    /// It refuses connections.
    Dead,
    /// It takes connections and never answers.
    Hung,
    /// It answers requests and fails its checks.
    FailsChecks,
}

/// One backend.
pub(crate) struct Server {
    pub(crate) condition: Condition,
    pub(crate) is_registered: bool,
    config: config::Backend,
    /// No burst of checks may begin before.
    quiet_until_ms: u64,
}

/// The state and the backends.
pub(crate) struct Control {
    state: State,
    unhealthy_threshold: u32,
    pub(crate) servers: Vec<Server>,
}

impl Control {
    pub(crate) fn new(scale: &Scale, now_ms: u64) -> Self {
        let config = scale.config();
        let lb = &config.load_balancers[0];
        let listen: Vec<_> = lb.listeners.iter().map(|l| l.address).collect();
        let server = |config: &config::Backend| Server {
            condition: Condition::Up,
            is_registered: true,
            config: config.clone(),
            quiet_until_ms: 0,
        };
        let servers = lb.backends.iter().map(server).collect();
        Self {
            state: State::new(
                &config,
                &Bound::first(&listen),
                scale.shards,
                Remembered::new(),
                now_ms,
            ),
            unhealthy_threshold: scale.unhealthy_threshold,
            servers,
        }
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::new(self.state.snapshot())
    }

    /// The index of the backend of that id.
    pub(crate) fn server_of(&self, id: &str) -> usize {
        let mut servers = self.servers.iter();
        let index = servers.position(|server| server.config.id == id);
        index.expect("every backend has a server")
    }

    /// What a check that begins now finds, and after how many milliseconds.
    pub(crate) fn probe(&self, server: usize) -> (u64, Outcome) {
        match self.servers[server].condition {
            Condition::Up => (2, Outcome::Success),
            Condition::Dead => (1, Outcome::Failure(Failure::Refused)),
            Condition::Hung => (CHECK_TIMEOUT_MS, Outcome::Failure(Failure::TimedOut)),
            Condition::FailsChecks => (2, Outcome::Failure(Failure::Status(500))),
        }
    }

    /// The delays of the checks that follow a report of a shard: none if it comes too early.
    pub(crate) fn hurry(&mut self, server: usize, now_ms: u64) -> impl Iterator<Item = u64> {
        let spacing = millis(CHECK_BURST_SPACING);
        let server = &mut self.servers[server];
        let is_due = server.quiet_until_ms <= now_ms && server.is_registered;
        let count = u64::from(self.unhealthy_threshold) * u64::from(is_due);
        if is_due {
            server.quiet_until_ms = now_ms + count * spacing + millis(CHECK_BURST_PAUSE);
        }
        (0..count).map(move |nth| nth * spacing)
    }

    /// A check ended. The new snapshot, if there is one.
    pub(crate) fn checked(
        &mut self,
        server: usize,
        outcome: Outcome,
        now_ms: u64,
    ) -> Option<Arc<Snapshot>> {
        let command = Command::Checked {
            load_balancer: Arc::from(LOAD_BALANCER),
            backend: Arc::from(&*self.servers[server].config.id),
            outcome,
        };
        self.apply(command, now_ms)
    }

    /// Registers a backend, or gives it another weight.
    pub(crate) fn register(
        &mut self,
        server: usize,
        weight: u32,
        now_ms: u64,
    ) -> Option<Arc<Snapshot>> {
        self.servers[server].is_registered = true;
        self.servers[server].config.weight = weight;
        let command = Command::Register {
            load_balancer: Arc::from(LOAD_BALANCER),
            backend: self.servers[server].config.clone(),
        };
        self.apply(command, now_ms)
    }

    /// Lets a backend leave.
    pub(crate) fn deregister(
        &mut self,
        server: usize,
        mode: DrainMode,
        now_ms: u64,
    ) -> Option<Arc<Snapshot>> {
        self.servers[server].is_registered = false;
        let command = Command::Deregister {
            load_balancer: Arc::from(LOAD_BALANCER),
            backend: Arc::from(&*self.servers[server].config.id),
            mode: Some(mode),
        };
        self.apply(command, now_ms)
    }

    pub(crate) fn tick(&mut self, now_ms: u64) -> Option<Arc<Snapshot>> {
        self.apply(Command::Tick, now_ms)
    }

    fn apply(&mut self, command: Command, now_ms: u64) -> Option<Arc<Snapshot>> {
        // Refused: a check of, or a farewell to, a backend that has gone meanwhile.
        let effects = self.state.apply(command, now_ms).ok()?;
        effects.is_new.then(|| self.snapshot())
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("it is short")
}
