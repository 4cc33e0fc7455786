//! One reading of the counters, and what two of them say about the time between.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    AnswersPerSecond, BackendMoment, LatencyMillis, LoadBalancerMoment, Moment, Move, ShardMoment,
};
use crate::control::Published;
use crate::control::admin::{BackendRow, Drain};
use crate::http::Reply;
use crate::state::{
    BackendLine, HealthRow, Histogram, LoadBalancerLine, LoadBalancerRow, PerShard,
};
use crate::sticky::Verdict;
use crate::sys::{Instant, Link};

/// What somebody looks at.
pub(in crate::control) struct Watched<'a> {
    pub(in crate::control) link: &'a Link,
    pub(in crate::control) published: &'a Published,
    /// The CPU of each shard.
    pub(in crate::control) cores: &'a [Option<usize>],
    /// The load balancer of which all is to be told; `None`: a little of each.
    pub(in crate::control) load_balancer: Option<&'a str>,
}

/// The counters at a point in time.
pub(in crate::control) struct Reading {
    at: Instant,
    shards: Vec<ShardCounts>,
    load_balancers: BTreeMap<Arc<str>, LoadBalancerCounts>,
    backends: BTreeMap<(Arc<str>, Arc<str>), BackendCounts>,
}

#[derive(Clone, Copy, Default)]
struct ShardCounts {
    cpu_nanos: u64,
    accepted: u64,
    sweeps_late: u64,
}

#[derive(Default)]
struct LoadBalancerCounts {
    requests: u64,
    relays: u64,
    /// Answers that elbow made itself, 4xx and 5xx.
    own: [u64; 2],
    verdicts: [u64; Verdict::NAMES.len()],
    latency: Vec<u64>,
}

#[derive(Clone, Copy, Default)]
struct BackendCounts {
    /// Answers from 2xx to 5xx.
    answers: [u64; 4],
    connects: u64,
    failures: u64,
}

impl Reading {
    /// Reads what there is now.
    pub(in crate::control) fn take(watched: &Watched<'_>, at: Instant) -> Self {
        let shards = watched.link.shards.lines().map(|line| ShardCounts {
            cpu_nanos: line.cpu_nanos.value(),
            accepted: line.accepted.value(),
            sweeps_late: line.sweeps_late.value(),
        });
        let load_balancers = watched.load_balancers();
        let backends = watched
            .load_balancers()
            .flat_map(|row| watched.backends(row));
        Self {
            at,
            shards: shards.collect(),
            load_balancers: load_balancers
                .map(|row| (Arc::clone(&row.name), LoadBalancerCounts::of(&row.counts)))
                .collect(),
            backends: backends
                .map(|row| {
                    let key = (Arc::clone(&row.load_balancer), Arc::clone(&row.backend));
                    (key, BackendCounts::of(&row.counts))
                })
                .collect(),
        }
    }

    /// What has happened since the reading `before`. Whoever was not there then has counted from
    /// zero.
    pub(in crate::control) fn since(
        &self,
        before: &Self,
        watched: &Watched<'_>,
        at_ms: u64,
    ) -> Moment {
        let seconds = self
            .at
            .since(before.at)
            .as_secs_f64()
            .max(f64::MIN_POSITIVE);
        let span = Span {
            before,
            after: self,
            seconds,
            at_ms,
        };
        let load_balancers = watched.load_balancers();
        Moment {
            at_ms,
            seconds,
            phase: watched.link.phase().name().to_owned(),
            epoch: watched.link.snapshot.load().epoch,
            cluster: watched.published.fleet.as_ref().map(|fleet| fleet.glance()),
            shards: span.shards(watched),
            load_balancers: load_balancers
                .map(|row| span.load_balancer(row, watched))
                .collect(),
        }
    }
}

