//! What a session finds after elbow was killed and started again with the same state directory.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, prlimit};

use crate::harness::{After, Backend, Directory, Elbow, Outcome, Setup, eventually, get};

/// Answers with its name, and sets the application's cookie.
fn app_backend(name: &'static str) -> Backend {
    Backend::with(move |_, wire| {
        let length = name.len();
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: app=1\r\nContent-Length: {length}\r\n\r\n{name}"
        ))?;
        Ok(After::Keep)
    })
}

fn kept_in(directory: &Directory) -> String {
    format!("state_dir = {:?}", directory.path().join("state"))
}

/// The name of the backend that answers a session.
fn reached(elbow: &Elbow, session: &str) -> String {
    let field = format!("Cookie: app=1; AWSELB={session}");
    let answer = elbow.ask(&get("/", &[&field]));
    assert_eq!(answer.status(), 200);
    answer.body_text()
}

fn session_on(name: &str, elbow: &Elbow) -> String {
    let mut session = String::new();
    eventually("a session on that backend", || {
        let response = elbow.ask(&get("/", &[]));
        session = response.session();
        response.body_text() == name
    });
    session
}

/// Waits until the view on disk is the one in memory: the same number of lives that ended.
fn expect_kept(directory: &Directory, ended: usize) {
    let file = directory.path().join("state/view.json");
    eventually("the view is kept", || {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.matches("\"died\":{").count() == ended && text.contains("\"died\":null")
    });
}

fn kill(mut elbow: Elbow) {
    elbow.signal(Signal::KILL);
    elbow.wait();
}

#[test]
fn a_session_that_moved_stays_moved() {
    let directory = Directory::new();
    let (mut one, two) = (app_backend("one"), app_backend("two"));
    let setup = Setup::app(&[one.address, two.address], "app").host(kept_in(&directory));
    let elbow = setup.start(&[&one, &two]);
    let session = session_on("one", &elbow);
    one.stop();
    eventually("it is out of service", || {
        elbow.admin("GET", "/v1/backends", "").1[0]["state"] == "OutOfService"
    });
    assert_eq!(reached(&elbow, &session), "two");
    one.restart();
    elbow.expect_in_service(&[&one, &two]);
    assert_eq!(reached(&elbow, &session), "two");
    expect_kept(&directory, 1);
    kill(elbow);

    let elbow = setup.start(&[&one, &two]);
    assert_eq!(reached(&elbow, &session), "two", "after a restart too");
}

#[test]
fn sessions_go_on_at_once_without_waiting_for_checks() {
    let directory = Directory::new();
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let setup = Setup::sticky(&[one.address, two.address], Some(60)).host(kept_in(&directory));
    let elbow = setup.start(&[&one, &two]);
    let sessions = ["one", "two"].map(|name| session_on(name, &elbow));
    expect_kept(&directory, 0);
    kill(elbow);

    // No check passes any more, so that only memory can tell who was in service.
    one.fail_checks(true);
    two.fail_checks(true);
    let elbow = Elbow::start(&setup.to_toml());
    assert_eq!(reached(&elbow, &sessions[0]), "one");
    assert_eq!(reached(&elbow, &sessions[1]), "two");
    // And the checks have the last word.
    eventually("nobody is in service", || {
        elbow.ask(&get("/", &[])).status() == 503
    });
}

