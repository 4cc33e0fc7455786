//! What nodes say to each other while nothing happens.

use std::thread;
use std::time::Duration;

use crate::lab::{Lab, say};
use crate::node::{Node, Plan, SENT};

/// What a node may send in a second, headers of the network included.
const BYTES_PER_SECOND_MAX: u64 = 5_000;

const SECONDS: u64 = 10;

#[test]
fn five_nodes_before_a_hundred_backends_have_little_to_say_while_nothing_happens() {
    let mut plan = Plan::new(5, 100);
    plan.interval = "5s";
    let Some(lab) = Lab::start(&plan) else {
        return;
    };
    lab.nodes.iter().for_each(Node::count_gossip);
    let counted = || -> Vec<u64> { lab.nodes.iter().map(|node| node.sum(SENT)).collect() };
    let before = counted();
    // What is measured is time that passes.
    thread::sleep(Duration::from_secs(SECONDS));
    let after = counted();
    for (index, node) in lab.nodes.iter().enumerate() {
        let of_network = node.gossip_bytes() / SECONDS;
        let own = (after[index] - before[index]) / SECONDS;
        say(&format!(
            "node {index} sent {own} bytes of gossip a second, {of_network} with headers"
        ));
        assert!(
            of_network <= BYTES_PER_SECOND_MAX,
            "{of_network} bytes a second"
        );
    }
    lab.agreed().expect("nothing has changed");
}
