//! Counters that shards write and everyone reads: one cache line per shard, one writer per line.
//!
//! Not a health verdict: those are in the snapshot. Invariant: a line is written by its shard
//! alone, so a count costs a load and a store and never a locked instruction.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use crossbeam_utils::CachePadded;

use super::Histogram;
use crate::cluster::Refusal;

/// One `T` per shard, each in cache lines of its own.
#[derive(Debug)]
pub struct PerShard<T>(Box<[CachePadded<T>]>);

impl<T: Default> PerShard<T> {
    /// Zeroed lines for `shard_count` shards.
    pub fn new(shard_count: usize) -> Self {
        Self((0..shard_count).map(|_| CachePadded::default()).collect())
    }
}

impl<T> PerShard<T> {
    /// The line that `shard` writes.
    pub fn line(&self, shard: usize) -> &T {
        &self.0[shard]
    }

    /// All lines, in the order of the shards.
    pub fn lines(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|line| &**line)
    }

    /// The sum of one count over all shards.
    pub fn sum(&self, count: impl Fn(&T) -> &Count) -> u64 {
        self.lines()
            .fold(0, |sum, line| sum.wrapping_add(count(line).value()))
    }

    /// Adds one to what `shard` counts, unless the sum over all shards would be above `max`; says
    /// whether it did. Only that shard may call it.
    ///
    /// Never are there more than `max`, on however many shards at once and not for a moment: each
    /// adds before it looks, so the last of them sees all the others. For the same reason two that
    /// come at once for the last one may both be refused.
    #[must_use]
    pub fn add_within(&self, shard: usize, max: u64, count: impl Fn(&T) -> &Count) -> bool {
        let own = count(self.line(shard));
        own.add(1);
        // Orders the store above before the loads below, on all shards alike.
        fence(Ordering::SeqCst);
        let is_within = self.sum(&count) <= max;
        if !is_within {
            own.sub(1);
        }
        is_within
    }
}

/// A counter or gauge with one writer.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds `n`. Only the owning shard may call it.
    pub fn add(&self, n: u64) {
        self.0
            .store(self.value().wrapping_add(n), Ordering::Relaxed);
    }

    /// Takes `n` away. Only the owning shard may call it.
    pub fn sub(&self, n: u64) {
        debug_assert!(self.value() >= n, "a gauge fell below zero");
        self.0
            .store(self.value().wrapping_sub(n), Ordering::Relaxed);
    }

    /// Replaces the value. Only the owning shard may call it.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The value as of some recent moment.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one shard counts for one backend of one load balancer.
#[derive(Debug, Default)]
pub struct BackendLine {
    /// Exchanges and relayed connections that hold the backend now. The chooser sums these over
    /// all shards.
    pub outstanding: Count,
    /// The number of whoever has waited longest on this shard of those that could use the backend;
    /// 0: nobody waits.
    pub first_waiting: Count,
    /// Final answers by class, 1xx (unused) to 5xx.
    pub responses: [Count; 5],
    /// Connections opened.
    pub connects: Count,
    /// Requests sent over a connection that was already open.
    pub pool_hits: Count,
    /// Connection attempts that failed, TLS handshakes included.
    pub connect_errors: Count,
    /// TLS handshakes that failed, such as with a backend that is not whom the listener trusts.
    pub handshake_errors: Count,
    /// Requests that were sent and got no whole, valid head in answer.
    pub response_errors: Count,
}

