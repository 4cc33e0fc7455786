//! Random files and random requests: nothing is lost between the two, and what the API says is in
//! force.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{ADDRESS, KEY, read};
use crate::config::{self, Backend, CertificateFiles, Sources, SslPolicy, public_key};
use crate::elb::setup::{Facts, Places, lift, lower};
use crate::elb::tests::world;
use crate::elb::{
    Action, Catalog, HealthCheck, Limits, Listener, LoadBalancer, Parameters, Policy, World,
};
use crate::http::DesyncMode;

/// What every file begins with; `@` stands for a list of instances.
const HEAD: &str = r#"
[[instance]]
id = "i-1"
address = "10.0.0.1"
weight = 5
[[instance]]
id = "i-2"
address = "10.0.0.2"
port = 9001
[[certificate]]
arn = "arn:a"
certificate = "/certificates/a.pem"
certificate_key = "/certificates/a.key"
[[certificate]]
arn = "arn:b"
certificate = "/certificates/b.pem"
[[load_balancer]]
name = "web"
instances = @
lb_cookie_policy = [
  { name = "day", expiration_seconds = 86400, cookie_name = "shop", refresh = "half-life" },
  { name = "browser", same_site = "None", secure = true, absolute_limit = "8h" },
  { name = "elbow-proxy-protocol-80" },
]
app_cookie_policy = [{ name = "app", cookie_name = "a", copy_unknown_attributes = true }]
ssl_negotiation_policy = [
  { name = "own", attributes = [
    "Protocol-TLSv1", "Protocol-TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", "AES128-SHA",
  ] },
  { name = "newest", attributes = ["Protocol-TLSv1.3"] },
  { name = "usual", reference_security_policy = "ELBSecurityPolicy-2015-03" },
]
"#;

const FRONTS: [&str; 4] = ["HTTP", "HTTPS", "TCP", "SSL"];

/// A listener of a file: what it speaks on either side, its port, instance port, stickiness policy,
/// certificate, SSL policy, and which of the switches in `lines_of` it has.
type Shape = (
    usize,
    bool,
    u16,
    u16,
    &'static str,
    &'static str,
    &'static str,
    [bool; 5],
);

fn shape() -> impl Strategy<Value = Shape> {
    (
        0..FRONTS.len(),
        any::<bool>(),
        select(vec![0_u16, 80, 80, 443, 8443]),
        select(vec![80_u16, 8080, 8443]),
        select(vec!["", "day", "browser", "elbow-proxy-protocol-80", "app"]),
        select(vec!["arn:a", "arn:b", "/c.pem"]),
        select(vec!["own", "newest", "usual", "ELBSecurityPolicy-2016-08"]),
        any::<[bool; 5]>(),
    )
}

/// The lines of a listener. Its address is its own, so that no two are in each other's way.
fn lines_of(index: usize, shape: &Shape) -> String {
    let (front, is_secure, port, instance_port, policy, certificate, ssl_policy, switches) = *shape;
    let [
        has_key,
        has_further,
        asks_clients,
        is_behind_tls,
        has_networks,
    ] = switches;
    let is_http = front < 2;
    let back = FRONTS[if is_http { 0 } else { 2 } + usize::from(is_secure)];
    let mut text = format!(
        "[[load_balancer.listener]]\nprotocol = {:?}\ninstance_protocol = {back:?}\n\
         address = \"127.0.0.{}\"\nport = {port}\ninstance_port = {instance_port}\n",
        FRONTS[front],
        index + 1
    );
    let mut line = |is_there: bool, line: &str| {
        if is_there {
            writeln!(text, "{line}").expect("a text takes all");
        }
    };
    let has_tls = front % 2 == 1;
    line(
        is_http && !policy.is_empty(),
        &format!("policies = [{policy:?}]"),
    );
    line(front == 0 && is_behind_tls, "behind_tls = true");
    line(has_networks, "accept_proxy_protocol = [\"10.0.0.0/8\"]");
    line(has_tls, &format!("certificate = {certificate:?}"));
    let key = format!("certificate_key = \"/{index}.key\"");
    line(has_tls && has_key && certificate == "/c.pem", &key);
    line(
        has_tls && has_further,
        "certificates = [\"/d.pem\", \"arn:a\"]",
    );
    line(has_tls, &format!("ssl_policy = {ssl_policy:?}"));
    line(has_tls && asks_clients, "client_ca = \"/ca.pem\"");
    text
}

