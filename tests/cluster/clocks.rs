//! A node whose clock is wrong: it is left out, both sides say so, and it is let in again once its
//! clock is right.

use std::sync::Arc;

use crate::harness::{Clock, eventually};
use crate::lab::Lab;
use crate::node::{Plan, REFUSED};

/// What logs say of it.
const LOGGED: &str = "clock";

#[test]
fn a_node_whose_clock_is_wrong_is_left_out_until_it_is_right() {
    let Some(clock) = Clock::new() else {
        return;
    };
    let mut plan = Plan::new(3, 4);
    let clock = Arc::new(clock);
    plan.clock = Some(Arc::clone(&clock));
    let Some(mut lab) = Lab::start(&plan) else {
        return;
    };
    for (backend, minutes) in [(0, 5), (1, -5)] {
        let refused = [0, 2].map(|node| lab.nodes[node].sum(REFUSED));
        clock.set(minutes * 60);
        for (node, before) in [0, 2].into_iter().zip(refused) {
            eventually("its datagrams are refused", || {
                lab.nodes[node].sum(REFUSED) > before
            });
            lab.nodes[node].elbow().expect_logged(LOGGED);
        }
        lab.backends[backend].stop();
        lab.expect_closed(&[0, 1], backend);
        assert_eq!(lab.life(2, backend), (1, false), "nobody told it");
        clock.set(0);
        lab.expect_agreement(&format!("after a clock was {minutes} minutes off"));
        assert_eq!(lab.life(2, backend), (1, true));
    }
}