/// What one shard counts for one load balancer.
#[derive(Debug, Default)]
pub struct LoadBalancerLine {
    /// Request heads read, valid or not.
    pub requests: Count,
    /// Answers that elbow made itself, by reason; indexed by `http::Reply as usize`.
    pub own_answers: [Count; 16],
    /// Stickiness verdicts; indexed by `sticky::Verdict as usize`.
    pub verdicts: [Count; 12],
    /// Heads that are not as RFC 9112 has them; indexed by `http::Classification as usize`, and
    /// nothing is counted of compliant ones.
    pub non_compliant: [Count; 4],
    /// Stickiness cookies sent.
    pub cookies_set: Count,
    /// The application's cookies that bound nobody, as their line ends in a semicolon.
    pub app_cookies_ignored: Count,
    /// The application's cookies that bound nobody, as their answer had too many of them.
    pub app_cookies_surplus: Count,
    /// Stickiness cookies whose path had an underscore encoded: browsers will not return them.
    pub app_cookies_encoded: Count,
    /// Requests sent again after a stale connection.
    pub retries: Count,
    /// Requests, and connections of TCP listeners, that went to another backend because theirs
    /// could not be reached.
    pub redispatches: Count,
    /// Exchanges that ended before the answer was whole, relayed connections that were reset.
    pub aborted: Count,
    /// Client connections that changed to another protocol, such as WebSocket.
    pub upgrades: Count,
    /// Connections that TCP listeners took on; also the turn of the shard's round robin.
    pub relays: Count,
    /// Those of them that were reset, as no backend could be reached or had room.
    pub relays_unserved: Count,
    /// Bytes relayed from clients to backends, after an upgrade too.
    pub relayed_up: Count,
    /// Bytes relayed from backends to clients, after an upgrade too.
    pub relayed_down: Count,
    /// Client connections closed as their client had as many as `max_connections_per_client` lets
    /// it have.
    pub clients_refused: Count,
    /// Exchanges that ended as their client did not read its answer, or too slowly.
    pub slow_readers: Count,
    /// Client connections closed as a trusted address began them with no whole PROXY header.
    pub proxy_headers_refused: Count,
    /// Requests, and connections of TCP listeners, that wait now for a backend that has room.
    pub surge_waiting: Count,
    /// Those that had to wait.
    pub surge_waits: Count,
    /// Those that found the queue full.
    pub spillover: Count,
    /// Those that waited too long.
    pub surge_timeouts: Count,
    /// From the first of a request that was sent to the head of its answer; on TCP listeners, how
    /// long it took to connect (CLB.md §4.13).
    pub latency: Histogram,
}

/// What one shard counts for itself.
#[derive(Debug, Default)]
pub struct ShardLine {
    /// Client connections accepted.
    pub accepted: Count,
    /// Lines of the access log that nobody could take.
    pub log_lines_dropped: Count,
    /// Client connections open now.
    pub connections: Count,
    /// Client connections closed on accept, as the shard was full.
    pub connections_refused: Count,
    /// Accepts that failed (`EMFILE` and the like).
    pub accept_errors: Count,
    /// Times that an accept waited, as clients had their part of the descriptors.
    pub accepts_paused: Count,
    /// Connections to backends that could not be opened for want of descriptors or memory.
    pub sockets_short: Count,
    /// Listeners that could not be opened.
    pub listen_errors: Count,
    /// The version of the listeners that are open.
    pub listeners_seen: Count,
    /// Connections that ended by a panic in elbow: our bug.
    pub panics: Count,
    /// Sessions in the table now.
    pub sessions: Count,
    /// Lookups that the table answered.
    pub table_hits: Count,
    /// Lookups that needed decryption.
    pub table_misses: Count,
    /// Sessions evicted at the bound.
    pub table_evictions: Count,
    /// Client connections that do not count among their client's, as its bucket was full.
    pub clients_uncounted: Count,
    /// Idle upstream connections now.
    pub idle_upstream: Count,
    /// Idle upstream connections closed at the bound.
    pub idle_upstream_surplus: Count,
    /// Upstream connections closed as the backend had sent more than it was asked for.
    pub upstream_surplus: Count,
    /// Relay blocks in use.
    pub relay_blocks: Count,
    /// Times that a request was refused, or bytes stayed in a small block, as
    /// `limits::RELAY_BLOCKS_MAX` were in use.
    pub relay_blocks_short: Count,
    /// Times that a long body stayed in a small block as the large ones were all in use.
    pub bulk_blocks_short: Count,
    /// Bytes relayed through pipes, uncopied.
    pub spliced: Count,
    /// Times that a relayed stream went on in blocks as no pipe was to be had.
    pub pipes_short: Count,
    /// 1 once the kernel has refused to splice: streams are relayed in blocks ever since.
    pub splice_refused: Count,
    /// Sightings of sessions that moved which found no place among `limits::MOVES_PER_SHARD`.
    pub moves_unseen: Count,
    /// Reports dropped since the control thread's mailbox was full.
    pub reports_dropped: Count,
    /// Sweeps that began more than twice `limits::SWEEP_INTERVAL` after the one before: something
    /// kept the shard from its other connections.
    pub sweeps_late: Count,
    /// The CPU time that its thread has taken, in nanoseconds, as of its last sweep.
    pub cpu_nanos: Count,
    /// The driver level that runs; `shard::driver::Level as u64`.
    pub driver_level: Count,
    /// TLS with clients.
    pub tls: TlsLine,
}

