use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{CertificateParams, DnType, KeyPair, PKCS_RSA_SHA256};

use super::renewal::Late;
use super::*;
use crate::config;
use crate::control::tickets;
use crate::limits::{CLIENT_CA_NAMES_BYTES_MAX, CLIENT_CAS_MAX};
use crate::state::ControlLine;

/// The middle of the time in which the certificates of these tests are valid.
const NOW: u64 = 1_750_000_000;

const LISTENER: &str = "[[load_balancer]]\nname = \"web\"\n[[load_balancer.listener]]\n\
    protocol = \"HTTPS\"\nport = 0\ninstance_port = 80\n";

/// A directory of PEM files, removed with it.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("elbow-certificates-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A self-signed certificate for these hosts and its key, both as PEM.
fn pair(hosts: &[&str], years: std::ops::Range<i32>) -> (String, String) {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.not_before = rcgen::date_time_ymd(years.start, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.end, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Loads one listener with these lines.
fn load_with(lines: &str) -> Result<Certificates, Vec<String>> {
    let config = config::parse(&format!("{LISTENER}{lines}"), "elbow.toml").unwrap();
    load(&config, NOW)
}

fn only_problem(lines: &str) -> String {
    let problems = load_with(lines).expect_err("a problem was expected");
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].clone()
}

#[test]
fn chain_and_key_may_lie_in_one_file_or_two() {
    let files = Files::new();
    let (certificate, key) = pair(&["a.test"], 2025..2026);
    let both = files.write("both.pem", &format!("{certificate}{key}"));
    let (chain, key) = (
        files.write("chain.pem", &certificate),
        files.write("key.pem", &key),
    );
    let one = load_with(&format!("certificate = {both:?}")).unwrap();
    assert!(matches!(&one.offers[..], [Some(_)]));
    assert_eq!(**one.ends.load(), BTreeMap::from([(both, 1_767_225_600)]));
    let two = load_with(&format!(
        "certificate = {chain:?}\ncertificate_key = {key:?}"
    ));
    assert!(two.is_ok());
}

#[test]
fn what_is_wrong_is_told_with_file_and_reason() {
    let files = Files::new();
    let (certificate, key) = pair(&["a.test"], 2025..2026);
    let (old, old_key) = pair(&["a.test"], 2023..2024);
    let (early, early_key) = pair(&["a.test"], 2035..2036);
    let (other, _) = pair(&["a.test"], 2025..2026);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n\
        -----END ENCRYPTED PRIVATE KEY-----\n";
    for (text, expected) in [
        (String::new(), "no certificate in it"),
        (key.clone(), "no certificate in it"),
        (certificate.clone(), "no private key in it"),
        (format!("{certificate}{encrypted}"), "is encrypted"),
        (format!("{other}{key}"), "the key is not that of"),
        (format!("{old}{old_key}"), "expired on"),
        (format!("{early}{early_key}"), "not valid before"),
        (certificate.replace("END", "ENDE"), "not PEM"),
    ] {
        let file = files.write("site.pem", &text);
        let problem = only_problem(&format!("certificate = {file:?}"));
        let place = format!("web on 0.0.0.0:0: {file}: ");
        assert!(problem.starts_with(&place), "{problem}");
        assert!(
            problem.contains(expected),
            "{expected:?} is not {problem:?}"
        );
    }
    let absent = files.0.join("absent.pem");
    let problem = only_problem(&format!("certificate = {absent:?}"));
    assert!(problem.contains("No such file"), "{problem}");
}

#[test]
fn every_problem_is_told_and_none_hides_another() {
    let files = Files::new();
    let (certificate, key) = pair(&["a.test"], 2025..2026);
    let (nameless, nameless_key) = pair(&[], 2025..2026);
    let site = files.write("site.pem", &format!("{certificate}{key}"));
    let bare = files.write("bare.pem", &certificate);
    let nameless = files.write("nameless.pem", &format!("{nameless}{nameless_key}"));
    let problems = load_with(&format!(
        "certificate = {site:?}\ncertificates = [{bare:?}, {nameless:?}]"
    ));
    let problems = problems.expect_err("two problems were expected");
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("no private key"), "{problems:?}");
    assert!(problems[1].contains("names no host"), "{problems:?}");
}

