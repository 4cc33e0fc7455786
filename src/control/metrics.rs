//! `/metrics`: every name, in tables, and the reading of the shards' counters at each scrape.
//!
//! Not here: the counting (`state/load.rs`, written by the shards). Invariants: a scrape only loads,
//! so it disturbs no shard; labels come from the configuration and from fixed lists, never from
//! requests. In the text a counter's name has `_total` appended, as OpenMetrics wants.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::Registry;

use crate::state::{
    Backend, BackendLine, ControlLine, Count, LoadBalancerLine, Route, ShardLine, Snapshot,
};
use crate::sys::link::{Link, Phase};

/// What [`Metrics::scrape`] returns.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What this build calls things.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// The version of elbow.
    pub version: &'static str,
    /// Labels of [`LoadBalancerLine::own_answers`], by index.
    pub own_answers: &'static [&'static str],
    /// Labels of [`LoadBalancerLine::verdicts`], by index.
    pub verdicts: &'static [&'static str],
}

/// A name, what it means, its type, and where its value is in a line of counters.
type Row<Line> = (&'static str, &'static str, MetricType, fn(&Line) -> &Count);

use MetricType::{Counter, Gauge};

/// With label `shard`.
const BY_SHARD: &[Row<ShardLine>] = &[
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
    ("elbow_accept_errors", "Accepts that failed", Counter, |l| {
        &l.accept_errors
    }),
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
        "elbow_reports_dropped",
        "Reports lost as the mailbox of the control thread was full",
        Counter,
        |l| &l.reports_dropped,
    ),
    (
        "elbow_driver_level",
        "The I/O driver that the shard runs on",
        Gauge,
        |l| &l.driver_level,
    ),
];

/// With label `load_balancer`.
const BY_LOAD_BALANCER: &[Row<LoadBalancerLine>] = &[
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
        "elbow_retries",
        "Requests sent again after a stale upstream connection",
        Counter,
        |l| &l.retries,
    ),
    (
        "elbow_redispatches",
        "Requests sent to another backend as theirs could not be reached",
        Counter,
        |l| &l.redispatches,
    ),
    (
        "elbow_aborted",
        "Exchanges that ended before the answer was whole",
        Counter,
        |l| &l.aborted,
    ),
];

/// With labels `load_balancer` and `backend`.
const BY_BACKEND: &[Row<BackendLine>] = &[
    (
        "elbow_backend_outstanding",
        "Exchanges that hold the backend now",
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
        "Connection attempts that failed",
        Counter,
        |l| &l.connect_errors,
    ),
    (
        "elbow_backend_response_errors",
        "Requests that got no whole, valid head in answer",
        Counter,
        |l| &l.response_errors,
    ),
];

/// Without labels.
const BY_CONTROL: &[Row<ControlLine>] = &[
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
        "elbow_check_bursts",
        "Bursts of checks that a shard's report began",
        Counter,
        |l| &l.check_bursts,
    ),
    (
        "elbow_admin_connections_refused",
        "Admin connections closed on accept as too many were open",
        Counter,
        |l| &l.admin_connections_refused,
    ),
];

/// With labels `load_balancer` and `verdict`, `reason`; `load_balancer`, `backend` and `class`.
const VERDICTS: (&str, &str) = (
    "elbow_sticky_verdicts",
    "Requests by what their cookie said",
);
const OWN_ANSWERS: (&str, &str) = ("elbow_own_answers", "Answers that elbow made itself");
const RESPONSES: (&str, &str) = ("elbow_backend_responses", "Final answers of backends");
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// From the snapshot: the first two with labels `load_balancer` and `backend`, the rest without.
const IN_SERVICE: (&str, &str) = (
    "elbow_backend_in_service",
    "1 if the backend takes requests",
);
const LIFE: (&str, &str) = (
    "elbow_backend_life",
    "How often the backend came into service",
);
const EPOCH: (&str, &str) = ("elbow_snapshot_epoch", "Number of the snapshot in force");
const DRAINING: (&str, &str) = ("elbow_draining", "1 while the process drains");
const BUILD: (&str, &str) = ("elbow_build", "This build");

/// Everything that `/metrics` tells.
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn new(link: Arc<Link>, control: Arc<ControlLine>, about: About) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Counters {
            link,
            control,
            about,
        }));
        Self(registry)
    }

    /// The OpenMetrics text, as of now.
    pub(super) fn scrape(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.0).expect("a String takes any text");
        text
    }
}

#[derive(Debug)]
struct Counters {
    link: Arc<Link>,
    control: Arc<ControlLine>,
    about: About,
}

impl Collector for Counters {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let snapshot = self.link.snapshot.load();
        self.process(&mut page, &snapshot)?;
        self.shards(&mut page)?;
        load_balancers(&mut page, &snapshot, &self.about)?;
        backends(&mut page, &snapshot)
    }
}

