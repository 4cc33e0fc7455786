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
    let expected = "is no policy of CLB or of this load balancer; did you mean \
                    `ELBSecurityPolicy-2016-08`?";
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
        "client_ca = \"/ca\"",
        "client_auth = \"optional\"",
        "client_subject_header = \"X-Client\"",
    ] {
        let mistake = only_mistake(&small(key, ""));
        assert_eq!(mistake, "only a listener for HTTPS or SSL has it");
    }
}

/// What an HTTPS listener with these lines asks of clients.
fn client_auth(lines: &str) -> Option<ClientAuth> {
    tls(&format!("certificate = \"/a\"\n{lines}")).client_auth
}

#[test]
fn a_listener_with_a_client_ca_asks_for_certificates() {
    assert_eq!(client_auth(""), None);
    let required = ClientAuth {
        ca: "/ca".into(),
        is_required: true,
        subject_header: "X-Amzn-Mtls-Clientcert-Subject".to_owned(),
    };
    for lines in [
        "client_ca = \"/ca\"",
        "client_ca = \"/ca\"\nclient_auth = \"required\"",
    ] {
        assert_eq!(client_auth(lines), Some(required.clone()));
    }
    let lines =
        "client_ca = \"/ca\"\nclient_auth = \"optional\"\nclient_subject_header = \"X-Who\"";
    let optional = ClientAuth {
        is_required: false,
        subject_header: "X-Who".to_owned(),
        ..required
    };
    assert_eq!(client_auth(lines), Some(optional));
}

#[test]
fn what_cannot_be_asked_of_clients_is_refused() {
    let mistake = |lines: &str| only_mistake(&https(&format!("certificate = \"/a\"\n{lines}")));
    for key in [
        "client_auth = \"required\"",
        "client_subject_header = \"X-Who\"",
    ] {
        let expected = "needs a `client_ca`, which issues the certificates";
        assert_eq!(mistake(key), expected);
    }
    for (lines, expected) in [
        ("client_ca = \"\"", "must be the path of a PEM file"),
        (
            "client_ca = \"/ca\"\nclient_auth = \"maybe\"",
            "must be \"required\" or \"optional\"",
        ),
        (
            "client_cas = \"/ca\"",
            "is not a key here; did you mean `client_ca`?",
        ),
    ] {
        assert_eq!(mistake(lines), expected);
    }
    let header = |name: &str| {
        mistake(&format!(
            "client_ca = \"/ca\"\nclient_subject_header = {name:?}"
        ))
    };
    for name in ["", "X Who", "X-Who:", "X-Wh\u{f6}", &"x".repeat(129)] {
        assert!(
            header(name).starts_with("must be 1 to 128 letters"),
            "{name}"
        );
    }
    for name in [
        "Cookie",
        "content-length",
        "Content_Length",
        "x-forwarded-for",
    ] {
        let expected = "is a field that means something else to elbow";
        assert_eq!(header(name), expected, "{name}");
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
                    ELBSecurityPolicy-2016-08 by TLS 1.2 and 1.3 (not offered: TLS 1.0, TLS 1.1, CBC, \
                    RSA key exchange; added: TLS 1.3, ChaCha20), not sticky";
    assert!(summary.contains(expected), "{summary}");
    let lines = "certificate = \"/a.pem\"\nclient_ca = \"/ca.pem\"\nclient_auth = \"optional\"";
    let summary = parse(&https(lines), "elbow.toml").unwrap().to_string();
    let expected = ", client certificates by /ca.pem optional, told in \
                    X-Amzn-Mtls-Clientcert-Subject, not sticky";
    assert!(summary.contains(expected), "{summary}");
}

/// A file whose listener goes by the policy `mine`, which has these lines.
fn by_mine(lines: &str) -> String {
    let listener = "certificate = \"/a\"\nssl_policy = \"mine\"";
    let section = "[[load_balancer.ssl_negotiation_policy]]\nname = \"mine\"\n";
    small(listener, &format!("{section}{lines}")).replace("\"HTTP\"", "\"HTTPS\"")
}

fn mine(lines: &str) -> SslPolicy {
    let config = parse(&by_mine(lines), "elbow.toml").unwrap();
    let tls = config.load_balancers[0].listeners[0].tls.clone();
    tls.expect("an HTTPS listener has TLS").policy
}

#[test]
fn a_listener_goes_by_a_policy_of_its_load_balancer() {
    let attributes = "[\"Protocol-TLSv1.2\", \"ECDHE-ECDSA-AES128-GCM-SHA256\"]";
    let policy = mine(&format!("attributes = {attributes}"));
    assert_eq!(policy.to_string(), "mine");
    assert_eq!(policy.suites(), [Suite::EcdsaAes128]);
    let policy = mine("reference_security_policy = \"ELBSecurityPolicy-TLS-1-2-2017-01\"");
    let referred = SslPolicy::predefined("ELBSecurityPolicy-TLS-1-2-2017-01").unwrap();
    assert_eq!(policy, referred.named("mine"));
}

#[test]
fn a_policy_that_cannot_hold_is_refused_where_it_is_written() {
    let either = "has either `attributes` or a `reference_security_policy`";
    let policy = "reference_security_policy = \"ELBSecurityPolicy-2016-08\"";
    assert_eq!(only_mistake(&by_mine("")), either);
    assert_eq!(
        only_mistake(&by_mine(&format!("attributes = []\n{policy}"))),
        either
    );
    for (lines, expected) in [
        (
            "attributes = []",
            "lists no protocol, such as `Protocol-TLSv1.2`",
        ),
        (
            "attributes = [\"Protocol-TLSv1.2\", \"ECDHE-RSA-AES128-GCM-SHA\"]",
            "is no attribute of SSL policies; did you mean `ECDHE-RSA-AES128-GCM-SHA256`?",
        ),
        (
            "attributes = [\"Protocol-TLSv1.1\", \"AES128-SHA\"]",
            "leaves no protocol that elbow has: list `Protocol-TLSv1.2` or `Protocol-TLSv1.3`",
        ),
        ("attributes = \"Protocol-TLSv1.2\"", "must be a list"),
        (
            "reference_security_policy = \"ELBSecurityPolicy-2016-80\"",
            "is no policy of CLB; did you mean `ELBSecurityPolicy-2016-08`?",
        ),
    ] {
        assert_eq!(only_mistake(&by_mine(lines)), expected);
    }
}

#[test]
fn a_policy_has_a_name_of_its_own_and_is_found_by_one_near_it() {
    let reference = "reference_security_policy = \"ELBSecurityPolicy-2016-08\"\n";
    let twice = format!(
        "{reference}[[load_balancer.ssl_negotiation_policy]]\nname = \"mine\"\n{reference}"
    );
    let other = format!("{reference}[[load_balancer.lb_cookie_policy]]\nname = \"mine\"\n");
    for lines in [twice, other] {
        let mistake = only_mistake(&by_mine(&lines));
        assert_eq!(
            mistake,
            "is the name of another policy of this load balancer too"
        );
    }
    let reserved = by_mine(reference).replace("\"mine\"", "\"ELBSample-x\"");
    let expected = "must not begin with ELBSample-, which AWS reserves";
    assert_eq!(only_mistake(&reserved), expected);
    let unknown = by_mine(reference).replace("ssl_policy = \"mine\"", "ssl_policy = \"mien\"");
    let expected = "is no policy of CLB or of this load balancer; did you mean `mine`?";
    assert_eq!(only_mistake(&unknown), expected);
}
