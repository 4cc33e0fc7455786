//! The control thread: the only writer of the state, and everything that may take its time.
//!
//! ```text
//!   checker ──Checked──►┐
//!                       ├─► State::apply ─► snapshot to the shards, health rows to admin, log
//!   shards ──reports──► checker (at once)
//!   admin: reads what was published,         view ─► state directory
//!          has setup wish for commands       signals ─► drain ─► the end
//! ```
//!
//! One tokio runtime on one thread. Not here: anything a request waits for. Invariant: what shards
//! and admin see is what the last [`State::apply`] left, and the log tells each change once.

pub mod access_log;
mod act;
mod admin;
mod adopt;
pub mod certificates;
mod check;
mod checker;
mod credentials;
mod distrust;
mod drain;
mod durable;
mod files;
mod gossip;
mod hex;
mod inventory;
pub mod journal;
pub mod keys;
mod membership;
pub mod memory;
mod metrics;
mod moment;
mod moves;
mod names;
mod naming;
mod origin;
mod outcome;
mod ports;
mod problem;
pub mod regions;
pub mod replicas;
mod secrets;
mod setup;
mod signals;
pub mod starts;
pub mod tickets;
pub mod trust;
mod verifiers;

use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{self, MissedTickBehavior};

use self::admin::{Admin, Doors, Standing};
use self::checker::Checker;
use self::distrust::Distrust;
use self::gossip::{Changes, FleetRow, News, Part, SealedUdp};
use self::journal::Journal;
use self::memory::Memory;
use self::moves::{MoveRow, Moves};
use self::regions::Regions;
use self::replicas::{Replica, Replicas};
use self::setup::{Setup, pass_on};
use self::signals::Stop;
use self::tickets::{Keeper, keep_turning};
use crate::cluster::node_number;
use crate::health::{Reason, Status, id_hash};
use crate::limits;
use crate::state::{
    Command, ControlLine, DrainRow, Effects, Event, Happening, HealthRow, LoadBalancerRow, Refusal,
    Report, State,
};
use crate::sticky::{Moved, Seals};
use crate::sys::{Link, Outlet, Phase, unix_millis};

pub use self::admin::{
    BackendRow, ClusterGlance, ClusterStatus, Dispute, Drain, ListenerStatus, LoadBalancerStatus,
    NodeStatus, ProcessStatus, ReplacedChange, WaitingChange,
};
pub use self::credentials::Credentials;
pub use self::drain::Ending;
pub use self::files::Files;
pub use self::gossip::{Joining, Member};
pub use self::inventory::Inventory;
pub use self::metrics::About;
pub use self::moment::{
    AnswersPerSecond, BackendMoment, LatencyMillis, LoadBalancerMoment, Moment, Move, ShardMoment,
};
pub use self::origin::Origin;
pub use self::outcome::Reloaded;
pub use self::setup::ReadAgain;

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
    /// Opens cookies, for whoever asks where their sessions go.
    pub seals: Seals,
    /// Where the view is kept over restarts, writable; `None`: nowhere.
    pub state_dir: Option<PathBuf>,
    /// How long a drain may take.
    pub shutdown_timeout: Duration,
    /// What it was started with, and whence.
    pub origin: Origin,
    /// What is set up.
    pub inventory: Inventory,
    /// What the API knows.
    pub regions: Regions,
    /// What it changes is kept there.
    pub journal: Journal,
    /// What the nodes of a cluster have changed; `None`: this is the only one.
    pub replicas: Option<Replicas>,
    /// Reads the configuration again; `None`: it is in no file.
    pub read_again: Option<ReadAgain>,
    /// The access log, to be told that its file was moved away; `None`: there is none.
    pub access_log: Option<Outlet>,
    /// Who changes the keys of session tickets.
    pub ticket_keys: Keeper,
    /// To join other nodes; `None`: there are none.
    pub joining: Option<Joining>,
    /// What `/metrics` says about this build.
    pub about: About,
}

/// Runs on the calling thread until a signal ended the process's work; the caller then exits.
/// Calls `ready` once a signal leads to a drain and no longer to the end of the process.
///
/// # Errors
///
/// If the runtime or the signal handlers cannot be set up, or `admin` is no usable socket.
pub fn run(mut control: Control, ready: impl FnOnce()) -> io::Result<Ending> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ending = runtime.block_on(async {
        let (stops, hangups) = (signals::listen()?, signals::hangups()?);
        let reopenings = signals::reopenings()?;
        tokio::spawn(access_log::reopen_at(reopenings, control.access_log.take()));
        ready();
        serve(control, stops, hangups).await
    });
    // Not waiting for a disk that does not answer.
    runtime.shutdown_background();
    ending
}

