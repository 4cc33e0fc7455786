use std::path::PathBuf;

use rcgen::{PublicKeyData, generate_simple_self_signed};
use rustls::pki_types::UnixTime;

use super::*;
use crate::config;

const LISTENERS: &str = r#"
[[load_balancer]]
name = "web"
[[load_balancer.listener]]
protocol = "HTTP"
port = 1001
instance_protocol = "HTTPS"
instance_port = 443
[[load_balancer.listener]]
protocol = "HTTP"
port = 1002
instance_port = 443
[[load_balancer.listener]]
protocol = "HTTP"
port = 1003
instance_protocol = "HTTPS"
instance_port = 443
[[load_balancer]]
name = "mail"
[[load_balancer.listener]]
protocol = "TCP"
port = 1004
instance_protocol = "SSL"
instance_port = 443
"#;

#[test]
fn connections_are_shared_where_the_terms_are_the_same() {
    let config = config::parse(LISTENERS, "elbow.toml").unwrap();
    let trusts = load(&config).unwrap();
    let numbers: Vec<_> = trusts
        .terms
        .iter()
        .map(|t| t.as_ref().map(|t| t.load().number))
        .collect();
    assert_eq!(numbers, [Some(1), None, Some(1), Some(2)]);
}

#[test]
fn a_key_is_known_and_nothing_else_of_a_certificate_counts() {
    let known = generate_simple_self_signed(["one.test".to_owned()]).unwrap();
    let unknown = generate_simple_self_signed(["one.test".to_owned()]).unwrap();
    let key = known.signing_key.subject_public_key_info();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let holders = KeyHolders::new(vec![key], provider);
    let judge = |certificate: &CertificateDer<'_>| {
        let name = ServerName::try_from("other.test").unwrap();
        holders.verify_server_cert(certificate, &[], &name, &[], UnixTime::now())
    };
    assert!(judge(known.cert.der()).is_ok());
    assert!(judge(unknown.cert.der()).is_err());
    assert!(judge(&CertificateDer::from_slice(b"no certificate")).is_err());
}

#[test]
fn a_file_without_authorities_is_told_with_its_name() {
    let file = PathBuf::from("absent.pem");
    let problem = client_config(&Trust::Authorities(file)).unwrap_err();
    assert!(problem.starts_with("absent.pem: "), "{problem}");
}
