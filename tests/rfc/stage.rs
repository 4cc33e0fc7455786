//! Where cases are played: elbow with one shard between a client and a backend of raw sockets.
//!
//! One thread plays both, step by step, so that what happens first is what is written first. That
//! elbow has seen one part before the next is sent is known from an answer that it gives in between
//! to somebody else: a shard takes what comes in the order in which it came.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use crate::case::{Case, Fate, OK_FROM_ELBOW, Step};
use crate::harness::{Elbow, PATIENCE, Setup, Wire, dial, eventually, get};

/// Most places at which the first head of a case is cut in two; longer ones are cut here and there.
const CUTS_MAX: usize = 200;

/// A case whose client sends more than this is not sent byte by byte.
const SINGLE_BYTES_MAX: usize = 2000;

/// What an open connection still has to carry.
const PROBE: &str = "GET /probe HTTP/1.1\r\nHost: probe\r\n";

/// The answer to it, after which elbow has no use for the connection.
const LAST_OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// How the client sends.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// Each step at once.
    Whole,
    Bytewise,
    /// The first step in two parts, of which the first has so many bytes.
    CutAt(usize),
}

/// elbow, and the backend's end of it.
pub(crate) struct Stage {
    elbow: Elbow,
    /// Connections to the backend, as they come.
    arrivals: Receiver<TcpStream>,
    /// Takes the connections of health checks, which say nothing.
    _checked: TcpListener,
}

impl Stage {
    pub(crate) fn new(attributes: &[String]) -> Self {
        let checked = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let backend = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let (sender, arrivals) = mpsc::channel();
        let address = backend.local_addr().expect("it is bound");
        thread::spawn(move || {
            backend
                .incoming()
                .map_while(Result::ok)
                .try_for_each(|stream| sender.send(stream))
        });
        let check = checked.local_addr().expect("it is bound");
        let elbow = Elbow::start(&configuration(address, check, attributes));
        eventually("the backend is in service", || {
            elbow.sum("elbow_backend_in_service") == 1
        });
        Self {
            elbow,
            arrivals,
            _checked: checked,
        }
    }

    /// Plays a case in every manner.
    pub(crate) fn play(&self, case: &Case) -> Result<(), String> {
        let before: Vec<u64> = self.counts(case);
        self.play_once(case, Manner::Whole)?;
        for ((metric, by), before) in case.counts.iter().zip(before) {
            let after = self.elbow.sum(metric);
            if after - before != *by {
                return Err(format!("{metric} grew by {} and not {by}", after - before));
            }
        }
        let sent = case.steps.iter().filter_map(|step| match step {
            Step::ClientSends(bytes) => Some(bytes.at_port(0)),
            _ => None,
        });
        let sent: Vec<_> = sent.collect();
        if sent.iter().map(Vec::len).sum::<usize>() <= SINGLE_BYTES_MAX {
            self.play_once(case, Manner::Bytewise)?;
        }
        let Some(first) = sent.first() else {
            return Ok(());
        };
        let end = first.windows(4).position(|four| four == b"\r\n\r\n");
        let head = end.map_or(first.len(), |at| at + 4);
        for cut in (1..head).step_by(head.div_ceil(CUTS_MAX)) {
            self.play_once(case, Manner::CutAt(cut))?;
        }
        Ok(())
    }

    /// Sees that nothing is held any more.
    pub(crate) fn finish(self) {
        eventually("no buffer is held", || {
            self.elbow.sum("elbow_relay_blocks") == 0
        });
    }

    fn counts(&self, case: &Case) -> Vec<u64> {
        let metrics = case.counts.iter();
        metrics.map(|(metric, _)| self.elbow.sum(metric)).collect()
    }

    fn play_once(&self, case: &Case, manner: Manner) -> Result<(), String> {
        Play {
            stage: self,
            client: dial(self.elbow.address()).expect("elbow accepts"),
            backend: None,
            bystander: Wire::connect(self.elbow.listeners[1]),
            manner,
        }
        .run(case)
        .map_err(|what| format!("{manner:?}: {what}"))
    }
}

