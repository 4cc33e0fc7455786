//! `/metrics`: the reading of the shards' counters at each scrape.
//!
//! Not here: the names (`table.rs`, `cluster.rs`) and the counting (`state/load.rs`, written by the
//! shards). Invariants: a scrape only loads, so it disturbs no shard; labels come from the
//! configuration and from fixed lists, never from requests.

mod cluster;
mod table;

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType::{self, Counter, Gauge};
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};
use tokio::sync::watch;

use self::cluster::{GOSSIP_REFUSED, NEWS_AGE, OF_CLUSTER, OF_FLEET, OF_GOSSIP};
use self::table::{
    ADMIN_REFUSED, BUILD, BY_BACKEND, BY_CONTROL, BY_LOAD_BALANCER, BY_SHARD, CERTIFICATE_DAYS,
    CHECK_CONNECT_ERRORS, CLASSES, CPU, DESYNC, DRAINING, EPOCH, HANDSHAKE_FAILURES, LATENCY, Name,
    OF_ACCESS_LOG, OF_BACKEND, OF_DRAIN, OF_HEALTH, OWN_ANSWERS, RESPONSES, VERDICTS,
};
use super::Published;
use super::certificates::{Ends, days_left};
use super::gossip::FleetRow;
use crate::cluster::Refusal;
use crate::http::{Classification, Reply};
use crate::state::{
    AdminRefusal, Backend, ControlLine, DrainRow, HandshakeFailure, Histogram, LoadBalancerLine,
    Route, Snapshot, Stage, WriterLine,
};
use crate::sys::{Link, Phase, unix_seconds};

/// What [`Metrics::scrape`] returns.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What this build calls things, and what it runs with.
#[derive(Debug, Clone)]
pub struct About {
    /// The version of elbow.
    pub version: &'static str,
    /// What the shards run on; the least of them.
    pub driver: &'static str,
    /// The CPU of each shard; `None`: it is not pinned.
    pub cores: Vec<Option<usize>>,
    /// Labels of [`LoadBalancerLine::verdicts`], by index; at most as many.
    pub verdicts: &'static [&'static str],
    /// When each certificate ends.
    pub certificate_ends: Ends,
    /// What the thread counts that writes the access log.
    pub access_log: Arc<WriterLine>,
}

/// Everything that `/metrics` tells.
pub(super) struct Metrics(Registry);

