//! The stage: a shard between a client and the backend, for as long as the process runs; and
//! somebody else, whose answers tell how far the shard has come.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use elbow::config::Driver;
use elbow::http::Reply;
use elbow::shard::{self, Start};
use elbow::state::{Admits, ShardLine, Snapshot};
use elbow::sticky::{Key, Seals};
use elbow::sys::{Instant, Link, Listeners, Listening, socket};

use crate::backend::{self, Seen};
use crate::route::{backend as in_service, route};
use crate::script::Script;

/// How long anything may take; what takes longer is a finding.
const PATIENCE: Duration = Duration::from_secs(8);

/// A client sends so many pieces, and then the rest.
const PIECES_MAX: usize = 40;

/// After so many plays it is looked whether anything is still held, and after the first.
const PLAYS_PER_LOOK: u32 = 256;

pub(crate) struct Stage {
    address: SocketAddr,
    link: Arc<Link>,
    seen: Receiver<Seen>,
    /// Somebody whose requests elbow answers by itself.
    bystander: TcpStream,
    plays: u32,
}

/// What came of a script.
pub(crate) struct Played {
    /// What the client got.
    pub(crate) received: Vec<u8>,
    /// Its connection was reset.
    pub(crate) is_reset: bool,
    /// What the backend got, in order.
    pub(crate) seen: Vec<Seen>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let (backend, seen) = backend::start();
        let open = || socket::listen(([127, 0, 0, 1], 0).into()).expect("a port is free");
        let listeners = [open(), open()];
        let [address, nobody] = listeners.each_ref().map(local);
        let backends = vec![in_service("i-1", backend, Admits::All)];
        let snapshot = Snapshot {
            epoch: 1,
            routes: vec![
                route(0, address, None, backends),
                route(1, nobody, None, Vec::new()),
            ],
            cuts: Vec::new(),
        };
        let listening = listeners.into_iter().enumerate().map(|(number, listener)| {
            Arc::new(Listening {
                number,
                sockets: vec![listener],
                offer: None,
                terms: None,
            })
        });
        let listeners = Listeners {
            version: 1,
            all: listening.collect(),
        };
        // Nobody reads the reports; the backend can always be reached.
        let (link, _) = Link::new(snapshot, listeners, 1);
        let start = Start {
            index: 0,
            core: None,
            driver: Driver::Auto,
            seals: Seals::new(&[Key {
                id: 1,
                secret: [1; 16],
            }]),
            session_window: PATIENCE,
            link: Arc::clone(&link),
            log: None,
        };
        let (started, starting) = mpsc::channel();
        // It runs until the process ends, as in the product.
        drop(shard::spawn(start, started).expect("a thread can be had"));
        let level = starting.recv().expect("the shard says whether it runs");
        level.expect("the kernel grants a driver");
        Self {
            address,
            link,
            seen,
            bystander: dial(nobody),
            plays: 0,
        }
    }

    /// The number of the play to come.
    pub(crate) fn next_play(&self) -> u32 {
        self.plays
    }

    pub(crate) fn play(&mut self, script: &Script) -> Played {
        let mut client = dial(self.address);
        let mut rest = script.wire.as_slice();
        let mut is_reset = false;
        let lengths = script.pieces.into_iter().cycle().take(PIECES_MAX);
        for length in lengths.chain([usize::MAX]) {
            let (piece, behind) = rest.split_at(length.min(rest.len()));
            rest = behind;
            if let Err(error) = client.write_all(piece) {
                // elbow has answered and closed before all of it is out. A reset is told once.
                is_reset = error.kind() == ErrorKind::ConnectionReset;
                break;
            }
            if rest.is_empty() {
                break;
            }
            if script.is_seen {
                self.let_shard_see();
            }
        }
        drop(client.shutdown(Shutdown::Write));
        let mut received = Vec::new();
        match client.read_to_end(&mut received) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => is_reset = true,
            Err(error) => panic!("{error} behind {:?}", received.escape_ascii().to_string()),
        }
        let seen = self.seen.try_iter().collect();
        if self.plays.is_multiple_of(PLAYS_PER_LOOK) {
            self.expect_nothing_held();
        }
        self.plays += 1;
        Played {
            received,
            is_reset,
            seen,
        }
    }

    /// Waits until the shard has taken what was sent: it takes what comes in the order in which it
    /// came.
    fn let_shard_see(&mut self) {
        let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        self.bystander.write_all(request).expect("the shard reads");
        let expected = Reply::ServiceUnavailable.bytes(true);
        let mut answer = vec![0; expected.len()];
        let whole = self.bystander.read_exact(&mut answer);
        whole.expect("the shard answers");
        assert_eq!(answer, expected);
    }

    /// Sees that only the bystander is left and no buffer is in use. Both are told by the shard's
    /// own sweep.
    fn expect_nothing_held(&self) {
        let counts: &ShardLine = self.link.shards.line(0);
        let held = || (counts.connections.value(), counts.relay_blocks.value());
        let deadline = Instant::now().after(PATIENCE);
        while held() != (1, 0) {
            assert!(Instant::now() < deadline, "still held: {:?}", held());
            #[expect(clippy::disallowed_methods, reason = "the shard is another thread")]
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(counts.panics.value(), 0);
    }
}

fn local(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("it is bound")
}

fn dial(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the shard listens");
    stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .expect("the socket is open");
    stream
}