impl Counters {
    fn process(&self, page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
        let (name, help) = BUILD;
        page.0
            .encode_descriptor(name, help, None, MetricType::Info)?
            .encode_info(&[("version", self.about.version)])?;
        page.family(EPOCH, Gauge)?.encode_gauge(&snapshot.epoch)?;
        let is_draining = self.link.phase() == Phase::Draining;
        page.family(DRAINING, Gauge)?
            .encode_gauge(&u64::from(is_draining))?;
        for &(name, help, kind, count) in BY_CONTROL {
            let value = count(&self.control).value();
            put(&mut page.family((name, help), kind)?, kind, value)?;
        }
        Ok(())
    }

    fn shards(&self, page: &mut Page<'_>) -> fmt::Result {
        for &(name, help, kind, count) in BY_SHARD {
            let mut family = page.family((name, help), kind)?;
            for (shard, line) in self.link.shards.lines().enumerate() {
                let labels = [("shard", shard.to_string())];
                put(
                    &mut family.encode_family(&labels)?,
                    kind,
                    count(line).value(),
                )?;
            }
        }
        Ok(())
    }
}

fn load_balancers(page: &mut Page<'_>, snapshot: &Snapshot, about: &About) -> fmt::Result {
    for &(name, help, kind, count) in BY_LOAD_BALANCER {
        let mut family = page.family((name, help), kind)?;
        for route in one_route_each(snapshot) {
            let labels = [("load_balancer", &*route.load_balancer)];
            put(
                &mut family.encode_family(&labels)?,
                kind,
                route.counts.sum(count),
            )?;
        }
    }
    let mut family = page.family(VERDICTS, Counter)?;
    for route in one_route_each(snapshot) {
        for (index, verdict) in about.verdicts.iter().enumerate() {
            let labels = [
                ("load_balancer", &*route.load_balancer),
                ("verdict", *verdict),
            ];
            let value = route.counts.sum(|line| &line.verdicts[index]);
            put(&mut family.encode_family(&labels)?, Counter, value)?;
        }
    }
    let mut family = page.family(OWN_ANSWERS, Counter)?;
    for route in one_route_each(snapshot) {
        for (index, reason) in about.own_answers.iter().enumerate() {
            let labels = [
                ("load_balancer", &*route.load_balancer),
                ("reason", *reason),
            ];
            let value = route.counts.sum(|line| &line.own_answers[index]);
            put(&mut family.encode_family(&labels)?, Counter, value)?;
        }
    }
    Ok(())
}

fn backends(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    for &(name, help, kind, count) in BY_BACKEND {
        let mut family = page.family((name, help), kind)?;
        for (route, backend) in each_backend(snapshot) {
            let labels = backend_labels(route, backend);
            put(
                &mut family.encode_family(&labels)?,
                kind,
                backend.counts.sum(count),
            )?;
        }
    }
    let mut family = page.family(RESPONSES, Counter)?;
    for (route, backend) in each_backend(snapshot) {
        for (index, class) in CLASSES.iter().enumerate() {
            let [load_balancer, id] = backend_labels(route, backend);
            let value = backend.counts.sum(|line| &line.responses[index]);
            let labels = [load_balancer, id, ("class", *class)];
            put(&mut family.encode_family(&labels)?, Counter, value)?;
        }
    }
    let facts: [(_, fn(&Backend) -> u64); 2] = [
        (IN_SERVICE, |backend| u64::from(backend.is_in_service)),
        (LIFE, |backend| u64::from(backend.life)),
    ];
    for (name, fact) in facts {
        let mut family = page.family(name, Gauge)?;
        for (route, backend) in each_backend(snapshot) {
            let labels = backend_labels(route, backend);
            put(&mut family.encode_family(&labels)?, Gauge, fact(backend))?;
        }
    }
    Ok(())
}

/// The text that is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn family(
        &mut self,
        (name, help): (&'static str, &'static str),
        kind: MetricType,
    ) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }
}

fn put(sample: &mut MetricEncoder<'_>, kind: MetricType, value: u64) -> fmt::Result {
    match kind {
        Counter => sample.encode_counter(&value, None::<&Exemplar<NoLabelSet, f64>>),
        _ => sample.encode_gauge(&value),
    }
}

/// One route of each load balancer: its listeners follow one another and share all counters.
fn one_route_each(snapshot: &Snapshot) -> impl Iterator<Item = &Route> {
    snapshot
        .routes
        .chunk_by(|a, b| a.load_balancer == b.load_balancer)
        .map(|routes| &routes[0])
}

fn each_backend(snapshot: &Snapshot) -> impl Iterator<Item = (&Route, &Backend)> {
    one_route_each(snapshot).flat_map(|route| route.backends.iter().map(move |b| (route, b)))
}

fn backend_labels<'a>(route: &'a Route, backend: &'a Backend) -> [(&'static str, &'a str); 2] {
    [
        ("load_balancer", &*route.load_balancer),
        ("backend", &*backend.id),
    ]
}
