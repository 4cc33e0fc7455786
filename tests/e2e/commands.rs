//! The command line, the configuration file and the admin address, as their users meet them.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::harness::{Backend, Directory, Elbow, Outcome, Setup, Wire, eventually, get};

/// Runs `elbow COMMAND --config FILE` with that text in the file.
fn with_file(command: &str, toml: &str) -> Outcome {
    let directory = Directory::new();
    let file = directory.write("elbow.toml", toml);
    Outcome::of(&[
        command,
        "--config",
        file.to_str().expect("the path is ASCII"),
    ])
}

/// Checks that a start that failed said why in one line.
fn assert_refused(outcome: &Outcome, expected: &str) {
    assert!(!matches!(outcome.code, Some(0) | None), "{outcome:?}");
    let lines: Vec<&str> = outcome
        .stderr
        .lines()
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines.len(), 1, "one line, not {lines:?}");
    assert!(
        lines[0].contains(expected),
        "{:?} does not name {expected:?}",
        lines[0]
    );
}

#[test]
fn check_passes_a_good_file() {
    let address = "192.0.2.1:80".parse().expect("an address");
    let outcome = with_file("check", &Setup::sticky(&[address], Some(60)).to_toml());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn check_names_five_mistakes_at_once_with_their_lines() {
    let toml = r#"
[host]
shutdown_timeot = "30s"

[[load_balancer]]
name = "-web"
instances = ["192.0.2.1:80"]
[load_balancer.health_check]
target = "FTP:80/"
interval = 4
[[load_balancer.listener]]
protocol = "HTTP"
port = 8080
instance_port = 0
policies = []
"#;
    let outcome = with_file("check", toml);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    for (line, expected) in [
        (3, "shutdown_timeout"),
        (6, "-web"),
        (9, "FTP:80/"),
        (10, "interval"),
        (14, "instance_port"),
    ] {
        let place = format!("elbow.toml:{line}:");
        let said = outcome.text.lines().find(|said| said.contains(&place));
        let said = said.unwrap_or_else(|| panic!("nothing about line {line}:\n{}", outcome.text));
        assert!(
            said.contains(expected),
            "{said:?} does not name {expected:?}"
        );
    }
}

#[test]
fn run_refuses_what_check_refuses() {
    let outcome = with_file("run", "[host]\nshards = 0\n");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.stderr.contains("shards"), "{outcome:?}");
}

#[test]
fn missing_file_is_told_in_one_line() {
    let directory = Directory::new();
    let missing = directory.path().join("missing.toml");
    let missing = missing.to_str().expect("the path is ASCII");
    assert_refused(&Outcome::of(&["run", "--config", missing]), missing);
    assert_refused(&Outcome::of(&["check", "--config", missing]), missing);
}

#[test]
fn port_in_use_is_told_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken
        .local_addr()
        .expect("the listener is bound")
        .to_string();
    let backend = ["--backend", "127.0.0.1:1", "--log-level", "error"];
    let listener = ["run", "--listen", &address, "--admin", "127.0.0.1:0"];
    assert_refused(&Outcome::of(&[&listener[..], &backend].concat()), &address);
    let admin = ["run", "--listen", "127.0.0.1:0", "--admin", &address];
    assert_refused(&Outcome::of(&[&admin[..], &backend].concat()), &address);
}

#[test]
fn bad_core_lists_are_told_in_one_line() {
    for cores in ["3-1", "x", "0,,1", "0,0", "", "1000"] {
        let outcome = Outcome::of(&[
            "run",
            "--listen",
            "127.0.0.1:0",
            "--backend",
            "127.0.0.1:1",
            "--admin",
            "127.0.0.1:0",
            "--log-level",
            "error",
            "--cores",
            cores,
        ]);
        assert_refused(&outcome, if cores == "1000" { cores } else { "--cores" });
    }
}

#[test]
fn unknown_flags_and_commands_are_refused_and_help_is_not() {
    assert_refused(&Outcome::of(&["run", "--confg", "a.toml"]), "--confg");
    assert_refused(&Outcome::of(&["serve"]), "serve");
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["demo", "--help"],
    ] {
        let outcome = Outcome::of(arguments);
        assert_eq!(outcome.code, Some(0), "{arguments:?}: {outcome:?}");
        assert!(outcome.text.contains("Usage"), "{arguments:?}: {outcome:?}");
    }
}

