//! What the network and the machines may do to a cluster: to split it, to lose datagrams, to cut
//! one node from a backend, to stop one. Clients are answered all the time, whoever cannot know
//! better closes no life, and once it is over all nodes are of one mind within seconds.

use std::ops::RangeInclusive;

use rustix::process::Signal;

use crate::harness::eventually;
use crate::lab::{Lab, address_of};
use crate::node::{BY_APP, BY_DURATION, GOSSIP, Plan};
use crate::sessions::{Doors, Session};

/// Sessions that are at this backend, one by each policy, begun on the first node.
fn sessions_at(lab: &Lab, backend: usize) -> Vec<Session> {
    let home = format!("b{backend}");
    let begin = |port: u16| {
        let mut doors = Doors::open(lab, port);
        let mut all =
            (0..100).map(|n| Session::begin(&format!("{home}-{port}-{n}"), port, 0, &mut doors));
        all.find(|session| session.home == home)
            .expect("some go there")
    };
    [BY_DURATION, BY_APP].map(begin).into()
}

/// The backends that answer a session through each node, by the cookies that it began with.
fn places(lab: &Lab, session: &Session) -> Vec<String> {
    session.ask_as_at_first(&mut Doors::open(lab, session.port))
}

/// Backends that the smaller part of a cluster cannot reach.
const HIDDEN: RangeInclusive<usize> = 1..=6;

/// A cluster is split, and a backend dies that both parts see die; others are out of reach for the
/// smaller part alone.
fn expect_minority_to_close_nothing(nodes: usize, majority: usize) {
    let Some(mut lab) = Lab::start(&Plan::new(nodes, 9)) else {
        return;
    };
    let all: Vec<usize> = (0..nodes).collect();
    let (many, few) = all.split_at(majority);
    let of_dead = sessions_at(&lab, 0);
    let of_hidden = sessions_at(&lab, 1);
    lab.split(majority);
    lab.backends[0].stop();
    for node in few {
        HIDDEN.for_each(|backend| lab.hide(*node, backend));
    }

    lab.expect_closed(many, 0);
    for session in &of_dead {
        eventually("no part sends it to the dead", || {
            !places(&lab, session).contains(&session.home)
        });
        let places = places(&lab, session);
        let is_agreed = places[..majority].iter().all(|place| *place == places[0]);
        assert!(is_agreed, "{places:?}");
    }
    for session in &of_hidden {
        eventually("the smaller part goes round what it cannot reach", || {
            !places(&lab, session)[majority..].contains(&session.home)
        });
        let places = places(&lab, session);
        assert!(
            places[..majority]
                .iter()
                .all(|place| *place == session.home),
            "{places:?}"
        );
    }
    lab.expect_nodes(0, majority);
    lab.expect_nodes(majority, nodes - majority);
    for node in few {
        assert_eq!(lab.nodes[*node].health(), 200, "it serves");
        for backend in 0..=*HIDDEN.end() {
            let life = lab.life(*node, backend);
            assert_eq!(life, (1, false), "b{backend}: a minority closes nothing");
        }
    }

    lab.heal();
    lab.expect_agreement(&format!(
        "after a split of {majority} and {}",
        nodes - majority
    ));
    assert_eq!(lab.life(0, 0), (1, true));
    HIDDEN.for_each(|backend| assert_eq!(lab.life(0, backend), (1, false)));
    for session in of_dead.iter().chain(&of_hidden) {
        eventually("all nodes have the same place for it", || {
            let places = places(&lab, session);
            places.iter().all(|place| *place == places[0])
        });
    }
}

#[test]
fn the_minority_of_three_serves_and_closes_nothing_and_agrees_soon_after_the_heal() {
    expect_minority_to_close_nothing(3, 2);
}

#[test]
fn the_minority_of_five_serves_and_closes_nothing_and_agrees_soon_after_the_heal() {
    expect_minority_to_close_nothing(5, 3);
}

