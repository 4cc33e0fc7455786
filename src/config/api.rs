//! `[api]`: what the ELB API needs to know of this host: the addresses that it may give to load
//! balancers, the words in their DNS names, and which ids of AWS's there are.
//!
//! Not here: which addresses are taken; only whoever binds them knows.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::read::{Field, Report, Section};
use super::{Api, Mistake, Network};
use crate::limits::{KNOWN_IDS_MAX, POOL_ADDRESSES_MAX};

/// Longest suffix of DNS names: with the longest name, region and number the whole stays below the
/// 253 characters that a DNS name may have.
const DNS_SUFFIX_BYTES_MAX: usize = 128;

/// Longest label of a DNS name (RFC 1035 §2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// Longest region; AWS's own have up to 14 characters.
const REGION_BYTES_MAX: usize = 32;

/// Longest id of a subnet, a security group or a zone; AWS's own have up to 24 characters.
const ID_BYTES_MAX: usize = 255;

/// What the id of a VPC begins with.
const VPC: &str = "vpc-";

impl Default for Api {
    fn default() -> Self {
        Self {
            address_pool: Network {
                address: IpAddr::V4(Ipv4Addr::new(127, 1, 0, 0)),
                prefix: 16,
            },
            dns_suffix: None,
            region: "us-east-1".to_owned(),
            known_ids: None,
        }
    }
}

impl Api {
    /// The `index`-th address of the pool that a load balancer may have, from 0; `None` behind the
    /// last, and from [`POOL_ADDRESSES_MAX`] on.
    pub fn address(&self, index: usize) -> Option<IpAddr> {
        let index = Some(index).filter(|index| *index < POOL_ADDRESSES_MAX)?;
        self.address_pool.usable(u32::try_from(index).ok()?)
    }

    /// Whether there is a security group, subnet or zone of this id.
    pub fn knows(&self, id: &str) -> bool {
        self.known_ids.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// The VPC that all subnets are in, if it was named.
    pub fn vpc(&self) -> Option<&str> {
        let mut ids = self.known_ids.iter().flatten();
        ids.find(|id| id.starts_with(VPC)).map(String::as_str)
    }
}

/// Reads `[api]`.
pub(super) fn api(document: &mut Section<'_>, report: &mut Report<'_>) -> Option<Api> {
    let default = Api::default();
    let Some(mut section) = document.section("api", report) else {
        return Some(default);
    };
    let address_pool = section.read_or("address_pool", default.address_pool, |field| {
        field.parsed(address_pool, report)
    });
    let dns_suffix = section.read_or("dns_suffix", default.dns_suffix, |field| {
        field.parsed(dns_suffix, report).map(Some)
    });
    let region = section.read_or("region", default.region, |f| f.parsed(region, report));
    let known_ids = section.read_or("known_ids", None, |field| {
        known_ids(&field, report).map(Some)
    });
    section.finish(report);
    Some(Api {
        address_pool: address_pool?,
        dns_suffix: dns_suffix?,
        region: region?,
        known_ids: known_ids?,
    })
}

fn known_ids(field: &Field<'_>, report: &mut Report<'_>) -> Option<BTreeSet<String>> {
    let items = field.items(report)?;
    if items.len() > KNOWN_IDS_MAX {
        report.refuse(field, format!("must be at most {KNOWN_IDS_MAX} ids"));
        return None;
    }
    let read = items.iter().map(|item| item.parsed(known_id, report));
    let all: Vec<Option<String>> = read.collect();
    let ids: BTreeSet<String> = all.into_iter().collect::<Option<_>>()?;
    if ids.iter().filter(|id| id.starts_with(VPC)).count() > 1 {
        report.refuse(
            field,
            "names more than one VPC: the subnets of a host are in one",
        );
        return None;
    }
    Some(ids)
}

fn known_id(text: &str) -> Result<String, Mistake> {
    if text.is_empty() || text.len() > ID_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "must be an id such as subnet-1a2b3c4d, sg-1a2b3c4d or us-east-1a, of at most \
             {ID_BYTES_MAX} printable characters"
        )
        .into());
    }
    Ok(text.to_owned())
}