#[test]
fn the_host_that_a_client_names_chooses_the_certificate() {
    let provider = provider(&SslPolicy::default());
    let files = Files::new();
    let read = |name: &str, hosts: &[&str]| {
        let (certificate, key) = pair(hosts, 2025..2026);
        let chain = files.write(name, &format!("{certificate}{key}")).into();
        let files = CertificateFiles { chain, key: None };
        let now = i64::try_from(NOW).unwrap();
        Certificate::read(&files, &provider, now).unwrap()
    };
    let certificates = vec![
        read("a", &["a.test"]),
        read("b", &["b.test", "*.Wild.test"]),
        read("c", &["deep.wild.test", "a.test"]),
    ];
    let keys: Vec<_> = certificates.iter().map(|c| Arc::clone(&c.key)).collect();
    let by_name = ByName::new(certificates).unwrap();
    for (host, expected) in [
        ("a.test", 0),
        ("b.test", 1),
        ("x.wild.test", 1),
        ("deep.wild.test", 2),
        ("x.y.wild.test", 0),
        ("wild.test", 0),
        ("unknown", 0),
    ] {
        assert!(Arc::ptr_eq(by_name.choose(host), &keys[expected]), "{host}");
    }
    assert!(ByName::new(Vec::new()).is_none());
}

/// A certificate for `a.test` with its key, which is an RSA key.
fn rsa_site() -> String {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let certificate = params.self_signed(&key).unwrap().pem();
    format!("{certificate}{}", key.serialize_pem())
}

#[test]
fn an_rsa_key_is_taken_and_the_terms_are_those_of_clb() {
    let files = Files::new();
    let site = files.write("site.pem", &rsa_site());
    let loaded = load_with(&format!("certificate = {site:?}")).unwrap();
    let config = loaded.offers[0].as_ref().unwrap().load_full();
    assert_eq!(config.alpn_protocols, [APPLICATION_PROTOCOL]);
    assert_eq!(
        (config.send_tls13_tickets, config.max_early_data_size),
        (1, 0)
    );
    assert!(config.ticketer.enabled());
    assert!(!config.session_storage.can_cache());
    assert!(config.ignore_client_order);
}

/// The lines of a listener with this certificate and a policy of its own.
fn by_policy(site: &str, attributes: &[&str]) -> String {
    format!(
        "certificate = {site:?}\nssl_policy = \"own\"\n\
         [[load_balancer.ssl_negotiation_policy]]\nname = \"own\"\nattributes = {attributes:?}"
    )
}

#[test]
fn a_policy_of_ones_own_decides_on_versions_ciphers_and_their_order() {
    let files = Files::new();
    let site = files.write("site.pem", &rsa_site());
    let suites = ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"];
    let loaded = load_with(&by_policy(
        &site,
        &[&suites[..], &["Protocol-TLSv1.2"]].concat(),
    ));
    let config = loaded.unwrap().offers[0].as_ref().unwrap().load_full();
    let offered = config.crypto_provider().cipher_suites.iter();
    let of_tls12 = offered.filter(|suite| suite.tls13().is_none());
    assert_eq!(
        of_tls12.map(|suite| suite.suite()).collect::<Vec<_>>(),
        [
            rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            rustls::CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        ]
    );
    assert!(!config.ignore_client_order);
}

