//! `[cluster]`: where this node meets the others, what it is called, and whose secret they share.
//!
//! Not the secret itself: it is in a file of its own, which the shell reads (`control::secrets`),
//! so that a configuration can be shown to anybody. Nor are names resolved here.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::api::domain;
use super::host::DOMAIN_BYTES_MAX;
use super::read::{Field, Report, Section};
use super::{Cluster, Mistake};
use crate::limits::{CLUSTER_SEEDS_MAX, NODE_NAME_BYTES_MAX};

impl Cluster {
    /// The same where the kernel has chosen the port of `listen`: it is advertised, and the node is
    /// called so, unless the file says otherwise.
    #[must_use]
    pub fn at(mut self, port: u16) -> Self {
        self.listen.set_port(port);
        if self.advertise.port() == 0 {
            let is_named_after_it = self.node == self.advertise.to_string();
            self.advertise.set_port(port);
            if is_named_after_it {
                self.node = self.advertise.to_string();
            }
        }
        self
    }
}

/// Reads `[cluster]`; `Some(None)` where it is not written.
pub(super) fn cluster(
    document: &mut Section<'_>,
    report: &mut Report<'_>,
) -> Option<Option<Cluster>> {
    let is_written = document.peek("cluster").is_some();
    let Some(mut section) = document.section("cluster", report) else {
        return (!is_written).then_some(None);
    };
    let listen = section.required("listen", report);
    let listen = listen.and_then(|field| Some((field.parsed(address, report)?, field)));
    let advertise = section.field("advertise");
    let advertise = match (&listen, &advertise) {
        (None, advertise) => {
            // What is wrong with it by itself is told at once.
            advertise
                .as_ref()
                .and_then(|field| field.parsed(address, report));
            None
        }
        (Some((listen, _)), Some(field)) => {
            field.parsed(|text| advertised(address(text)?, *listen), report)
        }
        (Some((listen, field)), None) => field.parsed(|_| advertised(*listen, *listen), report),
    };
    let node = section.read_or("node", None, |field| field.parsed(node, report).map(Some));
    let seeds = section.read_or("seeds", Vec::new(), |field| seeds(&field, report));
    let secret_file = section.required("secret_file", report);
    let secret_file = secret_file.and_then(|field| field.parsed(file, report));
    section.finish(report);
    let advertise = advertise?;
    Some(Some(Cluster {
        listen: listen?.0,
        advertise,
        node: node?.unwrap_or_else(|| advertise.to_string()),
        seeds: seeds?,
        secret_file: secret_file?,
    }))
}

fn address(text: &str) -> Result<SocketAddr, Mistake> {
    text.parse()
        .map_err(|_| "must be an IP address and port, such as 10.0.0.5:7946".into())
}

/// The address that other nodes send to, for a socket that listens there.
fn advertised(address: SocketAddr, listen: SocketAddr) -> Result<SocketAddr, Mistake> {
    let ip = address.ip();
    if ip.is_unspecified() {
        return Err(
            "is every address of this host: `advertise` must say at which one other nodes reach it"
                .into(),
        );
    }
    if ip.is_multicast() {
        return Err("must be an address of this host alone".into());
    }
    if address.port() == 0 && listen.port() != 0 {
        return Err("must have a port, which is 0 only where that of `listen` is".into());
    }
    Ok(address)
}

/// Characters that stand for themselves in logs, paths and keys that have a name in them.
fn node(text: &str) -> Result<String, Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    if text.is_empty() || text.len() > NODE_NAME_BYTES_MAX || !text.bytes().all(is_allowed) {
        return Err(format!(
            "must be 1 to {NODE_NAME_BYTES_MAX} printable ASCII characters without space and /"
        )
        .into());
    }
    Ok(text.to_owned())
}

fn seeds(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    let items = field.items(report)?;
    if items.len() > CLUSTER_SEEDS_MAX {
        report.refuse(
            field,
            format!("must be at most {CLUSTER_SEEDS_MAX} addresses"),
        );
        return None;
    }
    let read = items.iter().map(|item| item.parsed(seed, report));
    // All of them are read, so that every problem is noted.
    let all: Vec<Option<String>> = read.collect();
    all.into_iter().collect()
}

/// An address, or a name that is resolved later, and a port.
fn seed(text: &str) -> Result<String, Mistake> {
    let mistake = "must be HOST:PORT, such as 10.0.0.6:7946, [2001:db8::6]:7946 or elbow-2:7946";
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    let is_reachable = match text.parse::<SocketAddr>() {
        Ok(address) => address.port() != 0 && !address.ip().is_unspecified(),
        Err(_) => {
            let (host, port) = text.rsplit_once(':').ok_or(mistake)?;
            // An address that is none, such as 10.0.0.256, is no name either.
            let ends_in_number = host
                .rsplit('.')
                .next()
                .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
            domain(host, DOMAIN_BYTES_MAX).is_ok() && !ends_in_number && is_port(port)
        }
    };
    match is_reachable {
        true => Ok(text.to_owned()),
        false => Err(mistake.into()),
    }
}

fn file(text: &str) -> Result<PathBuf, Mistake> {
    match text {
        "" => Err("must be the path of a file with the secret that all nodes share".into()),
        _ => Ok(PathBuf::from(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_an_address_or_a_name_with_a_port() {
        for text in [
            "10.0.0.6:7946",
            "[2001:db8::6]:7946",
            "elbow-2:7946",
            "elbow.example.com:1",
        ] {
            assert_eq!(seed(text), Ok(text.to_owned()));
        }
        let long = format!("{}a:1", "a.".repeat(127));
        for text in [
            "",
            ":1",
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1 ",
            "10.0.0.6",
            "10.0.0.6:0",
            "10.0.0.256:1",
            "0.0.0.0:1",
            "[::]:1",
            "::1:7946",
            "[::1]",
            "a b:1",
            "a/b:1",
            "udp://a:1",
            "-a:1",
            "a.:1",
            "\u{e9}:1",
            &long,
        ] {
            assert!(seed(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn a_name_fits_logs_and_keys() {
        let long = "n".repeat(NODE_NAME_BYTES_MAX);
        for text in ["a", "10.0.0.5:7946", "[::1]:1", "rack-7_elbow@eu", &long] {
            assert_eq!(node(text), Ok(text.to_owned()));
        }
        let longer = format!("{long}n");
        for text in ["", "a/b", "a b", "a\n", "\u{e9}", &longer] {
            assert!(node(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn what_the_kernel_has_chosen_is_advertised_unless_the_file_says_otherwise() {
        let address = |text: &str| address(text).expect("an address");
        let chosen = |advertise: &str, node: &str| {
            let cluster = Cluster {
                listen: address("127.0.0.1:0"),
                advertise: address(advertise),
                node: node.to_owned(),
                seeds: Vec::new(),
                secret_file: "/secret".into(),
            };
            let Cluster {
                listen,
                advertise,
                node,
                ..
            } = cluster.at(9);
            assert_eq!(listen, address("127.0.0.1:9"));
            (advertise.to_string(), node)
        };
        let both = |advertise: &str, node: &str| (advertise.to_owned(), node.to_owned());
        assert_eq!(
            chosen("127.0.0.1:0", "127.0.0.1:0"),
            both("127.0.0.1:9", "127.0.0.1:9")
        );
        assert_eq!(chosen("127.0.0.1:0", "a"), both("127.0.0.1:9", "a"));
        assert_eq!(
            chosen("10.0.0.1:7", "10.0.0.1:7"),
            both("10.0.0.1:7", "10.0.0.1:7")
        );
    }
}
