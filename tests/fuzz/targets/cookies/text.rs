//! The text of cookies: what is cut, encoded or copied, and that nothing else is.

use elbow::limits::APP_COOKIES_MAX;
use elbow::sticky::{
    Copying, VALUE_BYTES, encode_dollar_path, encode_path, own_names, strip_cookies,
    write_app_lines,
};

use crate::sessions::APP_COOKIE;

/// Whether a part between semicolons is a cookie of that name.
pub(crate) fn is_cookie(part: &[u8], name: &str) -> bool {
    let at = part.iter().position(|&byte| byte == b'=');
    at.is_some_and(|at| part[..at].trim_ascii() == name.as_bytes())
}

/// All cookies but elbow's are there afterwards, as they were and in their order.
pub(crate) fn check_strip(field: &[u8], own_name: &str) {
    let names = own_names(own_name);
    let mut out = b"before".to_vec();
    strip_cookies(field, &names, &mut out);
    let out = out
        .strip_prefix(b"before")
        .expect("it writes behind what is there");
    // Where the policy has no name of its own, a cookie without a name is still somebody else's.
    let is_own = |part: &&[u8]| {
        let mut names = names.iter().filter(|name| !name.is_empty());
        names.any(|name| is_cookie(part, name))
    };
    let others: Vec<&[u8]> = parts(field).filter(|part| !is_own(part)).collect();
    assert_eq!(parts(out).collect::<Vec<_>>(), others);
    if !others.is_empty() && !parts(field).any(|part| is_own(&part)) {
        assert_eq!(out, field.trim_ascii_start());
    }
}

/// What stands between semicolons, without blanks about it, where there is anything.
fn parts(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = field.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty())
}

/// Underscores in paths are encoded, and no other byte changes.
pub(crate) fn check_encoding(field: &[u8]) {
    let mut out = Vec::new();
    encode_dollar_path(field, &mut out);
    let mut expected = Vec::new();
    for part in field.split_inclusive(|&byte| byte == b';' || byte == b',') {
        expected.extend(encoded(part, "$path"));
    }
    assert_eq!(out, expected);

    out.clear();
    encode_path(field, &mut out);
    expected.clear();
    let mut is_cookie_itself = true;
    for part in field.split_inclusive(|&byte| byte == b';') {
        match is_cookie_itself {
            true => expected.extend_from_slice(part),
            false => expected.extend(encoded(part, "path")),
        }
        is_cookie_itself = false;
    }
    assert_eq!(out, expected);
}

/// The part with its underscores encoded if it is an attribute of that name.
fn encoded(part: &[u8], name: &str) -> Vec<u8> {
    let end = part
        .iter()
        .position(|&byte| byte == b'=')
        .unwrap_or(part.len());
    if !part[..end]
        .trim_ascii()
        .eq_ignore_ascii_case(name.as_bytes())
    {
        return part.to_vec();
    }
    let pieces: Vec<&[u8]> = part.split(|&byte| byte == b'_').collect();
    pieces.join(&b"%5F"[..])
}

/// For each line that sets the application's cookie there is one of elbow's, and nothing in it can
/// end the line.
pub(crate) fn check_app_lines(set_cookies: &[&[u8]], encodes_underscores: bool, copies: bool) {
    let copying = Copying {
        encodes_underscores,
        copies_unknown: copies,
    };
    let value = [b'A'; VALUE_BYTES];
    let mut out = Vec::new();
    let values = || set_cookies.iter().copied();
    let tally = write_app_lines(values(), APP_COOKIE, &copying, || Some(value), &mut out);
    let named = values().filter(|value| is_cookie(first_part(value), APP_COOKIE));
    let named: Vec<&[u8]> = named.collect();
    let counted = &named[..named.len().min(APP_COOKIES_MAX)];
    let bound: Vec<_> = counted
        .iter()
        .filter(|v| !v.trim_ascii_end().ends_with(b";"))
        .collect();
    assert_eq!(tally.bound, bound.len() as u64);
    assert_eq!(tally.bound + tally.ignored, counted.len() as u64);
    assert_eq!(tally.surplus, (named.len() - counted.len()) as u64);

    let out = String::from_utf8_lossy(&out).into_owned();
    let mut lines = out.split_inclusive("\r\n");
    let start = format!("Set-Cookie: AWSELB={}", "A".repeat(VALUE_BYTES));
    for _ in &bound {
        let line = lines.next().and_then(|line| line.strip_suffix("\r\n"));
        let attributes = line.and_then(|line| line.strip_prefix(&start));
        let attributes = attributes.expect("a line for each");
        assert!(attributes.is_empty() || attributes.starts_with(';'));
        assert!(!attributes.contains(['\r', '\n']));
        expect_each_once(attributes, copies);
    }
    let rest: String = lines.collect();
    let expected = match bound.is_empty() {
        true => "",
        false => "Cache-control: no-cache=\"set-cookie\"\r\n",
    };
    assert_eq!(rest, expected);

    let mut nothing = Vec::new();
    let tally = write_app_lines(values(), APP_COOKIE, &copying, || None, &mut nothing);
    assert_eq!((tally.bound, nothing.len()), (0, 0));
}

fn first_part(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|&byte| byte == b';');
    &value[..end.unwrap_or(value.len())]
}

/// No attribute stands there twice; what is unknown may.
fn expect_each_once(attributes: &str, copies_unknown: bool) {
    let names = attributes.split(';').skip(1);
    let names = names.map(|part| part.split('=').next().unwrap_or_default());
    let mut seen = Vec::new();
    for name in names.filter(|name| !copies_unknown || *name == "PATH") {
        assert!(!seen.contains(&name), "{name} twice in {attributes}");
        seen.push(name);
    }
}
