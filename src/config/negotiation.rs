//! What clients are offered in a TLS handshake, and how that differs from the policy that asks.
//!
//! Not here: which listener goes by which policy (`ssl_policy.rs`), nor the library that shakes
//! hands. Invariant: an [`SslPolicy`] offers something: TLS 1.3, or TLS 1.2 with a cipher.

mod ciphers;

use std::fmt;

pub use self::ciphers::CIPHERS;
use self::ciphers::{CBC, DHE, EXPORT, KERBEROS, KINDS, PSK, RC4, RSA, kinds_missing};
use super::Mistake;
use super::problem::nearest;

/// A cipher suite of TLS 1.2 that elbow has, in the order in which it prefers them, which is that
/// of CLB's policies (CLB.md §4.11); CLB has no ChaCha20.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suite {
    /// `ECDHE-ECDSA-AES128-GCM-SHA256`
    EcdsaAes128,
    /// `ECDHE-RSA-AES128-GCM-SHA256`
    RsaAes128,
    /// `ECDHE-ECDSA-AES256-GCM-SHA384`
    EcdsaAes256,
    /// `ECDHE-RSA-AES256-GCM-SHA384`
    RsaAes256,
    /// `ECDHE-ECDSA-CHACHA20-POLY1305`
    EcdsaChacha20,
    /// `ECDHE-RSA-CHACHA20-POLY1305`
    RsaChacha20,
}

impl Suite {
    /// All, in order.
    pub const ALL: [Self; 6] = [
        Self::EcdsaAes128,
        Self::RsaAes128,
        Self::EcdsaAes256,
        Self::RsaAes256,
        Self::EcdsaChacha20,
        Self::RsaChacha20,
    ];

    /// As the attributes of policies call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaAes128 => "ECDHE-ECDSA-AES128-GCM-SHA256",
            Self::RsaAes128 => "ECDHE-RSA-AES128-GCM-SHA256",
            Self::EcdsaAes256 => "ECDHE-ECDSA-AES256-GCM-SHA384",
            Self::RsaAes256 => "ECDHE-RSA-AES256-GCM-SHA384",
            Self::EcdsaChacha20 => "ECDHE-ECDSA-CHACHA20-POLY1305",
            Self::RsaChacha20 => "ECDHE-RSA-CHACHA20-POLY1305",
        }
    }

    /// Whether it is for certificates with an RSA key; the others are for ECDSA and EdDSA.
    pub fn is_rsa(self) -> bool {
        matches!(self, Self::RsaAes128 | Self::RsaAes256 | Self::RsaChacha20)
    }
}

/// A policy of CLB by its name, or one of the operator's own, and what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SslPolicy {
    name: String,
    /// Sorted; empty: no TLS 1.2.
    suites: Vec<Suite>,
    has_tls13: bool,
    is_ordered: bool,
    /// What it asks for and does not get, and what clients are offered beyond it; for people.
    missing: Vec<&'static str>,
    added: Option<&'static str>,
}

