//! A client's cookies as RFC 6265 has them kept and sent, with a clock that a case can set.
//!
//! Deliberately absent: public suffixes and limits. The host is always `elbow.test`.

use crate::date;

/// The host of all requests.
pub(crate) const HOST: &str = "elbow.test";

/// The cookies of one client.
#[derive(Debug, Clone, Default)]
pub(crate) struct Jar {
    cookies: Vec<Cookie>,
}

#[derive(Debug, Clone)]
struct Cookie {
    name: String,
    value: String,
    domain: String,
    path: String,
    /// Unix seconds; `None`: the browser session.
    expires: Option<i64>,
    is_secure: bool,
}

impl Jar {
    /// Takes one `Set-Cookie` line of a response to a request for `target` (RFC 6265 §5.2, §5.3).
    ///
    /// `behind` is by how many seconds the server's clock differs from the client's, of which
    /// browsers take account in expiry dates.
    pub(crate) fn store(&mut self, line: &str, target: &str, now: i64, behind: i64) {
        let mut parts = line.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
            return;
        };
        let mut cookie = Cookie {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            domain: HOST.to_owned(),
            path: default_path(target),
            expires: None,
            is_secure: false,
        };
        let mut has_max_age = false;
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "max-age" => {
                    if let Ok(seconds) = value.parse::<i64>() {
                        has_max_age = true;
                        cookie.expires = Some(now.saturating_add(seconds));
                    }
                }
                "expires" if !has_max_age => {
                    cookie.expires = date::parse(value).map(|at| at + behind).or(cookie.expires);
                }
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "path" => cookie.path = default_path(target),
                "domain" if !value.is_empty() => {
                    cookie.domain = value.trim_start_matches('.').to_ascii_lowercase();
                }
                "secure" => cookie.is_secure = true,
                _ => {}
            }
        }
        if cookie.domain != HOST {
            return;
        }
        self.cookies
            .retain(|old| (&old.name, &old.path) != (&cookie.name, &cookie.path));
        if cookie.expires.is_none_or(|expires| expires > now) {
            self.cookies.push(cookie);
        }
    }

    /// The text of the `Cookie` field for a request (RFC 6265 §5.4); `None`: no such field.
    pub(crate) fn cookies(&self, target: &str, is_secure: bool, now: i64) -> Option<String> {
        let path = path_of(target);
        let mut fitting: Vec<&Cookie> = self
            .cookies
            .iter()
            .filter(|cookie| cookie.expires.is_none_or(|expires| expires > now))
            .filter(|cookie| is_secure || !cookie.is_secure)
            .filter(|cookie| path_matches(path, &cookie.path))
            .collect();
        // Longer paths first; the sort is stable, so the older ones first among equals.
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = fitting
            .iter()
            .map(|cookie| format!("{}={}", cookie.name, cookie.value))
            .collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// RFC 6265 §5.1.4.
fn default_path(target: &str) -> String {
    match path_of(target).rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(end) => path_of(target)[..end].to_owned(),
    }
}

/// RFC 6265 §5.1.4: byte for byte, so `/my%5Fpath` does not match `/my_path`.
fn path_matches(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// What the jar promises; the cases lean on it. Run before them.
pub(crate) fn check_itself() {
    let kept = |line: &str, path: &str, age: i64| {
        let mut jar = Jar::default();
        jar.store(line, "/app/login", 1_000, 0);
        jar.cookies(path, false, 1_000 + age).is_some()
    };
    assert!(kept("a=1;PATH=/;MAX-AGE=60", "/", 59));
    assert!(!kept("a=1;PATH=/;MAX-AGE=60", "/", 60), "expired");
    assert!(!kept("a=1; Max-Age=0", "/app/", 0), "deleted");
    assert!(
        kept("a=1", "/app/x", i64::MAX / 2),
        "a browser session has no age"
    );
    assert!(!kept("a=1", "/other", 0), "the default path");
    assert!(
        !kept("a=1; Path=/app", "/apple", 0),
        "a path ends at a slash"
    );
    assert!(!kept("a=1; Secure", "/app/", 0), "not in clear");
    assert!(
        !kept("a=1; Domain=other.test", "/app/", 0),
        "a foreign domain"
    );
    let expires = "a=1; Expires=Thu, 01 Jan 1970 00:20:00 GMT";
    assert!(kept(expires, "/app/", 199) && !kept(expires, "/app/", 200));
    let both = "a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert!(kept(both, "/app/", 59), "Max-Age wins");
    let mut jar = Jar::default();
    jar.store(expires, "/", 2_000, 1_000);
    assert!(
        jar.cookies("/", false, 2_199).is_some(),
        "the server's clock is behind"
    );
    let mut jar = Jar::default();
    jar.store("a=1; Path=/", "/", 0, 0);
    jar.store("a=2; Path=/", "/", 0, 0);
    jar.store("a=3; Path=/x", "/", 0, 0);
    assert_eq!(jar.cookies("/x/y", false, 0).as_deref(), Some("a=3; a=2"));
}
