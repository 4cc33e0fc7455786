//! Every bound of the system, in one place, each with its reason.
//!
//! A constant here is a promise about memory or work: what happens when it is reached is written
//! beside it and counted by a metric. Relations between bounds are proved by the `const` asserts.

mod cluster;

use std::time::Duration;

pub use cluster::*;

/// Bytes of the block that an idle client connection holds while it waits for the next head.
///
/// Sized so that 10,000 idle connections stay within 6 KiB each, task included, and that the head
/// of an ordinary browser request still fits. A longer head moves to a relay block. A connection of
/// a TCP listener holds one each way while nothing comes.
pub const IDLE_BLOCK_BYTES: usize = 2048;

/// Bytes of the task of a client connection, which it holds also while it is idle. Most of it is
/// room for an exchange whose body streams both ways.
pub const CONNECTION_TASK_BYTES_MAX: usize = 2560;

/// Bytes of the task of a connection that is relayed.
pub const RELAY_TASK_BYTES_MAX: usize = 1536;

/// User memory of an idle client connection: block, task, and what driver and allocator add.
/// `tests/idle_memory` measures it.
pub const IDLE_CONNECTION_BYTES_MAX: usize = 6 * 1024;

/// User memory of an idle connection of a TCP listener: a block each way, task, and what driver and
/// allocator add. `tests/idle_memory` measures it.
pub const IDLE_RELAY_BYTES_MAX: usize = 9 * 1024;

/// User memory of an idle connection of an HTTPS listener: that of a plain one and the session of
/// the TLS library. `tests/idle_memory` measures it.
pub const IDLE_TLS_BYTES_MAX: usize = 20 * 1024;

/// Bytes of the block that carries bodies, responses and long heads.
///
/// Holds a 16 KiB answer with its head in one receive; small enough that the few blocks in flight
/// stay in the L2 cache.
pub const RELAY_BLOCK_BYTES: usize = 64 * 1024;

/// Relay blocks in use in one shard from which on no exchange begins: the request is answered with
/// 503, relayed connections stay in idle blocks. An exchange holds one, and up to two more for a
/// long head, an upload that goes on, or TLS.
///
/// 2 GiB of addresses for 32,768 exchanges that wait for their backends at once; of each block as
/// many pages are memory as bytes were in it, two for ordinary requests.
pub const RELAY_BLOCKS_MAX: usize = 32_768;

/// Bytes kept free in front of received bytes in a relay block: two stickiness cookies of some 190
/// bytes each, `Cache-control`, `Connection`, or the inserts of a request.
pub const RELAY_HEADROOM_BYTES: usize = 1024;

/// Longest request head, as for ALB (CLB.md §4.6). Beyond it: 431, connection closed.
pub const REQUEST_HEAD_BYTES_MAX: usize = 62 * 1024;

/// Longest request line, its end left out, as for ALB (CLB.md §4.6). Beyond it: 414, connection
/// closed.
pub const REQUEST_LINE_BYTES_MAX: usize = 16 * 1024;

/// Longest response head, as for ALB (CLB.md §4.6). Beyond it: 502.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most header fields in one head. Beyond it: 431 for a request, 502 for a response.
pub const FIELDS_MAX: usize = 100;

/// Bytes of interim answers (1xx) of a backend in one exchange: eight of the longest heads. Beyond
/// it: 502.
pub const INTERIM_BYTES_MAX: u32 = 8 * 32 * 1024;

/// What the shortest of them counts for, so that there are a hundred at most: each gives the
/// backend its whole time again.
pub const INTERIM_BYTES_MIN: u32 = INTERIM_BYTES_MAX / 100;

/// Longest request method. Beyond it: 405 (CLB.md §4.8).
pub const METHOD_BYTES_MAX: usize = 127;

/// Most field names that one head's `Connection` fields may nominate. Beyond it: refused.
pub const CONNECTION_OPTIONS_MAX: usize = 16;

/// Most stickiness cookies tried in one request; later ones are ignored.
pub const COOKIE_CANDIDATES_MAX: usize = 8;

