//! A client's place among its own connections, where the load balancer bounds how many it has.
//!
//! The counting is `state::Clients`. Invariant: whose connection it is has been said before, also
//! where a PROXY header says it.

use std::net::{IpAddr, Ipv6Addr};

use super::Shard;
use super::serve::Client;
use crate::state::{Entry, LoadBalancerLine, Seat};

/// The bits of an IPv6 address that are one subscriber's.
const PREFIX_BITS: u32 = 64;

/// Counts a connection among its client's for as long as the place is held. `None`: the client has
/// as many as it may, and the connection is to be closed.
pub(super) fn take_seat<'s>(shard: &'s Shard, client: &Client<'_>) -> Option<Option<Seat<'s>>> {
    let world = shard.world();
    let Some(route) = world.route(client.listener.number) else {
        return Some(None);
    };
    let Some(most) = route.attributes.bounds.max_connections else {
        return Some(None);
    };
    let whose = (&*route.load_balancer, network(client.ip()));
    match shard.link.clients.enter(whose, most) {
        Entry::Counted(seat) => Some(Some(seat)),
        Entry::Uncounted => {
            shard.counts().clients_uncounted.add(1);
            Some(None)
        }
        Entry::Refused => {
            let counts: &LoadBalancerLine = route.counts.line(shard.index);
            counts.clients_refused.add(1);
            None
        }
    }
}

/// What counts as one client: an address, or a network of IPv6 of which everybody has a whole one.
fn network(address: IpAddr) -> u128 {
    let bits = |address: Ipv6Addr| u128::from(address);
    match address.to_canonical() {
        IpAddr::V4(address) => bits(address.to_ipv6_mapped()),
        IpAddr::V6(address) => bits(address) >> PREFIX_BITS << PREFIX_BITS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
