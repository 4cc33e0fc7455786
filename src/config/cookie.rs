//! The name and attributes of a duration policy's cookie, and the name that an application's may
//! have.
//!
//! Not here: how a cookie is written (`sticky`), and the second cookie, which has a name of its own
//! ([`CorsCookieName`](super::CorsCookieName)).

use std::net::IpAddr;

use super::Mistake;
use super::read::{Report, Section};
use crate::http;
use crate::limits::{COOKIE_DOMAIN_BYTES_MAX, COOKIE_NAME_BYTES_MAX, COOKIE_PATH_BYTES_MAX};

/// The names of the second cookie, each of which is accepted on input (CLB.md §2.2).
const SECOND_NAMES: [&str; 2] = ["AWSELBCORS", "AWSALBCORS"];

/// The name of the first one, unless a policy has another.
const DEFAULT_NAME: &str = "AWSELB";

/// What stands around the value of a duration policy's cookie. The default is CLB's:
/// `AWSELB=...;PATH=/` (CLB.md §2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieTemplate {
    /// An RFC 6265 token of at most 128 bytes, none of the second cookie's names. Default `AWSELB`.
    pub name: String,
    /// Starts with `/`; at most 128 printable ASCII characters, no `;`. Default `/`.
    pub path: String,
    /// The domain that gets the cookie, with its subdomains; no leading dot, at most 128 bytes.
    /// Default `None`: only the host that was asked.
    pub domain: Option<String>,
    /// `SECURE`: browsers send it over HTTPS only. Default false.
    pub is_secure: bool,
    /// `HTTPONLY`: scripts do not see it. Default false.
    pub is_http_only: bool,
    /// `SAMESITE`. Default `None`: the attribute is not written.
    pub same_site: Option<SameSite>,
    /// `PARTITIONED`: one cookie per site that embeds this one. Default false.
    pub is_partitioned: bool,
}

impl Default for CookieTemplate {
    fn default() -> Self {
        Self {
            name: DEFAULT_NAME.to_owned(),
            path: "/".to_owned(),
            domain: None,
            is_secure: false,
            is_http_only: false,
            same_site: None,
            is_partitioned: false,
        }
    }
}

/// Whether requests that other sites cause carry the cookie (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// Never.
    Strict,
    /// Where they navigate to this site by a safe method.
    Lax,
    /// Always; browsers demand that the cookie is secure.
    None,
}

impl SameSite {
    /// The attribute's value.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// Reads what a duration policy says of its cookie; `default` stands for what is not written.
pub(super) fn cookie(
    section: &mut Section<'_>,
    default: CookieTemplate,
    report: &mut Report<'_>,
) -> Option<CookieTemplate> {
    let name = section.read_or("cookie_name", default.name, |f| f.parsed(name, report));
    let path = section.read_or("cookie_path", default.path, |f| f.parsed(path, report));
    let domain = section.read_or("cookie_domain", default.domain, |field| {
        field.parsed(domain, report).map(Some)
    });
    let is_secure = section.read_or("secure", default.is_secure, |f| f.boolean(report));
    let is_http_only = section.read_or("http_only", default.is_http_only, |f| f.boolean(report));
    let same_site = section.read_or("same_site", default.same_site, |field| {
        field.parsed(same_site, report)
    });
    let is_partitioned = section.read_or("partitioned", default.is_partitioned, |field| {
        field.boolean(report)
    });
    let cookie = CookieTemplate {
        name: name?,
        path: path?,
        domain: domain?,
        is_secure: is_secure?,
        is_http_only: is_http_only?,
        same_site: same_site?,
        is_partitioned: is_partitioned?,
    };
    for mistake in cookie.contradictions() {
        section.refuse(report, mistake);
    }
    Some(cookie)
}

impl CookieTemplate {
    /// What browsers would not store it for (RFC 6265bis §4.1.3 and §5.7; CHIPS §2).
    fn contradictions(&self) -> impl Iterator<Item = &'static str> {
        let is_host = self.has_prefix("__Host-");
        let is_prefixed = is_host || self.has_prefix("__Secure-");
        let is_cross_site = self.same_site == Some(SameSite::None);
        let rules = [
            (
                is_cross_site && !self.is_secure,
                "same_site = \"None\" needs secure = true",
            ),
            (
                self.is_partitioned && !self.is_secure,
                "partitioned = true needs secure = true",
            ),
            (
                is_prefixed && !self.is_secure,
                "a cookie_name that begins with __Secure- or __Host- needs secure = true",
            ),
            (
                is_host && self.path != "/",
                "a cookie_name that begins with __Host- needs cookie_path = \"/\"",
            ),
            (
                is_host && self.domain.is_some(),
                "a cookie_name that begins with __Host- takes no cookie_domain",
            ),
        ];
        rules
            .into_iter()
            .filter_map(|(is_broken, rule)| is_broken.then_some(rule))
    }

    /// Browsers compare prefixes without regard to case.
    fn has_prefix(&self, prefix: &str) -> bool {
        self.name
            .get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    }
}

/// The name of a duration policy's cookie.
fn name(text: &str) -> Result<String, Mistake> {
    if SECOND_NAMES.contains(&text) {
        return Err("is a name of the second cookie, whose key is `cors_cookie_name`".into());
    }
    cookie_name(text)
}