/// Longest name of a cookie that a policy may ask for. Beyond it the configuration is refused; so
/// it is for the two below, since every answer must have room for stickiness cookies.
pub const COOKIE_NAME_BYTES_MAX: usize = 128;

/// Longest path that a policy may give its cookie.
pub const COOKIE_PATH_BYTES_MAX: usize = 128;

/// Longest domain that a policy may give its cookie.
pub const COOKIE_DOMAIN_BYTES_MAX: usize = 128;
/// Most `Set-Cookie` lines of the app's cookie that one answer may bind with; later ones are passed
/// on, and no stickiness cookie goes with them.
pub const APP_COOKIES_MAX: usize = 8;

/// Longest chunk-size line including extensions. Beyond it: 400, or the answer is broken off.
pub const CHUNK_LINE_BYTES_MAX: usize = 4096;

/// Most bytes of trailer fields after a chunked body. Beyond it: 400, or the answer is broken
/// off.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Longest PROXY header in text (version 1), line end included, as its specification has it.
/// Beyond it: connection closed. No header that elbow writes is longer, in either version.
pub const PROXY_LINE_BYTES_MAX: usize = 107;

/// Longest binary PROXY header (version 2) with its extensions: as nginx has it, and room for a
/// client's certificate. Beyond it: connection closed.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;

/// Networks from which one listener may accept PROXY headers. Beyond it the configuration is
/// refused: each new connection looks through the list.
pub const PROXY_NETWORKS_MAX: usize = 256;

/// Sessions that one shard remembers. At the bound the least recently used kind is evicted, which
/// costs the next request of that session one decryption and changes no answer.
pub const SESSIONS_PER_SHARD: usize = 65_536;

/// Lives that are remembered of a backend. A cookie that is bound to an older one counts as bound
/// to one that was over when the oldest of these began.
pub const LIVES_KEPT: usize = 32;

/// Changes of weight that are remembered of a backend. What it weighed before counts as the oldest
/// of these.
pub const WEIGHTS_KEPT: usize = 32;

/// Backends of a load balancer of which chronicles are kept, those that were deregistered included.
/// Beyond it the one of which nothing was heard for longest is forgotten: its old sessions are then
/// placed among the backends that live.
pub const CHRONICLES_KEPT: usize = 2 * BACKENDS_MAX;

/// After all backends were out at once: how long after the first is back others may still come to
/// share the sessions of before, in milliseconds.
pub const OUTAGE_SETTLING_MS: u64 = 60_000;
/// Numbers for backends in one process, so that a shard counts sessions in an array of eight bytes
/// per number. The sessions of a backend whose number is beyond it are served and not counted.
pub const SLOTS_MAX: usize = 64 * 1024;

/// Windows of time in which a session must have been seen to count as alive, the current one
/// included. The oldest window is forgotten as a new one begins.
pub const SESSION_WINDOWS: usize = 10;

/// How often shards tell which sessions they have seen, if windows are not shorter. What 64 shards
/// tell of a hundred backends with many sessions takes the control thread some 3 % of its time.
pub const SESSIONS_TOLD_INTERVAL: Duration = Duration::from_secs(5);

/// Bytes of the sketch that counts the sessions of one backend in one window: reached beyond 128
/// sessions, and never exceeded.
pub const SESSION_SKETCH_BYTES_MAX: usize = 3100;

/// Observations of a session drain that are kept: half an hour of windows. The oldest is forgotten,
/// so that the half-life is that of late and not of the whole drain.
pub const DRAIN_OBSERVATIONS: usize = 60;

/// How often within an idle limit the cookie of a busy session is renewed at most: what a cookie
/// says of the last request is late by at most this part of the limit.
pub const IDLE_RENEWALS: u64 = 16;

/// Drains that ended and are still told of, per load balancer; older ones are forgotten.
pub const DRAINS_REMEMBERED: usize = 64;

/// How long a backend that takes no more requests stays registered even if nothing runs on it:
/// until shards have certainly seen that it leaves.
pub const DRAIN_NOTICE_MS: u64 = 250;

