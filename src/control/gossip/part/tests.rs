use std::sync::mpsc::{Receiver, sync_channel};

use tokio::sync::{mpsc, watch};

use super::super::Telling;
use super::*;
use crate::cluster::{Peer, Topic};
use crate::control::setup::Order;
use crate::health::{Opinion, Stamp};
use crate::state::Remembered;
use crate::state::fixture::config;

/// When the node started.
const BOOT_MS: u64 = 1_000_000;

/// What the nodes know of changes by the API, once they know it.
const DIGEST: u64 = 7;

/// A node `a` without sockets: what it tells comes out here, and time is what a test says.
struct Bench {
    part: Part,
    state: State,
    told: mpsc::Receiver<Telling>,
    is_ready: Arc<AtomicBool>,
    counts: Arc<ControlLine>,
    digest: watch::Sender<Replicated>,
    _orders: Receiver<Order>,
}

impl Bench {
    fn new(expected: usize) -> Self {
        let (tellings, told) = mpsc::channel(100);
        let voice = Voice::new(tellings);
        let (digest, replicated) = watch::channel(Replicated::default());
        let (orders, ordered) = sync_channel(1);
        let (is_ready, counts) = (Arc::<AtomicBool>::default(), Arc::<ControlLine>::default());
        let mut part = Part::new(
            voice,
            Roll::new("a", expected),
            ([10, 0, 0, 1], 7946).into(),
            BOOT_MS,
            Changes::new(Vec::new(), replicated, orders),
            Arc::clone(&is_ready),
            Arc::clone(&counts),
        );
        part.began_ms = Some(BOOT_MS);
        Self {
            part,
            state: State::new(&config(Vec::new()), &[], 1, Remembered::new(), BOOT_MS),
            told,
            is_ready,
            counts,
            digest,
            _orders: ordered,
        }
    }

    /// Whether it has just caught up, so long after its start.
    fn tick(&mut self, after: Duration) -> bool {
        let has_caught_up = self.part.tick(&mut self.state, BOOT_MS + millis(after));
        assert_eq!(
            self.is_ready.load(Ordering::Relaxed),
            self.part.own.is_ready
        );
        has_caught_up
    }

    /// Those others are there, and whether they live.
    fn meet(&mut self, others: &[(&str, bool)]) {
        let peers = others.iter().map(|&(name, is_live)| Peer {
            name: name.into(),
            boot_ms: BOOT_MS,
            is_live,
        });
        let sight = Sight {
            roll: Roll {
                own: "a".into(),
                others: peers.collect(),
                expected: 1,
            },
            addresses: others
                .iter()
                .map(|(name, _)| (Arc::from(*name), ([10, 0, 0, 2], 7946).into()))
                .collect(),
        };
        let command = self.part.hear(News::Nodes(sight), BOOT_MS);
        assert!(matches!(command, Some(Command::Nodes(_))), "{command:?}");
    }

    fn hear(&mut self, key: &str, value: &str) -> Option<Command> {
        let told = News::Told {
            node: "b".into(),
            boot_ms: BOOT_MS,
            key: key.to_owned(),
            value: value.to_owned(),
        };
        self.part.hear(told, BOOT_MS + 2_000)
    }

    /// Node `b` says of itself that it knows all.
    fn hear_head(&mut self, is_ready: bool) {
        let head = Head {
            lives: self.state.lives_hash(),
            changes: DIGEST,
            is_ready,
            ..Head::default()
        };
        assert!(self.hear(head::KEY, &head.to_text()).is_none());
    }

    /// This node knows all changes.
    fn learn(&self) {
        self.digest
            .send_modify(|replicated| replicated.digest = DIGEST);
    }

    /// The last that it has told of itself.
    fn own_head(&mut self) -> Option<Head> {
        let mut last = None;
        while let Ok(Telling::Say(sayings)) = self.told.try_recv() {
            let mut heads = sayings.into_iter().filter(|(key, _)| key == head::KEY);
            last = heads.next_back().or(last);
        }
        Head::read(&last?.1)
    }

    fn rows(&self) -> Vec<NodeRow> {
        self.part.row(&self.state).nodes
    }
}

#[test]
fn who_expects_nobody_is_ready_at_once_and_only_once() {
    let mut bench = Bench::new(1);
    assert!(bench.tick(Duration::ZERO));
    assert!(!bench.tick(GOSSIP_INTERVAL));
    assert!(bench.own_head().expect("it tells of itself").is_ready);
}

#[test]
fn whom_nobody_answers_begins_after_a_while() {
    let mut bench = Bench::new(3);
    let almost = FIRST_PATIENCE.saturating_sub(Duration::from_millis(1));
    assert!(!bench.tick(almost));
    assert!(!bench.own_head().expect("it tells of itself").is_ready);
    assert!(bench.tick(FIRST_PATIENCE));
}

