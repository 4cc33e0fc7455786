//! elbow: a sticky-session load balancer for Linux. io_uring, one thread per core, nothing shared
//! on the request path.
//!
//! # The picture
//!
//! ```text
//!                       ┌──────────────────── one process ───────────────────────────────┐
//! clients ─ SO_REUSEPORT ─► shard 0 (core 0, monoio) ─► backends    waits for no other   │
//!                       │   shard 1 (core 1, monoio) ─► backends    thread, ever         │
//!                       │      ▲ Snapshot               │ Report                         │
//!                       │      │ (immutable, numbered)  ▼ (bounded mailbox)              │
//!                       │   control (main thread, tokio): the only writer of State       │
//!                       │   health checks · admin address · memory of the view · signals │
//!                       └────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A shard owns its listeners, its client connections and their TLS, its pool of backend
//! connections, its table of sessions and its buffers. What it knows of the world is one
//! [`state::Snapshot`]; what it has to say goes up as a [`state::Report`] or stands in counters
//! that it alone writes. The control thread checks backends, takes orders at the admin address,
//! feeds all of it to [`state::State::apply`] and publishes the next snapshot. It does O(1) work to
//! the shards' O(N), so well-kept libraries win there.
//!
//! # Where a session lives
//!
//! A cookie names a backend, one of its *lives*, and the session. A life is opened when a backend
//! comes into service and closed when it is declared out or deregistered; each load balancer keeps
//! the chronicles of its backends' lives, its [`health::View`]. Under a duration policy a session
//! goes to its cookie's backend if that is in service, whatever was before. Under an application
//! policy [`health::View::resolve`] follows the deaths: while the life that the session is bound to
//! is over, it went to the first by its rank among those that lived at that moment, and stays there
//! when the old one returns. Both are pure functions of cookie and snapshot: every shard gives the
//! same answer, a session moves once for each failure, and nothing is kept per session that could
//! be lost. A shard whose connection is refused asks the same rank, before anybody knows.
//!
//! # Many nodes
//!
//! Nodes of a cluster tell each other, by sealed gossip, what their own checks say and the
//! chronicles they know. A life begins or ends as their opinions agree (`health/agreement.rs`,
//! `state/life.rs`), chronicles are joined, and so every node resolves a session alike. What the
//! API changes travels as stamped records, the last word counts ([`cluster::Register`]). All of it
//! comes to the state as commands, so that one node without others is the same code.
//!
//! # Reading order
//!
//! 1. `shard/serve.rs`: the data path in one function: read head → admit (judge, stick, write
//!    anew) → exchange (choose, forward) → respond (settle the cookie, relay) → next.
//!    `shard/channel.rs` is what it reads from and writes to: a connection, with TLS on it or not.
//!    What finds no backend with room goes on in `shard/in_turn.rs`, at its turn in `surge.rs`.
//!    Connections of TCP and SSL listeners take the short way through `shard/relay.rs`, and what is
//!    long there and in clear through `shard/splice.rs`.
//! 2. [`http`]: what a head is allowed to say, and how it is written anew.
//! 3. [`sticky`]: what a cookie says (`seal.rs`), and where that leads (`place.rs`).
//! 4. [`health`]: checks become lives, lives become homes (`view.rs`).
//! 5. [`state`]: who may change what, how backends come (`pool.rs`) and go (`leave.rs`).
//! 6. [`elb`]: what the ELB API asks and answers, the rules between, and what elbow then runs
//!    (`setup`).
//! 7. [`cluster`]: what nodes are to each other; `control/gossip` brings it about.
//! 8. [`control`]: the loop round them; `setup.rs` and `act.rs` make the process what the file and
//!    the API say, while it runs. `main.rs` wires it all.
//!
//! # Modules
//!
//! | module | | |
//! |---|---|---|
//! | [`http`] | pure | HTTP/1.1 heads, framing, rewriting, replies, over borrowed bytes |
//! | [`sticky`] | pure | cookie text, the seal, the table, verdicts, sketches of sessions |
//! | [`health`] | pure | the rise/fall machine, lives, the view and its merge, ranks, `resolve` |
//! | [`balance`] | pure | least outstanding requests, round robin; weights, bounds, who waits |
//! | [`proxy_protocol`] | pure | PROXY headers, versions 1 and 2, over borrowed bytes |
//! | [`access_log`] | pure | a line of the access log, as CLB has it or as JSON |
//! | [`config`] | pure | TOML or flags to a [`config::Config`]: if a value exists, it is valid |
//! | [`elb`] | pure | the ELB Query API: parameters, actions, the catalog, XML; what then runs |
//! | [`cluster`] | pure | the secret, who is there, what nodes tell each other, who decides |
//! | [`state`] | pure | `State::apply(Command) -> Effects`; snapshots, drains, counters |
//! | [`shard`] | shell | accept, TLS, serve, relay, backend connections, deadlines (monoio) |
//! | [`control`] | shell | checker, admin, who may ask it, reload, journal, keys, files (tokio) |
//! | [`sys`] | shell | sockets, ring buffers, pinning, clock: the only `unsafe` |
//! | [`cli`], [`demo`] | shell | commands and flags; the backends of `elbow demo` |
//! | [`limits`] | | every bound of the system, with its reason |
//!
//! Pure modules know no socket, clock, thread, async or `unsafe`; time comes in as an argument.
//! Shell imports pure, never the reverse. `shard` and `control` meet only in snapshots and reports,
//! `http` and `sticky` do not know each other. `tests/rules` reads the imports and checks it.
//!
//! # Invariants
//!
//! 1. A shard never waits for another thread.
//! 2. One snapshot per exchange.
//! 3. Every change of the state is a [`state::Command`], whoever asks.
//! 4. A head that has two readings is never repaired, and never leaves a connection reusable.
//! 5. A connection is reused only when both sides of its exchange are done and nothing is in it.
//! 6. Every queue, table and buffer has a bound in [`limits`] and a counter for what happens there.
//! 7. The clock is read in [`sys`] alone.
//!
//! # Decisions, and what spoke against them
//!
//! **Who waits for a full backend is woken and tries again.** A place could be handed over instead;
//! but whoever is woken takes the snapshot of that moment, so that one rule serves for a release, a
//! reload, a new instance and a death, and a call too many does no harm. The bound holds since each
//! shard adds its request before it looks at the sum of all, and nobody is forgotten since whoever
//! gives a place back looks who waits, and whoever waits looks once more after saying so. A counter
//! that all shards share would be one locked instruction; but it would have to be kept by everybody
//! always, as a bound may come with a reload while requests run.
//!
//! **No timer per operation.** A connection's deadline is a store into its watch; one sweep per
//! shard looks at all of them ten times a second and calls `shutdown(2)` on those that are late.
//! The operation in flight then completes by itself. A timer per operation costs a wheel insert and
//! remove each, and cancelling one may lose bytes that had already come in.
//!
//! **Heads are written anew into a second buffer, bodies stay where they are.** Cutting and
//! inserting in place would save a copy of some 400 bytes, 20 ns of 8 µs, and would lose the
//! request's own bytes, which a retry and the next pipelined request need.
//!
//! **A cookie can be opened without asking anybody.** The table is a cache of opened cookies. Any
//! shard, any node and any later process with the same keys reads the same out of it, so nothing is
//! replicated per session and an eviction costs one decryption.
//!
//! **A session whose backend is gone goes to the first of the rest by rendezvous rank** and not to
//! the least loaded, so that all of its parallel requests, on all shards, agree on the same one.
//!
//! **Who lived at the moment of a death decides, and not who lives now.** The answer then never
//! changes again, whoever comes later, and a shard that hears of the death late finds the same. The
//! price is a history, which is bounded. Where nobody lived, those share that came back within a
//! minute of the first; with the first alone it would get everybody.
//!
//! **A death needs more than half of all nodes, and not of those who look.** A few nodes check each
//! backend, and most of the few would be enough while nobody is lost. But as a cluster falls apart
//! its nodes are missed one after the other, and in between two of the three that are left could
//! end lives for the many they do not hear; the simulation found that. So all look once when one
//! finds a backend failed. It costs a burst of checks for each death.
//!
//! **Ranks are whole numbers.** Weighted rendezvous hashing needs a logarithm; one in floating
//! point may differ from machine to machine, and two nodes that differ lose sessions.
//!
//! **Sessions are counted by sketches, not lists.** Shards send one of some bytes to 3 KiB for each
//! backend and window; the union over shards and windows is who is alive, within 2 %. It tells how
//! a drain goes and who has more than its share, and costs a request 7 ns.
//!
//! **What happens is read, and not told.** Prometheus, the console and `elbow top` load the shards'
//! counters and subtract; a shard does the same whether nobody looks or everybody. Only where
//! sessions moved is told, as no counter has pairs of backends: a shard notes it where it resolves
//! a session anew, which no warm request does, and a sketch for each pair counts a session once.
//!
//! **TLS is an adapter of our own round rustls.** monoio-rustls sends each full record by two
//! operations and keeps two buffers of 16 KiB for every connection, idle or not; here the records
//! of a response leave three in one send, from the blocks that all connections share. To
//! monoio-rustls that is 0.98 of the CPU for 128 bytes, 0.76 for 16 KiB and 0.56 for 1 MiB, 0.87
//! for a full handshake, and 0.34 of the memory of an idle connection (`cargo bench --bench tls`).
//! What the session has to say leaves with a send alone, so that receiving and sending at the same
//! time need no lock; the answer to a key update may wait for that, as RFC 8446 has it.
//!
//! **To backends TLS is monoio-rustls', over a connection that never makes it wait.** There are few
//! such connections and they are kept, so its buffers matter less. Its writes are gathered and
//! leave in one send, which also keeps it from a panic of its own ([`sys::Secured`]).
//!
//! **A relayed connection ends as its sides did, or by a reset.** Bytes that nobody reads have no
//! other way to say that they are not all: a clean end after a timeout, a cut or a lost backend
//! would be a lie. Whoever kept an idle connection open is told so less gently than by an end.
//!
//! **Long streams are spliced by plain system calls.** The ring's own operation is handed to a
//! worker thread each time. The call may be made on the shard since it never waits: the pipe is
//! asked not to, and the sockets have `O_NONBLOCK`, which the ring's operations do not look at.
//!
//! **A warm backend connection is peeked at before every use.** It costs a system call a request;
//! without it, bytes that a backend sent too many would be the answer to somebody else's request.

pub mod access_log;
pub mod balance;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod control;
pub mod demo;
pub mod elb;
pub mod health;
pub mod http;
pub mod limits;
pub mod proxy_protocol;
pub mod shard;
pub mod state;
pub mod sticky;
pub mod sys;