/// How long the order to end what runs on a backend stands in snapshots. Shards look at each new
/// snapshot once per [`SWEEP_INTERVAL`].
pub const CUTS_KEPT_MS: u64 = 10_000;

/// Client connections that one shard serves at once. Beyond it new ones are closed on accept.
pub const CONNECTIONS_PER_SHARD: usize = 65_536;

/// Of the files that the process may have open (`RLIMIT_NOFILE`), this many quarters are for
/// clients, in equal parts for all shards; the rest is for backends, checks, the admin address and
/// pipes. Beyond it clients wait in the accept queue, counted by `elbow_accepts_paused`, so that
/// those who are in are served.
pub const CLIENT_QUARTERS: u64 = 3;

/// Buckets of eight clients each in which connections are counted by client, a mebibyte of them.
/// With 65,536 clients at once two of a hundred find theirs full: those are served, do not count
/// and are told in a metric.
pub const CLIENT_BUCKETS: usize = 16_384;

/// Bytes of the block to which a body moves that does not fit a relay block: a few large
/// operations cost less than many small ones (a 1 MiB answer a third less than in relay blocks).
pub const BULK_BLOCK_BYTES: usize = 512 * 1024;

/// Bulk blocks in use at once in one shard. Beyond it bodies stay in relay blocks: clients that
/// read slowly, or not at all, hold this much and no more.
pub const BULK_BLOCKS_MAX: usize = 128;

/// Bytes of a pipe through which a relayed stream passes uncopied, and most that it takes at once.
///
/// On loopback 64 KiB to 1 MiB measured the same. With the segments of a network card each takes a
/// page's place, so that it holds some 90 KiB of them; the default of 64 KiB would hold a quarter.
/// A user without privileges may have 256 pipes of this size (`fs.pipe-user-pages-soft`).
pub const PIPE_BYTES: usize = 256 * 1024;

/// Pipes in one shard, two descriptors each. Beyond it a relayed stream goes on in blocks and is
/// counted: clients that read slowly, or not at all, hold this much of what was sent to them.
pub const PIPES_MAX: usize = 128;

/// Pipes that one shard keeps for reuse; more are closed.
pub const FREE_PIPES: usize = 32;

/// Relay blocks that one shard keeps for reuse; more are given back to the allocator. As many as
/// exchanges that are often in flight at once: below that, each one beyond costs the kernel's
/// zeroing of fresh pages (a fifth of a small request's time at 512 connections).
pub const FREE_RELAY_BLOCKS: usize = 1024;

/// Bytes of free blocks of each kind that a shard keeps however long they are not needed.
pub const FREE_BLOCKS_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// How often each shard gives back blocks that were not needed, and looks whether resting
/// connections to backends still stand.
pub const TRIM_INTERVAL: Duration = Duration::from_secs(1);

/// Bulk blocks that one shard keeps for reuse; more are given back to the allocator.
pub const FREE_BULK_BLOCKS: usize = 32;

/// Idle blocks that one shard keeps for reuse; more are given back to the allocator.
pub const FREE_IDLE_BLOCKS: usize = 1024;

/// Idle upstream connections kept per shard and backend. Beyond it the surplus is closed.
pub const IDLE_UPSTREAM_PER_BACKEND: usize = 1024;

/// Backends that one exchange tries before it answers 503 or 504, and that a connection of a TCP
/// listener tries before it is reset.
pub const BACKENDS_TRIED_MAX: usize = 4;

/// The largest bound of requests that one backend may be given: as many as a shard has clients.
/// At a load balancer's bound requests wait in its surge queue.
pub const OUTSTANDING_MAX: u32 = 65_536;

/// Requests of one load balancer, and connections of its TCP listeners, that may wait for a backend
/// that has room, over all shards (CLB.md §4.2). Beyond it, or beyond what the load balancer says:
/// 503, or a reset, counted as spillover.
pub const SURGE_QUEUE_MAX: u32 = 1024;

/// Of a request line, a host and a user agent each so many bytes are in the access log
/// (CLB.md §4.12).
pub const LOGGED_TEXT_BYTES_MAX: usize = 8192;