#[test]
fn a_node_is_ready_once_it_knows_what_a_ready_one_knows() {
    let mut bench = Bench::new(3);
    bench.meet(&[("b", true)]);
    // There is somebody, who has not said anything yet.
    assert!(!bench.tick(FIRST_PATIENCE));
    bench.hear_head(true);
    assert!(!bench.tick(FIRST_PATIENCE * 2));
    bench.learn();
    assert!(bench.tick(FIRST_PATIENCE * 2));
}

#[test]
fn who_never_comes_to_know_the_same_begins_at_last() {
    let mut bench = Bench::new(3);
    bench.meet(&[("b", true)]);
    bench.hear_head(true);
    assert!(!bench.tick(CATCH_UP_PATIENCE.saturating_sub(Duration::from_millis(1))));
    assert!(bench.tick(CATCH_UP_PATIENCE));
}

#[test]
fn nodes_that_start_together_begin_together() {
    let mut bench = Bench::new(2);
    bench.meet(&[("b", true)]);
    bench.hear_head(false);
    bench.learn();
    assert!(!bench.tick(Duration::ZERO), "others may still come");
    assert!(bench.tick(FIRST_PATIENCE / 2));
}

#[test]
fn what_cannot_be_read_is_counted_and_the_rest_is_heard() {
    let mut bench = Bench::new(1);
    let topic = Topic {
        load_balancer: "web".into(),
        backend: 1,
    };
    let opinion = Opinion {
        is_well: true,
        since: Stamp {
            wall_ms: BOOT_MS,
            ..Stamp::default()
        },
    };
    let saying = Saying {
        topic,
        said: Said::Opinion(Some(opinion)),
    };
    for (key, value) in [("o/web/none", "{}"), (saying.key().as_str(), "{")] {
        assert!(bench.hear(key, value).is_none());
    }
    assert_eq!(bench.counts.sayings_refused.value(), 2);
    // Of a later version.
    assert!(bench.hear("mood", "good").is_none());
    let heard = bench.hear(&saying.key(), &saying.value());
    assert!(matches!(heard, Some(Command::Heard { .. })), "{heard:?}");
    assert_eq!(bench.counts.sayings_refused.value(), 2);
}

#[test]
fn how_old_news_are_is_measured_unless_they_are_told_again_or_from_the_future() {
    let mut bench = Bench::new(1);
    // It is heard two seconds after the start.
    for wall_ms in [BOOT_MS, BOOT_MS + 1_500, BOOT_MS + 9_000, 0] {
        let value = format!(r#"{{"w":1,"s":[{wall_ms},0,1]}}"#);
        assert!(bench.hear("o/web/0000000000000001", &value).is_some());
    }
    let news_age = &bench.counts.gossip.news_age;
    assert_eq!(news_age.counts().sum::<u64>(), 2);
    assert!((news_age.sum() - 2.5).abs() < 1e-9);
}

#[test]
fn who_is_lost_stays_on_the_roll_and_who_leaves_does_not() {
    let mut bench = Bench::new(1);
    bench.meet(&[("b", true)]);
    bench.hear_head(true);
    bench.tick(Duration::ZERO);
    let since = |rows: Vec<NodeRow>| rows[1].lost_since_ms;
    assert_eq!(since(bench.rows()), None);
    bench.meet(&[("b", false)]);
    bench.tick(Duration::from_secs(1));
    bench.tick(Duration::from_secs(2));
    assert_eq!(since(bench.rows()), Some(BOOT_MS + 1_000));
    assert!(bench.rows()[1].head.is_some(), "its last words are kept");
    bench.meet(&[("b", true)]);
    bench.tick(Duration::from_secs(3));
    assert_eq!(since(bench.rows()), None);
    bench.meet(&[]);
    bench.tick(Duration::from_secs(4));
    let names: Vec<_> = bench.rows().into_iter().map(|row| row.name).collect();
    assert_eq!(names, [Arc::from("a")]);
    assert!(bench.part.others.is_empty());
}

#[test]
fn who_knows_something_else_is_told_since_when() {
    let mut bench = Bench::new(1);
    bench.meet(&[("b", true)]);
    bench.tick(Duration::ZERO);
    let since = |bench: &Bench| bench.rows()[1].differs_since_ms;
    assert_eq!(since(&bench), None, "it has not said what it knows");
    bench.hear_head(true);
    bench.tick(Duration::from_secs(1));
    bench.tick(Duration::from_secs(2));
    assert_eq!(since(&bench), Some(BOOT_MS + 1_000));
    bench.learn();
    bench.tick(Duration::from_secs(3));
    assert_eq!(since(&bench), None);
}

#[test]
fn who_drains_says_so() {
    let mut bench = Bench::new(1);
    bench.tick(Duration::ZERO);
    assert!(!bench.own_head().expect("it tells of itself").is_draining);
    bench.part.note_drain(true);
    bench.tick(Duration::from_millis(100));
    assert!(bench.own_head().expect("it tells of itself").is_draining);
}
