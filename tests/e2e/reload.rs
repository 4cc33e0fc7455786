//! The configuration is read again on SIGHUP: what is otherwise in it becomes so, what is the same
//! goes on, and nothing that can be served is lost.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::harness::{
    Backend, Elbow, Framing, Listener, PATIENCE, RawBackend, Setup, Site, TlsClient, Wire,
    eventually, get,
};

const HOST: &str = "site.test";

fn two() -> (Backend, Backend) {
    (Backend::named("one"), Backend::named("two"))
}

/// Who answers on that connection.
/// A port that nobody has at this moment.
fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    free.local_addr().expect("it is bound").port()
}

fn who(wire: &mut Wire) -> String {
    wire.ask(&get("/", &[])).body_text()
}

#[test]
fn instances_come_and_go_and_connections_of_clients_stay() {
    let (one, two) = two();
    let elbow = Setup::new(&[one.address]).start(&[&one]);
    let mut wire = elbow.connect();
    assert_eq!(who(&mut wire), "one");
    assert!(elbow.reload(&Setup::new(&[one.address, two.address]).to_toml()));
    elbow.expect_in_service(&[&one, &two]);
    assert!(elbow.reload(&Setup::new(&[two.address]).to_toml()));
    eventually("the first has left", || who(&mut wire) == "two");
    for _ in 0..20 {
        assert_eq!(who(&mut wire), "two");
    }
    let now = elbow.listeners_of("web");
    assert_eq!(now, [elbow.address()], "the same listener");
}

#[test]
fn a_policy_holds_from_the_next_request_on_and_sessions_outlive_reloads() {
    let (one, two) = two();
    let addresses = [one.address, two.address];
    let elbow = Setup::new(&addresses).start(&[&one, &two]);
    let mut wire = elbow.connect();
    assert_eq!(wire.ask(&get("/", &[])).head.field("Set-Cookie"), None);
    assert!(elbow.reload(&Setup::sticky(&addresses, Some(60)).to_toml()));
    let answer = wire.ask(&get("/", &[]));
    let cookie = answer.head.field("Set-Cookie").expect("a cookie");
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a pair"));
    let home = answer.body_text();
    for seconds in 61..66 {
        assert!(elbow.reload(&Setup::sticky(&addresses, Some(seconds)).to_toml()));
        let answer = wire.ask(&get("/", &[&cookie]));
        assert_eq!(answer.body_text(), home);
    }
}

#[test]
fn listeners_open_and_close() {
    let one = Backend::named("one");
    let setup = Setup::new(&[one.address]);
    let elbow = setup.start(&[&one]);
    let both = setup
        .clone()
        .listeners(&[Listener::default(), Listener::default()]);
    assert!(elbow.reload(&both.to_toml()));
    let listeners = elbow.listeners_of("web");
    assert_eq!(listeners[0], elbow.address());
    let mut second = Wire::connect(listeners[1]);
    assert_eq!(who(&mut second), "one");
    assert!(elbow.reload(&setup.to_toml()));
    second.expect_close();
    let refused = TcpStream::connect(listeners[1]);
    assert!(refused.is_err(), "nobody listens there");
    assert_eq!(who(&mut elbow.connect()), "one");
}

#[test]
fn load_balancers_come_and_go_and_may_take_over_an_address() {
    let (one, two) = two();
    let port = free_port();
    let fixed = |setup: Setup| {
        let toml = setup.to_toml();
        toml.replacen("port = 0", &format!("port = {port}"), 1)
    };
    let alone = fixed(Setup::new(&[one.address]));
    let elbow = Elbow::start(&alone);
    elbow.expect_in_service(&[&one]);
    // Another one takes the address, as the first has moved.
    let moved = Setup::new(&[one.address]).to_toml();
    let other = fixed(Setup::new(&[two.address])).replace("\"web\"", "\"other\"");
    let other = &other[other.find("[[load_balancer]]").expect("it has one")..];
    assert!(elbow.reload(&format!("{moved}{other}")));
    eventually("the other one answers there", || {
        let answer = Wire::connect(elbow.address()).ask(&get("/", &[]));
        answer.status() == 200 && answer.body_text() == "two"
    });
    let address = elbow.listeners_of("web")[0];
    assert_ne!(address, elbow.address());
    eventually("the first answers elsewhere", || {
        who(&mut Wire::connect(address)) == "one"
    });
    // And back to one.
    assert!(elbow.reload(&alone));
    assert!(elbow.listeners_of("other").is_empty());
    eventually("the first is back", || who(&mut elbow.connect()) == "one");
}