/// How a file says which policy it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// By the name alone: it is CLB's.
    Clb,
    /// By the name of a policy of CLB that it refers to.
    Reference(&'static str),
    /// By its attributes.
    Attributes(Vec<&'static str>),
}

impl Default for SslPolicy {
    /// The policy that CLB's API gives a listener (CLB.md §4.11).
    fn default() -> Self {
        Self::of_clb(&PREDEFINED[0])
    }
}

impl fmt::Display for SslPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl SslPolicy {
    /// The policy that CLB has by this name.
    pub fn predefined(name: &str) -> Option<Self> {
        let of_name = |policy: &&Predefined| policy.name == name;
        PREDEFINED.iter().find(of_name).map(Self::of_clb)
    }

    /// The names of CLB's policies.
    pub(super) fn predefined_names() -> impl Iterator<Item = &'static str> {
        PREDEFINED.iter().map(|policy| policy.name)
    }

    /// As near as elbow comes to it: each of CLB's policies has all the ciphers of [`Suite`] that
    /// CLB knows, or none.
    fn of_clb(policy: &Predefined) -> Self {
        Self {
            name: policy.name.to_owned(),
            suites: Suite::ALL.to_vec(),
            has_tls13: true,
            is_ordered: true,
            missing: policy.missing.to_vec(),
            added: Some(policy.added),
        }
    }

    /// The same under a name of the operator's, as CLB's `Reference-Security-Policy`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self
        }
    }

    /// A policy of its own, by the attributes of CLB's `SSLNegotiationPolicyType` that are true
    /// (CLB.md §3.5), and three that CLB does not have: `Protocol-TLSv1.3` and the two ciphers with
    /// ChaCha20. Attributes are switches: their order says nothing.
    ///
    /// # Errors
    /// An attribute that is unknown, no protocol or no cipher, or none that elbow has.
    pub fn from_attributes(name: &str, attributes: &[&str]) -> Result<Self, Mistake> {
        for attribute in attributes {
            check(attribute).map_err(|mistake| format!("`{attribute}` {mistake}"))?;
        }
        let has = |attribute: &str| attributes.contains(&attribute);
        let asked = |known: &'static [&'static str]| known.iter().copied().filter(|a| has(a));
        let protocols = PROTOCOLS.into_iter().filter(|(name, _)| has(name)).count();
        if protocols == 0 {
            return Err("lists no protocol, such as `Protocol-TLSv1.2`".into());
        }
        let (has_tls12, has_tls13) = (has(TLS12), has(TLS13));
        let suites: Vec<Suite> = Suite::ALL.into_iter().filter(|s| has(s.name())).collect();
        let is_of_tls13_alone = has_tls13 && protocols == 1;
        if suites.is_empty() && asked(CIPHERS).next().is_none() && !is_of_tls13_alone {
            return Err(format!("lists no cipher, such as `{}`", Suite::ALL[0].name()).into());
        }
        if !has_tls12 && !has_tls13 {
            let mistake = format!("leaves no protocol that elbow has: list `{TLS12}` or `{TLS13}`");
            return Err(mistake.into());
        }
        if has_tls12 && suites.is_empty() {
            let names = Suite::ALL.map(Suite::name).join(", ");
            let mistake =
                format!("leaves no cipher for TLS 1.2 that elbow has: list one of {names}");
            return Err(mistake.into());
        }
        let protocols = PROTOCOLS.into_iter().filter(|(name, _)| has(name));
        let mut missing: Vec<&str> = protocols.filter_map(|(_, missing)| missing).collect();
        let kinds: Vec<&str> = asked(CIPHERS).flat_map(kinds_missing).flatten().collect();
        missing.extend(KINDS.into_iter().filter(|kind| kinds.contains(kind)));
        Ok(Self {
            name: name.to_owned(),
            suites: if has_tls12 { suites } else { Vec::new() },
            has_tls13,
            is_ordered: has(SERVER_ORDER),
            missing,
            added: None,
        })
    }

    /// What it offers, by the attributes of CLB's `SSLNegotiationPolicyType` and the three beyond
    /// it: [`Self::from_attributes`] makes of them a policy that offers the same.
    pub fn attributes(&self) -> Vec<&'static str> {
        let has_tls12 = !self.suites.is_empty();
        let switches = [
            (TLS12, has_tls12),
            (TLS13, self.has_tls13),
            (SERVER_ORDER, self.is_ordered),
        ];
        let switches = switches.into_iter().filter(|(_, is_on)| *is_on);
        let suites = self.suites.iter().map(|suite| suite.name());
        switches.map(|(name, _)| name).chain(suites).collect()
    }

    /// How a file says it: what [`Self::from_attributes`] or a reference makes the same policy of,
    /// with all that it asks for and does not get.
    pub(super) fn origin(&self) -> Origin {
        if Self::predefined(&self.name).as_ref() == Some(self) {
            return Origin::Clb;
        }
        let is_this = |policy: &&Predefined| Self::of_clb(policy).named(&self.name) == *self;
        if let Some(reference) = PREDEFINED.iter().find(is_this) {
            return Origin::Reference(reference.name);
        }
        let mut attributes = self.attributes();
        let lost = |what: &&str| self.missing.contains(what);
        let protocols = PROTOCOLS.into_iter();
        let protocols = protocols.filter(|(_, missing)| missing.as_ref().is_some_and(lost));
        attributes.extend(protocols.map(|(name, _)| name));
        // Ciphers that elbow does not have, as many as it takes to name each kind that is missed.
        let mut kinds: Vec<&str> = KINDS.into_iter().filter(lost).collect();
        for cipher in CIPHERS {
            let missed = kinds_missing(cipher);
            let mut missed_kinds = missed.iter().flatten();
            if missed_kinds.clone().all(lost) && missed_kinds.any(|kind| kinds.contains(kind)) {
                attributes.push(cipher);
                kinds.retain(|kind| !missed.contains(&Some(*kind)));
            }
        }
        // Versions that are not offered need a cipher too, which is not offered either.
        if self.suites.is_empty() {
            attributes.push(Suite::ALL[0].name());
        }
        Origin::Attributes(attributes)
    }

    /// The ciphers that are offered by TLS 1.2, in order; none: that version is not offered.
    pub fn suites(&self) -> &[Suite] {
        &self.suites
    }

    /// Whether TLS 1.3 is offered; always with all of its ciphers, AES-128 first.
    pub fn has_tls13(&self) -> bool {
        self.has_tls13
    }

    /// Whether the first cipher in elbow's order is taken that the client has; else the first in
    /// the client's.
    pub fn is_ordered(&self) -> bool {
        self.is_ordered
    }

    /// The versions that are offered, for people.
    pub fn versions(&self) -> &'static str {
        match (self.suites.is_empty(), self.has_tls13) {
            (false, true) => "TLS 1.2 and 1.3",
            (false, false) => "TLS 1.2",
            (true, _) => "TLS 1.3",
        }
    }

    /// How what is offered differs from the policy, for people; `None`: it does not.
    pub fn deviations(&self) -> Option<String> {
        let mut clauses: Vec<String> = Vec::new();
        if !self.missing.is_empty() {
            clauses.push(format!("not offered: {}", self.missing.join(", ")));
        }
        if let Some(added) = self.added {
            clauses.push(format!("added: {added}"));
        }
        (!clauses.is_empty()).then(|| clauses.join("; "))
    }
}

