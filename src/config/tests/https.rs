//! HTTPS listeners: their certificates and policy, and what each protocol refuses.

use super::*;

/// A file whose listener speaks HTTPS, with these lines within it.
fn https(lines: &str) -> String {
    small(lines, "").replace("\"HTTP\"", "\"HTTPS\"")
}

fn tls(lines: &str) -> Tls {
    let config = parse(&https(lines), "elbow.toml").unwrap();
    let listener = config.load_balancers[0].listeners[0].clone();
    assert_eq!(listener.protocol, Protocol::Https);
    assert_eq!(listener.instance_protocol, Protocol::Http);
    listener.tls.expect("an HTTPS listener has TLS")
}

fn files(chain: &str, key: Option<&str>) -> CertificateFiles {
    CertificateFiles {
        chain: chain.into(),
        key: key.map(PathBuf::from),
    }
}

#[test]
fn an_https_listener_names_its_certificates_the_default_one_first() {
    let one = tls("certificate = \"/site.pem\"");
    assert_eq!(one.certificates, [files("/site.pem", None)]);
    assert_eq!(one.policy.to_string(), "ELBSecurityPolicy-2016-08");
    let several = tls(
        "certificate = \"/a.crt\"\ncertificate_key = \"/a.key\"\ncertificates = [\"/b.pem\"]\n\
         ssl_policy = \"ELBSecurityPolicy-TLS-1-2-2017-01\"",
    );
    let expected = [files("/a.crt", Some("/a.key")), files("/b.pem", None)];
    assert_eq!(several.certificates, expected);
    let policy = several.policy.to_string();
    assert_eq!(policy, "ELBSecurityPolicy-TLS-1-2-2017-01");
}

#[test]
fn an_https_listener_without_a_certificate_is_refused() {
    assert_eq!(only_mistake(&https("")), "is missing");
    for empty in [
        "certificate = \"\"",
        "certificate = \"/a\"\ncertificates = [\"\"]",
    ] {
        assert_eq!(
            only_mistake(&https(empty)),
            "must be the path of a PEM file"
        );
    }
}

#[test]
fn a_policy_that_clb_does_not_have_is_refused_with_the_nearest() {
    let unknown = "certificate = \"/a\"\nssl_policy = \"ELBSecurityPolicy-2016-80\"";
    let expected = "is no policy of CLB; did you mean `ELBSecurityPolicy-2016-08`?";
    assert_eq!(only_mistake(&https(unknown)), expected);
}

#[test]
fn what_belongs_to_one_protocol_is_refused_on_the_other() {
    let behind = only_mistake(&https("certificate = \"/a\"\nbehind_tls = true"));
    assert_eq!(behind, "is for HTTP listeners; on this one TLS ends here");
    for key in [
        "certificate = \"/a\"",
        "certificate_key = \"/a\"",
        "certificates = [\"/a\"]",
        "ssl_policy = \"ELBSecurityPolicy-2016-08\"",
    ] {
        let mistake = only_mistake(&small(key, ""));
        assert_eq!(mistake, "only a listener for HTTPS or SSL has it");
    }
}

#[test]
fn more_certificates_than_the_bound_are_refused() {
    let list = |count| {
        format!(
            "certificate = \"/a\"\ncertificates = {:?}",
            vec!["/b"; count]
        )
    };
    let most = CERTIFICATES_PER_LISTENER_MAX - 1;
    assert_eq!(tls(&list(most)).certificates.len(), most + 1);
    assert!(only_mistake(&https(&list(most + 1))).starts_with("more than 1000"));
}

#[test]
fn the_modern_profile_counts_an_https_listener_as_secure() {
    let text = https("certificate = \"/a\"\npolicies = [\"p\"]");
    let text =
        format!("profile = \"modern\"\n{text}[[load_balancer.lb_cookie_policy]]\nname = \"p\"\n");
    let config = parse(&text, "elbow.toml").unwrap();
    let stickiness = config.load_balancers[0].listeners[0].stickiness.clone();
    let Some(Stickiness::Duration(policy)) = stickiness else {
        panic!("a duration policy")
    };
    assert!(policy.cookie.is_secure);
}

#[test]
fn a_summary_names_the_certificates_and_the_policy() {
    let config = parse(&https("certificate = \"/a.pem\""), "elbow.toml").unwrap();
    let summary = config.to_string();
    let expected = "HTTPS 0.0.0.0:8080 to HTTP 80, certificates /a.pem, \
                    ELBSecurityPolicy-2016-08 by TLS 1.2 and 1.3, not sticky";
    assert!(summary.contains(expected), "{summary}");
}
