//! One connection with HTTP/1.1 on it, seen from either end. Blocking, with deadlines.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustls::{ClientConnection, ServerConnection, Stream};

use super::PATIENCE;
use super::message::{Framing, Head, Response};

/// A connection and the bytes that were received and not yet looked at.
pub(crate) struct Wire {
    pub(super) stream: TcpStream,
    /// The session, if the connection is one of TLS.
    pub(crate) tls: Option<Box<ClientConnection>>,
    /// The session, if it is one of TLS and this is the server's end.
    pub(crate) served: Option<Box<ServerConnection>>,
    received: Vec<u8>,
    /// Where a read puts its bytes.
    block: Box<[u8]>,
}

impl Wire {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, PATIENCE);
        Self::new(stream.unwrap_or_else(|error| panic!("cannot connect to {address}: {error}")))
    }

    pub(crate) fn new(stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("the timeout is not zero");
        stream
            .set_write_timeout(Some(PATIENCE))
            .expect("the timeout is not zero");
        stream.set_nodelay(true).expect("the socket is open");
        Self {
            stream,
            tls: None,
            served: None,
            received: Vec::new(),
            block: vec![0; 64 * 1024].into(),
        }
    }

    /// The address of this end.
    pub(crate) fn local_address(&self) -> SocketAddr {
        self.stream.local_addr().expect("the socket is open")
    }

    /// The connection below.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The connection below, and nothing of what was on it.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// A second handle of the same connection, to send and receive at once. Nothing may have been
    /// received beyond what was read.
    pub(crate) fn twin(&self) -> Self {
        assert!(
            self.received.is_empty(),
            "received bytes would be lost to the twin"
        );
        Self::new(self.stream.try_clone().expect("a descriptor is free"))
    }

    /// Sends all bytes; fails the test if the other end is gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the other end reads");
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let bytes = bytes.as_ref();
        match (&mut self.tls, &mut self.served) {
            (None, None) => self.stream.write_all(bytes),
            (Some(session), _) => {
                let mut tls = Stream::new(session.as_mut(), &mut self.stream);
                tls.write_all(bytes).and_then(|()| tls.flush())
            }
            (_, Some(session)) => {
                let mut tls = Stream::new(session.as_mut(), &mut self.stream);
                tls.write_all(bytes).and_then(|()| tls.flush())
            }
        }
    }

    /// Ends the sending direction only.
    pub(crate) fn finish(&self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("the connection is open");
    }

    /// Sends one request and reads its response.
    pub(crate) fn ask(&mut self, request: &str) -> Response {
        self.send(request);
        self.response_to(request)
    }

    /// Reads the next response; `request` says whether a body follows.
    pub(crate) fn response_to(&mut self, request: &str) -> Response {
        let method = request.split(' ').next().unwrap_or_default();
        self.try_response(method)
            .unwrap_or_else(|error| panic!("no whole response: {error}"))
    }

    pub(crate) fn try_response(&mut self, method: &str) -> io::Result<Response> {
        let closed = || io::Error::new(ErrorKind::UnexpectedEof, "closed before a response");
        let head = self.read_head()?.ok_or_else(closed)?;
        let framing = head.response_framing(method);
        let (body, trailers) = self.read_body(framing)?;
        Ok(Response {
            head,
            body,
            trailers,
        })
    }

    /// Reads a head; `None` if the other end closed in front of it.
    pub(crate) fn read_head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(at) = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n")
            {
                let text = String::from_utf8_lossy(&self.received[..at + 4]).into_owned();
                self.received.drain(..at + 4);
                return Ok(Some(Head { text }));
            }
            if !self.receive()? {
                let is_clean = self.received.is_empty();
                return if is_clean {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// Reads a body and its trailers.
    pub(crate) fn read_body(&mut self, framing: Framing) -> io::Result<(Vec<u8>, String)> {
        let mut body = Vec::new();
        let trailers = self.walk_body(framing, &mut |piece| body.extend_from_slice(piece))?;
        Ok((body, trailers))
    }

    /// Hands the body to `sink` piece by piece, keeps none of it and gives back the trailers.
    pub(crate) fn walk_body(
        &mut self,
        framing: Framing,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<String> {
        match framing {
            Framing::Length(length) => self.walk_length(length, sink)?,
            Framing::UntilClose => {
                while self.receive()? {
                    sink(&self.received);
                    self.received.clear();
                }
                sink(&std::mem::take(&mut self.received));
            }
            Framing::Chunked => return self.walk_chunks(sink),
        }
        Ok(String::new())
    }

    fn walk_length(&mut self, length: u64, sink: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            if self.received.is_empty() && !self.receive()? {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "the body is cut short",
                ));
            }
            let count = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.received.len());
            sink(&self.received[..count]);
            self.received.drain(..count);
            left -= count as u64;
        }
        Ok(())
    }

    fn walk_chunks(&mut self, sink: &mut dyn FnMut(&[u8])) -> io::Result<String> {
        loop {
            let line = self.read_line()?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(digits, 16)
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            if size == 0 {
                break;
            }
            self.walk_length(size, sink)?;
            let end = self.read_line()?;
            if end != "\r\n" {
                let what = format!("a chunk ends with {end:?}");
                return Err(io::Error::new(ErrorKind::InvalidData, what));
            }
        }
        let mut trailers = String::new();
        loop {
            let line = self.read_line()?;
            if line == "\r\n" {
                return Ok(trailers);
            }
            trailers.push_str(&line);
        }
    }

    fn read_line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=at).collect();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if !self.receive()? {
                return Err(io::Error::new(
                    ErrorKind::UnexpectedEof,
                    "cut short in a line",
                ));
            }
        }
    }

    /// Waits for the other end to close, or to reset, and fails if it sends anything before.
    pub(crate) fn expect_close(&mut self) {
        let end = self.receive();
        let text = String::from_utf8_lossy(&self.received);
        match end {
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Ok(true) => panic!("bytes instead of a close: {text:?}"),
            Err(error) => panic!("not closed: {error}"),
        }
        assert!(text.is_empty(), "bytes before the close: {text:?}");
    }

    /// Receives some bytes; false at the end.
    fn receive(&mut self) -> io::Result<bool> {
        // Over TLS an end without close_notify is an error.
        let (stream, block) = (&mut self.stream, &mut self.block);
        let count = match (&mut self.tls, &mut self.served) {
            (None, None) => stream.read(block)?,
            (Some(session), _) => Stream::new(session.as_mut(), stream).read(block)?,
            (_, Some(session)) => Stream::new(session.as_mut(), stream).read(block)?,
        };
        self.received.extend_from_slice(&self.block[..count]);
        Ok(count > 0)
    }
}