/// What holds for an instance port, as far as its listeners have a use for it.
fn backend_policy(shapes: &[Shape], port: u16, words: (&str, usize, bool)) -> String {
    let (version, trust, has_name) = words;
    let is_used = shapes.iter().any(|shape| shape.3 == port);
    let is_secure = shapes.iter().any(|shape| shape.3 == port && shape.1);
    let keys = format!("public_keys = [{KEY:?}, {KEY:?}]\n");
    let trust = ["", "ca = \"/backends.pem\"\n", &keys][trust];
    let mut lines = String::new();
    if !version.is_empty() {
        lines += &format!("proxy_protocol = {version:?}\n");
    }
    if is_secure {
        lines += trust;
        lines += if has_name {
            "server_name = \"a.internal\"\n"
        } else {
            ""
        };
    }
    if !is_used || lines.is_empty() {
        return String::new();
    }
    format!("[[load_balancer.backend_policy]]\ninstance_port = {port}\n{lines}")
}

/// The text of a file with one load balancer.
fn files() -> impl Strategy<Value = String> {
    let instances = subsequence(vec!["i-1", "i-2", "10.0.1.8", "[::1]:9001"], 0..=4);
    let words = || (select(vec!["", "v1", "v2"]), 0..3_usize, any::<bool>());
    let check = vec![
        "interval = \"5500ms\"",
        "timeout = \"1500ms\"",
        "unhealthy_threshold = 3",
        "target = \"HTTP:80/ping\"",
    ];
    let attributes = vec![
        "idle_timeout = \"1500ms\"",
        "connection_draining = \"90500ms\"",
        "cors_cookie_name = \"both\"",
        "drain_mode = \"session\"",
        "strict = true",
        "slow_start = \"30s\"",
        "desync_mode = \"monitor\"",
        "request_id = \"X-Request-Id\"",
        "load_bound = 0.29",
        "upgrades = [\"a/1\", \"websocket\"]",
        "fallback_affinity = \"client-address\"",
    ];
    (
        instances,
        proptest::collection::vec(shape(), 1..5),
        [words(), words(), words()],
        subsequence(check, 0..=4),
        subsequence(attributes, 0..=10),
    )
        .prop_map(|(instances, shapes, words, check, attributes)| {
            let mut text = HEAD.replace('@', &format!("{instances:?}"));
            text += &format!("health_check = {{ {} }}\n", check.join(", "));
            text += &format!("attributes = {{ {} }}\n", attributes.join(", "));
            for (index, shape) in shapes.iter().enumerate() {
                text += &lines_of(index, shape);
            }
            for (port, words) in [80, 8080, 8443].into_iter().zip(words) {
                text += &backend_policy(&shapes, port, words);
            }
            text
        })
}

/// Where the words lead that files and requests here have.
fn run(
    one: &LoadBalancer,
    base: Option<&config::LoadBalancer>,
) -> Result<config::LoadBalancer, String> {
    let named = [("i-1", "10.0.0.1"), ("i-2", "10.0.0.2")];
    let named = named.map(|(id, address)| {
        let backend = Backend::from_parts(id, Some(address), None, None).expect("it holds");
        (id.to_owned(), backend)
    });
    let named = BTreeMap::from(named);
    let places = Places {
        address: ADDRESS,
        instance: &|id| Backend::by_id(id, &named),
        certificate: &|arn| {
            let letter = arn
                .strip_prefix("arn:")
                .filter(|letter| letter.len() == 1)?;
            Some(CertificateFiles {
                chain: format!("/certificates/{letter}.pem").into(),
                key: (letter == "a").then(|| "/certificates/a.key".into()),
            })
        },
    };
    lower(one, base, "", &places).map_err(|failure| failure.to_string())
}

