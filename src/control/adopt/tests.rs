mod node;
mod random;

use std::collections::BTreeMap;

use self::node::{COMMON, Directory, Node};
use super::*;
use crate::config::{CertificateFiles, DrainMode};
use crate::control::replicas::Replicas;
use crate::control::setup::{Order, Task};
use crate::health::Stamp;
use crate::limits::{CONFLICTS_KEPT, REPLICA_BYTES_MAX, STAMP_AHEAD_MS_MAX};
use crate::state::Stage;
use crate::sys::unix_millis;

/// Makes a load balancer of one TCP listener.
fn create(name: &str, port: u16) -> String {
    format!(
        "CreateLoadBalancer&LoadBalancerName={name}&AvailabilityZones.member.1=us-east-1a\
         &Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort={port}\
         &Listeners.member.1.InstancePort=80"
    )
}

/// Makes a load balancer of one listener that shows a certificate.
fn create_secure(name: &str, port: u16) -> String {
    format!(
        "CreateLoadBalancer&LoadBalancerName={name}&AvailabilityZones.member.1=us-east-1a\
         &Listeners.member.1.Protocol=HTTPS&Listeners.member.1.LoadBalancerPort={port}\
         &Listeners.member.1.InstancePort=80&Listeners.member.1.SSLCertificateId=arn:site"
    )
}

/// Gives it a tag.
fn tag(name: &str, value: &str) -> String {
    format!(
        "AddTags&LoadBalancerNames.member.1={name}&Tags.member.1.Key=k&Tags.member.1.Value={value}"
    )
}

/// Two nodes with the same file.
fn two() -> (Node, Node) {
    (Node::new(1, COMMON), Node::new(2, COMMON))
}

/// When what travels was said.
fn stamp(replica: &Replica) -> Stamp {
    let value: serde_json::Value = serde_json::from_str(&replica.value).unwrap();
    serde_json::from_value(value["stamp"].clone()).unwrap()
}

/// What one has changed is told to the other.
fn pass(from: &mut Node, to: &mut Node) {
    let sent = from.sent();
    to.setup.adopt(sent);
}

fn are_alike(left: &Node, right: &Node) {
    assert_eq!(left.digest(), right.digest());
    assert_eq!(left.records(), right.records());
}

fn value_of_tag(node: &Node, name: &str) -> Option<String> {
    let one = node.load_balancer(name)?;
    one.tags.first().map(|tag| tag.value.clone())
}

#[test]
fn what_the_api_changes_on_one_node_is_in_force_on_another() {
    let (mut one, mut two) = two();
    one.name("i-2", "10.0.0.2");
    let steps = [
        create("web", 8080),
        "RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=i-1\
         &Instances.member.2.InstanceId=i-2"
            .to_owned(),
        "CreateLBCookieStickinessPolicy&LoadBalancerName=web&PolicyName=sticky\
         &CookieExpirationPeriod=60"
            .to_owned(),
        "SetLoadBalancerPoliciesOfListener&LoadBalancerName=web&LoadBalancerPort=8080\
         &PolicyNames.member.1=sticky"
            .to_owned(),
        "ModifyLoadBalancerAttributes&LoadBalancerName=web\
         &LoadBalancerAttributes.ConnectionSettings.IdleTimeout=77"
            .to_owned(),
        "ConfigureHealthCheck&LoadBalancerName=web&HealthCheck.Target=TCP:99\
         &HealthCheck.Interval=10&HealthCheck.Timeout=5&HealthCheck.UnhealthyThreshold=2\
         &HealthCheck.HealthyThreshold=2"
            .to_owned(),
        tag("web", "v"),
    ];
    for step in steps {
        one.done(&step);
        pass(&mut one, &mut two);
        are_alike(&one, &two);
    }
    let (here, there) = (one.running("web").unwrap(), two.running("web").unwrap());
    assert_eq!(there.backends.len(), 2);
    assert!(there.listeners[0].stickiness.is_some());
    assert_eq!(there.attributes, here.attributes);
    assert_eq!(there.health_check, here.health_check);
    // Each listens where it is.
    assert_ne!(there.listeners[0].address, here.listeners[0].address);
    let port = there.listeners[0].address.port();
    assert_eq!((port, two.counts.replication_adopted.value()), (8080, 8));

    two.done(
        "DeregisterInstancesFromLoadBalancer&LoadBalancerName=web\
         &Instances.member.1.InstanceId=i-2",
    );
    two.done("DeleteLoadBalancerListeners&LoadBalancerName=web&LoadBalancerPorts.member.1=8080");
    pass(&mut two, &mut one);
    are_alike(&one, &two);
    assert_eq!(one.running("web").unwrap().backends.len(), 1);
    two.done("DeleteLoadBalancer&LoadBalancerName=web");
    pass(&mut two, &mut one);
    are_alike(&one, &two);
    assert_eq!((one.running("web"), one.waiting()), (None, vec![]));
}

