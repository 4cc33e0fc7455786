//! What stays of a file where the API has no words, what changes where it has, and what is refused.

mod random;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use super::*;
use crate::config::{self, Config, DurationPolicy, Refresh, Stickiness, Trust};
use crate::elb::{Code, Draining, Failure, Listener, LoadBalancer, Policy, PolicyKind};
use crate::proxy_protocol::Version;

/// A public key in PEM, its lines alone; made for tests.
const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbMZxFdJr3V7Y/2e2SWj71S1EFvQ3\
    7vcuZKuuH6HjCSGM9FC8kv68i9K1UrPvTvmZ4ZsGKVptzlDxDWMblbF/cg==";

/// Where listeners accept that the file does not have.
const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 1, 0, 7));

/// A file with much that the API has no words for.
const FILE: &str = r#"
[[instance]]
id = "i-1"
address = "10.0.0.1"
port = 9001
weight = 5

[[certificate]]
arn = "arn:named"
certificate = "/named.pem"

[[load_balancer]]
name = "web"
instances = ["i-1", "10.0.1.8"]
health_check = { target = "HTTP:80/ping", interval = "1500ms", timeout = "250ms" }
lb_cookie_policy = [{
  name = "day", expiration_seconds = 86400, cookie_name = "shop", refresh = "half-life",
  idle_limit = "15m", http_only = true
}]
app_cookie_policy = [{ name = "app", cookie_name = "a", copy_unknown_attributes = true }]
ssl_negotiation_policy = [{
  name = "own", attributes = [
    "Protocol-TLSv1.1", "Protocol-TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA"
  ]
}]
attributes = { idle_timeout = "500ms", connection_draining = true, strict = true }
[[load_balancer.listener]]
protocol = "HTTP"
address = "127.0.0.2"
port = 80
instance_port = 8080
policies = ["day"]
behind_tls = true
accept_proxy_protocol = ["10.0.0.0/8"]
[[load_balancer.listener]]
protocol = "HTTP"
address = "127.0.0.3"
port = 80
instance_port = 8081
policies = ["app"]
[[load_balancer.listener]]
protocol = "HTTPS"
address = "127.0.0.2"
port = 443
instance_protocol = "HTTPS"
instance_port = 8443
certificate = "/a.pem"
certificate_key = "/a.key"
certificates = ["/b.pem"]
ssl_policy = "own"
client_ca = "/ca.pem"
[[load_balancer.backend_policy]]
instance_port = 8080
proxy_protocol = "v2"
[[load_balancer.backend_policy]]
instance_port = 8443
ca = "/backends.pem"
server_name = "app.internal"
"#;

fn read(text: &str) -> Config {
    config::parse(text, "elbow.toml").unwrap_or_else(|problems| panic!("{problems}\n{text}"))
}

fn in_file() -> config::LoadBalancer {
    read(FILE).load_balancers.remove(0)
}

/// What a client sees of it.
fn shown(balancer: &config::LoadBalancer) -> LoadBalancer {
    let facts = Facts {
        region: "us-east-1",
        created_ms: 7,
        dns_name: None,
        arn: &|files| (files.chain == Path::new("/named.pem")).then(|| "arn:named".to_owned()),
    };
    lift(balancer, &facts)
}

fn run(
    one: &LoadBalancer,
    base: Option<&config::LoadBalancer>,
) -> Result<config::LoadBalancer, Failure> {
    let config = read(FILE);
    let places = Places {
        address: ADDRESS,
        instance: &|id| Backend::by_id(id, &config.instances),
        certificate: &|arn| config.certificates.get(arn).cloned(),
    };
    lower(one, base, "", &places)
}

