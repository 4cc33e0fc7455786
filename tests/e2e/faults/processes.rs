//! Backends that are killed, stopped and continued while they are at work.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::harness::{BackendProcess, Elbow, Setup, Wire, eventually, get, post};

const CLIENTS: usize = 4;

/// What became of the requests.
#[derive(Default)]
struct Tally {
    is_over: AtomicBool,
    asked: AtomicUsize,
    answered: [AtomicUsize; 2],
    failed: AtomicUsize,
}

impl Tally {
    fn answered_by(&self, backend: usize) -> usize {
        self.answered[backend].load(Ordering::SeqCst)
    }

    /// Waits until that backend has given some more answers.
    fn expect_more_of(&self, backend: usize) {
        let before = self.answered_by(backend);
        eventually("more of its answers", || {
            self.answered_by(backend) > before + 20
        });
    }

    /// Waits until there were some more requests, whatever became of them.
    fn expect_more(&self) {
        let before = self.asked.load(Ordering::SeqCst);
        eventually("more requests", || {
            self.asked.load(Ordering::SeqCst) > before + 100
        });
    }

    /// Asks again and again, one time in two for what may not be asked twice.
    fn ask_on(&self, address: SocketAddr) {
        let mut wire = Wire::connect(address);
        while !self.is_over.load(Ordering::SeqCst) {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            let tag = format!("/{number}");
            let request = match number % 2 {
                0 => get(&tag, &[]),
                _ => post(&tag, &[], "pay"),
            };
            let method = request.split(' ').next().expect("it has one");
            let asked = wire
                .try_send(&request)
                .and_then(|()| wire.try_response(method));
            match asked {
                Ok(answer) if answer.status() == 200 => {
                    let text = answer.body_text();
                    let (name, echoed) = text.split_once(' ').expect("a name and a tag");
                    assert_eq!(echoed, tag, "the answer is this request's");
                    let backend = usize::from(name == "two");
                    self.answered[backend].fetch_add(1, Ordering::SeqCst);
                }
                Ok(answer) => {
                    assert!(matches!(answer.status(), 502..=504), "{}", answer.head.text);
                    self.failed.fetch_add(1, Ordering::SeqCst);
                    if answer.head.field("Connection") == Some("close") {
                        wire = Wire::connect(address);
                    }
                }
                Err(_) => {
                    self.failed.fetch_add(1, Ordering::SeqCst);
                    wire = Wire::connect(address);
                }
            }
        }
    }
}

fn start(backends: &[&BackendProcess]) -> Elbow {
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let setup = Setup::new(&addresses).attribute("idle_timeout = 1");
    let elbow = Elbow::start(&setup.to_toml());
    expect_in_service(&elbow, backends.len());
    elbow
}

fn expect_in_service(elbow: &Elbow, count: usize) {
    eventually("backends in service", || {
        elbow.sum("elbow_backend_in_service") == count as u64
    });
}

/// Ends the load with itself.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Does that while clients ask, whose answers must all be their own.
fn under_load(elbow: &Elbow, act: impl FnOnce(&Tally)) -> Tally {
    let tally = Tally::default();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| tally.ask_on(elbow.address()));
        }
        // Also if what follows fails.
        let _over = Over(&tally.is_over);
        tally.expect_more_of(0);
        tally.expect_more_of(1);
        act(&tally);
    });
    tally
}

#[test]
fn a_backend_that_is_killed_and_comes_back_gives_nobody_a_wrong_answer() {
    let [mut one, two] = ["one", "two"].map(BackendProcess::echoing);
    let elbow = start(&[&one, &two]);
    let tally = under_load(&elbow, |tally| {
        for _ in 0..2 {
            one.kill();
            expect_in_service(&elbow, 1);
            tally.expect_more();
            one.restart();
            expect_in_service(&elbow, 2);
            tally.expect_more_of(0);
            tally.expect_more_of(1);
        }
    });
    let failed = tally.failed.load(Ordering::SeqCst);
    assert!(failed <= 2 * CLIENTS, "{failed}: those that were there");
}

#[test]
fn a_backend_that_is_stopped_and_continued_gives_nobody_a_wrong_answer() {
    let [one, two] = ["one", "two"].map(BackendProcess::echoing);
    let elbow = start(&[&one, &two]);
    let tally = under_load(&elbow, |tally| {
        one.signal(Signal::STOP);
        expect_in_service(&elbow, 1);
        tally.expect_more();
        one.signal(Signal::CONT);
        expect_in_service(&elbow, 2);
        tally.expect_more_of(0);
        tally.expect_more_of(1);
    });
    let failed = tally.failed.load(Ordering::SeqCst);
    assert!(failed > 0, "it was stopped in the middle");
    eventually("no exchange is left", || {
        elbow.sum("elbow_backend_outstanding") == 0
    });
}
