//! The secret: who does not know it neither joins nor is listened to, whatever it sends, and is
//! counted; and it can be changed.

use std::net::{SocketAddr, UdpSocket};

use crate::harness::{PATIENCE, eventually};
use crate::lab::{CLIENTS, Lab, NETWORK};
use crate::node::{BY_APP, BY_DURATION, GOSSIP, Plan, REFUSED, SECRET};
use crate::sessions::{Doors, Session};

/// One that no node of the lab has.
const OTHER_SECRET: &str = "the-secret-of-nobody-else";

#[test]
fn a_node_with_another_secret_does_not_join() {
    let Some(mut lab) = Lab::start(&Plan::new(3, 3)) else {
        return;
    };
    lab.nodes[2].leave();
    lab.expect_nodes(0, 2);
    let refused = lab.nodes[0].sum(REFUSED);
    lab.nodes[2].share(OTHER_SECRET);
    lab.nodes[2].start();
    eventually("its datagrams are refused", || {
        lab.nodes[0].sum(REFUSED) > refused
    });
    // Nobody to catch up with.
    lab.expect_healthy(2);
    eventually("it hears those of others, in vain", || {
        lab.nodes[2].sum(REFUSED) > 0
    });
    assert_eq!(lab.nodes[2].nodes(), 1, "it is alone");
    for node in &lab.nodes[..2] {
        assert_eq!(node.nodes(), 2, "it is none of them");
    }
}

#[test]
fn a_secret_is_changed_one_node_after_the_other_and_no_session_is_lost() {
    let Some(mut lab) = Lab::start(&Plan::new(3, 3)) else {
        return;
    };
    let mut sessions: Vec<Session> = Vec::new();
    let begin = |lab: &Lab, port: u16, number: usize| {
        let name = format!("session-{port}-{number}");
        Session::begin(&name, port, number % 3, &mut Doors::open(lab, port))
    };
    for (step, secrets) in [
        format!("{SECRET}\n{OTHER_SECRET}\n"),
        format!("{OTHER_SECRET}\n{SECRET}\n"),
    ]
    .iter()
    .enumerate()
    {
        for node in 0..3 {
            sessions.push(begin(&lab, BY_DURATION, 3 * step + node));
            sessions.push(begin(&lab, BY_APP, 3 * step + node));
            lab.nodes[node].leave();
            lab.nodes[node].share(secrets);
            lab.nodes[node].start();
            lab.expect_healthy(node);
            lab.expect_agreement("while the secret is changed");
            for session in &mut sessions {
                session.ask_all(&mut Doors::open(&lab, session.port));
                assert!(session.changes.is_empty(), "{:?}", session.changes);
            }
        }
    }
}

#[test]
fn forged_cut_and_repeated_datagrams_change_nothing_and_are_counted() {
    let mut plan = Plan::new(3, 3);
    // Nodes look for another one at the clients' place, and so tell what they send.
    plan.more_seeds = vec![format!("{CLIENTS}:{GOSSIP}")];
    let Some(lab) = Lab::start(&plan) else {
        return;
    };
    let before = lab.agreed().expect("they agreed");
    let socket = UdpSocket::bind((CLIENTS, GOSSIP)).expect("the place is the test's own");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("it is not zero");
    let mut block = vec![0; 65_536];
    let (length, _) = socket.recv_from(&mut block).expect("nodes look for others");
    let genuine = block[..length].to_vec();
    let is_readable = genuine
        .windows(NETWORK.len())
        .any(|part| part == NETWORK.as_bytes());
    assert!(!is_readable, "names and addresses are sealed");

    let target: SocketAddr = format!("{}:{GOSSIP}", lab.nodes[1].address)
        .parse()
        .expect("an address");
    let mut random = fastrand::Rng::with_seed(1);
    let mut forged: Vec<Vec<u8>> = Vec::new();
    forged.extend((0..length).step_by(7).map(|end| genuine[..end].to_vec()));
    forged.extend((0..length).step_by(5).map(|at| {
        let mut bytes = genuine.clone();
        bytes[at] ^= 1 << random.u8(..8);
        bytes
    }));
    forged.extend((0..100).map(|_| (0..random.usize(..1500)).map(|_| random.u8(..)).collect()));
    // Once it is new to that node, which may listen; then never again.
    socket.send_to(&genuine, target).expect("the network is up");
    forged.extend((0..100).map(|_| genuine.clone()));
    for (sent, datagram) in forged.iter().enumerate() {
        socket.send_to(datagram, target).expect("the network is up");
        // No more than its socket holds.
        if sent % 50 == 0 {
            lab.nodes[1].metrics();
        }
    }
    let all = forged.len() as u64;
    eventually("all of them are counted", || {
        lab.nodes[1].sum(REFUSED) >= all
    });
    assert_eq!(lab.agreed().expect("nothing has changed"), before);
    assert_eq!(lab.nodes[1].nodes(), 3);
}
