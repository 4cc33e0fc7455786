use proptest::prelude::*;

use super::*;

fn mistake(attributes: &[&str]) -> String {
    let made = SslPolicy::from_attributes("p", attributes);
    made.expect_err("a mistake").to_string()
}

#[test]
fn a_policy_of_ones_own_is_taken_literally() {
    let attributes = [
        "ECDHE-RSA-AES256-GCM-SHA384",
        "Protocol-TLSv1.2",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ];
    let policy = SslPolicy::from_attributes("p", &attributes).unwrap();
    assert_eq!(policy.suites(), [Suite::EcdsaAes128, Suite::RsaAes256]);
    assert!(!policy.has_tls13() && !policy.is_ordered());
    assert_eq!((policy.versions(), policy.deviations()), ("TLS 1.2", None));

    let attributes = [TLS13, TLS12, SERVER_ORDER, Suite::RsaChacha20.name()];
    let policy = SslPolicy::from_attributes("p", &attributes).unwrap();
    assert_eq!(policy.suites(), [Suite::RsaChacha20]);
    assert!(policy.has_tls13() && policy.is_ordered());
    assert_eq!(policy.versions(), "TLS 1.2 and 1.3");
}

#[test]
fn tls_13_alone_needs_no_cipher_and_has_none_of_tls_12() {
    for attributes in [&[TLS13][..], &[TLS13, "ECDHE-RSA-AES128-GCM-SHA256"]] {
        let policy = SslPolicy::from_attributes("p", attributes).unwrap();
        assert!(policy.suites().is_empty() && policy.has_tls13());
        assert_eq!((policy.versions(), policy.deviations()), ("TLS 1.3", None));
    }
}

#[test]
fn a_policy_of_which_nothing_is_left_is_refused_with_what_could_be_listed() {
    assert_eq!(
        mistake(&[]),
        "lists no protocol, such as `Protocol-TLSv1.2`"
    );
    let no_cipher = "lists no cipher, such as `ECDHE-ECDSA-AES128-GCM-SHA256`";
    assert_eq!(mistake(&[TLS12]), no_cipher);
    assert_eq!(mistake(&[TLS13, "Protocol-TLSv1.1"]), no_cipher);
    assert_eq!(
        mistake(&["Protocol-TLSv1.1", "AES128-SHA"]),
        "leaves no protocol that elbow has: list `Protocol-TLSv1.2` or `Protocol-TLSv1.3`"
    );
    let left = mistake(&[TLS12, TLS13, "AES128-SHA"]);
    assert!(
        left.starts_with("leaves no cipher for TLS 1.2 that elbow has: list one of ECDHE-ECDSA-"),
        "{left}"
    );
}

#[test]
fn an_unknown_attribute_is_refused_with_the_nearest() {
    for (written, nearest) in [
        ("Protocol-TLSv12", "Protocol-TLSv1.2"),
        ("Server-Defined-Cypher-Order", SERVER_ORDER),
        ("ECDHE-RSA-AES128-GCM-SHA265", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("KRB5-RC4-MD4", "KRB5-RC4-MD5"),
    ] {
        let expected =
            format!("`{written}` is no attribute of SSL policies; did you mean `{nearest}`?");
        assert_eq!(mistake(&[TLS12, written]), expected);
    }
    assert!(mistake(&["?"]).contains("is no attribute"));
}

#[test]
fn what_is_not_offered_is_told_by_kind() {
    let attributes = [
        "Protocol-TLSv1.1",
        TLS12,
        "ECDHE-RSA-AES128-GCM-SHA256",
        "EXP-RC4-MD5",
        "AES128-SHA",
        "DHE-RSA-AES128-GCM-SHA256",
    ];
    let policy = SslPolicy::from_attributes("p", &attributes).unwrap();
    let expected = "not offered: TLS 1.1, CBC, RSA key exchange, DHE, RC4, export ciphers";
    assert_eq!(policy.deviations().as_deref(), Some(expected));
}

#[test]
fn each_policy_of_clb_offers_everything_and_says_how_it_differs() {
    for name in SslPolicy::predefined_names() {
        let policy = SslPolicy::predefined(name).unwrap();
        assert_eq!(
            (policy.to_string(), policy.suites()),
            (name.to_owned(), &Suite::ALL[..])
        );
        assert!(policy.has_tls13() && policy.is_ordered());
        assert!(policy.deviations().unwrap().contains("not offered: "));
    }
    let strict = SslPolicy::predefined("ELBSecurityPolicy-TLS-1-2-2017-01").unwrap();
    let expected = "not offered: CBC, RSA key exchange; added: TLS 1.3, ChaCha20";
    assert_eq!(strict.named("mine").deviations().as_deref(), Some(expected));
    assert_eq!(SslPolicy::predefined("ELBSecurityPolicy-2016-80"), None);
}

#[test]
fn the_default_policy_is_told_as_its_own_attributes_would_be() {
    // CLB.md §4.11, less what elbow has.
    let listed = CIPHERS[..19]
        .iter()
        .copied()
        .filter(|name| !name.starts_with("DHE"));
    let protocols = ["Protocol-TLSv1", "Protocol-TLSv1.1", TLS12, SERVER_ORDER];
    let attributes: Vec<&str> = protocols.into_iter().chain(listed).collect();
    let own = SslPolicy::from_attributes("p", &attributes).unwrap();
    assert_eq!(own.missing, SslPolicy::default().missing);
    assert_eq!(own.suites(), &Suite::ALL[..4]);
}

proptest! {
    #[test]
    fn whatever_is_taken_offers_something_that_was_listed(
        picked in proptest::sample::subsequence(
            [&[TLS12, TLS13, "Protocol-TLSv1", SERVER_ORDER], CIPHERS].concat(),
            0..12,
        ),
    ) {
        if let Ok(policy) = SslPolicy::from_attributes("p", &picked) {
            prop_assert!(policy.has_tls13() || !policy.suites().is_empty());
            prop_assert_eq!(policy.has_tls13(), picked.contains(&TLS13));
            prop_assert!(policy.suites().iter().all(|suite| picked.contains(&suite.name())));
        }
    }
}