/// Lines of the access log that a shard gathers before it hands them over; it also does so once per
/// [`SWEEP_INTERVAL`]. Batches of a quarter took the thread that writes 0.54 µs a line, these 0.22:
/// the kernel prepares the part of a page that a write leaves, and each batch wakes the thread.
pub const LOG_BATCH_BYTES: usize = 128 * 1024;

/// Batches of lines that may wait for whoever writes them, of all shards together. Beyond it lines
/// are dropped and counted.
pub const LOG_BATCHES_WAITING: usize = 64;

/// How long the end of the process waits for the access log, and how often it looks.
pub const LOG_FINISH_PATIENCE: Duration = Duration::from_secs(5);
/// See [`LOG_FINISH_PATIENCE`].
pub const LOG_FINISH_INTERVAL: Duration = Duration::from_millis(1);

/// How often the log says that the access log cannot be written.
pub const LOG_COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// Records of requests that one shard keeps for reuse, each with at most
/// [`RECORD_TEXT_BYTES_KEPT`] of text.
pub const RECORDS_FREE_MAX: usize = 1024;

/// The room for text of a record that is kept; one that had more gives it back.
pub const RECORD_TEXT_BYTES_KEPT: usize = 1024;

/// Accepts that each shard keeps posted per listener, so that one wake-up takes that many
/// connections.
pub const POSTED_ACCEPTS: usize = 8;

/// Length of each listener's accept queue; the kernel caps it by `net.core.somaxconn`.
pub const ACCEPT_QUEUE: i32 = 4096;

/// Submission entries of each shard's ring; halved on `ENOMEM` down to [`RING_ENTRIES_MIN`].
pub const RING_ENTRIES: u32 = 1024;

/// The smallest ring that is tried before the shard falls back to a simpler driver.
pub const RING_ENTRIES_MIN: u32 = 256;

/// Reports from the shards that may wait for the control thread. Beyond it a report is dropped and
/// counted: the regular checks find what it would have said.
pub const REPORTS_WAITING: usize = 1024;

/// Pairs of backends, of which the sessions of one moved to the other, that a shard keeps until its
/// next sweep. Beyond it a move is served like any other, counted by
/// `elbow_session_moves_unseen` and not shown.
pub const MOVES_PER_SHARD: usize = 1024;

/// Rows of the moves that the admin address shows, one for each pair of backends and failure. The
/// oldest goes as another comes, which is counted.
pub const MOVES_KEPT: usize = 2048;

/// How long moves are shown. A session whose backend was lost earlier counts as settled.
pub const MOVES_SHOWN_FOR: Duration = Duration::from_secs(600);

/// Sessions that follow others from one backend to another within this time are shown as one move
/// with them, in milliseconds: clients come back one by one.
pub const MOVES_JOINED_MS: u64 = 60_000;

/// Watchers of what happens from second to second. Beyond it: 503, which is counted as refused.
pub const WATCHERS_MAX: usize = 16;

/// How often watchers are told.
pub const MOMENT_INTERVAL: Duration = Duration::from_secs(1);

/// How many times a watcher is told before it has to ask again.
pub const MOMENTS_MAX: u16 = 600;

/// Shards in one process.
pub const SHARDS_MAX: usize = 1024;

/// Load balancers in one process.
pub const LOAD_BALANCERS_MAX: usize = 1000;

/// Backends of one load balancer (CLB quota: 1,000 instances).
pub const BACKENDS_MAX: usize = 1000;

/// Certificates of one HTTPS or SSL listener, the default one included. Beyond it the configuration
/// is refused.
pub const CERTIFICATES_PER_LISTENER_MAX: usize = 1000;

/// Instances that a configuration names by `[[instance]]`, and those that it and `/v1` name. Beyond
/// it the configuration is refused, and so is another name: 409.
pub const INSTANCES_NAMED_MAX: usize = 10_000;

/// Certificates that a configuration names by `[[certificate]]`, and those that it and `/v1` name.
/// Beyond it the configuration is refused, and so is another name: 409.
pub const CERTIFICATES_NAMED_MAX: usize = 10_000;

