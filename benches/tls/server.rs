//! The server that both adapters are measured in: one thread, a task per connection, fixed answers.
//!
//! Not HTTP: a request is so many bytes. Invariant: the two ways differ in nothing but the adapter.
//! Runtime, listener, rustls settings and allocator are the same, and so is where answers lie: each
//! in memory of its own while it is sent, as if it had just come from a backend, and ready, so that
//! nobody copies it before it is sealed.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use clap::ValueEnum;
use elbow::config::Driver;
use elbow::limits::BULK_BLOCK_BYTES;
use elbow::shard::{Level, Runtime, Tls};
use elbow::sys::{Block, Blocks, Stream, socket};
use monoio::io::{AsyncReadRentExt, AsyncWriteRent, AsyncWriteRentExt};
use monoio::net::{TcpListener, TcpStream};
use monoio_rustls::TlsAcceptor;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;

use crate::{CERTIFICATE_FILE, Failure, KEY_FILE, REQUEST_BYTES, answer};

/// Who stands between the connection and rustls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Adapter {
    /// `elbow::shard::Tls`.
    Elbow,
    /// `monoio_rustls`.
    MonoioRustls,
}

impl Adapter {
    /// Both, in the order of the report.
    pub(crate) const BOTH: [Self; 2] = [Self::Elbow, Self::MonoioRustls];

    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Elbow => "elbow",
            Self::MonoioRustls => "monoio-rustls",
        }
    }
}

/// Answers every request with `answer_bytes`, until it is killed.
///
/// # Errors
/// If the files are missing, the address is taken, or accepting fails.
pub(crate) fn serve(
    adapter: Adapter,
    address: SocketAddr,
    answer_bytes: usize,
    directory: &Path,
) -> Result<(), Failure> {
    let config = settings(directory)?;
    let listener = socket::listen(address)?;
    let (mut runtime, level) = Runtime::build(Driver::Auto)?;
    println!("{} on {}", adapter.name(), level.name());
    listener.set_nonblocking(level == Level::Epoll)?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        match adapter {
            Adapter::Elbow => {
                let own = Rc::new(Elbow {
                    config,
                    blocks: Blocks::default(),
                    answers: Answers::new(answer_bytes),
                });
                accept(&listener, |stream| over_elbow(stream, Rc::clone(&own))).await
            }
            Adapter::MonoioRustls => {
                let own = Rc::new(MonoioRustls {
                    acceptor: TlsAcceptor::from(config),
                    answers: Answers::new(answer_bytes),
                });
                accept(&listener, |stream| {
                    over_monoio_rustls(stream, Rc::clone(&own))
                })
                .await
            }
        }
    })?;
    Ok(())
}

/// As elbow's HTTPS listeners have it, with one version and one certificate.
fn settings(directory: &Path) -> Result<Arc<ServerConfig>, Failure> {
    let certificate = CertificateDer::from(fs::read(directory.join(CERTIFICATE_FILE))?);
    let key = PrivateKeyDer::try_from(fs::read(directory.join(KEY_FILE))?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}

/// A task for every connection. How one fails is printed; its client sees that it has ended.
async fn accept<F: Future<Output = io::Result<()>> + 'static>(
    listener: &TcpListener,
    connection: impl Fn(TcpStream) -> F,
) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = connection(stream);
        drop(monoio::spawn(async move {
            if let Err(error) = connection.await {
                println!("a connection ended: {error}");
            }
        }));
    }
}

/// Answers that nobody is sending: the last to come back is the first to be sent again.
struct Answers<T> {
    text: Vec<u8>,
    ready: RefCell<Vec<T>>,
}

impl<T> Answers<T> {
    fn new(answer_bytes: usize) -> Self {
        Self {
            text: answer(answer_bytes),
            ready: RefCell::default(),
        }
    }

    /// One that is ready, or a new one.
    fn take(&self, make: impl FnOnce(&[u8]) -> T) -> T {
        let ready = self.ready.borrow_mut().pop();
        ready.unwrap_or_else(|| make(&self.text))
    }

    fn put(&self, answer: T) {
        self.ready.borrow_mut().push(answer);
    }
}

/// What connections over elbow's adapter share.
struct Elbow {
    config: Arc<ServerConfig>,
    blocks: Blocks,
    /// Of one block each, or of several where one is too small.
    answers: Answers<Vec<Block>>,
}

async fn over_elbow(stream: TcpStream, own: Rc<Elbow>) -> io::Result<()> {
    let blocks = &own.blocks;
    let tls = Tls::new(Stream::new(stream), Arc::clone(&own.config), blocks);
    let shaken = tls.shake_hands().await;
    shaken.map_err(|failure| io::Error::other(format!("handshake: {failure:?}")))?;
    loop {
        let mut request = blocks.idle();
        request.clear(0);
        while request.len() < REQUEST_BYTES {
            let missing = REQUEST_BYTES - request.len();
            let (received, block) = tls.receive(request, missing).await;
            request = block;
            if received? == 0 {
                blocks.put(request);
                return tls.close_notify().await;
            }
        }
        blocks.put(request);
        let mut answer = own.answers.take(|text| {
            let pieces = text.chunks(BULK_BLOCK_BYTES);
            pieces.map(|piece| blocks.holding(piece)).collect()
        });
        for _ in 0..answer.len() {
            let (sent, block) = tls.send(answer.remove(0), |_| ()).await;
            sent?;
            answer.push(block);
        }
        own.answers.put(answer);
    }
}

/// What connections over monoio-rustls share.
struct MonoioRustls {
    acceptor: TlsAcceptor,
    answers: Answers<Vec<u8>>,
}

async fn over_monoio_rustls(stream: TcpStream, own: Rc<MonoioRustls>) -> io::Result<()> {
    let accepted = own.acceptor.accept(stream).await;
    let mut tls = accepted.map_err(io::Error::other)?;
    let mut request = vec![0; REQUEST_BYTES].into_boxed_slice();
    loop {
        let (received, buffer) = tls.read_exact(request).await;
        request = buffer;
        match received {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return tls.shutdown().await;
            }
            Err(error) => return Err(error),
        }
        let answer = own.answers.take(<[u8]>::to_vec);
        let (sent, answer) = tls.write_all(answer).await;
        sent?;
        own.answers.put(answer);
    }
}
