//! Whole files: what is taken, and that every problem is named where it is.

mod api;
mod attributes;
mod cluster;
mod credentials;
mod https;
mod proxy_protocol;
mod secure_backends;
mod stickiness;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limits::{BACKENDS_MAX, CERTIFICATES_PER_LISTENER_MAX, LISTENERS_MAX};

/// Every key that this version serves.
const FULL: &str = r#"
profile = "clb"

[host]
cores = "0-1,3"
pin = false
driver = "epoll"
address = "10.0.0.1"
state_dir = "/var/lib/elbow"
shutdown_timeout = "500ms"
session_window = "100ms"

[admin]
listen = "10.0.0.1:9999"
names = ["ELB.example.com"]
[[admin.credential]]
access_key_id = "AKIDEXAMPLE"
secret_access_key_file = "/etc/elbow/secret"
[[admin.credential]]
access_key_id = "prometheus"
secret_access_key_file = "/etc/elbow/prometheus"
read_only = true

[api]
address_pool = "10.9.0.0/24"
dns_suffix = "elb.example.com"
region = "eu-west-1"
known_ids = ["us-east-1a", "subnet-1", "sg-1", "vpc-1"]

[cluster]
listen = "0.0.0.0:7946"
advertise = "10.0.0.5:7946"
node = "rack-7"
seeds = ["10.0.0.6:7946", "elbow.internal:7946"]
secret_file = "/etc/elbow/cluster-secret"

[[certificate]]
arn = "arn:aws:iam::123456789012:server-certificate/site"
certificate = "/etc/elbow/site.pem"
certificate_key = "/etc/elbow/site.key"

[[instance]]
id = "i-0a1b2c3d"
address = "10.0.1.7"
[[instance]]
id = "i-spare"
address = "10.0.1.5"
[[instance]]
id = "i-1111"
address = "10.0.1.6"
port = 9001
weight = 5

[[load_balancer]]
name = "my-loadbalancer"
instances = ["i-0a1b2c3d", "i-1111", "10.0.1.8", "[::1]:9001"]
  [load_balancer.health_check]
  target = "HTTP:8080/ping"
  interval = 10
  timeout = "250ms"
  unhealthy_threshold = 3
  healthy_threshold = 4
  [[load_balancer.lb_cookie_policy]]
  name = "my-duration-cookie-policy"
  expiration_seconds = 60
  cookie_name = "__Secure-shop"
  cookie_path = "/shop"
  cookie_domain = "example.com"
  secure = true
  http_only = true
  same_site = "None"
  partitioned = true
  refresh = "always"
  idle_limit = "15m"
  absolute_limit = "8h"
  [[load_balancer.lb_cookie_policy]]
  name = "browser"
  [[load_balancer.app_cookie_policy]]
  name = "my-app-cookie-policy"
  cookie_name = "my-app-cookie"
  copy_unknown_attributes = true
  absolute_limit = "12h"
  [[load_balancer.ssl_negotiation_policy]]
  name = "strict"
  attributes = ["Protocol-TLSv1.3"]
  [[load_balancer.ssl_negotiation_policy]]
  name = "usual"
  reference_security_policy = "ELBSecurityPolicy-2016-08"
  [[load_balancer.listener]]
  protocol = "HTTP"
  port = 80
  instance_protocol = "http"
  instance_port = 8080
  policies = ["my-duration-cookie-policy"]
  behind_tls = true
  accept_proxy_protocol = ["10.0.0.0/8", "2001:db8::1"]
  [[load_balancer.listener]]
  protocol = "http"
  address = "::1"
  port = 0
  instance_port = 8081
  policies = ["browser"]
  [[load_balancer.listener]]
  protocol = "http"
  port = 0
  instance_port = 8082
  policies = ["my-app-cookie-policy"]
  [[load_balancer.backend_policy]]
  instance_port = 8081
  proxy_protocol = "v2"
  [load_balancer.attributes]
  idle_timeout = 4000
  cors_cookie_name = "both"
  connection_draining = true
  drain_mode = "session"
  drain_deadline = "30m"
  desync_mode = "strictest"
  request_id = "X-Request-Id"
  max_body = "10MiB"
  min_rate = 240
  max_connections_per_client = 100
  underscore_encoding = "off"
  strip_cookie = true
  strict = true
  fallback_affinity = "client-address"
  load_bound = 0.5
  slow_start = "30s"
  standby_header = true
  reason_header = true
  failover = "least-outstanding"
  max_outstanding = 50
  surge_queue = 0
  queue_timeout = "2s"
