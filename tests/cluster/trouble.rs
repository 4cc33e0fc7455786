//! What the network and the machines may do to a cluster: to split it, to lose datagrams, to cut one
//! node from a backend, to stop one. Clients are answered all the time, whoever cannot know better
//! closes no life, and once it is over all nodes are of one mind within seconds.

use rustix::process::Signal;

use crate::harness::eventually;
use crate::lab::Lab;
use crate::node::{BY_APP, BY_DURATION, GOSSIP, Plan};
use crate::sessions::{Doors, Session};

/// Sessions that are at this backend, one by each policy, begun on the first node.
fn sessions_at(lab: &Lab, backend: usize) -> Vec<Session> {
    let home = format!("b{backend}");
    let begin = |port: u16| {
        let mut doors = Doors::open(lab, port);
        let mut all =
            (0..).map(|n| Session::begin(&format!("{home}-{port}-{n}"), port, 0, &mut doors));
        all.find(|session| session.home == home)
            .expect("some go there")
    };
    [BY_DURATION, BY_APP].map(begin).into()
}

/// The backends that answer a session through each node, by the cookies that it began with.
fn places(lab: &Lab, session: &Session) -> Vec<String> {
    session.ask_as_at_first(&mut Doors::open(lab, session.port))
}

/// A cluster is split, and a backend dies that both parts see die; another is out of reach for the
/// smaller part alone.
fn expect_minority_to_close_nothing(nodes: usize, majority: usize) {
    let Some(mut lab) = Lab::start(&Plan::new(nodes, 4)) else {
        return;
    };
    let all: Vec<usize> = (0..nodes).collect();
    let (many, few) = all.split_at(majority);
    let of_dead = sessions_at(&lab, 0);
    let of_hidden = sessions_at(&lab, 1);
    lab.split(majority);
    lab.backends[0].stop();
    few.iter().for_each(|node| lab.hide(*node, 1));

    lab.expect_closed(many, 0);
    for session in &of_dead {
        eventually("no part sends it to the dead", || {
            !places(&lab, session).contains(&session.home)
        });
        let places = places(&lab, session);
        assert!(places.iter().all(|place| *place == places[0]), "{places:?}");
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
    for node in few {
        assert_eq!(lab.life(*node, 0), (1, false), "a minority closes nothing");
        assert_eq!(lab.life(*node, 1), (1, false), "a minority closes nothing");
    }

    lab.heal();
    lab.expect_agreement(&format!(
        "after a split of {majority} and {}",
        nodes - majority
    ));
    assert_eq!((lab.life(0, 0), lab.life(0, 1)), ((1, true), (1, false)));
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

/// A backend dies while the network or a node is not what it should be.
fn expect_agreement_after(what: &str, begin: impl Fn(&Lab), end: impl Fn(&Lab)) {
    let Some(mut lab) = Lab::start(&Plan::new(3, 4)) else {
        return;
    };
    let sessions = sessions_at(&lab, 0);
    begin(&lab);
    lab.backends[0].stop();
    lab.expect_closed(&[0, 1], 0);
    end(&lab);
    let lives = lab.expect_agreement(&format!("after {what}"));
    lab.expect_closed(&[0, 1, 2], 0);
    for session in &sessions {
        let places = places(&lab, session);
        let is_agreed = places.iter().all(|place| *place == places[0]);
        assert!(is_agreed && places[0] != session.home, "{places:?}");
    }
    lab.revive(0);
    lab.expect_in_service(&[0, 1, 2], 4);
    assert_ne!(lab.expect_agreement("after a return"), lives);
    assert_eq!(lab.life(0, 0), (2, false));
}

#[test]
fn a_node_that_hears_nothing_and_is_heard_agrees_soon_after_the_heal() {
    let deaf = |lab: &Lab| lab.nodes[2].lose(&format!("udp dport {GOSSIP} drop"));
    expect_agreement_after("a node was deaf", deaf, Lab::heal);
}

#[test]
fn a_node_that_hears_and_is_not_heard_agrees_soon_after_the_heal() {
    let mute = |lab: &Lab| lab.nodes[2].lose_sent(&format!("udp dport {GOSSIP} drop"));
    expect_agreement_after("a node was mute", mute, Lab::heal);
}

#[test]
fn nodes_agree_though_a_fifth_of_all_gossip_is_lost() {
    let rule = format!("udp dport {GOSSIP} numgen random mod 100 < 20 drop");
    let lossy = |lab: &Lab| lab.nodes.iter().for_each(|node| node.lose(&rule));
    // It stays as it is.
    expect_agreement_after("a fifth is lost", lossy, |_| ());
}

#[test]
fn a_node_that_stood_still_agrees_soon_after_it_goes_on() {
    let stop = |lab: &Lab| lab.nodes[2].elbow().signal(Signal::STOP);
    let go_on = |lab: &Lab| lab.nodes[2].elbow().signal(Signal::CONT);
    expect_agreement_after("a node stood still", stop, go_on);
}
