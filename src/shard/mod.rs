//! A shard: one core's thread and everything it owns. It accepts, serves, and waits for nobody.
//!
//! Read [`serve`](serve::serve) first: it is the data path, one call per stage; connections of TCP
//! listeners go through [`relay`](relay::relay) instead. Not here: any
//! decision about health or configuration; those come in a snapshot. Invariants: a shard never
//! waits for another thread; one snapshot per exchange; no operation is dropped in flight.

mod accept;
mod admit;
mod channel;
mod driver;
mod exchange;
mod handshake;
mod hold;
mod in_turn;
mod log;
mod pace;
mod proxy_header;
mod record;
mod relay;
mod respond;
mod seat;
mod serve;
mod splice;
mod stick;
mod streaming;
mod subject;
mod surge;
mod tickets;
mod tls;
mod upstream;
mod watch;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ahash::AHashMap;
use arc_swap::{ArcSwap, Cache};

use crate::config::Driver;
use crate::limits::{
    BULK_BLOCK_BYTES, DRAIN_GRACE, RELAY_HEADROOM_BYTES, SESSIONS_TOLD_INTERVAL, SWEEP_INTERVAL,
    TRIM_INTERVAL,
};
use crate::state::{Report, Route, ShardLine, Snapshot};
use crate::sticky::{Census, Seals, Sessions};
use crate::sys::{
    Block, Blocks, Ear, Instant, Link, Outlet, Phase, Pipes, thread as system, thread_cpu_nanos,
};

pub use driver::{Level, Runtime};
pub use tls::Tls;

/// What a shard needs to start.
#[derive(Debug)]
pub struct Start {
    /// Its number, from 0.
    pub index: usize,
    /// The CPU to pin it to.
    pub core: Option<usize>,
    /// Which driver it uses.
    pub driver: Driver,
    /// The keys of its cookies.
    pub seals: Seals,
    /// How long one count of sessions lasts.
    pub session_window: Duration,
    /// The tie to the other threads.
    pub link: Arc<Link>,
    /// Who takes lines of the access log, if anybody does.
    pub log: Option<Outlet>,
}

/// Starts the shard's thread. `started` gets its level once it accepts, or why it cannot.
///
/// # Errors
/// Those of thread creation.
pub fn spawn(start: Start, started: mpsc::Sender<io::Result<Level>>) -> io::Result<JoinHandle<()>> {
    let name = format!("shard-{}", start.index);
    thread::Builder::new()
        .name(name)
        .spawn(move || run(start, &started))
}

fn run(start: Start, started: &mpsc::Sender<io::Result<Level>>) {
    system::block_signals();
    if let Some(core) = start.core
        && !system::pin_to(core)
    {
        tracing::warn!(
            shard = start.index,
            core,
            "the kernel refused to pin the shard"
        );
    }
    // A receiver that is gone means that the process is already ending.
    match Runtime::build(start.driver) {
        Ok((mut runtime, level)) => runtime.block_on(serve_all(start, level, started)),
        Err(error) => drop(started.send(Err(error))),
    }
}