"#;

/// The least that a file must say, with `listener` within its listener and `rest` after it.
fn small(listener: &str, rest: &str) -> String {
    format!(
        "[[load_balancer]]\nname = \"a\"\n[[load_balancer.listener]]\nprotocol = \"HTTP\"\n\
         port = 8080\ninstance_port = 80\n{listener}\n{rest}\n"
    )
}

fn network(text: &str) -> Network {
    Network::parse(text).expect("a network")
}

/// Each problem as `line key`, or `line key = value`.
fn problems(text: &str) -> Vec<String> {
    let problems = parse(text, "elbow.toml").expect_err("a problem was expected");
    let place = |problem: &Problem| match &problem.value {
        Some(value) => format!("{} {} = {value}", problem.line, problem.key),
        None => format!("{} {}", problem.line, problem.key),
    };
    problems.list().iter().map(place).collect()
}

/// The clause of the one problem that `text` has.
fn only_mistake(text: &str) -> String {
    let problems = parse(text, "elbow.toml").expect_err("a problem was expected");
    assert_eq!(problems.list().len(), 1, "{problems}");
    problems.list()[0].mistake.to_string()
}

#[test]
fn every_key_of_this_version_arrives() {
    let config = parse(FULL, "elbow.toml").expect("the file holds");
    let host = Host {
        cores: Cores::List(vec![0, 1, 3]),
        pin: false,
        driver: Driver::Epoll,
        state_dir: Some(PathBuf::from("/var/lib/elbow")),
        shutdown_timeout: Duration::from_millis(500),
        session_window: Duration::from_millis(100),
    };
    assert_eq!(config.host, host);
    assert_eq!(
        config.admin.listen,
        Some(SocketAddr::from(([10, 0, 0, 1], 9999)))
    );
    let [balancer] = &config.load_balancers[..] else {
        panic!("one load balancer")
    };
    assert_eq!(balancer.name, "my-loadbalancer");
    let backends: Vec<String> = balancer.backends.iter().map(Backend::to_string).collect();
    let expected = [
        "i-0a1b2c3d=10.0.1.7",
        "i-1111=10.0.1.6:9001 (weight 5)",
        "10.0.1.8",
        "[::1]:9001",
    ];
    assert_eq!(backends, expected);
    let check = HealthCheck {
        target: Target {
            protocol: Protocol::Http,
            port: 8080,
            path: "/ping".to_owned(),
        },
        interval: Duration::from_secs(10),
        timeout: Duration::from_millis(250),
        unhealthy_threshold: 3,
        healthy_threshold: 4,
    };
    assert_eq!(balancer.health_check, check);
    assert_eq!(balancer.attributes.idle_timeout, Duration::from_secs(4000));
    assert_eq!(balancer.attributes.cors_cookie_name, CorsCookieName::Both);
    let first = Listener {
        address: SocketAddr::from(([10, 0, 0, 1], 80)),
        protocol: Protocol::Http,
        instance_protocol: Protocol::Http,
        instance_port: 8080,
        stickiness: None,
        behind_tls: true,
        tls: None,
        proxy_networks: vec![network("10.0.0.0/8"), network("2001:db8::1")],
    };
    let second = Listener {
        address: "[::1]:0".parse().expect("an address"),
        instance_port: 8081,
        behind_tls: false,
        proxy_networks: Vec::new(),
        ..first.clone()
    };
    let third = Listener {
        address: SocketAddr::from(([10, 0, 0, 1], 0)),
        instance_port: 8082,
        ..second.clone()
    };
    let without_policy = |listener: &Listener| Listener {
        stickiness: None,
        ..listener.clone()
    };
    let listeners: Vec<Listener> = balancer.listeners.iter().map(without_policy).collect();
    assert_eq!(listeners, [first, second, third]);
    let policy = balancer.backend_policy(8081).unwrap();
    assert_eq!(policy.proxy_protocol, Some(Version::V2));
}

