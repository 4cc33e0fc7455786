//! The promise of idle connections: 10,000 of them that have been served stay within
//! [`IDLE_CONNECTION_BYTES_MAX`] each, those of HTTPS listeners within [`IDLE_TLS_BYTES_MAX`], and
//! those of TCP listeners within [`IDLE_RELAY_BYTES_MAX`].
//!
//! The real binary with one shard. One request is in flight at a time, so what is measured is what
//! connections hold, and not the blocks that a shard keeps after a burst. What the kernel holds for
//! a socket is not counted: it is the same for everyone.
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads the environment and waits for another process"
)]

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use elbow::limits::{IDLE_CONNECTION_BYTES_MAX, IDLE_RELAY_BYTES_MAX, IDLE_TLS_BYTES_MAX};
use elbow::sys::thread::raise_open_files;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

const CONNECTIONS: usize = 10_000;

/// Connections of a TCP listener, each of which has one to the backend, with a thread there.
const RELAYS: usize = 2_000;

/// Connections of an HTTPS listener, each of which begins with a handshake.
const TLS_CONNECTIONS: usize = 2_000;

/// Descriptors that either process has for other things.
const OTHER_DESCRIPTORS: usize = 200;

/// Requests on one connection before the first measurement.
const WARM_UP_REQUESTS: usize = 200;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(15);

const REQUEST: &[u8] = b"GET /page HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Cookie: theme=dark\r\n\r\n";

const BODY: &[u8] = &[b'y'; 128];

#[test]
fn idle_connections_stay_within_their_bound() {
    if !has_descriptors() {
        return;
    }
    let backend = start_backend().to_string();
    let elbow = Elbow::start(&[
        "--listen",
        "127.0.0.1:0",
        "--backend",
        &backend,
        "--sticky",
        "60",
    ]);
    let each = elbow.bytes_each("connections", CONNECTIONS, |stream| stream);
    assert!(each <= IDLE_CONNECTION_BYTES_MAX, "{each} bytes each");
}

#[test]
fn idle_relayed_connections_stay_within_their_bound() {
    if !has_descriptors() {
        return;
    }
    let elbow = Elbow::start_with("protocol = \"TCP\"");
    let each = elbow.bytes_each("relayed connections", RELAYS, |stream| stream);
    assert!(each <= IDLE_RELAY_BYTES_MAX, "{each} bytes each");
}

#[test]
fn idle_tls_connections_stay_within_their_bound() {
    if !has_descriptors() {
        return;
    }
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("there is randomness");
    let certificate = params.self_signed(&key).expect("the key signs");
    let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
    let file = Passing::new("pem", &pem);
    let elbow = Elbow::start_with(&format!("protocol = \"HTTPS\"\ncertificate = {:?}", file.0));
    let config = trusting(certificate.der().clone());
    let each = elbow.bytes_each("connections with TLS", TLS_CONNECTIONS, |stream| {
        let host = "localhost".try_into().expect("a name");
        let session = ClientConnection::new(Arc::clone(&config), host);
        StreamOwned::new(session.expect("the settings fit"), stream)
    });
    assert!(each <= IDLE_TLS_BYTES_MAX, "{each} bytes each");
}

/// Settings of a client that trusts this certificate, and does each handshake in full.
fn trusting(certificate: CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("it is its own root");
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the default versions have ciphers")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
}

/// A file, removed with this value.
struct Passing(PathBuf);