/// The shard's main task: the accept loops, then one sweep after the other until the process ends.
/// The process exits from elsewhere: a runtime with operations in flight must not be dropped.
async fn serve_all(start: Start, level: Level, started: &mpsc::Sender<io::Result<Level>>) {
    // Whoever looks sees new sessions within seconds, however long they count as alive.
    let window = start.session_window.min(SESSIONS_TOLD_INTERVAL);
    let shard = Rc::new(Shard::new(start.index, start.seals, start.link, start.log));
    shard.counts().driver_level.set(level as u64);
    let is_epoll = level == Level::Epoll;
    let ear = shard.link.bells.line(shard.index).hang(is_epoll);
    let listens = ear.and_then(|ear| {
        drop(monoio::spawn(answer_bell(Rc::clone(&shard), ear, is_epoll)));
        accept::follow(&shard, is_epoll)
    });
    if let Err(error) = listens {
        return drop(started.send(Err(error)));
    }
    let first = shard.link.listeners.load().version;
    shard.counts().listeners_seen.set(first);
    drop(started.send(Ok(level)));
    let mut is_closed = false;
    let mut ends_idle_at = Instant::NEVER;
    let mut next_trim = Instant::now();
    let mut window_ends_at = next_trim.after(window);
    let mut seen_epoch = shard.world().snapshot.epoch;
    let mut swept_at = next_trim;
    loop {
        monoio::time::sleep(SWEEP_INTERVAL).await;
        let now = Instant::now();
        let is_late = now.since(std::mem::replace(&mut swept_at, now)) > 2 * SWEEP_INTERVAL;
        shard.counts().sweeps_late.add(is_late.into());
        shard.counts().cpu_nanos.set(thread_cpu_nanos());
        if shard.is_draining() && !is_closed {
            is_closed = true;
            accept::close_all(&shard, is_epoll);
            ends_idle_at = now.after(DRAIN_GRACE);
        }
        shard.watches.sweep(now, ends_idle_at <= now);
        shard.cut_connections(&mut seen_epoch);
        shard.surge.sweep(now, &shard.world());
        shard.follow_listeners(is_epoll);
        shard.report_moves();
        if window_ends_at <= now {
            window_ends_at = now.after(window);
            shard.report_sessions();
        }
        if next_trim <= now {
            next_trim = now.after(TRIM_INTERVAL);
            shard.blocks.trim();
            shard.pipes.trim();
            shard.idle.close_broken(shard.counts());
        }
        shard.idle.sweep(now);
        shard.log.flush(shard.counts());
        shard.counts().idle_upstream.set(shard.idle.count() as u64);
        let relay_blocks = shard.blocks.relay_in_use() as u64;
        shard.counts().relay_blocks.set(relay_blocks);
    }
}

/// Does at once what the next sweep would do: lets those go on who wait for a backend, as another
/// shard says that one has room, and follows listeners, as control says that they have changed.
async fn answer_bell(shard: Rc<Shard>, mut ear: Ear, is_epoll: bool) {
    let bell = shard.link.bells.line(shard.index);
    while ear.hear(bell).await.is_ok() {
        shard.follow_listeners(is_epoll);
        shard.surge.call_own();
    }
}

/// Everything that one shard owns.
#[derive(Debug)]
struct Shard {
    index: usize,
    link: Arc<Link>,
    listeners: RefCell<Vec<Rc<accept::Listener>>>,
    snapshot: RefCell<Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>>,
    world: RefCell<Rc<World>>,
    blocks: Blocks,
    pipes: Pipes,
    idle: upstream::Idle,
    /// What backends have given to resume sessions of TLS with.
    tickets: tickets::Tickets,
    sessions: RefCell<Sessions>,
    census: RefCell<Census>,
    watches: watch::Watches,
    /// Who waits for a backend that has room.
    surge: Rc<surge::Surge>,
    log: log::Log,
    /// Where heads are composed; emptied by whoever uses it.
    scratch: RefCell<Vec<u8>>,
    /// Where the lines of a new cookie are composed; emptied by whoever uses it.
    lines: RefCell<Vec<u8>>,
    turn: Cell<usize>,
    /// With how many clients no other is let in, for want of descriptors.
    clients_max: usize,
    /// Until when the log says nothing more of accepts that fail.
    accepts_told_until: Cell<Instant>,
}

/// A snapshot as this shard uses it, counted without atomics.
#[derive(Debug)]
struct World {
    snapshot: Arc<Snapshot>,
    /// By the listener's number, where its route is and what it writes.
    places: AHashMap<usize, (usize, RouteTexts)>,
}

/// What a route writes into every request, formatted once.
#[derive(Debug)]
struct RouteTexts {
    port: String,
    /// The address as a Host; empty if the listener accepts on every address.
    host: String,
}

impl Shard {
    fn new(index: usize, seals: Seals, link: Arc<Link>, log: Option<Outlet>) -> Self {
        let mut snapshot = Cache::new(Arc::clone(&link.snapshot));
        let world = World::new(Arc::clone(snapshot.load()));
        let surge = surge::Surge::new(index, Arc::clone(&link));
        let clients_max =
            accept::clients_max(system::open_files().ok(), link.shards.lines().count());
        Self {
            index,
            link,
            listeners: RefCell::default(),
            snapshot: RefCell::new(snapshot),
            world: RefCell::new(Rc::new(world)),
            blocks: Blocks::default(),
            pipes: Pipes::default(),
            idle: upstream::Idle::default(),
            tickets: tickets::Tickets::default(),
            sessions: RefCell::new(Sessions::new(seals)),
            census: RefCell::new(Census::default()),
            watches: watch::Watches::default(),
            surge: Rc::new(surge),
            log: log::Log::new(log),
            scratch: RefCell::new(Vec::with_capacity(4096)),
            lines: RefCell::new(Vec::with_capacity(RELAY_HEADROOM_BYTES)),
            turn: Cell::new(0),
            clients_max,
            accepts_told_until: Cell::new(Instant::now()),
        }
    }

