//! Health check targets as CLB writes them: `TCP:8080`, `HTTP:8080/ping` (CLB.md §4.4).

use std::fmt;

use super::{Mistake, Protocol, Target};

/// Longest path of a check (CLB.md §4.4).
const PATH_BYTES_MAX: usize = 1024;

impl Protocol {
    /// Reads `HTTP`, `HTTPS`, `TCP` or `SSL`, in upper or lower case.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let all = [Self::Http, Self::Https, Self::Tcp, Self::Ssl];
        all.into_iter()
            .find(|protocol| protocol.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| "must be HTTP, HTTPS, TCP or SSL".into())
    }

    /// Its name in upper case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
            Self::Tcp => "TCP",
            Self::Ssl => "SSL",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Target {
    /// Reads `PROTOCOL:port`, for HTTP and HTTPS `PROTOCOL:port/path`.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let (protocol, rest) = text
            .split_once(':')
            .ok_or("must be such as \"HTTP:8080/ping\" or \"TCP:8080\"")?;
        let protocol = Protocol::parse(protocol)
            .map_err(|mistake| format!("the protocol before the colon {mistake}"))?;
        let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        // Rust's own number parser also takes a plus sign.
        let port = Some(port)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|port: &u16| *port != 0)
            .ok_or("the port after the colon must be 1 to 65535")?;
        match protocol {
            Protocol::Http | Protocol::Https => check_path(path)?,
            Protocol::Tcp | Protocol::Ssl if path.is_empty() => {}
            Protocol::Tcp | Protocol::Ssl => {
                return Err("TCP and SSL take no path: they only connect".into());
            }
        }
        Ok(Self {
            protocol,
            port,
            path: path.to_owned(),
        })
    }
}

fn check_path(path: &str) -> Result<(), Mistake> {
    if path.is_empty() {
        return Err("HTTP and HTTPS need a path, such as \"HTTP:8080/ping\"".into());
    }
    // A space would end the path in the request line of the check.
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("the path must be printable ASCII without spaces".into());
    }
    if path.len() > PATH_BYTES_MAX {
        return Err(format!("the path must have at most {PATH_BYTES_MAX} characters").into());
    }
    Ok(())
}

impl fmt::Display for Target {
    /// As [`Target::parse`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}{}", self.protocol, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_four_forms_of_clb_are_read() {
        let http = Target {
            protocol: Protocol::Http,
            port: 8080,
            path: "/ping?a=1".to_owned(),
        };
        assert_eq!(Target::parse("HTTP:8080/ping?a=1"), Ok(http));
        let tcp = Target {
            protocol: Protocol::Tcp,
            port: 80,
            path: String::new(),
        };
        assert_eq!(Target::parse("tcp:80"), Ok(tcp));
        assert!(Target::parse("HTTPS:443/").is_ok());
        assert!(Target::parse("SSL:443").is_ok());
    }

    #[test]
    fn what_clb_does_not_have_is_refused() {
        for text in [
            "",
            "HTTP",
            "HTTP:",
            "HTTP:/",
            "HTTP:80",
            "HTTP:0/",
            "HTTP:65536/",
            "UDP:53",
            "TCP:80/x",
            "HTTP:80/a b",
            "HTTP:80/\u{e9}",
            "HTTP:80/\n",
            "HTTP: 80/",
            "TCP:+80",
            "TCP:",
            "80/ping",
        ] {
            assert!(Target::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn the_path_ends_at_its_bound() {
        let path = |bytes: usize| format!("HTTP:80/{}", "p".repeat(bytes - 1));
        assert!(Target::parse(&path(PATH_BYTES_MAX)).is_ok());
        assert!(Target::parse(&path(PATH_BYTES_MAX + 1)).is_err());
    }

    proptest! {
        #[test]
        fn a_printed_target_reads_back(
            secure: bool,
            port in 1..=u16::MAX,
            path in "(/[!-~]{0,30})?",
        ) {
            let protocol = match (path.is_empty(), secure) {
                (false, false) => Protocol::Http,
                (false, true) => Protocol::Https,
                (true, false) => Protocol::Tcp,
                (true, true) => Protocol::Ssl,
            };
            let target = Target { protocol, port, path };
            prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
        }

        #[test]
        fn what_is_taken_prints_as_it_was_written(text in "(HTTP|TCP):[0-9]{1,6}(/[ -~]{0,5})?") {
            if let Ok(target) = Target::parse(&text) {
                let port = text[text.find(':').expect("in the pattern") + 1..].to_owned();
                prop_assert!(target.to_string() == text || port.starts_with('0'));
            }
        }
    }
}
