//! Backends that speak TLS: which pairs of protocols there are, and whom to trust.

use super::*;
use crate::config::Trust;

/// A public key in PEM, its lines alone.
const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbMZxFdJr3V7Y/2e2SWj71S1EFvQ3\
    7vcuZKuuH6HjCSGM9FC8kv68i9K1UrPvTvmZ4ZsGKVptzlDxDWMblbF/cg==";

/// One listener whose backends, at port 80, speak TLS, and these lines about them.
fn secure(lines: &str) -> String {
    let policy = "[[load_balancer.backend_policy]]\ninstance_port = 80\n";
    small("instance_protocol = \"HTTPS\"", &format!("{policy}{lines}"))
}

fn policy(lines: &str) -> BackendPolicy {
    let config = parse(&secure(lines), "elbow.toml").expect("the file holds");
    config.load_balancers[0].backend_policies[0].clone()
}

#[test]
fn all_pairs_of_protocols_of_one_kind_are_served() {
    for (front, back) in [
        ("HTTP", "HTTP"),
        ("HTTP", "HTTPS"),
        ("HTTPS", "HTTP"),
        ("HTTPS", "HTTPS"),
        ("TCP", "TCP"),
        ("TCP", "SSL"),
        ("SSL", "TCP"),
        ("SSL", "SSL"),
    ] {
        let certificate = match front {
            "HTTPS" | "SSL" => "certificate = \"/a.pem\"",
            _ => "",
        };
        let lines = format!("instance_protocol = {back:?}\n{certificate}");
        let text = small(&lines, "").replacen("\"HTTP\"", &format!("{front:?}"), 1);
        let config = parse(&text, "elbow.toml").unwrap_or_else(|p| panic!("{front} {back}: {p}"));
        let listener = &config.load_balancers[0].listeners[0];
        let protocols = (
            listener.protocol.to_string(),
            listener.instance_protocol.to_string(),
        );
        assert_eq!(protocols, (front.to_owned(), back.to_owned()));
        let tls = listener.tls.as_ref();
        assert_eq!(
            tls.map(|tls| tls.is_http),
            match front {
                "HTTPS" => Some(true),
                "SSL" => Some(false),
                _ => None,
            }
        );
        let summary = config.to_string();
        assert!(
            summary.contains(&format!("{front} 0.0.0.0:8080 to {back} 80")),
            "{summary}"
        );
    }
    let ssl = small("certificate = \"/a\"\nclient_ca = \"/b\"", "").replace("\"HTTP\"", "\"SSL\"");
    let listener = &parse(&ssl, "elbow.toml").unwrap().load_balancers[0].listeners[0];
    assert_eq!(listener.subject_header(), None, "no heads are written");
    let header = ssl.replace("client_ca", "client_subject_header = \"X-Who\"\nclient_ca");
    assert!(only_mistake(&header).starts_with("needs an HTTPS listener"));
    let certificate_less = small("", "").replace("\"HTTP\"", "\"SSL\"");
    assert_eq!(only_mistake(&certificate_less), "is missing");
}

#[test]
fn whom_to_trust_is_nobody_asked_keys_or_authorities() {
    let text = small("instance_protocol = \"HTTPS\"", "");
    let config = parse(&text, "elbow.toml").expect("the file holds");
    assert_eq!(config.load_balancers[0].backend_policy(80), None);
    assert_eq!(policy("server_name = \"a.b\"").trust, Trust::Anybody);
    let keys = policy(&format!("public_keys = [{KEY:?}, {KEY:?}]"));
    assert!(matches!(keys.trust, Trust::Keys(keys) if keys.len() == 2 && keys[0].len() == 91));
    let ca = policy("ca = \"/etc/ca.pem\"\nserver_name = \"app.internal\"");
    assert_eq!(ca.trust, Trust::Authorities("/etc/ca.pem".into()));
    assert_eq!(ca.server_name.as_deref(), Some("app.internal"));
    assert_eq!(ca.proxy_protocol, None);
}

#[test]
fn what_cannot_hold_or_would_do_nothing_is_refused() {
    for (lines, expected) in [
        ("public_keys = []".to_owned(), "must be 1 to 100 keys"),
        (
            "public_keys = [\"key\"]".to_owned(),
            "must be a public key in PEM",
        ),
        (
            format!("public_keys = [{KEY:?}]\nca = \"/a\""),
            "only one of the two",
        ),
        (
            "server_name = \"10.0.0.1\"".to_owned(),
            "must be a DNS name",
        ),
        ("ca = 7".to_owned(), "must be text in quotes"),
    ] {
        let mistake = only_mistake(&secure(&lines));
        assert!(mistake.contains(expected), "{lines}: {mistake}");
    }
    let in_clear = secure("ca = \"/a\"").replace("\"HTTPS\"", "\"HTTP\"");
    let mistake = only_mistake(&in_clear);
    assert!(
        mistake.starts_with("`ca` needs a listener with instance_protocol"),
        "{mistake}"
    );
}

#[test]
fn a_summary_tells_whom_backends_have_to_be() {
    let told = |lines: &str| {
        let config = parse(&secure(lines), "elbow.toml").expect("the file holds");
        let summary = config.to_string();
        let line = summary.lines().find(|line| line.starts_with("  to 80:"));
        line.expect("a line about the port").trim().to_owned()
    };
    assert_eq!(
        told("ca = \"/ca.pem\"\nserver_name = \"a.b\"\nproxy_protocol = \"v2\""),
        "to 80: PROXY headers v2, a connection for each exchange; \
         backends that /ca.pem vouches for; by the name a.b"
    );
    let keys = format!("public_keys = [{KEY:?}]");
    assert_eq!(
        told(&keys),
        "to 80: backends with a key of 1 that are known"
    );
}
