//! The text of stickiness cookies: found in `Cookie` values, written as `Set-Cookie` lines.

use std::io::Write;

use crate::config::{CookieTemplate, CorsCookieName, DurationPolicy};
use crate::limits::COOKIE_CANDIDATES_MAX;

use super::follow::{Copying, Followed, followed};
use super::seal::Value;

/// The primary name.
pub(super) const NAME: &str = "AWSELB";

/// The second cookie as live Classic Load Balancers name it.
const CORS_NAME_ELB: &str = "AWSELBCORS";

/// The second cookie as the AWS page on sticky sessions names it.
const CORS_NAME_ALB: &str = "AWSALBCORS";

/// The names of cookies that are always ours to read.
const OUR_NAMES: [&str; 3] = [NAME, CORS_NAME_ELB, CORS_NAME_ALB];

/// What goes with a new stickiness cookie on the same response (CLB.md §2.3).
const CACHE_CONTROL: &[u8] = b"Cache-control: no-cache=\"set-cookie\"\r\n";

/// The values of all cookies that may be ours, in the order of the request (CLB.md §2.5), from
/// the values of its `Cookie` fields. `own_name` is the policy's name for the cookie; the usual
/// names are read as well, for clients that have one from before.
pub(super) fn candidates<'b>(
    fields: impl Iterator<Item = &'b [u8]>,
    own_name: &str,
) -> impl Iterator<Item = &'b [u8]> {
    fields
        .flat_map(pairs)
        .filter_map(move |pair| value_of_ours(pair, own_name))
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

fn value_of_ours<'b>(pair: &'b [u8], own_name: &str) -> Option<&'b [u8]> {
    // All usual names begin so; most cookies are dismissed by their first bytes.
    if !pair.starts_with(b"AWS") && !pair.starts_with(own_name.as_bytes()) {
        return None;
    }
    let (name, value) = pair.split_at(memchr::memchr(b'=', pair)?);
    let is_ours = OUR_NAMES.iter().any(|ours| name == ours.as_bytes());
    (is_ours || name == own_name.as_bytes()).then_some(&value[1..])
}

/// Writes the lines that bind a client under a duration policy: the cookie, its CORS twin where the
/// front end is HTTPS and the policy says nothing of its own about other sites, and
/// `Cache-control`, in the shapes of CLB.md §2.3.
pub fn write_lines(
    policy: &DurationPolicy,
    cors_name: CorsCookieName,
    is_secure: bool,
    value: &Value,
    out: &mut Vec<u8>,
) {
    let template = &policy.cookie;
    let max_age = policy.expiration_seconds.map(std::num::NonZeroU32::get);
    begin_cookie(&template.name, value, out);
    write_template(template, max_age, out);
    out.extend_from_slice(b"\r\n");
    if is_secure && template.name == NAME && template.same_site.is_none() {
        let twins: &[&str] = match cors_name {
            CorsCookieName::AwsAlbCors => &[CORS_NAME_ALB],
            CorsCookieName::AwsElbCors => &[CORS_NAME_ELB],
            CorsCookieName::Both => &[CORS_NAME_ELB, CORS_NAME_ALB],
        };
        for twin in twins {
            begin_cookie(twin, value, out);
            write_place_and_age(template, max_age, out);
            out.extend_from_slice(b";SECURE;SAMESITE=None\r\n");
        }
    }
    out.extend_from_slice(CACHE_CONTROL);
}

/// What an answer's application cookies have led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AppTally {
    /// Stickiness cookies written.
    pub bound: u64,
    /// None written, as the application's line ends in a semicolon.
    pub ignored: u64,
    /// None written, as there were too many.
    pub surplus: u64,
    /// Written with an underscore in the path encoded, for which browsers will not return it.
    pub encoded: u64,
}