#[test]
fn a_batch_is_in_force_whatever_comes_first_in_it() {
    let (mut one, mut two) = two();
    one.name("i-2", "10.0.0.2");
    one.done(&create("web", 8080));
    one.done(
        "RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=i-2",
    );
    let mut sent = one.sent();
    sent.reverse();
    two.setup.adopt(sent);
    are_alike(&one, &two);
    // It may come any number of times, and all at once to a third.
    let all = one.all();
    let heard = |replica: &Replica| Replica::heard(&replica.key, &replica.value);
    let all: Vec<Replica> = all.iter().filter_map(heard).collect();
    assert_eq!(Replica::heard(&all[0].key, ""), None);
    assert_eq!(Replica::heard("left", "1"), None);
    two.setup.adopt(all.clone());
    let mut three = Node::new(3, COMMON);
    three.setup.adopt(all);
    are_alike(&one, &three);
    assert_eq!(two.counts.replication_adopted.value(), 2);
}

#[test]
fn of_two_changes_at_once_the_later_is_in_force_everywhere_and_the_loser_tells() {
    let (mut one, mut two) = two();
    one.done(&create("web", 8080));
    pass(&mut one, &mut two);
    one.done(&tag("web", "one"));
    two.done(&tag("web", "two"));
    let (of_one, of_two) = (one.sent(), two.sent());
    let is_one_last = stamp(&of_one[0]) > stamp(&of_two[0]);
    two.setup.adopt(of_one);
    one.setup.adopt(of_two);
    are_alike(&one, &two);
    let (winner, loser, value) = if is_one_last {
        (&one, &two, "one")
    } else {
        (&two, &one, "two")
    };
    assert_eq!(value_of_tag(loser, "web").as_deref(), Some(value));
    assert_eq!(loser.counts.replication_conflicts.value(), 1);
    assert_eq!(winner.counts.replication_conflicts.value(), 0);
    assert_eq!(winner.counts.replication_older.value(), 1);
    let conflicts = std::sync::Arc::clone(&loser.told.borrow().conflicts);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].thing, "load balancer us-east-1/web");
    assert_eq!(conflicts[0].kept_from_node, if is_one_last { 1 } else { 2 });
}

#[test]
fn one_change_after_the_other_is_no_conflict() {
    let (mut one, mut two) = two();
    one.done(&create("web", 8080));
    pass(&mut one, &mut two);
    for value in ["a", "b", "c"] {
        two.done(&tag("web", value));
        pass(&mut two, &mut one);
        one.done(&tag("web", &format!("{value}{value}")));
        pass(&mut one, &mut two);
    }
    are_alike(&one, &two);
    for node in [&one, &two] {
        assert_eq!(value_of_tag(node, "web").as_deref(), Some("cc"));
        assert_eq!(node.counts.replication_conflicts.value(), 0);
    }
}

#[test]
fn a_deletion_beats_the_older_change_of_a_node_that_was_away() {
    let (mut one, mut two) = two();
    one.done(&create("web", 8080));
    pass(&mut one, &mut two);
    two.done(&tag("web", "away"));
    // So that it is later by the clock as well.
    let started = unix_millis();
    while unix_millis() == started {
        std::hint::spin_loop();
    }
    one.done("DeleteLoadBalancer&LoadBalancerName=web");
    let (of_one, of_two) = (one.sent(), two.sent());
    one.setup.adopt(of_two);
    two.setup.adopt(of_one);
    are_alike(&one, &two);
    assert_eq!((one.running("web"), two.running("web")), (None, None));
    assert_eq!(one.counts.replication_older.value(), 1);
}

