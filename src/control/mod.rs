//! The control thread: the only writer of the state, and everything that may take its time.
//!
//! ```text
//!   checker ──Checked──►┐
//!                       ├─► State::apply ─► snapshot to the shards, health rows to admin, log
//!   shards ──reports──► checker (at once)
//!   admin: reads what was published          signals ─► drain ─► the end
//! ```
//!
//! One tokio runtime on one thread. Not here: anything a request waits for. Invariant: what shards
//! and admin see is what the last [`State::apply`] left, and the log tells each change once.

mod admin;
mod any_certificate;
mod check;
mod checker;
mod drain;
pub mod keys;
mod metrics;
mod signals;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use self::admin::Admin;
use self::checker::Checker;
use self::signals::Stop;
use crate::health::{Reason, Status};
use crate::limits;
use crate::state::{Command, ControlLine, HealthRow, Report, State, StatusChange};
use crate::sys::Link;

pub use self::drain::Ending;
pub use self::metrics::About;

/// What the control thread is given.
#[derive(Debug)]
pub struct Control {
    /// The state whose snapshot is in `link`.
    pub state: State,
    /// The tie to the shards.
    pub link: Arc<Link>,
    /// What the shards report.
    pub reports: mpsc::Receiver<Report>,
    /// Where admin listens, bound and listening; `None`: nowhere.
    pub admin: Option<std::net::TcpListener>,
    /// How long a drain may take.
    pub shutdown_timeout: Duration,
    /// What `/metrics` says about this build.
    pub about: About,
}

/// Runs on the calling thread until a signal ended the process's work; the caller then exits.
/// Calls `ready` once a signal leads to a drain and no longer to the end of the process.
///
/// # Errors
///
/// If the runtime or the signal handlers cannot be set up, or `admin` is no usable socket.
pub fn run(control: Control, ready: impl FnOnce()) -> io::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let stops = signals::listen()?;
        ready();
        serve(control, stops).await
    })
}

async fn serve(control: Control, stops: mpsc::Receiver<Stop>) -> io::Result<Ending> {
    let Control {
        state,
        link,
        mut reports,
        admin,
        shutdown_timeout,
        about,
    } = control;
    let counts = Arc::new(ControlLine::default());
    let (health, health_view) = watch::channel(Arc::from(state.health()));
    if let Some(listener) = admin {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let admin = Admin::new(Arc::clone(&link), health_view, Arc::clone(&counts), about);
        tokio::spawn(admin.serve(listener));
    }
    let (wishes, mut commands) = mpsc::channel(limits::COMMANDS_WAITING);
    let mut checker = Checker::start(state.check_plans(), &wishes, &counts);
    let mut publisher = Publisher {
        state,
        link: Arc::clone(&link),
        health,
    };
    let mut stopped = pin!(drain::until_stopped(&link, stops, shutdown_timeout));
    let mut batch = Vec::with_capacity(limits::COMMANDS_WAITING);
    loop {
        tokio::select! {
            biased;
            ending = &mut stopped => return Ok(ending),
            // Before reports, so that a report is judged by the newest verdict.
            _ = commands.recv_many(&mut batch, limits::COMMANDS_WAITING) => {
                publisher.apply_all(batch.drain(..));
            }
            Some(report) = reports.recv() => {
                let Report::Unreachable { load_balancer, backend } = report;
                // A shard with an older snapshot may still report what is known already.
                if publisher.state.is_in_service(&load_balancer, &backend) {
                    checker.hurry(load_balancer, backend);
                }
            }
            Some(reason) = checker.lost_task() => {
                tracing::error!(reason, "bug: a backend is no longer checked");
            }
        }
    }
}

/// The owner of the state.
struct Publisher {
    state: State,
    link: Arc<Link>,
    health: watch::Sender<Arc<[HealthRow]>>,
}

impl Publisher {
    /// Applies the commands in order, and publishes once if any of them changed something.
    fn apply_all(&mut self, commands: impl Iterator<Item = Command>) {
        let mut changed = false;
        for command in commands {
            let effects = self.state.apply(command);
            changed |= effects.changed;
            effects.transitions.iter().for_each(log);
        }
        if changed {
            self.link.snapshot.store(Arc::new(self.state.snapshot()));
            self.health.send_replace(Arc::from(self.state.health()));
        }
    }
}

fn log(change: &StatusChange) {
    let StatusChange {
        load_balancer,
        backend,
        transition,
        life,
    } = change;
    let reason = transition.cause;
    match transition.to {
        Status::InService => {
            tracing::info!(%load_balancer, %backend, life, "backend in service");
        }
        Status::OutOfService(Reason::Failed) => {
            tracing::warn!(%load_balancer, %backend, life, %reason, "backend out of service");
        }
        Status::OutOfService(Reason::Registering | Reason::Recovering) => {
            tracing::info!(%load_balancer, %backend, life, "backend recovering");
        }
    }
}

#[cfg(test)]
mod tests;