async fn serve(
    control: Control,
    stops: mpsc::Receiver<Stop>,
    hangups: Signal,
) -> io::Result<Ending> {
    let counts = Arc::new(ControlLine::default());
    let (wishes, wished) = mpsc::channel(limits::COMMANDS_WAITING);
    let (published, view) = watch::channel(Published::of(&control.state));
    tokio::spawn(keep_turning(control.ticket_keys, Arc::clone(&counts)));
    let standing = Standing::new(&control.about, &control.origin, &control.regions.api.region);
    let has_missed_hangup = Arc::default();
    let credentials = control.inventory.files.credentials.clone();
    let mut setup = Setup {
        inventory: control.inventory,
        origin: control.origin,
        regions: control.regions,
        journal: control.journal,
        replicas: control.replicas,
        read_again: control.read_again,
        link: Arc::clone(&control.link),
        wishes,
        published: view.clone(),
        counts: Arc::clone(&counts),
        has_missed_hangup: Arc::clone(&has_missed_hangup),
    };
    let (changes, changed) = mpsc::channel(limits::CHANGES_WAITING);
    let known = setup.replicas.as_mut();
    let known = known.map(|known| (known.all(), known.connect(changes)));
    let orders = setup.start()?;
    tokio::spawn(pass_on(hangups, orders.clone(), has_missed_hangup));
    let is_ready = Arc::new(AtomicBool::new(control.joining.is_none()));
    let joining = control.joining.zip(known);
    let joined = joining.map(|(joining, (all, told))| {
        let changes = Changes::new(all, told, orders.clone());
        take_part(joining, changes, &is_ready, &counts)
    });
    let (part, news) = joined.unzip();
    if let Some(listener) = control.admin {
        credentials::log_if_open(&credentials);
        let doors = Doors {
            orders,
            standing,
            credentials,
            is_ready,
        };
        let (link, counts) = (Arc::clone(&control.link), Arc::clone(&counts));
        let admin = Admin::new(link, view, doors, control.seals, counts, control.about);
        tokio::spawn(admin.serve(listening(listener)?));
    }
    let (results, commands) = mpsc::channel(limits::COMMANDS_WAITING);
    let mut checker = Checker::new(results, &counts);
    checker.follow(control.state.check_plans());
    let publisher = Publisher {
        counts: Arc::clone(&counts),
        memory: Memory::new(control.state_dir, control.state.remembered(), counts),
        state: control.state,
        link: Arc::clone(&control.link),
        published,
        distrust: Distrust::new(time::Instant::now()),
        moves: Moves::default(),
        part,
    };
    let inbox = Inbox {
        commands,
        wished,
        reports: control.reports,
        // Without a cluster nothing will ever come from there.
        news: news.unwrap_or_else(|| mpsc::channel(1).1),
        changed,
    };
    let stopped = drain::until_stopped(&control.link, stops, control.shutdown_timeout);
    Ok(conduct(publisher, checker, inbox, stopped).await)
}

/// Joins the other nodes.
fn take_part(
    joining: Joining,
    changes: Changes,
    is_ready: &Arc<AtomicBool>,
    counts: &Arc<ControlLine>,
) -> (Part, mpsc::Receiver<News>) {
    let Joining {
        member,
        socket,
        secrets,
    } = joining;
    let (roll, address, boot_ms) = (member.roll(), member.advertise, member.boot_ms);
    let number = node_number(&member.name);
    let transport = SealedUdp::new(
        socket,
        &secrets,
        number,
        boot_ms,
        Arc::clone(&counts.gossip),
    );
    let (voice, news) = gossip::join(member, transport);
    let (is_ready, counts) = (Arc::clone(is_ready), Arc::clone(counts));
    let part = Part::new(voice, roll, address, boot_ms, changes, is_ready, counts);
    (part, news)
}

/// A socket that listens, on this runtime.
fn listening(socket: std::net::TcpListener) -> io::Result<tokio::net::TcpListener> {
    socket.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(socket)
}

/// What comes in for the owner of the state.
struct Inbox {
    /// Of the checks.
    commands: mpsc::Receiver<Command>,
    /// Of what is set up.
    wished: mpsc::Receiver<Wish>,
    /// Of the shards.
    reports: mpsc::Receiver<Report>,
    /// Of other nodes.
    news: mpsc::Receiver<News>,
    /// Of what is set up, for other nodes.
    changed: mpsc::Receiver<Vec<Replica>>,
}

