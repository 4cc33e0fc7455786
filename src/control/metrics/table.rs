//! Every metric's name, meaning and place: the page to read before making a dashboard.
//!
//! Not here: how they are read and written (`metrics.rs`), and those of clusters (`cluster.rs`). In
//! the text a counter's name has `_total` appended, and that of the build `_info`, as OpenMetrics
//! wants. Invariant: a bound of `limits.rs` that can be reached at run time has a counter here or
//! there.

use prometheus_client::metrics::MetricType::{self, Counter, Gauge};

use crate::state::{
    Backend, BackendLine, ControlLine, Count, DrainRow, HealthRow, LoadBalancerLine, ShardLine,
    WriterLine,
};

/// A name, what it means, its type, and where its value is in a line of counters.
pub(super) type Row<Line> = (&'static str, &'static str, MetricType, fn(&Line) -> &Count);

/// A gauge that the snapshot holds for each backend.
pub(super) type Fact = (&'static str, &'static str, fn(&Backend) -> u64);

/// A gauge that the control thread has published of each backend's health.
pub(super) type HealthFact = (&'static str, &'static str, fn(&HealthRow) -> u64);

/// A gauge of each drain that goes on.
pub(super) type DrainFact = (&'static str, &'static str, fn(&DrainRow) -> u64);

/// A name and what it means.
pub(super) type Name = (&'static str, &'static str);

/// With label `shard`.
pub(super) const BY_SHARD: &[Row<ShardLine>] = &[
    (
        "elbow_connections_accepted",
        "Client connections accepted",
        Counter,
        |l| &l.accepted,
    ),
    (
        "elbow_connections",
        "Client connections open now",
        Gauge,
        |l| &l.connections,
    ),
    (
        "elbow_connections_refused",
        "Client connections closed on accept as the shard was full",
        Counter,
        |l| &l.connections_refused,
    ),
    (
        "elbow_access_log_dropped",
        "Lines of the access log that nobody could take, as too many waited to be written",
        Counter,
        |l| &l.log_lines_dropped,
    ),
    ("elbow_accept_errors", "Accepts that failed", Counter, |l| {
        &l.accept_errors
    }),
    (
        "elbow_accepts_paused",
        "Times that an accept waited as clients had their part of the descriptors",
        Counter,
        |l| &l.accepts_paused,
    ),
    (
        "elbow_sockets_short",
        "Connections to backends not opened for want of descriptors or memory",
        Counter,
        |l| &l.sockets_short,
    ),
    (
        "elbow_listen_errors",
        "Listeners that could not be opened",
        Counter,
        |l| &l.listen_errors,
    ),
    (
        "elbow_listeners_version",
        "Number of the last change of listeners that the shard has made",
        Gauge,
        |l| &l.listeners_seen,
    ),
    (
        "elbow_panics",
        "Connections ended by a panic: a bug of elbow",
        Counter,
        |l| &l.panics,
    ),
    ("elbow_sessions", "Sessions in the table now", Gauge, |l| {
        &l.sessions
    }),
    (
        "elbow_session_hits",
        "Lookups that the table answered",
        Counter,
        |l| &l.table_hits,
    ),
    (
        "elbow_session_misses",
        "Lookups that needed decryption",
        Counter,
        |l| &l.table_misses,
    ),
    (
        "elbow_session_evictions",
        "Sessions evicted as the table was full",
        Counter,
        |l| &l.table_evictions,
    ),
    (
        "elbow_session_moves_unseen",
        "Times that a session had moved between more pairs of backends than are shown at once",
        Counter,
        |l| &l.moves_unseen,
    ),
    (
        "elbow_upstream_idle",
        "Idle upstream connections now",
        Gauge,
        |l| &l.idle_upstream,
    ),
    (
        "elbow_upstream_idle_surplus",
        "Idle upstream connections closed as the pool was full",
        Counter,
        |l| &l.idle_upstream_surplus,
    ),
    (
        "elbow_upstream_surplus",
        "Upstream connections closed as the backend had sent more than it was asked for",
        Counter,
        |l| &l.upstream_surplus,
    ),
    (
        "elbow_clients_uncounted",
        "Client connections beside the bound of their client as too many clients were counted",
        Counter,
        |l| &l.clients_uncounted,
    ),
    (
        "elbow_relay_blocks",
        "Buffers of 64 KiB in use now",
        Gauge,
        |l| &l.relay_blocks,
    ),
    (
        "elbow_relay_blocks_short",
        "Times that a request was refused, or a stream stayed in small buffers, for want of them",
        Counter,
        |l| &l.relay_blocks_short,
    ),
    (
        "elbow_bulk_blocks_short",
        "Times that a long body stayed in a small block as the large ones were all in use",
        Counter,
        |l| &l.bulk_blocks_short,
    ),
    (
        "elbow_spliced_bytes",
        "Bytes relayed through pipes, uncopied",
        Counter,
        |l| &l.spliced,
    ),
    (
        "elbow_pipes_short",
        "Times that a relayed stream went on in blocks as no pipe was to be had",
        Counter,
        |l| &l.pipes_short,
    ),
    (
        "elbow_splice_refused",
        "1 once the kernel has refused to splice: streams are relayed in blocks",
        Gauge,
        |l| &l.splice_refused,
    ),
    (
        "elbow_reports_dropped",
        "Reports lost as the mailbox of the control thread was full",
        Counter,
        |l| &l.reports_dropped,
    ),
    (
        "elbow_driver_level",
        "The I/O driver that the shard runs on: 0 epoll, above that io_uring with ever more features",
        Gauge,
        |l| &l.driver_level,
    ),
    (
        "elbow_sweeps_late",
        "Looks at deadlines that began more than twice their interval after the one before",
        Counter,
        |l| &l.sweeps_late,
    ),
    (
        "elbow_tls_handshakes",
        "TLS handshakes with clients that succeeded",
        Counter,
        |l| &l.tls.handshakes,
    ),
    (
        "elbow_tls_resumed",
        "TLS handshakes that went on from an earlier session",
        Counter,
        |l| &l.tls.resumed,
    ),
    (
        "elbow_tls_handshakes_in_progress",
        "TLS handshakes with clients that are not over yet",
        Gauge,
        |l| &l.tls.in_progress,
    ),
    (
        "elbow_tls_refused",
        "TLS connections closed on accept as too many handshakes were in progress",
        Counter,
        |l| &l.tls.refused,
    ),
];

