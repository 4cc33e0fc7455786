//! The clients: blocking, on a few threads, each of which asks on all of its connections before it
//! takes the first answer.
//!
//! Invariant: an answer that is not what it should be, byte for byte, ends the bench.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::cpu::CpuTime;
use crate::{CERTIFICATE_FILE, Failure, HOST, REQUEST_BYTES, answer};

/// Threads that ask.
const THREADS: usize = 4;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where to ask, how, and what the answer is.
pub(crate) struct Target {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    expected: Vec<u8>,
}

impl Target {
    /// A server at `address` that answers with so many bytes.
    ///
    /// # Errors
    /// If its certificate is not in the directory.
    pub(crate) fn new(
        address: SocketAddr,
        answer_bytes: usize,
        directory: &Path,
    ) -> Result<Self, Failure> {
        let certificate = CertificateDer::from(fs::read(directory.join(CERTIFICATE_FILE))?);
        let mut roots = RootCertStore::empty();
        roots.add(certificate)?;
        let provider = CryptoProvider {
            cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
            ..aws_lc_rs::default_provider()
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self {
            address,
            config: Arc::new(config),
            expected: answer(answer_bytes),
        })
    }
}

/// A connection.
pub(crate) struct Client<'t> {
    target: &'t Target,
    tls: StreamOwned<ClientConnection, TcpStream>,
}

impl<'t> Client<'t> {
    /// Connects. The handshake comes with the first request.
    pub(crate) fn connect(target: &'t Target) -> io::Result<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = ServerName::try_from(HOST).expect("it is a name");
        let session = ClientConnection::new(Arc::clone(&target.config), host);
        let tls = StreamOwned::new(session.map_err(io::Error::other)?, stream);
        Ok(Self { target, tls })
    }

    fn ask(&mut self) -> io::Result<()> {
        self.tls.write_all(&[b'q'; REQUEST_BYTES])
    }

    fn take_answer(&mut self, room: &mut [u8]) -> io::Result<()> {
        self.tls.read_exact(room)?;
        if room != self.target.expected {
            return Err(io::Error::other("an answer has wrong bytes"));
        }
        Ok(())
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// Those of the connection, or that the answer is wrong.
    pub(crate) fn ask_once(&mut self) -> io::Result<()> {
        self.ask()?;
        self.take_answer(&mut vec![0; self.target.expected.len()])
    }

    /// Says that nothing more will come.
    ///
    /// # Errors
    /// Those of the connection.
    pub(crate) fn close(mut self) -> io::Result<()> {
        self.tls.conn.send_close_notify();
        self.tls.flush()
    }
}

/// What is asked for in one window.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Load {
    /// Requests on so many connections that are kept.
    Kept(usize),
    /// A connection with a full handshake for each request.
    Handshakes,
}

/// What a window has shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// CPU time of the server for each answer.
    pub(crate) cpu_us: f64,
    /// Answers.
    pub(crate) per_second: f64,
    /// The part of the time for which the server ran.
    pub(crate) busy: f64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu_us,
            per_second,
            busy,
        } = self;
        let busy = busy * 100.0;
        write!(
            f,
            "{cpu_us:>9.2} CPU µs each {per_second:>8.0} a second {busy:>4.0} % busy"
        )
    }
}

/// Asks for `warm_up`, then for `window`, over which the CPU time of `server` is counted.
///
/// # Errors
/// The first thing that went wrong with any answer.
pub(crate) fn play(
    target: &Target,
    load: Load,
    server: u32,
    [warm_up, window]: [Duration; 2],
) -> Result<Figures, Failure> {
    let answers = AtomicU64::new(0);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let ask = || match load {
            Load::Kept(connections) => ask_kept(target, connections / THREADS, &answers, &is_over),
            Load::Handshakes => ask_anew(target, &answers, &is_over),
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(ask)).collect();
        thread::sleep(warm_up);
        let figures = count(&answers, server, window);
        is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("a client does not panic")?;
        }
        figures
    })
}

fn count(answers: &AtomicU64, server: u32, window: Duration) -> Result<Figures, Failure> {
    let begin = Instant::now();
    let cpu_before = CpuTime::read(&[server])?;
    let answers_before = answers.load(Ordering::Relaxed);
    thread::sleep(window);
    let answers = answers.load(Ordering::Relaxed) - answers_before;
    let cpu = CpuTime::read(&[server])?.since(&cpu_before).as_secs_f64();
    let seconds = begin.elapsed().as_secs_f64();
    if answers == 0 {
        return Err("not one answer".into());
    }
    Ok(Figures {
        cpu_us: cpu * 1e6 / answers as f64,
        per_second: answers as f64 / seconds,
        busy: cpu / seconds,
    })
}

fn ask_kept(
    target: &Target,
    connections: usize,
    answers: &AtomicU64,
    is_over: &AtomicBool,
) -> io::Result<()> {
    let clients: io::Result<Vec<_>> = (0..connections).map(|_| Client::connect(target)).collect();
    let mut clients = clients?;
    let mut room = vec![0; target.expected.len()];
    while !is_over.load(Ordering::Relaxed) {
        for client in &mut clients {
            client.ask()?;
        }
        for client in &mut clients {
            client.take_answer(&mut room)?;
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }
    clients.into_iter().try_for_each(Client::close)
}

fn ask_anew(target: &Target, answers: &AtomicU64, is_over: &AtomicBool) -> io::Result<()> {
    while !is_over.load(Ordering::Relaxed) {
        let mut client = Client::connect(target)?;
        client.ask_once()?;
        client.close()?;
        answers.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