#[test]
fn flags_alone_make_a_sticky_load_balancer() {
    let backends = [Backend::named("one"), Backend::named("two")];
    let [one, two] = backends
        .each_ref()
        .map(|backend| backend.address.to_string());
    let elbow = Elbow::spawn(&[
        "run",
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &one,
        "--backend",
        &two,
        "--sticky",
        "60",
        "--admin",
        "127.0.0.1:0",
        "--shards",
        "2",
    ]);
    elbow.expect_in_service(&[&backends[0], &backends[1]]);
    let first = elbow.ask(&get("/", &[]));
    let request = get("/", &[&format!("Cookie: AWSELB={}", first.session())]);
    for _ in 0..10 {
        assert_eq!(elbow.ask(&request).body_text(), first.body_text());
    }
}

#[test]
fn demo_balances_at_once_and_ends_on_a_signal() {
    let mut elbow = Elbow::spawn(&["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let mut first = None;
    eventually("a backend of the demo answers", || {
        first = Some(elbow.ask(&get("/", &[]))).filter(|response| response.status() == 200);
        first.is_some()
    });
    let first = first.expect("the condition above held");
    let request = get("/", &[&format!("Cookie: AWSELB={}", first.session())]);
    // The text ends with the session, which the first request did not have.
    let backend = |text: String| text.split(',').next().map(str::to_owned);
    let bound = backend(first.body_text());
    for _ in 0..5 {
        assert_eq!(backend(elbow.ask(&request).body_text()), bound);
    }
    elbow.signal(Signal::INT);
    assert_eq!(elbow.wait().code(), Some(0));
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    let full = File::options().write(true).open("/dev/full");
    let mut child = Command::new(env!("CARGO_BIN_EXE_elbow"))
        .args(["demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(full.expect("Linux has it"))
        .spawn()
        .expect("the binary starts");
    let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut said = stdout.lines().map_while(Result::ok);
    let is_ready = said.any(|line| line.starts_with("ready "));
    child.kill().expect("it runs");
    let status = child.wait().expect("the child is ours");
    assert!(is_ready, "it ended before, {status}");
}

#[test]
fn metrics_count_what_happened() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let of_web = "{load_balancer=\"web\"}";
    let names = [
        "elbow_requests_total",
        "elbow_cookies_set_total",
        "elbow_latency_seconds_count",
    ];
    let read = || {
        let text = elbow.metrics();
        names.map(|name| value(&text, &format!("{name}{of_web}")))
    };
    let before = read();
    let mut wire = elbow.connect();
    let session = wire.ask(&get("/", &[])).session();
    for _ in 0..4 {
        wire.ask(&get("/", &[&format!("Cookie: AWSELB={session}")]));
    }
    let after = read();
    let [requests, cookies, latencies] = [0, 1, 2].map(|n| after[n] - before[n]);
    assert_eq!((requests, cookies, latencies), (5, 1, 5));

    let text = elbow.metrics();
    for name in [
        "elbow_backend_in_service",
        "elbow_connections",
        "elbow_sticky_verdicts_total",
    ] {
        assert!(
            text.lines().any(|line| line.starts_with(name)),
            "no {name} in\n{text}"
        );
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("elbow_"), "{line}");
    }
}

/// The value of the sample of that name and labels.
fn value(metrics: &str, sample: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(sample));
    let digits = line.unwrap_or_else(|| panic!("no {sample} in\n{metrics}"));
    digits.trim().parse().expect("a count is a whole number")
}

#[test]
fn admin_address_refuses_what_it_does_not_know() {
    let elbow = Elbow::start(&Setup::new(&[]).to_toml());
    let status = |request: &str| Wire::connect(elbow.admin).ask(request).status();
    assert_eq!(status(&get("/healthz", &["Connection: close"])), 200);
    assert_eq!(status(&get("/no-such-thing", &["Connection: close"])), 404);
}
