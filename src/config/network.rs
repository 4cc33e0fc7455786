//! Networks: the addresses from which a listener believes PROXY headers, and those that the API may
//! give.
//!
//! Not lenient: bits of an address behind its prefix are refused, as one of the two is a mistake.
//! Invariant: an IPv4 network is written as one, whatever the form of the addresses it holds.

use std::fmt;
use std::net::IpAddr;

use super::read::{Field, Report};
use super::{Mistake, Network};
use crate::limits::PROXY_NETWORKS_MAX;

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32`, or an address alone.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address
            .parse()
            .map_err(|_| "must be an IP address, or a network such as 10.0.0.0/8")?;
        if address.to_canonical() != address {
            return Err("is IPv4 in the form of IPv6; write it as IPv4".into());
        }
        let bits = address_bits(address);
        let prefix = match prefix {
            None => bits,
            Some(digits) => prefix_of(digits)
                .filter(|prefix| *prefix <= bits)
                .ok_or_else(|| format!("the prefix must be 0 to {bits}"))?,
        };
        let network = Self { address, prefix };
        let first = network.first();
        if first != address {
            let first = Self {
                address: first,
                prefix,
            };
            return Err(format!("has bits behind its prefix; the network is {first}").into());
        }
        Ok(network)
    }

    /// Whether `address`, also one of IPv4 in the form of IPv6, is of this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && Self { address, ..*self }.first() == self.address
    }

    /// Whether it is one address.
    pub(super) fn is_one(&self) -> bool {
        self.prefix == address_bits(self.address)
    }

    /// The `index`-th of the addresses that hosts may have, from 0. The first and the last of an
    /// IPv4 network shorter than /31 are not among them (RFC 3021), nor is the first of an IPv6
    /// network shorter than /127, which is that of its routers (RFC 4291 §2.6.1).
    pub(super) fn usable(&self, index: u32) -> Option<IpAddr> {
        let behind = u32::from(address_bits(self.address) - self.prefix);
        let spared = u128::from(behind > 1);
        let offset = u128::from(index) + spared;
        // Of 2^128 addresses the last is out of reach anyway.
        let end = 1_u128.checked_shl(behind).unwrap_or(u128::MAX);
        match self.address {
            IpAddr::V4(first) if offset < end - spared => {
                let offset = u32::try_from(offset).ok()?;
                Some(IpAddr::V4((first.to_bits() + offset).into()))
            }
            IpAddr::V6(first) if offset < end => {
                Some(IpAddr::V6((first.to_bits() + offset).into()))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    /// The address with all bits behind the prefix cleared.
    fn first(&self) -> IpAddr {
        let behind = u32::from(address_bits(self.address) - self.prefix);
        match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(behind).unwrap_or(0);
                IpAddr::V4((address.to_bits() & mask).into())
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(behind).unwrap_or(0);
                IpAddr::V6((address.to_bits() & mask).into())
            }
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.is_one() {
            return Ok(());
        }
        write!(f, "/{}", self.prefix)
    }
}

fn address_bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn prefix_of(digits: &str) -> Option<u8> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok())?
}

/// Reads a list of networks.
pub(super) fn networks(field: &Field<'_>, report: &mut Report<'_>) -> Option<Vec<Network>> {
    let items = field.items(report)?;
    if items.len() > PROXY_NETWORKS_MAX {
        report.refuse(field, format!("more than {PROXY_NETWORKS_MAX} networks"));
        return None;
    }
    // All of them are read, so that every problem is named.
    let networks: Vec<Option<Network>> = items
        .iter()
        .map(|item| item.parsed(Network::parse, report))
        .collect();
    networks.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap_or_else(|mistake| panic!("{text}: {mistake}"))
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let holds = |text: &str, address: &str| network(text).contains(address.parse().unwrap());
        assert!(holds("10.0.0.0/8", "10.255.0.1"));
        assert!(
            holds("10.0.0.0/8", "::ffff:10.255.0.1"),
            "seen by a listener on ::"
        );
        assert!(!holds("10.0.0.0/8", "11.0.0.1"));
        assert!(holds("192.0.2.7", "192.0.2.7"));
        assert!(!holds("192.0.2.7", "192.0.2.6"));
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(!holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::/0", "2001:db8::1"));
        assert!(!holds("::/0", "203.0.113.9"));
        assert!(!holds("::/0", "::ffff:203.0.113.9"));
        assert!(holds("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!holds("2001:db8::/33", "2001:db8:8000::1"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_reason() {
        let mistake = |text: &str| Network::parse(text).unwrap_err().to_string();
        for text in ["", "10.0.0", "host", "10.0.0.1:80", "fe80::1%lo", " ::1"] {
            let expected = "must be an IP address, or a network such as 10.0.0.0/8";
            assert_eq!(mistake(text), expected, "{text:?}");
        }
        for text in ["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8"] {
            assert_eq!(mistake(text), "the prefix must be 0 to 32", "{text:?}");
        }
        assert_eq!(mistake("::/129"), "the prefix must be 0 to 128");
        let expected = "has bits behind its prefix; the network is 10.1.0.0/16";
        assert_eq!(mistake("10.1.2.3/16"), expected);
        let expected = "is IPv4 in the form of IPv6; write it as IPv4";
        assert_eq!(mistake("::ffff:10.0.0.0/104"), expected);
    }

    proptest! {
        #[test]
        fn an_address_is_of_the_networks_that_it_begins(
            address in prop_oneof![
                any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
                any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
            ],
            prefix in 0_u8..=128,
        ) {
            let prefix = prefix.min(address_bits(address));
            let first = Network { address, prefix }.first();
            let network = Network { address: first, prefix };
            prop_assert_eq!(network.contains(address), address.to_canonical() == address);
            if first.to_canonical() == first {
                prop_assert_eq!(Network::parse(&network.to_string()), Ok(network));
            }
        }
    }
}