#[test]
fn a_policy_without_a_cipher_for_the_key_is_refused() {
    let files = Files::new();
    let rsa = files.write("rsa.pem", &rsa_site());
    let (certificate, key) = pair(&["a.test"], 2025..2026);
    let ecdsa = files.write("ecdsa.pem", &format!("{certificate}{key}"));
    let (for_rsa, for_ecdsa) = (
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    );
    for (site, kind, listed, needed) in [
        (&rsa, "RSA", for_ecdsa, for_rsa),
        (&ecdsa, "ECDSA", for_rsa, for_ecdsa),
    ] {
        let problem = only_problem(&by_policy(site, &["Protocol-TLSv1.2", listed]));
        let expected = format!("own has no cipher for its {kind} key; list one such as {needed}");
        assert!(
            problem.ends_with(&format!("{site}: {expected}")),
            "{problem}"
        );
        // The ciphers of TLS 1.3 go with any key.
        let both = ["Protocol-TLSv1.2", "Protocol-TLSv1.3", listed];
        assert!(load_with(&by_policy(site, &both)).is_ok());
    }
}

#[test]
fn what_is_renewed_holds_or_changes_nothing() {
    let files = Files::new();
    let counts = ControlLine::default();
    let write = |(certificate, key): (String, String)| {
        files.write("site.pem", &format!("{certificate}{key}"));
    };
    write(pair(&["a.test"], 2025..2026));
    let mut loaded = load_with(&format!("certificate = {:?}", files.0.join("site.pem"))).unwrap();
    assert!(!loaded.have_changed());
    let offer = Arc::clone(loaded.offers[0].as_ref().unwrap());
    tickets::load(None, &loaded.keyring, NOW).unwrap();
    let ends = Arc::clone(&loaded.ends);
    let first = offer.load_full();

    for years in [2023..2024, 2035..2036] {
        write(pair(&["a.test"], years));
        assert!(loaded.have_changed() && !loaded.have_changed());
        loaded.renew(NOW, &counts);
        assert!(Arc::ptr_eq(&first, &offer.load_full()));
    }
    assert_eq!(counts.certificate_renewal_errors.value(), 2);
    assert_eq!(ends.load().values().collect::<Vec<_>>(), [&1_767_225_600]);

    write(pair(&["a.test"], 2025..2027));
    assert!(loaded.have_changed());
    loaded.renew(NOW, &counts);
    assert_eq!(counts.certificate_renewals.value(), 1);
    assert!(!Arc::ptr_eq(&first, &offer.load_full()));
    let ticket = first.ticketer.encrypt(b"session").unwrap();
    let opened = offer.load().ticketer.decrypt(&ticket);
    assert_eq!(opened.as_deref(), Some(&b"session"[..]));
    assert_eq!(ends.load().values().collect::<Vec<_>>(), [&1_798_761_600]);

    fs::remove_file(files.0.join("site.pem")).unwrap();
    assert!(loaded.have_changed());
}

#[test]
fn a_ticket_of_one_listener_opens_at_no_other() {
    let files = Files::new();
    let (certificate, key) = pair(&["a.test"], 2025..2026);
    let site = files.write("site.pem", &format!("{certificate}{key}"));
    let listener = |port: u16| {
        format!(
            "[[load_balancer.listener]]\nprotocol = \"HTTPS\"\nport = {port}\n\
             instance_port = 80\ncertificate = {site:?}\n"
        )
    };
    let text = format!(
        "[[load_balancer]]\nname = \"web\"\n{}{}[[load_balancer]]\nname = \"other\"\n{}",
        listener(443),
        listener(8443),
        listener(9443)
    );
    let config = config::parse(&text, "elbow.toml").unwrap();
    let Certificates {
        offers, keyring, ..
    } = load(&config, NOW).unwrap();
    let none = tickets_of(&offers[0]).encrypt(b"session");
    assert!(none.is_none(), "there are no keys yet");
    tickets::load(None, &keyring, NOW).unwrap();
    for (from, gives) in offers.iter().enumerate() {
        let ticket = tickets_of(gives).encrypt(b"session").unwrap();
        for (to, takes) in offers.iter().enumerate() {
            let opened = tickets_of(takes).decrypt(&ticket);
            assert_eq!(opened.is_some(), from == to, "of {from} at {to}");
        }
    }
}

fn tickets_of(offer: &Option<TlsOffer>) -> Arc<dyn ProducesTickets> {
    Arc::clone(&offer.as_ref().unwrap().load().ticketer)
}