/// One load balancer with its listener at this port.
fn fixed(name: &str, backend: &Backend, port: u16) -> String {
    let toml = Setup::new(&[backend.address]).to_toml();
    let toml = toml.replace("\"web\"", &format!("\"{name}\""));
    toml.replacen("port = 0", &format!("port = {port}"), 1)
}

/// Does something over and over while one client after the other connects and asks; each has to be
/// answered.
fn under_connections(elbow: &Elbow, times: usize, mut work: impl FnMut(usize)) {
    let is_over = AtomicBool::new(false);
    let count = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut count = 0;
            while !is_over.load(Ordering::SeqCst) {
                let answer = elbow.ask(&get("/", &["Connection: close"]));
                // A load balancer that has just come has no instance in service yet.
                let status = answer.status();
                assert!([200, 503].contains(&status), "{}", answer.head.text);
                count += 1;
            }
            count
        });
        (0..times).for_each(&mut work);
        is_over.store(true, Ordering::SeqCst);
        asking.join().expect("every request was answered")
    });
    assert!(count > times, "there was traffic");
}

#[test]
fn an_address_changes_hands_and_no_connection_is_refused() {
    const RELOADS: usize = 20;
    let (one, two) = two();
    let port = free_port();
    let first = fixed("first", &one, port);
    let second = fixed("second", &two, port);
    let elbow = Elbow::start(&first);
    elbow.expect_in_service(&[&one]);
    under_connections(&elbow, RELOADS, |round| {
        assert!(elbow.reload([&second, &first][round % 2]));
    });
}

#[test]
fn a_change_that_comes_to_nothing_costs_no_connection() {
    const RELOADS: usize = 20;
    let (one, two) = two();
    let port = free_port();
    let elbow = Elbow::start(&fixed("first", &one, port));
    elbow.expect_in_service(&[&one]);
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = stranger.local_addr().expect("it is bound").port();
    let third = fixed("third", &two, taken);
    let third = &third[third.find("[[load_balancer]]").expect("it has one")..];
    // The second would take the first's address over, if only the third could be.
    let second = format!("{}{third}", fixed("second", &two, port));
    under_connections(&elbow, RELOADS, |_| assert!(!elbow.reload(&second)));
    assert_eq!(who(&mut elbow.connect()), "one");
}

#[test]
fn an_address_that_cannot_be_had_changes_nothing() {
    let (one, two) = two();
    let setup = Setup::new(&[one.address]);
    let elbow = setup.start(&[&one]);
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = stranger.local_addr().expect("it is bound").port();
    let other = Setup::new(&[two.address])
        .to_toml()
        .replace("\"web\"", "\"other\"");
    let other = other.replacen("port = 0", &format!("port = {taken}"), 1);
    let other = &other[other.find("[[load_balancer]]").expect("it has one")..];
    let web = Setup::sticky(&[two.address], None).to_toml();
    assert!(!elbow.reload(&format!("{web}{other}")));
    assert_eq!(who(&mut elbow.connect()), "one");
    assert!(elbow.listeners_of("other").is_empty());
    elbow.expect_logged(&format!("other: cannot listen on 127.0.0.1:{taken}"));
    drop(stranger);
    assert!(elbow.reload(&format!("{web}{other}")));
}

#[test]
fn a_listener_changes_its_protocol_in_place() {
    let one = Backend::named("one");
    let port = free_port();
    let fixed = |setup: Setup| {
        let toml = setup.to_toml();
        toml.replacen("port = 0", &format!("port = {port}"), 1)
    };
    let sticky = fixed(Setup::sticky(&[one.address], None));
    let elbow = Elbow::start(&sticky);
    elbow.expect_in_service(&[&one]);
    let is_sticky = || elbow.ask(&get("/", &[])).head.text.contains("AWSELB");
    assert!(is_sticky());
    assert!(elbow.reload(&fixed(Setup::tcp(&[one.address]))));
    assert!(!is_sticky(), "bytes pass as they are");
    assert!(elbow.reload(&sticky));
    assert!(is_sticky());
}