/// With label `shard`; a counter, in seconds.
pub(super) const CPU: Name = (
    "elbow_shard_cpu",
    "CPU time of the shard's thread: 1 per second is all that a core has",
);

/// With labels `shard` and `reason`; a counter.
pub(super) const HANDSHAKE_FAILURES: Name = (
    "elbow_tls_handshake_failures",
    "TLS handshakes with clients that failed",
);

/// With label `certificate`, the file; a gauge.
pub(super) const CERTIFICATE_DAYS: Name = (
    "elbow_certificate_days_left",
    "Whole days until the certificate expires; negative after that",
);

/// With label `load_balancer`.
pub(super) const BY_LOAD_BALANCER: &[Row<LoadBalancerLine>] = &[
    (
        "elbow_requests",
        "Request heads read, valid or not",
        Counter,
        |l| &l.requests,
    ),
    (
        "elbow_cookies_set",
        "Stickiness cookies sent",
        Counter,
        |l| &l.cookies_set,
    ),
    (
        "elbow_app_cookies_ignored",
        "Application cookies that bound nobody as their line ends in a semicolon",
        Counter,
        |l| &l.app_cookies_ignored,
    ),
    (
        "elbow_app_cookies_surplus",
        "Application cookies that bound nobody as their answer had too many of them",
        Counter,
        |l| &l.app_cookies_surplus,
    ),
    (
        "elbow_app_cookies_encoded",
        "Stickiness cookies with an encoded underscore in the path: browsers will not return them",
        Counter,
        |l| &l.app_cookies_encoded,
    ),
    (
        "elbow_retries",
        "Requests sent again after a stale upstream connection",
        Counter,
        |l| &l.retries,
    ),
    (
        "elbow_redispatches",
        "Requests and TCP connections sent to another backend as theirs could not be reached",
        Counter,
        |l| &l.redispatches,
    ),
    (
        "elbow_aborted",
        "Exchanges that ended before the answer was whole, TCP connections that were reset",
        Counter,
        |l| &l.aborted,
    ),
    (
        "elbow_upgrades",
        "Client connections that changed to another protocol, such as WebSocket",
        Counter,
        |l| &l.upgrades,
    ),
    (
        "elbow_relays",
        "Connections that TCP listeners took on",
        Counter,
        |l| &l.relays,
    ),
    (
        "elbow_relays_unserved",
        "Connections of TCP listeners that were reset as no backend could be reached or had room",
        Counter,
        |l| &l.relays_unserved,
    ),
    (
        "elbow_relayed_up_bytes",
        "Bytes relayed from clients to backends",
        Counter,
        |l| &l.relayed_up,
    ),
    (
        "elbow_relayed_down_bytes",
        "Bytes relayed from backends to clients",
        Counter,
        |l| &l.relayed_down,
    ),
    (
        "elbow_clients_refused",
        "Client connections closed as their client had as many as it may",
        Counter,
        |l| &l.clients_refused,
    ),
    (
        "elbow_slow_readers",
        "Exchanges that ended as their client did not read its answer, or too slowly",
        Counter,
        |l| &l.slow_readers,
    ),
    (
        "elbow_proxy_headers_refused",
        "Client connections closed as their PROXY header was missing or malformed",
        Counter,
        |l| &l.proxy_headers_refused,
    ),
    (
        "elbow_surge_queue_length",
        "Requests and TCP connections that wait for a backend (SurgeQueueLength)",
        Gauge,
        |l| &l.surge_waiting,
    ),
    (
        "elbow_surge_waits",
        "Requests and TCP connections that had to wait for a backend",
        Counter,
        |l| &l.surge_waits,
    ),
    (
        "elbow_spillover",
        "Requests and TCP connections refused as the surge queue was full (SpilloverCount)",
        Counter,
        |l| &l.spillover,
    ),
    (
        "elbow_surge_timeouts",
        "Requests and TCP connections that waited longer for a backend than queue_timeout",
        Counter,
        |l| &l.surge_timeouts,
    ),
];

