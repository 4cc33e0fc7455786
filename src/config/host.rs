//! The sections `[host]` and `[admin]`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::api::domain;
use super::credential::credentials;
use super::duration::Lengths;
use super::read::{Field, Report, Section};
use super::{Admin, Cores, Driver, Host, Mistake};
use crate::limits::{ADMIN_NAMES_MAX, SHARDS_MAX};

/// Where listeners bind unless they or `[host]` say otherwise.
pub(super) const ANY_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Up to an hour, from not at all.
const SHUTDOWN_TIMEOUT: Lengths = Lengths {
    seconds: 0..=3600,
    shortest: Duration::ZERO,
};

/// Longest DNS name (RFC 1035 §2.3.4).
pub(super) const DOMAIN_BYTES_MAX: usize = 253;

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
    /// `127.0.0.1:9090`, and open.
    fn default() -> Self {
        Self {
            listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 9090))),
            names: Vec::new(),
            credentials: Vec::new(),
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
    /// There is none.
    pub const OFF: Self = Self {
        listen: None,
        names: Vec::new(),
        credentials: Vec::new(),
    };

    /// Reads an address with its port, or `off` (an empty text means the same); the rest is as by
    /// default.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let listen =
            match text {
                "" | "off" => None,
                _ => Some(text.parse().map_err(
                    |_| "must be an IP address and port, such as 127.0.0.1:9090, or off",
                )?),
            };
        Ok(Self {
            listen,
            ..Self::default()
        })
    }

    /// Whether it may be where it is: whoever reaches it may do all of it, unless there are
    /// credentials.
    pub(super) fn check(&self) -> Result<(), Mistake> {
        if self.is_within_host() || !self.credentials.is_empty() {
            return Ok(());
        }
        Err(
            "must be a loopback address, or there must be an [[admin.credential]] with an \
             access_key_id and a secret_access_key_file: whoever reaches it could change anything"
                .into(),
        )
    }

    /// Whether only processes of this host reach it.
    pub fn is_within_host(&self) -> bool {
        let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
        self.listen.is_none_or(is_loopback)
    }

    /// Whether it needs the same address as a listener on `listener`.
    ///
    /// Who is on all addresses takes each of them. Port 0 never clashes.
    pub(super) fn clashes_with(&self, listener: SocketAddr) -> bool {
        self.listen.is_some_and(|admin| {
            admin.port() != 0
                && admin.port() == listener.port()
                && (admin.ip() == listener.ip()
                    || admin.ip().is_unspecified()
                    || listener.ip().is_unspecified())
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
    let listen = section.field("listen");
    let parsed = match &listen {
        None => Some(Admin::default()),
        Some(field) => field.parsed(Admin::parse, report),
    };
    let names = section.read_or("names", Vec::new(), |field| names(&field, report));
    let credentials = credentials(&mut section, report);
    section.finish(report);
    let admin = Admin {
        names: names?,
        credentials: credentials?,
        ..parsed?
    };
    match (admin.check(), listen) {
        (Err(mistake), Some(listen)) => {
            report.refuse(&listen, mistake);
            None
        }
        // The default is a loopback address.
        (Err(_), None) | (Ok(()), _) => Some(admin),
    }
}

/// Reads what else the admin address is called.
fn names(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let items = field.items(report)?;
    if items.len() > ADMIN_NAMES_MAX {
        report.refuse(field, format!("must be at most {ADMIN_NAMES_MAX} names"));
        return None;
    }
    let name = |text: &str| Ok(domain(text, DOMAIN_BYTES_MAX)?.to_ascii_lowercase());
    let read = items.iter().map(|item| item.parsed(name, report));
    let all: Vec<Option<String>> = read.collect();
    all.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Credential;

    fn listening(text: &str) -> Admin {
        Admin::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
    }

    #[test]
    fn the_admin_address_is_an_address_or_off() {
        assert_eq!(listening("off").listen, None);
        assert_eq!(listening(""), listening("off"));
        assert_eq!(listening("127.0.0.1:9090"), Admin::default());
        for text in ["127.0.0.1", "localhost:9090", "9090"] {
            assert!(Admin::parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn an_address_that_others_reach_needs_credentials() {
        for text in ["off", "127.0.0.1:9090", "[::1]:0", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(listening(text).check(), Ok(()), "{text}");
        }
        let credential = Credential {
            access_key_id: "A".to_owned(),
            secret_access_key_file: "/secret".into(),
            is_read_only: true,
            line: 1,
        };
        for text in ["0.0.0.0:9090", "10.0.0.1:9090", "[::]:9090"] {
            let open = listening(text);
            assert!(open.check().is_err(), "{text}");
            let closed = Admin {
                credentials: vec![credential.clone()],
                ..open
            };
            assert_eq!(closed.check(), Ok(()), "{text}");
        }
    }

    #[test]
    fn who_is_on_all_addresses_takes_that_of_the_other() {
        let admin = Admin::default();
        let clashes = |listener: &str| admin.clashes_with(listener.parse().expect("an address"));
        assert!(clashes("127.0.0.1:9090"));
        assert!(clashes("0.0.0.0:9090"));
        assert!(!clashes("10.0.0.1:9090"));
        assert!(!clashes("127.0.0.1:8080"));
        let any_port = Admin::parse("127.0.0.1:0").expect("port 0 is taken");
        assert!(!any_port.clashes_with("127.0.0.1:0".parse().expect("an address")));
        let everywhere = listening("0.0.0.0:9090");
        assert!(everywhere.clashes_with("10.0.0.1:9090".parse().expect("an address")));
    }
}
