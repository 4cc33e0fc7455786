//! The backends: each does a bounded amount of work at once, and less of it the more it is given
//! beyond that, as applications do that run out of threads, connections or memory.
//!
//! Not a measure of speed: its work is to wait. Invariant: every answer is the one that was asked
//! for, however busy it is.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// How many requests it works on at once without becoming slower.
pub(crate) const CAPACITY: usize = 16;

/// How long one of them takes then.
const SERVICE_TIME: Duration = Duration::from_millis(10);

/// Longest request head. Beyond it the connection is closed.
const HEAD_BYTES_MAX: usize = 4096;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright";

/// What all backends have seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Answers given.
    pub(crate) answers: AtomicUsize,
    /// The most requests that any of them had at once.
    pub(crate) most_at_once: AtomicUsize,
}

/// Starts a backend and says where it listens.
///
/// # Errors
/// If no port can be had.
pub(crate) fn start(seen: &Arc<Seen>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let (seen, at_once) = (Arc::clone(seen), Arc::new(AtomicUsize::new(0)));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (seen, at_once) = (Arc::clone(&seen), Arc::clone(&at_once));
            // wrk sees how a connection ends.
            thread::spawn(move || drop(serve(stream, &seen, &at_once)));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, seen: &Seen, at_once: &AtomicUsize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0; HEAD_BYTES_MAX];
    let mut length = 0;
    while length < head.len() {
        let count = stream.read(&mut head[length..])?;
        if count == 0 {
            break;
        }
        length += count;
        if !head[..length].ends_with(b"\r\n\r\n") {
            continue;
        }
        length = 0;
        let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
        seen.most_at_once.fetch_max(now, Ordering::SeqCst);
        thread::sleep(service_time(now));
        at_once.fetch_sub(1, Ordering::SeqCst);
        seen.answers.fetch_add(1, Ordering::SeqCst);
        stream.write_all(ANSWER)?;
    }
    Ok(())
}

/// Beyond the capacity each request takes longer by the square of how far: at four times as many,
/// sixteen times as long, so that a quarter of the work is done.
fn service_time(at_once: usize) -> Duration {
    let over = at_once.max(CAPACITY);
    let factor = u32::try_from(over * over).unwrap_or(u32::MAX);
    let whole = u32::try_from(CAPACITY * CAPACITY).expect("it is small");
    SERVICE_TIME * factor / whole
}
