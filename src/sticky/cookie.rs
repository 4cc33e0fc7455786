//! The text of stickiness cookies: found in `Cookie` values, written as `Set-Cookie` lines.

use std::io::Write;

use crate::config::CorsCookieName;
use crate::limits::COOKIE_CANDIDATES_MAX;
use crate::state::DurationPolicy;

use super::seal::Value;

/// The primary name.
const NAME: &str = "AWSELB";

/// The second cookie as live Classic Load Balancers name it.
const CORS_NAME_ELB: &str = "AWSELBCORS";

/// The second cookie as the AWS page on sticky sessions names it.
const CORS_NAME_ALB: &str = "AWSALBCORS";

/// The values of all cookies that may be ours, in the order of the request (CLB.md §2.5), from
/// the values of its `Cookie` fields.
pub(super) fn candidates<'b>(
    fields: impl Iterator<Item = &'b [u8]>,
) -> impl Iterator<Item = &'b [u8]> {
    fields
        .flat_map(pairs)
        .filter_map(value_of_ours)
        .take(COOKIE_CANDIDATES_MAX)
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(field);
    std::iter::from_fn(move || {
        let field = rest?;
        let end = memchr::memchr(b';', field);
        rest = end.map(|end| &field[end + 1..]);
        Some(field[..end.unwrap_or(field.len())].trim_ascii())
    })
}

fn value_of_ours(pair: &[u8]) -> Option<&[u8]> {
    // All three names begin so; most cookies are dismissed by their first bytes.
    if !pair.starts_with(b"AWS") {
        return None;
    }
    let (name, value) = pair.split_at(memchr::memchr(b'=', pair)?);
    let is_ours = [NAME, CORS_NAME_ELB, CORS_NAME_ALB]
        .iter()
        .any(|ours| name == ours.as_bytes());
    is_ours.then_some(&value[1..])
}

/// Writes the lines that bind a client: the cookie, its CORS twin where the front end is HTTPS,
/// and `Cache-control`, in the shapes of CLB.md §2.3.
pub fn write_lines(policy: &DurationPolicy, is_secure: bool, value: &Value, out: &mut Vec<u8>) {
    write_cookie(NAME, policy, value, "", out);
    if is_secure {
        let twins: &[&str] = match policy.cors_cookie_name {
            CorsCookieName::AwsAlbCors => &[CORS_NAME_ALB],
            CorsCookieName::AwsElbCors => &[CORS_NAME_ELB],
            CorsCookieName::Both => &[CORS_NAME_ELB, CORS_NAME_ALB],
        };
        for twin in twins {
            write_cookie(twin, policy, value, ";SECURE;SAMESITE=None", out);
        }
    }
    out.extend_from_slice(b"Cache-control: no-cache=\"set-cookie\"\r\n");
}

fn write_cookie(
    name: &str,
    policy: &DurationPolicy,
    value: &Value,
    flags: &str,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"Set-Cookie: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(value);
    out.extend_from_slice(b";PATH=/");
    if let Some(seconds) = policy.max_age_seconds {
        write!(out, ";MAX-AGE={seconds}").expect("a vector takes every write");
    }
    out.extend_from_slice(flags.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::seal::VALUE_BYTES;
    use super::*;

    fn found(fields: &[&str]) -> Vec<String> {
        candidates(fields.iter().map(|field| field.as_bytes()))
            .map(|value| String::from_utf8(value.to_vec()).unwrap())
            .collect()
    }

    #[test]
    fn all_names_in_all_fields_are_candidates_in_order() {
        let fields = [
            "a=b; AWSELB=1;AWSALBCORS=2 ;",
            "AWSELBCORS=3",
            "x=y;  AWSELB=4",
        ];
        assert_eq!(found(&fields), ["1", "2", "3", "4"]);
    }

    #[test]
    fn other_names_are_not_ours() {
        assert!(found(&["awselb=1; AWSELBX=2; XAWSELB=3; AWSELB; AWSALB=4; =AWSELB=5"]).is_empty());
        assert!(found(&["", ";;;", "AWS"]).is_empty());
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        assert_eq!(found(&["AWSELB=a=b"]), ["a=b"]);
    }

    #[test]
    fn more_candidates_than_the_bound_are_ignored() {
        let field = "AWSELB=1;".repeat(COOKIE_CANDIDATES_MAX + 5);
        assert_eq!(found(&[&field]).len(), COOKIE_CANDIDATES_MAX);
    }

    fn lines(max_age_seconds: Option<u32>, cors: CorsCookieName, is_secure: bool) -> String {
        let policy = DurationPolicy {
            max_age_seconds,
            cors_cookie_name: cors,
        };
        let mut out = Vec::new();
        write_lines(&policy, is_secure, &[b'A'; VALUE_BYTES], &mut out);
        String::from_utf8(out)
            .unwrap()
            .replace(&"A".repeat(VALUE_BYTES), "<HEX>")
    }

    #[test]
    fn the_shapes_are_those_of_captures() {
        let cache = "Cache-control: no-cache=\"set-cookie\"\r\n";
        assert_eq!(
            lines(Some(60), CorsCookieName::AwsAlbCors, false),
            format!("Set-Cookie: AWSELB=<HEX>;PATH=/;MAX-AGE=60\r\n{cache}")
        );
        assert_eq!(
            lines(None, CorsCookieName::AwsElbCors, true),
            format!(
                "Set-Cookie: AWSELB=<HEX>;PATH=/\r\n\
                 Set-Cookie: AWSELBCORS=<HEX>;PATH=/;SECURE;SAMESITE=None\r\n{cache}"
            )
        );
        assert_eq!(
            lines(Some(1), CorsCookieName::Both, true),
            format!(
                "Set-Cookie: AWSELB=<HEX>;PATH=/;MAX-AGE=1\r\n\
                 Set-Cookie: AWSELBCORS=<HEX>;PATH=/;MAX-AGE=1;SECURE;SAMESITE=None\r\n\
                 Set-Cookie: AWSALBCORS=<HEX>;PATH=/;MAX-AGE=1;SECURE;SAMESITE=None\r\n{cache}"
            )
        );
    }
}