#[test]
fn a_load_balancer_that_goes_lets_connections_finish_if_it_drains() {
    let (backend, streams) = RawBackend::held();
    let setup = Setup::tcp(&[backend.address]).attribute("connection_draining = 60");
    let elbow = Elbow::start(&setup.to_toml());
    eventually("in service", || elbow.sum("elbow_backend_in_service") == 1);
    let mut near = elbow.connect();
    near.send("?");
    let far = streams.recv_timeout(PATIENCE);
    let mut far = Wire::new(far.expect("it reaches the backend"));
    let rest = setup.to_toml().replace("\"web\"", "\"rest\"");
    assert!(elbow.reload(&rest));
    far.send("late");
    far.finish();
    let (answer, _) = near.read_body(Framing::UntilClose).expect("it goes on");
    assert_eq!(answer, b"late");
    near.finish();
    eventually("it is gone", || elbow.sum("elbow_connections") == 0);
}

#[test]
fn a_file_that_does_not_hold_changes_nothing() {
    let one = Backend::named("one");
    let site = Site::new(HOST);
    let setup = Setup::new(&[one.address]);
    let elbow = setup.start(&[&one]);
    let misspelt = setup.to_toml().replace("port = 0", "prot = 0");
    let absent = setup.clone().https("certificate = \"absent.pem\"");
    for bad in ["no TOML at all", &misspelt, &absent.to_toml()] {
        assert!(!elbow.reload(bad), "{bad}");
        assert_eq!(who(&mut elbow.connect()), "one");
        assert_eq!(elbow.listeners_of("web"), [elbow.address()]);
    }
    elbow.expect_logged("did you mean `port`?");
    elbow.expect_logged("absent.pem: No such file");
    // And then it holds.
    assert!(elbow.reload(&setup.https(&site.lines()).to_toml()));
    let address = elbow.listeners_of("web")[1];
    let mut wire = TlsClient::new(&[&site]).connect(address, HOST);
    assert_eq!(who(&mut wire), "one");
}

#[test]
fn another_certificate_is_shown_and_open_connections_go_on() {
    let one = Backend::named("one");
    let (before, after) = (Site::new(HOST), Site::new(HOST));
    let setup = |site: &Site| Setup::new(&[one.address]).https(&site.lines());
    let elbow = setup(&before).start(&[&one]);
    let connect = |site: &Site| TlsClient::new(&[site]).connect(elbow.listeners[1], HOST);
    let mut first = connect(&before);
    assert_eq!(who(&mut first), "one");
    assert!(elbow.reload(&setup(&after).to_toml()));
    assert_eq!(who(&mut first), "one");
    let mut second = connect(&after);
    assert_eq!(who(&mut second), "one");
    assert!(after.is_shown(&second));
}

#[test]
fn no_request_is_lost_while_the_file_is_read_again_and_again() {
    const RELOADS: u32 = 40;
    let (one, two) = two();
    let addresses = [one.address, two.address];
    let sticky = |instances, seconds| {
        Setup::sticky(instances, Some(seconds)).attribute("connection_draining = 60")
    };
    let elbow = Arc::new(sticky(&addresses[..], 1).start(&[&one, &two]));
    let is_over = Arc::new(AtomicBool::new(false));
    let count = Arc::new(AtomicUsize::new(0));
    let client = || {
        let (elbow, is_over) = (Arc::clone(&elbow), Arc::clone(&is_over));
        let count = Arc::clone(&count);
        thread::spawn(move || {
            while !is_over.load(Ordering::SeqCst) {
                let answer = elbow.ask(&get("/", &["Connection: close"]));
                assert_eq!(answer.status(), 200, "{}", answer.head.text);
                count.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let clients: Vec<_> = (0..4).map(|_| client()).collect();
    for round in 0..RELOADS {
        // Another policy each time, a listener more and a listener less.
        let mut setup = sticky(&addresses[..], round + 2);
        if round % 3 == 0 {
            let more = Listener {
                is_sticky: true,
                ..Listener::default()
            };
            setup = setup.listeners(&[more.clone(), more]);
        }
        assert!(elbow.reload(&setup.to_toml()));
    }
    is_over.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().expect("every request was answered");
    }
    assert!(count.load(Ordering::SeqCst) > 100, "there was traffic");
    assert_eq!(elbow.sum("elbow_panics_total"), 0);
    assert_eq!(elbow.sum("elbow_listen_errors_total"), 0);
}
