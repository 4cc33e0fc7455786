//! Moments for tests: two shards, three load balancers, `web` with all that there can be.

use std::net::SocketAddr;
use std::time::Duration;

use super::app::App;
use super::feed::News;
use crate::control::{
    AnswersPerSecond, BackendMoment, Drain, LatencyMillis, LoadBalancerMoment, Moment, Move,
    ProcessStatus, ShardMoment,
};
use crate::sys::Instant;

/// When the second ended that [`moment`] with 0 is about.
const AT_MS: u64 = 1_795_906_096_000;

pub(super) fn address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9090))
}

pub(super) fn status() -> ProcessStatus {
    ProcessStatus {
        version: "9.8.7".to_owned(),
        uptime_seconds: 7_300,
        phase: "serving".to_owned(),
        driver: "uring+defer".to_owned(),
        cores: vec![Some(0), None],
        credentials: 0,
        region: "us-east-1".to_owned(),
        state_dir: None,
        config_file: None,
        cluster: None,
        load_balancers: Vec::new(),
    }
}

pub(super) fn shard(shard: usize, cpu_percent: f64) -> ShardMoment {
    ShardMoment {
        shard,
        core: (shard == 0).then_some(7),
        cpu_percent,
        connections: 120,
        accepted_per_second: 40.0,
        sessions: 900,
        sweeps_late: shard as u64,
    }
}

/// In service are two of three.
pub(super) fn balancer(name: &str, requests_per_second: f64) -> LoadBalancerMoment {
    LoadBalancerMoment {
        name: name.to_owned(),
        requests_per_second,
        relays_per_second: 0.0,
        answers_per_second: AnswersPerSecond {
            backend_2xx: requests_per_second * 0.9,
            backend_3xx: 0.0,
            backend_4xx: requests_per_second * 0.1,
            backend_5xx: 0.5,
            elbow_4xx: 0.0,
            elbow_5xx: 2.0,
        },
        latency_ms: Some(LatencyMillis {
            p50: 1.25,
            p90: 12.5,
            p99: 250.0,
        }),
        outstanding: 12,
        waiting: 3,
        sessions: 1_840,
        verdicts_per_second: [("none", 0.4), ("valid", 123.0), ("down", 0.0)]
            .map(|(verdict, often)| (verdict.to_owned(), often))
            .into(),
        instances: 3,
        instances_in_service: 2,
        backends: Vec::new(),
        moves: Vec::new(),
        drains: Vec::new(),
    }
}

fn quiet(name: &str) -> LoadBalancerMoment {
    LoadBalancerMoment {
        answers_per_second: AnswersPerSecond::default(),
        latency_ms: None,
        outstanding: 0,
        waiting: 0,
        sessions: 0,
        instances: 1,
        instances_in_service: 0,
        ..balancer(name, 0.0)
    }
}

pub(super) fn instance(backend: &str, health: &str, sessions: u64) -> BackendMoment {
    BackendMoment {
        backend: backend.to_owned(),
        health: health.to_owned(),
        draining: None,
        life: 2,
        weight: 1,
        sessions,
        outstanding: sessions / 100,
        requests_per_second: sessions as f64 / 10.0,
        errors_per_second: 0.0,
    }
}

fn drain(instance: &str, stage: &str) -> Drain {
    Drain {
        load_balancer: "web".to_owned(),
        instance: instance.to_owned(),
        stage: stage.to_owned(),
        sessions_ended: (stage == "done").then(|| "idle".to_owned()),
        began_ms: 5,
        sessions_at_start: 1_200,
        sessions_left: 300,
        left_percent: 25,
        half_life_seconds: (stage != "done").then_some(300.0),
        ends_in_seconds: Some(660.4),
        deadline_in_seconds: 7_200.0,
        requests_in_flight: 2,
    }
}

/// A second of all load balancers.
pub(super) fn moment(second: u64) -> Moment {
    Moment {
        at_ms: AT_MS + second * 1000,
        seconds: 1.0,
        phase: "serving".to_owned(),
        epoch: 12,
        cluster: None,
        shards: vec![shard(0, 52.4), shard(1, 97.0)],
        load_balancers: vec![
            balancer("web", (second % 4 * 100) as f64),
            quiet("mail"),
            balancer("eu-west-1/shop", 12_345.0),
        ],
    }
}

/// The same second of `web` as a whole.
pub(super) fn whole_moment(second: u64) -> Moment {
    let draining = BackendMoment {
        draining: Some("sessions".to_owned()),
        ..instance("i-3", "in-service", 300)
    };
    let failing = BackendMoment {
        errors_per_second: 4.2,
        ..instance("i-2", "out-of-service", 0)
    };
    let moved = |from: &str, sessions, seconds_ago: u64| Move {
        from: from.to_owned(),
        to: "i-1".to_owned(),
        sessions,
        at_ms: AT_MS + second * 1000 - seconds_ago * 1000,
    };
    let mut moment = moment(second);
    moment.load_balancers.truncate(1);
    let web = &mut moment.load_balancers[0];
    web.backends = vec![instance("i-1", "in-service", 1_200), failing, draining];
    web.moves = vec![moved("i-3", 17, 300), moved("i-2", 640, 14)];
    web.drains = vec![drain("i-0", "done"), drain("i-3", "sessions")];
    moment
}

/// An app that has heard those seconds, and what time it is then.
pub(super) fn app(wanted: Option<&str>, seconds: u64) -> (App, Instant) {
    let now = Instant::now();
    let mut app = App::new(address(), wanted.map(str::to_owned), true);
    app.handle_news(News::Opened(Box::new(status())), now);
    for second in 0..seconds {
        let moment = match wanted {
            None => moment(second),
            Some(_) => whole_moment(second),
        };
        app.handle_news(News::Moment(Box::new(moment)), now);
    }
    (app, now.after(Duration::from_secs(seconds)))
}