/// With label `load_balancer`; a histogram, in seconds.
pub(super) const LATENCY: Name = (
    "elbow_latency",
    "From the sending of a request to the head of its answer, on TCP listeners how long it took to \
     connect (Latency)",
);

/// With labels `load_balancer` and `backend`.
pub(super) const BY_BACKEND: &[Row<BackendLine>] = &[
    (
        "elbow_backend_outstanding",
        "Exchanges and TCP connections that hold the backend now",
        Gauge,
        |l| &l.outstanding,
    ),
    (
        "elbow_backend_connects",
        "Connections opened",
        Counter,
        |l| &l.connects,
    ),
    (
        "elbow_backend_pool_hits",
        "Requests sent over a connection that was already open",
        Counter,
        |l| &l.pool_hits,
    ),
    (
        "elbow_backend_connect_errors",
        "Connection attempts that failed, TLS handshakes included",
        Counter,
        |l| &l.connect_errors,
    ),
    (
        "elbow_backend_handshake_errors",
        "TLS handshakes with the backend that failed",
        Counter,
        |l| &l.handshake_errors,
    ),
    (
        "elbow_backend_response_errors",
        "Requests that got no whole, valid head in answer",
        Counter,
        |l| &l.response_errors,
    ),
];

/// Without labels.
pub(super) const OF_ACCESS_LOG: &[Row<WriterLine>] = &[
    (
        "elbow_access_log_lines",
        "Lines of the access log that were written",
        Counter,
        |l| &l.written,
    ),
    (
        "elbow_access_log_lost",
        "Lines of the access log that could not be written",
        Counter,
        |l| &l.lost,
    ),
];

/// Without labels.
pub(super) const BY_CONTROL: &[Row<ControlLine>] = &[
    (
        "elbow_checks_passed",
        "Health checks that found a backend well",
        Counter,
        |l| &l.checks_passed,
    ),
    (
        "elbow_checks_failed",
        "Health checks that did not",
        Counter,
        |l| &l.checks_failed,
    ),
    (
        "elbow_checks_delayed",
        "Health checks that waited as too many were running",
        Counter,
        |l| &l.checks_delayed,
    ),
    (
        "elbow_checks_unmade",
        "Health checks not made for want of descriptors or memory",
        Counter,
        |l| &l.checks_unmade,
    ),
    (
        "elbow_check_bursts",
        "Bursts of checks that a shard's report began",
        Counter,
        |l| &l.check_bursts,
    ),
    (
        "elbow_admin_connections_refused",
        "Admin connections closed on accept as too many were at work",
        Counter,
        |l| &l.admin_connections_refused,
    ),
    (
        "elbow_admin_connections_displaced",
        "Admin connections closed while they rested as too many were open",
        Counter,
        |l| &l.admin_connections_displaced,
    ),
    (
        "elbow_admin_requests_refused",
        "Admin requests that could not be read, or got a status from 400 up",
        Counter,
        |l| &l.admin_requests_refused,
    ),
    (
        "elbow_admin_sign_ins_displaced",
        "Times that somebody was signed out of the console as too many were signed in",
        Counter,
        |l| &l.sign_ins_displaced,
    ),
    (
        "elbow_admin_guessers_forgotten",
        "Times that a client's wrong secrets were forgotten as too many clients had some",
        Counter,
        |l| &l.guessers_forgotten,
    ),
    (
        "elbow_session_moves_forgotten",
        "Rows of moves that are no longer shown as there were too many",
        Counter,
        |l| &l.moves_forgotten,
    ),
    (
        "elbow_view_write_errors",
        "Times that the view could not be written to the state directory",
        Counter,
        |l| &l.view_write_errors,
    ),
    (
        "elbow_journal_write_errors",
        "Changes by the API that could not be kept on disk and were not made",
        Counter,
        |l| &l.journal_write_errors,
    ),
    (
        "elbow_reloads",
        "Times that the configuration was read again and taken",
        Counter,
        |l| &l.reloads,
    ),
    (
        "elbow_reload_errors",
        "Times that the configuration, or a load balancer in it, could not be taken",
        Counter,
        |l| &l.reload_errors,
    ),
    (
        "elbow_certificate_renewals",
        "Times that a listener's certificates were read again",
        Counter,
        |l| &l.certificate_renewals,
    ),
    (
        "elbow_certificate_renewal_errors",
        "Times that a listener's certificates did not hold and those of before stayed",
        Counter,
        |l| &l.certificate_renewal_errors,
    ),
    (
        "elbow_ticket_key_rotations",
        "Times that another key began to seal TLS session tickets",
        Counter,
        |l| &l.ticket_key_rotations,
    ),
    (
        "elbow_ticket_key_write_errors",
        "Times that the keys of tickets could not be written to the state directory",
        Counter,
        |l| &l.ticket_key_write_errors,
    ),
];

