use axum::http::Request;
use proptest::prelude::*;

use super::*;

/// 20260830T123600Z.
const NOW: u64 = 1_788_093_360;

fn key(secret: &str) -> Key {
    Key::new("AKIDEXAMPLE", secret, None, None, "test")
}

/// The head of a request.
fn head(method: &str, target: &str, fields: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri(target);
    let request = fields
        .iter()
        .fold(request, |r, (name, value)| r.header(*name, *value));
    request.body(()).expect("it is a request").into_parts().0
}

/// The same, signed as the commands and AWS's clients do it, which encode the path `mode`.
fn signed(
    method: &str,
    target: &str,
    body: &[u8],
    secret: &str,
    mode: PercentEncodingMode,
) -> Parts {
    let host = ("host", "localhost:9090");
    let made = signature_fields((method, target, host.1), body, (&key(secret), NOW), mode);
    let made = made
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let fields: Vec<_> = [host].into_iter().chain(made).collect();
    head(method, target, &fields)
}

/// The fields that sign a request, of a method and a target at a host, by a key at a time.
pub(in crate::control::admin) fn signature_fields(
    (method, target, host): (&str, &str, &str),
    body: &[u8],
    (key, now): (&Key, u64),
    mode: PercentEncodingMode,
) -> Vec<(String, String)> {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = mode;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = key.clone().into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(SERVICE)
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(now))
        .settings(settings)
        .build()
        .expect("all is said");
    let fields = [("host", host)].into_iter();
    let request = SignableRequest::new(method, target, fields, SignableBody::Bytes(body));
    let (made, _) = sign(request.unwrap(), &params.into()).unwrap().into_parts();
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    made.headers().map(owned).collect()
}

fn is_genuine(parts: &Parts, body: &[u8], secret: &str) -> bool {
    let claim = Claim::read(parts).unwrap().expect("it is signed");
    claim.is_of(parts, body, &key(secret))
}