#[test]
fn what_is_absent_has_the_defaults_of_clb() {
    let config = parse(&small("", ""), "elbow.toml").expect("the file holds");
    assert_eq!(config.host, Host::default());
    assert_eq!(config.admin, Admin::default());
    let balancer = &config.load_balancers[0];
    assert!(balancer.backends.is_empty());
    assert_eq!(
        balancer.listeners[0].address,
        SocketAddr::from(([0, 0, 0, 0], 8080))
    );
    assert_eq!(balancer.listeners[0].stickiness, None);
    assert_eq!(balancer.attributes, Attributes::default());
    let check = &balancer.health_check;
    assert_eq!(check.target.to_string(), "TCP:80");
    assert_eq!(check.interval, Duration::from_secs(30));
    assert_eq!(check.timeout, Duration::from_secs(5));
    assert_eq!(
        (check.unhealthy_threshold, check.healthy_threshold),
        (2, 10)
    );
}

#[test]
fn five_mistakes_are_named_at_once_where_they_are() {
    let text = r#"[host]
cores = "3-0"
drivr = "auto"

[[load_balancer]]
name = "shop"
instances = ["10.0.1.8", "i-missing"]
[load_balancer.health_check]
interval = 3
[[load_balancer.listener]]
protocol = "HTTP"
port = 70000
instance_port = 8080
"#;
    let report = parse(text, "elbow.toml")
        .expect_err("five problems")
        .to_string();
    let expected = "\
elbow.toml:2: host.cores = \"3-0\": the range 3-0 runs backwards
elbow.toml:3: host.drivr: is not a key here; did you mean `driver`?
elbow.toml:7: load_balancer[0].instances[1] = \"i-missing\": \
is neither the id of an [[instance]] nor an IP address
elbow.toml:9: load_balancer[0].health_check.interval = 3: \
must be 5 to 300 seconds, or text from \"50ms\" to \"5m\"
elbow.toml:12: load_balancer[0].listener[0].port = 70000: must be 0 to 65535
5 problems";
    assert_eq!(report, expected);
}

#[test]
fn text_that_is_not_toml_is_one_problem_with_its_line() {
    assert_eq!(problems("[host]\npin = \n"), ["2 "]);
    assert_eq!(problems("[host]\npin = true\npin = true\n"), ["3 "]);
    assert!(only_mistake("\n[host").starts_with("not TOML: "));
}

#[test]
fn a_file_that_can_never_serve_anything_is_refused() {
    assert_eq!(problems("[admin]\nlisten = \"off\"\n"), ["1 "]);
    // The API may make load balancers.
    assert!(
        parse("", "elbow.toml")
            .expect("it holds")
            .load_balancers
            .is_empty()
    );
    assert_eq!(
        problems("[[load_balancer]]\nname = \"a\"\n"),
        ["1 load_balancer[0]"]
    );
}

#[test]
fn missing_keys_are_named_with_the_line_of_their_section() {
    let text = "\n[[load_balancer]]\n\n[[load_balancer.listener]]\n[[instance]]\n";
    let expected = [
        "2 load_balancer[0].name",
        "4 load_balancer[0].listener[0].protocol",
        "4 load_balancer[0].listener[0].instance_port",
        "4 load_balancer[0].listener[0].port",
        "5 instance[0].id",
        "5 instance[0].address",
    ];
    assert_eq!(problems(text), expected);
}

#[test]
fn unknown_keys_are_found_in_every_section() {
    let rest = "x = 1\n[load_balancer.health_check]\nx = 1\n[load_balancer.attributes]\nx = 1\n\
                [[load_balancer.lb_cookie_policy]]\nname = \"p\"\nx = 1\n\
                [[instance]]\nid = \"i\"\naddress = \"10.0.0.1\"\nx = 1\n\
                [host]\nx = 1\n[admin]\nx = 1\n[api]\nx = 1\n\
                [cluster]\nlisten = \"[::1]:1\"\nsecret_file = \"/s\"\nx = 1\n\
                [[certificate]]\narn = \"arn:a\"\ncertificate = \"/a\"\nx = 1\n[x]\n";
    let expected = [
        "8 load_balancer[0].listener[0].x",
        "10 load_balancer[0].health_check.x",
        "12 load_balancer[0].attributes.x",
        "15 load_balancer[0].lb_cookie_policy[0].x",
        "19 instance[0].x",
        "21 host.x",
        "23 admin.x",
        "25 api.x",
        "29 cluster.x",
        "33 certificate[0].x",
        "34 x",
    ];
    assert_eq!(problems(&small("", rest)), expected);
    let unlike = only_mistake(&small("", "[admin]\nzzzzzzzz = 1"));
    assert_eq!(
        unlike,
        "is not a key here; the keys are listen, names, credential"
    );
}