/// What elbow runs once the API has changed what the file says.
fn changed(change: impl FnOnce(&mut LoadBalancer)) -> config::LoadBalancer {
    let base = in_file();
    let mut one = shown(&base);
    change(&mut one);
    run(&one, Some(&base)).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Why it cannot run.
fn refused(change: impl FnOnce(&mut LoadBalancer)) -> Failure {
    let base = in_file();
    let mut one = shown(&base);
    change(&mut one);
    run(&one, Some(&base)).expect_err("a failure was expected")
}

fn policy(name: &str, kind: PolicyKind) -> Policy {
    Policy {
        name: name.to_owned(),
        kind,
    }
}

fn lb_cookie(expiration_seconds: Option<u32>) -> PolicyKind {
    PolicyKind::LbCookie { expiration_seconds }
}

fn ssl(reference: Option<&str>, switches: &[(&str, bool)]) -> PolicyKind {
    let switches = switches
        .iter()
        .map(|(name, is_on)| ((*name).to_owned(), *is_on));
    PolicyKind::SslNegotiation {
        reference: reference.map(str::to_owned),
        switches: switches.collect(),
    }
}

/// Takes a policy's place.
fn replace(one: &mut LoadBalancer, name: &str, kind: PolicyKind) {
    one.policies.retain(|policy| policy.name != name);
    one.policies.push(policy(name, kind));
}

/// The TLS of the listener at 443 once its policy `tls` says this.
fn tls_of(kind: PolicyKind) -> config::SslPolicy {
    let changed = changed(|one| {
        one.policies.push(policy("tls", kind));
        one.listeners[1].policies = vec!["tls".to_owned()];
    });
    changed.listeners[2].tls.clone().expect("it has TLS").policy
}

#[test]
fn what_the_api_has_not_changed_comes_back_as_it_was() {
    assert_eq!(changed(|_| ()), in_file());
}

#[test]
fn a_load_balancer_of_the_file_is_shown_in_the_words_of_clb() {
    let base = in_file();
    let one = shown(&base);
    assert_eq!((one.name.as_str(), one.created_ms), ("web", 7));
    assert_eq!(one.dns_name, "127.0.0.2");
    assert_eq!(one.zones, ["us-east-1a"]);
    assert_eq!(one.instances, ["i-1", "10.0.1.8"]);
    let listeners: Vec<(u16, Option<&str>, Vec<&str>)> = one
        .listeners
        .iter()
        .map(|listener| {
            let policies = listener.policies.iter().map(String::as_str);
            (
                listener.port,
                listener.certificate.as_deref(),
                policies.collect(),
            )
        })
        .collect();
    let expected = [
        (80, None, vec!["day"]),
        (443, Some("arn:elbow:file:/a.pem"), vec!["own"]),
    ];
    assert_eq!(listeners, expected);
    let switches = [
        ("Protocol-TLSv1.2", true),
        ("ECDHE-RSA-AES128-GCM-SHA256", true),
    ];
    let proxy = PolicyKind::ProxyProtocol { is_enabled: true };
    let expected = [
        policy("day", lb_cookie(Some(86_400))),
        policy("own", ssl(None, &switches)),
        policy("elbow-proxy-protocol-8080", proxy),
    ];
    assert_eq!(one.policies, expected);
    assert!(one.has_proxy_header(8080) && one.public_keys(8443).is_none());
    assert_eq!(
        (
            one.health_check.interval_seconds,
            one.health_check.timeout_seconds
        ),
        (2, 1)
    );
    assert_eq!(one.attributes.idle_timeout_seconds, 1);
    let draining = Draining {
        is_enabled: true,
        timeout_seconds: 300,
    };
    assert_eq!(one.attributes.draining, draining);
    let facts = Facts {
        region: "eu-west-1",
        created_ms: 0,
        dns_name: Some("web-1.eu-west-1.elb.example.com"),
        arn: &|_| None,
    };
    let one = lift(&base, &facts);
    assert_eq!(one.dns_name, "web-1.eu-west-1.elb.example.com");
    assert_eq!(one.zones, ["eu-west-1a"]);
}

#[test]
fn the_name_of_another_region_has_it_in_front() {
    let places = Places {
        address: ADDRESS,
        instance: &|id| Backend::from_parts(id, Some("10.0.0.1"), None, None).ok(),
        certificate: &|_| None,
    };
    let mut one = shown(&in_file());
    one.listeners.truncate(1);
    one.instances.truncate(1);
    let lowered = lower(&one, None, "eu-west-1/", &places).unwrap();
    assert_eq!(lowered.name, "eu-west-1/web");
    assert_eq!(shown(&lowered).name, "web");
}

#[test]
fn a_policy_of_the_same_name_and_kind_keeps_its_cookie() {
    let changed = changed(|one| replace(one, "day", lb_cookie(None)));
    let Some(Stickiness::Duration(policy)) = &changed.listeners[0].stickiness else {
        panic!("{changed:?}");
    };
    assert_eq!(
        (policy.cookie.name.as_str(), policy.cookie.is_http_only),
        ("shop", true)
    );
    assert!(policy.idle_limit.is_some());
    let life = (policy.expiration_seconds, policy.refresh);
    assert_eq!(
        life,
        (None, Refresh::Never),
        "a browser session has no half"
    );
}

#[test]
fn a_policy_of_another_name_or_kind_keeps_nothing() {
    let other = changed(|one| {
        one.policies.push(policy("night", lb_cookie(None)));
        one.listeners[0].policies = vec!["night".to_owned()];
    });
    let expected = Stickiness::Duration(DurationPolicy::new("night", None));
    assert_eq!(other.listeners[0].stickiness, Some(expected));
    let cookie = "c".to_owned();
    let other = changed(|one| replace(one, "day", PolicyKind::AppCookie { cookie }));
    let expected = config::ApplicationPolicy::new("day", "c");
    let expected = Stickiness::Application(expected);
    assert_eq!(other.listeners[0].stickiness, Some(expected));
}

#[test]
fn an_application_policy_keeps_its_switches_and_takes_its_cookie_from_the_api() {
    let cookie = "other".to_owned();
    let changed = changed(|one| {
        one.policies
            .push(policy("app", PolicyKind::AppCookie { cookie }));
        one.listeners[0].policies = vec!["app".to_owned()];
    });
    let Some(Stickiness::Application(policy)) = &changed.listeners[0].stickiness else {
        panic!("{changed:?}");
    };
    assert_eq!(
        (
            policy.cookie_name.as_str(),
            policy.copies_unknown_attributes
        ),
        ("other", true)
    );
}

#[test]
fn a_listener_keeps_what_is_about_its_port() {
    let base = in_file();
    let changed = changed(|one| {
        let [http, https] = &mut one.listeners[..] else {
            panic!("two are shown");
        };
        http.protocol = config::Protocol::Tcp;
        http.instance_protocol = config::Protocol::Tcp;
        http.policies.clear();
        https.certificate = Some("arn:named".to_owned());
        one.listeners.push(Listener {
            port: 81,
            ..one.listeners[0].clone()
        });
    });
    let [tcp, hidden, https, new] = &changed.listeners[..] else {
        panic!("{changed:?}");
    };
    assert_eq!(tcp.address, base.listeners[0].address);
    assert_eq!(tcp.proxy_networks, base.listeners[0].proxy_networks);
    assert!(!tcp.behind_tls && tcp.stickiness.is_none());
    assert_eq!(*hidden, base.listeners[1]);
    let tls = https.tls.as_ref().expect("it has TLS");
    let chains: Vec<&Path> = tls
        .certificates
        .iter()
        .map(|files| files.chain.as_path())
        .collect();
    assert_eq!(chains, [Path::new("/named.pem"), Path::new("/b.pem")]);
    assert!(tls.client_auth.is_some());
    assert_eq!(new.address, SocketAddr::new(ADDRESS, 81));
    assert!(new.proxy_networks.is_empty());
}

#[test]
fn a_listener_that_the_api_does_not_see_goes_with_its_port() {
    let without = |port: u16| {
        changed(|one| {
            one.listeners.retain(|listener| listener.port != port);
            let listeners = &one.listeners;
            one.backend_servers.retain(|server| {
                let mut ports = listeners.iter().map(|listener| listener.instance_port);
                ports.any(|port| port == server.instance_port)
            });
        })
    };
    let base = in_file();
    let both = without(443);
    assert_eq!(both.listeners, base.listeners[..2]);
    assert_eq!(both.backend_policies, base.backend_policies[..1]);
    assert_eq!(without(80).listeners, base.listeners[2..]);

    let text = FILE.replace("address = \"127.0.0.3\"\nport = 80", "port = 0");
    let base = read(&text).load_balancers.remove(0);
    let mut one = shown(&base);
    assert_eq!(one.listeners.len(), 2);
    one.listeners.clear();
    one.backend_servers.clear();
    let lowered = run(&one, Some(&base)).expect("it may have none");
    assert_eq!(lowered.listeners, base.listeners[1..=1]);
}

#[test]
fn a_load_balancer_may_be_without_listeners() {
    let mut one = shown(&in_file());
    one.listeners.clear();
    one.backend_servers.clear();
    let lowered = run(&one, None).unwrap();
    assert!(lowered.listeners.is_empty());
    assert_eq!(shown(&lowered).dns_name, "");
}

#[test]
fn files_without_an_arn_are_known_from_listeners_of_the_file_alone() {
    let new = |certificate: &str| Listener {
        port: 8443,
        certificate: Some(certificate.to_owned()),
        ..shown(&in_file()).listeners[1].clone()
    };
    let moved = changed(|one| one.listeners[1] = new("arn:elbow:file:/a.pem"));
    let tls = moved
        .listeners
        .last()
        .and_then(|l| l.tls.clone())
        .expect("it has TLS");
    assert_eq!(
        tls.certificates[0].key.as_deref(),
        Some(Path::new("/a.key"))
    );
    let failure = refused(|one| one.listeners[1] = new("arn:elbow:file:/etc/shadow"));
    assert_eq!(failure.code, Code::CertificateNotFound);
}

#[test]
fn an_arn_or_id_that_leads_nowhere_is_refused_with_the_way_out() {
    let failure = refused(|one| one.listeners[1].certificate = Some("arn:none".to_owned()));
    let expected = "CertificateNotFound: Server Certificate not found for the key: arn:none; a \
        [[certificate]] in the configuration or PUT /v1/certificates says which files an ARN \
        stands for";
    assert_eq!(failure.to_string(), expected);
    let failure = refused(|one| one.instances.push("i-9".to_owned()));
    let expected = "InvalidInstance: Could not find EC2 instance i-9. An [[instance]] in the \
        configuration or PUT /v1/instances/i-9 gives an id its address; or register an address, \
        such as 10.0.1.8 or 10.0.1.9:9001";
    assert_eq!(failure.to_string(), expected);
}

#[test]
fn two_ids_of_one_place_are_refused() {
    let failure = refused(|one| one.instances.push("10.0.0.1:9001".to_owned()));
    let expected = "InvalidInstance: 10.0.0.1:9001 and i-1 are the same instance; register one";
    assert_eq!(failure.to_string(), expected);
}

#[test]
fn instances_keep_weight_and_port_and_the_order_of_the_api() {
    let changed = changed(|one| {
        one.instances.reverse();
        one.instances.push("[0::1]:80".to_owned());
    });
    let backends: Vec<String> = changed.backends.iter().map(ToString::to_string).collect();
    let expected = [
        "10.0.1.8",
        "i-1=10.0.0.1:9001 (weight 5)",
        "[0::1]:80=[::1]:80",
    ];
    assert_eq!(backends, expected);
}

#[test]
fn an_ssl_policy_is_predefined_or_refers_or_lists() {
    let own = in_file().listeners[2]
        .tls
        .clone()
        .expect("it has TLS")
        .policy;
    assert!(
        own.deviations()
            .is_some_and(|text| text.contains("TLS 1.1"))
    );
    let listed = [
        ("Protocol-TLSv1.2", true),
        ("ECDHE-RSA-AES128-GCM-SHA256", true),
    ];
    let same = changed(|one| replace(one, "own", ssl(None, &listed)));
    let kept = same.listeners[2].tls.clone().map(|tls| tls.policy);
    assert_eq!(kept, Some(own), "what was asked for is still known");

    let name = "ELBSecurityPolicy-TLS-1-2-2017-01";
    let predefined = config::SslPolicy::predefined(name).unwrap();
    let changed = changed(|one| one.listeners[1].policies = vec![name.to_owned()]);
    let tls = changed.listeners[2].tls.clone().expect("it has TLS");
    assert_eq!(tls.policy, predefined);
    assert_eq!(tls_of(ssl(Some(name), &[])), predefined.named("tls"));
    let listed = tls_of(ssl(None, &[("AES128-SHA", false), listed[0], listed[1]]));
    assert_eq!(listed.versions(), "TLS 1.2");
    assert_eq!((listed.suites().len(), listed.is_ordered()), (1, false));
}

#[test]
fn switches_come_on_top_of_a_reference() {
    let reference = "ELBSecurityPolicy-2016-08";
    let without = tls_of(ssl(Some(reference), &[("Protocol-TLSv1.2", false)]));
    assert_eq!(without.versions(), "TLS 1.3");
    let switches = [
        ("ECDHE-RSA-AES128-GCM-SHA256", false),
        ("Server-Defined-Cipher-Order", false),
        ("AES128-SHA", true),
    ];
    let changed = tls_of(ssl(Some(reference), &switches));
    assert_eq!((changed.suites().len(), changed.is_ordered()), (5, false));
    assert!(
        changed
            .deviations()
            .is_some_and(|text| text.contains("CBC"))
    );
}

#[test]
fn an_ssl_policy_of_which_nothing_is_left_is_refused_with_what_there_is() {
    let failure = refused(|one| {
        let old = [("Protocol-SSLv3", true), ("RC4-MD5", true)];
        one.policies.push(policy("tls", ssl(None, &old)));
        one.listeners[1].policies = vec!["tls".to_owned()];
    });
    let expected = "InvalidConfigurationRequest: tls cannot be enabled: leaves no protocol that \
        elbow has: list `Protocol-TLSv1.2` or `Protocol-TLSv1.3`";
    assert_eq!(failure.to_string(), expected);
}

/// Gives the instance port the policies of these kinds.
fn serve(one: &mut LoadBalancer, instance_port: u16, kinds: Vec<PolicyKind>) {
    let count = kinds.len();
    let names = (0..count).map(|index| format!("new-{instance_port}-{index}"));
    let policies = names.zip(kinds).map(|(name, kind)| Policy { name, kind });
    let first = one.policies.len();
    one.policies.extend(policies);
    let names = one.policies[first..]
        .iter()
        .map(|policy| policy.name.clone())
        .collect();
    one.backend_servers
        .retain(|server| server.instance_port != instance_port);
    one.backend_servers.push(crate::elb::BackendServer {
        instance_port,
        policies: names,
    });
}

fn trust_in(one: &mut LoadBalancer, text: &str) {
    let text = text.to_owned();
    one.policies
        .push(policy("key", PolicyKind::PublicKey { text }));
    let public_keys = vec!["key".to_owned()];
    serve(
        one,
        8443,
        vec![PolicyKind::BackendServerAuthentication { public_keys }],
    );
}

#[test]
fn backends_are_trusted_by_keys_where_the_api_names_some() {
    let changed = changed(|one| trust_in(one, KEY));
    let policy = changed.backend_policy(8443).expect("there is one");
    let key = config::public_key(KEY).expect("a key");
    assert_eq!(policy.trust, Trust::Keys(vec![key]));
    assert_eq!(policy.server_name.as_deref(), Some("app.internal"));
    let again = shown(&changed);
    assert_eq!(again.public_keys(8443), Some(vec![KEY]));
    let failure = refused(|one| trust_in(one, "words"));
    assert_eq!(failure.code, Code::InvalidConfigurationRequest);
    assert!(
        failure
            .message
            .contains("8443 refer to what is no public key"),
        "{failure}"
    );
}

#[test]
fn a_proxy_header_is_of_version_1_unless_the_file_says_2() {
    let enabled = || vec![PolicyKind::ProxyProtocol { is_enabled: true }];
    let changed = changed(|one| {
        serve(one, 8080, enabled());
        serve(one, 8443, enabled());
    });
    let version = |port| changed.backend_policy(port).and_then(|p| p.proxy_protocol);
    assert_eq!(version(8080), Some(Version::V2));
    assert_eq!(version(8443), Some(Version::V1));
}

#[test]
fn what_an_instance_port_does_not_need_any_more_goes() {
    let changed = changed(|one| {
        let disabled = PolicyKind::ProxyProtocol { is_enabled: false };
        serve(one, 8080, vec![disabled]);
        one.listeners[1].instance_protocol = config::Protocol::Http;
    });
    assert!(
        changed.backend_policies.is_empty(),
        "{:?}",
        changed.backend_policies
    );
}

#[test]
fn times_stay_finer_than_a_second_until_the_api_changes_them() {
    let base = in_file();
    let changed = changed(|one| {
        one.health_check.interval_seconds = 10;
        one.attributes.idle_timeout_seconds = 30;
        one.attributes.draining.is_enabled = false;
    });
    let check = &changed.health_check;
    assert_eq!(
        (check.interval.as_millis(), check.timeout.as_millis()),
        (10_000, 1000)
    );
    assert_eq!(changed.attributes.idle_timeout.as_secs(), 30);
    assert_eq!(changed.attributes.connection_draining, None);
    assert_eq!(changed.attributes.affinity, base.attributes.affinity);
}
