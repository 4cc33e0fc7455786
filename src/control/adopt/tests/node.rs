//! A node of a cluster without a network: what is set up, over no shards, and a state that follows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{self, Config};
use crate::control::act::Act;
use crate::control::journal::{Journal, Record};
use crate::control::naming::Parts;
use crate::control::origin::Origin;
use crate::control::regions::{Regions, Settled};
use crate::control::replicas::{Replica, Replicas, Replicated};
use crate::control::setup::{ReadAgain, Setup};
use crate::control::{Files, Inventory, Published, Wish};
use crate::elb::{Action, Answer, Failure, LoadBalancer, Parameters};
use crate::state::{ControlLine, Remembered, State};
use crate::sys::{Link, unix_millis, unix_seconds};

pub(super) const REGION: &str = "us-east-1";

/// What all nodes of a test have in their files.
pub(super) const COMMON: &str = "[[instance]]\nid = \"i-1\"\naddress = \"10.0.0.1\"\n";

/// One node.
pub(super) struct Node {
    pub(super) setup: Setup,
    pub(super) told: watch::Receiver<Replicated>,
    pub(super) counts: Arc<ControlLine>,
    pool: String,
    sent: mpsc::Receiver<Vec<Replica>>,
}

impl Node {
    /// With this in its file beside where its listeners accept, and without a disk.
    pub(super) fn new(number: u32, file: &str) -> Self {
        Self::at(number, file, None)
    }

    /// With this directory, and what an earlier node has left there.
    pub(super) fn at(number: u32, file: &str, directory: Option<&Path>) -> Self {
        let pool = pool();
        let written = read(&pool, file);
        let (mut journal, records) = Journal::open(directory).expect("nobody else has it");
        let (mut replicas, records) = Replicas::take_up(number, records);
        let settled = Regions::settle(&written, records, unix_millis());
        let Settled {
            regions,
            wanted,
            outdated,
        } = settled.expect("it holds");
        let outdated = replicas.instead_of(outdated);
        journal.append(&outdated).expect("the disk has room");
        let config = Config {
            load_balancers: wanted,
            ..written
        };
        let files = Files::load(&config, unix_seconds()).expect("they hold");
        let (inventory, bound) = Inventory::open(&config, files, 1).expect("ports are free");
        let state = State::new(&config, &bound, 1, Remembered::new(), 0);
        let (link, _reports) = Link::new(state.snapshot(), inventory.listeners(), 1);
        // No shard is there to follow.
        for shard in link.shards.lines() {
            shard.listeners_seen.set(u64::MAX);
        }
        let (wishes, published) = obeying(state);
        let (out, sent) = mpsc::channel(256);
        let told = replicas.connect(out);
        let counts = Arc::new(ControlLine::default());
        let setup = Setup {
            inventory,
            origin: Origin::default(),
            regions,
            journal,
            replicas: Some(replicas),
            read_again: None,
            link,
            wishes,
            published,
            counts: Arc::clone(&counts),
            has_missed_hangup: Arc::default(),
        };
        Self {
            setup,
            told,
            counts,
            pool,
            sent,
        }
    }

    /// The file says that from now on.
    pub(super) fn reload(&mut self, file: &str) {
        let (pool, file) = (self.pool.clone(), file.to_owned());
        let read = move || {
            let text = text(&pool, &file);
            config::parse_with_sources(&text, "elbow.toml")
                .map_err(|problem| vec![problem.to_string()])
        };
        self.setup.read_again = Some(ReadAgain::new(read));
        self.setup.reload().expect("the file holds");
        self.setup.try_waiting();
    }

    /// Carries out what the query of an action asks for.
    pub(super) fn act(&mut self, query: &str) -> Result<Answer, Failure> {
        let query = format!("Version=2012-06-01&Action={query}");
        let parameters = Parameters::parse(query.as_bytes()).expect("it is a query");
        let (answer, mut answered) = oneshot::channel();
        self.setup.act(Act {
            region: REGION.to_owned(),
            action: Action::parse(&parameters).expect("it is an action"),
            who: "a test".to_owned(),
            answer,
        });
        answered.try_recv().expect("it was answered")
    }

    /// The same, which is expected to be done.
    pub(super) fn done(&mut self, query: &str) {
        if let Err(failure) = self.act(query) {
            panic!("{query}: {failure}");
        }
    }

    /// Says where an instance is.
    pub(super) fn name(&mut self, id: &str, address: &str) {
        let parts = Parts {
            address: Some(address.to_owned()),
            ..Parts::default()
        };
        let backend = parts.onto(id, None).expect("it holds");
        self.setup.name_instance(backend).expect("there is room");
    }

    /// What has gone out since the last time.
    pub(super) fn sent(&mut self) -> Vec<Replica> {
        let mut all = Vec::new();
        while let Ok(batch) = self.sent.try_recv() {
            all.extend(batch);
        }
        all
    }

    /// All that it knows, as it tells others.
    pub(super) fn all(&self) -> Vec<Replica> {
        self.setup
            .replicas
            .as_ref()
            .expect("it is one of many")
            .all()
    }

    pub(super) fn digest(&self) -> u64 {
        self.told.borrow().digest
    }

    /// Why what it cannot have in force is not.
    pub(super) fn waiting(&self) -> Vec<(String, String)> {
        let told = self.told.borrow();
        let rows = told.waiting.iter();
        rows.map(|row| (row.thing.clone(), row.why.clone()))
            .collect()
    }

    pub(super) fn load_balancer(&self, name: &str) -> Option<Arc<LoadBalancer>> {
        self.setup
            .regions
            .catalog(REGION)
            .load_balancer(name)
            .cloned()
    }

    /// What runs of that name.
    pub(super) fn running(&self, name: &str) -> Option<&config::LoadBalancer> {
        self.setup.inventory.written(name)
    }

    /// What the API has changed, but for certificates and where listeners accept.
    pub(super) fn records(&self) -> Vec<Record> {
        let mut records = self.setup.regions.records();
        records.retain(|record| !matches!(record, Record::Certificate { .. }));
        for record in &mut records {
            if let Record::LoadBalancer { address, .. } = record {
                *address = [0, 0, 0, 0].into();
            }
        }
        records
    }
}

/// Applies commands until the node is gone, and publishes what that changes.
fn obeying(mut state: State) -> (mpsc::Sender<Wish>, watch::Receiver<Published>) {
    let (publisher, published) = watch::channel(Published::of(&state));
    let (wishes, mut wished) = mpsc::channel::<Wish>(1);
    thread::Builder::new()
        .spawn(move || {
            while let Some(Wish { command, answer }) = wished.blocking_recv() {
                let done = state.apply(command, 0).map(drop);
                publisher.send_replace(Published::of(&state));
                answer.send(done).expect("the node waits");
            }
        })
        .expect("a thread can be had");
    (wishes, published)
}

/// Addresses that no other node has, in no test.
fn pool() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let [_, _, high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    format!("127.{}.{low}.0/24", 100 + high)
}

fn text(pool: &str, file: &str) -> String {
    format!("[api]\naddress_pool = \"{pool}\"\ndns_suffix = \"elb.test\"\n{file}")
}

fn read(pool: &str, file: &str) -> Config {
    config::parse(&text(pool, file), "elbow.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

/// A directory that is removed with it.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new(name: &str) -> Self {
        let name = format!("elbow-adopt-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