/// The configuration: a load balancer before the backend, and one that has none.
fn configuration(backend: SocketAddr, check: SocketAddr, attributes: &[String]) -> String {
    let driver = Setup::driver_line();
    let (backend, check) = (backend.port(), check.port());
    let attributes = attributes.join("\n");
    format!(
        r#"
[host]
address = "127.0.0.1"
shards = 1
{driver}
[admin]
listen = "127.0.0.1:0"
[[load_balancer]]
name = "rfc"
instances = ["127.0.0.1"]
[load_balancer.health_check]
target = "TCP:{check}"
interval = 300
[[load_balancer.listener]]
protocol = "HTTP"
port = 0
instance_port = {backend}
[load_balancer.attributes]
{attributes}
[[load_balancer]]
name = "nobody"
instances = []
[[load_balancer.listener]]
protocol = "HTTP"
port = 0
instance_port = {backend}
"#
    )
}

/// A case while it is played.
struct Play<'s> {
    stage: &'s Stage,
    client: TcpStream,
    backend: Option<TcpStream>,
    /// Somebody whose requests elbow answers by itself.
    bystander: Wire,
    manner: Manner,
}

impl Play<'_> {
    fn run(&mut self, case: &Case) -> Result<(), String> {
        let port = self.stage.elbow.address().port();
        let mut is_first = true;
        for (index, step) in case.steps.iter().enumerate() {
            let done = match step {
                Step::ClientSends(bytes) => {
                    self.send(&bytes.at_port(port), is_first);
                    is_first = false;
                    Ok(())
                }
                Step::BackendGets(bytes) => {
                    let expected = bytes.at_port(port);
                    let got = self.backend().and_then(|b| expect(b, &expected));
                    got.map_err(|what| format!("the backend {what}"))
                }
                Step::BackendSends(bytes) => {
                    let bytes = bytes.at_port(port);
                    self.backend().map(|backend| say(backend, &bytes))
                }
                Step::ClientGets(bytes) => expect(&mut self.client, &bytes.at_port(port))
                    .map_err(|what| format!("the client {what}")),
                Step::BackendAnew => self.end_of_backend().map(|()| self.backend = None),
                Step::BackendCloses => self.backend().map(|backend| {
                    // An error means that elbow has closed already.
                    drop(backend.shutdown(Shutdown::Both));
                }),
                Step::ClientEnds => {
                    drop(self.client.shutdown(Shutdown::Write));
                    Ok(())
                }
            };
            done.map_err(|what| format!("step {}: {what}", index + 1))?;
        }
        self.conclude(case)
    }

    /// Sends what the client has to say. elbow may have answered and closed before all of it is
    /// out.
    fn send(&mut self, bytes: &[u8], is_first: bool) {
        match self.manner {
            Manner::CutAt(cut) if is_first => {
                say(&mut self.client, &bytes[..cut]);
                self.let_elbow_see();
                say(&mut self.client, &bytes[cut..]);
            }
            Manner::Bytewise => {
                for byte in bytes {
                    say(&mut self.client, &[*byte]);
                    self.let_elbow_see();
                }
            }
            Manner::Whole | Manner::CutAt(_) => say(&mut self.client, bytes),
        }
    }

    /// Waits until elbow has taken what was sent.
    fn let_elbow_see(&mut self) {
        assert_eq!(self.bystander.ask(&get("/", &[])).status(), 503);
    }

    /// The backend's end of the connection, once elbow has made one.
    fn backend(&mut self) -> Result<&mut TcpStream, String> {
        if self.backend.is_none() {
            let stream = self.stage.arrivals.recv_timeout(PATIENCE);
            let stream = stream.map_err(|_| {
                let at_client = at_hand(&self.client);
                format!("got no connection; the client has {at_client:?}")
            })?;
            stream
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| stream.set_nodelay(true))
                .expect("the socket is open");
            self.backend = Some(stream);
        }
        Ok(self.backend.as_mut().expect("it is there now"))
    }

    /// Sees that elbow has closed the connection to the backend, and has said nothing more on it.
    fn end_of_backend(&mut self) -> Result<(), String> {
        let backend = self.backend.as_mut().ok_or("there was no connection")?;
        match end_of(backend)? {
            Fate::Closed | Fate::Reset => Ok(()),
            other => Err(format!("the backend's connection is {other:?}")),
        }
    }

    /// Sees what has become of both connections.
    fn conclude(&mut self, case: &Case) -> Result<(), String> {
        match case.backend {
            Fate::Open => {}
            Fate::Unasked | Fate::Cut if self.backend.is_none() => {}
            Fate::Unasked => return Err("the case names bytes at the backend".to_owned()),
            Fate::Cut => {
                expect_cut(self.backend()?)?;
                self.backend = None;
            }
            Fate::Closed | Fate::Reset => {
                self.end_of_backend()?;
                self.backend = None;
            }
        }
        if case.client == Fate::Open {
            return self.probe(case.backend, None);
        }
        let fate = end_of(&mut self.client)?;
        if fate != case.client {
            return Err(format!("the client's connection is {fate:?}"));
        }
        let another = dial(self.stage.elbow.address()).expect("elbow accepts");
        self.probe(case.backend, Some(another))
    }

    /// One more request, by the same client or another: it is all that the backend gets now, on the
    /// same connection if that is open. Its answer is the last there, so that the next case finds
    /// nothing kept.
    fn probe(&mut self, fate: Fate, another: Option<TcpStream>) -> Result<(), String> {
        if let Some(another) = another {
            self.client = another;
        }
        say(&mut self.client, format!("{PROBE}\r\n").as_bytes());
        let port = self.stage.elbow.address().port();
        let expected = format!(
            "{PROBE}X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Port: {port}\r\nConnection: keep-alive\r\n\r\n"
        );
        while fate == Fate::Cut && !begins_with(self.backend()?, PROBE) {
            expect_cut(self.backend()?)?;
            self.backend = None;
        }
        let backend = self.backend()?;
        expect(backend, expected.as_bytes()).map_err(|what| format!("then the backend {what}"))?;
        say(backend, LAST_OK.as_bytes());
        expect(&mut self.client, OK_FROM_ELBOW.as_bytes())
            .map_err(|what| format!("then the client {what}"))?;
        self.end_of_backend()?;
        match self.stage.arrivals.try_recv() {
            Ok(_) => Err("elbow has made a connection that nobody asked for".to_owned()),
            Err(_) => Ok(()),
        }
    }
}

