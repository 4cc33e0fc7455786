//! The sections `[host]` and `[admin]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::duration::Lengths;
use super::read::{Report, Section};
use super::{Admin, Cores, Driver, Host, Mistake};
use crate::limits::SHARDS_MAX;

/// Where listeners bind unless they or `[host]` say otherwise.
pub(super) const ANY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Up to an hour, from not at all.
const SHUTDOWN_TIMEOUT: Lengths = Lengths {
    seconds: 0..=3600,
    shortest: Duration::ZERO,
};

/// Below it shards would count more than they serve.
const SESSION_WINDOW: Lengths = Lengths {
    seconds: 1..=300,
    shortest: Duration::from_millis(100),
};

impl Default for Host {
    fn default() -> Self {
        Self {
            cores: Cores::Allowed,
            pin: true,
            driver: Driver::Auto,
            state_dir: None,
            shutdown_timeout: Duration::from_secs(30),
            session_window: Duration::from_secs(30),
        }
    }
}

impl Default for Admin {
    /// `127.0.0.1:9090`.
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9090))),
        }
    }
}

impl Driver {
    /// The names that [`Driver::parse`] takes.
    pub const NAMES: [&str; 3] = ["auto", "uring", "epoll"];

    /// Reads one of [`Driver::NAMES`].
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "auto" => Ok(Self::Auto),
            "uring" => Ok(Self::Uring),
            "epoll" => Ok(Self::Epoll),
            _ => Err(format!("must be {}", Self::NAMES.join(" or ")).into()),
        }
    }
}

impl Admin {
    /// Reads a loopback address with its port, or `off` (an empty text means the same).
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        if matches!(text, "" | "off") {
            return Ok(Self { listen: None });
        }
        let address: SocketAddr = text
            .parse()
            .map_err(|_| "must be an IP address and port, such as 127.0.0.1:9090, or off")?;
        if !address.ip().to_canonical().is_loopback() {
            return Err("must be a loopback address: this version has no credentials".into());
        }
        Ok(Self {
            listen: Some(address),
        })
    }

    /// Whether it needs the same address as a listener on `listener`.
    ///
    /// A listener on all addresses takes the loopback ones too. Port 0 never clashes.
    pub(super) fn clashes_with(&self, listener: SocketAddr) -> bool {
        self.listen.is_some_and(|admin| {
            admin.port() != 0
                && admin.port() == listener.port()
                && (admin.ip() == listener.ip() || listener.ip().is_unspecified())
        })
    }
}

/// Reads `[host]`: the process, and the address that listeners fall back to.
pub(super) fn host(document: &mut Section<'_>, report: &mut Report<'_>) -> Option<(Host, IpAddr)> {
    let Some(mut section) = document.section("host", report) else {
        return Some((Host::default(), ANY_ADDRESS));
    };
    let default = Host::default();
    let cores = cores(&mut section, report);
    let pin = section.read_or("pin", default.pin, |field| field.boolean(report));
    let driver = section.read_or("driver", default.driver, |field| {
        field.parsed(Driver::parse, report)
    });
    let address = section.read_or("address", ANY_ADDRESS, |field| field.ip_address(report));
    let state_dir = section.read_or("state_dir", default.state_dir, |field| {
        field.parsed(directory, report).map(Some)
    });
    let shutdown_timeout = section.read_or("shutdown_timeout", default.shutdown_timeout, |field| {
        field.duration(&SHUTDOWN_TIMEOUT, report)
    });
    let session_window = section.read_or("session_window", default.session_window, |field| {
        field.duration(&SESSION_WINDOW, report)
    });
    section.finish(report);
    let host = Host {
        cores: cores?,
        pin: pin?,
        driver: driver?,
        state_dir: state_dir?,
        shutdown_timeout: shutdown_timeout?,
        session_window: session_window?,
    };
    Some((host, address?))
}

fn cores(section: &mut Section<'_>, report: &mut Report<'_>) -> Option<Cores> {
    let list = section.field("cores");
    let count = section.field("shards");
    match (list, count) {
        (None, None) => Some(Cores::Allowed),
        (Some(list), None) => list.parsed(Cores::parse_list, report),
        (None, Some(count)) => {
            let shards = count.integer(1..=SHARDS_MAX as u64, report)?;
            Cores::parse_count(&shards.to_string()).ok()
        }
        (Some(_), Some(count)) => {
            report.refuse(
                &count,
                "`cores` already says how many shards there are: keep one",
            );
            None
        }
    }
}

fn directory(text: &str) -> Result<PathBuf, Mistake> {
    if text.is_empty() {
        Err("must name a directory".into())
    } else {
        Ok(PathBuf::from(text))
    }
}

/// Reads `[admin]`.
pub(super) fn admin(document: &mut Section<'_>, report: &mut Report<'_>) -> Option<Admin> {
    let Some(mut section) = document.section("admin", report) else {
        return Some(Admin::default());
    };
    let admin = section.read_or("listen", Admin::default(), |field| {
        field.parsed(Admin::parse, report)
    });
    section.refuse_not_yet(&["credential"], report);
    section.finish(report);
    admin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_loopback_or_off() {
        let off = Admin { listen: None };
        assert_eq!(Admin::parse("off"), Ok(off.clone()));
        assert_eq!(Admin::parse(""), Ok(off));
        assert_eq!(Admin::parse("127.0.0.1:9090"), Ok(Admin::default()));
        assert!(Admin::parse("[::1]:0").is_ok());
        for text in [
            "0.0.0.0:9090",
            "10.0.0.1:9090",
            "[::]:9090",
            "127.0.0.1",
            "localhost:9090",
        ] {
            assert!(Admin::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_listener_on_all_addresses_takes_the_admin_address_too() {
        let admin = Admin::default();
        let clashes = |listener: &str| admin.clashes_with(listener.parse().expect("an address"));
        assert!(clashes("127.0.0.1:9090"));
        assert!(clashes("0.0.0.0:9090"));
        assert!(!clashes("10.0.0.1:9090"));
        assert!(!clashes("127.0.0.1:8080"));
        let any_port = Admin::parse("127.0.0.1:0").expect("port 0 is taken");
        assert!(!any_port.clashes_with("127.0.0.1:0".parse().expect("an address")));
    }
}
