//! Several nodes that tell each other, without a network.

use super::*;
use crate::cluster::Peer;

/// So many nodes, which know each other and have found both backends well.
fn nodes(count: usize) -> Vec<State> {
    let name = |index: usize| format!("node-{index}");
    let start = |own: usize| {
        let others = (0..count).filter(|&other| other != own);
        let roll = Roll {
            others: others
                .map(|other| Peer {
                    name: Arc::from(name(other)),
                    boot_ms: 1,
                    is_live: true,
                })
                .collect(),
            ..Roll::new(&name(own), 1)
        };
        let listen = [1001, 1002, 1003].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        State::among(
            roll,
            &config(),
            &Bound::first(&listen),
            1,
            Remembered::new(),
            0,
        )
    };
    let mut nodes: Vec<State> = (0..count).map(start).collect();
    for node in &mut nodes {
        for backend in ["i-1", "i-2"] {
            drop(apply(node, checked(backend, Outcome::Success)));
        }
    }
    talk(&mut nodes);
    nodes
}

/// Has all of them hear what each has to say, until none has more. Who is to look at once.
fn talk(nodes: &mut [State]) -> Vec<usize> {
    let mut doubting = Vec::new();
    loop {
        let sayings: Vec<_> = nodes.iter_mut().map(State::take_sayings).collect();
        if sayings.iter().all(Vec::is_empty) {
            return doubting;
        }
        let sayings = sayings.into_iter().enumerate();
        let all = sayings.flat_map(|(from, all)| all.into_iter().map(move |one| (from, one)));
        for (from, saying) in all {
            let again = Saying::read(&saying.key(), &saying.value());
            assert_eq!(again.as_ref(), Ok(&Some(saying)), "it travels as text");
            let saying = again.ok().flatten().expect("it was read");
            for to in (0..nodes.len()).filter(|&to| to != from) {
                let heard = Command::Heard {
                    node: Arc::from(format!("node-{from}")),
                    boot_ms: 1,
                    saying: saying.clone(),
                };
                let effects = apply(&mut nodes[to], heard);
                doubting.extend(effects.doubted.iter().map(|_| to));
            }
        }
    }
}

fn fail(node: &mut State, backend: &str) {
    for _ in 0..2 {
        drop(apply(node, checked(backend, FAIL)));
    }
}

fn serving(nodes: &[State]) -> Vec<bool> {
    nodes
        .iter()
        .map(|node| node.is_in_service("web", "i-1"))
        .collect()
}

fn sessions(node: &State) -> u64 {
    node.health()[0].sessions
}

#[test]
fn a_life_begins_once_for_all() {
    let nodes = nodes(3);
    let lives: Vec<u64> = nodes.iter().map(State::lives_hash).collect();
    assert_eq!(lives, [lives[0]; 3]);
    assert_eq!(serving(&nodes), [true; 3]);
}

#[test]
fn who_alone_finds_a_backend_failed_goes_round_it_and_has_the_others_look() {
    let mut nodes = nodes(3);
    let lives = nodes[1].lives_hash();
    fail(&mut nodes[0], "i-1");
    assert_eq!(talk(&mut nodes), [1, 2]);
    assert_eq!(serving(&nodes), [false, true, true]);
    assert_eq!(nodes[0].lives_hash(), lives);
    let disputes = nodes[2].disputes();
    assert_eq!((disputes.len(), &*disputes[0].failed[0]), (1, "node-0"));

    // It comes to be well for that one too: nothing has happened for the others.
    for _ in 0..3 {
        drop(apply(&mut nodes[0], checked("i-1", Outcome::Success)));
    }
    talk(&mut nodes);
    assert_eq!(serving(&nodes), [true; 3]);
    assert_eq!(nodes[0].lives_hash(), lives);
    assert!(nodes[2].disputes().is_empty());
}

#[test]
fn a_life_ends_for_all_when_more_than_half_say_so() {
    let mut nodes = nodes(3);
    fail(&mut nodes[0], "i-1");
    fail(&mut nodes[1], "i-1");
    talk(&mut nodes);
    assert_eq!(serving(&nodes), [false; 3]);
    let lives: Vec<u64> = nodes.iter().map(State::lives_hash).collect();
    assert_eq!(lives, [lives[0]; 3]);
}

#[test]
fn half_of_the_nodes_end_no_life() {
    let mut nodes = nodes(4);
    fail(&mut nodes[0], "i-1");
    fail(&mut nodes[1], "i-1");
    talk(&mut nodes);
    assert_eq!(serving(&nodes), [false, false, true, true]);
}

#[test]
fn sessions_that_come_through_two_nodes_count_once() {
    let mut nodes = nodes(2);
    let slot = nodes[0].snapshot().routes[0].backends[0].slot;
    for node in &mut nodes {
        let mut sketch = Sketch::default();
        (0..40).for_each(|session| sketch.insert(session));
        drop(apply(node, Command::Counted(vec![(slot, sketch)])));
        assert_eq!(sessions(node), 40);
    }
    let mut more = Sketch::default();
    (40..50).for_each(|session| more.insert(session));
    drop(apply(&mut nodes[1], Command::Counted(vec![(slot, more)])));
    let window_ms = 60_000;
    for node in &mut nodes {
        drop(node.apply(Command::Tick, window_ms).expect("time may pass"));
    }
    talk(&mut nodes);
    assert_eq!([sessions(&nodes[0]), sessions(&nodes[1])], [50, 50]);
}

#[test]
fn a_node_that_has_started_anew_has_said_nothing_yet() {
    let mut nodes = nodes(3);
    fail(&mut nodes[0], "i-1");
    talk(&mut nodes);
    assert_eq!(nodes[1].disputes().len(), 1);
    let saying = Saying::read("o/empty/1", "")
        .expect("it is one")
        .expect("it is ours");
    let later = Command::Heard {
        node: Arc::from("node-0"),
        boot_ms: 2,
        saying,
    };
    drop(apply(&mut nodes[1], later));
    assert!(nodes[1].disputes().is_empty());
}

#[test]
fn what_is_to_come_is_refused() {
    let mut nodes = nodes(2);
    let value = format!(r#"{{"w":0,"s":[{},0,7]}}"#, 2 * STAMP_AHEAD_MS_MAX);
    let saying = Saying::read("o/web/1", &value)
        .expect("it is one")
        .expect("it is ours");
    let heard = Command::Heard {
        node: Arc::from("node-1"),
        boot_ms: 1,
        saying,
    };
    let refused = nodes[0].apply(heard, 0).map(drop);
    assert_eq!(refused, Err(Refusal::FromTheFuture));
}