/// What AWS's documentation and its test suite for Signature Version 4 say.
#[test]
fn the_examples_of_aws_are_genuine() {
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    let vanilla = head(
        "GET",
        "/",
        &[
            ("Host", "example.amazonaws.com"),
            ("X-Amz-Date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, \
                 Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
        ],
    );
    assert!(is_genuine(&vanilla, b"", secret));
    assert!(!is_genuine(&vanilla, b"x", secret));
    assert!(!is_genuine(&vanilla, b"", "another"));
    let list_users = head(
        "GET",
        "/?Action=ListUsers&Version=2010-05-08",
        &[
            ("Host", "iam.amazonaws.com"),
            (
                "Content-Type",
                "application/x-www-form-urlencoded; charset=utf-8",
            ),
            ("X-Amz-Date", "20150830T123600Z"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, \
                 Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
            ),
        ],
    );
    assert!(is_genuine(&list_users, b"", secret));
}

#[test]
fn a_presigned_url_holds_as_long_as_it_says() {
    let url = |seconds: &str| {
        format!(
            "/?Action=DescribeLoadBalancers&X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential=\
             AKIDEXAMPLE%2F20260830%2Feu-west-1%2F{SERVICE}%2Faws4_request&\
             X-Amz-Date=20260830T123600Z&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host&\
             X-Amz-Signature={}",
            "0".repeat(64)
        )
    };
    let claim = |seconds: &str| {
        let parts = head("GET", &url(seconds), &[("Host", "localhost")]);
        Claim::read(&parts).map(|claim| claim.expect("it is signed"))
    };
    let minute = claim("60").unwrap();
    assert_eq!(minute.scope.region, "eu-west-1");
    for (now, holds) in [
        (NOW - 300, true),
        (NOW - 301, false),
        (NOW, true),
        (NOW + 60, true),
        (NOW + 61, false),
    ] {
        assert_eq!(minute.check(now).is_ok(), holds, "{now}");
    }
    assert!(claim("604800").unwrap().check(NOW + 604_800).is_ok());
    let reason = |seconds: &str| {
        claim(seconds)
            .and_then(|claim| claim.check(NOW))
            .unwrap_err()
            .reason
    };
    assert_eq!(reason("604801"), AdminRefusal::Expired);
    for seconds in ["", "-1", "1.5", "99999999999999999999"] {
        assert_eq!(reason(seconds), AdminRefusal::Malformed, "{seconds}");
    }
}

#[test]
fn a_signature_in_a_field_holds_for_five_minutes_either_way() {
    let parts = signed("GET", "/", b"", "s", PercentEncodingMode::Double);
    let claim = Claim::read(&parts).unwrap().unwrap();
    for (now, holds) in [
        (NOW - 301, false),
        (NOW - 300, true),
        (NOW + 300, true),
        (NOW + 301, false),
    ] {
        assert_eq!(claim.check(now).is_ok(), holds, "{now}");
    }
}

#[test]
fn what_cannot_be_read_is_told_from_what_is_not_there() {
    assert_eq!(Claim::read(&head("GET", "/?Action=A", &[])), Ok(None));
    let good = "AWS4-HMAC-SHA256 Credential=A/20260830/eu-west-1/elasticloadbalancing/\
                aws4_request, SignedHeaders=host;x-amz-date, Signature=";
    let good = format!("{good}{}", "0".repeat(64));
    let read = |text: &str, date: &str| {
        let fields = [("Authorization", text), ("X-Amz-Date", date)];
        Claim::read(&head("GET", "/", &fields)).map(|claim| claim.is_some())
    };
    let date = "20260830T123600Z";
    assert_eq!(read(&good, date), Ok(true));
    assert_eq!(read(&good.replace(", ", ","), date), Ok(true));
    for (before, after) in [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256", "Basic"),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws4_request/x"),
        ("eu-west-1", "../etc"),
        ("eu-west-1", ""),
        ("host;", ""),
        ("Signature=0", "Signature="),
        ("Signature=0", "Signature=x"),
        ("SignedHeaders=", "Other="),
        ("Signature=", "Signature=1, Signature="),
        ("20260830/", "20260829/"),
    ] {
        let text = good.replacen(before, after, 1);
        let refused = read(&text, date).map_err(|denied| denied.reason);
        assert_eq!(refused, Err(AdminRefusal::Malformed), "{text}");
    }
    for date in [
        "",
        "20260830",
        "20260830T126000Z",
        "2026-08-30T12:36Z",
        "20260830T+12360Z",
    ] {
        assert!(read(&good, date).is_err(), "{date}");
    }
    let twice = head(
        "GET",
        "/",
        &[
            ("Authorization", &good),
            ("X-Amz-Date", date),
            ("X-Amz-Date", date),
        ],
    );
    assert!(Claim::read(&twice).is_err());
    let both = head(
        "GET",
        "/?X-Amz-Signature=00",
        &[("Authorization", &good), ("X-Amz-Date", date)],
    );
    assert!(Claim::read(&both).is_err());
}

#[test]
fn another_service_is_refused_though_the_signature_is_right() {
    let mut claim = Claim::of_header("A", NOW, [0; 32]);
    assert_eq!(claim.check(NOW), Ok(()));
    claim.scope.service = "s3".to_owned();
    assert_eq!(
        claim.check(NOW).unwrap_err().reason,
        AdminRefusal::Signature
    );
}

/// Percent signs that a signer encoded once more could stand for another path, which would then
/// have the same signature.
#[test]
fn a_path_has_no_second_reading() {
    let single = PercentEncodingMode::Single;
    let parts = signed("DELETE", "/v1/drains/web/a%3Ab", b"", "s", single);
    assert!(is_genuine(&parts, b"", "s"), "as curl 7 signs it");
    // AWS's way to sign `a%3Ab` is to write `a%253Ab`, which is what this one would sign as it is.
    let double = signed(
        "DELETE",
        "/v1/drains/web/a%3Ab",
        b"",
        "s",
        PercentEncodingMode::Double,
    );
    let mut other = double.clone();
    other.uri = "/v1/drains/web/a%253Ab".parse().unwrap();
    assert!(is_genuine(&double, b"", "s"));
    assert!(!is_genuine(&other, b"", "s"));
}

/// What a segment of a path may be, encoded.
fn segment() -> impl Strategy<Value = String> {
    proptest::collection::vec(any::<char>(), 1..12).prop_map(|characters| {
        let text: String = characters.into_iter().collect();
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    })
}

