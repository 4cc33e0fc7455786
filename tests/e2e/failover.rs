//! What a backend's death does to sessions: each of its own moves once, to one other, and no other
//! session moves, however many requests are under way on however many shards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{BackendProcess, Elbow, Response, Setup, Wire, eventually, get};

const NAMES: [&str; 5] = ["one", "two", "three", "four", "five"];

const SESSIONS: usize = 60;

/// Connections of each session, with a request on each at the same time.
const PARALLEL: usize = 6;

/// Rounds of parallel requests before the kill and after it.
const ROUNDS: usize = 12;

/// The cookies of one browser.
#[derive(Default)]
struct Jar(BTreeMap<&'static str, String>);

impl Jar {
    fn receive(&mut self, response: &Response) {
        for name in ["AWSELB", "app"] {
            if let Some(value) = response.cookie(name) {
                self.0.insert(name, value);
            }
        }
    }

    fn request(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        get("/", &[&format!("Cookie: {}", pairs.join("; "))])
    }
}

/// One session: its home, and whom else it met.
struct Session {
    home: String,
    others: BTreeSet<String>,
}

/// Rounds of parallel requests until there were [`ROUNDS`] and as many again after the kill.
fn live(elbow: &Elbow, rounds: &AtomicUsize, kills: &AtomicUsize) -> Session {
    let mut wires: Vec<Wire> = (0..PARALLEL).map(|_| elbow.connect()).collect();
    let mut jar = Jar::default();
    let first = wires[0].ask(&get("/", &[]));
    assert_eq!(first.status(), 200);
    jar.receive(&first);
    let mut session = Session {
        home: first.body_text(),
        others: BTreeSet::new(),
    };
    let mut left = ROUNDS;
    while left > 0 {
        let is_after = kills.load(Ordering::SeqCst) > 0;
        let request = jar.request();
        wires.iter_mut().for_each(|wire| wire.send(&request));
        for wire in &mut wires {
            let response = wire.response_to(&request);
            assert_eq!(response.status(), 200, "of a session on {}", session.home);
            jar.receive(&response);
            let name = response.body_text();
            if name != session.home {
                session.others.insert(name);
            }
        }
        rounds.fetch_add(1, Ordering::SeqCst);
        left -= usize::from(is_after);
    }
    session
}

/// Kills one of five backends under load and looks where all sessions went.
fn expect_one_new_home(setup: impl Fn(&[SocketAddr]) -> Setup) {
    let mut backends = NAMES.map(BackendProcess::named);
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let elbow = Arc::new(setup(&addresses).start(&[]));
    let mut missing = BTreeSet::from(NAMES.map(str::to_owned));
    eventually("all five in service", || {
        missing.remove(&elbow.ask(&get("/", &[])).body_text());
        missing.is_empty()
    });

    let rounds = Arc::new(AtomicUsize::new(0));
    let kills = Arc::new(AtomicUsize::new(0));
    let sessions: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let elbow = Arc::clone(&elbow);
            let (rounds, kills) = (Arc::clone(&rounds), Arc::clone(&kills));
            thread::spawn(move || live(&elbow, &rounds, &kills))
        })
        .collect();
    eventually("all sessions are under way", || {
        rounds.load(Ordering::SeqCst) > SESSIONS * ROUNDS
            || sessions.iter().any(thread::JoinHandle::is_finished)
    });
    backends[2].kill();
    kills.fetch_add(1, Ordering::SeqCst);

    let mut moved_to = BTreeSet::new();
    let mut moved = 0;
    for session in sessions {
        let session = session.join().expect("no session saw an error");
        if session.home == NAMES[2] {
            assert_eq!(session.others.len(), 1, "{:?}", session.others);
            moved_to.extend(session.others);
            moved += 1;
        } else {
            assert!(session.others.is_empty(), "{:?}", session.others);
        }
    }
    assert!(moved >= 5, "only {moved} sessions were on the one killed");
    assert!(moved_to.len() > 1, "the others share its sessions");
    expect_shown(&elbow, backends[2].address, moved, moved_to.len());
}

/// That whoever looks sees from where how many sessions went, and to how many others.
fn expect_shown(elbow: &Elbow, dead: SocketAddr, moved: usize, others: usize) {
    eventually("all moves are shown", || {
        let rows = elbow.moments("web", 1)[0]["load_balancers"][0]["moves"].take();
        let rows = rows.as_array().expect("a list");
        let sessions: u64 = rows.iter().filter_map(|row| row["sessions"].as_u64()).sum();
        let is_from_the_dead = rows.iter().all(|row| row["from"] == dead.to_string());
        assert!(is_from_the_dead && sessions <= moved as u64, "{rows:?}");
        sessions == moved as u64 && rows.len() == others
    });
}

#[test]
fn sessions_by_duration_touch_one_new_backend_each() {
    expect_one_new_home(|addresses| Setup::sticky(addresses, Some(60)));
}

#[test]
fn sessions_by_the_apps_cookie_touch_one_new_backend_each() {
    expect_one_new_home(|addresses| Setup::app(addresses, "app"));
}