/// Longest ARN of a certificate; IAM's own end there. Beyond it it is refused.
pub const ARN_BYTES_MAX: usize = 2048;

/// Addresses of the API's pool that are looked through for one that is free: a network of /16.
/// Those of a larger pool that are behind it are not used.
pub const POOL_ADDRESSES_MAX: usize = 65_536;

/// Public keys that the backends of one instance port may have. Beyond it the configuration is
/// refused.
pub const BACKEND_KEYS_MAX: usize = 100;

/// Bytes of a PEM file that are read. Beyond it the file is refused.
pub const PEM_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Days that are left to a certificate from which on the log warns of its end, once a day. Those
/// who renew certificates do so earlier, with a third of 90 days left, or of 45.
pub const CERTIFICATE_DAYS_WARNED: i64 = 14;

/// How long clients are told that they may resume a session by its ticket: over a night, and far
/// below the week that RFC 8446 §4.6.1 allows. A ticket that is older still opens for up to
/// [`TICKET_KEY_SEALS`]; then its client shakes hands in full.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a key seals tickets; it opens them for another [`TICKET_LIFETIME`] and is forgotten, so
/// that whoever takes the keys can read TLS 1.2 connections of one day and no more. (Those of TLS
/// 1.3 have secrets that no ticket tells.)
pub const TICKET_KEY_SEALS: Duration = Duration::from_secs(12 * 60 * 60);

/// How far ahead a key of tickets may be born, for machines that are given the same keys: a month.
/// One that is born later, by a clock that had jumped, is forgotten.
pub const TICKET_KEYS_AHEAD: Duration = Duration::from_secs(32 * 24 * 60 * 60);

/// Keys of tickets: those of a month and those that still open. A file with more stops the start;
/// a new key takes the place of the oldest.
pub const TICKET_KEYS_MAX: usize = 80;

/// How often it is looked whether another key of tickets is due, or one that could not be written
/// can be.
pub const TICKET_KEY_LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// Bytes of a session that are sealed into a ticket: room for a client's certificates. A longer one
/// gets no ticket, and its next handshake counts among those that did not resume.
pub const TICKET_SESSION_BYTES_MAX: usize = 16 * 1024;

/// Certificates in one listener's `client_ca`. Beyond it the file is refused: each full handshake
/// names them all.
pub const CLIENT_CAS_MAX: usize = 64;

/// Bytes of the names in them, which every client gets in one message. Beyond it the file is
/// refused.
pub const CLIENT_CA_NAMES_BYTES_MAX: usize = 16 * 1024;

/// Bytes of the subject of a client's certificate as backends are told of it. Beyond it the
/// connection is closed and counted as a failed handshake: half a name could be another's.
pub const CLIENT_SUBJECT_BYTES_MAX: usize = 2048;

/// How often the files of certificates are looked at for a change.
pub const CERTIFICATE_LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Listeners of one load balancer (CLB quota).
pub const LISTENERS_MAX: usize = 100;

/// Keys of cookies: one that seals and others that open. A file with more, or with more than those
/// of a cluster's secrets leave room for, stops the start.
pub const SEAL_KEYS_MAX: usize = 16;

/// Bytes of what the API has changed, as a journal that holds nothing else: some 10,000 ordinary
/// load balancers. Beyond it the call that would add to it fails.
pub const JOURNAL_ALIVE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of what one call of the API changes, as a line of the journal: several times the largest
/// load balancer. Beyond it the call fails.
pub const JOURNAL_BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How many times as large as what is alive in it the journal of the API may be, and
/// [`JOURNAL_SLACK_BYTES`] more, before it is written anew: a change costs what it writes twice.
pub const JOURNAL_GROWTH: usize = 2;

/// Bytes beyond that: several hundred changes of an ordinary load balancer, so that a small one is
/// not written anew all the time.
pub const JOURNAL_SLACK_BYTES: usize = 1024 * 1024;

/// Bytes of the journal of the API if it cannot be written anew, as on a disk that has no room for
/// another. Beyond it calls of the API fail, and a file that is larger is not read at the start.
pub const JOURNAL_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Bytes of a response to a health check that are read before it is judged.
pub const CHECK_RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Health checks that run at once. Beyond it a check waits for its turn and is counted as delayed.
pub const CHECKS_AT_ONCE: usize = 1024;

