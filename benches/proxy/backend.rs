//! The backend behind every rival: one epoll thread that answers a `GET` of each of [`BODIES`].
//!
//! Not an HTTP server: request bodies and heads beyond [`HEAD_BYTES_MAX`] are not supported. It
//! does as little as an honest keep-alive answer allows, since it shares a core with wrk.
//! Invariant: every answer carries the exact length of its body and the port that it came from.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::event::epoll::EventFlags;

use crate::poll::{Batch, Poll, Slots, listen};

/// What can be asked for: the path and the bytes of body that come back.
pub(crate) const BODIES: [(&str, usize); 4] = [
    ("/128", 128),
    ("/16k", 16 * 1024),
    ("/1m", 1024 * 1024),
    ("/16m", 16 * 1024 * 1024),
];

/// The field that tells which backend answered: its port.
pub(crate) const IDENTITY_FIELD: &str = "X-Backend";

/// Longest request head. Beyond it the connection is closed.
const HEAD_BYTES_MAX: usize = 4096;

/// Most fields in a request head. Beyond it the connection is closed.
const FIELDS_MAX: usize = 64;

/// Serves on all of `addresses` until the process is killed.
///
/// # Errors
/// If a socket cannot be opened or epoll fails. One connection's error closes only that one.
pub(crate) fn serve(addresses: &[SocketAddr]) -> io::Result<()> {
    let listeners: Vec<TcpListener> = addresses
        .iter()
        .map(|&address| listen(address))
        .collect::<io::Result<_>>()?;
    let answers: Vec<Answers> = addresses.iter().map(|a| Answers::new(a.port())).collect();
    let poll = Poll::new()?;
    let mut batch = Batch::new();
    let mut connections = Slots::new(listeners.len());
    for (token, listener) in listeners.iter().enumerate() {
        poll.add(listener, token, EventFlags::IN)?;
    }
    loop {
        poll.wait(&mut batch)?;
        for (token, _) in batch.iter() {
            if let Some(listener) = listeners.get(token) {
                let Ok((stream, _)) = listener.accept() else {
                    continue;
                };
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let token = connections.insert(Connection::new(stream, token));
                poll.add(&connections[token].stream, token, EventFlags::IN)?;
                continue;
            }
            let Some(connection) = connections.get_mut(token) else {
                continue;
            };
            let watched = connection.wanted();
            let Ok(true) = connection.advance(&answers[connection.listener]) else {
                connections.remove(token);
                continue;
            };
            if connection.wanted() != watched {
                poll.modify(&connection.stream, token, connection.wanted())?;
            }
        }
        connections.recycle();
    }
}

/// The answers of one backend, made once, each as it goes on the wire.
struct Answers {
    keeping: Vec<&'static [u8]>,
    closing: Vec<&'static [u8]>,
    not_found: &'static [u8],
}

impl Answers {
    /// Leaks the answers: they live as long as the process.
    fn new(port: u16) -> Self {
        let answer = |status: &str, body_bytes: usize, connection: &str| -> &'static [u8] {
            let mut wire = format!(
                "HTTP/1.1 {status}\r\nServer: bench\r\nContent-Type: application/octet-stream\r\n\
                 Content-Length: {body_bytes}\r\n{IDENTITY_FIELD}: {port}\r\n{connection}\r\n"
            )
            .into_bytes();
            wire.resize(wire.len() + body_bytes, b'x');
            wire.leak()
        };
        Self {
            keeping: BODIES
                .iter()
                .map(|&(_, bytes)| answer("200 OK", bytes, ""))
                .collect(),
            closing: BODIES
                .iter()
                .map(|&(_, bytes)| answer("200 OK", bytes, "Connection: close\r\n"))
                .collect(),
            not_found: answer("404 Not Found", 0, ""),
        }
    }

    fn to(&self, request: &Request) -> &'static [u8] {
        match request.body_index {
            Some(index) if request.wants_close => self.closing[index],
            Some(index) => self.keeping[index],
            None => self.not_found,
        }
    }
}

/// What of a request head matters here.
struct Request {
    head_bytes: usize,
    body_index: Option<usize>,
    wants_close: bool,
}

impl Request {
    /// Reads the first head in `bytes`; `None` if it is not complete.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut head = httparse::Request::new(&mut fields);
        let status = head.parse(bytes).map_err(io::Error::other)?;
        let httparse::Status::Complete(head_bytes) = status else {
            return Ok(None);
        };
        let wants_close = head.headers.iter().any(|field| {
            field.name.eq_ignore_ascii_case("connection")
                && field.value.eq_ignore_ascii_case(b"close")
        });
        let body_index = BODIES.iter().position(|&(path, _)| head.path == Some(path));
        Ok(Some(Self {
            head_bytes,
            body_index,
            wants_close,
        }))
    }
}

/// One connection from a rival. `received[..received_bytes]` is not yet answered.
struct Connection {
    stream: TcpStream,
    listener: usize,
    received: Box<[u8; HEAD_BYTES_MAX]>,
    received_bytes: usize,
    unsent: &'static [u8],
    is_closing: bool,
}

impl Connection {
    fn new(stream: TcpStream, listener: usize) -> Self {
        Self {
            stream,
            listener,
            received: Box::new([0; HEAD_BYTES_MAX]),
            received_bytes: 0,
            unsent: &[],
            is_closing: false,
        }
    }

    /// What it waits for.
    fn wanted(&self) -> EventFlags {
        if self.unsent.is_empty() {
            EventFlags::IN
        } else {
            EventFlags::OUT
        }
    }

    /// Does what the socket allows now; `false` when the connection is finished.
    fn advance(&mut self, answers: &Answers) -> io::Result<bool> {
        if self.unsent.is_empty() {
            let free = &mut self.received[self.received_bytes..];
            match self.stream.read(free) {
                Ok(0) => return Ok(false),
                Ok(bytes) => self.received_bytes += bytes,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        loop {
            if !self.send()? {
                return Ok(true);
            }
            if self.is_closing {
                return Ok(false);
            }
            let Some(request) = Request::parse(&self.received[..self.received_bytes])? else {
                return Ok(true);
            };
            self.received
                .copy_within(request.head_bytes..self.received_bytes, 0);
            self.received_bytes -= request.head_bytes;
            self.unsent = answers.to(&request);
            self.is_closing = request.wants_close;
        }
    }

    /// Sends what is due; `false` if the socket takes no more for now.
    fn send(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.stream.write(self.unsent) {
                Ok(bytes) => self.unsent = &self.unsent[bytes..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
