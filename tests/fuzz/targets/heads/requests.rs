//! Requests: what elbow takes has one reading, which is what it forwards; what it refuses has the
//! fault that it names.

use elbow::http::{Forwarding, Framing, Reason, Refusal, Request, classify, field_slots};
use elbow::limits::{CONNECTION_OPTIONS_MAX, FIELDS_MAX, METHOD_BYTES_MAX, REQUEST_LINE_BYTES_MAX};

use crate::fields::{Field, Lines, is_lookalike, length};

const CLIENT: &str = "192.0.2.7";
const FALLBACK_HOST: &str = "198.51.100.1";

/// Fields that end at elbow, or are its own to write.
const ENDING: [&str; 8] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "x-elbow-standby",
    "x-forwarded-port",
    "x-forwarded-proto",
];

pub(crate) fn check(head: &[u8], may_upgrade: bool, rewrites: bool, cuts: bool) {
    let mut slots = field_slots();
    let request = match Request::parse(head, &mut slots) {
        Ok(request) => request,
        Err(refusal) => return expect_fault(head, refusal),
    };
    let lines = Lines::of(head);
    lines.expect_no_controls();
    expect_verdict(head, &request, &lines);
    assert_eq!(Some(request.framing), framing(&lines));

    let upgrades = may_upgrade && request.upgrade().is_some();
    let rewrite = |value: &[u8], out: &mut Vec<u8>| {
        if !value.starts_with(b"cut") {
            out.extend_from_slice(value);
            out.extend_from_slice(b"; mine=1");
        }
    };
    let forwarding = Forwarding {
        client: CLIENT,
        protocol: "http",
        port: "80",
        fallback_host: FALLBACK_HOST,
        cookie: rewrites.then_some(&rewrite),
        cut: cuts.then_some("X-Subject"),
        upgrades,
        extra_lines: b"X-Elbow-Standby: i-2\r\n",
    };
    let mut out = b"before".to_vec();
    request.write(&forwarding, &mut out);
    let out = out
        .strip_prefix(b"before")
        .expect("it writes behind what is there");

    let passed = Lines::of(out);
    let (line, made_host) = forwarded_line(lines.first);
    assert_eq!(passed.first, line);
    let expected = forwarded(&lines, made_host, &forwarding);
    assert_eq!(passed.fields, expected);
    expect_one_reading(out, &passed);
    assert_eq!(framing(&passed), Some(request.framing));
    // Own fields may make it one of too many.
    if passed.fields.len() <= FIELDS_MAX {
        let mut slots = field_slots();
        let again = Request::parse(out, &mut slots).expect("what elbow writes, it takes");
        assert_eq!(again.framing, request.framing);
        assert_eq!(again.verdict, classify(out));
    }
}

/// How the body ends; `None`: it has no end, or several.
fn framing(lines: &Lines<'_>) -> Option<Framing> {
    match (
        &*lines.values("content-length"),
        &*lines.values("transfer-encoding"),
    ) {
        ([], []) => Some(Framing::None),
        ([digits], []) => Some(Framing::Length(length(digits)?)),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Some(Framing::Chunked),
        _ => None,
    }
}

/// The quick look at a head that parses finds what the slow one does, and only what may pass.
fn expect_verdict(head: &[u8], request: &Request<'_, '_>, lines: &Lines<'_>) {
    assert_eq!(request.verdict, classify(head));
    let has_lookalike = lines.fields.iter().any(|(name, _)| is_lookalike(name));
    let may_pass = matches!(
        request.verdict.reason(),
        None | Some(
            Reason::GetHeadZeroContentLength
                | Reason::UndefinedContentLengthSemantics
                | Reason::UndefinedTransferEncodingSemantics
        )
    );
    assert!(may_pass || has_lookalike, "{:?} passes", request.verdict);
    assert!(!has_lookalike || request.verdict.reason().is_some());
}

/// The request line as a backend gets it, and the host of an absolute target.
fn forwarded_line(line: &[u8]) -> (Vec<u8>, Option<String>) {
    let line = String::from_utf8(line.to_vec()).expect("a target is text");
    let parts: Vec<_> = line.split(' ').collect();
    let [method, target, "HTTP/1.0" | "HTTP/1.1"] = parts[..] else {
        panic!("{line:?} is taken for a request line");
    };
    let absolute = target.split_once("://").filter(|(scheme, _)| {
        let scheme = scheme.to_ascii_lowercase();
        scheme == "http" || scheme == "https"
    });
    let Some((_, rest)) = absolute else {
        assert!(target.starts_with('/') || (method, target) == ("OPTIONS", "*"));
        return (format!("{method} {target} HTTP/1.1").into_bytes(), None);
    };
    let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let path = match path {
        "" if method == "OPTIONS" => "*".to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("/{path}"),
    };
    (
        format!("{method} {path} HTTP/1.1").into_bytes(),
        Some(host.to_owned()),
    )
}