/// The name of an application's cookie (CLB.md §2.6).
pub(super) fn application_cookie_name(text: &str) -> Result<String, Mistake> {
    if text == DEFAULT_NAME || SECOND_NAMES.contains(&text) {
        return Err("is a name of elbow's own cookies: name the application's".into());
    }
    cookie_name(text)
}

fn cookie_name(text: &str) -> Result<String, Mistake> {
    if !is_token(text) || text.len() > COOKIE_NAME_BYTES_MAX {
        return Err(format!(
            "must be 1 to {COOKIE_NAME_BYTES_MAX} letters, digits and !#$%&'*+-.^_`|~"
        )
        .into());
    }
    Ok(text.to_owned())
}

/// Whether it is a token (RFC 9110 §5.6.2), such as names of cookies and of fields.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(http::is_token)
}

fn path(text: &str) -> Result<String, Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b';';
    if !text.starts_with('/') || text.len() > COOKIE_PATH_BYTES_MAX || !text.bytes().all(is_allowed)
    {
        return Err(format!(
            "must begin with / and have at most {COOKIE_PATH_BYTES_MAX} characters: \
             printable ASCII without space and ;"
        )
        .into());
    }
    Ok(text.to_owned())
}

/// A domain that a browser may take: two labels at least, since no cookie is for a whole `com`.
fn domain(text: &str) -> Result<String, Mistake> {
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let has_outer_dash = label.starts_with('-') || label.ends_with('-');
        (1..=63).contains(&label.len()) && label.bytes().all(is_allowed) && !has_outer_dash
    };
    if text.starts_with('.') {
        return Err("must not begin with a dot: subdomains are meant anyway".into());
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err("is an address: a cookie for one host needs no domain".into());
    }
    if text.len() > COOKIE_DOMAIN_BYTES_MAX || !text.contains('.') || !text.split('.').all(is_label)
    {
        return Err(format!(
            "must be a domain such as example.com, of at most {COOKIE_DOMAIN_BYTES_MAX} characters"
        )
        .into());
    }
    Ok(text.to_owned())
}

/// `off` writes no attribute, which is how to undo the default of a profile.
fn same_site(text: &str) -> Result<Option<SameSite>, Mistake> {
    if text == "off" {
        return Ok(None);
    }
    let all = [SameSite::Strict, SameSite::Lax, SameSite::None];
    all.into_iter()
        .find(|same_site| same_site.name() == text)
        .map(Some)
        .ok_or_else(|| "must be \"Strict\", \"Lax\", \"None\" or \"off\"".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_name_is_a_token_and_not_the_second_cookies() {
        for text in ["AWSELB", "__Host-shop", "a!b", &"n".repeat(128)] {
            assert_eq!(name(text), Ok(text.to_owned()));
        }
        let long = "n".repeat(129);
        for text in [
            "",
            "a b",
            "a=b",
            "a;b",
            "a,b",
            "\"a\"",
            "a\tb",
            "é",
            "AWSELBCORS",
            "AWSALBCORS",
            &long,
        ] {
            assert!(name(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn an_application_names_a_cookie_of_its_own() {
        for text in ["JSESSIONID", ".AspNetCore.Session", "awselb"] {
            assert_eq!(application_cookie_name(text), Ok(text.to_owned()));
        }
        for text in ["AWSELB", "AWSELBCORS", "AWSALBCORS", "", "a b"] {
            assert!(application_cookie_name(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_path_cannot_end_the_attribute_or_the_line() {
        let long = format!("/{}", "p".repeat(127));
        for text in ["/", "/a_b/c%20d", &long] {
            assert_eq!(path(text), Ok(text.to_owned()));
        }
        let longer = format!("{long}p");
        for text in [
            "",
            "a",
            "/a;SECURE",
            "/a b",
            "/a\r\nb",
            "/\u{7f}",
            "/é",
            &longer,
        ] {
            assert!(path(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_domain_is_one_that_a_browser_may_take() {
        for text in ["example.com", "a-1.b.Example"] {
            assert_eq!(domain(text), Ok(text.to_owned()));
        }
        let long = format!("{}com", "a.".repeat(63));
        for text in [
            "",
            "com",
            ".example.com",
            "example..com",
            "example.com.",
            "-a.com",
            "a-.com",
            "a_b.com",
            "10.0.0.1",
            "::1",
            "a.b;SECURE",
            "é.com",
            &long,
        ] {
            assert!(domain(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn every_combination_that_browsers_drop_is_named() {
        let broken = |cookie: &CookieTemplate| cookie.contradictions().count();
        let mut cookie = CookieTemplate {
            name: "__host-a".to_owned(),
            path: "/a".to_owned(),
            domain: Some("example.com".to_owned()),
            same_site: Some(SameSite::None),
            is_partitioned: true,
            ..CookieTemplate::default()
        };
        assert_eq!(broken(&cookie), 5);
        cookie.is_secure = true;
        assert_eq!(broken(&cookie), 2);
        "__Secure-a".clone_into(&mut cookie.name);
        assert_eq!(broken(&cookie), 0);
        cookie.is_secure = false;
        assert_eq!(broken(&cookie), 3);
        assert_eq!(broken(&CookieTemplate::default()), 0);
    }
}
