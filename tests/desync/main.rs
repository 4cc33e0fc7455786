//! elbow's verdicts on request heads beside those of `http_desync_guardian`, the classifier that
//! AWS published: for cases that a reader can check, and for heads out of a grammar.
//!
//! Where the two differ, `differences.rs` says why; a difference that it does not know fails.

mod differences;
mod grammar;

#[path = "../cases/mod.rs"]
mod cases;

use std::fmt::Debug;

use elbow::http::{Forwarding, HeadEnd, Reason, Request, classify, field_slots, find_end};
use http_desync_guardian::request_analyzer::HttpRequestData;
use proptest::prelude::*;

use differences::{DIFFERENCES, Pair};

/// Random heads in a run.
const HEADS: u32 = 20_000;

/// The two verdicts: classification and reason, both as `Debug` has them.
fn verdicts(head: &[u8]) -> (String, String) {
    let ours = classify(head);
    let reason = ours.reason();
    let reason = reason.map_or_else(|| "Compliant".to_owned(), |reason| format!("{reason:?}"));
    let theirs = HttpRequestData::analyze_raw_request(head);
    (
        verdict(ours.classification(), reason),
        verdict(theirs.tier, format!("{:?}", theirs.reason)),
    )
}

fn verdict(classification: impl Debug, reason: String) -> String {
    match reason.as_str() {
        "Compliant" => reason,
        _ => format!("{classification:?} {reason}"),
    }
}

/// The differences that may explain why the verdicts on this head are not the same.
fn explanations(head: &[u8], ours: &str, theirs: &str) -> Vec<&'static str> {
    let pair = Pair::new(head, ours, theirs);
    let known = DIFFERENCES.iter().filter(|known| (known.is)(&pair));
    known.map(|known| known.name).collect()
}

#[test]
fn cases_have_the_verdicts_that_are_written_beside_them() {
    let mut named = Vec::new();
    for case in cases::read("verdicts.http") {
        assert_eq!(
            find_end(&case.bytes, 0),
            match case.find("end") {
                None => HeadEnd::At(case.bytes.len()),
                Some(_) => HeadEnd::BareLineEnd,
            },
            "{}: where the head ends",
            case.name
        );
        let (ours, theirs) = verdicts(&case.bytes);
        assert_eq!(ours, case.note("verdict"), "{}", case.name);
        let Some(guardian) = case.find("guardian") else {
            assert_eq!(theirs, ours, "{}: the guardian's", case.name);
            continue;
        };
        assert_ne!(guardian, ours, "{}: not different", case.name);
        assert_eq!(theirs, guardian, "{}: the guardian's", case.name);
        let why = case.note("difference").to_owned();
        let known = explanations(&case.bytes, &ours, &theirs);
        assert!(known.contains(&why.as_str()), "{}: {known:?}", case.name);
        named.push(why);
    }
    for known in &DIFFERENCES {
        assert!(
            named.iter().any(|name| name == known.name),
            "no case shows `{}`, which is there as {}",
            known.name,
            known.why
        );
    }
}

#[test]
fn every_reason_has_a_case() {
    let all = cases::read("verdicts.http");
    let seen: Vec<Reason> = all
        .iter()
        .filter_map(|case| classify(&case.bytes).reason())
        .collect();
    use Reason::*;
    for reason in [
        GetHeadZeroContentLength,
        NonCompliantHeader,
        NonCompliantVersion,
        NonCrLfLineTermination,
        SpaceInUri,
        AmbiguousUri,
        BothTeClPresent,
        DuplicateContentLength,
        EmptyHeader,
        MissingHeaderColon,
        MissingUri,
        MultilineHeader,
        SuspiciousHeader,
        UndefinedContentLengthSemantics,
        UndefinedTransferEncodingSemantics,
        BadContentLength,
        BadHeader,
        BadMethod,
        BadTransferEncoding,
        BadUri,
        BadVersion,
        MultipleContentLength,
        MultipleTransferEncodingChunked,
    ] {
        assert!(seen.contains(&reason), "no case for {reason:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(HEADS))]

    #[test]
    fn any_head_has_the_guardians_verdict_or_a_known_difference(head in grammar::head()) {
        let (ours, theirs) = verdicts(&head);
        if ours != theirs {
            let known = explanations(&head, &ours, &theirs);
            prop_assert!(
                !known.is_empty(),
                "{:?}\nelbow:    {}\nguardian: {}",
                String::from_utf8_lossy(&head), ours, theirs
            );
        }
    }

    /// The quick look at names that [`Request::parse`] takes sees all that the slow one does; and
    /// what a backend gets has one reading, whoever reads it.
    #[test]
    fn what_is_forwarded_has_one_reading(head in grammar::sound_head()) {
        let mut slots = field_slots();
        let Ok(request) = Request::parse(&head, &mut slots) else {
            return Ok(());
        };
        prop_assert_eq!(request.verdict, classify(&head));
        let mut out = Vec::new();
        request.write(&FORWARDING, &mut out);
        let mut slots = field_slots();
        let passed = Request::parse(&out, &mut slots).expect("what elbow writes is a head");
        prop_assert_eq!(passed.framing, request.framing);
        let (ours, theirs) = verdicts(&out);
        for (who, verdict) in [("elbow", ours), ("guardian", theirs)] {
            let is_plain = matches!(
                verdict.as_str(),
                "Compliant"
                    | "Acceptable GetHeadZeroContentLength"
                    | "Ambiguous UndefinedContentLengthSemantics"
                    | "Ambiguous UndefinedTransferEncodingSemantics"
            );
            let is_known = differences::has_a_name_of_theirs(&out);
            prop_assert!(
                is_plain || is_known,
                "{who}: {verdict}\n{}", String::from_utf8_lossy(&out)
            );
        }
    }
}

const FORWARDING: Forwarding<'_> = Forwarding {
    client: "192.0.2.7",
    protocol: "http",
    port: "80",
    fallback_host: "198.51.100.1",
    cookie: None,
    cut: None,
    upgrades: false,
    extra_lines: b"",
};
