//! Sessions that ask while a test does something to elbow, and miss nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};

use super::elbow::Elbow;
use super::eventually;
use super::message::get;
use super::wire::Wire;

/// Clients that ask until they are told to stop.
pub(crate) struct Traffic {
    is_over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    /// Clients at the same time.
    pub(crate) const CLIENTS: usize = 4;

    /// Each client is a session. It has one connection, or one for each request if it `closes`.
    pub(crate) fn begin(elbow: &Elbow, closes: bool) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let all_began = Arc::new(Barrier::new(Self::CLIENTS + 1));
        let address = elbow.address();
        let client = |_| {
            let (is_over, count) = (Arc::clone(&is_over), Arc::clone(&count));
            let all_began = Arc::clone(&all_began);
            thread::spawn(move || {
                let first = Wire::connect(address).ask(&get("/", &["Connection: close"]));
                let cookie = format!("Cookie: AWSELB={}", first.session());
                all_began.wait();
                ask_on(address, &cookie, &first.body_text(), closes, || {
                    count.fetch_add(1, Ordering::SeqCst);
                    !is_over.load(Ordering::SeqCst)
                });
            })
        };
        let clients = (0..Self::CLIENTS).map(client).collect();
        all_began.wait();
        Self {
            is_over,
            count,
            clients,
        }
    }

    /// Ends it once there were some requests. Fails if one of them did.
    pub(crate) fn end(self) {
        eventually("there was traffic", || {
            let has_failed = self.clients.iter().any(JoinHandle::is_finished);
            has_failed || self.count.load(Ordering::SeqCst) > 100
        });
        self.is_over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().expect("every request is answered right");
        }
    }
}

/// Asks as long as `goes_on`, which is called after each answer.
fn ask_on(
    address: SocketAddr,
    cookie: &str,
    home: &str,
    closes: bool,
    mut goes_on: impl FnMut() -> bool,
) {
    let lines: &[&str] = match closes {
        true => &[cookie, "Connection: close"],
        false => &[cookie],
    };
    let request = get("/", lines);
    let mut wire = Wire::connect(address);
    loop {
        let answer = wire.ask(&request);
        assert_eq!(answer.status(), 200, "{}", answer.head.text);
        assert_eq!(answer.body_text(), home, "the session stays");
        if !goes_on() {
            return;
        }
        if closes {
            wire = Wire::connect(address);
        }
    }
}
