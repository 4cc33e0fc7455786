//! What HTTPS listeners keep beyond a connection and a process: sessions by their tickets; and what
//! the log says before a certificate ends.

use std::net::SocketAddr;

use rustix::process::Signal;
use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::harness::{Backend, Directory, Elbow, Outcome, Setup, Site, TlsClient, eventually, get};

const HOST: &str = "site.test";

/// Asks on a new connection; true if its session went on from an earlier one.
fn resumes(client: &TlsClient, address: SocketAddr) -> bool {
    let mut wire = client.connect(address, HOST);
    assert_eq!(wire.ask(&get("/", &[])).body_text(), "one");
    let session = wire.tls.as_ref().expect("a connection of TLS");
    session.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[test]
fn sessions_resume_after_a_restart_with_the_same_state_directory_alone() {
    let (same, other) = (Directory::new(), Directory::new());
    let backend = Backend::named("one");
    let site = Site::new(HOST);
    let start = |directory: &Directory| {
        Setup::new(&[backend.address])
            .host(format!("state_dir = {:?}", directory.path()))
            .https(&site.lines())
            .start(&[&backend])
    };
    for version in [&TLS12, &TLS13] {
        let client = TlsClient::with(&[&site], &[version], &[]);
        for (directory, expected) in [(&same, false), (&same, true), (&other, false)] {
            let mut elbow = start(directory);
            let address = elbow.listeners[1];
            assert_eq!(resumes(&client, address), expected, "{version:?}");
            assert!(resumes(&client, address), "while it runs");
            assert_eq!(elbow.sum("elbow_ticket_key_write_errors_total"), 0);
            elbow.signal(Signal::KILL);
            elbow.wait();
        }
    }
}

#[test]
fn a_ticket_of_one_listener_is_not_taken_at_another_which_shakes_hands_in_full() {
    let backend = Backend::named("one");
    let site = Site::new(HOST);
    let setup = Setup::new(&[backend.address]).https(&site.lines());
    let other = format!(
        "[[load_balancer]]\nname = \"other\"\ninstances = [{:?}]\n\
         [load_balancer.health_check]\ntarget = \"HTTP:8080/health\"\n\
         [[load_balancer.listener]]\nprotocol = \"HTTPS\"\nport = 0\ninstance_port = 8080\n{}\n",
        backend.address.to_string(),
        site.lines()
    );
    let elbow = Elbow::start(&(setup.to_toml() + &other));
    eventually("it is in service twice", || {
        let (_, rows) = elbow.admin("GET", "/v1/backends", "");
        let rows = rows.as_array().expect("a list");
        rows.iter()
            .filter(|row| row["state"] == "InService")
            .count()
            == 2
    });
    for version in [&TLS12, &TLS13] {
        let client = TlsClient::with(&[&site], &[version], &[]);
        let [first, second] = [elbow.listeners[1], elbow.listeners[2]];
        assert!(!resumes(&client, first));
        assert!(resumes(&client, first), "at the one that gave it");
        assert!(!resumes(&client, second), "at the other, {version:?}");
        assert!(resumes(&client, second), "by its own");
        assert!(!resumes(&client, first));
    }
    assert_eq!(elbow.sum("elbow_tls_handshake_failures_total"), 0);
}

#[test]
fn ticket_keys_that_do_not_hold_stop_the_start() {
    let directory = Directory::new();
    directory.write("ticket-keys", "abc\n");
    let setup = Setup::new(&[]).host(format!("state_dir = {:?}", directory.path()));
    let file = directory.write("elbow.toml", &setup.to_toml());
    let outcome = Outcome::of(&["run", "--config", file.to_str().expect("ASCII")]);
    assert_eq!(outcome.code, Some(1));
    let expected = "ticket-keys: line 1: not a key";
    assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
}

#[test]
fn a_certificate_that_ends_soon_is_told_at_the_start() {
    let backend = Backend::named("one");
    let site = Site::until(HOST, 5 * 24 - 1);
    let elbow = Setup::new(&[backend.address])
        .https(&site.lines())
        .start(&[&backend]);
    eventually("the warning", || {
        let log = elbow.stderr();
        let line = log
            .lines()
            .find(|l| l.contains("the certificate ends soon"));
        line.is_some_and(|line| {
            line.contains("listener=web on 127.0.0.1:0 ")
                && line.contains(&format!("file={} ", site.file))
                && line.contains("days=4")
        })
    });
}