impl LoadBalancerCounts {
    fn of(counts: &PerShard<LoadBalancerLine>) -> Self {
        let mut own = [0; 2];
        for (index, reply) in Reply::ALL.into_iter().enumerate() {
            let answered = counts.sum(|line| &line.own_answers[index]);
            own[usize::from(reply.status() >= 500)] += answered;
        }
        Self {
            requests: counts.sum(|line| &line.requests),
            relays: counts.sum(|line| &line.relays),
            own,
            verdicts: std::array::from_fn(|index| counts.sum(|line| &line.verdicts[index])),
            latency: Histogram::total(counts.lines().map(|line| &line.latency)),
        }
    }
}

impl BackendCounts {
    fn of(counts: &PerShard<BackendLine>) -> Self {
        Self {
            answers: std::array::from_fn(|index| counts.sum(|line| &line.responses[index + 1])),
            connects: counts.sum(|line| &line.connects),
            failures: counts
                .sum(|line| &line.connect_errors)
                .wrapping_add(counts.sum(|line| &line.response_errors)),
        }
    }
}

impl Watched<'_> {
    fn load_balancers(&self) -> impl Iterator<Item = &LoadBalancerRow> {
        let is_asked_for =
            |row: &&LoadBalancerRow| self.load_balancer.is_none_or(|asked| *row.name == *asked);
        self.published.load_balancers.iter().filter(is_asked_for)
    }

    fn backends(&self, row: &LoadBalancerRow) -> &[HealthRow] {
        self.published.backends_of(&row.name)
    }
}

/// The time between two readings.
struct Span<'a> {
    before: &'a Reading,
    after: &'a Reading,
    seconds: f64,
    /// When it ended, in milliseconds since 1970.
    at_ms: u64,
}

