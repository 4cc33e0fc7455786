//! What is changed: calls of the ELB API one after the other, and files for one reload after the
//! other, each holding after the one before it.
//!
//! Pure: texts, not how they get to elbow (`elbow.rs`). Invariant: the load balancer that has the
//! traffic always has its listener, its two instances and a policy for sessions.

use std::net::SocketAddr;

use form_urlencoded::Serializer;

use crate::elbow::Site;

/// The load balancer that has the traffic.
pub(crate) const BUSY: &str = "busy";

/// What elbow listens at and stands in front of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Addresses {
    /// Where the traffic goes.
    pub(crate) front: SocketAddr,
    /// The admin address.
    pub(crate) admin: SocketAddr,
    /// For listeners that come and go by the API.
    pub(crate) other: SocketAddr,
    /// For one that comes and goes by the file.
    pub(crate) filed: SocketAddr,
    /// The backends of the traffic.
    pub(crate) backends: [SocketAddr; 2],
    /// A backend that comes and goes.
    pub(crate) spare: SocketAddr,
}

/// A call of the API.
type Call = (&'static str, Vec<(&'static str, String)>);

/// The form of change `number`. They go round: what the first half makes the second takes back.
pub(crate) fn change(number: usize, addresses: &Addresses) -> String {
    const CHANGES: usize = 14;
    let (round, step) = (number / CHANGES, number % CHANGES);
    let (action, parameters) = match step {
        0..7 => forth(step, round, addresses),
        _ => back(step, round, addresses),
    };
    let mut form = Serializer::new(String::new());
    form.append_pair("Action", action)
        .append_pair("Version", "2012-06-01");
    form.extend_pairs(parameters);
    form.finish()
}

/// Something is made.
fn forth(step: usize, round: usize, addresses: &Addresses) -> Call {
    let busy = ("LoadBalancerName", BUSY.to_owned());
    let passing = ("LoadBalancerName", format!("passing-{round}"));
    let spare = ("Instances.member.1.InstanceId", addresses.spare.to_string());
    match step {
        0 => ("RegisterInstancesWithLoadBalancer", vec![busy, spare]),
        1 => {
            let name = ("PolicyName", format!("policy-{round}"));
            let period = ("CookieExpirationPeriod", (3600 + round).to_string());
            ("CreateLBCookieStickinessPolicy", vec![busy, name, period])
        }
        2 => with_policy(format!("policy-{round}"), addresses),
        3 => ("CreateLoadBalancerListeners", {
            [vec![busy], listener(addresses)].concat()
        }),
        4 => ("CreateLoadBalancer", {
            let zone = ("AvailabilityZones.member.1", "us-east-1a".to_owned());
            [vec![passing, zone], listener(addresses)].concat()
        }),
        5 => ("RegisterInstancesWithLoadBalancer", vec![passing, spare]),
        _ => {
            let timeout = format!("{}", 60 + round % 60);
            let name = "LoadBalancerAttributes.ConnectionSettings.IdleTimeout";
            ("ModifyLoadBalancerAttributes", vec![busy, (name, timeout)])
        }
    }
}

/// What was made is taken back.
fn back(step: usize, round: usize, addresses: &Addresses) -> Call {
    let busy = ("LoadBalancerName", BUSY.to_owned());
    let passing = ("LoadBalancerName", format!("passing-{round}"));
    let spare = ("Instances.member.1.InstanceId", addresses.spare.to_string());
    let port = addresses.other.port().to_string();
    match step {
        7 => with_policy("an-hour".to_owned(), addresses),
        8 => {
            let name = ("PolicyName", format!("policy-{round}"));
            ("DeleteLoadBalancerPolicy", vec![busy, name])
        }
        9 => (
            "DeleteLoadBalancerListeners",
            vec![busy, ("LoadBalancerPorts.member.1", port)],
        ),
        10 => ("DeregisterInstancesFromLoadBalancer", vec![busy, spare]),
        11 => ("ConfigureHealthCheck", {
            let target = format!("HTTP:{}/128", addresses.backends[0].port());
            let numbers = [
                ("HealthCheck.Interval", 5 + round % 2),
                ("HealthCheck.Timeout", 2),
                ("HealthCheck.UnhealthyThreshold", 10),
                ("HealthCheck.HealthyThreshold", 2),
            ];
            let numbers = numbers.map(|(name, number)| (name, number.to_string()));
            [vec![busy, ("HealthCheck.Target", target)], numbers.to_vec()].concat()
        }),
        12 => ("DeregisterInstancesFromLoadBalancer", vec![passing, spare]),
        _ => ("DeleteLoadBalancer", vec![passing]),
    }
}

fn with_policy(name: String, addresses: &Addresses) -> Call {
    let parameters = vec![
        ("LoadBalancerName", BUSY.to_owned()),
        ("LoadBalancerPort", addresses.front.port().to_string()),
        ("PolicyNames.member.1", name),
    ];
    ("SetLoadBalancerPoliciesOfListener", parameters)
}

fn listener(addresses: &Addresses) -> Vec<(&'static str, String)> {
    vec![
        ("Listeners.member.1.Protocol", "HTTP".to_owned()),
        (
            "Listeners.member.1.LoadBalancerPort",
            addresses.other.port().to_string(),
        ),
        (
            "Listeners.member.1.InstancePort",
            addresses.spare.port().to_string(),
        ),
    ]
}

/// The file for reload `number`: by turns a load balancer comes, a policy changes, that load
/// balancer goes, the policy changes.
pub(crate) fn file(number: usize, site: &Site<'_>) -> String {
    let mut text = busy(3600 + number / 2, site);
    if matches!(number % 4, 1 | 2) {
        text += &passing(&site.addresses);
    }
    text
}

fn busy(seconds: usize, site: &Site<'_>) -> String {
    let Site {
        core,
        directory,
        addresses,
    } = site;
    let state_dir = directory.join("state");
    let Addresses {
        front,
        admin,
        backends: [a, b],
        ..
    } = addresses;
    let (port, instance_port) = (front.port(), a.port());
    format!(
        r#"
[host]
cores = "{core}"
address = "127.0.0.1"
state_dir = {state_dir:?}
shutdown_timeout = "1s"
[admin]
listen = "{admin}"
[[load_balancer]]
name = "{BUSY}"
instances = ["{a}", "{b}"]
  [load_balancer.health_check]
  target = "HTTP:{instance_port}/128"
  interval = 5
  timeout = 2
  unhealthy_threshold = 10
  healthy_threshold = 2
  [[load_balancer.lb_cookie_policy]]
  name = "an-hour"
  expiration_seconds = {seconds}
  [[load_balancer.listener]]
  protocol = "HTTP"
  port = {port}
  instance_port = {instance_port}
  policies = ["an-hour"]
"#
    )
}

fn passing(addresses: &Addresses) -> String {
    let (port, spare) = (addresses.filed.port(), addresses.spare);
    format!(
        r#"
[[load_balancer]]
name = "passing"
instances = ["{spare}"]
  [load_balancer.health_check]
  target = "TCP:{port}"
  [[load_balancer.listener]]
  protocol = "TCP"
  port = {port}
  instance_port = {port}
"#
    )
}