#[test]
fn what_comes_later_is_told_from_what_is_unknown() {
    let mistake = only_mistake(&small("", "[load_balancer.attributes]\ncross_zone = true"));
    assert!(
        mistake.starts_with("is not available in this version"),
        "{mistake}"
    );
}

/// [`small`] with a TCP listener.
fn tcp(listener: &str, rest: &str) -> String {
    small(listener, rest).replace("protocol = \"HTTP\"", "protocol = \"TCP\"")
}

#[test]
fn a_tcp_listener_speaks_tcp_to_its_backends_and_is_not_sticky() {
    for text in [
        tcp("", ""),
        tcp("instance_protocol = \"tcp\"\npolicies = []", ""),
    ] {
        let config = parse(&text, "elbow.toml").expect("the file holds");
        let listener = &config.load_balancers[0].listeners[0];
        let protocols = (listener.protocol, listener.instance_protocol);
        assert_eq!(protocols, (Protocol::Tcp, Protocol::Tcp));
        assert_eq!(listener.stickiness, None);
        let summary = config.to_string();
        assert!(
            summary.contains("  TCP 0.0.0.0:8080 to TCP 80\n"),
            "{summary}"
        );
        assert!(summary.contains("every connection is reset"), "{summary}");
    }
    let mistake = only_mistake(&tcp("instance_protocol = \"HTTPS\"", ""));
    assert_eq!(mistake, "must be TCP or SSL, as the listener's protocol is");
}

#[test]
fn what_needs_heads_is_refused_on_tcp() {
    let policy = "[[load_balancer.lb_cookie_policy]]\nname = \"p\"";
    let mistake = only_mistake(&tcp("policies = [\"p\"]", policy));
    let expected = "a stickiness policy needs HTTP or HTTPS: this listener sees no cookies";
    assert_eq!(mistake, expected);
    let mistake = only_mistake(&tcp("behind_tls = true", ""));
    assert!(mistake.contains("it is for HTTP"), "{mistake}");
    assert!(parse(&tcp("behind_tls = false", ""), "elbow.toml").is_ok());

    let by = |word: &str| format!("[load_balancer.attributes]\nfallback_affinity = \"{word}\"");
    assert!(parse(&tcp("", &by("client-address")), "elbow.toml").is_ok());
    let mistake = only_mistake(&tcp("", &by("header:X-Device")));
    assert_eq!(
        mistake,
        "needs an HTTP listener: TCP listeners see no headers"
    );
    let http = "[[load_balancer.listener]]\nprotocol = \"HTTP\"\nport = 81\ninstance_port = 80\n";
    let both = small("", &format!("{http}{}", by("header:X-Device")));
    let both = both.replacen("\"HTTP\"", "\"TCP\"", 1);
    assert!(parse(&both, "elbow.toml").is_ok(), "it is for the other");
}

#[test]
fn an_http_listener_does_not_speak_tcp_to_its_backends() {
    let mistake = only_mistake(&small("instance_protocol = \"TCP\"", ""));
    let expected = "must be HTTP or HTTPS, as the listener's protocol is";
    assert_eq!(mistake, expected);
}

#[test]
fn a_wrong_kind_of_value_is_quoted_as_written() {
    let rest = "[host]\npin = \"yes\"\ncores = 4\naddress = \"10.0.0.1:80\"\n\
                shutdown_timeout = 1.5\nstate_dir = [\n1]\n";
    let expected = [
        "9 host.pin = \"yes\"",
        "10 host.cores = 4",
        "11 host.address = \"10.0.0.1:80\"",
        "12 host.shutdown_timeout = 1.5",
        "13 host.state_dir = [...",
    ];
    assert_eq!(problems(&small("", rest)), expected);
    let long = format!("[host]\ndriver = \"{}\"", "é".repeat(200));
    let quoted = problems(&small("", &long));
    assert!(
        quoted[0].ends_with("é...") && quoted[0].len() < 160,
        "{quoted:?}"
    );
}

