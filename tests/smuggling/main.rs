//! What is known to smuggle requests past other proxies, sent past elbow to servers that read on
//! their own.
//!
//!     cargo test --test smuggling -- --nocapture     # with the table
//!
//! Each entry of two public collections (`corpus.rs`) is arranged in five ways around a second
//! request (`payload.rs`) and sent over a connection of its own, in each desync mode, to elbow in
//! front of hyper and of tiny_http (`servers.rs`). Connections to these are kept and shared as
//! elbow does it, so whatever is left on one meets the next payload.
//!
//! Invariant: a server sees those requests that elbow has answered with its answers, one for one
//! and in order, and nothing else.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the clock to have deadlines, and share records between ordinary threads"
)]

mod corpus;
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/e2e, which has more than this needs"
)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod nginx;
mod payload;
mod servers;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;

use corpus::entries;
use harness::{Elbow, PATIENCE, Setup, dial, eventually};
use nginx::NGINX;
use payload::{Arrangement, Payload, number, payloads};
use servers::{AT_HAND, Kind, SEEN, Server};

const MODES: [&str; 3] = ["monitor", "defensive", "strictest"];

/// What became of a payload, by the answers to it: how many of its two requests elbow has taken for
/// requests and not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Refused,
    /// What is behind the first was its body, or was refused.
    One,
    Two,
    /// The server has seen anything else.
    Differs,
}

/// One answer that a client got.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// The request that it answers, if it comes from the server.
    seen: Option<String>,
}

#[test]
fn no_server_sees_a_request_that_elbow_has_not_seen() {
    check(&AT_HAND);
}

#[test]
#[ignore = "needs nginx"]
fn neither_does_nginx() {
    check(&[NGINX]);
}

fn check(kinds: &[Kind]) {
    let payloads = payloads(&entries());
    let servers = MODES
        .iter()
        .flat_map(|mode| kinds.iter().map(|&kind| Server::start(kind, mode)));
    let servers = Vec::from_iter(servers);
    let checked = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let check = checked.local_addr().expect("it is bound");
    let elbow = Elbow::start(&configuration(&servers, check));
    eventually("the servers are in service", || {
        elbow.sum("elbow_backend_in_service") == servers.len() as u64
    });
    let answers: Vec<Vec<Vec<Answer>>> = thread::scope(|scope| {
        let clients = elbow.listeners.iter().map(|&listener| {
            let payloads = &payloads;
            scope.spawn(move || payloads.iter().map(|p| send(listener, &p.bytes)).collect())
        });
        let clients = Vec::from_iter(clients);
        let answers = clients.into_iter().map(|client| client.join());
        answers
            .map(|got| got.expect("a client that does not panic"))
            .collect()
    });
    drop(elbow);

    let (mut table, mut differing) = (BTreeMap::new(), String::new());
    for (server, answers) in servers.iter().zip(&answers) {
        let Server { kind, mode, .. } = *server;
        let mut record: BTreeMap<_, Vec<String>> = BTreeMap::new();
        for seen in server.record() {
            record.entry(number(&seen)).or_default().push(seen);
        }
        for (index, (payload, answers)) in payloads.iter().zip(answers).enumerate() {
            let seen = record.remove(&Some(index)).unwrap_or_default();
            let fate = fate(payload, answers, &seen);
            *table
                .entry((kind, mode, payload.arrangement, fate))
                .or_default() += 1;
            if fate == Fate::Differs {
                let (entry, arranged) = (&payload.entry, payload.arrangement.name());
                let sent = payload.bytes.escape_ascii();
                differing += &format!(
                    "{entry}, {arranged}, {kind}, {mode}: sent {sent}\n\
                     answered {answers:?}\nseen {seen:?}\n"
                );
            }
        }
        // Requests of nobody.
        if !record.is_empty() {
            differing += &format!("{kind}, {mode}: {record:?}\n");
        }
    }
    show(&table_text(&table, &servers));
    assert!(differing.is_empty(), "{differing}");
    for fate in [Fate::Refused, Fate::One, Fate::Two] {
        assert!(table.keys().any(|key| key.3 == fate), "nothing is {fate:?}");
    }
}

/// The first answer is to the first request and the second to the hidden one. That elbow forwards a
/// request does not say that the server takes it: tiny_http closes where a field is not ASCII.
fn fate(payload: &Payload, answers: &[Answer], seen: &[String]) -> Fate {
    let answered = answers.iter().filter_map(|answer| answer.seen.as_ref());
    let mut pairs = answers.iter().zip(&payload.requests);
    let is_in_order = pairs.all(|(answer, request)| {
        let refused = (400..=599).contains(&answer.status);
        answer.seen.as_ref().map_or(refused, |seen| seen == request)
    });
    if !answered.eq(seen) || !is_in_order || answers.is_empty() {
        return Fate::Differs;
    }
    let is_forwarded = |answer: &&Answer| !(400..500).contains(&answer.status);
    match answers.iter().filter(is_forwarded).count() {
        0 => Fate::Refused,
        1 => Fate::One,
        _ => Fate::Two,
    }
}