/// From the start of one check to the start of the next in the burst that follows a shard's report.
pub const CHECK_BURST_SPACING: Duration = Duration::from_millis(50);

/// How long after a burst the next one may begin: a backend whose checks pass while its
/// connections are refused costs four checks a second and not one for each refused request.
pub const CHECK_BURST_PAUSE: Duration = Duration::from_millis(250);

/// How long the log says nothing more of a backend that it has told to fail the TLS handshake. How
/// often it does so is counted.
pub const DISTRUST_PAUSE: Duration = Duration::from_secs(60);

/// Changes by the API, and orders to read files again, that may wait for the thread that makes
/// them. Beyond it the API answers that its rate is exceeded, which clients try again.
pub const ORDERS_WAITING: usize = 64;

/// How long a change of listeners waits for shards that have not followed it.
pub const LISTENERS_PATIENCE: Duration = Duration::from_secs(5);

/// Protocols of one load balancer that clients may change to.
pub const UPGRADES_MAX: usize = 8;

/// How long a start waits for addresses that are taken: the kernel ends what the rings of a killed
/// process were about some milliseconds after it has told of its end.
pub const ADDRESSES_PATIENCE: Duration = Duration::from_secs(1);

/// How long a listener whose address another takes over stays open for connections that are in
/// their handshake: one round trip. A change that hands an address over takes so much longer.
pub const LAST_HANDSHAKES_TIME: Duration = Duration::from_millis(50);

/// How long a listener that has closed still has its load balancer, for those who were let in last
/// and have yet to send their request. A change that closes one takes so much longer.
pub const LAST_REQUESTS_TIME: Duration = Duration::from_millis(50);

/// How often such waits look.
pub const LISTENERS_LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// Commands that may wait for the control thread's loop. Beyond it whoever sends one waits.
pub const COMMANDS_WAITING: usize = 256;

/// How often the control thread looks at what time alone changes: drains, windows of sessions.
pub const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// Admin connections at once. Beyond it the one that has rested longest is closed for a new one,
/// or the new one if all are at work; both are counted.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;

/// Longest request head on the admin address, and the buffer of an admin connection. Beyond it:
/// 431.
pub const ADMIN_HEAD_BYTES_MAX: usize = 16 * 1024;

/// Longest request body on the admin address. Beyond it: 413.
pub const ADMIN_BODY_BYTES_MAX: usize = 16 * 1024;

/// Credentials of the admin address. Beyond it the configuration is refused.
pub const CREDENTIALS_MAX: usize = 100;

/// Longest access key id (AWS: 128). Beyond it the configuration is refused.
pub const ACCESS_KEY_ID_BYTES_MAX: usize = 128;

/// Bytes of a file with a secret access key; AWS's own have 40 characters. Beyond it the file is
/// refused.
pub const SECRET_FILE_BYTES_MAX: u64 = 4096;

/// Names of the admin address. Beyond it the configuration is refused.
pub const ADMIN_NAMES_MAX: usize = 32;

/// How far the clock of a client may be off: as at AWS, a signature is taken for so long before and
/// after the time that it names.
pub const SIGNATURE_SKEW: Duration = Duration::from_secs(5 * 60);

/// How long a presigned URL may hold (SigV4: `X-Amz-Expires`). One that says more is refused.
pub const PRESIGNED_TIME_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Signatures that are remembered as they have changed something and could be sent again. Beyond it
/// changes are refused, which clients try again, until the first ones are out of date: one that was
/// forgotten could be used twice. Who may change things can make 100 changes a second for ten
/// minutes.
pub const SIGNATURES_USED_MAX: usize = 65_536;

/// Who may be signed in to the console at once. Beyond it whoever has rested longest is signed out,
/// which is counted.
pub const SIGN_INS_MAX: usize = 256;

/// How long somebody stays signed in, at the latest.
pub const SIGN_IN_TIME_MAX: Duration = Duration::from_secs(12 * 60 * 60);