/// Judges the name of one attribute.
///
/// # Errors
/// It is unknown; the nearest known one.
pub(super) fn check(attribute: &str) -> Result<(), Mistake> {
    let protocols = PROTOCOLS.into_iter().map(|(name, _)| name);
    let ours = Suite::ALL.into_iter().map(Suite::name);
    let all = protocols.chain(ours).chain(CIPHERS.iter().copied());
    let mut all = all.chain([SERVER_ORDER]);
    if all.clone().any(|known| known == attribute) {
        return Ok(());
    }
    let first = all.next().unwrap_or_default();
    let nearest = nearest(attribute, all).unwrap_or(first);
    Err(format!("is no attribute of SSL policies; did you mean `{nearest}`?").into())
}

const TLS12: &str = "Protocol-TLSv1.2";
const TLS13: &str = "Protocol-TLSv1.3";
const SERVER_ORDER: &str = "Server-Defined-Cipher-Order";

/// The attributes of protocols, each with its name for people if elbow does not have it.
const PROTOCOLS: [(&str, Option<&str>); 6] = [
    ("Protocol-SSLv2", Some("SSL 2.0")),
    ("Protocol-SSLv3", Some(SSL3)),
    ("Protocol-TLSv1", Some(TLS10)),
    ("Protocol-TLSv1.1", Some(TLS11)),
    (TLS12, None),
    (TLS13, None),
];
const SSL3: &str = "SSL 3.0";
const TLS10: &str = "TLS 1.0";
const TLS11: &str = "TLS 1.1";

/// A policy that CLB has by name.
struct Predefined {
    name: &'static str,
    /// What it has and elbow does not.
    missing: &'static [&'static str],
    /// What elbow offers beyond it.
    added: &'static str,
}

/// CLB's policies (CLB.md §4.11), the default first.
const PREDEFINED: [Predefined; 11] = [
    modern("ELBSecurityPolicy-2016-08", &[TLS10, TLS11, CBC, RSA]),
    modern("ELBSecurityPolicy-TLS-1-2-2017-01", &[CBC, RSA]),
    modern("ELBSecurityPolicy-TLS-1-1-2017-01", &[TLS11, CBC, RSA]),
    modern("ELBSecurityPolicy-2015-05", &[TLS10, TLS11, CBC, RSA]),
    modern("ELBSecurityPolicy-2015-03", &[TLS10, TLS11, CBC, RSA, DHE]),
    modern("ELBSecurityPolicy-2015-02", &[TLS10, TLS11, CBC, RSA, DHE]),
    modern(
        "ELBSecurityPolicy-2014-10",
        &[TLS10, TLS11, CBC, RSA, DHE, RC4],
    ),
    modern(
        "ELBSecurityPolicy-2014-01",
        &[SSL3, TLS10, TLS11, CBC, RSA, DHE, RC4],
    ),
    ancient(
        "ELBSecurityPolicy-2011-08",
        &[SSL3, TLS10, CBC, RSA, DHE, RC4],
    ),
    ancient(
        "ELBSample-ELBDefaultNegotiationPolicy",
        &[SSL3, TLS10, CBC, RSA, DHE, RC4, PSK, KERBEROS, EXPORT],
    ),
    ancient(
        "ELBSample-OpenSSLDefaultNegotiationPolicy",
        &[SSL3, TLS10, CBC, RSA, RC4],
    ),
];

/// One with TLS 1.2 and all ciphers of [`Suite`] that CLB knows.
const fn modern(name: &'static str, missing: &'static [&'static str]) -> Predefined {
    let added = "TLS 1.3, ChaCha20";
    Predefined {
        name,
        missing,
        added,
    }
}

/// One without TLS 1.2, of which nothing is left.
const fn ancient(name: &'static str, missing: &'static [&'static str]) -> Predefined {
    let added = "TLS 1.2 and 1.3";
    Predefined {
        name,
        missing,
        added,
    }
}

#[cfg(test)]
mod tests;