/// A load balancer of the file; no two tests have the same `network`.
fn with_site(network: u8, port: u16) -> String {
    format!(
        "{COMMON}[[load_balancer]]\nname = \"site\"\ninstances = [\"i-1\"]\n\
         [[load_balancer.listener]]\nprotocol = \"HTTP\"\naddress = \"127.99.{network}.{port}\"\n\
         port = 8081\ninstance_port = {port}\n"
    )
}

#[test]
fn a_node_whose_file_differs_keeps_to_it_and_tells() {
    let (mut one, mut two) = (
        Node::new(1, &with_site(1, 1)),
        Node::new(2, &with_site(1, 2)),
    );
    one.done(&tag("site", "new"));
    pass(&mut one, &mut two);
    assert_eq!(one.digest(), two.digest());
    assert_eq!(value_of_tag(&two, "site"), None);
    let site = "load balancer us-east-1/site".to_owned();
    assert_eq!(two.waiting(), [(site, OF_FILE.to_owned())]);
    assert_eq!(two.counts.replication_waiting.value(), 1);
    // A third hears of it all the same, and it is in force once the files are alike.
    let mut three = Node::new(3, &with_site(1, 3));
    three.setup.adopt(two.all());
    assert_eq!(one.digest(), three.digest());
    // The first goes, so that the second can listen there.
    let all = one.records();
    drop(one);
    two.reload(&with_site(1, 1));
    assert_eq!((two.waiting(), two.records()), (vec![], all));
    assert_eq!(value_of_tag(&two, "site").as_deref(), Some("new"));
    // And no more once it is edited.
    two.reload(&with_site(1, 4));
    assert_eq!(value_of_tag(&two, "site"), None);
    assert_eq!(two.waiting().len(), 1);
}

/// A certificate for this test, and a directory that goes with it.
fn certificate(test: &str) -> (Directory, CertificateFiles) {
    let directory = Directory::new(&format!("certificate-{test}"));
    std::fs::create_dir_all(&directory.0).unwrap();
    let made = rcgen::generate_simple_self_signed(["site.test".to_owned()]).unwrap();
    let chain = directory.0.join("site.pem");
    let text = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    std::fs::write(&chain, text).unwrap();
    (directory, CertificateFiles { chain, key: None })
}

#[test]
fn a_certificate_that_is_unknown_here_is_waited_for() {
    let (mut one, mut two) = two();
    let (directory, files) = certificate("unknown");
    one.setup
        .name_certificate("arn:site", files.clone())
        .unwrap();
    one.done(&create_secure("web", 8443));
    one.done(&create("plain", 8080));
    let path = directory.0.display().to_string();
    let sent = one.sent();
    assert!(sent.iter().all(|replica| !replica.value.contains(&path)));
    two.setup.adopt(sent);
    // It keeps nothing else waiting.
    assert!(two.running("plain").is_some());
    assert_eq!(two.running("web"), None);
    let [(thing, why)] = &two.waiting()[..] else {
        panic!("one waits");
    };
    assert_eq!(thing, "load balancer us-east-1/web");
    assert!(why.contains("arn:site"), "{why}");
    two.setup.name_certificate("arn:site", files).unwrap();
    assert!(
        two.setup
            .replicas
            .as_ref()
            .unwrap()
            .is_due(crate::sys::Instant::now())
    );
    two.setup.try_waiting();
    assert_eq!(two.waiting(), []);
    assert!(two.running("web").is_some());
    assert_eq!(one.digest(), two.digest());
}

#[test]
fn what_cannot_be_leaves_what_is_and_a_change_here_replaces_it() {
    let (mut one, mut two) = two();
    one.done(&create("web", 8080));
    pass(&mut one, &mut two);
    let (_directory, files) = certificate("replaced");
    one.setup.name_certificate("arn:site", files).unwrap();
    one.done(
        "CreateLoadBalancerListeners&LoadBalancerName=web&Listeners.member.1.Protocol=HTTPS\
         &Listeners.member.1.LoadBalancerPort=8443&Listeners.member.1.InstancePort=80\
         &Listeners.member.1.SSLCertificateId=arn:site",
    );
    pass(&mut one, &mut two);
    assert_eq!(two.running("web").unwrap().listeners.len(), 1);
    assert_eq!(two.waiting().len(), 1);
    two.done(&tag("web", "here"));
    assert_eq!(two.waiting(), []);
    pass(&mut two, &mut one);
    are_alike(&one, &two);
    // Who made it on the other node learns that it was not seen.
    assert_eq!(one.counts.replication_conflicts.value(), 1);
}

