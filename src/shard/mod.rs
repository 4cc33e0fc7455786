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
mod proxy_header;
mod relay;
mod respond;
mod serve;
mod splice;
mod stick;
mod streaming;
mod subject;
mod tickets;
mod tls;
mod upstream;
mod watch;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};

use crate::config::Driver;
use crate::limits::{
    BULK_BLOCK_BYTES, DRAIN_GRACE, RELAY_HEADROOM_BYTES, SWEEP_INTERVAL, TRIM_INTERVAL,
};
use crate::state::{Report, Route, ShardLine, Snapshot};
use crate::sticky::{Census, Seals, Sessions};
use crate::sys::{
    BackendTerms, Block, Blocks, Instant, Link, Phase, Pipes, TlsOffer, thread as system,
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
    /// Its listeners, in the order of the snapshot's routes.
    pub listeners: Vec<TcpListener>,
    /// For each listener what it shakes hands with, the same for all shards; `None`: it speaks in
    /// clear. Looked at for each connection.
    pub offers: Vec<Option<TlsOffer>>,
    /// For each listener how it speaks TLS to its backends; `None`: in clear.
    pub terms: Vec<Option<BackendTerms>>,
    /// The keys of its cookies.
    pub seals: Seals,
    /// How long one count of sessions lasts.
    pub session_window: Duration,
    /// The tie to the other threads.
    pub link: Arc<Link>,
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
    let window = start.session_window;
    let shard = Rc::new(Shard::new(
        start.index,
        start.offers,
        start.terms,
        start.seals,
        start.link,
    ));
    shard.counts().driver_level.set(level as u64);
    let is_epoll = level == Level::Epoll;
    let listeners = match accept::open(&shard, start.listeners, is_epoll) {
        Ok(listeners) => listeners,
        Err(error) => return drop(started.send(Err(error))),
    };
    drop(started.send(Ok(level)));
    let mut listeners = Some(listeners);
    let mut ends_idle_at = Instant::NEVER;
    let mut next_trim = Instant::now();
    let mut window_ends_at = next_trim.after(window);
    let mut seen_epoch = shard.world().snapshot.epoch;
    loop {
        monoio::time::sleep(SWEEP_INTERVAL).await;
        let now = Instant::now();
        if shard.is_draining()
            && let Some(listeners) = listeners.take()
        {
            accept::close(&shard, &listeners, is_epoll);
            ends_idle_at = now.after(DRAIN_GRACE);
        }
        shard.watches.sweep(now, ends_idle_at <= now);
        shard.cut_connections(&mut seen_epoch);
        if window_ends_at <= now {
            window_ends_at = now.after(window);
            shard.report_sessions();
        }
        if next_trim <= now {
            next_trim = now.after(TRIM_INTERVAL);
            shard.blocks.trim();
            shard.pipes.trim();
            shard.idle.close_broken();
        }
        shard.idle.sweep(now);
        shard.counts().idle_upstream.set(shard.idle.count() as u64);
    }
}

/// Everything that one shard owns.
#[derive(Debug)]
struct Shard {
    index: usize,
    offers: Vec<Option<TlsOffer>>,
    terms: Vec<Option<BackendTerms>>,
    link: Arc<Link>,
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
    /// Where heads are composed; emptied by whoever uses it.
    scratch: RefCell<Vec<u8>>,
    /// Where the lines of a new cookie are composed; emptied by whoever uses it.
    lines: RefCell<Vec<u8>>,
    turn: Cell<usize>,
}

/// A snapshot as this shard uses it, counted without atomics.
#[derive(Debug)]
struct World {
    snapshot: Arc<Snapshot>,
    texts: Vec<RouteTexts>,
}

/// What a route writes into every request, formatted once.
#[derive(Debug)]
struct RouteTexts {
    port: String,
    /// The address as a Host; empty if the listener accepts on every address.
    host: String,
}

impl Shard {
    fn new(
        index: usize,
        offers: Vec<Option<TlsOffer>>,
        terms: Vec<Option<BackendTerms>>,
        seals: Seals,
        link: Arc<Link>,
    ) -> Self {
        let mut snapshot = Cache::new(Arc::clone(&link.snapshot));
        let world = World::new(Arc::clone(snapshot.load()));
        Self {
            index,
            offers,
            terms,
            link,
            snapshot: RefCell::new(snapshot),
            world: RefCell::new(Rc::new(world)),
            blocks: Blocks::default(),
            pipes: Pipes::default(),
            idle: upstream::Idle::default(),
            tickets: tickets::Tickets::default(),
            sessions: RefCell::new(Sessions::new(seals)),
            census: RefCell::new(Census::default()),
            watches: watch::Watches::default(),
            scratch: RefCell::new(Vec::with_capacity(4096)),
            lines: RefCell::new(Vec::with_capacity(RELAY_HEADROOM_BYTES)),
            turn: Cell::new(0),
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

    /// Ends what runs on backends that have left since the epoch seen last, and closes what rests.
    fn cut_connections(&self, seen_epoch: &mut u64) {
        let world = self.world();
        let snapshot = &world.snapshot;
        if std::mem::replace(seen_epoch, snapshot.epoch) == snapshot.epoch {
            return;
        }
        if !snapshot.cuts.is_empty() {
            self.watches.cut(&snapshot.cuts);
        }
        let routes = snapshot.routes.iter();
        let addresses = routes.flat_map(|route| route.backends.iter().map(|b| b.address));
        let addresses = addresses.collect();
        self.idle.keep_only(&addresses);
        self.tickets.keep_only(&addresses);
    }

    /// Tells the control thread which sessions were seen where in this window.
    fn report_sessions(&self) {
        let counted = self.census.borrow_mut().take();
        if !counted.is_empty() && !self.link.report(Report::Counted(counted)) {
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
        let texts = snapshot.routes.iter().map(texts).collect();
        Self { snapshot, texts }
    }

    fn route(&self, listener: usize) -> &Route {
        &self.snapshot.routes[listener]
    }
}

/// An address as it stands in a Host field.
fn host_text(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
