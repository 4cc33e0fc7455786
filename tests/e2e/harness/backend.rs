//! A backend under control: a real HTTP/1.1 server on threads that records what reaches it.
//!
//! Health checks (`/health`) and the requests by which a test finds out that a backend is in
//! service (`/in-service`) are answered apart and not recorded.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use rustix::net::connect_unspec;
use rustls::{HandshakeKind, ServerConfig, ServerConnection};

use super::message::Head;
use super::tls::Site;
use super::wire::Wire;
use super::{PATIENCE, eventually};

/// What a backend got.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) head: Head,
    /// The whole body; empty in a streaming backend, whose handler reads it.
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: String,
    /// Which connection of this backend it came on, from 0.
    pub(crate) connection: usize,
    /// How many requests came before it on that connection.
    pub(crate) before: usize,
    /// The name that was asked for over TLS (SNI), if any was.
    pub(crate) server_name: Option<String>,
    /// Whether it came on a session of TLS that goes on from an earlier one.
    pub(crate) is_resumed: bool,
}

/// What becomes of the connection after a response.
pub(crate) enum After {
    Keep,
    Close,
    /// It is reset, with no end before it.
    Reset,
    /// The handler has given it to somebody else.
    Leave,
}

type Handler = dyn Fn(&Request, &mut Wire) -> io::Result<After> + Send + Sync;

/// A backend with its record.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    handler: Box<Handler>,
    reads_bodies: bool,
    /// What it shakes hands with; `None`: it speaks in clear.
    tls: Mutex<Option<Arc<ServerConfig>>>,
    is_stopped: AtomicBool,
    fails_checks: AtomicBool,
    was_reached: AtomicBool,
    connection_count: AtomicUsize,
    connections: Mutex<Vec<TcpStream>>,
    requests: Mutex<Vec<Request>>,
}

