//! A wall clock that is set while elbow runs, by a day, either way.

use std::process::Command;

use super::gated;
use crate::harness::{Clock, Directory, Elbow, Gate, Setup, eventually, get, post};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// elbow, and the wall clock that it lives by.
struct Clocked {
    elbow: Elbow,
    clock: Clock,
    _directory: Directory,
}

impl Clocked {
    /// `None`: the clock cannot be set here.
    fn start(setup: &Setup, policy: &str) -> Option<Self> {
        let clock = Clock::new()?;
        let directory = Directory::new();
        let named = "name = \"by-duration\"\n";
        let toml = setup
            .to_toml()
            .replace(named, &format!("{named}{policy}\n"));
        let file = directory.write("elbow.toml", &toml);
        let mut command = Command::new(env!("CARGO_BIN_EXE_elbow"));
        command.args(["run", "--config"]).arg(file);
        clock.rule(&mut command);
        let elbow = Elbow::spawn_by(command);
        eventually("in service", || elbow.sum("elbow_backend_in_service") == 2);
        Some(Self {
            elbow,
            clock,
            _directory: directory,
        })
    }

    /// Has the wall clock show so much more than it is, from now on.
    fn set(&self, offset_seconds: i64) {
        self.clock.set(offset_seconds);
    }

    fn expect_checks(&self) {
        let passed = || self.elbow.sum("elbow_checks_passed_total");
        let before = passed();
        eventually("checks go on", || passed() >= before + 2 * 2);
    }
}

impl Drop for Clocked {
    fn drop(&mut self) {
        Clock::clean_up(self.elbow.id());
    }
}

#[test]
fn a_wall_clock_that_is_set_moves_no_session_and_ends_no_request() {
    for offset in [DAY_SECONDS, -DAY_SECONDS] {
        let gate = Gate::default();
        let backends = ["one", "two"].map(|name| gated(name, &gate));
        let addresses = backends.each_ref().map(|backend| backend.address);
        let Some(clocked) = Clocked::start(&Setup::sticky(&addresses, Some(60)), "") else {
            return;
        };
        let elbow = &clocked.elbow;
        let first = elbow.ask(&get("/", &[]));
        let cookie = &*format!("Cookie: AWSELB={}", first.session());
        let mut held = elbow.connect();
        held.send(get("/hold", &[cookie]));
        gate.expect_waiting(1);
        let mut resting = elbow.connect();
        assert_eq!(resting.ask(&get("/", &[cookie])).status(), 200);

        clocked.set(offset);
        // Long enough for many looks at deadlines.
        clocked.expect_checks();
        gate.open();
        for answer in [
            held.response_to("GET"),
            resting.ask(&get("/", &[cookie])),
            elbow.ask(&post("/", &[cookie], "pay")),
        ] {
            let got = (answer.status(), answer.body_text());
            assert_eq!(got, (200, first.body_text()), "by {offset} seconds");
            assert_eq!(answer.cookie("AWSELB"), None);
        }
        assert_eq!(elbow.sum("elbow_backend_in_service"), 2);
    }
}

#[test]
fn deadlines_come_in_time_whatever_the_wall_clock_shows() {
    let gate = Gate::default();
    let backends = ["one", "two"].map(|name| gated(name, &gate));
    let addresses = backends.each_ref().map(|backend| backend.address);
    let setup = Setup::sticky(&addresses, None).attribute("idle_timeout = 1");
    let Some(clocked) = Clocked::start(&setup, "idle_limit = \"1h\"") else {
        return;
    };
    let elbow = &clocked.elbow;
    let session = elbow.ask(&get("/", &[])).session();
    let cookie = &*format!("Cookie: AWSELB={session}");
    for (held, offset) in [-DAY_SECONDS, 0].into_iter().enumerate() {
        let (mut silent, mut slow) = (elbow.connect(), elbow.connect());
        silent.send(get("/hold", &[cookie]));
        slow.send("GET / HTTP/1.1\r\nHo");
        gate.expect_waiting(1 + held);
        clocked.set(offset);
        assert_eq!(silent.response_to("GET").status(), 504);
        assert_eq!(slow.response_to("GET").status(), 408);
        assert_eq!(elbow.ask(&get("/", &[cookie])).cookie("AWSELB"), None);
    }
    gate.open();
    // What is said to last an hour is judged by the wall clock.
    clocked.set(DAY_SECONDS);
    assert_ne!(elbow.ask(&get("/", &[cookie])).session(), session);
}
