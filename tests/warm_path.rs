//! The promise of the data path: a request on a connection that is warm takes nothing from the
//! allocator, whatever it carries.
//!
//! A real shard runs in this process between a client and two backends that work in buffers of
//! their own, so every allocation that is counted is the shard's. What AWS-LC takes from C's malloc
//! does not come by this allocator; traced apart, sealing and opening a cookie took nothing there.
#![expect(
    clippy::disallowed_methods,
    reason = "the driver under test is said by the environment"
)]

use std::alloc::System;
use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use elbow::config::{Attributes, Driver, DurationPolicy, Stickiness};
use elbow::health::{View, id_hash};
use elbow::shard::{self, Start};
use elbow::state::{Admits, Backend, PerShard, Route, Snapshot};
use elbow::sticky::{Key, Seals};
use elbow::sys::{Link, Listeners, Listening, socket};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before the count: pools, the session table and both backends' connections are warm.
const WARM_UP_REQUESTS: usize = 500;

/// Requests that are counted. They take longer than several sweeps, whose work counts too.
const COUNTED_REQUESTS: usize = 5_000;

/// The body of a short answer.
const SHORT: usize = 128;

/// The body of a long one: more than the largest block holds.
const LONG: usize = 700 * 1024;

/// The body of a request that does not fit the block of its head.
const POSTED: usize = 100 * 1024;

/// Bytes that client and backends read at once.
const PIECE: usize = 64 * 1024;

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(15);

/// A kind of request.
struct Case {
    what: &'static str,
    request: Vec<u8>,
    answer_body: usize,
    /// Of [`COUNTED_REQUESTS`], one in so many: what is long takes its time.
    share: usize,
}

#[test]
fn a_request_on_a_warm_connection_allocates_nothing() {
    let address = start_shard(&[start_backend(), start_backend()]);
    let mut client = Client::connect(address);
    let cookie = client.new_cookie();
    let mut failed = Vec::new();
    for case in cases(&cookie) {
        let count = COUNTED_REQUESTS / case.share;
        client.ask_often(&case, WARM_UP_REQUESTS / case.share);
        let region = Region::new(ALLOCATOR);
        client.ask_often(&case, count);
        let change = region.change();
        let taken = change.allocations + change.reallocations;
        let what = case.what;
        say(&format!("{what}: {count} requests, {taken} allocations"));
        if taken > 0 || change.deallocations > 0 {
            failed.push((what, change));
        }
    }
    assert!(failed.is_empty(), "the shard allocated: {failed:#?}");
}

fn cases(cookie: &str) -> [Case; 5] {
    let get = |target: &str, cookie: &str| {
        format!("GET {target} HTTP/1.1\r\nHost: www.example.com\r\n{cookie}\r\n").into_bytes()
    };
    let bound = format!("Cookie: theme=dark; AWSELB={cookie}\r\n");
    let mut post = format!(
        "POST /short HTTP/1.1\r\nHost: www.example.com\r\n{bound}Content-Length: {POSTED}\r\n\r\n"
    )
    .into_bytes();
    post.resize(post.len() + POSTED, b'x');
    let mut chunked = format!(
        "POST /short HTTP/1.1\r\nHost: www.example.com\r\n{bound}Transfer-Encoding: chunked\r\n\r\n\
         {POSTED:x}\r\n"
    )
    .into_bytes();
    chunked.resize(chunked.len() + POSTED, b'x');
    chunked.extend_from_slice(b"\r\n0\r\n\r\n");
    let case = |what, request, answer_body, share| Case {
        what,
        request,
        answer_body,
        share,
    };
    [
        case("with the session's cookie", get("/short", &bound), SHORT, 1),
        case(
            "without a cookie, so with a new one",
            get("/short", ""),
            SHORT,
            1,
        ),
        case("a long answer", get("/long", &bound), LONG, 20),
        case("a long request", post, SHORT, 10),
        case("a long request in chunks", chunked, SHORT, 10),
    ]
}

/// Starts a shard with one listener, sticky by duration, before these backends; says where it
/// listens.
fn start_shard(backends: &[SocketAddr]) -> SocketAddr {
    let listener = socket::listen(([127, 0, 0, 1], 0).into()).expect("a port is free");
    let address = listener.local_addr().expect("the listener is bound");
    let policy = DurationPolicy::new("a-minute", NonZeroU32::new(60));
    let route = Route {
        listener: 0,
        load_balancer: "web".into(),
        counts: Arc::new(PerShard::new(1)),
        protocol: elbow::config::Protocol::Http,
        address,
        scope: 1,
        stickiness: Some(Arc::new(Stickiness::Duration(policy))),
        attributes: Arc::new(Attributes {
            idle_timeout: PATIENCE,
            ..Attributes::default()
        }),
        is_secure: false,
        proxy_networks: Arc::new([]),
        proxy_protocol: None,
        subject_header: None,
        backends: backends.iter().copied().map(in_service).collect(),
        view: Arc::new(View::default()),
    };
    let snapshot = Snapshot {
        epoch: 1,
        routes: vec![route],
        cuts: Vec::new(),
    };
    // Nobody reads the reports; a shard that has something to report is one with failures.
    let listening = Listening {
        number: 0,
        sockets: vec![listener],
        offer: None,
        terms: None,
    };
    let listeners = Listeners {
        version: 1,
        all: vec![Arc::new(listening)],
    };
    let (link, _) = Link::new(snapshot, listeners, 1);
    let key = Key {
        id: 1,
        secret: [5; 16],
    };
    let start = Start {
        index: 0,
        core: None,
        driver: driver(),
        seals: Seals::new(&[key]),
        session_window: PATIENCE,
        link,
        log: None,
    };
    let (started, starting) = mpsc::channel();
    // The shard runs until the process ends, as in the product.
    drop(shard::spawn(start, started).expect("a thread can be had"));
    let level = starting.recv().expect("the shard says whether it runs");
    let level = level.expect("the kernel grants the driver");
    say(&format!("driver {}", level.name()));
    address
}