/// How long somebody stays signed in who asks nothing.
pub const SIGN_IN_REST_MAX: Duration = Duration::from_secs(30 * 60);

/// Wrong secrets from one client for one credential, until it is locked out. Beyond it: 429, which
/// is counted as refused.
pub const GUESSES_MAX: u32 = 10;

/// How long after the first of them wrong secrets are forgotten, unless they were too many.
pub const GUESSES_WINDOW: Duration = Duration::from_secs(5 * 60);

/// How long a client is locked out: with the window, 120 guesses an hour, which a secret of AWS's
/// length withstands for ever and a word does not.
pub const LOCKOUT_TIME: Duration = Duration::from_secs(5 * 60);

/// Clients and credentials whose wrong secrets are remembered. Beyond it the one is forgotten whose
/// time would be over first, which is counted.
pub const GUESSERS_MAX: usize = 4096;

/// How long the log says nothing more of requests that the admin address refuses for the same
/// reason. How many there are is counted.
pub const REFUSAL_PAUSE: Duration = Duration::from_secs(10);

/// Ids of subnets, security groups and zones that a configuration names. Beyond it it is refused.
pub const KNOWN_IDS_MAX: usize = 10_000;

/// Bytes of a Query API request's parameters: some 4,000 ids of instances. Beyond it the request
/// is refused with `InvalidQueryParameter`, as it is at the two below.
pub const QUERY_BYTES_MAX: usize = 256 * 1024;

/// Parameters of a Query API request: five for each of a load balancer's instances.
pub const QUERY_PARAMETERS_MAX: usize = 5 * BACKENDS_MAX;

/// Parts of the name of a Query API parameter. The longest that means anything has five.
pub const QUERY_DEPTH_MAX: usize = 8;

/// Policies of one load balancer; CLB publishes no number (CLB.md §6). Beyond it:
/// `TooManyPolicies`.
pub const POLICIES_MAX: usize = 100;

/// Tags of one load balancer (CLB.md §3.4). Beyond it: `TooManyTags`.
pub const TAGS_MAX: usize = 50;

/// Zones, subnets or security groups of one load balancer. Beyond it the request is refused with
/// `ValidationError`.
pub const PLACES_MAX: usize = 100;

/// Attributes of one policy, of which a TLS policy has one for each cipher. Beyond it the request
/// is refused with `ValidationError`.
pub const POLICY_ATTRIBUTES_MAX: usize = 200;

/// Bytes of a policy attribute's value: an RSA key of 16,384 bits. Beyond it the request is
/// refused with `ValidationError`.
pub const POLICY_VALUE_BYTES_MAX: usize = 4096;

/// Load balancers that one `DescribeLoadBalancers` tells of (CLB.md §3.1), and entries of any other
/// page.
pub const PAGE_ENTRIES_MAX: usize = 400;

/// How long an admin connection may take for a request head or a body, or rest between two
/// requests.
pub const ADMIN_HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How often each shard looks at deadlines. A deadline is met at most this much late.
pub const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// How long a drain leaves idle client connections open. A request that was on its way as the drain
/// began is answered, and the answer says that the connection ends.
pub const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// How long a connection attempt to a backend may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a listener pauses after an error such as `EMFILE`.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long the log of each shard, and of the admin address, says nothing more of accepts that
/// fail. How many do is counted.
pub const ACCEPT_ERROR_QUIET: Duration = Duration::from_secs(10);

/// How long a client may take for its TLS handshake. Then its connection is closed and counted.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// How long a TLS handshake with a backend may take. Then the next backend is tried.
pub const BACKEND_HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// TLS handshakes that one shard has in progress at once, some 20 KiB each: as many as clients come
/// back at once after a restart. Beyond it new TLS connections are closed on accept and counted.
pub const HANDSHAKES_PER_SHARD: usize = 4096;

/// Bytes of plaintext that become one send: whole records of 16 KiB, so many that they fit a relay
/// block with what TLS adds to them and what waits in the session, such as a ticket.
pub const TLS_SEND_BYTES: usize = 3 * 16 * 1024;

