use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::control::signals;
use crate::state::{Remembered, State, fixture};
use crate::sys::Listeners;

/// A thread's work over no load balancers, whose file never holds.
fn setup() -> Setup {
    let state = State::new(&fixture::config(Vec::new()), &[], 1, Remembered::new(), 0);
    let (link, _reports) = Link::new(state.snapshot(), Listeners::default(), 1);
    let (wishes, _) = mpsc::channel(1);
    let (_, published) = watch::channel(Published::of(&state));
    Setup {
        inventory: Inventory::default(),
        origin: Origin::default(),
        regions: Regions::default(),
        journal: Journal::open(None).expect("it keeps nothing").0,
        replicas: None,
        read_again: Some(ReadAgain::new(|| Err(vec!["it does not hold".to_owned()]))),
        link,
        wishes,
        published,
        counts: Arc::default(),
        has_missed_hangup: Arc::default(),
    }
}

#[tokio::test]
async fn a_hangup_that_finds_no_room_is_missed() {
    let hangups = signals::hangups().expect("signals can be caught");
    let (orders, _inbox) = sync_channel(1);
    orders.send(Order::Reload).expect("there is room");
    let missed = Arc::new(AtomicBool::new(false));
    tokio::spawn(pass_on(hangups, orders, Arc::clone(&missed)));
    kill_process(getpid(), Signal::HUP).expect("it is this process");
    while !missed.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_hangup_that_was_missed_is_dealt_with_after_the_order_at_hand() {
    let setup = setup();
    let counts = Arc::clone(&setup.counts);
    setup.has_missed_hangup.store(true, Ordering::Relaxed);
    let (orders, inbox) = sync_channel(1);
    orders.send(Order::Reload).expect("there is room");
    drop(orders);
    setup.run(&inbox);
    assert_eq!(counts.reload_errors.value(), 2);
}
