//! What is set on one node holds on all: load balancers that the ELB API makes, changes and
//! deletes, also for a node that was away.

use crate::harness::{eventually, get};
use crate::lab::Lab;
use crate::node::Plan;

/// The port of the load balancer that is made.
const PORT: u16 = 8088;

/// Whether each of these nodes has it answer there.
fn is_served(lab: &Lab, nodes: &[usize]) -> bool {
    nodes.iter().all(|node| {
        let has = lab.nodes[*node]
            .load_balancers()
            .contains(&"made".to_owned());
        has && lab
            .connect(*node, PORT)
            .ask(&get("/", &["X-Session: made"]))
            .status()
            == 200
    })
}

fn make(lab: &Lab, node: usize) {
    let backend = lab.backends[0].address;
    for form in [
        format!(
            "Action=CreateLoadBalancer&LoadBalancerName=made&AvailabilityZones.member.1=us-east-1a\
             &Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort={PORT}\
             &Listeners.member.1.InstancePort={}",
            backend.port()
        ),
        format!(
            "Action=RegisterInstancesWithLoadBalancer&LoadBalancerName=made\
             &Instances.member.1.InstanceId={backend}"
        ),
    ] {
        lab.nodes[node].change(&form);
    }
}

fn delete(lab: &Lab, node: usize) {
    lab.nodes[node].change("Action=DeleteLoadBalancer&LoadBalancerName=made");
}

#[test]
fn a_load_balancer_made_on_one_node_is_served_by_all_until_it_is_deleted_on_any() {
    let Some(lab) = Lab::start(&Plan::new(3, 3)) else {
        return;
    };
    for (maker, deleter) in [(0, 2), (2, 1)] {
        make(&lab, maker);
        eventually("all nodes serve it", || is_served(&lab, &[0, 1, 2]));
        delete(&lab, deleter);
        eventually("no node has it", || {
            lab.nodes
                .iter()
                .all(|node| node.load_balancers() == ["web"])
        });
    }
}

#[test]
fn a_node_that_was_away_is_healthy_only_once_it_has_what_it_missed() {
    let Some(mut lab) = Lab::start(&Plan::new(3, 3)) else {
        return;
    };
    make(&lab, 0);
    eventually("all nodes serve it", || is_served(&lab, &[0, 1, 2]));
    lab.nodes[2].kill();
    delete(&lab, 1);
    lab.nodes[2].start();
    lab.expect_healthy(2);
    assert_eq!(
        lab.nodes[2].load_balancers(),
        ["web"],
        "it was deleted meanwhile"
    );

    lab.nodes[2].kill();
    make(&lab, 1);
    eventually("those that are there serve it", || is_served(&lab, &[0, 1]));
    lab.nodes[2].start();
    lab.expect_healthy(2);
    assert!(is_served(&lab, &[2]), "it was made meanwhile");
}