/// With label `reason`; a counter.
pub(super) const ADMIN_REFUSED: Name = (
    "elbow_admin_refused",
    "Requests that the admin address refused for who sent them",
);

/// With labels `load_balancer` and `verdict`; counters, as the next two.
pub(super) const VERDICTS: Name = (
    "elbow_sticky_verdicts",
    "Requests by what their cookie said",
);
/// With labels `load_balancer` and `classification`.
pub(super) const DESYNC: Name = (
    "elbow_desync_requests",
    "Request heads that are not as RFC 9112 has them; the sum over all classifications is CLB's \
     DesyncMitigationMode_NonCompliant_Request_Count",
);
/// With labels `load_balancer`, `reason` and `status`, which follows from the reason.
pub(super) const OWN_ANSWERS: Name = (
    "elbow_own_answers",
    "Answers that elbow made itself (HTTPCode_ELB_4XX, HTTPCode_ELB_5XX)",
);
/// With labels `load_balancer`, `backend` and `class`.
pub(super) const RESPONSES: Name = (
    "elbow_backend_responses",
    "Final answers of backends (HTTPCode_Backend_2XX and so on)",
);
/// The values of `class`, by index.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// From the snapshot, with labels `load_balancer` and `backend`.
pub(super) const OF_BACKEND: &[Fact] = &[
    (
        "elbow_backend_in_service",
        "1 if the backend takes requests",
        |b| b.is_in_service().into(),
    ),
    (
        "elbow_backend_life",
        "How often the backend came into service",
        |b| b.life.into(),
    ),
];

/// With labels `load_balancer` and `backend`.
pub(super) const OF_HEALTH: &[HealthFact] = &[
    (
        "elbow_backend_sessions",
        "Sessions alive on the backend, estimated",
        |row| row.sessions,
    ),
    (
        "elbow_backend_weight",
        "Its share of new sessions; 0 while it drains",
        |row| row.weight.into(),
    ),
    (
        "elbow_backend_over_bound",
        "1 while the backend has more than its share of sessions",
        |row| row.is_over_bound.into(),
    ),
    (
        "elbow_backend_draining",
        "1 while the backend leaves",
        |row| row.draining.is_some().into(),
    ),
];

/// With labels `load_balancer` and `backend`; a counter.
pub(super) const CHECK_CONNECT_ERRORS: Name = (
    "elbow_backend_check_connect_errors",
    "Health checks that got no connection, TLS handshakes included",
);

/// With labels `load_balancer` and `backend`.
pub(super) const OF_DRAIN: &[DrainFact] = &[
    (
        "elbow_drain_sessions_at_start",
        "Sessions that were alive when the drain began",
        |row| row.sessions_at_start,
    ),
    (
        "elbow_drain_sessions_left",
        "Sessions alive that the drain waits for",
        |row| row.sessions_left,
    ),
];

/// Without labels, but for the version on the last.
pub(super) const EPOCH: Name = ("elbow_snapshot_epoch", "Number of the snapshot in force");
pub(super) const DRAINING: Name = ("elbow_draining", "1 while the process drains");
pub(super) const BUILD: Name = ("elbow_build", "This build");