impl Backend {
    /// Answers every request with 200 and its name.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::with(move |_, wire| reply(wire, name))
    }

    /// Answers with its name as well, and gives a cookie `app` to whoever has none.
    pub(crate) fn application(name: &'static str) -> Self {
        Self::with(move |request, wire| {
            let cookies = request.head.fields("Cookie").join("; ");
            if cookies.split("; ").any(|pair| pair.starts_with("app=")) {
                return reply(wire, name);
            }
            let length = name.len();
            wire.try_send(format!(
                "HTTP/1.1 200 OK\r\nSet-Cookie: app={name}; Path=/\r\n\
                 Content-Length: {length}\r\n\r\n{name}"
            ))?;
            Ok(After::Keep)
        })
    }

    /// Reads each request whole, then lets `handler` answer.
    pub(crate) fn with(
        handler: impl Fn(&Request, &mut Wire) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        Self::at("127.0.0.1:0", handler)
    }

    /// As [`Backend::with`], where the test says.
    pub(crate) fn at(
        address: &str,
        handler: impl Fn(&Request, &mut Wire) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        Self::start(address, Box::new(handler), true)
    }

    /// As [`Backend::with`], over TLS.
    pub(crate) fn secure(
        site: &Site,
        handler: impl Fn(&Request, &mut Wire) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        let backend = Self::with(handler);
        backend.show(site);
        backend
    }

    /// From now on new connections see this certificate.
    pub(crate) fn show(&self, site: &Site) {
        *lock(&self.shared.tls) = Some(site.server_config());
    }

    /// Reads each head, then lets `handler` read the body and answer.
    pub(crate) fn streaming(
        handler: impl Fn(&Request, &mut Wire) -> io::Result<After> + Send + Sync + 'static,
    ) -> Self {
        Self::start("127.0.0.1:0", Box::new(handler), false)
    }

    fn start(address: &str, handler: Box<Handler>, reads_bodies: bool) -> Self {
        let shared = Arc::new(Shared {
            handler,
            reads_bodies,
            tls: Mutex::default(),
            is_stopped: AtomicBool::new(false),
            fails_checks: AtomicBool::new(false),
            was_reached: AtomicBool::new(false),
            connection_count: AtomicUsize::new(0),
            connections: Mutex::default(),
            requests: Mutex::default(),
        });
        let listener = TcpListener::bind(address).expect("the port is free");
        let address = listener.local_addr().expect("the listener is bound");
        let acceptor = Some(shared.accept_on(listener));
        Self {
            address,
            shared,
            acceptor,
        }
    }

    /// Stops listening and ends all connections, also those with a request on them.
    pub(crate) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.shared.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which drops the listener.
        drop(TcpStream::connect_timeout(&self.address, PATIENCE));
        acceptor.join().expect("the acceptor does not panic");
        for connection in lock(&self.shared.connections).drain(..) {
            // An error means that it is closed already.
            drop(connection.shutdown(Shutdown::Both));
        }
    }

    /// Listens on the same port again.
    pub(crate) fn restart(&mut self) {
        self.shared.is_stopped.store(false, Ordering::SeqCst);
        let listener = TcpListener::bind(self.address).expect("the port is still ours");
        self.acceptor = Some(self.shared.accept_on(listener));
    }

    /// Answers health checks with 503, or with 200 again.
    pub(crate) fn fail_checks(&self, fails: bool) {
        self.shared.fails_checks.store(fails, Ordering::SeqCst);
    }

    /// What came so far, in order of arrival.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The last request that came.
    pub(crate) fn last(&self) -> Request {
        self.requests().pop().expect("a request came")
    }

    pub(crate) fn count(&self) -> usize {
        lock(&self.shared.requests).len()
    }

    pub(crate) fn forget(&self) {
        lock(&self.shared.requests).clear();
    }

    /// Whether a request for `/in-service` came since this was asked last.
    pub(crate) fn take_reached(&self) -> bool {
        self.shared.was_reached.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn accept_on(self: &Arc<Self>, listener: TcpListener) -> JoinHandle<()> {
        let shared = Arc::clone(self);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(twin) = stream.try_clone() else {
                    continue;
                };
                lock(&shared.connections).push(twin);
                let shared = Arc::clone(&shared);
                // How a connection ends is seen by the client.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        })
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let connection = self.connection_count.fetch_add(1, Ordering::SeqCst);
        let twin = stream.try_clone()?;
        let mut wire = Wire::new(stream);
        if let Some(config) = &*lock(&self.tls) {
            let session = ServerConnection::new(Arc::clone(config));
            wire.served = Some(Box::new(session.map_err(io::Error::other)?));
        }
        // An idle upstream connection is elbow's to close.
        twin.set_read_timeout(None)?;
        let mut before = 0;
        let result = loop {
            let head = match wire.read_head() {
                Ok(Some(head)) => head,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if let Some(status) = self.apart(&head) {
                wire.try_send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"))?;
                continue;
            }
            let (body, trailers) = if self.reads_bodies {
                wire.read_body(head.request_framing())?
            } else {
                Default::default()
            };
            let request = Request {
                head,
                body,
                trailers,
                connection,
                before,
                server_name: wire
                    .served
                    .as_ref()
                    .and_then(|s| s.server_name())
                    .map(Into::into),
                is_resumed: wire.served.as_ref().and_then(|s| s.handshake_kind())
                    == Some(HandshakeKind::Resumed),
            };
            before += 1;
            lock(&self.requests).push(request.clone());
            match (self.handler)(&request, &mut wire) {
                Ok(After::Keep) => {}
                Ok(After::Leave) => return Ok(()),
                Ok(After::Close) => break wire.announce_end(),
                // Not by a close, as the record of connections holds a handle too.
                Ok(After::Reset) => break Ok(connect_unspec(&twin)?),
                Err(error) => break Err(error),
            }
        };
        // The record of connections holds a handle too, so dropping ours would not end it.
        drop(twin.shutdown(Shutdown::Both));
        result
    }

    /// The status for a request that is not recorded.
    fn apart(&self, head: &Head) -> Option<&'static str> {
        match head.target() {
            "/health" if self.fails_checks.load(Ordering::SeqCst) => Some("503 Ill"),
            "/health" => Some("200 OK"),
            "/in-service" => {
                self.was_reached.store(true, Ordering::SeqCst);
                Some("200 OK")
            }
            _ => None,
        }
    }
}

/// Sends a 200 with that body.
pub(crate) fn reply(wire: &mut Wire, body: &str) -> io::Result<After> {
    let length = body.len();
    wire.try_send(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}"
    ))?;
    Ok(After::Keep)
}

/// Holds handlers back until a test lets them go.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<GateState>, Condvar)>);

#[derive(Default)]
struct GateState {
    is_open: bool,
    waiting: usize,
}

impl Gate {
    /// Waits until the gate is open.
    pub(crate) fn pass(&self) {
        let mut state = lock(&self.0.0);
        state.waiting += 1;
        while !state.is_open {
            state = self.0.1.wait(state).expect("no holder panics");
        }
        state.waiting -= 1;
    }

    pub(crate) fn open(&self) {
        lock(&self.0.0).is_open = true;
        self.0.1.notify_all();
    }

    /// Waits until that many handlers stand at the gate.
    pub(crate) fn expect_waiting(&self, count: usize) {
        eventually("requests held by the backend", || {
            lock(&self.0.0).waiting == count
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}