fn in_service(address: SocketAddr) -> Backend {
    let id = address.to_string();
    Backend {
        id_hash: id_hash(&id),
        id: id.into(),
        address,
        slot: 0,
        admits: Admits::All,
        life: 1,
        weight: 1,
        born_ms: 0,
        is_over_bound: false,
        max_outstanding: None,
        counts: Arc::new(PerShard::new(1)),
    }
}

fn driver() -> Driver {
    match env::var("ELBOW_TEST_DRIVER").as_deref() {
        Ok("epoll") => Driver::Epoll,
        Ok("uring") => Driver::Uring,
        Ok("auto") | Err(_) => Driver::Auto,
        Ok(other) => panic!("ELBOW_TEST_DRIVER is {other}, not auto, uring or epoll"),
    }
}

/// A client's connection with the buffer that it reads into.
struct Client {
    stream: TcpStream,
    buffer: Box<[u8]>,
}

impl Client {
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the shard listens");
        stream.set_nodelay(true).expect("a TCP socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a TCP socket");
        Self {
            stream,
            buffer: vec![0; PIECE].into(),
        }
    }

    /// The value of the cookie that a first request gets.
    fn new_cookie(&mut self) -> String {
        let request = b"GET /short HTTP/1.1\r\nHost: www.example.com\r\n\r\n";
        let head_bytes = self.ask(request, SHORT);
        let head = String::from_utf8_lossy(&self.buffer[..head_bytes]);
        let (_, value) = head.split_once("AWSELB=").expect("a sticky listener");
        let (value, _) = value.split_once(';').expect("a cookie with attributes");
        value.to_owned()
    }

    fn ask_often(&mut self, case: &Case, count: usize) {
        for _ in 0..count {
            self.ask(&case.request, case.answer_body);
        }
    }

    /// Sends a request and reads its answer, whose body has so many bytes; the length of its head.
    fn ask(&mut self, request: &[u8], body_bytes: usize) -> usize {
        self.stream.write_all(request).expect("the shard reads");
        let (head_bytes, mut seen) = read_head(&mut self.stream, &mut self.buffer)
            .expect("the shard answers")
            .expect("the shard keeps the connection");
        assert!(self.buffer.starts_with(b"HTTP/1.1 200 "), "a 200");
        while seen < head_bytes + body_bytes {
            // The head stays where it is.
            let rest = &mut self.buffer[head_bytes..];
            let count = self.stream.read(rest).expect("the shard answers");
            assert!(count > 0, "the answer is whole");
            seen += count;
        }
        assert_eq!(seen, head_bytes + body_bytes, "one answer to one request");
        head_bytes
    }
}

/// Starts a backend that answers `/short` and `/long`, and says where it listens.
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
    let short = answer(SHORT);
    let long = answer(LONG);
    let mut buffer = vec![0; PIECE];
    while let Some((head_bytes, seen)) = read_head(&mut stream, &mut buffer)? {
        let head = &buffer[..head_bytes];
        let answer = if head.starts_with(b"GET /long ") {
            &long
        } else {
            &short
        };
        let mut left = body_bytes(head).saturating_sub(seen - head_bytes);
        while left > 0 {
            let count = stream.read(&mut buffer[..left.min(PIECE)])?;
            if count == 0 {
                return Ok(());
            }
            left -= count;
        }
        stream.write_all(answer)?;
    }
    Ok(())
}

fn answer(body_bytes: usize) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n"
    )
    .into_bytes();
    answer.resize(answer.len() + body_bytes, b'y');
    answer
}

/// The bytes of a request's body as this test's requests have it; chunks come as they were sent.
fn body_bytes(head: &[u8]) -> usize {
    let has = |text: &[u8]| head.windows(text.len()).any(|window| window == text);
    if has(b"Transfer-Encoding: chunked") {
        const FRAMING: usize = "19000\r\n".len() + "\r\n0\r\n\r\n".len();
        POSTED + FRAMING
    } else if has(b"Content-Length: ") {
        POSTED
    } else {
        0
    }
}

/// Reads until a whole head is in `buffer`: (its length, bytes read). `None` at the peer's end.
fn read_head(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<Option<(usize, usize)>> {
    let mut seen = 0;
    loop {
        let count = stream.read(&mut buffer[seen..])?;
        if count == 0 {
            return Ok(None);
        }
        seen += count;
        let end = buffer[..seen]
            .windows(4)
            .position(|window| window == b"\r\n\r\n");
        if let Some(at) = end {
            return Ok(Some((at + 4, seen)));
        }
    }
}

/// Past the test runner, which shows only what failed.
fn say(text: &str) {
    drop(writeln!(io::stderr(), "warm path: {text}"));
}
