//! Sessions that ask all nodes at once, while a test does something to the cluster.
//!
//! Not a judge: a session keeps what it saw, and the tests say what it should have seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::harness::{Response, Wire, eventually, get};
use crate::lab::Lab;
use crate::node::{BY_APP, BY_DURATION};

/// Threads of clients, each with a connection to each listener of each node.
const CLIENTS: usize = 6;

/// The field by which backends tell sessions from each other.
const NAME: &str = "X-Session";

/// One browser.
pub(crate) struct Session {
    pub(crate) name: String,
    /// The listeners that it asks.
    pub(crate) port: u16,
    jar: BTreeMap<&'static str, String>,
    /// The cookies that its first answer gave it.
    first_jar: BTreeMap<&'static str, String>,
    /// The backend of its first answer.
    pub(crate) home: String,
    /// The backend of the last answer of each node.
    last: Vec<String>,
    /// The answers that came from elsewhere than the one of the same node before.
    pub(crate) changes: Vec<Change>,
}

/// An answer from elsewhere than before.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) at: Instant,
    pub(crate) node: usize,
    pub(crate) to: String,
}

/// A connection to each node, at one port.
pub(crate) struct Doors(Vec<Wire>);

impl Doors {
    pub(crate) fn open(lab: &Lab, port: u16) -> Self {
        Self(
            (0..lab.nodes.len())
                .map(|node| lab.connect(node, port))
                .collect(),
        )
    }
}

impl Session {
    /// Makes its first request, to that node.
    pub(crate) fn begin(name: &str, port: u16, node: usize, doors: &mut Doors) -> Self {
        let mut session = Self {
            name: name.to_owned(),
            port,
            jar: BTreeMap::new(),
            first_jar: BTreeMap::new(),
            home: String::new(),
            last: Vec::new(),
            changes: Vec::new(),
        };
        let answer = doors.0[node].ask(&session.request(&session.jar));
        session.home = session.receive(&answer);
        session.first_jar = session.jar.clone();
        session.last = vec![session.home.clone(); doors.0.len()];
        session
    }

    /// Asks all nodes at the same time.
    pub(crate) fn ask_all(&mut self, doors: &mut Doors) {
        let request = self.request(&self.jar);
        doors.0.iter_mut().for_each(|wire| wire.send(&request));
        for (node, wire) in doors.0.iter_mut().enumerate() {
            let to = self.receive(&wire.response_to(&request));
            if to != self.last[node] {
                self.last[node].clone_from(&to);
                let at = Instant::now();
                self.changes.push(Change { at, node, to });
            }
        }
    }

    /// The backends that answer to the cookies that it was first given, by node.
    pub(crate) fn ask_as_at_first(&self, doors: &mut Doors) -> Vec<String> {
        let request = self.request(&self.first_jar);
        let wires = doors.0.iter_mut();
        wires.map(|wire| wire.ask(&request).body_text()).collect()
    }

    /// The backend of the last answer, which is the same by all nodes.
    pub(crate) fn place(&self) -> &str {
        let places: BTreeSet<&String> = self.last.iter().collect();
        assert_eq!(
            places.len(),
            1,
            "{} is in two places: {:?}",
            self.name,
            self.changes
        );
        &self.last[0]
    }

    /// Forgets what it saw, and is at home where it is.
    pub(crate) fn settle(&mut self) {
        self.home = self.place().to_owned();
        self.changes.clear();
    }

    fn request(&self, jar: &BTreeMap<&'static str, String>) -> String {
        let named = format!("{NAME}: {}", self.name);
        let pairs: Vec<String> = jar.iter().map(|(n, v)| format!("{n}={v}")).collect();
        match pairs.is_empty() {
            true => get("/", &[&named]),
            false => get("/", &[&named, &format!("Cookie: {}", pairs.join("; "))]),
        }
    }

    fn receive(&mut self, response: &Response) -> String {
        assert_eq!(
            response.status(),
            200,
            "{}: {}",
            self.name,
            response.head.text
        );
        for name in ["AWSELB", "app"] {
            if let Some(value) = response.cookie(name) {
                self.jar.insert(name, value);
            }
        }
        response.body_text()
    }
}

/// Sessions of both kinds of policy that ask and ask.
pub(crate) struct Crowd {
    is_over: Arc<AtomicBool>,
    rounds: Arc<[AtomicUsize]>,
    clients: Vec<JoinHandle<Vec<Session>>>,
}

impl Crowd {
    /// So many sessions, half of them by either policy, begun on all nodes in turn.
    pub(crate) fn begin(lab: &Lab, count: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let rounds: Arc<[_]> = (0..CLIENTS).map(|_| AtomicUsize::new(0)).collect();
        let nodes = lab.nodes.len();
        let client = |client: usize| {
            let numbers: Vec<usize> = (client..count).step_by(CLIENTS).collect();
            let mut doors = [BY_DURATION, BY_APP].map(|port| (port, Doors::open(lab, port)));
            let (is_over, rounds) = (Arc::clone(&is_over), Arc::clone(&rounds));
            thread::spawn(move || {
                let mut sessions = begin_all(&numbers, nodes, &mut doors);
                while !is_over.load(Ordering::SeqCst) {
                    let numbered = sessions.iter_mut().enumerate();
                    numbered.for_each(|(index, session)| session.ask_all(&mut doors[index % 2].1));
                    rounds[client].fetch_add(1, Ordering::SeqCst);
                }
                sessions
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self {
            is_over,
            rounds,
            clients,
        }
    }

    /// Waits until each session has asked all nodes so many times more.
    pub(crate) fn expect_rounds(&self, count: usize) {
        let reached = |rounds: &AtomicUsize| rounds.load(Ordering::SeqCst);
        let goals: Vec<usize> = self.rounds.iter().map(|r| reached(r) + count).collect();
        eventually("all sessions have asked", || {
            let has_failed = self.clients.iter().any(JoinHandle::is_finished);
            has_failed
                || self
                    .rounds
                    .iter()
                    .zip(&goals)
                    .all(|(r, goal)| reached(r) >= *goal)
        });
    }

    /// Ends it. Fails if a request did.
    pub(crate) fn end(self) -> Vec<Session> {
        self.is_over.store(true, Ordering::SeqCst);
        let clients = self.clients.into_iter();
        let sessions = clients.flat_map(|client| client.join().expect("no session saw an error"));
        sessions.collect()
    }
}

/// Begins the sessions of these numbers, by either door and on all nodes in turn.
fn begin_all(numbers: &[usize], nodes: usize, doors: &mut [(u16, Doors); 2]) -> Vec<Session> {
    let numbers = numbers.iter().enumerate();
    let begin = |(index, number): (usize, &usize)| {
        let (port, doors) = &mut doors[index % 2];
        let name = format!("session-{number}");
        Session::begin(&name, *port, index / 2 % nodes, doors)
    };
    numbers.map(begin).collect()
}

/// The backends that each session reached, as they counted it; they forget it.
pub(crate) fn touched(lab: &Lab) -> BTreeMap<String, BTreeSet<String>> {
    let mut touched: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (index, backend) in lab.backends.iter().enumerate() {
        for request in backend.requests() {
            let session = request.head.field(NAME).expect("all have a name");
            let reached = touched.entry(session.to_owned()).or_default();
            reached.insert(format!("b{index}"));
        }
        backend.forget();
    }
    touched
}
