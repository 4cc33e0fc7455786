//! A backend: it says its name, and gives a cookie to whoever has none.
//!
//! A process of its own, so that its death is a real one: the kernel resets its connections and
//! refuses new ones.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The application's own cookie.
pub(crate) const COOKIE: &str = "app";

/// The field that names the backend.
pub(crate) const NAME_FIELD: &str = "X-Backend";

/// Where health checks go.
pub(crate) const HEALTH_PATH: &str = "/health";

/// How long a request is worked on, so that the kill meets some of them.
const WORK: Duration = Duration::from_millis(5);

/// Stack of a connection's thread: there are many, and they call little.
const STACK_BYTES: usize = 128 * 1024;

/// The number of cookies that were given out.
static COOKIES: AtomicU64 = AtomicU64::new(0);

/// Serves until the process is ended.
///
/// # Errors
/// If it cannot listen, or starts no thread any more.
pub(crate) fn serve(name: &str, address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    for stream in listener.incoming().map_while(Result::ok) {
        let name = name.to_owned();
        thread::Builder::new()
            .stack_size(STACK_BYTES)
            // How a connection ends is seen by the other end.
            .spawn(move || drop(converse(&name, &stream)))?;
    }
    Ok(())
}

fn converse(name: &str, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(head) = read_head(&mut reader)? {
        let is_check = head.contains(HEALTH_PATH);
        if !is_check {
            thread::sleep(WORK);
        }
        let cookie = if is_check || head.contains(&format!("{COOKIE}=")) {
            String::new()
        } else {
            let number = COOKIES.fetch_add(1, Ordering::Relaxed);
            format!("Set-Cookie: {COOKIE}={name}-{number}; Path=/\r\n")
        };
        let answer =
            format!("HTTP/1.1 200 OK\r\n{NAME_FIELD}: {name}\r\n{cookie}Content-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// Reads the head of a message; `None` if the other end closed in front of it.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        let line_start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return match head.is_empty() {
                true => Ok(None),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            };
        }
        if head[line_start..].trim_end().is_empty() {
            return Ok(Some(head));
        }
    }
}