impl Span<'_> {
    fn rate(&self, before: u64, after: u64) -> f64 {
        after.saturating_sub(before) as f64 / self.seconds
    }

    fn shards(&self, watched: &Watched<'_>) -> Vec<ShardMoment> {
        let lines = watched.link.shards.lines().enumerate();
        let shard = |(shard, line): (usize, &crate::state::ShardLine)| {
            let of = |reading: &Reading| reading.shards.get(shard).copied().unwrap_or_default();
            let (before, after) = (of(self.before), of(self.after));
            let cpu = self.rate(before.cpu_nanos, after.cpu_nanos) / 1e9;
            ShardMoment {
                shard,
                core: watched.cores.get(shard).copied().flatten(),
                // Its thread says how much it took at each sweep, and not at the reading.
                cpu_percent: (cpu * 100.0).min(100.0),
                connections: line.connections.value(),
                accepted_per_second: self.rate(before.accepted, after.accepted),
                sessions: line.sessions.value(),
                sweeps_late: after.sweeps_late.saturating_sub(before.sweeps_late),
            }
        };
        lines.map(shard).collect()
    }

    fn load_balancer(&self, row: &LoadBalancerRow, watched: &Watched<'_>) -> LoadBalancerMoment {
        let none = LoadBalancerCounts::default();
        let [before, after] = [self.before, self.after]
            .map(|reading| reading.load_balancers.get(&row.name).unwrap_or(&none));
        let backends = watched.backends(row);
        let verdicts = Verdict::NAMES.iter().enumerate().map(|(index, name)| {
            let rate = self.rate(before.verdicts[index], after.verdicts[index]);
            ((*name).to_owned(), rate)
        });
        let is_all_told = watched.load_balancer.is_some();
        let relays_only = row.listeners.iter().all(|one| !one.protocol.is_http());
        LoadBalancerMoment {
            name: row.name.to_string(),
            requests_per_second: self.rate(before.requests, after.requests),
            relays_per_second: self.rate(before.relays, after.relays),
            answers_per_second: self.answers(before, after, backends),
            latency_ms: latency(&before.latency, &after.latency),
            outstanding: backends.iter().map(HealthRow::outstanding).sum(),
            waiting: row.counts.sum(|line| &line.surge_waiting),
            sessions: backends.iter().map(|backend| backend.sessions).sum(),
            verdicts_per_second: verdicts.collect(),
            instances: backends.len(),
            instances_in_service: backends.iter().filter(|one| one.is_serving()).count(),
            backends: match is_all_told {
                true => backends
                    .iter()
                    .map(|one| self.backend(one, relays_only))
                    .collect(),
                false => Vec::new(),
            },
            moves: match is_all_told {
                true => moves(watched.published, &row.name, self.at_ms),
                false => Vec::new(),
            },
            drains: match is_all_told {
                true => drains(watched.published, &row.name),
                false => Vec::new(),
            },
        }
    }

    fn answers(
        &self,
        before: &LoadBalancerCounts,
        after: &LoadBalancerCounts,
        backends: &[HealthRow],
    ) -> AnswersPerSecond {
        let mut by_class = [0.0; 4];
        for row in backends {
            let (before, after) = self.backend_counts(row);
            for (index, rate) in by_class.iter_mut().enumerate() {
                *rate += self.rate(before.answers[index], after.answers[index]);
            }
        }
        let [backend_2xx, backend_3xx, backend_4xx, backend_5xx] = by_class;
        AnswersPerSecond {
            backend_2xx,
            backend_3xx,
            backend_4xx,
            backend_5xx,
            elbow_4xx: self.rate(before.own[0], after.own[0]),
            elbow_5xx: self.rate(before.own[1], after.own[1]),
        }
    }

    fn backend_counts(&self, row: &HealthRow) -> (BackendCounts, BackendCounts) {
        let key = (Arc::clone(&row.load_balancer), Arc::clone(&row.backend));
        let of = |reading: &Reading| reading.backends.get(&key).copied().unwrap_or_default();
        (of(self.before), of(self.after))
    }

    fn backend(&self, row: &HealthRow, relays_only: bool) -> BackendMoment {
        let (before, after) = self.backend_counts(row);
        let errors = |counts: &BackendCounts| counts.failures.wrapping_add(counts.answers[3]);
        let requests = |counts: &BackendCounts| match relays_only {
            true => counts.connects,
            false => counts.answers.iter().sum(),
        };
        let told = BackendRow::from(row);
        BackendMoment {
            backend: told.backend,
            health: told.health,
            draining: told.draining,
            life: told.life,
            weight: told.weight,
            sessions: told.sessions,
            outstanding: told.outstanding,
            requests_per_second: self.rate(requests(&before), requests(&after)),
            errors_per_second: self.rate(errors(&before), errors(&after)),
        }
    }
}

/// Of those that the buckets have got between two readings.
fn latency(before: &[u64], after: &[u64]) -> Option<LatencyMillis> {
    let before = before.iter().chain(std::iter::repeat(&0));
    let counts = after.iter().zip(before);
    let counts: Vec<u64> = counts
        .map(|(after, before)| after.saturating_sub(*before))
        .collect();
    let millis = |share| Histogram::quantile(&counts, share).map(|seconds| seconds * 1000.0);
    Some(LatencyMillis {
        p50: millis(0.5)?,
        p90: millis(0.9)?,
        p99: millis(0.99)?,
    })
}

fn moves(published: &Published, load_balancer: &str, now_ms: u64) -> Vec<Move> {
    let rows = published.moves.iter();
    // The next move would make them go, and there may be none.
    let rows = rows.filter(|row| row.is_recent(now_ms));
    let rows = rows.filter(|row| *row.load_balancer == *load_balancer);
    rows.map(|row| Move {
        from: row.from.to_string(),
        to: row.to.to_string(),
        sessions: row.sessions,
        at_ms: row.at_ms,
    })
    .collect()
}

fn drains(published: &Published, load_balancer: &str) -> Vec<Drain> {
    let rows = published.drains.iter();
    let rows = rows.filter(|row| *row.load_balancer == *load_balancer);
    rows.map(Drain::from).collect()
}
