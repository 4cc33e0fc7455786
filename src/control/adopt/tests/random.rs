//! Any story of three nodes ends in the same on all of them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::node::{COMMON, Node};
use super::{create, tag};
use crate::control::replicas::Replica;

/// What happens on one of three nodes.
#[derive(Debug, Clone)]
enum Step {
    /// An action, which may be refused there.
    Act(usize, String),
    /// An instance is said to be at this last part of an address.
    Name(usize, u8),
    /// Its name is taken away.
    Forget(usize),
    /// A batch of those sent so far comes to a node.
    Come(usize, prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let node = 0_usize..3;
    // Each has a port of its own, so that all can be in force beside each other.
    let name = prop_oneof![Just(("web", 8080)), Just(("shop", 8081))];
    let register = |way: &str, name: &str| {
        format!("{way}LoadBalancer&LoadBalancerName={name}&Instances.member.1.InstanceId=i-1")
    };
    let query = (name, 0_u8..5, "[a-c]").prop_map(move |((name, port), kind, value)| match kind {
        0 => create(name, port),
        1 => format!("DeleteLoadBalancer&LoadBalancerName={name}"),
        2 => register("RegisterInstancesWith", name),
        3 => register("DeregisterInstancesFrom", name),
        _ => tag(name, &value),
    });
    prop_oneof![
        4 => (node.clone(), query).prop_map(|(node, query)| Step::Act(node, query)),
        1 => (node.clone(), 1_u8..5).prop_map(|(node, last)| Step::Name(node, last)),
        1 => node.clone().prop_map(Step::Forget),
        3 => (node, any::<prop::sample::Index>()).prop_map(|(node, at)| Step::Come(node, at)),
    ]
}

fn take(nodes: &mut [Node; 3], step: &Step, sent: &mut Vec<Vec<Replica>>) {
    match step {
        // Refused: it is not there, or is already.
        Step::Act(node, query) => drop(nodes[*node].act(query)),
        Step::Name(node, last) => nodes[*node].name("i-7", &format!("10.0.7.{last}")),
        Step::Forget(node) => drop(nodes[*node].setup.forget_instance("i-7")),
        Step::Come(_, _) if sent.is_empty() => {}
        Step::Come(node, at) => {
            let batch = at.get(sent).clone();
            nodes[*node].setup.adopt(batch);
        }
    }
    for node in nodes {
        let batch = node.sent();
        if !batch.is_empty() {
            sent.push(batch);
        }
    }
}

proptest! {
    // Each opens and closes listeners, and waits for that.
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn nodes_that_have_heard_everything_have_the_same(
        steps in vec(step(), 1..16),
        orders in prop::array::uniform3(vec(any::<u32>(), 16)),
    ) {
        let mut nodes = [1, 2, 3].map(|number| Node::new(10 + number, COMMON));
        let mut sent = Vec::new();
        for step in &steps {
            take(&mut nodes, step, &mut sent);
        }
        for (node, order) in nodes.iter_mut().zip(&orders) {
            let mut batches: Vec<_> = order.iter().cycle().zip(&sent).collect();
            batches.sort_by_key(|(rank, _)| **rank);
            for (_, batch) in batches {
                node.setup.adopt(batch.clone());
            }
        }
        let [one, two, three] = &nodes;
        for other in [two, three] {
            prop_assert_eq!(one.digest(), other.digest());
            prop_assert_eq!(one.records(), other.records());
            prop_assert_eq!(one.waiting(), other.waiting());
        }
        prop_assert_eq!(one.waiting(), vec![]);
    }
}