#[test]
fn certificates_that_end_soon_are_told_once_a_day() {
    const DAY: u64 = 24 * 60 * 60;
    let files = Files::new();
    let write = |name, years| {
        let (certificate, key) = pair(&[name], years);
        files.write(name, &format!("{certificate}{key}"))
    };
    let (first, second) = (write("a.test", 2025..2026), write("b.test", 2025..2027));
    let mut loaded = load_with(&format!(
        "certificate = {first:?}\ncertificates = [{second:?}]"
    ))
    .unwrap();
    let end = u64::try_from(loaded.ends.load()[&first]).unwrap();
    let late = |days| Late {
        listener: "web on 0.0.0.0:0",
        file: &first,
        days,
    };
    assert_eq!(loaded.late(end - 14 * DAY), [], "two weeks are left");
    assert_eq!(loaded.late(end - 13 * DAY - 1), [], "told today already");
    assert_eq!(loaded.late(end - 13 * DAY), [late(13)]);
    assert_eq!(loaded.late(end - 12 * DAY - 1), []);
    assert_eq!(loaded.late(end - 12 * DAY + 1), [late(11)]);
    assert_eq!(
        loaded.late(end - 13 * DAY),
        [late(13)],
        "the clock was set back"
    );
    assert_eq!(loaded.late(end + 1), [late(-1)], "it is over");
}

/// The lines of a listener with a certificate and this `client_ca`.
fn with_ca(files: &Files, ca: &str) -> String {
    let (certificate, key) = pair(&["a.test"], 2025..2026);
    let site = files.write("site.pem", &format!("{certificate}{key}"));
    format!("certificate = {site:?}\nclient_ca = {ca:?}")
}

#[test]
fn what_is_wrong_with_the_issuers_of_clients_is_told() {
    let files = Files::new();
    let (authority, key) = pair(&["clients"], 2025..2026);
    let not_one = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    let long = "a".repeat(CLIENT_CA_NAMES_BYTES_MAX);
    params.distinguished_name.push(DnType::CommonName, long);
    let long = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    for (text, expected) in [
        (String::new(), "no certificate in it"),
        (key, "no certificate in it"),
        (authority.replace("END", "ENDE"), "not PEM"),
        (not_one.to_owned(), "not a certificate of an issuer"),
        (
            authority.repeat(CLIENT_CAS_MAX + 1),
            "more than 64 certificates",
        ),
        (long.pem(), "its names are longer than 16384 bytes"),
    ] {
        let ca = files.write("clients.pem", &text);
        let problem = only_problem(&with_ca(&files, &ca));
        let place = format!("web on 0.0.0.0:0: {ca}: {expected}");
        assert!(problem.starts_with(&place), "{problem}");
    }
    let ca = files.write("clients.pem", &authority.repeat(CLIENT_CAS_MAX));
    assert!(load_with(&with_ca(&files, &ca)).is_ok());
    let problem = only_problem(&with_ca(&files, "/absent.pem"));
    assert!(problem.contains("/absent.pem: No such file"), "{problem}");
}

#[test]
fn tickets_end_with_the_terms_by_which_clients_were_judged() {
    let files = Files::new();
    let counts = ControlLine::default();
    let write = |name: &str| files.write("clients.pem", &pair(&[name], 2025..2026).0);
    let mut loaded = load_with(&with_ca(&files, &write("clients"))).unwrap();
    let offer = Arc::clone(loaded.offers[0].as_ref().unwrap());
    tickets::load(None, &loaded.keyring, NOW).unwrap();
    let ticket = offer.load().ticketer.encrypt(b"session").unwrap();
    loaded.renew(NOW, &counts);
    assert!(offer.load().ticketer.decrypt(&ticket).is_some());

    write("others");
    assert!(loaded.have_changed());
    loaded.renew(NOW, &counts);
    assert_eq!(counts.certificate_renewals.value(), 2);
    assert!(offer.load().ticketer.decrypt(&ticket).is_none());
}
