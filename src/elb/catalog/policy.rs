//! Policies, their types, and those that every load balancer has from the start (CLB.md §3.5,
//! §4.11).
//!
//! Not which listener or instance port may use which (`uses.rs`).

use serde::{Deserialize, Serialize};

use crate::config;

/// A policy of a load balancer. It never changes: whoever wants another one makes one under another
/// name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// 1–128 of `[A-Za-z0-9-]`, without a reserved prefix.
    pub name: String,
    /// What it says.
    #[serde(flatten)]
    pub kind: PolicyKind,
}

/// What a policy says, by its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PolicyKind {
    /// Duration-based stickiness.
    LbCookie {
        /// Seconds, 1 – 2^31 - 1; `None`: the browser's session.
        expiration_seconds: Option<u32>,
    },
    /// Application-controlled stickiness.
    AppCookie {
        /// The application's cookie.
        cookie: String,
    },
    /// A PROXY header in front of each connection to an instance.
    ProxyProtocol {
        /// Whether there is one.
        is_enabled: bool,
    },
    /// What a listener's TLS takes.
    SslNegotiation {
        /// The predefined policy that it is like.
        reference: Option<String>,
        /// Protocols, ciphers and the order, in the order they were given.
        switches: Vec<(String, bool)>,
    },
    /// A public key, for use by others.
    PublicKey {
        /// The base64 of it, as it was given.
        text: String,
    },
    /// Instances have to have one of some public keys.
    BackendServerAuthentication {
        /// Names of policies with public keys; not empty.
        public_keys: Vec<String>,
    },
}

impl PolicyKind {
    /// The name of its type on the wire.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::LbCookie { .. } => LB_COOKIE,
            Self::AppCookie { .. } => APP_COOKIE,
            Self::ProxyProtocol { .. } => PROXY_PROTOCOL,
            Self::SslNegotiation { .. } => SSL_NEGOTIATION,
            Self::PublicKey { .. } => PUBLIC_KEY,
            Self::BackendServerAuthentication { .. } => BACKEND_SERVER_AUTHENTICATION,
        }
    }

    /// Whether it is for stickiness.
    pub fn is_stickiness(&self) -> bool {
        matches!(self, Self::LbCookie { .. } | Self::AppCookie { .. })
    }

    /// Its attributes, as name and value.
    pub fn attributes(&self) -> Vec<(&str, String)> {
        match self {
            Self::LbCookie { expiration_seconds } => {
                vec![(COOKIE_PERIOD, expiration_seconds.unwrap_or(0).to_string())]
            }
            Self::AppCookie { cookie } => vec![(COOKIE_NAME, cookie.clone())],
            Self::ProxyProtocol { is_enabled } => vec![(PROXY, is_enabled.to_string())],
            Self::SslNegotiation {
                reference,
                switches,
            } => {
                let reference = reference.iter().map(|name| (REFERENCE, name.clone()));
                let switches = switches
                    .iter()
                    .map(|(name, is_on)| (name.as_str(), is_on.to_string()));
                reference.chain(switches).collect()
            }
            Self::PublicKey { text } => vec![(KEY, text.clone())],
            Self::BackendServerAuthentication { public_keys } => {
                let names = public_keys.iter();
                names.map(|name| (KEY_POLICY, name.clone())).collect()
            }
        }
    }
}

/// A type of policies, as clients are told of it.
#[derive(Debug, PartialEq, Eq)]
pub struct PolicyType {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// Name, type and cardinality of its attributes, but for those of [`Self::switches`].
    pub attributes: &'static [(&'static str, &'static str, &'static str)],
    /// Attributes that are all `Boolean` and `ZERO_OR_ONE`.
    pub switches: &'static [&'static [&'static str]],
}

impl PolicyType {
    /// Name, type and cardinality of all its attributes.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
        let switches = self.switches.iter().copied().flatten();
        let switches = switches.map(|name| (*name, "Boolean", "ZERO_OR_ONE"));
        self.attributes.iter().copied().chain(switches)
    }
}

pub(in crate::elb) const LB_COOKIE: &str = "LBCookieStickinessPolicyType";
pub(in crate::elb) const APP_COOKIE: &str = "AppCookieStickinessPolicyType";
pub(in crate::elb) const PROXY_PROTOCOL: &str = "ProxyProtocolPolicyType";
pub(in crate::elb) const SSL_NEGOTIATION: &str = "SSLNegotiationPolicyType";
pub(in crate::elb) const PUBLIC_KEY: &str = "PublicKeyPolicyType";
pub(in crate::elb) const BACKEND_SERVER_AUTHENTICATION: &str =
    "BackendServerAuthenticationPolicyType";

pub(in crate::elb) const COOKIE_PERIOD: &str = "CookieExpirationPeriod";
pub(in crate::elb) const COOKIE_NAME: &str = "CookieName";
pub(in crate::elb) const PROXY: &str = "ProxyProtocol";
pub(in crate::elb) const REFERENCE: &str = "Reference-Security-Policy";
pub(in crate::elb) const KEY: &str = "PublicKey";
pub(in crate::elb) const KEY_POLICY: &str = "PublicKeyPolicyName";

