//! Sessions: each a jar of cookies and six connections, with a request on each at the same time.
//!
//! All requests are GET, so a proxy may send them again. What each request met is told in the order
//! in which the answers came.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::application::{NAME_FIELD, read_head};

/// Requests of a session at the same time.
const PARALLEL: usize = 6;

/// From one round of requests to the next.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What one request met.
pub(crate) struct Met {
    /// Since the load began.
    pub(crate) at: Duration,
    /// The backend that answered; `None`: there was no answer, or none below 500.
    pub(crate) backend: Option<String>,
}

/// Sessions under way.
pub(crate) struct Load {
    began: Instant,
    is_over: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    sessions: Vec<JoinHandle<Vec<Met>>>,
}

impl Load {
    /// Begins `sessions` many sessions.
    pub(crate) fn begin(address: SocketAddr, sessions: usize) -> Self {
        let began = Instant::now();
        let is_over = Arc::new(AtomicBool::new(false));
        let rounds = Arc::new(AtomicUsize::new(0));
        let session = |_| {
            let (is_over, rounds) = (Arc::clone(&is_over), Arc::clone(&rounds));
            thread::spawn(move || live(address, began, &is_over, &rounds))
        };
        Self {
            began,
            sessions: (0..sessions).map(session).collect(),
            is_over,
            rounds,
        }
    }

    /// How long it has been going on.
    pub(crate) fn now(&self) -> Duration {
        Instant::now() - self.began
    }

    /// Whether there were some rounds for each session.
    pub(crate) fn is_under_way(&self) -> bool {
        self.rounds.load(Ordering::Relaxed) > 5 * self.sessions.len()
    }

    /// Ends it; what each session met.
    pub(crate) fn end(self) -> Result<Vec<Vec<Met>>, Failure> {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.sessions.into_iter().map(JoinHandle::join);
        let told: Result<Vec<_>, _> = ended.collect();
        told.map_err(|_| "a session panicked".into())
    }
}

/// One request without a cookie; the backend that answered.
///
/// # Errors
/// If none did.
pub(crate) fn ask_once(address: SocketAddr) -> io::Result<String> {
    let mut wire = Wire::default();
    let mut jar = Jar::default();
    wire.send(address, &jar)?;
    let answered = wire.receive(&mut jar)?;
    answered.ok_or_else(|| io::Error::other("an error status"))
}

fn live(
    address: SocketAddr,
    began: Instant,
    is_over: &AtomicBool,
    rounds: &AtomicUsize,
) -> Vec<Met> {
    let mut jar = Jar::default();
    let mut met = Vec::new();
    let mut wires: [Wire; PARALLEL] = Default::default();
    // The first request is alone: with it the session begins.
    let mut parallel = 1;
    while !is_over.load(Ordering::Relaxed) {
        let wires = &mut wires[..parallel];
        let sent: Vec<_> = wires
            .iter_mut()
            .map(|wire| wire.send(address, &jar))
            .collect();
        for (wire, sent) in wires.iter_mut().zip(sent) {
            let backend = sent.and_then(|()| wire.receive(&mut jar));
            if backend.is_err() {
                *wire = Wire::default();
            }
            met.push(Met {
                at: Instant::now() - began,
                backend: backend.ok().flatten(),
            });
        }
        parallel = PARALLEL;
        rounds.fetch_add(1, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    met
}

/// Cookies by name.
#[derive(Default)]
struct Jar(BTreeMap<String, String>);

/// A connection, once there is one.
#[derive(Default)]
struct Wire(Option<BufReader<TcpStream>>);

impl Wire {
    fn send(&mut self, address: SocketAddr, jar: &Jar) -> io::Result<()> {
        let pairs: Vec<String> = jar.0.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let cookie = match pairs.is_empty() {
            true => String::new(),
            false => format!("Cookie: {}\r\n", pairs.join("; ")),
        };
        let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n{cookie}\r\n");
        if self.0.is_none() {
            let stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.set_nodelay(true)?;
            self.0 = Some(BufReader::new(stream));
        }
        let wire = self.0.as_mut().expect("it was just made");
        wire.get_mut().write_all(request.as_bytes())
    }

    /// The backend that answered; `None` if it was an error status.
    fn receive(&mut self, jar: &mut Jar) -> io::Result<Option<String>> {
        let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let reader = self.0.as_mut().ok_or_else(closed)?;
        let head = read_head(reader)?.ok_or_else(closed)?;
        let mut backend = None;
        for line in head.lines().skip(1) {
            let Some((name, value)) = line.split_once(": ") else {
                continue;
            };
            if name.eq_ignore_ascii_case("Set-Cookie") {
                let pair = value.split(';').next().unwrap_or_default();
                if let Some((name, value)) = pair.split_once('=') {
                    jar.0.insert(name.to_owned(), value.to_owned());
                }
            } else if name.eq_ignore_ascii_case(NAME_FIELD) {
                backend = Some(value.to_owned());
            }
        }
        if backend.is_none() {
            // A proxy's own answer has a body, which nobody here reads.
            self.0 = None;
        }
        Ok(backend)
    }
}