#[test]
fn a_restart_keeps_stamps_deletions_and_what_waits() {
    let directory = Directory::new("restart");
    let mut one = Node::new(1, &with_site(2, 1));
    let mut two = Node::at(2, &with_site(2, 2), Some(&directory.0));
    one.done(&create("web", 8080));
    one.done(&create("gone", 8082));
    one.done("DeleteLoadBalancer&LoadBalancerName=gone");
    one.name("i-9", "10.0.0.9");
    one.setup.forget_instance("i-9").unwrap();
    one.done(&tag("site", "waits"));
    pass(&mut one, &mut two);
    let (digest, records, waiting) = (two.digest(), two.records(), two.waiting());
    assert_eq!((digest, waiting.len()), (one.digest(), 1));
    drop(two);
    let mut two = Node::at(2, &with_site(2, 2), Some(&directory.0));
    assert_eq!((two.digest(), two.records()), (digest, records));
    two.setup.try_waiting();
    assert_eq!(two.waiting(), waiting);
    // What is changed now is later than all of that.
    two.done(&tag("web", "later"));
    pass(&mut two, &mut one);
    assert_eq!(one.digest(), two.digest());
    assert_eq!(value_of_tag(&one, "web").as_deref(), Some("later"));
    // Once the file is the other's, what waited is in force, and is so after a restart too.
    drop(one);
    two.reload(&with_site(2, 1));
    assert_eq!(two.waiting(), []);
    let (digest, records) = (two.digest(), two.records());
    drop(two);
    let two = Node::at(2, &with_site(2, 1), Some(&directory.0));
    assert_eq!((two.digest(), two.records()), (digest, records));
    assert_eq!(two.waiting(), []);
}

#[test]
fn what_was_kept_without_a_cluster_has_the_stamp_of_its_time() {
    let directory = Directory::new("before");
    let (mut journal, _) = crate::control::journal::Journal::open(Some(&directory.0)).unwrap();
    let record = Record::Instance {
        id: "i-5".to_owned(),
        backend: Some(
            crate::config::Backend::from_parts("i-5", Some("10.0.0.5"), None, None).unwrap(),
        ),
        stanza: None,
        since_ms: Some(7),
        stamp: Stamp::default(),
    };
    journal.append(&[record]).unwrap();
    drop(journal);
    let mut one = Node::at(1, COMMON, Some(&directory.0));
    let [replica] = &one.all()[..] else {
        panic!("one thing is known");
    };
    assert_eq!((stamp(replica).wall_ms, stamp(replica).node), (7, 1));
    assert_eq!(replica.key, "c/in/i-5");
    let mut two = Node::new(2, COMMON);
    two.setup.adopt(one.all());
    are_alike(&one, &two);
    one.name("i-5", "10.0.0.55");
    assert!(stamp(&one.sent()[0]) > stamp(&two.all()[0]));
}

#[test]
fn instances_leave_on_all_nodes_as_was_said_on_one() {
    let (mut one, mut two) = two();
    one.done(&create("web", 8080));
    one.done(
        "RegisterInstancesWithLoadBalancer&LoadBalancerName=web&Instances.member.1.InstanceId=i-1",
    );
    pass(&mut one, &mut two);
    let deadline = std::time::Duration::from_secs(3600);
    let mode = Some(DrainMode::Sessions { deadline });
    one.setup.leave("web", "i-1", mode).unwrap();
    let sent = one.sent();
    assert!(sent[0].value.contains("\"sessions\""), "{}", sent[0].value);
    two.setup.adopt(sent);
    are_alike(&one, &two);
    let stages = |node: &Node| -> Vec<Stage> {
        let published = node.setup.published.borrow();
        let drains = published.drains.iter();
        drains.map(|row| row.stage).collect()
    };
    // Without a mode there would be no word of sessions.
    assert_ne!(stages(&one), [Stage::Done(None)]);
    assert_eq!(stages(&two), stages(&one));
}

