//! Gossip: what this node has to tell reaches the others, and what they tell comes here.
//!
//! ```text
//!   take_sayings, replicas ─► Voice ─► chitchat's keys of this node ─┐ a round each second,
//!                                                                    ├─► datagrams, sealed
//!   State, setup ◄── News ◄── keys of other nodes, who lives ────────┘ and at once after a change
//! ```
//!
//! chitchat finds out who lives, and reconciles what each node tells. Not here: what is told
//! (`cluster::Saying`, `replicas.rs`), what becomes of it (`state`), and how datagrams are sealed
//! (`transport.rs`). Invariants: news are handed on in the order in which they came in, and who is
//! there is told before what is forgotten with them; what does not fit into the inbox is read
//! again.

mod changes;
mod head;
mod part;
mod transport;

use std::collections::BTreeMap;
use std::iter;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chitchat::transport::Transport;
use chitchat::{
    Chitchat, ChitchatConfig, ChitchatHandle, ChitchatId, FailureDetectorConfig, KeyChangeEvent,
    spawn_chitchat,
};
use tokio::sync::mpsc;
use tokio::time::{self, Instant, MissedTickBehavior};

pub(super) use self::changes::Changes;
#[cfg(test)]
pub(super) use self::head::Head;
pub(super) use self::part::{FleetRow, NodeRow, Part};
pub(super) use self::transport::SealedUdp;
use crate::cluster::{Peer, Roll, Secrets};
use crate::limits::{
    GOSSIP_AGAIN, GOSSIP_INTERVAL, GOSSIP_PAUSE, GOSSIP_PEERS_AT_ONCE, LEAVE_PATIENCE,
    NEWS_WAITING, NODE_FORGOTTEN, PEERS_MAX, ROLL_INTERVAL, TELLINGS_WAITING,
};

/// What all nodes that talk to each other call their cluster: the secret tells clusters apart.
const CLUSTER_ID: &str = "elbow";

/// The key by which a node says that it goes.
const LEFT: &str = "left";

/// By how many mean intervals a heartbeat is late when its node counts as lost. Heartbeats come
/// with every message, several each second, so that this is some seconds.
const PHI: f64 = 20.0;

/// This node, as others are to know it.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// When it started, in milliseconds since 1970.
    pub boot_ms: u64,
    /// Where others send to.
    pub advertise: SocketAddr,
    /// Where others are met first: `host:port` each.
    pub seeds: Vec<String>,
}

impl Member {
    /// The nodes that this one knows of as it starts.
    pub fn roll(&self) -> Roll {
        let own = self.advertise.to_string();
        let others = self.seeds.iter().filter(|seed| **seed != own).count();
        Roll::new(&self.name, 1 + others)
    }
}

/// What a node needs to join the others.
#[derive(Debug)]
pub struct Joining {
    /// This node.
    pub member: Member,
    /// Where others are heard, bound.
    pub socket: std::net::UdpSocket,
    /// What seals.
    pub secrets: Secrets,
}

/// What comes from other nodes.
#[derive(Debug)]
pub(super) enum News {
    /// Those nodes are there now.
    Nodes(Sight),
    /// A node tells something.
    Told {
        node: Arc<str>,
        boot_ms: u64,
        key: String,
        value: String,
    },
}

/// The nodes as this one sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) roll: Roll,
    /// Where each of the others is.
    pub(super) addresses: BTreeMap<Arc<str>, SocketAddr>,
}

/// Tells other nodes, by keys and values.
#[derive(Debug)]
pub(super) struct Voice {
    tellings: mpsc::Sender<Telling>,
    /// What there was no room for yet, the newest by each key.
    backlog: BTreeMap<String, String>,
}

#[derive(Debug)]
enum Telling {
    Say(BTreeMap<String, String>),
    Leave,
}

impl Voice {
    fn new(tellings: mpsc::Sender<Telling>) -> Self {
        Self {
            tellings,
            backlog: BTreeMap::new(),
        }
    }

