use std::num::NonZeroUsize;

use super::*;
use crate::config::{Overrides, parse, parse_with_sources};

/// A file in which every key says something else than by default, but for some of its listeners.
const EVERYTHING: &str = r#"
host = { shards = 3, pin = false, driver = "epoll", state_dir = 'C:\state "x"',
  shutdown_timeout = 0, session_window = "250ms" }
admin = { listen = "0.0.0.0:9191", names = ["elb.example.com"], credential = [
  { access_key_id = "A", secret_access_key_file = "/secret", read_only = true }] }
api = { address_pool = "2001:db8::/64", dns_suffix = "elb.example.com", region = "eu-1",
  known_ids = ["vpc-1", "sg-1"] }
cluster = { listen = "[::]:7946", advertise = "[2001:db8::5]:7946", node = "rack-7",
  seeds = ["elbow-2:7946"], secret_file = "/cluster-secret" }
certificate = [{ arn = "arn:a", certificate = "/a.pem", certificate_key = "/a.key" }]
[[instance]]
id = "i-1"
address = "::1"
port = 9001
weight = 0
[[load_balancer]]
name = "web"
instances = ["i-1"]
health_check = { target = "SSL:8443", interval = "1s", timeout = "50ms",
  unhealthy_threshold = 10, healthy_threshold = 9 }
lb_cookie_policy = [{ name = "l", expiration_seconds = 60, cookie_name = "c", cookie_path = "/p",
  cookie_domain = "example.com", secure = true, http_only = true, same_site = "None",
  partitioned = true, refresh = "always", idle_limit = "90s", absolute_limit = 86400 }]
app_cookie_policy = [{ name = "a", cookie_name = "s", copy_unknown_attributes = true,
  absolute_limit = "8h" }]
ssl_negotiation_policy = [
  { name = "old", attributes = ["Protocol-SSLv2", "Protocol-TLSv1.1", "Protocol-TLSv1.3",
    "EXP-ADH-RC4-MD5", "PSK-RC4-SHA", "ADH-AES128-GCM-SHA256"] },
  { name = "like", reference_security_policy = "ELBSample-ELBDefaultNegotiationPolicy" }]
listener = [
  { protocol = "HTTP", port = 80, instance_port = 80, policies = ["a"], behind_tls = true,
    accept_proxy_protocol = ["10.0.0.0/8", "::1"], address = "::" },
  { protocol = "HTTPS", port = 443, instance_port = 8443, instance_protocol = "HTTPS",
    policies = ["l"], certificate = "/b.pem", certificate_key = "/b.key",
    certificates = ["/c.pem", "arn:a"], ssl_policy = "old", client_ca = "/ca.pem",
    client_auth = "optional", client_subject_header = "X-Subject" },
  { protocol = "SSL", port = 9090, instance_port = 110, certificate = "arn:a",
    ssl_policy = "like", client_ca = "/ca.pem" },
]
backend_policy = [
  { instance_port = 8443, ca = "/backends.pem", server_name = "a.internal" },
  { instance_port = 110, proxy_protocol = "v2" },
]
[load_balancer.attributes]
idle_timeout = "1500ms"
cors_cookie_name = "both"
connection_draining = true
drain_mode = "session"
drain_deadline = "168h"
upgrades = []
desync_mode = "monitor"
request_id = "X-Request-Id"
max_body = "10MiB"
min_rate = 240
max_connections_per_client = 7
max_outstanding = 65536
surge_queue = 0
queue_timeout = "50ms"
strict = true
failover = "least-outstanding"
fallback_affinity = "header:X-Device"
load_bound = 10
slow_start = "15m"
strip_cookie = true
standby_header = true
reason_header = true
access_log = { bucket = "my-logs", prefix = "web/eu", interval = 5 }
underscore_encoding = "off"
"#;

/// What a file comes to, written again; it says the same.
fn written(text: &str) -> String {
    let (config, sources) = parse_with_sources(text, "/etc/elbow/elbow.toml").expect(text);
    let written = config.to_toml(&sources);
    let again = parse(&written, "again.toml").expect(&written);
    assert_eq!(without_lines(again), without_lines(config));
    written
}

/// In another file, what it names stands in other lines.
fn without_lines(mut config: Config) -> Config {
    let credentials = config.admin.credentials.iter_mut();
    credentials.for_each(|credential| credential.line = 0);
    config
}

/// The lines about one table: from its header to the next empty line.
fn block<'t>(text: &'t str, header: &str) -> &'t str {
    let start = text
        .find(header)
        .unwrap_or_else(|| panic!("no {header} in\n{text}"));
    let block = &text[start..];
    block.split("\n\n").next().unwrap_or(block).trim_end()
}