/// Does what comes in, until it is over.
async fn conduct(
    mut publisher: Publisher,
    mut checker: Checker,
    mut inbox: Inbox,
    stopped: impl Future<Output = Ending>,
) -> Ending {
    let mut stopped = pin!(stopped);
    let is_clustered = publisher.part.is_some();
    let mut ticks = time::interval(limits::TICK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::with_capacity(limits::COMMANDS_WAITING);
    let mut heard = Vec::with_capacity(limits::COMMANDS_WAITING);
    loop {
        tokio::select! {
            biased;
            ending = &mut stopped => {
                if let Some(part) = publisher.part {
                    part.leave().await;
                }
                publisher.memory.finish().await;
                return ending;
            }
            // Rarely ready, and not to be starved by those that may always be.
            _ = ticks.tick() => publisher.tick(&mut checker),
            // Before reports, so that a report is judged by the newest verdict.
            _ = inbox.commands.recv_many(&mut batch, limits::COMMANDS_WAITING) => {
                publisher.apply_all(batch.drain(..), &mut checker);
            }
            Some(Wish { command, answer }) = inbox.wished.recv() => {
                match answer.send(publisher.apply(command, &mut checker)) {
                    // Refused: whoever asked has gone; what was done is done.
                    Ok(()) | Err(_) => {}
                }
            }
            _ = inbox.news.recv_many(&mut heard, limits::COMMANDS_WAITING), if is_clustered => {
                publisher.learn(heard.drain(..), &mut checker);
            }
            Some(changed) = inbox.changed.recv() => publisher.pass_on(changed),
            Some(report) = inbox.reports.recv() => publisher.hear(report, &mut checker),
            reason = checker.lost_task() => {
                tracing::error!(reason, "bug: a backend is no longer checked");
            }
        }
    }
}

/// A command from the thread that changes what is set up, and where the answer goes.
#[derive(Debug)]
struct Wish {
    command: Command,
    answer: oneshot::Sender<Result<(), Refusal>>,
}

/// What the admin address tells of the state.
#[derive(Debug, Clone)]
struct Published {
    load_balancers: Arc<[LoadBalancerRow]>,
    health: Arc<[HealthRow]>,
    drains: Arc<[DrainRow]>,
    moves: Arc<[MoveRow]>,
    /// `None`: there is no cluster.
    fleet: Option<Arc<FleetRow>>,
}

impl Published {
    /// What the state tells; of moves it knows nothing.
    fn of(state: &State) -> Self {
        Self {
            moves: Arc::default(),
            fleet: None,
            load_balancers: Arc::from(state.load_balancers()),
            health: Arc::from(state.health()),
            drains: Arc::from(state.drains(unix_millis())),
        }
    }

    /// The id of a backend that is registered or has left lately, by its hash.
    fn backend_named(&self, load_balancer: &str, hash: u64) -> Option<Arc<str>> {
        let registered = self
            .health
            .iter()
            .map(|row| (&row.load_balancer, &row.backend));
        let gone = self
            .drains
            .iter()
            .map(|row| (&row.load_balancer, &row.backend));
        let mut of_it = registered
            .chain(gone)
            .filter(|(of, _)| ***of == *load_balancer);
        let (_, id) = of_it.find(|(_, id)| id_hash(id) == hash)?;
        Some(Arc::clone(id))
    }
}

/// The owner of the state.
struct Publisher {
    state: State,
    link: Arc<Link>,
    published: watch::Sender<Published>,
    memory: Memory,
    distrust: Distrust,
    moves: Moves,
    part: Option<Part>,
    counts: Arc<ControlLine>,
}

impl Publisher {
    /// A shard has something to say.
    fn hear(&mut self, report: Report, checker: &mut Checker) {
        match report {
            Report::Unreachable {
                load_balancer,
                backend,
                problem,
            } => {
                if let Some(problem) = problem {
                    let now = time::Instant::now();
                    self.distrust.note(&load_balancer, &backend, &problem, now);
                }
                // A shard with an older snapshot may still report what is known already.
                if self.state.is_in_service(&load_balancer, &backend) {
                    checker.hurry(load_balancer, backend);
                }
            }
            Report::Counted(sketches) => {
                self.apply_all([Command::Counted(sketches)].into_iter(), checker);
            }
            Report::Moved(seen) => self.show_moves(seen),
        }
    }

    /// Time has passed.
    fn tick(&mut self, checker: &mut Checker) {
        let mut has_caught_up = false;
        if let Some(part) = &mut self.part {
            part.note_drain(self.link.phase() == Phase::Draining);
            has_caught_up = part.tick(&mut self.state, unix_millis());
            let fleet = Arc::new(part.row(&self.state));
            self.published
                .send_modify(|published| published.fleet = Some(fleet));
        }
        let caught_up = has_caught_up.then_some(Command::CaughtUp);
        self.apply_all(caught_up.into_iter().chain([Command::Tick]), checker);
    }

    /// Other nodes have said something.
    fn learn(&mut self, news: impl Iterator<Item = News>, checker: &mut Checker) {
        let Some(part) = &mut self.part else { return };
        let now_ms = unix_millis();
        let commands: Vec<Command> = news.filter_map(|news| part.hear(news, now_ms)).collect();
        part.has_heard();
        self.apply_all(commands.into_iter(), checker);
    }

    /// The API has changed something here.
    fn pass_on(&mut self, changed: Vec<Replica>) {
        if let Some(part) = &mut self.part {
            part.pass_on(changed);
        }
    }

    /// Sessions have moved. Changes nothing but what is shown.
    fn show_moves(&mut self, seen: Vec<Moved>) {
        let known = self.published.borrow().clone();
        let name = |load_balancer: &str, hash| known.backend_named(load_balancer, hash);
        let forgotten = self.moves.add(seen, unix_millis(), name);
        self.counts.moves_forgotten.add(forgotten);
        let moves = Arc::from(self.moves.rows());
        self.published
            .send_modify(|published| published.moves = moves);
    }

    /// Applies one command, publishes what it changed, and says why if it was refused.
    fn apply(&mut self, command: Command, checker: &mut Checker) -> Result<(), Refusal> {
        let effects = self.state.apply(command, unix_millis())?;
        effects.events.iter().for_each(log);
        self.publish(&effects, checker);
        Ok(())
    }

    /// Applies the commands in order, and publishes once if any of them changed something.
    fn apply_all(&mut self, commands: impl Iterator<Item = Command>, checker: &mut Checker) {
        let mut all = Effects::default();
        for command in commands {
            match self.state.apply(command, unix_millis()) {
                Ok(effects) => {
                    effects.events.iter().for_each(log);
                    all.add(effects);
                }
                Err(Refusal::FromTheFuture) => self.counts.sayings_refused.add(1),
                // A result about a backend that has been deregistered meanwhile.
                Err(_) => {}
            }
        }
        self.publish(&all, checker);
    }

    fn publish(&mut self, effects: &Effects, checker: &mut Checker) {
        if effects.is_new {
            self.link.snapshot.store(Arc::new(self.state.snapshot()));
        }
        if effects.changes_view {
            self.memory.note(self.state.remembered());
        }
        if effects.changes_checks {
            checker.follow(self.state.check_plans());
        }
        for (load_balancer, backend) in &effects.doubted {
            checker.hurry(Arc::clone(load_balancer), Arc::clone(backend));
        }
        if let Some(part) = &mut self.part
            && (effects.changes_sayings || effects.changes_view)
        {
            part.note_lives();
            part.tell(&mut self.state);
        }
        if effects.is_new || effects.changes_rows {
            let Published { moves, fleet, .. } = self.published.borrow().clone();
            self.published.send_replace(Published {
                moves,
                fleet,
                ..Published::of(&self.state)
            });
        } else if self.state.is_draining() {
            let drains = Arc::from(self.state.drains(unix_millis()));
            self.published
                .send_modify(|published| published.drains = drains);
        }
    }
}

fn log(event: &Event) {
    let Event {
        load_balancer,
        backend,
        life,
        what,
    } = event;
    match what {
        Happening::Changed(transition) => {
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
        Happening::Agreed { is_open: true } => {
            tracing::info!(%load_balancer, %backend, life, "the nodes agree that a backend lives");
        }
        Happening::Agreed { is_open: false } => {
            tracing::warn!(%load_balancer, %backend, life, "the nodes agree that a backend is gone");
        }
        Happening::Registered => tracing::info!(%load_balancer, %backend, "backend registered"),
        Happening::Weighed(weight) => {
            tracing::info!(%load_balancer, %backend, weight, "backend weighs");
        }
        Happening::DrainBegan { sessions } => {
            tracing::info!(%load_balancer, %backend, sessions, "sessions of backend drain");
        }
        Happening::DrainEnded { sessions } => {
            tracing::info!(%load_balancer, %backend, sessions, "drain of sessions ended");
        }
        Happening::DrainCancelled => {
            tracing::info!(%load_balancer, %backend, "drain of sessions cancelled");
        }
        Happening::Deregistered { outstanding } => {
            tracing::info!(%load_balancer, %backend, outstanding, "backend deregistered");
        }
    }
}

#[cfg(test)]
mod tests;
