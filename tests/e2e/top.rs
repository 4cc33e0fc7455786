//! `elbow top`, on a terminal and as text.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::harness::{Backend, Elbow, Outcome, Setup, eventually, get};

fn start() -> ([Backend; 2], Elbow) {
    let backends = [Backend::named("one"), Backend::named("two")];
    let [one, two] = backends.each_ref();
    let elbow = Setup::sticky(&[one.address, two.address], Some(60)).start(&[one, two]);
    (backends, elbow)
}

/// A terminal of 80 columns and 24 lines with `elbow top` on it.
struct Terminal {
    keys: File,
    /// The side that the command has.
    screen: OwnedFd,
    modes_before: String,
    child: Child,
    written: Arc<Mutex<String>>,
}

impl Terminal {
    fn with_top(elbow: &Elbow, arguments: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let controller = openpt(flags).expect("Linux has pseudo-terminals");
        grantpt(&controller).expect("it is ours");
        unlockpt(&controller).expect("it is ours");
        let screen = ioctl_tiocgptpeer(&controller, flags).expect("it is unlocked");
        let size = Winsize {
            ws_row: 24,
            ws_col: 80,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&screen, size).expect("it is a terminal");
        let modes_before = modes(&screen);
        let side = || Stdio::from(screen.try_clone().expect("there are descriptors"));
        // Its controlling terminal is this one, and not that of whoever runs the test.
        let child = Command::new("setsid")
            .args(["--ctty", env!("CARGO_BIN_EXE_elbow"), "top"])
            .args(["--admin", &elbow.admin.to_string()])
            .args(arguments)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("util-linux is on every Debian");
        let keys = File::from(controller);
        let written = Arc::new(Mutex::new(String::new()));
        let (mut output, text) = (
            keys.try_clone().expect("there are descriptors"),
            Arc::clone(&written),
        );
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut block) {
                let piece = String::from_utf8_lossy(&block[..count]);
                text.lock().expect("no holder panics").push_str(&piece);
            }
        });
        Self {
            keys,
            screen,
            modes_before,
            child,
            written,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("it is open");
    }

    /// Waits until that was written since the last look.
    fn expect(&self, text: &str) {
        eventually(text, || {
            let mut written = self.written.lock().expect("no holder panics");
            let end = written.find(text).map(|start| start + text.len());
            written.drain(..end.unwrap_or(0));
            end.is_some()
        });
    }

    /// Waits until the command ends with that exit code, and the terminal is as it was.
    fn expect_end(&mut self, code: i32) {
        let mut status = None;
        eventually("elbow top has ended", || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(code));
        assert_eq!(modes(&self.screen), self.modes_before);
        // The other screen, and a cursor.
        self.expect("\x1b[?1049l");
        self.expect("\x1b[?25h");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn modes(terminal: impl AsFd) -> String {
    let modes = tcgetattr(terminal).expect("it is a terminal");
    format!("{modes:?}")
}

#[test]
fn on_a_terminal_it_shows_what_happens_and_leaves_it_as_it_was() {
    let (backends, elbow) = start();
    let mut terminal = Terminal::with_top(&elbow, &[]);
    terminal.expect("REQ/S");
    terminal.expect("web");
    assert_ne!(modes(&terminal.screen), terminal.modes_before);
    terminal.press("\r");
    terminal.expect("INSTANCE");
    terminal.expect(&backends[0].address.to_string());
    terminal.press("\x1b");
    terminal.expect("NAME");
    terminal.press("q");
    terminal.expect_end(0);
}

#[test]
fn signals_end_it_and_the_terminal_is_as_it_was() {
    let (_backends, elbow) = start();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut terminal = Terminal::with_top(&elbow, &["web"]);
        terminal.expect("INSTANCE");
        kill_process(Pid::from_child(&terminal.child), signal).expect("the child is ours");
        terminal.expect_end(0);
    }
}

#[test]
fn an_elbow_that_is_gone_is_told_on_the_screen() {
    let (_backends, elbow) = start();
    let mut terminal = Terminal::with_top(&elbow, &[]);
    terminal.expect("REQ/S");
    drop(elbow);
    terminal.expect("LOST");
    terminal.press("\x03");
    terminal.expect_end(0);
}

#[test]
fn what_is_not_there_is_told_and_the_terminal_is_left_alone() {
    let (_backends, elbow) = start();
    let mut terminal = Terminal::with_top(&elbow, &["wbe"]);
    terminal.expect("elbow: there is no load balancer wbe; did you mean `web`?");
    eventually("it ends", || {
        terminal.child.try_wait().expect("it is ours").is_some()
    });
    assert_eq!(modes(&terminal.screen), terminal.modes_before);
    let admin = elbow.admin.to_string();
    for form in ["--once", "--json"] {
        let outcome = Outcome::of(&["top", "wbe", form, "--admin", &admin]);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(outcome.text.contains("did you mean `web`?"), "{outcome:?}");
    }
    drop(elbow);
    let outcome = Outcome::of(&["top", "--admin", &admin]);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let expected = format!("cannot ask {admin}");
    assert!(outcome.text.contains(&expected), "{outcome:?}");
}

#[test]
fn without_a_terminal_it_is_one_table() {
    let (backends, elbow) = start();
    let admin = elbow.admin.to_string();
    let outcome = Outcome::of(&["top", "--admin", &admin]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let web = outcome.text.lines().find(|line| line.starts_with("web "));
    let web = web.unwrap_or_else(|| panic!("no web in\n{}", outcome.text));
    assert!(web.contains("2 of 2"), "{web}");
    let outcome = Outcome::of(&["top", "web", "--once", "--admin", &admin]);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(!outcome.text.contains('\x1b'), "{outcome:?}");
    for backend in &backends {
        assert!(outcome.text.contains(&backend.address.to_string()));
    }
}

#[test]
fn as_json_it_tells_each_second_until_nobody_reads() {
    let (_backends, elbow) = start();
    let admin = elbow.admin.to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_elbow"))
        .args(["top", "web", "--json", "--admin", &admin])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || {
        let line = lines.next().expect("it goes on").expect("it is text");
        serde_json::from_str::<serde_json::Value>(&line).expect("it is JSON")
    };
    eventually("requests are told", || {
        elbow.ask(&get("/", &[]));
        let moment = next();
        let web = &moment["load_balancers"][0];
        assert_eq!(web["name"], "web");
        web["requests_per_second"].as_f64().expect("a number") > 0.0
    });
    eventually("that they have ceased too", || {
        next()["load_balancers"][0]["requests_per_second"] == 0.0
    });
    drop(lines);
    let mut status = None;
    eventually("it ends as nobody reads", || {
        status = child.try_wait().expect("the child is ours");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    let outcome = Outcome::of(&["top", "--json", "--once", "--admin", &admin]);
    assert_eq!(outcome.text.lines().count(), 1, "{outcome:?}");
}