#[test]
fn brackets_of_the_wrong_number_are_explained() {
    let single = "[load_balancer]\nname = \"a\"\n";
    assert!(only_mistake(single).contains("[[load_balancer]]"));
    assert!(only_mistake(&small("", "[[host]]\npin = true")).contains("[host]"));
    assert_eq!(problems("load_balancer = 3"), ["1 load_balancer = 3"]);
    assert_eq!(problems("load_balancer = [3]"), ["1 load_balancer[0] = 3"]);
}

#[test]
fn numbers_outside_their_range_are_refused_at_both_ends() {
    let check = "[load_balancer.health_check]\n";
    let attributes = "[load_balancer.attributes]\n";
    let policy = "[[load_balancer.lb_cookie_policy]]\nname = \"p\"\n";
    for (section, taken, refused) in [
        (check, "interval = 300", "interval = 301"),
        (
            check,
            "interval = \"60ms\"\ntimeout = \"50ms\"",
            "interval = \"40ms\"",
        ),
        (check, "timeout = 2", "timeout = 1"),
        (
            check,
            "interval = 61\ntimeout = 60",
            "interval = 100\ntimeout = 61",
        ),
        (check, "unhealthy_threshold = 2", "unhealthy_threshold = 1"),
        (
            check,
            "unhealthy_threshold = 10",
            "unhealthy_threshold = 11",
        ),
        (check, "healthy_threshold = 2", "healthy_threshold = -2"),
        (
            check,
            "healthy_threshold = 0xa",
            "healthy_threshold = 99999999999999999999",
        ),
        (attributes, "idle_timeout = 1", "idle_timeout = 0"),
        (attributes, "idle_timeout = \"60s\"", "idle_timeout = 4001"),
        (attributes, "max_body = 1", "max_body = 0"),
        (attributes, "max_body = \"1TiB\"", "max_body = \"1025GiB\""),
        (attributes, "max_body = \"10MiB\"", "max_body = \"10MB\""),
        (attributes, "max_body = 10485760", "max_body = 1.5"),
        (attributes, "min_rate = \"1MiB\"", "min_rate = \"1025KiB\""),
        (
            attributes,
            "max_connections_per_client = 65535",
            "max_connections_per_client = 65536",
        ),
        (
            attributes,
            "max_connections_per_client = 1",
            "max_connections_per_client = 0",
        ),
        (policy, "expiration_seconds = 0", "expiration_seconds = -1"),
        (
            policy,
            "expiration_seconds = 2147483647",
            "expiration_seconds = 2147483648",
        ),
        ("[host]\n", "shards = 1", "shards = 0"),
        ("[host]\n", "shards = 1024", "shards = 1025"),
        (
            "[host]\n",
            "shutdown_timeout = 0",
            "shutdown_timeout = \"2h\"",
        ),
    ] {
        let text = |keys: &str| small("", &format!("{section}{keys}"));
        assert!(parse(&text(taken), "a").is_ok(), "{taken} was refused");
        assert_eq!(problems(&text(refused)).len(), 1, "{refused}");
    }
}

#[test]
fn a_check_must_end_before_the_next_begins() {
    let check = |keys: &str| small("", &format!("[load_balancer.health_check]\n{keys}"));
    assert!(parse(&check("interval = 6"), "a").is_ok());
    let mistake = only_mistake(&check("interval = 5"));
    assert_eq!(
        mistake,
        "the timeout, 5s, must be shorter than the interval, 5s"
    );
    // One problem: a timeout that is refused is not compared as well.
    assert_eq!(problems(&check("interval = 5\ntimeout = 90")).len(), 1);
}

#[test]
fn cores_and_shards_exclude_each_other() {
    let expected = ["10 host.shards = 2"];
    assert_eq!(
        problems(&small("", "[host]\ncores = \"0-1\"\nshards = 2")),
        expected
    );
}

#[test]
fn a_listener_names_at_most_one_policy_that_exists() {
    let policies = "[[load_balancer.lb_cookie_policy]]\nname = \"day\"\n\
                    [[load_balancer.lb_cookie_policy]]\nname = \"week\"\n";
    assert!(parse(&small("policies = []", policies), "a").is_ok());
    assert!(parse(&small("policies = [\"day\"]", policies), "a").is_ok());
    let near = only_mistake(&small("policies = [\"days\"]", policies));
    assert_eq!(
        near,
        "is no policy of this load balancer; did you mean `day`?"
    );
    let two = small("policies = [\"day\", \"week\"]", policies);
    assert_eq!(
        problems(&two),
        ["7 load_balancer[0].listener[0].policies = [\"day\", \"week\"]"]
    );
}

