//! Keeps web pages away from the admin address, whoever may use it otherwise.
//!
//! A browser on this host can be made to ask it: by a name that a page's owner lets point here (DNS
//! rebinding), or by a request from another site. Both show in fields that a page cannot set.
//! Invariant: what passes names this host by address, as `localhost` or as it is called in the
//! configuration, and changes nothing for a page of another origin.

use std::net::IpAddr;

use axum::http::{HeaderMap, Method, header};

use super::denied::Denied;
use crate::state::AdminRefusal;

/// Judges a request by its fields; `names` are those of the admin address, in lower case.
///
/// # Errors
/// [`AdminRefusal::Host`], [`AdminRefusal::Origin`].
pub(super) fn check(method: &Method, fields: &HeaderMap, names: &[String]) -> Result<(), Denied> {
    let hosts = || fields.get_all(header::HOST).iter();
    let is_ours = |host: &str| is_this_host(host, names);
    if !hosts().all(|host| host.to_str().is_ok_and(is_ours)) {
        return Err(Denied::new(
            AdminRefusal::Host,
            "the Host field must be an IP address, localhost or one of [admin] names",
        ));
    }
    // By TLS, if somebody in front takes it off.
    let is_ours = |origin: &[u8]| {
        let schemes: [&[u8]; 2] = [b"http://", b"https://"];
        let mut named = schemes
            .iter()
            .filter_map(|scheme| origin.strip_prefix(*scheme));
        named.any(|name| hosts().any(|host| host.as_bytes() == name))
    };
    let mut origins = fields.get_all(header::ORIGIN).iter();
    if !method.is_safe() && !origins.all(|origin| is_ours(origin.as_bytes())) {
        return Err(Denied::new(
            AdminRefusal::Origin,
            "pages of other origins may change nothing here",
        ));
    }
    Ok(())
}

fn is_this_host(field: &str, names: &[String]) -> bool {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match field.rsplit_once(':') {
        Some((name, port)) if is_port(port) => name,
        Some(_) | None => field,
    };
    let bare = name.strip_prefix('[').and_then(|n| n.strip_suffix(']'));
    let is_named = |known: &str| name.eq_ignore_ascii_case(known);
    is_named("localhost")
        || names.iter().any(|known| is_named(known))
        || bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(method: Method, host: &str, origin: Option<&str>) -> bool {
        let mut fields = HeaderMap::new();
        fields.insert(header::HOST, host.parse().expect("it is printable"));
        if let Some(origin) = origin {
            fields.insert(header::ORIGIN, origin.parse().expect("it is printable"));
        }
        check(&method, &fields, &["elb.example.com".to_owned()]).is_ok()
    }

    #[test]
    fn only_addresses_and_known_names_name_this_host() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:9090",
            "[::1]",
            "[::1]:80",
            "LOCALHOST:9090",
            "ELB.example.com:9090",
        ] {
            assert!(passes(Method::GET, host, None), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "elb.example.com.evil.example",
            "evil.elb.example.com",
            "127.0.0.1.evil.example",
        ] {
            assert!(!passes(Method::GET, host, None), "{host}");
        }
        assert!(
            check(&Method::GET, &HeaderMap::new(), &[]).is_ok(),
            "HTTP/1.0"
        );
    }

    #[test]
    fn a_page_changes_nothing_unless_it_came_from_here() {
        let host = "127.0.0.1:9090";
        for origin in [
            "http://evil.example",
            "https://evil.example",
            "null",
            "http://127.0.0.1:8080",
            "127.0.0.1:9090",
        ] {
            assert!(!passes(Method::POST, host, Some(origin)), "{origin}");
            assert!(!passes(Method::DELETE, host, Some(origin)), "{origin}");
            assert!(passes(Method::GET, host, Some(origin)), "{origin}");
        }
        assert!(passes(Method::PUT, host, Some("http://127.0.0.1:9090")));
        assert!(passes(Method::PUT, host, Some("https://127.0.0.1:9090")));
        assert!(passes(Method::PUT, host, None));
    }
}
