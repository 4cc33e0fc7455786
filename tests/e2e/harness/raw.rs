//! A backend of bytes: whatever a connection says, the test that started it answers.
//!
//! Only connections that begin with a question mark, a PROXY header or a TLS handshake are for the
//! test. Others are health checks (`TCP:port`), or come from elsewhere to whoever had this port
//! before: they are closed.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

use super::PATIENCE;

/// How many connections may wait to be accepted.
const ACCEPT_QUEUE: i32 = 1024;

/// The first byte of a TLS connection.
const HANDSHAKE_RECORD: u8 = 22;

type Handler = dyn Fn(TcpStream) + Send + Sync;

/// A backend that counts its connections.
pub(crate) struct RawBackend {
    pub(crate) address: SocketAddr,
    count: Arc<AtomicUsize>,
    is_stopped: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
    /// Keeps the port from everybody else, also once nobody listens on it.
    _placeholder: Socket,
}

impl RawBackend {
    /// Hands each connection to `handler` on a thread of its own, once it has said something.
    pub(crate) fn with(handler: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let placeholder = bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = placeholder.local_addr().expect("it is bound");
        let address = address.as_socket().expect("it is one of IP");
        let listener = bound(address);
        listener.listen(ACCEPT_QUEUE).expect("it is bound");
        let listener = TcpListener::from(listener);
        let count = Arc::new(AtomicUsize::new(0));
        let is_stopped = Arc::new(AtomicBool::new(false));
        let handler: Arc<Handler> = Arc::new(handler);
        let (counted, stopped) = (Arc::clone(&count), Arc::clone(&is_stopped));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (handler, counted) = (Arc::clone(&handler), Arc::clone(&counted));
                thread::spawn(move || serve(stream, &counted, &*handler));
            }
        });
        Self {
            address,
            count,
            is_stopped,
            acceptor: Some(acceptor),
            _placeholder: placeholder,
        }
    }

    /// Hands each connection to the test.
    pub(crate) fn held() -> (Self, Receiver<TcpStream>) {
        let (sender, streams) = mpsc::channel();
        // A test that has ended takes no more of them.
        let backend = Self::with(move |stream| drop(sender.send(stream)));
        (backend, streams)
    }

    /// Answers the first bytes with its name, and ends.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::with(move |mut stream| {
            // A client that is gone needs no answer.
            drop(stream.read(&mut [0; 64]));
            drop(stream.write_all(name.as_bytes()));
            drop(stream.shutdown(Shutdown::Write));
            drop(io::copy(&mut stream, &mut io::sink()));
        })
    }

    /// How many connections have said something.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Stops listening, so that connections are refused; those that are open go on.
    pub(crate) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.is_stopped.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which drops the listener.
        drop(TcpStream::connect_timeout(&self.address, PATIENCE));
        acceptor.join().expect("the acceptor does not panic");
    }
}

impl Drop for RawBackend {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A socket on that address, beside others that are bound to it in this way.
fn bound(address: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket
        .set_reuse_port(true)
        .and_then(|()| socket.bind(&address.into()))
        .expect("a port is free");
    socket
}

fn serve(stream: TcpStream, counted: &AtomicUsize, handler: &Handler) {
    patient(&stream);
    let mut first = [0];
    if matches!(stream.peek(&mut first), Ok(1)) && matches!(first, [b'?' | b'P' | HANDSHAKE_RECORD])
    {
        counted.fetch_add(1, Ordering::SeqCst);
        handler(stream);
    }
}

/// A connection to that address, with deadlines. One that is reset at once may already be so by the
/// time that it is told to be open.
pub(crate) fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    patient(&stream);
    Ok(stream)
}

/// Lets nothing on the connection take longer than a test waits.
fn patient(stream: &TcpStream) {
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .expect("the timeout is not zero");
}