#[test]
fn a_node_that_alone_cannot_reach_a_backend_goes_round_it_and_moves_nobody_elsewhere() {
    let Some(lab) = Lab::start(&Plan::new(3, 4)) else {
        return;
    };
    let sessions = sessions_at(&lab, 0);
    let before = lab.agreed().expect("they agreed");
    lab.hide(2, 0);
    for session in &sessions {
        eventually("it goes round", || places(&lab, session)[2] != session.home);
    }
    // Time enough to tell the others, and for them to take it up.
    let failed = || lab.nodes[2].sum("elbow_checks_failed_total");
    let known = failed();
    eventually("it checks on", || failed() > known + 2);
    for session in &sessions {
        let places = places(&lab, session);
        assert_eq!(places[..2], [&*session.home, &*session.home]);
    }
    assert_eq!(lab.agreed().expect("nobody closes its life"), before);

    lab.heal();
    for session in &sessions {
        eventually("it goes there again", || {
            places(&lab, session)[2] == session.home
        });
    }
    assert_eq!(lab.expect_agreement("once it is in reach again"), before);
}

/// Something that befalls a cluster of three.
struct Trouble<'a> {
    what: &'a str,
    begin: &'a dyn Fn(&Lab),
    /// Who notices that how many nodes are left.
    noticed: Option<(usize, usize)>,
    end: &'a dyn Fn(&Lab),
}

impl Trouble<'_> {
    /// A backend dies while it lasts, and is back afterwards.
    fn expect_agreement_after(&self) {
        let Some(mut lab) = Lab::start(&Plan::new(3, 4)) else {
            return;
        };
        let sessions = sessions_at(&lab, 0);
        (self.begin)(&lab);
        lab.backends[0].stop();
        lab.expect_closed(&[0, 1], 0);
        if let Some((node, count)) = self.noticed {
            lab.expect_nodes(node, count);
        }
        (self.end)(&lab);
        lab.expect_agreement(&format!("after {}", self.what));
        lab.expect_closed(&[0, 1, 2], 0);
        for session in &sessions {
            let places = places(&lab, session);
            let is_agreed = places.iter().all(|place| *place == places[0]);
            assert!(is_agreed && places[0] != session.home, "{places:?}");
        }
        lab.revive(0);
        lab.expect_in_service(&[0, 1, 2], 4);
        lab.expect_agreement(&format!("after {} and a return", self.what));
        assert_eq!(lab.life(0, 0), (2, false));
    }
}

#[test]
fn a_node_that_hears_nothing_and_is_heard_agrees_soon_after_the_heal() {
    Trouble {
        what: "a node was deaf",
        begin: &|lab| lab.nodes[2].lose(&format!("udp dport {GOSSIP} drop")),
        noticed: Some((2, 1)),
        end: &Lab::heal,
    }
    .expect_agreement_after();
}

#[test]
fn a_node_that_hears_and_is_not_heard_agrees_soon_after_the_heal() {
    let mute = format!("ip saddr {} udp dport {GOSSIP} drop", address_of(3));
    Trouble {
        what: "a node was mute",
        // Dropped on its own way out, its sends would fail.
        begin: &|lab| lab.nodes[..2].iter().for_each(|node| node.lose(&mute)),
        noticed: Some((0, 2)),
        end: &Lab::heal,
    }
    .expect_agreement_after();
}

#[test]
fn nodes_agree_though_a_fifth_of_all_gossip_is_lost() {
    let rule = format!("udp dport {GOSSIP} numgen random mod 100 < 20 drop");
    Trouble {
        what: "a fifth was lost",
        begin: &|lab| lab.nodes.iter().for_each(|node| node.lose(&rule)),
        noticed: None,
        // It stays as it is.
        end: &|_| (),
    }
    .expect_agreement_after();
}

#[test]
fn a_node_that_stood_still_agrees_soon_after_it_goes_on() {
    Trouble {
        what: "a node stood still",
        begin: &|lab| lab.nodes[2].elbow().signal(Signal::STOP),
        noticed: Some((0, 2)),
        end: &|lab| lab.nodes[2].elbow().signal(Signal::CONT),
    }
    .expect_agreement_after();
}