impl Passing {
    fn new(extension: &str, text: &str) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("elbow-idle-memory-{}-{number}", std::process::id());
        let file = env::temp_dir().join(name).with_extension(extension);
        fs::write(&file, text).expect("the temporary directory is writable");
        Self(file)
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// Whether this process and its child may open enough connections. Where they may not, the test is
/// left out, but not in CI.
fn has_descriptors() -> bool {
    let limit = raise_open_files().expect("the soft limit can be raised to the hard one");
    let needed = (CONNECTIONS + OTHER_DESCRIPTORS) as u64;
    if limit >= needed {
        return true;
    }
    let told = format!("LEFT OUT: needs {needed} open files, the hard limit is {limit}");
    assert!(env::var("CI").as_deref() != Ok("true"), "{told}");
    say(&told);
    false
}

/// The binary with one shard, ended with this value.
struct Elbow {
    child: Child,
    address: SocketAddr,
}

impl Elbow {
    fn start(arguments: &[&str]) -> Self {
        let driver = env::var("ELBOW_TEST_DRIVER").unwrap_or_else(|_| "auto".to_owned());
        let mut child = Command::new(env!("CARGO_BIN_EXE_elbow"))
            .arg("run")
            .args(arguments)
            .args(["--shards", "1", "--no-pin"])
            .args(["--driver", &driver, "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        let mut address = None;
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix("listening ") {
                address = rest.split(' ').nth(1).and_then(|text| text.parse().ok());
            } else if line.starts_with("ready ") {
                say(&line);
                break;
            }
        }
        let address = address.expect("elbow says where it listens before it is ready");
        Self { child, address }
    }

    /// With one listener, of which these are the first lines.
    fn start_with(listener: &str) -> Self {
        let backend = start_backend();
        let toml = format!(
            "[admin]\nlisten = \"off\"\n[[load_balancer]]\nname = \"a\"\n\
             instances = [\"{backend}\"]\n[[load_balancer.listener]]\naddress = \"127.0.0.1\"\n\
             port = 0\ninstance_port = 80\n{listener}\n"
        );
        let file = Passing::new("toml", &toml);
        Self::start(&["--config", file.0.to_str().expect("the path is ASCII")])
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("elbow listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        stream
    }

    /// What that many connections hold each, once all of them have been served; `speak` says how
    /// on a connection.
    fn bytes_each<S: Read + Write>(
        &self,
        what: &str,
        count: usize,
        speak: impl Fn(TcpStream) -> S,
    ) -> usize {
        let mut first = self.connect_in_service(&speak);
        for _ in 0..WARM_UP_REQUESTS {
            ask(&mut first).expect("the backend is in service");
        }
        let before = self.resident_bytes();
        let mut connections: Vec<S> = (0..count).map(|_| speak(self.connect())).collect();
        for connection in &mut connections {
            ask(connection).expect("each connection is served");
        }
        let after = self.resident_bytes();
        let each = after.saturating_sub(before) / count;
        say(&format!(
            "{count} idle {what}: {each} bytes each ({before} bytes before, {after} after)"
        ));
        // They were idle and not closed.
        for connection in connections.iter_mut().step_by(100) {
            ask(connection).expect("each connection is kept");
        }
        each
    }

    /// A connection after the backend has passed its first checks.
    fn connect_in_service<S: Read + Write>(&self, speak: &impl Fn(TcpStream) -> S) -> S {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut stream = speak(self.connect());
            match ask(&mut stream) {
                Ok(()) => return stream,
                Err(error) => assert!(Instant::now() < deadline, "never in service: {error}"),
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Memory of its own that it has resident now: heap and stacks, no files.
    fn resident_bytes(&self) -> usize {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(path).expect("the process runs");
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib = kib.and_then(|digits| digits.parse::<usize>().ok());
        kib.expect("RssAnon is in kB") * 1024
    }
}

impl Drop for Elbow {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One request and its answer.
///
/// # Errors
/// Those of the connection, or that the answer is not the backend's.
fn ask(stream: &mut (impl Read + Write)) -> io::Result<()> {
    stream.write_all(REQUEST)?;
    let mut answer = [0; 2048];
    let mut seen = 0;
    while !answer[..seen].ends_with(BODY) {
        let count = stream.read(&mut answer[seen..])?;
        seen += count;
        let is_ours = answer[..seen].starts_with(b"HTTP/1.1 200 ");
        if count == 0 || (seen > 12 && !is_ours) {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

/// Starts a backend that answers everything, also checks, and says where it listens.
fn start_backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // The client sees how a connection ends.
            thread::spawn(move || drop(answer_all(stream)));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", BODY.len());
    answer.push_str(&"y".repeat(BODY.len()));
    let mut request = [0; 4096];
    let mut seen = 0;
    loop {
        let count = stream.read(&mut request[seen..])?;
        if count == 0 {
            return Ok(());
        }
        seen += count;
        if request[..seen].ends_with(b"\r\n\r\n") {
            stream.write_all(answer.as_bytes())?;
            seen = 0;
        }
    }
}

/// Past the test runner, which shows only what failed.
fn say(text: &str) {
    drop(writeln!(io::stderr(), "idle memory: {text}"));
}