#[test]
fn a_damaged_view_is_refused_with_what_to_do() {
    let directory = Directory::new();
    let setup = Setup::new(&[]).host(kept_in(&directory));
    drop(Elbow::start(&setup.to_toml()));
    fs::write(directory.path().join("state/view.json"), "{").expect("it is writable");
    let file = directory.write("elbow.toml", &setup.to_toml());
    let outcome = Outcome::of(&["run", "--config", file.to_str().expect("ASCII")]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("view.json: is damaged"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("move it away"),
        "{}",
        outcome.stderr
    );
}

/// As one that was killed may have it for some milliseconds more.
#[test]
fn a_start_waits_for_an_address_that_is_about_to_be_free() {
    let directory = Directory::new();
    let one = Backend::named("one");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let toml = Setup::new(&[one.address]).to_toml();
    let toml = toml.replacen("port = 0", &format!("port = {}", address.port()), 1);
    let file = directory.write("elbow.toml", &toml);
    let mut elbow = Command::new(env!("CARGO_BIN_EXE_elbow"))
        .args(["run", "--config"])
        .arg(file)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let said = |text: &str, output: &mut dyn BufRead| {
        let mut lines = output.lines().map_while(Result::ok);
        lines.any(|line| line.contains(text))
    };
    let mut stderr = BufReader::new(elbow.stderr.take().expect("it is piped"));
    let mut stdout = BufReader::new(elbow.stdout.take().expect("it is piped"));
    assert!(said("waiting, as somebody listens there", &mut stderr));
    drop(taken);
    let is_ready = said("ready", &mut stdout);
    elbow.kill().expect("it is ours");
    elbow.wait().expect("it is ours");
    assert!(is_ready);
}

/// From now on no file that it writes may have more bytes; `None`: than this process's may.
fn bound_files(elbow: &Elbow, bytes: Option<u64>) {
    let id = i32::try_from(elbow.id()).expect("ids are small");
    let maximum = getrlimit(Resource::Fsize).maximum;
    let limit = Rlimit {
        current: bytes.or(maximum),
        maximum,
    };
    prlimit(Pid::from_raw(id), Resource::Fsize, limit).expect("the child is ours");
}

#[test]
fn a_change_that_does_not_fit_on_the_disk_is_not_made_now_or_after_a_restart() {
    let directory = Directory::new();
    let one = Backend::named("one");
    let setup = Setup::sticky(&[one.address], Some(60)).host(kept_in(&directory));
    let file = directory.write("elbow.toml", &setup.to_toml());
    let mut command = Command::new("sh");
    // The write fails, rather than a signal ending the process.
    command
        .args(["-c", "trap '' XFSZ && exec \"$0\" run --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_elbow"))
        .arg(file);
    let elbow = Elbow::spawn_by(command);
    elbow.expect_in_service(&[&one]);
    let set = |seconds: u32| {
        format!(
            "Action=ModifyLoadBalancerAttributes&LoadBalancerName=web&\
             LoadBalancerAttributes.ConnectionSettings.IdleTimeout={seconds}"
        )
    };
    let is_set = |elbow: &Elbow, seconds: u32| {
        let asked = "Action=DescribeLoadBalancerAttributes&LoadBalancerName=web";
        let text = elbow.change(asked);
        text.contains(&format!("<IdleTimeout>{seconds}</IdleTimeout>"))
    };
    elbow.change(&set(100));

    let journal = directory.path().join("state/api.journal");
    let bytes = || fs::metadata(&journal).expect("it is there").len();
    let before = bytes();
    // Room for the beginning of a line.
    bound_files(&elbow, Some(before + 10));
    for tries in 1..=3 {
        let (status, text) = elbow.api(&set(101));
        assert_eq!(status, 500, "{text}");
        assert!(text.contains("<Code>InternalFailure</Code>"), "{text}");
        assert_eq!(bytes(), before, "nothing half written stays");
        assert_eq!(elbow.sum("elbow_journal_write_errors_total"), tries);
    }
    assert!(is_set(&elbow, 100));
    assert_eq!(elbow.ask(&get("/", &[])).status(), 200);
    bound_files(&elbow, None);
    elbow.change(&set(102));
    bound_files(&elbow, Some(bytes() + 10));
    assert_eq!(elbow.api(&set(103)).0, 500);
    kill(elbow);

    let elbow = setup.start(&[&one]);
    assert!(is_set(&elbow, 102));
    elbow.change(&set(104));
}