#[test]
fn what_is_not_understood_or_from_the_future_is_refused_and_breaks_nothing() {
    let (mut one, mut two) = two();
    one.name("i-2", "10.0.0.2");
    let good = one.sent().remove(0);
    let with = |from: &str, to: &str| {
        assert!(good.value.contains(from), "{}", good.value);
        Replica {
            value: good.value.replace(from, to),
            ..good.clone()
        }
    };
    let wall = format!("\"wall_ms\":{}", stamp(&good).wall_ms);
    let ahead = format!(
        "\"wall_ms\":{}",
        unix_millis() + STAMP_AHEAD_MS_MAX + 60_000
    );
    let refused = vec![
        Replica {
            value: String::new(),
            ..good.clone()
        },
        Replica {
            key: "c/in/i-3".to_owned(),
            ..good.clone()
        },
        Replica {
            value: " ".repeat(REPLICA_BYTES_MAX + 1),
            ..good.clone()
        },
        with("\"v\":1", "\"v\":2"),
        with("\"instance\"", "\"unheard_of\""),
        with("\"weight\":1", "\"weight\":999999"),
        with("\"stanza\":null", "\"stanza\":null,\"unheard_of\":1"),
        with(&wall, &ahead),
    ];
    let count = refused.len() as u64;
    two.setup.adopt(refused);
    assert_eq!(two.counts.replication_refused.value(), count);
    assert_eq!(two.all(), []);
    // What a later elbow adds beside the record is passed over.
    two.setup
        .adopt(vec![with("\"v\":1", "\"v\":1,\"unheard_of\":{}")]);
    are_alike(&one, &two);
}

#[test]
fn what_is_too_large_to_travel_is_told_and_conflicts_are_bounded() {
    let (mut one, mut two) = two();
    one.done(&create("web", 8080));
    pass(&mut one, &mut two);
    let long = "x".repeat(REPLICA_BYTES_MAX);
    for _ in 0..=CONFLICTS_KEPT {
        let mut catalog = one.setup.regions.catalog(node::REGION);
        let mut web = crate::elb::LoadBalancer::clone(catalog.load_balancer("web").unwrap());
        web.zones.push(long.clone());
        catalog = [std::sync::Arc::new(web)].into_iter().collect();
        one.setup
            .follow(
                node::REGION,
                catalog,
                crate::control::act::Beside::default(),
            )
            .unwrap();
    }
    assert_eq!(one.sent(), []);
    assert_eq!(one.told.borrow().conflicts.len(), CONFLICTS_KEPT);
    assert_eq!(
        one.counts.replication_too_large.value(),
        CONFLICTS_KEPT as u64 + 1
    );
    assert_ne!(one.digest(), two.digest(), "nodes can see that they differ");
}

#[test]
fn the_thread_adopts_what_it_is_ordered_to_and_tries_again_by_itself() {
    let (mut one, two) = two();
    let (_directory, files) = certificate("thread");
    one.setup
        .name_certificate("arn:site", files.clone())
        .unwrap();
    one.done(&create_secure("web", 8443));
    let (digest, mut told) = (one.digest(), two.told.clone());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().unwrap();
    let orders = two.setup.start().unwrap();
    orders.send(Order::Adopt(one.sent())).unwrap();
    let waits = told.wait_for(|told| told.digest == digest && told.waiting.len() == 1);
    drop(runtime.block_on(waits).unwrap());
    let name = Task::new(|setup| setup.name_certificate("arn:site", files).map(drop).unwrap());
    orders.send(Order::Do(name)).unwrap();
    drop(
        runtime
            .block_on(told.wait_for(|told| told.waiting.is_empty()))
            .unwrap(),
    );
}

#[test]
fn without_others_nothing_is_stamped() {
    let directory = Directory::new("alone");
    let mut one = Node::at(1, COMMON, Some(&directory.0));
    one.setup.replicas = None;
    one.done(&create("web", 8080));
    one.name("i-9", "10.0.0.9");
    one.setup.forget_instance("i-9").unwrap();
    let records = crate::control::journal::Journal::peek(Some(&directory.0)).unwrap();
    let stamps: BTreeMap<_, _> = records.iter().map(|one| (one.stamp(), ())).collect();
    assert_eq!((records.len(), stamps.len()), (1, 1));
    assert!(stamps.contains_key(&Stamp::default()));
    // It is no word about the others' stamps, which are left to them.
    assert_eq!(Replicas::take_up(1, records).1.len(), 1);
}