impl Metrics {
    pub(super) fn new(
        link: Arc<Link>,
        published: watch::Receiver<Published>,
        control: Arc<ControlLine>,
        about: About,
    ) -> Self {
        let line = LoadBalancerLine::default();
        assert!(
            Reply::ALL.len() <= line.own_answers.len(),
            "a label for each counter"
        );
        assert!(
            about.verdicts.len() <= line.verdicts.len(),
            "a label for each counter"
        );
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Counters {
            link,
            published,
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
    published: watch::Receiver<Published>,
    control: Arc<ControlLine>,
    about: About,
}

impl Collector for Counters {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let snapshot = self.link.snapshot.load();
        self.process(&mut page, &snapshot)?;
        self.shards(&mut page)?;
        self.certificates(&mut page)?;
        load_balancers(&mut page, &snapshot, &self.about)?;
        backends(&mut page, &snapshot)?;
        let published = self.published.borrow().clone();
        self.nodes(&mut page, published.fleet.as_deref())?;
        sessions(&mut page, &published)
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
        for &(name, help, kind, count) in BY_CONTROL.iter().chain(OF_CLUSTER) {
            let value = count(&self.control).value();
            put(&mut page.family((name, help), kind)?, kind, value)?;
        }
        for &(name, help, kind, count) in OF_ACCESS_LOG {
            let value = count(&self.about.access_log).value();
            put(&mut page.family((name, help), kind)?, kind, value)?;
        }
        let gossip = &self.control.gossip;
        for &(name, help, kind, count) in OF_GOSSIP {
            let value = count(gossip).value();
            put(&mut page.family((name, help), kind)?, kind, value)?;
        }
        let mut family = page.family(GOSSIP_REFUSED, Counter)?;
        for (reason, count) in Refusal::NAMES.iter().zip(&gossip.refused) {
            let labels = [("reason", *reason)];
            put(&mut family.encode_family(&labels)?, Counter, count.value())?;
        }
        let mut family = page.family(ADMIN_REFUSED, Counter)?;
        for (reason, count) in AdminRefusal::NAMES.iter().zip(&self.control.admin_refused) {
            let labels = [("reason", *reason)];
            put(&mut family.encode_family(&labels)?, Counter, count.value())?;
        }
        Ok(())
    }

    fn nodes(&self, page: &mut Page<'_>, fleet: Option<&FleetRow>) -> fmt::Result {
        for &(name, help, fact, alone) in OF_FLEET {
            let value = fleet.map_or(alone, fact);
            put(&mut page.family((name, help), Gauge)?, Gauge, value)?;
        }
        let news_age = &self.control.gossip.news_age;
        let family = page.in_seconds(NEWS_AGE, MetricType::Histogram)?;
        histogram(family, news_age.sum(), news_age.counts().collect())
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
        let mut family = page.in_seconds(CPU, Counter)?;
        for (shard, line) in self.link.shards.lines().enumerate() {
            let labels = [("shard", shard.to_string())];
            let seconds = line.cpu_nanos.value() as f64 / 1e9;
            family
                .encode_family(&labels)?
                .encode_counter(&seconds, None::<&Exemplar<NoLabelSet, f64>>)?;
        }
        let mut family = page.family(HANDSHAKE_FAILURES, Counter)?;
        for (shard, line) in self.link.shards.lines().enumerate() {
            for (reason, count) in HandshakeFailure::NAMES.iter().zip(&line.tls.failures) {
                let labels = [
                    ("shard", shard.to_string()),
                    ("reason", (*reason).to_owned()),
                ];
                put(&mut family.encode_family(&labels)?, Counter, count.value())?;
            }
        }
        Ok(())
    }

    fn certificates(&self, page: &mut Page<'_>) -> fmt::Result {
        let now = unix_seconds();
        let mut family = page.family(CERTIFICATE_DAYS, Gauge)?;
        for (file, end) in self.about.certificate_ends.load().iter() {
            let days = days_left(*end, now);
            let labels = [("certificate", file.as_str())];
            family.encode_family(&labels)?.encode_gauge(&days)?;
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
    latencies(page, snapshot)?;
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
    let mut family = page.family(DESYNC, Counter)?;
    for route in one_route_each(snapshot) {
        for classification in Classification::NON_COMPLIANT {
            let labels = [
                ("load_balancer", &*route.load_balancer),
                ("classification", classification.name()),
            ];
            let value = route
                .counts
                .sum(|line| &line.non_compliant[classification as usize]);
            put(&mut family.encode_family(&labels)?, Counter, value)?;
        }
    }
    let mut family = page.family(OWN_ANSWERS, Counter)?;
    for route in one_route_each(snapshot) {
        for (own, reason) in Reply::ALL.into_iter().zip(Reply::NAMES) {
            let labels = [
                ("load_balancer", route.load_balancer.to_string()),
                ("reason", reason.to_owned()),
                ("status", own.status().to_string()),
            ];
            let value = route.counts.sum(|line| &line.own_answers[own as usize]);
            put(&mut family.encode_family(&labels)?, Counter, value)?;
        }
    }
    Ok(())
}

fn latencies(page: &mut Page<'_>, snapshot: &Snapshot) -> fmt::Result {
    let mut family = page.in_seconds(LATENCY, MetricType::Histogram)?;
    for route in one_route_each(snapshot) {
        let lines = || route.counts.lines().map(|line| &line.latency);
        let sum = lines().map(Histogram::sum).sum();
        let counts = Histogram::total(lines());
        let labels = [("load_balancer", &*route.load_balancer)];
        histogram(family.encode_family(&labels)?, sum, counts)?;
    }
    Ok(())
}

fn histogram(mut sample: MetricEncoder<'_>, sum: f64, counts: Vec<u64>) -> fmt::Result {
    // As read, whatever is counted meanwhile: the last bucket has all of them.
    let count = counts.iter().sum();
    let buckets: Vec<_> = Histogram::bounds().zip(counts).collect();
    sample.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
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
    for &(name, help, fact) in OF_BACKEND {
        let mut family = page.family((name, help), Gauge)?;
        for (route, backend) in each_backend(snapshot) {
            let labels = backend_labels(route, backend);
            put(&mut family.encode_family(&labels)?, Gauge, fact(backend))?;
        }
    }
    Ok(())
}

/// What the control thread knows of backends, and how far drains are.
fn sessions(page: &mut Page<'_>, published: &Published) -> fmt::Result {
    for &(name, help, fact) in OF_HEALTH {
        let mut family = page.family((name, help), Gauge)?;
        for row in published.health.iter() {
            let labels = [
                ("load_balancer", &*row.load_balancer),
                ("backend", &*row.backend),
            ];
            put(&mut family.encode_family(&labels)?, Gauge, fact(row))?;
        }
    }
    let mut family = page.family(CHECK_CONNECT_ERRORS, Counter)?;
    for row in published.health.iter() {
        let labels = [
            ("load_balancer", &*row.load_balancer),
            ("backend", &*row.backend),
        ];
        let value = row.checks.unconnected.value();
        put(&mut family.encode_family(&labels)?, Counter, value)?;
    }
    for &(name, help, fact) in OF_DRAIN {
        let mut family = page.family((name, help), Gauge)?;
        let is_going_on = |row: &&DrainRow| !matches!(row.stage, Stage::Done(_));
        for row in published.drains.iter().filter(is_going_on) {
            let labels = [
                ("load_balancer", &*row.load_balancer),
                ("backend", &*row.backend),
            ];
            put(&mut family.encode_family(&labels)?, Gauge, fact(row))?;
        }
    }
    Ok(())
}

/// The text that is being written.
struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn family(
        &mut self,
        (name, help): Name,
        kind: MetricType,
    ) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }

    /// One whose name gets `_seconds`.
    fn in_seconds(
        &mut self,
        (name, help): Name,
        kind: MetricType,
    ) -> Result<MetricEncoder<'_>, fmt::Error> {
        self.0
            .encode_descriptor(name, help, Some(&Unit::Seconds), kind)
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