/// Sends bytes as far as they are taken.
fn say(stream: &mut TcpStream, bytes: &[u8]) {
    drop(stream.write_all(bytes));
}

/// Receives as many bytes as are expected, which must be these.
fn expect(stream: &mut TcpStream, expected: &[u8]) -> Result<(), String> {
    let mut got = vec![0; expected.len()];
    let mut count = 0;
    while count < expected.len() && got[..count] == expected[..count] {
        match stream.read(&mut got[count..]) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) => {
                let got = shown(&got[..count]);
                return Err(format!("got {got:?} and then {error}"));
            }
        }
    }
    got.truncate(count);
    if got == expected {
        return Ok(());
    }
    let (got, expected) = (shown(&got), shown(expected));
    Err(format!("got\n    {got}\n  and not\n    {expected}"))
}

/// Whether a connection that is at its beginning says first what `text` does. Nothing is taken.
fn begins_with(stream: &TcpStream, text: &str) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first), Ok(1)) && text.as_bytes().starts_with(&first)
}

/// Receives what there is of a request, or of its body, which must not be whole.
fn expect_cut(stream: &mut TcpStream) -> Result<(), String> {
    let mut got = Vec::new();
    // A reset is an end as well.
    drop(stream.read_to_end(&mut got));
    let head = got.windows(4).position(|four| four == b"\r\n\r\n");
    let body = head.map_or(&got[..], |at| &got[at + 4..]);
    if body.ends_with(b"\r\n\r\n") {
        return Err(format!("the backend got a whole request: {}", shown(&got)));
    }
    Ok(())
}

/// What is the end of a connection on which nothing more is to come.
fn end_of(stream: &mut TcpStream) -> Result<Fate, String> {
    let mut more = [0; 1000];
    match stream.read(&mut more) {
        Ok(0) => Ok(Fate::Closed),
        Ok(count) => Err(format!("there is more: {}", shown(&more[..count]))),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Fate::Reset),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(Fate::Open),
        Err(error) => Err(error.to_string()),
    }
}

/// What has come in and was not taken yet.
fn at_hand(stream: &TcpStream) -> String {
    let mut bytes = [0; 1000];
    drop(stream.set_nonblocking(true));
    match stream.peek(&mut bytes) {
        Ok(count) => shown(&bytes[..count]),
        Err(error) => error.to_string(),
    }
}

fn shown(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 600;
    bytes[..bytes.len().min(SHOWN_MAX)]
        .escape_ascii()
        .to_string()
}