/// A network that listeners can have an address of; `0.0.0.0` or `::` alone is every address.
fn address_pool(text: &str) -> Result<Network, Mistake> {
    let network = Network::parse(text)?;
    let is_every = network.address.is_unspecified() && !network.is_one();
    if is_every || network.address.is_multicast() {
        return Err("must be a network whose addresses this host can have".into());
    }
    Ok(network)
}

fn dns_suffix(text: &str) -> Result<String, Mistake> {
    domain(text, DNS_SUFFIX_BYTES_MAX)
}

/// Labels with dots between them. One is enough, such as `localhost`.
pub(super) fn domain(text: &str, bytes_max: usize) -> Result<String, Mistake> {
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let has_outer_dash = label.starts_with('-') || label.ends_with('-');
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(is_allowed)
            && !has_outer_dash
    };
    if text.len() > bytes_max || !text.split('.').all(is_label) {
        return Err(format!(
            "must be a domain such as elb.example.com, without a dot at either end, of at most \
             {bytes_max} characters"
        )
        .into());
    }
    Ok(text.to_owned())
}

fn region(text: &str) -> Result<String, Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let has_outer_dash = text.starts_with('-') || text.ends_with('-');
    if text.is_empty()
        || text.len() > REGION_BYTES_MAX
        || has_outer_dash
        || !text.bytes().all(is_allowed)
    {
        return Err(format!(
            "must be 1 to {REGION_BYTES_MAX} of a-z 0-9 -, with no dash at either end"
        )
        .into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(text: &str) -> Api {
        Api {
            address_pool: address_pool(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}")),
            ..Api::default()
        }
    }

    #[test]
    fn a_pool_gives_its_usable_addresses_and_then_none() {
        let all = |text: &str| {
            let pool = pool(text);
            let addresses = (0..).map_while(move |index| pool.address(index));
            addresses.map(|a| a.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(all("10.0.0.0/30"), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(all("10.0.0.0/31"), ["10.0.0.0", "10.0.0.1"]);
        assert_eq!(all("10.0.0.7"), ["10.0.0.7"]);
        assert_eq!(all("0.0.0.0"), ["0.0.0.0"]);
        assert_eq!(
            all("255.255.255.252/30"),
            ["255.255.255.253", "255.255.255.254"]
        );
        assert_eq!(
            all("2001:db8::/126"),
            ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
        );
        assert_eq!(all("2001:db8::/127"), ["2001:db8::", "2001:db8::1"]);
        assert_eq!(all("::1"), ["::1"]);
        let default = all("127.1.0.0/16");
        assert_eq!(default.len(), 65_534);
        assert_eq!(default.first().unwrap(), "127.1.0.1");
        assert_eq!(default.last().unwrap(), "127.1.255.254");
    }

    #[test]
    fn a_large_pool_ends_at_its_bound() {
        for text in ["10.0.0.0/8", "2001:db8::/32", "::1:0:0:0:0/64"] {
            let pool = pool(text);
            assert!(pool.address(POOL_ADDRESSES_MAX - 1).is_some(), "{text}");
            assert_eq!(pool.address(POOL_ADDRESSES_MAX), None, "{text}");
        }
    }

    #[test]
    fn what_no_listener_can_have_is_no_pool() {
        for text in [
            "0.0.0.0/8",
            "::/0",
            "224.0.0.0/4",
            "ff00::/8",
            "host",
            "10.0.0.1/8",
        ] {
            assert!(address_pool(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn suffixes_and_regions_are_words_of_dns_names() {
        let long = format!("{}com", "a.".repeat(63));
        for text in ["localhost", "elb.example.com", "A-1.b"] {
            assert_eq!(dns_suffix(text), Ok(text.to_owned()));
        }
        for text in [
            "", ".com", "com.", "a..b", "-a.b", "a_b", "a b", "\u{e9}", &long,
        ] {
            assert!(dns_suffix(text).is_err(), "{text:?} was taken");
        }
        for text in ["us-east-1", "local", &"r".repeat(REGION_BYTES_MAX)] {
            assert_eq!(region(text), Ok(text.to_owned()));
        }
        let long = "r".repeat(REGION_BYTES_MAX + 1);
        for text in ["", "US", "-a", "a-", "a/b", "a.b", &long] {
            assert!(region(text).is_err(), "{text:?} was taken");
        }
    }
}