#[test]
fn behind_each_key_is_its_line_or_that_it_is_a_default() {
    let text = written(
        r#"
[host]
cores = "0-2"
address = "127.0.0.1"

[[instance]]
id = "i-1"
address = "10.0.0.1"

[[load_balancer]]
name = "web"
instances = ["i-1", "10.0.0.2:9001"]
health_check = { target = "HTTP:8080/ping",
  interval = 10 }
[[load_balancer.listener]]
protocol = "HTTP"
port = 80
instance_port = 8080
"#,
    );
    let expected = "\
# What is in force, as a configuration file. Behind each key is where it comes from;
# `default`: it is said nowhere. A key that is missing has no value.
# The file is /etc/elbow/elbow.toml.

[host] # elbow.toml:2
cores = \"0-2\" # elbow.toml:3
pin = true # default
driver = \"auto\" # default
shutdown_timeout = \"30s\" # default
session_window = \"30s\" # default

[admin]
listen = \"127.0.0.1:9090\" # default

[api]
address_pool = \"127.1.0.0/16\" # default
region = \"us-east-1\" # default

[access_log]
format = \"clb\" # default

[[instance]] # elbow.toml:6
id = \"i-1\" # elbow.toml:7
address = \"10.0.0.1\" # elbow.toml:8
weight = 1 # default

[[load_balancer]] # elbow.toml:10
name = \"web\" # elbow.toml:11
instances = [\"i-1\", \"10.0.0.2:9001\"] # elbow.toml:12

[load_balancer.health_check] # elbow.toml:13
target = \"HTTP:8080/ping\" # elbow.toml:13
interval = \"10s\" # elbow.toml:14
timeout = \"5s\" # default
unhealthy_threshold = 2 # default
healthy_threshold = 10 # default

[[load_balancer.listener]] # elbow.toml:15
protocol = \"HTTP\" # elbow.toml:16
address = \"127.0.0.1\" # elbow.toml:4 (host.address)
port = 80 # elbow.toml:17
instance_protocol = \"HTTP\" # default
instance_port = 8080 # elbow.toml:18
policies = [] # default
accept_proxy_protocol = [] # default

[load_balancer.attributes]
idle_timeout = \"1m\" # default
";
    assert!(text.starts_with(expected), "{text}");
}

#[test]
fn whatever_a_file_says_is_written_as_it_was_meant() {
    let text = written(EVERYTHING);
    let keys = text
        .lines()
        .filter_map(|line| line.strip_suffix(" # default"));
    let keys: Vec<&str> = keys.filter_map(|line| line.split(" = ").next()).collect();
    let first = ["format", "instance_protocol"];
    let second = ["address", "accept_proxy_protocol"];
    let third = [
        "address",
        "instance_protocol",
        "policies",
        "certificates",
        "client_auth",
        "accept_proxy_protocol",
    ];
    let of_listeners = [&first[..], &second, &third].concat();
    assert_eq!(keys, of_listeners, "{text}");
}

#[test]
fn policies_are_found_by_name_and_profiles_are_named() {
    let text = written(
        r#"profile = "modern"
[[load_balancer]]
name = "web"
lb_cookie_policy = [{ name = "unused" }, { name = "day", secure = false }]
[[load_balancer.listener]]
protocol = "HTTP"
port = 80
instance_port = 8080
policies = ["day"]
[load_balancer.attributes]
strict = true
"#,
    );
    let policy = block(&text, "[[load_balancer.lb_cookie_policy]]");
    for line in [
        "[[load_balancer.lb_cookie_policy]] # elbow.toml:4",
        "name = \"day\" # elbow.toml:4",
        "expiration_seconds = 0 # default",
        "secure = false # elbow.toml:4",
        "http_only = true # default, by profile at elbow.toml:1",
    ] {
        assert!(
            policy.lines().any(|said| said == line),
            "{line} in\n{policy}"
        );
    }
    assert!(!text.contains("unused"), "{text}");
    let attributes = block(&text, "[load_balancer.attributes]");
    for line in [
        "strict = true # elbow.toml:11",
        "load_bound = 0.25 # default, by profile at elbow.toml:1",
        "drain_deadline = \"1h\" # default, by profile at elbow.toml:1",
        "idle_timeout = \"1m\" # default",
    ] {
        assert!(
            attributes.lines().any(|said| said == line),
            "{line} in\n{attributes}"
        );
    }
}

#[test]
fn flags_are_told_and_what_the_api_has_changed() {
    let text = "[[load_balancer]]\nname = \"web\"\n[[load_balancer.listener]]\n\
                protocol = \"TCP\"\nport = 25\ninstance_port = 2525\n\
                [[instance]]\nid = \"i-1\"\naddress = \"10.0.0.1\"\n";
    let (config, sources) = parse_with_sources(text, "elbow.toml").expect(text);
    let overrides = Overrides {
        cores: NonZeroUsize::new(2).map(Cores::Count),
        no_pin: true,
        driver: Some(Driver::Epoll),
        state_dir: Some("/state".into()),
        admin: Some(Admin::OFF),
        access_log: None,
    };
    let mut config = config.override_host(overrides.clone()).expect("it holds");
    let mut other = config.load_balancers[0].clone();
    other.name = "eu-west-1/web".to_owned();
    config.load_balancers.push(other);
    let instance = config.instances.get_mut("i-1").expect("the file has it");
    instance.port = Some(9001);
    let mut sources = sources.with_overrides(overrides);
    sources.name("i-1", "API, since later".to_owned());
    sources.change("web", "API, since then".to_owned());
    sources.change("eu-west-1/web", "API".to_owned());
    sources.remark("old: deleted by the API".to_owned());
    let written = config.to_toml(&sources);
    for line in [
        "shards = 2 # flag --shards",
        "pin = false # flag --no-pin",
        "driver = \"epoll\" # flag --driver",
        "state_dir = \"/state\" # flag --state-dir",
        "listen = \"off\" # flag --admin",
        "# API, since then; in the file at elbow.toml:1",
        "port = 25",
        "# API, since later; in the file at elbow.toml:7",
        "port = 9001",
        "# old: deleted by the API",
        "# No file can say this one: it is of another region.",
        "# name = \"eu-west-1/web\"",
    ] {
        assert!(
            written.lines().any(|said| said == line),
            "{line} in\n{written}"
        );
    }
    config.load_balancers.pop();
    assert_eq!(parse(&written, "again.toml").expect(&written), config);
}

#[test]
fn a_reload_leaves_the_lines_of_the_process_as_they_were() {
    let file = |text: &str| parse_with_sources(text, "elbow.toml").expect(text);
    let (config, at_start) = file(
        "[host]\npin = false\n[api]\nregion = \"a\"\n\
         [cluster]\nlisten = \"10.0.0.5:7\"\nsecret_file = \"/a\"\n[access_log]\nto = \"-\"",
    );
    let balancer = "[[load_balancer]]\nname = \"web\"\n[[load_balancer.listener]]\n\
                    protocol = \"HTTP\"\nport = 9090\ninstance_port = 80\n";
    let later = "\n\n[host]\ndriver = \"epoll\"\naddress = \"127.0.0.2\"\n[api]\nregion = \"a\"\n\
                 [cluster]\nlisten = \"10.0.0.6:7\"\nseeds = []\nsecret_file = \"/b\"\n\
                 [access_log]\nto = \"syslog\"\n";
    let (later, sources) = file(&(later.to_owned() + balancer));
    let config = Config {
        load_balancers: later.load_balancers,
        ..config
    };
    let text = config.to_toml(&sources.with_process_of(at_start));
    for line in [
        "pin = false # elbow.toml:2",
        "driver = \"auto\" # default",
        "region = \"a\" # elbow.toml:7",
        "address = \"127.0.0.2\" # elbow.toml:5 (host.address)",
        "[cluster] # elbow.toml:5",
        "listen = \"10.0.0.5:7\" # elbow.toml:6",
        "advertise = \"10.0.0.5:7\" # default",
        "seeds = [] # default",
        "secret_file = \"/a\" # elbow.toml:7",
        "to = \"-\" # elbow.toml:9",
    ] {
        assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
    }
}

#[test]
fn long_lists_have_a_line_for_each_value() {
    let ids: Vec<String> = (0..20).map(|n| format!("10.0.0.{}", n + 1)).collect();
    let text = written(&format!(
        "[[load_balancer]]\nname = \"web\"\ninstances = {ids:?}\n[[load_balancer.listener]]\n\
         protocol = \"HTTP\"\nport = 80\ninstance_port = 80\n"
    ));
    assert!(
        text.contains("\ninstances = [ # elbow.toml:3\n  \"10.0.0.1\",\n"),
        "{text}"
    );
    assert!(text.contains("\n  \"10.0.0.20\",\n]\n"), "{text}");
}