fn shown(balancer: &config::LoadBalancer) -> LoadBalancer {
    let facts = Facts {
        region: "us-east-1",
        created_ms: 0,
        dns_name: None,
        arn: &|files| {
            let path = files.chain.to_str()?.strip_prefix("/certificates/")?;
            Some(format!("arn:{}", path.strip_suffix(".pem")?))
        },
    };
    lift(balancer, &facts)
}

/// Requests about the load balancer `web`, of which many only hold one after the other.
const REQUESTS: [&str; 39] = [
    "CreateLoadBalancerListeners: HTTP 8080 8080",
    "CreateLoadBalancerListeners: HTTP 80 8080",
    "CreateLoadBalancerListeners: HTTPS 443 8443 HTTPS arn:a",
    "CreateLoadBalancerListeners: SSL 995 8443 SSL arn:b",
    "CreateLoadBalancerListeners: TCP 25 25",
    "DeleteLoadBalancerListeners&LoadBalancerPorts.member.1=80",
    "DeleteLoadBalancerListeners&LoadBalancerPorts.member.1=443&LoadBalancerPorts.member.2=25",
    "CreateLBCookieStickinessPolicy&PolicyName=day&CookieExpirationPeriod=60",
    "CreateLBCookieStickinessPolicy&PolicyName=browser",
    "CreateAppCookieStickinessPolicy&PolicyName=app&CookieName=c",
    "CreateAppCookieStickinessPolicy&PolicyName=day&CookieName=c",
    "CreateLoadBalancerPolicy: tls SSLNegotiationPolicyType \
        Reference-Security-Policy=ELBSecurityPolicy-2015-03",
    "CreateLoadBalancerPolicy: own SSLNegotiationPolicyType \
        Protocol-TLSv1.2=true ECDHE-RSA-AES128-GCM-SHA256=true",
    "CreateLoadBalancerPolicy: newest SSLNegotiationPolicyType \
        Protocol-TLSv1.3=true ECDHE-RSA-AES128-GCM-SHA256=true",
    "CreateLoadBalancerPolicy: proxy ProxyProtocolPolicyType ProxyProtocol=true",
    "CreateLoadBalancerPolicy: no-proxy ProxyProtocolPolicyType ProxyProtocol=false",
    "CreateLoadBalancerPolicy: key PublicKeyPolicyType PublicKey=KEY",
    "CreateLoadBalancerPolicy: trust BackendServerAuthenticationPolicyType PublicKeyPolicyName=key",
    "DeleteLoadBalancerPolicy&PolicyName=day",
    "DeleteLoadBalancerPolicy&PolicyName=own",
    "SetLoadBalancerPoliciesOfListener&LoadBalancerPort=80&PolicyNames.member.1=day",
    "SetLoadBalancerPoliciesOfListener&LoadBalancerPort=80&PolicyNames.member.1=browser",
    "SetLoadBalancerPoliciesOfListener&LoadBalancerPort=80&PolicyNames=",
    "SetLoadBalancerPoliciesOfListener&LoadBalancerPort=443&PolicyNames.member.1=app\
        &PolicyNames.member.2=tls",
    "SetLoadBalancerPoliciesOfListener&LoadBalancerPort=443&PolicyNames.member.1=own",
    "SetLoadBalancerPoliciesOfListener&LoadBalancerPort=443&PolicyNames.member.1=newest",
    "SetLoadBalancerPoliciesForBackendServer&InstancePort=8080&PolicyNames.member.1=proxy",
    "SetLoadBalancerPoliciesForBackendServer&InstancePort=8080&PolicyNames.member.1=no-proxy",
    "SetLoadBalancerPoliciesForBackendServer&InstancePort=8080&PolicyNames=",
    "SetLoadBalancerPoliciesForBackendServer&InstancePort=8443&PolicyNames.member.1=proxy\
        &PolicyNames.member.2=trust",
    "RegisterInstancesWithLoadBalancer&Instances.member.1.InstanceId=i-2\
        &Instances.member.2.InstanceId=i-1",
    "DeregisterInstancesFromLoadBalancer&Instances.member.1.InstanceId=i-1",
    "ConfigureHealthCheck&HealthCheck.Target=TCP:80&HealthCheck.Interval=6&HealthCheck.Timeout=2\
        &HealthCheck.UnhealthyThreshold=2&HealthCheck.HealthyThreshold=3",
    "ModifyLoadBalancerAttributes&LoadBalancerAttributes.ConnectionSettings.IdleTimeout=30",
    "ModifyLoadBalancerAttributes&LoadBalancerAttributes.AdditionalAttributes.member.1.Key=\
     elb.http.desyncmitigationmode&LoadBalancerAttributes.AdditionalAttributes.member.1.Value=\
     strictest",
    "ModifyLoadBalancerAttributes&LoadBalancerAttributes.ConnectionDraining.Enabled=true\
        &LoadBalancerAttributes.ConnectionDraining.Timeout=120",
    "ModifyLoadBalancerAttributes&LoadBalancerAttributes.ConnectionDraining.Enabled=false",
    "SetLoadBalancerListenerSSLCertificate&LoadBalancerPort=443&SSLCertificateId=arn:b",
    "AddTags&LoadBalancerNames.member.1=web&Tags.member.1.Key=a",
];