    /// Tells all other nodes; what there is no room for goes with the next call. An empty value
    /// takes back what was told by that key.
    pub(super) fn tell(&mut self, sayings: Vec<(String, String)>) {
        self.backlog.extend(sayings);
        if self.backlog.is_empty() {
            return;
        }
        // Refused: there will be room later, or the process ends.
        if let Ok(place) = self.tellings.try_reserve() {
            place.send(Telling::Say(std::mem::take(&mut self.backlog)));
        }
    }

    /// Says goodbye; returns when that is on its way, or after a while.
    pub(super) async fn leave(self) {
        let left = async {
            if self.tellings.send(Telling::Leave).await.is_ok() {
                self.tellings.closed().await;
            }
        };
        // Late: the others find out by themselves.
        drop(time::timeout(LEAVE_PATIENCE, left).await);
    }
}

/// Joins the others, which may take a while where names of seeds are to be resolved. News of them
/// come in from now on, and `Voice` tells them.
pub(super) fn join(member: Member, transport: impl Transport) -> (Voice, mpsc::Receiver<News>) {
    let (news, incoming) = mpsc::channel(NEWS_WAITING);
    let (tellings, told) = mpsc::channel(TELLINGS_WAITING);
    let sink = Sink {
        own: Arc::from(&*member.name),
        news,
        is_behind: Arc::default(),
    };
    tokio::spawn(async move {
        if let Err(error) = converse(member, transport, sink, told).await {
            tracing::error!(%error, "bug: this node does not hear the others any more");
        }
    });
    (Voice::new(tellings), incoming)
}

fn settings(member: &Member) -> ChitchatConfig {
    ChitchatConfig {
        chitchat_id: ChitchatId::new(&*member.name, member.boot_ms, member.advertise),
        cluster_id: CLUSTER_ID.to_owned(),
        gossip_interval: GOSSIP_INTERVAL,
        listen_addr: member.advertise,
        seed_nodes: member.seeds.clone(),
        failure_detector_config: FailureDetectorConfig {
            phi_threshold: PHI,
            sampling_window_size: 100,
            max_interval: 5 * GOSSIP_INTERVAL,
            initial_interval: GOSSIP_INTERVAL / 2,
            dead_node_grace_period: NODE_FORGOTTEN,
        },
        marked_for_deletion_grace_period: NODE_FORGOTTEN,
        catchup_callback: None,
        extra_liveness_predicate: None,
    }
}

/// Where what chitchat brings is put.
#[derive(Debug, Clone)]
struct Sink {
    own: Arc<str>,
    news: mpsc::Sender<News>,
    /// Something did not fit: all is to be read again.
    is_behind: Arc<AtomicBool>,
}

impl Sink {
    fn put(&self, node: &ChitchatId, key: &str, value: &str) {
        if node.node_id == self.own {
            return;
        }
        let told = News::Told {
            node: Arc::clone(&node.node_id),
            boot_ms: node.generation_id,
            key: key.to_owned(),
            value: value.to_owned(),
        };
        if self.news.try_send(told).is_err() {
            self.is_behind.store(true, Ordering::Relaxed);
        }
    }
}

/// Finds out who is there.
struct Watcher {
    /// As long as nobody was heard.
    first: Roll,
    sink: Sink,
    /// What was told last.
    last: Option<Sight>,
}

impl Watcher {
    /// Looks who is there, and says so if that has changed. While nobody else changes anything.
    fn look(&mut self, chitchat: &Chitchat) {
        let sight = self.sight(chitchat);
        let is_news = self.last.as_ref() != Some(&sight);
        if is_news && self.sink.news.try_send(News::Nodes(sight.clone())).is_ok() {
            self.last = Some(sight);
        }
        if self.sink.is_behind.load(Ordering::Relaxed)
            && self.sink.news.capacity() > NEWS_WAITING / 2
        {
            self.sink.is_behind.store(false, Ordering::Relaxed);
            for (node, state) in chitchat.node_states() {
                let all = state.key_values();
                all.for_each(|(key, value)| self.sink.put(node, key, value));
            }
        }
    }

