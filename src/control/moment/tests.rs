use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::control::Published;
use crate::control::moves::MoveRow;
use crate::http::Reply;
use crate::limits::MOVES_SHOWN_FOR;
use crate::state::fixture::{backend, config, listener, load_balancer};
use crate::state::{Bound, Remembered, State};
use crate::sticky::Verdict;
use crate::sys::{Instant, Link, Listeners};

/// Two load balancers on two shards; `web` has two instances, `api` one.
struct World {
    link: Arc<Link>,
    published: Published,
    began: Instant,
}

impl World {
    fn new() -> Self {
        let instance = |id: &&str| backend(id, Ipv4Addr::LOCALHOST, None);
        let balancer = |name, ids: &[&str]| {
            let instances = ids.iter().map(instance).collect();
            load_balancer(name, vec![listener(80, None)], instances)
        };
        let config = config(vec![
            balancer("web", &["i-1", "i-2"]),
            balancer("api", &["i-1"]),
        ]);
        let addresses = [1, 2].map(|port| (Ipv4Addr::LOCALHOST, port).into());
        let bound = Bound::first(&addresses);
        let state = State::new(&config, &bound, 2, Remembered::new(), 0);
        let moved = |load_balancer: &str| MoveRow {
            load_balancer: load_balancer.into(),
            from: "i-2".into(),
            to: "i-1".into(),
            at_ms: 77,
            last_ms: 88,
            sessions: 5,
        };
        let moves = Arc::from([moved("web"), moved("api")]);
        let (link, _reports) = Link::new(state.snapshot(), Listeners::default(), 2);
        Self {
            link,
            published: Published {
                moves,
                ..Published::of(&state)
            },
            began: Instant::now(),
        }
    }

    fn watch<'a>(&'a self, load_balancer: Option<&'a str>) -> Watched<'a> {
        Watched {
            link: &self.link,
            published: &self.published,
            cores: &[Some(3), None],
            load_balancer,
        }
    }

    /// What somebody sees of two seconds in which `happen` does.
    fn see(&self, load_balancer: Option<&str>, happen: impl FnOnce()) -> Moment {
        let watched = self.watch(load_balancer);
        let before = Reading::take(&watched, self.began);
        happen();
        let after = Reading::take(&watched, self.began.after(Duration::from_secs(2)));
        after.since(&before, &watched, 1_000)
    }
}

#[test]
fn rates_are_what_all_shards_counted_by_the_second() {
    let world = World::new();
    let web = &world.published.load_balancers[0].counts;
    web.line(0).requests.add(1_000);
    let moment = world.see(None, || {
        for shard in 0..2 {
            let line = web.line(shard);
            line.requests.add(10);
            line.relays.add(3);
            line.verdicts[Verdict::Valid as usize].add(8);
            line.own_answers[Reply::BadRequest as usize].add(1);
            line.own_answers[Reply::BadGateway as usize].add(2);
            line.surge_waiting.add(4);
            let own = world.published.health[0].counts.line(shard);
            own.responses[1].add(6);
            own.responses[4].add(1);
            own.outstanding.add(2);
        }
    });
    assert_eq!((moment.seconds, moment.at_ms), (2.0, 1_000));
    let [web, api] = moment.load_balancers.as_slice() else {
        panic!("two load balancers: {moment:?}");
    };
    assert_eq!(
        (web.requests_per_second, web.relays_per_second),
        (10.0, 3.0)
    );
    assert_eq!((web.outstanding, web.waiting, web.instances), (4, 8, 2));
    let answers = AnswersPerSecond {
        backend_2xx: 6.0,
        backend_5xx: 1.0,
        elbow_4xx: 1.0,
        elbow_5xx: 2.0,
        ..AnswersPerSecond::default()
    };
    assert_eq!(web.answers_per_second, answers);
    assert_eq!(web.verdicts_per_second["valid"], 8.0);
    assert_eq!(web.verdicts_per_second.len(), Verdict::NAMES.len());
    assert_eq!((&*api.name, api.requests_per_second), ("api", 0.0));
    assert_eq!(api.latency_ms, None);
}

#[test]
fn latencies_are_those_of_the_time_between() {
    let world = World::new();
    let line = world.published.load_balancers[0].counts.line(1);
    for _ in 0..1_000 {
        line.latency.observe(Duration::from_secs(10));
    }
    let moment = world.see(None, || {
        for _ in 0..99 {
            line.latency.observe(Duration::from_micros(400));
        }
        line.latency.observe(Duration::from_millis(3));
    });
    let latency = moment.load_balancers[0]
        .latency_ms
        .expect("some were answered");
    assert!((0.25..0.5).contains(&latency.p50), "{latency:?}");
    assert!(latency.p99 <= 0.5, "{latency:?}");
}

#[test]
fn single_instances_moves_and_drains_are_told_of_the_one_that_is_asked_for() {
    let world = World::new();
    let happen = || {
        let own = world.published.health[1].counts.line(0);
        own.responses[1].add(4);
        own.responses[4].add(2);
        own.connect_errors.add(6);
    };
    let moment = world.see(Some("web"), happen);
    let [web] = moment.load_balancers.as_slice() else {
        panic!("one load balancer: {moment:?}");
    };
    let [_, second] = web.backends.as_slice() else {
        panic!("two instances: {web:?}");
    };
    assert_eq!(second.backend, "i-2");
    assert_eq!(
        (second.requests_per_second, second.errors_per_second),
        (3.0, 4.0)
    );
    let [moved] = web.moves.as_slice() else {
        panic!("those of web alone: {web:?}");
    };
    assert_eq!(
        (&*moved.from, &*moved.to, moved.sessions),
        ("i-2", "i-1", 5)
    );

    let later = 89 + u64::try_from(MOVES_SHOWN_FOR.as_millis()).expect("minutes");
    let watched = world.watch(Some("web"));
    let reading = Reading::take(&watched, world.began);
    let moment = reading.since(&reading, &watched, later);
    assert!(moment.load_balancers[0].moves.is_empty(), "they are old");

    let moment = world.see(None, || ());
    for row in &moment.load_balancers {
        assert!(row.backends.is_empty() && row.moves.is_empty(), "{row:?}");
    }
}

#[test]
fn a_shard_takes_a_share_of_its_cpu_and_never_more_than_all() {
    let world = World::new();
    let moment = world.see(None, || {
        world.link.shards.line(0).cpu_nanos.add(500_000_000);
        world.link.shards.line(0).accepted.add(4);
        world.link.shards.line(1).cpu_nanos.add(2_100_000_000);
        world.link.shards.line(1).sweeps_late.add(3);
    });
    let [first, second] = moment.shards.as_slice() else {
        panic!("two shards: {moment:?}");
    };
    assert_eq!((first.core, first.cpu_percent), (Some(3), 25.0));
    assert_eq!(first.accepted_per_second, 2.0);
    assert_eq!((second.core, second.cpu_percent), (None, 100.0));
    assert_eq!((first.sweeps_late, second.sweeps_late), (0, 3));
}

#[test]
fn a_load_balancer_that_is_new_has_counted_from_zero() {
    let world = World::new();
    let watched = world.watch(Some("api"));
    let before = Reading::take(&watched, world.began);
    let web = &world.published.load_balancers[0].counts;
    web.line(0).requests.add(6);
    let watched = world.watch(None);
    let after = Reading::take(&watched, world.began.after(Duration::from_secs(2)));
    let moment = after.since(&before, &watched, 0);
    assert_eq!(moment.load_balancers[0].requests_per_second, 3.0);
}