/// Sends one payload on a connection of its own, and nothing behind it.
fn send(listener: SocketAddr, bytes: &[u8]) -> Vec<Answer> {
    let mut stream = dial(listener).expect("elbow accepts");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("the timeout is not zero");
    // It may be refused before all of it is sent, and the rest of it be reset.
    drop(stream.write_all(bytes));
    drop(stream.shutdown(Shutdown::Write));
    let mut received = Vec::new();
    drop(stream.read_to_end(&mut received));
    let text = String::from_utf8_lossy(&received);
    let mut answers: Vec<Answer> = Vec::new();
    for line in text.lines() {
        if let Some(status) = line.strip_prefix("HTTP/1.1 ") {
            let status = status[..3].parse().expect("a status");
            answers.push(Answer { status, seen: None });
        } else if let Some((name, value)) = line.split_once(": ")
            && name.eq_ignore_ascii_case(SEEN)
        {
            let answer = answers.last_mut().expect("a field is behind a status");
            answer.seen = Some(value.to_owned());
        }
    }
    answers.retain(|answer| answer.status >= 200);
    answers
}

/// A load balancer in front of each server, in the mode of its turn. One shard, so that the next
/// request gets the connection that the last one has left.
fn configuration(servers: &[Server], check: SocketAddr) -> String {
    let mut toml = format!(
        "[host]\naddress = \"127.0.0.1\"\nshards = 1\n{}\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        Setup::driver_line()
    );
    for (index, server) in servers.iter().enumerate() {
        let mode = server.mode;
        let (port, check) = (server.address.port(), check.port());
        write!(
            toml,
            r#"
[[load_balancer]]
name = "number-{index}"
instances = ["127.0.0.1"]
[load_balancer.health_check]
target = "TCP:{check}"
interval = 300
[[load_balancer.listener]]
protocol = "HTTP"
port = 0
instance_port = {port}
[load_balancer.attributes]
desync_mode = "{mode}"
"#
        )
        .expect("a text takes all");
    }
    toml
}

/// How many payloads met each fate.
fn table_text(
    table: &BTreeMap<(&str, &str, Arrangement, Fate), usize>,
    servers: &[Server],
) -> String {
    let mut text = format!(
        "{:<10} {:<10} {:<13}{:>9}{:>9}{:>9}{:>9}\n",
        "server", "mode", "arranged", "refused", "as one", "as two", "differ"
    );
    for Server { kind, mode, .. } in servers {
        for arrangement in Arrangement::ALL {
            let count = |fate| {
                let key = (*kind, *mode, arrangement, fate);
                table.get(&key).copied().unwrap_or_default()
            };
            let fates = [Fate::Refused, Fate::One, Fate::Two, Fate::Differs];
            let [refused, one, two, differ] = fates.map(count);
            let arranged = arrangement.name();
            text += &format!(
                "{kind:<10} {mode:<10} {arranged:<13}{refused:>9}{one:>9}{two:>9}{differ:>9}\n"
            );
        }
    }
    text
}

#[test]
fn what_only_a_server_has_seen_differs() {
    let payload = &payloads(&entries())[0];
    let [outer, hidden] = &payload.requests;
    let answer = |status, seen: Option<&String>| Answer {
        status,
        seen: seen.cloned(),
    };
    let fate_of = |answers: &[Answer], seen: &[&String]| {
        let seen: Vec<String> = seen.iter().map(|&request| request.clone()).collect();
        fate(payload, answers, &seen)
    };
    let served = || answer(200, Some(outer));
    assert_eq!(fate_of(&[served()], &[outer]), Fate::One);
    assert_eq!(fate_of(&[answer(400, None)], &[]), Fate::Refused);
    assert_eq!(fate_of(&[served(), answer(400, None)], &[outer]), Fate::One);
    let both = [served(), answer(200, Some(hidden))];
    assert_eq!(fate_of(&both, &[outer, hidden]), Fate::Two);
    assert_eq!(fate_of(&[served()], &[outer, hidden]), Fate::Differs);
    assert_eq!(fate_of(&[answer(400, None)], &[hidden]), Fate::Differs);
    assert_eq!(
        fate_of(&[answer(200, Some(hidden))], &[hidden]),
        Fate::Differs
    );
    assert_eq!(fate_of(&[], &[]), Fate::Differs);
}

#[expect(clippy::print_stdout, reason = "the table, for whoever wants it")]
fn show(text: &str) {
    println!("{text}");
}