/// What one shard counts of TLS with clients.
#[derive(Debug, Default)]
pub struct TlsLine {
    /// Handshakes that succeeded.
    pub handshakes: Count,
    /// Those of them that went on from an earlier session.
    pub resumed: Count,
    /// Handshakes in progress now.
    pub in_progress: Count,
    /// Connections closed on accept, as `limits::HANDSHAKES_PER_SHARD` were in progress.
    pub refused: Count,
    /// Handshakes that failed; indexed by `HandshakeFailure as usize`.
    pub failures: [Count; HandshakeFailure::NAMES.len()],
}

/// Why a TLS handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum HandshakeFailure {
    /// It took longer than `limits::HANDSHAKE_TIME`.
    Late,
    /// The client closed.
    Closed,
    /// What came is no TLS, such as a request in clear.
    NotTls,
    /// There is no version, cipher or protocol that both sides have.
    Incompatible,
    /// The client refused, for example our certificate.
    Alerted,
    /// The client broke the protocol.
    Broken,
    /// The client showed no certificate where it must, or one that does not hold.
    ClientCertificate,
}

impl HandshakeFailure {
    /// The names for metrics, in the order of their index.
    pub const NAMES: [&'static str; 7] = [
        "late",
        "closed",
        "not_tls",
        "incompatible",
        "alerted",
        "broken",
        "client_certificate",
    ];
}

/// What the thread counts that writes the access log.
#[derive(Debug, Default)]
pub struct WriterLine {
    /// Lines that were written.
    pub written: Count,
    /// Lines that could not be.
    pub lost: Count,
}

/// What the control thread counts of the health checks of one backend. It alone writes.
#[derive(Debug, Default)]
pub struct CheckLine {
    /// Those that got no connection, TLS handshakes included.
    pub unconnected: Count,
}

/// What the control thread counts for itself. It alone writes.
#[derive(Debug, Default)]
pub struct ControlLine {
    /// What other nodes told and could not be read, or tells of what is to come.
    pub sayings_refused: Count,
    /// Health checks that found a backend well.
    pub checks_passed: Count,
    /// Health checks that did not.
    pub checks_failed: Count,
    /// Health checks that waited, as `limits::CHECKS_AT_ONCE` were running.
    pub checks_delayed: Count,
    /// Health checks that could not be made for want of descriptors or memory.
    pub checks_unmade: Count,
    /// Bursts of checks that a shard's report began.
    pub check_bursts: Count,
    /// Admin connections closed on accept, as `limits::ADMIN_CONNECTIONS_MAX` were at work.
    pub admin_connections_refused: Count,
    /// Admin connections closed while they rested, as others came and all places were taken.
    pub admin_connections_displaced: Count,
    /// Requests at the admin address that were no requests, or got a status from 400 up.
    pub admin_requests_refused: Count,
    /// Requests that the admin address refused for who sent them; indexed by
    /// `AdminRefusal as usize`.
    pub admin_refused: [Count; AdminRefusal::NAMES.len()],
    /// Those who were signed out of the console as `limits::SIGN_INS_MAX` were signed in.
    pub sign_ins_displaced: Count,
    /// Clients whose wrong secrets were forgotten as `limits::GUESSERS_MAX` were remembered.
    pub guessers_forgotten: Count,
    /// Rows of moves that went before their time, as there were `limits::MOVES_KEPT`.
    pub moves_forgotten: Count,
    /// Times that the view could not be written down.
    pub view_write_errors: Count,
    /// Changes by the API that could not be kept on disk, and were not made.
    pub journal_write_errors: Count,
    /// Changes of other nodes that came to be in force here.
    pub replication_adopted: Count,
    /// Changes of other nodes of which a later one was known.
    pub replication_older: Count,
    /// Changes of other nodes that are too large, too many, from the future or not understood.
    pub replication_refused: Count,
    /// Changes made here that were replaced by those of nodes that did not know of them.
    pub replication_conflicts: Count,
    /// Changes made here that are larger than `limits::REPLICA_BYTES_MAX`, and stay here.
    pub replication_too_large: Count,
    /// Changes of other nodes that cannot be in force here now.
    pub replication_waiting: Count,
    /// Deletions that are remembered no more.
    pub tombstones_forgotten: Count,
    /// Times that the configuration was read again and taken.
    pub reloads: Count,
    /// Times that it was and did not hold, or a load balancer could not be as it says.
    pub reload_errors: Count,
    /// Times that a listener's certificates were read again.
    pub certificate_renewals: Count,
    /// Times that they were and did not hold, so that those of before stayed.
    pub certificate_renewal_errors: Count,
    /// Times that another key began to seal TLS session tickets.
    pub ticket_key_rotations: Count,
    /// Times that the keys of tickets could not be written down.
    pub ticket_key_write_errors: Count,
    /// Datagrams between nodes.
    pub gossip: Arc<GossipLine>,
}