/// Most bytes of a refused request's body that are read and thrown away so that the client sees
/// the answer rather than a reset.
pub const LINGER_BYTES_MAX: usize = 256 * 1024;

/// How long such a client has for that.
pub const LINGER_TIME: Duration = Duration::from_secs(2);

const _: () = assert!(
    IDLE_BLOCK_BYTES + CONNECTION_TASK_BYTES_MAX <= IDLE_CONNECTION_BYTES_MAX * 3 / 4,
    "the allocator rounds up"
);
const _: () = assert!(
    2 * IDLE_BLOCK_BYTES + RELAY_TASK_BYTES_MAX <= IDLE_RELAY_BYTES_MAX * 3 / 4,
    "the allocator rounds up"
);
const _: () = assert!(REQUEST_HEAD_BYTES_MAX + RELAY_HEADROOM_BYTES <= RELAY_BLOCK_BYTES);
const _: () = assert!(RESPONSE_HEAD_BYTES_MAX + RELAY_HEADROOM_BYTES <= RELAY_BLOCK_BYTES);
const _: () = assert!(TLS_SEND_BYTES + 8 * 1024 <= RELAY_BLOCK_BYTES);
const _: () = assert!(RELAY_BLOCK_BYTES < BULK_BLOCK_BYTES);
const _: () = assert!(PROXY_LINE_BYTES_MAX <= RELAY_HEADROOM_BYTES);
const _: () = assert!(PROXY_HEADER_BYTES_MAX < RELAY_BLOCK_BYTES);
const _: () = assert!(
    // The app's lines and a stickiness cookie after each, every byte of them an underscore that is
    // encoded; names and values of those cookies; the body that came with the head.
    (1 + 1) * 3 * RESPONSE_HEAD_BYTES_MAX + APP_COOKIES_MAX * 3 * 256 + RELAY_BLOCK_BYTES
        <= BULK_BLOCK_BYTES,
    "a head of any answer, written anew, fits the largest block"
);
const _: () = assert!(CLUSTER_SECRETS_MAX < SEAL_KEYS_MAX);
const _: () = assert!(FREE_BULK_BLOCKS <= BULK_BLOCKS_MAX);
const _: () = assert!(FREE_RELAY_BLOCKS <= RELAY_BLOCKS_MAX);
const _: () = assert!(INTERIM_BYTES_MAX as usize >= RESPONSE_HEAD_BYTES_MAX);
const _: () = assert!(CLIENT_BUCKETS.is_power_of_two() && CLIENT_BUCKETS <= 65_536);
const _: () = assert!(REQUEST_LINE_BYTES_MAX < REQUEST_HEAD_BYTES_MAX);
const _: () = assert!(CHUNK_LINE_BYTES_MAX < RELAY_BLOCK_BYTES - RELAY_HEADROOM_BYTES);
const _: () = assert!(
    (TICKET_KEYS_AHEAD.as_secs() + TICKET_LIFETIME.as_secs()) / TICKET_KEY_SEALS.as_secs() + 2
        <= TICKET_KEYS_MAX as u64
);
const _: () = assert!(
    3 * ADMIN_HEAD_BYTES_MAX < u16::MAX as usize,
    "the query of a request, each byte of it encoded, is still one to the library that signs"
);
const _: () = assert!(CUTS_KEPT_MS as u128 >= 10 * SWEEP_INTERVAL.as_millis());
const _: () = assert!(CHECK_BURST_SPACING.as_millis() <= CHECK_BURST_PAUSE.as_millis());
const _: () = assert!(
    REPLICAS_AT_ONCE * (REPLICA_BYTES_MAX + 1024) <= JOURNAL_BATCH_BYTES_MAX,
    "what comes from other nodes at once is one change of the journal"
);
const _: () = assert!(
    (JOURNAL_GROWTH * JOURNAL_ALIVE_BYTES_MAX + JOURNAL_SLACK_BYTES + JOURNAL_BATCH_BYTES_MAX)
        as u64
        <= JOURNAL_BYTES_MAX,
    "the journal is written anew before its size is a bound"
);