/// Writes the lines that bind a client under an application policy: a stickiness cookie for each
/// line of the answer that sets the application's, in order, with its attributes, and then
/// `Cache-control` (CLB.md §2.3, §2.6). `seal` makes the value, once, and may fail.
pub fn write_app_lines<'b>(
    set_cookies: impl Iterator<Item = &'b [u8]>,
    app_cookie: &str,
    copying: &Copying,
    seal: impl FnOnce() -> Option<Value>,
    out: &mut Vec<u8>,
) -> AppTally {
    let mut tally = AppTally::default();
    let mut seal = Some(seal);
    let mut value = None;
    for followed in followed(set_cookies, app_cookie) {
        match followed {
            Followed::Ignored => tally.ignored += 1,
            Followed::Surplus => tally.surplus += 1,
            Followed::Bind(cookie) => {
                if let Some(seal) = seal.take() {
                    value = seal();
                }
                if let Some(value) = &value {
                    begin_cookie(NAME, value, out);
                    tally.encoded += u64::from(cookie.write_attributes(copying, out));
                    out.extend_from_slice(b"\r\n");
                    tally.bound += 1;
                }
            }
        }
    }
    if tally.bound > 0 {
        out.extend_from_slice(CACHE_CONTROL);
    }
    tally
}

/// The names of cookies that are elbow's where the policy calls its own `own_name`; empty: none of
/// its own.
pub fn own_names(own_name: &str) -> [&str; 4] {
    let [primary, cors, other_cors] = OUR_NAMES;
    // Clients may send cookies whose name is empty, and they are the application's.
    let own_name = if own_name.is_empty() {
        primary
    } else {
        own_name
    };
    [primary, cors, other_cors, own_name]
}

/// `Set-Cookie: NAME=VALUE`, to which attributes and a line end are to be added.
fn begin_cookie(name: &str, value: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Set-Cookie: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'=');
    out.extend_from_slice(value);
}

fn write_template(template: &CookieTemplate, max_age: Option<u32>, out: &mut Vec<u8>) {
    write_place_and_age(template, max_age, out);
    if template.is_secure {
        out.extend_from_slice(b";SECURE");
    }
    if template.is_http_only {
        out.extend_from_slice(b";HTTPONLY");
    }
    if let Some(same_site) = template.same_site {
        out.extend_from_slice(b";SAMESITE=");
        out.extend_from_slice(same_site.name().as_bytes());
    }
    if template.is_partitioned {
        out.extend_from_slice(b";PARTITIONED");
    }
}

