//! PROXY headers: from whom a listener believes them, to which instance ports they are sent.

use super::*;

fn policy(lines: &str) -> String {
    small("", &format!("[[load_balancer.backend_policy]]\n{lines}"))
}

#[test]
fn absent_and_empty_are_off() {
    for listener in ["", "accept_proxy_protocol = []"] {
        let config = parse(&small(listener, ""), "elbow.toml").expect("the file holds");
        let balancer = &config.load_balancers[0];
        assert!(balancer.listeners[0].proxy_networks.is_empty());
        assert_eq!(balancer.backend_policy(80), None);
    }
}

#[test]
fn a_policy_holds_for_its_instance_port() {
    for (text, version) in [("v1", Version::V1), ("v2", Version::V2)] {
        let text = policy(&format!("instance_port = 80\nproxy_protocol = \"{text}\""));
        let config = parse(&text, "elbow.toml").expect("the file holds");
        let balancer = &config.load_balancers[0];
        let told = |port| balancer.backend_policy(port).and_then(|p| p.proxy_protocol);
        assert_eq!(told(80), Some(version));
        assert_eq!(told(8080), None);
    }
}

#[test]
fn a_policy_that_cannot_hold_is_refused() {
    let v1 = "proxy_protocol = \"v1\"";
    assert_eq!(
        only_mistake(&policy("instance_port = 80")),
        "says nothing; it may have proxy_protocol, public_keys, ca, server_name"
    );
    assert_eq!(only_mistake(&policy(v1)), "is missing");
    assert_eq!(
        only_mistake(&policy("instance_port = 80\nproxy_protocol = \"v3\"")),
        "must be \"v1\" or \"v2\""
    );
    assert_eq!(
        only_mistake(&policy("instance_port = 80\nproxy_protocol = true")),
        "must be text in quotes"
    );
    assert_eq!(
        only_mistake(&policy(&format!("instance_port = 8080\n{v1}"))),
        "is the instance port of no listener here"
    );
    let one = format!("instance_port = 80\n{v1}");
    let twice = policy(&format!("{one}\n[[load_balancer.backend_policy]]\n{one}"));
    assert_eq!(only_mistake(&twice), "has a policy already");
}

#[test]
fn every_network_that_is_wrong_is_named() {
    let text = small(
        "accept_proxy_protocol = [\"10.0.0.1/8\", \"::1\", \"proxy\"]",
        "",
    );
    let path = "load_balancer[0].listener[0].accept_proxy_protocol";
    let expected = [
        format!("7 {path}[0] = \"10.0.0.1/8\""),
        format!("7 {path}[2] = \"proxy\""),
    ];
    assert_eq!(problems(&text), expected);
    let text = small("accept_proxy_protocol = \"10.0.0.0/8\"", "");
    assert_eq!(only_mistake(&text), "must be a list");
    let many = vec!["\"::1\""; crate::limits::PROXY_NETWORKS_MAX + 1].join(", ");
    let text = small(&format!("accept_proxy_protocol = [{many}]"), "");
    assert_eq!(only_mistake(&text), "more than 256 networks");
}

#[test]
fn a_summary_tells_who_is_believed_and_who_is_told() {
    let text = small(
        "accept_proxy_protocol = [\"10.0.0.0/8\", \"192.0.2.7/32\"]",
        "[[load_balancer.backend_policy]]\ninstance_port = 80\nproxy_protocol = \"v1\"",
    );
    let summary = parse(&text, "elbow.toml")
        .expect("the file holds")
        .to_string();
    let lines: Vec<&str> = summary.lines().map(str::trim).collect();
    let listener = "HTTP 0.0.0.0:8080 to HTTP 80, not sticky, \
                    PROXY headers from 10.0.0.0/8 and 192.0.2.7";
    assert!(lines.contains(&listener), "{summary}");
    let policy = "to 80: PROXY headers v1, a connection for each exchange";
    assert!(lines.contains(&policy), "{summary}");
}
