use proptest::prelude::*;
use rcgen::string::BmpString;
use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

use super::*;

/// The middle of the year for which the certificates here are valid.
const NOW: u64 = 1_750_000_000;

/// The subject of a certificate with these attributes, in the order of the certificate.
fn subject_of(attributes: &[(DnType, DnValue)]) -> Option<Box<str>> {
    let mut name = DistinguishedName::new();
    for (kind, value) in attributes {
        name.push(kind.clone(), value.clone());
    }
    subject(&certificate(name), NOW)
}

fn certificate(name: DistinguishedName) -> Vec<u8> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = name;
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let key = KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn common_name(name: &str) -> Option<Box<str>> {
    subject_of(&[(DnType::CommonName, name.into())])
}

#[test]
fn the_last_attribute_comes_first() {
    let attributes = [
        (DnType::CountryName, "DE".into()),
        (DnType::OrganizationName, "Elbow".into()),
        (DnType::CommonName, "client 1".into()),
    ];
    let expected = "CN=client 1,O=Elbow,C=DE";
    assert_eq!(subject_of(&attributes).as_deref(), Some(expected));
    assert_eq!(subject_of(&[]).as_deref(), Some(""));
}

#[test]
fn what_has_a_meaning_is_escaped() {
    for (name, expected) in [
        ("a,b+c\"d\\e<f>g;h", "a\\,b\\+c\\\"d\\\\e\\<f\\>g\\;h"),
        ("#a#", "\\#a#"),
        (" a b ", "\\ a b\\ "),
        (" ", "\\ "),
        ("", ""),
        ("a=b", "a=b"),
        ("Lučić", "Lu\\C4\\8Di\\C4\\87"),
        ("a\r\nX-Role: admin\0", "a\\0D\\0AX-Role: admin\\00"),
        ("\u{7f}", "\\7F"),
    ] {
        let expected = format!("CN={expected}");
        assert_eq!(common_name(name).as_deref(), Some(&*expected), "{name:?}");
    }
}

#[test]
fn a_type_without_a_short_name_is_told_by_its_number_and_encoding() {
    let title = DnType::CustomDnType(vec![2, 5, 4, 12]);
    let attributes = [(title, "Dr".into()), (DnType::CommonName, "a".into())];
    let expected = "CN=a,2.5.4.12=#0C024472";
    assert_eq!(subject_of(&attributes).as_deref(), Some(expected));
    let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
    let attributes = [(email, "a@b.test".into())];
    let expected = "emailAddress=a@b.test";
    assert_eq!(subject_of(&attributes).as_deref(), Some(expected));
}

#[test]
fn wide_text_is_read_and_what_has_several_readings_is_not() {
    let wide = DnValue::BmpString(BmpString::try_from("Lučić").unwrap());
    let attributes = [(DnType::CommonName, wide)];
    let expected = common_name("Lučić");
    assert_eq!(subject_of(&attributes), expected);
    let old = DnValue::TeletexString("ab".try_into().unwrap());
    let attributes = [(DnType::CommonName, old)];
    assert_eq!(subject_of(&attributes).as_deref(), Some("CN=#14026162"));
}

/// The text of a `Name` of one certificate, in DER.
fn name_of(der: &[u8]) -> Option<String> {
    let mut text = Bounded(String::new());
    write_name(der, &mut text).ok().map(|()| text.0)
}

#[test]
fn a_name_is_told_whole_or_not_at_all() {
    const CN_A: [u8; 10] = [0x30, 8, 6, 3, 0x55, 4, 3, 0x0C, 1, b'a'];
    const OU_B: [u8; 10] = [0x30, 8, 6, 3, 0x55, 4, 11, 0x0C, 1, b'b'];
    let wrap = |tag: u8, parts: &[&[u8]]| {
        let content = parts.concat();
        [&[tag, u8::try_from(content.len()).unwrap()], &content[..]].concat()
    };
    let (set, sequence) = (0x31, 0x30);
    let both = wrap(set, &[&CN_A, &OU_B]);
    assert_eq!(
        name_of(&wrap(sequence, &[&both])).as_deref(),
        Some("CN=a+OU=b")
    );
    let (a, b) = (wrap(set, &[&CN_A]), wrap(set, &[&OU_B]));
    let name = wrap(sequence, &[&a, &b]);
    assert_eq!(name_of(&name).as_deref(), Some("OU=b,CN=a"));
    for cut in 1..name.len() {
        assert_eq!(name_of(&name[..cut]), None, "{cut}");
    }
    for broken in [
        wrap(sequence, &[&a, &[0x31, 0x7F]]),
        wrap(sequence, &[&wrap(set, &[&CN_A, &[0x30, 0x7F]])]),
        wrap(
            sequence,
            &[&wrap(set, &[&wrap(sequence, &[&CN_A[2..], &[5, 0]])])],
        ),
        wrap(sequence, &[&a, &OU_B]),
        [&name[..], &[5, 0]].concat(),
        wrap(set, &[&a]),
    ] {
        assert_eq!(name_of(&broken), None, "{broken:02X?}");
    }
}

#[test]
fn a_subject_ends_at_its_bound() {
    let longest = CLIENT_SUBJECT_BYTES_MAX - "CN=".len();
    let longest_subject = common_name(&"a".repeat(longest)).unwrap();
    assert_eq!(longest_subject.len(), CLIENT_SUBJECT_BYTES_MAX);
    assert_eq!(common_name(&"a".repeat(longest + 1)), None);
}

#[test]
fn a_certificate_that_is_not_valid_now_has_no_subject() {
    let certificate = certificate(DistinguishedName::new());
    let (begin, end) = (1_735_689_600, 1_767_225_600);
    for (now, is_valid) in [
        (begin - 1, false),
        (begin, true),
        (end, true),
        (end + 1, false),
    ] {
        assert_eq!(subject(&certificate, now).is_some(), is_valid, "{now}");
    }
    assert_eq!(subject(b"no certificate", NOW), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_a_certificate_says_is_printable_ascii_within_the_bound(
        values in proptest::collection::vec("\\PC{0,40}|[\r\n\0,=#+ ]{0,8}", 0..8),
        number in 0_u64..40,
    ) {
        let mut name = DistinguishedName::new();
        for (index, value) in (0..).zip(&values) {
            name.push(DnType::CustomDnType(vec![2, 5, 4, (number + index) % 40]), value.as_str());
        }
        if let Some(subject) = subject(&certificate(name), NOW) {
            prop_assert!(subject.len() <= CLIENT_SUBJECT_BYTES_MAX);
            prop_assert!(subject.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{subject}");
        }
    }
}