    /// The world as of now: one relaxed load if nothing changed.
    fn world(&self) -> Rc<World> {
        let mut cache = self.snapshot.borrow_mut();
        let fresh = cache.load();
        let mut world = self.world.borrow_mut();
        if !Arc::ptr_eq(fresh, &world.snapshot) {
            *world = Rc::new(World::new(Arc::clone(fresh)));
        }
        Rc::clone(&world)
    }

    fn counts(&self) -> &ShardLine {
        self.link.shards.line(self.index)
    }

    /// A block for a body that has much to come, see [`Blocks::larger`].
    fn larger(&self, block: Block) -> Block {
        let block = self.blocks.larger(block);
        if block.capacity() < BULK_BLOCK_BYTES {
            self.counts().bulk_blocks_short.add(1);
        }
        block
    }

    /// Opens and closes listeners where they have changed, and says that it has. In a drain all
    /// stay closed.
    fn follow_listeners(self: &Rc<Self>, is_epoll: bool) {
        let version = self.link.listeners.load().version;
        if self.counts().listeners_seen.value() == version || self.is_draining() {
            return;
        }
        if let Err(error) = accept::follow(self, is_epoll) {
            self.counts().listen_errors.add(1);
            tracing::error!(shard = self.index, %error, "a listener cannot be opened");
        }
        self.counts().listeners_seen.set(version);
    }

    /// Ends what runs on backends that have left since the epoch seen last, and closes what rests
    /// or has lost its listener.
    fn cut_connections(&self, seen_epoch: &mut u64) {
        let world = self.world();
        let snapshot = &world.snapshot;
        if std::mem::replace(seen_epoch, snapshot.epoch) == snapshot.epoch {
            return;
        }
        self.watches
            .end_idle(|listener| world.route(listener).is_none());
        if !snapshot.cuts.is_empty() {
            self.watches.cut(&snapshot.cuts);
        }
        let routes = snapshot.routes.iter();
        let addresses = routes.flat_map(|route| route.backends.iter().map(|b| b.address));
        let addresses = addresses.collect();
        self.idle.keep_only(&addresses);
        let is_listener = |listener| world.route(listener).is_some();
        self.tickets.keep_only(&addresses, is_listener);
    }

    /// Tells the control thread which sessions were seen where in this window.
    fn report_sessions(&self) {
        let counted = self.census.borrow_mut().take();
        if !counted.is_empty() && !self.link.report(Report::Counted(counted)) {
            self.counts().reports_dropped.add(1);
        }
    }

    /// Tells the control thread which sessions were seen to have moved since the last sweep.
    fn report_moves(&self) {
        let (moved, missed) = self.sessions.borrow_mut().take_moves();
        self.counts().moves_unseen.add(missed);
        if !moved.is_empty() && !self.link.report(Report::Moved(moved)) {
            self.counts().reports_dropped.add(1);
        }
    }

    fn is_draining(&self) -> bool {
        self.link.phase() == Phase::Draining
    }
}

impl World {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        let texts = |route: &Route| RouteTexts {
            port: route.address.port().to_string(),
            host: if route.address.ip().is_unspecified() {
                String::new()
            } else {
                host_text(route.address.ip())
            },
        };
        let routes = snapshot.routes.iter().enumerate();
        let places = routes.map(|(at, route)| (route.listener, (at, texts(route))));
        Self {
            places: places.collect(),
            snapshot,
        }
    }

    /// What that listener does; `None`: it is gone.
    fn route(&self, listener: usize) -> Option<&Route> {
        let (at, _) = self.places.get(&listener)?;
        Some(&self.snapshot.routes[*at])
    }

    /// What its route writes.
    fn texts(&self, listener: usize) -> Option<&RouteTexts> {
        self.places.get(&listener).map(|(_, texts)| texts)
    }
}

/// An address as it stands in a Host field.
fn host_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