#[test]
fn a_wrong_policy_or_instance_is_not_refused_again_where_it_is_used() {
    let policy = "[[load_balancer.lb_cookie_policy]]\nname = \"a_b\"\n";
    let text = small("policies = [\"a_b\"]", policy);
    assert_eq!(
        problems(&text),
        ["9 load_balancer[0].lb_cookie_policy[0].name = \"a_b\""]
    );
    let instance = "[[instance]]\nid = \"i-1\"\naddress = \"localhost\"\n";
    let text = small("", instance).replace("name = \"a\"", "name = \"a\"\ninstances = [\"i-1\"]");
    assert_eq!(problems(&text), ["11 instance[0].address = \"localhost\""]);
}

#[test]
fn names_are_unique_where_they_must_be() {
    let policies = "[[load_balancer.lb_cookie_policy]]\nname = \"p\"\n".repeat(2);
    let expected = ["11 load_balancer[0].lb_cookie_policy[1].name = \"p\""];
    assert_eq!(problems(&small("", &policies)), expected);
    let instances = "[[instance]]\nid = \"i\"\naddress = \"10.0.0.1\"\n".repeat(2);
    assert_eq!(
        problems(&small("", &instances)),
        ["12 instance[1].id = \"i\""]
    );
    let second = small("", "").replace("8080", "8081");
    let twins = small("", &second);
    assert_eq!(problems(&twins), ["9 load_balancer[1].name = \"a\""]);
}

#[test]
fn a_backend_is_named_once_under_whatever_name() {
    let rest = "[[instance]]\nid = \"i-one\"\naddress = \"10.0.0.1\"\n";
    let list = |list: &str| {
        small("", rest).replace("name = \"a\"", &format!("name = \"a\"\ninstances = {list}"))
    };
    assert!(parse(&list("[\"i-one\", \"10.0.0.1:81\"]"), "a").is_ok());
    let expected = ["3 load_balancer[0].instances[1] = \"10.0.0.1\""];
    assert_eq!(problems(&list("[\"i-one\", \"10.0.0.1\"]")), expected);
    let near = only_mistake(&list("[\"i-onne\"]"));
    assert_eq!(
        near,
        "is no [[instance]] of this file; did you mean `i-one`?"
    );
}

#[test]
fn an_address_and_port_belong_to_one_listener() {
    let second = |port: u16| {
        let keys = format!("port = {port}\ninstance_port = 80\nprotocol = \"HTTP\"\n");
        small("", &format!("[[load_balancer.listener]]\n{keys}"))
    };
    assert!(parse(&second(8081), "a").is_ok());
    assert_eq!(
        problems(&second(8080)),
        ["9 load_balancer[0].listener[1].port = 8080"]
    );
    assert_eq!(
        problems(&second(9090)),
        ["9 load_balancer[0].listener[1].port = 9090"]
    );
    let any_port = second(0).replace("8080", "0");
    assert!(parse(&any_port, "a").is_ok());
}

#[test]
fn lists_end_at_their_bounds() {
    let listener = |port: usize| {
        format!(
            "[[load_balancer.listener]]\nport = {port}\ninstance_port = 80\nprotocol = \"HTTP\"\n"
        )
    };
    let listeners = |count: usize| (10_000..10_000 + count).map(listener).collect::<String>();
    assert!(parse(&small("", &listeners(LISTENERS_MAX - 1)), "a").is_ok());
    let mistake = only_mistake(&small("", &listeners(LISTENERS_MAX)));
    assert_eq!(mistake, format!("more than {LISTENERS_MAX} listeners"));

    let backends = |count: usize| {
        let one = |index: usize| format!("\"10.1.{}.{}\",", index / 250, index % 250 + 1);
        let list: String = (0..count).map(one).collect();
        small("", "").replace(
            "name = \"a\"",
            &format!("name = \"a\"\ninstances = [{list}]"),
        )
    };
    assert!(parse(&backends(BACKENDS_MAX), "a").is_ok());
    let mistake = only_mistake(&backends(BACKENDS_MAX + 1));
    assert_eq!(mistake, format!("names more than {BACKENDS_MAX} backends"));
}