/// All types.
pub(super) const POLICY_TYPES: [PolicyType; 6] = [
    PolicyType {
        name: APP_COOKIE,
        description: "Stickiness that lasts as long as a cookie of the application. For HTTP and \
            HTTPS listeners.",
        attributes: &[(COOKIE_NAME, "String", "ONE")],
        switches: &[],
    },
    PolicyType {
        name: BACKEND_SERVER_AUTHENTICATION,
        description: "Which public keys instances may have, as names of policies of the type \
            PublicKeyPolicyType. For instance ports with HTTPS or SSL.",
        attributes: &[(KEY_POLICY, "PolicyName", "ONE_OR_MORE")],
        switches: &[],
    },
    PolicyType {
        name: LB_COOKIE,
        description: "Stickiness that lasts for a time, or as long as the browser is open. For \
            HTTP and HTTPS listeners.",
        attributes: &[(COOKIE_PERIOD, "Long", "ZERO_OR_ONE")],
        switches: &[],
    },
    PolicyType {
        name: PROXY_PROTOCOL,
        description: "Whether each connection to an instance begins with a PROXY header that says \
            whose it is. For instance ports.",
        attributes: &[(PROXY, "Boolean", "ONE")],
        switches: &[],
    },
    PolicyType {
        name: PUBLIC_KEY,
        description: "A public key of instances. For use by policies of the type \
            BackendServerAuthenticationPolicyType.",
        attributes: &[(KEY, "String", "ONE")],
        switches: &[],
    },
    PolicyType {
        name: SSL_NEGOTIATION,
        description: "Protocols and ciphers that clients may use. For HTTPS and SSL listeners.",
        attributes: &[(REFERENCE, "String", "ZERO_OR_ONE")],
        switches: &[&TLS_PROTOCOLS, config::CIPHERS],
    },
];

/// Protocols, and whose order of ciphers counts.
pub(in crate::elb) const TLS_PROTOCOLS: [&str; 6] = [
    "Protocol-SSLv2",
    "Protocol-SSLv3",
    "Protocol-TLSv1",
    "Protocol-TLSv1.1",
    "Protocol-TLSv1.2",
    "Server-Defined-Cipher-Order",
];

/// What a listener with TLS has if nobody says.
pub(super) const DEFAULT_SSL_POLICY: &str = "ELBSecurityPolicy-2016-08";

/// Policies for TLS that every load balancer has.
pub(in crate::elb) const SSL_POLICIES: [&str; 11] = [
    DEFAULT_SSL_POLICY,
    "ELBSecurityPolicy-TLS-1-2-2017-01",
    "ELBSecurityPolicy-TLS-1-1-2017-01",
    "ELBSecurityPolicy-2015-05",
    "ELBSecurityPolicy-2015-03",
    "ELBSecurityPolicy-2015-02",
    "ELBSecurityPolicy-2014-10",
    "ELBSecurityPolicy-2014-01",
    "ELBSecurityPolicy-2011-08",
    "ELBSample-ELBDefaultNegotiationPolicy",
    "ELBSample-OpenSSLDefaultNegotiationPolicy",
];

/// Prefixes of names that are not for users (CLB.md §3.4).
pub(in crate::elb) const RESERVED_PREFIXES: [&str; 2] = ["ELBSecurityPolicy-", "ELBSample-"];

/// Whether a name is that of a predefined policy, which is always one for TLS.
pub(super) fn is_predefined(name: &str) -> bool {
    SSL_POLICIES.contains(&name)
}

/// A predefined policy. It is shown as a reference to itself: what AWS lists beyond that are
/// ciphers that elbow's TLS mostly does not have.
pub(super) fn predefined(name: &str) -> Option<Policy> {
    is_predefined(name).then(|| Policy {
        name: name.to_owned(),
        kind: PolicyKind::SslNegotiation {
            reference: Some(name.to_owned()),
            switches: Vec::new(),
        },
    })
}

/// What a client sees that asks for policies without naming a load balancer (CLB.md §3.4).
pub(super) fn samples() -> Vec<Policy> {
    let cookies = [
        (
            "ELBSample-AppCookieStickinessPolicy",
            PolicyKind::AppCookie {
                cookie: "ELBSampleAppCookie".to_owned(),
            },
        ),
        (
            "ELBSample-LBCookieStickinessPolicy",
            PolicyKind::LbCookie {
                expiration_seconds: None,
            },
        ),
    ];
    let cookies = cookies.map(|(name, kind)| Policy {
        name: name.to_owned(),
        kind,
    });
    let predefined = SSL_POLICIES.into_iter().filter_map(predefined);
    cookies.into_iter().chain(predefined).collect()
}