/// A request in full. What follows a colon is a listener, or a policy with its attributes.
fn query(request: &str) -> String {
    let common = "LoadBalancerName=web&Version=2012-06-01";
    let Some((action, words)) = request.split_once(": ") else {
        return format!("Action={request}&{common}");
    };
    let words: Vec<&str> = words.split_whitespace().collect();
    let mut query = format!("Action={action}&{common}");
    if action == "CreateLoadBalancerPolicy" {
        query += &format!("&PolicyName={}&PolicyTypeName={}", words[0], words[1]);
        for (index, attribute) in words[2..].iter().enumerate() {
            let (name, value) = attribute.split_once('=').expect("name=value");
            let value = value.replace("KEY", KEY);
            let value: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let member = format!("PolicyAttributes.member.{}", index + 1);
            query += &format!("&{member}.AttributeName={name}&{member}.AttributeValue={value}");
        }
        return query;
    }
    let names = [
        "Protocol",
        "LoadBalancerPort",
        "InstancePort",
        "InstanceProtocol",
        "SSLCertificateId",
    ];
    for (name, word) in names.iter().zip(words) {
        query += &format!("&Listeners.member.1.{name}={word}");
    }
    query
}

/// Makes the requests; those that do not hold are refused.
fn ask(catalog: &mut Catalog, requests: &[&str]) {
    let world = World {
        is_instance: &|_| true,
        is_public_key: &|text| public_key(text).is_ok(),
        ..world(Limits::default())
    };
    for request in requests {
        let parameters = Parameters::parse(query(request).as_bytes()).expect(request);
        let action = Action::parse(&parameters).expect(request);
        drop(catalog.apply(&action, &world));
    }
}

/// What is in force of what the API can say, without names that the file does not have.
#[derive(Debug, PartialEq)]
struct InForce<'a> {
    listeners: Vec<(Listener, Option<&'a Policy>, Option<SslPolicy>)>,
    ports: BTreeMap<u16, (bool, Option<Vec<&'a str>>)>,
    instances: &'a [String],
    health_check: &'a HealthCheck,
    idle_timeout_seconds: u16,
    desync_mode: DesyncMode,
    draining_seconds: Option<u16>,
}

/// `lowered` is what elbow runs for it.
fn in_force<'a>(one: &'a LoadBalancer, lowered: &config::LoadBalancer) -> InForce<'a> {
    let listener = |listener: &'a Listener| {
        let mut running = lowered.listeners.iter();
        let running = running.find(|running| running.address.port() == listener.port);
        let ssl_policy = running
            .and_then(|running| running.tls.as_ref())
            .map(|tls| &tls.policy);
        let name = one.ssl_policy(listener).map(|policy| policy.name);
        assert_eq!(name, ssl_policy.map(ToString::to_string));
        let shown = Listener {
            policies: Vec::new(),
            ..listener.clone()
        };
        (shown, one.stickiness(listener), ssl_policy.cloned())
    };
    let at = |listener: &Listener| {
        let port = listener.instance_port;
        (port, (one.has_proxy_header(port), one.public_keys(port)))
    };
    let mut listeners: Vec<_> = one.listeners.iter().map(listener).collect();
    listeners.sort_by_key(|(listener, ..)| listener.port);
    let draining = &one.attributes.draining;
    InForce {
        listeners,
        ports: one.listeners.iter().map(at).collect(),
        instances: &one.instances,
        health_check: &one.health_check,
        idle_timeout_seconds: one.attributes.idle_timeout_seconds,
        desync_mode: one.attributes.desync_mode,
        draining_seconds: draining.is_enabled.then_some(draining.timeout_seconds),
    }
}