/// What the control thread counts of the datagrams between nodes. It alone writes.
#[derive(Debug, Default)]
pub struct GossipLine {
    /// Datagrams that were sent.
    pub datagrams_sent: Count,
    /// Bytes of them, without the headers of UDP and IP.
    pub bytes_sent: Count,
    /// Datagrams that came, whoever sent them.
    pub datagrams_received: Count,
    /// Bytes of them, as far as one may be long.
    pub bytes_received: Count,
    /// Datagrams that were not listened to; indexed by [`Refusal::index`].
    pub refused: [Count; Refusal::NAMES.len()],
    /// Datagrams that could not be sent, with the rest of their messages.
    pub send_errors: Count,
    /// Times that the socket failed to receive.
    pub receive_errors: Count,
    /// Messages of which some pieces came and not all, within `limits::HALF_MESSAGE_MS_MAX` or as
    /// too many waited.
    pub messages_incomplete: Count,
    /// Messages that were sealed by who has the secret and say nothing that is understood.
    pub messages_unreadable: Count,
    /// Messages that were longer than `limits::GOSSIP_MESSAGE_BYTES_MAX` and were not sent.
    pub messages_too_long: Count,
    /// How old what other nodes told of backends was when it came, up to `limits::NEWS_AGE_MAX`.
    pub news_age: Histogram,
}

/// Why the admin address refuses a request before it looks at what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum AdminRefusal {
    /// It names another host, as by DNS rebinding.
    Host,
    /// A web page of another origin would change something.
    Origin,
    /// It has no signature.
    Unsigned,
    /// Its signature cannot be read.
    Malformed,
    /// Its signature is too old, too new, or for longer than one may be.
    Expired,
    /// Nobody has its access key id, or not for this.
    Credential,
    /// Its body is too long or does not come.
    Body,
    /// Its signature is another one than the secret would make.
    Signature,
    /// It would change something, and its credential may not.
    ReadOnly,
    /// It would change something, and its signature may have done so already.
    Replay,
    /// It would change something, and as many signatures are remembered as may be.
    ReplayTableFull,
    /// Too many wrong secrets came from its client for its credential.
    LockedOut,
    /// It has the cookie of somebody who is signed in no more.
    SignedOut,
    /// It has the cookie of somebody who is signed in, and not the token that it needs as well.
    Token,
}

impl AdminRefusal {
    /// The names for metrics, in the order of their index.
    pub const NAMES: [&'static str; 14] = [
        "host",
        "origin",
        "unsigned",
        "malformed",
        "expired",
        "credential",
        "body",
        "signature",
        "read_only",
        "replay",
        "replay_table_full",
        "locked_out",
        "signed_out",
        "token",
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: usize = 3;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "threads of a test, that stand for shards"
    )]
    fn what_is_bounded_stays_within_its_bound_on_all_shards_at_once() {
        const MAX: u64 = 2;
        let counts: PerShard<BackendLine> = PerShard::new(SHARDS);
        let holders = AtomicU64::new(0);
        let most = AtomicU64::new(0);
        let hold_often = |shard| {
            let mut held = 0;
            while held < 50_000 {
                if counts.add_within(shard, MAX, |line| &line.outstanding) {
                    let now = holders.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    holders.fetch_sub(1, Ordering::SeqCst);
                    counts.line(shard).outstanding.sub(1);
                    held += 1;
                } else {
                    // Those who hold it may have to be given their core back first.
                    std::thread::yield_now();
                }
            }
        };
        std::thread::scope(|scope| {
            for shard in [0, 1, 2] {
                scope.spawn(move || hold_often(shard));
            }
        });
        assert!(most.into_inner() <= MAX);
        assert_eq!(counts.sum(|line| &line.outstanding), 0);
    }

    #[test]
    fn at_the_bound_nothing_is_added_and_below_it_one_is() {
        let counts: PerShard<BackendLine> = PerShard::new(SHARDS);
        let add = |shard| counts.add_within(shard, 2, |line| &line.outstanding);
        assert!(add(0) && add(2) && !add(1));
        assert_eq!(counts.sum(|line| &line.outstanding), 2);
        counts.line(0).outstanding.sub(1);
        assert!(add(1) && !add(0));
    }
}