#[test]
fn a_summary_says_what_the_file_says() {
    let summary = parse(FULL, "elbow.toml")
        .expect("the file holds")
        .to_string();
    let expected = "\
shards on 0-1,3, not pinned
admin address 10.0.0.1:9999, for AKIDEXAMPLE, prometheus (read-only)
node rack-7 of a cluster, on 0.0.0.0:7946, reached at 10.0.0.5:7946, \
seeds 10.0.0.6:7946 elbow.internal:7946, its secret in /etc/elbow/cluster-secret
cookie keys by its secret, and older ones in /var/lib/elbow
API: address_pool 10.9.0.0/24, dns_suffix elb.example.com, region eu-west-1, \
known_ids 4
certificate arn:aws:iam::123456789012:server-certificate/site in /etc/elbow/site.pem, \
its key in /etc/elbow/site.key
instance i-spare=10.0.1.5, of no load balancer yet
load balancer my-loadbalancer
  HTTP 10.0.0.1:80 to HTTP 8080, behind TLS, sticky for 60 s (my-duration-cookie-policy: \
cookie_name __Secure-shop, cookie_path /shop, cookie_domain example.com, secure, http_only, \
same_site None, partitioned, refresh always, idle_limit 15m, absolute_limit 8h), \
PROXY headers from 10.0.0.0/8 and 2001:db8::1
  HTTP [::1]:0 to HTTP 8081, sticky for the browser session (browser)
  HTTP 10.0.0.1:0 to HTTP 8082, sticky by the application's my-app-cookie (my-app-cookie-policy: \
copy_unknown_attributes, absolute_limit 12h)
  to 8081: PROXY headers v2, a connection for each exchange
  backends: i-0a1b2c3d=10.0.1.7 i-1111=10.0.1.6:9001 (weight 5) 10.0.1.8 [::1]:9001
  checked by HTTP:8080/ping every 10s, timeout 250ms, out after 3 failures, back after 4 successes
  attributes: idle_timeout 4000s, cors_cookie_name both, connection_draining 5m, \
drain_mode session, drain_deadline 30m, desync_mode strictest, request_id X-Request-Id, max_body 10MiB, min_rate 240B, \
max_connections_per_client 100, max_outstanding 50, surge_queue 0, queue_timeout 2s, \
underscore_encoding off, strip_cookie, strict, \
fallback_affinity client-address, load_bound 0.5, slow_start 30s, standby_header, reason_header, \
failover least-outstanding";
    assert_eq!(summary, expected);
}

#[test]
fn a_summary_has_no_word_for_what_is_as_clb_has_it() {
    let text = small("", "[load_balancer.attributes]\nfailover = \"rank\"\n");
    let summary = parse(&text, "elbow.toml")
        .expect("the file holds")
        .to_string();
    let expected = "\
shards on every allowed CPU, pinned
admin address 127.0.0.1:9090, open to everybody on this host
cookie keys last until restart (no state_dir)
load balancer a
  HTTP 0.0.0.0:8080 to HTTP 80, not sticky
  backends: none, so every request gets 503
  checked by TCP:80 every 30s, timeout 5s, out after 2 failures, back after 10 successes";
    assert_eq!(summary, expected);
}

proptest! {
    /// `parse` relies on it that whatever is left out or wrong has been noted.
    #[test]
    fn a_damaged_file_is_read_or_refused_with_a_place_in_it(
        line in 0..FULL.lines().count(),
        value in prop_oneof![
            Just(""), Just("-1"), Just("[]"), Just("[[]]"), Just("{}"), Just("\"\""), Just("é"),
            Just("1979-05-27"), Just("nan"), Just("true"), Just("[{}, 1]"), Just("\"10.0.1.8\""),
        ],
    ) {
        let damage = |written: &str| match written.split_once('=') {
            Some((key, _)) => format!("{key}= {value}\n"),
            None => "\n".to_owned(),
        };
        let damaged: String = FULL
            .lines()
            .enumerate()
            .map(|(index, text)| if index == line { damage(text) } else { format!("{text}\n") })
            .collect();
        if let Err(problems) = parse(&damaged, "elbow.toml") {
            let lines = 1..=damaged.lines().count() + 1;
            prop_assert!(problems.list().iter().all(|problem| lines.contains(&problem.line)));
        }
    }
}
