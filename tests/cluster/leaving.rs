//! Nodes that leave, are killed, and come back: those that stay go on, with a quorum of those that
//! are not known to have left.

use std::time::{Duration, Instant};

use crate::lab::{Lab, say};
use crate::node::Plan;

#[test]
fn nodes_that_leave_are_not_waited_for() {
    let Some(mut lab) = Lab::start(&Plan::new(3, 3)) else {
        return;
    };
    lab.nodes[2].leave();
    lab.nodes[1].leave();
    // One of three, and nobody else is to be asked.
    let begin = Instant::now();
    lab.backends[0].stop();
    lab.expect_closed(&[0], 0);
    let took = begin.elapsed();
    say(&format!("closed by the one that stayed: in {took:?}"));
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn when_a_node_is_killed_the_others_go_on_and_it_catches_up_once_it_is_back() {
    let Some(mut lab) = Lab::start(&Plan::new(3, 3)) else {
        return;
    };
    lab.nodes[2].kill();
    lab.backends[0].stop();
    lab.expect_closed(&[0, 1], 0);
    assert_eq!(lab.nodes[0].lives(), lab.nodes[1].lives());
    lab.revive(0);
    lab.expect_in_service(&[0, 1], 3);

    lab.nodes[2].start();
    lab.expect_healthy(2);
    assert_eq!(lab.nodes[2].lives(), lab.nodes[0].lives());
    lab.expect_agreement("after a node was killed and started");
    assert_eq!(lab.life(2, 0), (2, false));
}