/// Takes away what policies say about TLS to ports to which it is not spoken.
fn without_effect(balancer: &mut config::LoadBalancer) {
    let listeners = &balancer.listeners;
    let is_secure = |port: u16| {
        let mut users = listeners.iter().filter(|l| l.instance_port == port);
        users.any(|listener| listener.instance_protocol.is_secure())
    };
    balancer.backend_policies.retain_mut(|policy| {
        if !is_secure(policy.instance_port) {
            policy.trust = config::Trust::Anybody;
            policy.server_name = None;
        }
        let has_words = policy.trust != config::Trust::Anybody || policy.server_name.is_some();
        policy.proxy_protocol.is_some() || has_words
    });
}

proptest! {
    #[test]
    fn a_load_balancer_that_the_api_leaves_alone_is_as_the_file_has_it(text in files()) {
        let base = read(&text).load_balancers.remove(0);
        let one = shown(&base);
        prop_assert_eq!(run(&one, Some(&base)), Ok(base));
    }

    #[test]
    fn a_configuration_that_is_written_is_read_as_the_same(text in files()) {
        let config = read(&text);
        let written = config.to_toml(&Sources::default());
        prop_assert_eq!(read(&written), config, "{}", written);
    }

    #[test]
    fn what_the_api_has_made_of_it_is_read_as_the_same(
        text in files(),
        requests in proptest::collection::vec(select(REQUESTS.to_vec()), 0..40),
    ) {
        let mut config = read(&text);
        let base = config.load_balancers.remove(0);
        let mut catalog = Catalog::from_iter([Arc::new(shown(&base))]);
        ask(&mut catalog, &requests);
        let one = catalog.load_balancer("web").expect("it is there");
        let named = &config.instances;
        let places = Places {
            address: ADDRESS,
            instance: &|id| Backend::by_id(id, named),
            certificate: &|arn| config.certificates.get(arn).cloned(),
        };
        let lowered = lower(one, Some(&base), "", &places);
        let lowered = lowered.map_err(|failure| TestCaseError::fail(failure.to_string()))?;
        config.load_balancers.push(lowered);
        let written = config.to_toml(&Sources::default());
        // What no file can say is a comment, or left out where it has no effect.
        without_effect(&mut config.load_balancers[0]);
        if written.contains("\n# No file can say this one: ") {
            config.load_balancers.clear();
        }
        prop_assert_eq!(read(&written), config, "{}", written);
    }

    #[test]
    fn what_is_asked_for_is_in_force_and_shown(
        text in files(),
        has_file in any::<bool>(),
        requests in proptest::collection::vec(select(REQUESTS.to_vec()), 0..40),
    ) {
        let base = read(&text).load_balancers.remove(0);
        let mut catalog = Catalog::from_iter([Arc::new(shown(&base))]);
        if !has_file {
            catalog = Catalog::default();
            let new = "CreateLoadBalancer&AvailabilityZones.member.1=a\
                &Listeners.member.1.Protocol=HTTP&Listeners.member.1.LoadBalancerPort=80\
                &Listeners.member.1.InstancePort=8080";
            ask(&mut catalog, &[new]);
        }
        ask(&mut catalog, &requests);
        let one = catalog.load_balancer("web").expect("it is there");
        let lowered = run(one, has_file.then_some(&base));
        let lowered = lowered.map_err(TestCaseError::fail)?;
        let again = shown(&lowered);
        prop_assert_eq!(in_force(&again, &lowered), in_force(one, &lowered));
        prop_assert_eq!(run(&again, Some(&lowered)), Ok(lowered.clone()));
        if !has_file {
            prop_assert_eq!(run(&again, None), Ok(lowered), "nothing was beyond words");
        }
    }
}
