//! The backend: reads requests, tells of each, and answers as its target says. Whatever it gets
//! must be one whole request that nothing follows.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use crate::answer::Answer;

/// A whole request that reached the backend.
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Its content, without chunks.
    pub(crate) content: Vec<u8>,
}

/// Starts a backend; says where it listens and what it sees.
pub(crate) fn start() -> (SocketAddr, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (sender, seen) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            // How a connection ends, elbow sees.
            thread::spawn(move || drop(serve(stream, &sender)));
        }
    });
    (address, seen)
}

fn serve(mut stream: TcpStream, seen: &Sender<Seen>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut received = Vec::new();
    loop {
        let head = loop {
            if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
                break received.drain(..at + 4).collect::<Vec<u8>>();
            }
            receive(&mut stream, &mut received)?;
        };
        let head = String::from_utf8(head).expect("the client sends ASCII");
        let content = loop {
            if let Some(content) = content(&head, &received) {
                break content;
            }
            receive(&mut stream, &mut received)?;
        };
        received.clear();
        let mut words = head.split(' ').map(str::to_owned);
        let method = words.next().expect("a request line");
        let target = words.next().expect("a request line");
        expect_sound(&head);
        let answer = target
            .rsplit('/')
            .next()
            .and_then(|number| number.parse::<usize>().ok());
        let answer = Answer::ALL[answer.unwrap_or_else(|| panic!("nobody asks {target:?}"))];
        let is_head = method == "HEAD";
        let bytes = answer.bytes(&target, is_head);
        // The play may be over.
        drop(seen.send(Seen {
            method,
            target,
            content,
        }));
        stream.write_all(&bytes)?;
        if answer.closes(is_head) {
            return stream.shutdown(Shutdown::Both);
        }
        if answer.spoils() {
            let more = receive(&mut stream, &mut received);
            assert!(more.is_err(), "a request behind {answer:?}");
            return Ok(());
        }
    }
}

/// Receives some bytes; an error at the end of the connection, and of a request that is not whole.
fn receive(stream: &mut TcpStream, into: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                into.extend_from_slice(&piece[..count]);
                return Ok(());
            }
            // libFuzzer's clock.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The content of a request, of which so much has come; `None`: not all of it. Panics if more has
/// come than belongs to it, as nobody pipelines to a backend.
fn content(head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let lower = head.to_ascii_lowercase();
    let length = lower.split_once("\r\ncontent-length: ").map(|(_, rest)| {
        let digits = rest.split("\r\n").next().expect("a line has an end");
        digits.parse::<usize>().expect("elbow passes on numbers")
    });
    let (content, rest) = if lower.contains("\r\ntransfer-encoding: chunked\r\n") {
        unchunked(body)?
    } else {
        let (content, rest) = body.split_at_checked(length.unwrap_or(0))?;
        (content.to_vec(), rest)
    };
    assert!(
        rest.is_empty(),
        "behind {head:?} stands {:?}",
        rest.escape_ascii().to_string()
    );
    Some(content)
}

/// The data of chunks as the client writes them, and what stands behind the last.
fn unchunked(mut body: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut content = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n")?;
        let line = String::from_utf8_lossy(&body[..end]);
        let digits = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(digits, 16).expect("elbow passes on sizes");
        body = &body[end + 2..];
        if size == 0 {
            return Some((content, body.strip_prefix(b"A: b\r\n\r\n")?));
        }
        content.extend_from_slice(body.get(..size)?);
        body = body.get(size + 2..)?;
    }
}

/// What holds for every head that reaches a backend.
fn expect_sound(head: &str) {
    let lower = head.to_ascii_lowercase();
    let count = |name: &str| lower.matches(&format!("\r\n{name}:")).count();
    let framing = count("content-length") + count("transfer-encoding");
    assert!(framing <= 1, "{head}");
    for name in ["host", "connection", "x-forwarded-for", "x-forwarded-proto"] {
        assert_eq!(count(name), 1, "{name} in {head}");
    }
    for name in ["x-hop", "expect", "te", "keep-alive", "content_length"] {
        assert_eq!(count(name), 0, "{name} in {head}");
    }
}