    fn sight(&self, chitchat: &Chitchat) -> Sight {
        let mut newest: BTreeMap<Arc<str>, &ChitchatId> = BTreeMap::new();
        let others = chitchat.node_states().keys();
        for node in others.filter(|node| node.node_id != self.sink.own) {
            let known = newest.entry(Arc::clone(&node.node_id)).or_insert(node);
            if known.generation_id < node.generation_id {
                *known = node;
            }
        }
        let has_left = |node: &ChitchatId| {
            let state = chitchat.node_state(node);
            state.is_some_and(|state| state.get(LEFT).is_some())
        };
        newest.retain(|_, node| !has_left(node));
        let is_live = |node: &ChitchatId| chitchat.live_nodes().any(|live| live == node);
        let peers = newest.iter().take(PEERS_MAX).map(|(name, node)| Peer {
            name: Arc::clone(name),
            boot_ms: node.generation_id,
            is_live: is_live(node),
        });
        let others: Vec<Peer> = peers.collect();
        let has_met = self
            .last
            .as_ref()
            .is_some_and(|last| last.roll.expected == 1);
        let is_first = !has_met && others.iter().all(|peer| !peer.is_live);
        let addresses = newest
            .into_iter()
            .map(|(name, n)| (name, n.gossip_advertise_addr));
        Sight {
            roll: Roll {
                own: Arc::clone(&self.sink.own),
                others,
                expected: if is_first { self.first.expected } else { 1 },
            },
            addresses: addresses.collect(),
        }
    }
}

/// Tells what is to be told, and looks who is there, until it is over.
async fn converse(
    member: Member,
    transport: impl Transport,
    sink: Sink,
    mut tellings: mpsc::Receiver<Telling>,
) -> anyhow::Result<()> {
    let handle = spawn_chitchat(settings(&member), Vec::new(), &transport).await?;
    let chitchat = handle.chitchat();
    let subscribed = sink.clone();
    let hears = move |event: KeyChangeEvent<'_>| subscribed.put(event.node, event.key, event.value);
    let subscription = chitchat.lock().await.subscribe_event("", hears);
    subscription.forever();
    let mut watcher = Watcher {
        first: member.roll(),
        sink,
        last: None,
    };
    let mut looks = time::interval(ROLL_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut again: Vec<Instant> = Vec::new();
    let mut last_spread = Instant::now();
    loop {
        let next = again.first().copied();
        tokio::select! {
            telling = tellings.recv() => match telling {
                Some(Telling::Say(sayings)) => {
                    let mut chitchat = chitchat.lock().await;
                    let own = chitchat.self_node_state();
                    for (key, value) in sayings {
                        match value.is_empty() {
                            true => own.set_with_ttl(key, value),
                            false => own.set(key, value),
                        }
                    }
                    let now = Instant::now();
                    let first = now.max(last_spread + GOSSIP_PAUSE);
                    let more = GOSSIP_AGAIN.map(|pause| now + pause);
                    again = iter::once(first).chain(more).collect();
                }
                Some(Telling::Leave) => {
                    let mut chitchat = chitchat.lock().await;
                    chitchat.self_node_state().set(LEFT, "1");
                    spread(&handle, &chitchat);
                    drop(chitchat);
                    // The answers to what was sent come, and are answered.
                    time::sleep(LEAVE_PATIENCE / 2).await;
                    return Ok(());
                }
                None => return Ok(()),
            },
            () = at(next), if next.is_some() => {
                again.remove(0);
                last_spread = Instant::now();
                spread(&handle, &*chitchat.lock().await);
            }
            _ = looks.tick() => watcher.look(&*chitchat.lock().await),
        }
    }
}

async fn at(moment: Option<Instant>) {
    if let Some(moment) = moment {
        time::sleep_until(moment).await;
    }
}

/// Gossips with other nodes at once, and not at the next round.
fn spread(handle: &ChitchatHandle, chitchat: &Chitchat) {
    let own = chitchat.self_chitchat_id();
    let live = chitchat.live_nodes().filter(|node| *node != own);
    for node in live.take(GOSSIP_PEERS_AT_ONCE) {
        // Refused: chitchat has ended, and so will this.
        drop(handle.gossip(node.gossip_advertise_addr));
    }
}

/// A moment in milliseconds, from a duration that is short.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