/// The fields that a backend gets.
fn forwarded(lines: &Lines<'_>, made_host: Option<String>, with: &Forwarding<'_>) -> Vec<Field> {
    let own = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let nominated = lines.nominated();
    let mut expected = Vec::new();
    let keeps_host = made_host.is_none();
    let has_host = !lines.values("host").is_empty();
    let host = made_host.or_else(|| (!has_host).then(|| FALLBACK_HOST.to_owned()));
    expected.extend(host.map(|host| own("Host", &host)));
    let mut came_by = lines.values("x-forwarded-for");
    came_by.retain(|value| !value.is_empty());
    came_by.push(CLIENT.as_bytes());
    let mut is_first = true;
    for field in &lines.fields {
        let name = field.0.to_ascii_lowercase();
        let ends = ENDING.contains(&&*name)
            || is_lookalike(&name)
            || nominated.contains(&name)
            || name == "upgrade" && !with.upgrades
            || name == "host" && !keeps_host
            || with.cut.is_some() && name.replace('_', "-") == "x-subject";
        if name == "x-forwarded-for" {
            if is_first {
                expected.push((field.0.clone(), came_by.join(&b", "[..])));
            }
            is_first = false;
        } else if let Some(rewrite) = with.cookie.filter(|_| name == "cookie") {
            let mut value = Vec::new();
            rewrite(&field.1, &mut value);
            expected.extend((!value.is_empty()).then(|| (field.0.clone(), value)));
        } else if !ends {
            let plain = plain_framing(&name, &field.1);
            let value = plain.unwrap_or_else(|| field.1.clone());
            expected.push((field.0.clone(), value));
        }
    }
    expected.push(own("X-Elbow-Standby", "i-2"));
    if is_first {
        expected.push(own("X-Forwarded-For", CLIENT));
    }
    expected.push(own("X-Forwarded-Proto", with.protocol));
    expected.push(own("X-Forwarded-Port", with.port));
    let connection = if with.upgrades {
        "upgrade"
    } else {
        "keep-alive"
    };
    expected.push(own("Connection", connection));
    expected
}

/// How the body ends, as every reader knows it; `None`: the field says nothing of that.
fn plain_framing(name: &str, value: &[u8]) -> Option<Vec<u8>> {
    match name {
        "transfer-encoding" => Some(b"chunked".to_vec()),
        "content-length" => length(value).map(|length| length.to_string().into_bytes()),
        _ => None,
    }
}

/// A parser finds the same in a head as its lines show, and nothing in it that ends at elbow.
pub(crate) fn expect_one_reading(out: &[u8], passed: &Lines<'_>) {
    passed.expect_no_controls();
    assert!(passed.values("content-length").len() + passed.values("transfer-encoding").len() <= 1);
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX + 8];
    let read = if out.starts_with(b"HTTP/") {
        httparse::Response::new(&mut headers).parse(out)
    } else {
        assert!(passed.fields.iter().all(|(name, _)| !is_lookalike(name)));
        assert_eq!(passed.values("host").len(), 1);
        httparse::Request::new(&mut headers).parse(out)
    };
    assert_eq!(read, Ok(httparse::Status::Complete(out.len())));
    let parsed = headers.iter().filter(|header| !header.name.is_empty());
    let parsed: Vec<Field> = parsed
        .map(|header| (header.name.to_owned(), header.value.to_vec()))
        .collect();
    assert_eq!(parsed, passed.fields);
}

/// A head is refused for something that is there to be seen.
fn expect_fault(head: &[u8], refusal: Refusal) {
    let lines = Lines::of(head);
    let text = String::from_utf8_lossy(lines.first);
    let words: Vec<_> = text.split(' ').collect();
    let method = words.first().copied().unwrap_or_default();
    let target = words.get(1).copied().unwrap_or_default();
    let is_old = lines.first.ends_with(b"HTTP/1.0");
    let (hosts, codings) = (lines.values("host"), lines.values("transfer-encoding"));
    let is_there = match refusal {
        Refusal::Malformed => {
            let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
            let read = httparse::Request::new(&mut headers).parse(head);
            read != Ok(httparse::Status::Complete(head.len()))
                || lines.nominated().len() > CONNECTION_OPTIONS_MAX
        }
        Refusal::LargeHead => lines.fields.len() > FIELDS_MAX,
        Refusal::LongMethod => method.len() > METHOD_BYTES_MAX,
        Refusal::LongLine => lines.first.len() > REQUEST_LINE_BYTES_MAX,
        Refusal::Connect => method == "CONNECT",
        Refusal::Target => !target.starts_with('/') || target.contains('#'),
        Refusal::Host => {
            let is_odd =
                |&byte: &u8| !byte.is_ascii_alphanumeric() && b"/?#@\\\"<>^`{|} ,".contains(&byte);
            hosts.len() > 1
                || hosts.is_empty() && !is_old
                || hosts[0]
                    .iter()
                    .any(|byte| is_odd(byte) || *byte >= 0x80 || *byte < b' ')
        }
        Refusal::Framing | Refusal::TransferCoding => {
            framing(&lines).is_none() || is_old && !codings.is_empty()
        }
        Refusal::Expectation => {
            let expectations = lines.values("expect");
            expectations
                .iter()
                .any(|value| !value.eq_ignore_ascii_case(b"100-continue"))
        }
        Refusal::Body | Refusal::Desync | Refusal::LargeBody => false,
    };
    assert!(
        is_there,
        "{refusal:?} of {:?}",
        head.escape_ascii().to_string()
    );
    if refusal == Refusal::TransferCoding {
        let codings = codings.concat().to_ascii_lowercase();
        assert!(codings.trim_ascii_end().ends_with(b"chunked") || codings.ends_with(b","));
    }
}
