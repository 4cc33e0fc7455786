//! Servers that keep a record of the requests that they see, each with a parser of its own: hyper,
//! which is strict, tiny_http, which trusts what is in front of it, and nginx (`nginx.rs`).
//!
//! elbow reaches each through a relay that copies bytes and knows when all connections have ended:
//! then the server has read whatever was on them. Each answer names its request in a field.

use std::convert::Infallible;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use crate::harness::eventually;

/// The field in which an answer names its request.
pub(crate) const SEEN: &str = "x-seen";

/// Where a server is, and what says which requests it has seen, by method and target, in the order
/// in which they came. Bytes that are no request are in there too, as something that is none.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) record: Box<dyn Fn() -> Vec<String>>,
}

/// A name, and what starts one.
pub(crate) type Kind = (&'static str, fn() -> Running);

/// Those that are at hand wherever the tests are.
pub(crate) const AT_HAND: [Kind; 2] = [("hyper", hyper), ("tiny_http", tiny_http)];

/// A server behind elbow in one of its modes.
pub(crate) struct Server {
    pub(crate) kind: &'static str,
    pub(crate) mode: &'static str,
    /// Where elbow reaches it.
    pub(crate) address: SocketAddr,
    record: Box<dyn Fn() -> Vec<String>>,
    open: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) fn start((kind, start): Kind, mode: &'static str) -> Self {
        let running = start();
        let open = Arc::new(AtomicUsize::new(0));
        Self {
            kind,
            mode,
            address: relay(running.address, Arc::clone(&open)),
            record: running.record,
            open,
        }
    }

    /// Everything that it has seen, once no connection is open any more.
    pub(crate) fn record(&self) -> Vec<String> {
        eventually("all connections have ended", || {
            self.open.load(Ordering::SeqCst) == 0
        });
        (self.record)()
    }
}

/// A record that a server in this process keeps.
type Record = Arc<Mutex<Vec<String>>>;

fn running(address: SocketAddr, record: Record) -> Running {
    let record = move || record.lock().expect("no holder panics").clone();
    Running {
        address,
        record: Box::new(record),
    }
}

/// Copies each connection to `server` and back; `open` counts those that are not done.
fn relay(server: SocketAddr, open: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            open.fetch_add(1, Ordering::SeqCst);
            let open = Arc::clone(&open);
            thread::spawn(move || {
                let server = TcpStream::connect(server).expect("it accepts");
                thread::scope(|scope| {
                    scope.spawn(|| copy(&stream, &server));
                    copy(&server, &stream);
                });
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    address
}

/// Copies until there is no more, and says so to the other side.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    to.set_nodelay(true).expect("the socket is open");
    // However it ends: nothing more comes.
    drop(io::copy(&mut from, &mut to));
    drop(to.shutdown(Shutdown::Write));
}

fn hyper() -> Running {
    let record = Record::default();
    let shared = Arc::clone(&record);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.set_nonblocking(true).expect("the socket is open");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("it listens");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_by_hyper(stream, Arc::clone(&shared)));
            }
        });
    });
    running(address, record)
}

async fn serve_by_hyper(stream: tokio::net::TcpStream, record: Record) {
    let shared = Arc::clone(&record);
    let service = service_fn(move |request: Request<Incoming>| {
        let record = Arc::clone(&shared);
        async move {
            let (head, body) = request.into_parts();
            let body = axum::body::to_bytes(axum::body::Body::new(body), usize::MAX).await;
            let seen = format!("{} {}", head.method, head.uri);
            if body.is_ok() {
                record.lock().expect("no holder panics").push(seen.clone());
            }
            let response = Response::builder().header(SEEN, seen).body(String::new());
            Ok::<_, Infallible>(response.expect("a target fits a field"))
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    // What is no request must not come either.
    if let Err(error) = served
        && error.is_parse()
    {
        let what = format!("bytes that are no request: {error}");
        record.lock().expect("no holder panics").push(what);
    }
}

fn tiny_http() -> Running {
    let record = Record::default();
    let shared = Arc::clone(&record);
    let server = tiny_http::Server::http("127.0.0.1:0").expect("a port is free");
    let address = server.server_addr().to_ip().expect("it is bound to one");
    thread::spawn(move || {
        for mut request in server.incoming_requests() {
            let mut body = Vec::new();
            let read = request.as_reader().read_to_end(&mut body);
            let seen = format!("{} {}", request.method(), request.url());
            let is_whole = request
                .body_length()
                .is_none_or(|length| length == body.len());
            if read.is_ok() && is_whole {
                shared.lock().expect("no holder panics").push(seen.clone());
            }
            let field = tiny_http::Header::from_bytes(SEEN, seen).expect("it fits a field");
            // A client that is gone needs no answer.
            drop(request.respond(tiny_http::Response::empty(200).with_header(field)));
        }
    });
    running(address, record)
}
