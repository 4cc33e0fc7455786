//! Who guesses secrets: failures to prove whose a request is, by client and by credential.
//!
//! Not what proves it (`proof.rs`). Pure: time comes in. Invariants: after `limits::GUESSES_MAX`
//! failures within a while a client proves nothing for that credential until its time is over,
//! whatever else it proves meanwhile; other clients, and other credentials of the client, do.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{GUESSES_MAX, GUESSES_WINDOW, LOCKOUT_TIME};

/// Of an IPv6 address, what everybody has who has one.
const PREFIX_BITS: u32 = 64;

/// What counts as one client: an address of IPv4, or a /64 of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network(Ipv6Addr);

/// A client, and the credential whose secret it would have to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Guesser {
    network: Network,
    /// `None`: no credential has the id that it names.
    access_key_id: Option<String>,
}

/// Those that have failed a short while ago.
#[derive(Debug)]
pub(super) struct Guesses {
    failed: BTreeMap<Guesser, Failed>,
    most: usize,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    /// When all is as if it had not.
    until: Instant,
}

impl Network {
    pub(super) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.to_ipv6_mapped()),
            IpAddr::V6(address) => {
                let bits = u128::from(address) >> PREFIX_BITS << PREFIX_BITS;
                Self(Ipv6Addr::from(bits))
            }
        }
    }
}

impl Guesser {
    /// `access_key_id`: that of a credential; `None`: there is none.
    pub(super) fn new(network: Network, access_key_id: Option<&str>) -> Self {
        Self {
            network,
            access_key_id: access_key_id.map(str::to_owned),
        }
    }
}

impl Guesses {
    /// None yet; `most` of those that failed at once.
    pub(super) fn new(most: usize) -> Self {
        Self {
            failed: BTreeMap::new(),
            most,
        }
    }

    /// For how much longer nothing that it shows is looked at; `None`: it is.
    pub(super) fn locked_for(&self, guesser: &Guesser, now: Instant) -> Option<Duration> {
        let failed = self.failed.get(guesser)?;
        let left = failed.until.saturating_duration_since(now);
        (failed.times >= GUESSES_MAX && !left.is_zero()).then_some(left)
    }

    /// It was wrong. Whether another one was forgotten for it, as as many are known as may be: the
    /// one whose time would have been over first.
    pub(super) fn fail(&mut self, guesser: Guesser, now: Instant) -> bool {
        self.failed.retain(|_, failed| failed.until > now);
        let is_full = self.failed.len() >= self.most && !self.failed.contains_key(&guesser);
        if is_full {
            let first = self.failed.iter().min_by_key(|(_, failed)| failed.until);
            let first = first.map(|(guesser, _)| guesser.clone());
            first.map(|guesser| self.failed.remove(&guesser));
        }
        let failed = self.failed.entry(guesser).or_insert(Failed {
            times: 0,
            until: now + GUESSES_WINDOW,
        });
        failed.times += 1;
        if failed.times == GUESSES_MAX {
            failed.until = now + LOCKOUT_TIME;
        }
        is_full
    }

    /// It was right.
    pub(super) fn succeed(&mut self, guesser: &Guesser) {
        self.failed.remove(guesser);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guesser(address: &str, access_key_id: &str) -> Guesser {
        let network = Network::of(address.parse().unwrap());
        Guesser::new(network, Some(access_key_id))
    }

    fn fail_often(guesses: &mut Guesses, guesser: &Guesser, times: u32, now: Instant) {
        for _ in 0..times {
            guesses.fail(guesser.clone(), now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_is_locked_out_for_a_while() {
        let (mut guesses, now) = (Guesses::new(10), Instant::now());
        let one = guesser("192.0.2.1", "A");
        fail_often(&mut guesses, &one, GUESSES_MAX - 1, now);
        assert_eq!(guesses.locked_for(&one, now), None);
        guesses.fail(one.clone(), now);
        assert_eq!(guesses.locked_for(&one, now), Some(LOCKOUT_TIME));
        assert_eq!(guesses.locked_for(&one, now + LOCKOUT_TIME), None);
        // From then on it counts anew.
        guesses.fail(one.clone(), now + LOCKOUT_TIME);
        assert_eq!(guesses.locked_for(&one, now + LOCKOUT_TIME), None);
    }

    #[tokio::test(start_paused = true)]
    async fn other_clients_and_other_credentials_are_not() {
        let (mut guesses, now) = (Guesses::new(10), Instant::now());
        let one = guesser("2001:db8::1", "A");
        fail_often(&mut guesses, &one, GUESSES_MAX, now);
        let is_locked = |address: &str, id: &str| {
            let other = guesser(address, id);
            guesses.locked_for(&other, now).is_some()
        };
        assert!(is_locked("2001:db8::ffff:1", "A"), "everybody has a /64");
        assert!(!is_locked("2001:db8:0:1::1", "A"));
        assert!(!is_locked("192.0.2.1", "A"));
        assert!(!is_locked("2001:db8::1", "B"));
        let nobody = Guesser::new(one.network, None);
        assert_eq!(guesses.locked_for(&nobody, now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_forgotten_with_time_and_by_success_with_the_same_credential() {
        let (mut guesses, now) = (Guesses::new(10), Instant::now());
        let (one, other) = (guesser("192.0.2.1", "A"), guesser("192.0.2.1", "B"));
        fail_often(&mut guesses, &one, GUESSES_MAX - 1, now);
        guesses.succeed(&other);
        guesses.fail(one.clone(), now);
        assert!(guesses.locked_for(&one, now).is_some());

        fail_often(&mut guesses, &other, GUESSES_MAX - 1, now);
        guesses.succeed(&other);
        guesses.fail(other.clone(), now);
        assert_eq!(guesses.locked_for(&other, now), None);
        fail_often(&mut guesses, &other, GUESSES_MAX - 2, now);
        let later = now + GUESSES_WINDOW;
        guesses.fail(other.clone(), later);
        assert_eq!(guesses.locked_for(&other, later), None);
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_bound_the_one_goes_whose_time_is_over_first() {
        let (mut guesses, now) = (Guesses::new(2), Instant::now());
        let locked = guesser("192.0.2.1", "A");
        let second = Duration::from_secs(1);
        assert!(!guesses.fail(guesser("192.0.2.2", "A"), now));
        fail_often(&mut guesses, &locked, GUESSES_MAX, now + second);
        assert!(guesses.fail(guesser("192.0.2.3", "A"), now + second));
        assert_eq!(guesses.failed.len(), 2);
        assert!(guesses.locked_for(&locked, now + second).is_some());
        // Whose time is over makes room by itself.
        assert!(!guesses.fail(guesser("192.0.2.4", "A"), now + second + LOCKOUT_TIME));
        assert_eq!(guesses.failed.len(), 1);
    }

    #[test]
    fn an_address_of_ipv4_is_the_same_in_either_shape() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