fn write_place_and_age(template: &CookieTemplate, max_age: Option<u32>, out: &mut Vec<u8>) {
    out.extend_from_slice(b";PATH=");
    out.extend_from_slice(template.path.as_bytes());
    if let Some(domain) = &template.domain {
        out.extend_from_slice(b";DOMAIN=");
        out.extend_from_slice(domain.as_bytes());
    }
    if let Some(seconds) = max_age {
        write!(out, ";MAX-AGE={seconds}").expect("a vector takes every write");
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::follow::strip_cookies;
    use super::super::seal::VALUE_BYTES;
    use super::*;
    use crate::config::SameSite;

    fn found(fields: &[&str]) -> Vec<String> {
        candidates(fields.iter().map(|field| field.as_bytes()), NAME)
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

    fn lines(policy: &DurationPolicy, cors: CorsCookieName, is_secure: bool) -> String {
        let mut out = Vec::new();
        write_lines(policy, cors, is_secure, &[b'A'; VALUE_BYTES], &mut out);
        String::from_utf8(out)
            .unwrap()
            .replace(&"A".repeat(VALUE_BYTES), "<HEX>")
    }

    fn of_clb(seconds: u32) -> DurationPolicy {
        DurationPolicy::new("p", NonZeroU32::new(seconds))
    }

    #[test]
    fn a_policys_own_name_is_read_beside_the_usual_ones() {
        let field = "sid=1; AWSELB=2; sid2=3; asid=4; sid";
        let values: Vec<_> = candidates(std::iter::once(field.as_bytes()), "sid").collect();
        assert_eq!(values, [b"1", b"2"]);
    }

    #[test]
    fn a_cookie_without_a_name_is_never_elbows() {
        let stripped = |own_name: &str| {
            let mut out = Vec::new();
            strip_cookies(b"=1; AWSELB=2; sid=3", &own_names(own_name), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(stripped(""), "=1; sid=3");
        assert_eq!(stripped("sid"), "=1");
    }

    #[test]
    fn a_template_says_everything_about_the_cookie() {
        let cookie = CookieTemplate {
            name: "__Secure-sid".to_owned(),
            path: "/app".to_owned(),
            domain: Some("example.com".to_owned()),
            is_secure: true,
            is_http_only: true,
            same_site: Some(SameSite::Lax),
            is_partitioned: true,
        };
        let policy = DurationPolicy {
            cookie,
            ..of_clb(5)
        };
        let expected = "Set-Cookie: __Secure-sid=<HEX>;PATH=/app;DOMAIN=example.com;MAX-AGE=5;\
                        SECURE;HTTPONLY;SAMESITE=Lax;PARTITIONED\r\n";
        let written = lines(&policy, CorsCookieName::Both, true);
        assert!(written.starts_with(expected), "{written}");
        assert_eq!(written.matches("Set-Cookie").count(), 1, "no twin");
    }

    #[test]
    fn the_shapes_are_those_of_captures() {
        let cache = "Cache-control: no-cache=\"set-cookie\"\r\n";
        assert_eq!(
            lines(&of_clb(60), CorsCookieName::AwsAlbCors, false),
            format!("Set-Cookie: AWSELB=<HEX>;PATH=/;MAX-AGE=60\r\n{cache}")
        );
        assert_eq!(
            lines(&of_clb(0), CorsCookieName::AwsElbCors, true),
            format!(
                "Set-Cookie: AWSELB=<HEX>;PATH=/\r\n\
                 Set-Cookie: AWSELBCORS=<HEX>;PATH=/;SECURE;SAMESITE=None\r\n{cache}"
            )
        );
        assert_eq!(
            lines(&of_clb(1), CorsCookieName::Both, true),
            format!(
                "Set-Cookie: AWSELB=<HEX>;PATH=/;MAX-AGE=1\r\n\
                 Set-Cookie: AWSELBCORS=<HEX>;PATH=/;MAX-AGE=1;SECURE;SAMESITE=None\r\n\
                 Set-Cookie: AWSALBCORS=<HEX>;PATH=/;MAX-AGE=1;SECURE;SAMESITE=None\r\n{cache}"
            )
        );
    }

    const FOLLOWING: Copying = Copying {
        encodes_underscores: true,
        copies_unknown: false,
    };

    fn app_lines(set_cookies: &[&str], value: Option<Value>) -> (String, AppTally) {
        let mut out = Vec::new();
        let values = set_cookies.iter().map(|value| value.as_bytes());
        let tally = write_app_lines(values, "app", &FOLLOWING, || value, &mut out);
        let text = String::from_utf8(out).unwrap();
        (text.replace(&"A".repeat(VALUE_BYTES), "<HEX>"), tally)
    }

    #[test]
    fn each_line_of_the_apps_cookie_gets_one_of_ours_with_the_same_value() {
        let set_cookies = [
            "app=1; Path=/a_b",
            "other=1; Path=/",
            "app=2; Path=/c;",
            "app=3",
        ];
        let (text, tally) = app_lines(&set_cookies, Some([b'A'; VALUE_BYTES]));
        let expected = "Set-Cookie: AWSELB=<HEX>;PATH=/a%5Fb\r\nSet-Cookie: AWSELB=<HEX>\r\n\
                        Cache-control: no-cache=\"set-cookie\"\r\n";
        assert_eq!(text, expected);
        let expected = AppTally {
            bound: 2,
            ignored: 1,
            surplus: 0,
            encoded: 1,
        };
        assert_eq!(tally, expected);
    }

    #[test]
    fn without_the_apps_cookie_or_a_seal_nothing_is_written() {
        let nothing = (String::new(), AppTally::default());
        assert_eq!(app_lines(&["other=1"], Some([b'A'; VALUE_BYTES])), nothing);
        assert_eq!(app_lines(&["app=1"], None), nothing);
    }
}