fn query() -> impl Strategy<Value = String> {
    let pairs = proptest::collection::vec((".{0,6}", ".{0,6}"), 0..5);
    pairs.prop_map(|pairs| {
        let mut text = form_urlencoded::Serializer::new(String::new());
        text.extend_pairs(pairs).finish()
    })
}

proptest! {
    /// Whatever is signed is genuine; with anything else changed it is not.
    #[test]
    fn a_signature_is_that_of_one_request(
        segment in segment(),
        query in query(),
        body in proptest::collection::vec(any::<u8>(), 0..40),
        is_double in any::<bool>(),
        at in any::<prop::sample::Index>(),
    ) {
        let mode = match is_double || segment.contains("%25") {
            true => PercentEncodingMode::Double,
            false => PercentEncodingMode::Single,
        };
        let target = format!("/v1/drains/{segment}?{query}");
        let parts = signed("POST", &target, &body, "secret", mode);
        prop_assert!(is_genuine(&parts, &body, "secret"));
        prop_assert!(!is_genuine(&parts, &body, "secres"));
        let mut longer = body.clone();
        longer.push(0);
        prop_assert!(!is_genuine(&parts, &longer, "secret"));
        if !body.is_empty() {
            let mut flipped = body.clone();
            flipped[at.index(body.len())] ^= 1;
            prop_assert!(!is_genuine(&parts, &flipped, "secret"));
        }
        let mut other = parts.clone();
        other.method = "PUT".parse().unwrap();
        prop_assert!(!is_genuine(&other, &body, "secret"));
        let mut other = parts.clone();
        other.headers.insert("host", "localhost:9091".parse().unwrap());
        prop_assert!(!is_genuine(&other, &body, "secret"));
        let mut other = parts.clone();
        other.headers.insert(DATE_FIELD, "20260830T123601Z".parse().unwrap());
        prop_assert!(!is_genuine(&other, &body, "secret"));
        for target in [
            format!("/v1/drains/{segment}a?{query}"),
            format!("/v1//drains/{segment}?{query}"),
            format!("/v1/./drains/{segment}?{query}"),
            format!("/v1/drains/{segment}?{query}&a=b"),
        ] {
            let mut other = parts.clone();
            other.uri = target.parse().unwrap();
            prop_assert!(!is_genuine(&other, &body, "secret"), "{target}");
        }
    }

    /// No two targets have the same signature unless they mean the same.
    #[test]
    fn targets_of_one_signature_mean_the_same(
        one in "[a%235B/]{1,8}",
        other in "[a%235B/]{1,8}",
        is_double in any::<bool>(),
    ) {
        let mode = match is_double {
            true => PercentEncodingMode::Double,
            false => PercentEncodingMode::Single,
        };
        let parts = signed("DELETE", &format!("/{one}"), b"", "s", mode);
        let mut moved = parts.clone();
        moved.uri = format!("/{other}").parse().unwrap();
        let means = |text: &str| {
            let text = text.replace('+', "%2B");
            text.split('/').map(|part| decoded(part).0).collect::<Vec<_>>()
        };
        // What a signer encodes only once is for it to keep apart.
        if is_double && is_genuine(&moved, b"", "s") {
            prop_assert_eq!(means(&one), means(&other));
        }
    }

    /// Any head is read, or refused; none ends the process.
    #[test]
    fn any_head_is_judged(
        target in "/[!-~é]{0,80}",
        signed_fields in "[a-z;-]{0,20}",
        value in "[ -~]{0,20}",
    ) {
        let Ok(uri) = target.parse::<axum::http::Uri>() else { return Ok(()) };
        let text = format!(
            "AWS4-HMAC-SHA256 Credential=A/20260830/eu-west-1/elasticloadbalancing/aws4_request, \
             SignedHeaders=host;{signed_fields}, Signature={}",
            "0".repeat(64)
        );
        let fields = [
            ("host", value.as_str()),
            ("a", value.as_str()),
            ("x-amz-date", "20260830T123600Z"),
            ("authorization", text.as_str()),
        ];
        let mut parts = head("GET", "/", &fields);
        parts.uri = uri;
        if let Ok(Some(claim)) = Claim::read(&parts) {
            prop_assert!(!claim.is_of(&parts, b"", &key("s")));
        }
    }
}
