//! A node whose clock is wrong: it is left out, both sides say so, and it is let in again once its
//! clock is right.

use std::sync::Arc;

use crate::harness::{Clock, eventually};
use crate::lab::Lab;
use crate::node::{Plan, REFUSED};

/// What logs say of it.
const LOGGED: &str = "a node is not heard, as its clock and this one's are too far apart";

/// Two nodes whose clocks are right, and one that lives by a clock of the test's. `None`: there are
/// no such clocks here.
fn lab() -> Option<(Lab, Arc<Clock>)> {
    let clock = Arc::new(Clock::new()?);
    let mut plan = Plan::new(3, 4);
    plan.clock = Some(Arc::clone(&clock));
    Some((Lab::start(&plan)?, clock))
}

/// Both sides refuse what comes from the other, and say why.
fn expect_refusals(lab: &Lab) {
    for node in [0, 2] {
        let before = lab.nodes[node].sum(REFUSED);
        eventually("datagrams are refused", || {
            lab.nodes[node].sum(REFUSED) > before
        });
        lab.nodes[node].elbow().expect_logged(LOGGED);
    }
}

#[test]
fn a_node_whose_clock_is_set_wrong_is_left_out_until_it_is_right() {
    let Some((mut lab, clock)) = lab() else {
        return;
    };
    for (backend, minutes) in [(0, 5), (1, -5)] {
        clock.set(minutes * 60);
        expect_refusals(&lab);
        lab.backends[backend].stop();
        lab.expect_closed(&[0, 1], backend);
        assert_eq!(lab.life(2, backend), (1, false), "nobody told it");
        clock.set(0);
        lab.expect_agreement(&format!("after a clock was {minutes} minutes off"));
        assert_eq!(lab.life(2, backend), (1, true));
    }
}

/// The last node starts with its clock so many minutes off.
fn start_off(lab: &mut Lab, clock: &Clock, minutes: i64) {
    lab.nodes[2].leave();
    lab.backends[0].stop();
    lab.expect_closed(&[0, 1], 0);
    clock.set(minutes * 60);
    lab.nodes[2].start();
    expect_refusals(lab);
    lab.expect_healthy(2);
    clock.set(0);
}

fn expect_one_mind(lab: &mut Lab, when: &str) {
    lab.expect_agreement(when);
    lab.revive(0);
    lab.expect_in_service(&[0, 1, 2], 4);
    lab.expect_agreement("after a return");
    assert_eq!(lab.life(2, 0), (2, false));
}

#[test]
fn a_node_that_starts_with_a_clock_ahead_joins_once_it_is_right() {
    let Some((mut lab, clock)) = lab() else {
        return;
    };
    start_off(&mut lab, &clock, 5);
    expect_one_mind(&mut lab, "after a start 5 minutes ahead");
}

/// By the clock that start was before the one before, so that others take it for an echo.
#[test]
fn a_node_that_starts_with_a_clock_behind_joins_once_it_starts_with_one_that_is_right() {
    let Some((mut lab, clock)) = lab() else {
        return;
    };
    start_off(&mut lab, &clock, -5);
    lab.nodes[2].leave();
    lab.nodes[2].start();
    lab.expect_healthy(2);
    expect_one_mind(&mut lab, "after a start 5 minutes behind, and another");
}
