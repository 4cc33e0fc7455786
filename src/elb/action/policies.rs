//! Policies, as parameters: attributes by name become a [`PolicyKind`] (CLB.md §3.5).
//!
//! Not whether the load balancer can have them.

use super::fields::{Fields, boolean};
use crate::elb::catalog::{
    APP_COOKIE, BACKEND_SERVER_AUTHENTICATION, COOKIE_NAME, COOKIE_PERIOD, KEY, KEY_POLICY,
    LB_COOKIE, PROXY, PROXY_PROTOCOL, PUBLIC_KEY, REFERENCE, RESERVED_PREFIXES, SSL_NEGOTIATION,
    SSL_POLICIES, TLS_PROTOCOLS,
};
use crate::elb::{Code, Failure, Policy, PolicyKind};
use crate::http::is_token;
use crate::limits::{
    BACKEND_KEYS_MAX, COOKIE_NAME_BYTES_MAX, POLICY_ATTRIBUTES_MAX, POLICY_VALUE_BYTES_MAX,
};

/// Longest name; CLB publishes none (CLB.md §3.4).
const NAME_BYTES_MAX: usize = 128;

/// Longest life of a cookie, 2^31 - 1 s (CLB.md §6).
const EXPIRATION_SECONDS_MAX: u32 = i32::MAX.unsigned_abs();

/// Names that elbow's own cookies may have.
const OWN_COOKIES: [&str; 3] = ["AWSELB", "AWSELBCORS", "AWSALBCORS"];

/// What `CreateAppCookieStickinessPolicy` asks for.
pub(super) fn app_cookie(f: &Fields<'_>) -> Result<Policy, Failure> {
    let cookie = cookie_name(&f.required(COOKIE_NAME)?)?;
    Ok(Policy {
        name: name(f)?,
        kind: PolicyKind::AppCookie { cookie },
    })
}

/// What `CreateLBCookieStickinessPolicy` asks for.
pub(super) fn lb_cookie(f: &Fields<'_>) -> Result<Policy, Failure> {
    let period = f.optional(COOKIE_PERIOD)?;
    let expiration_seconds = period.as_deref().map(expiration).transpose()?.flatten();
    Ok(Policy {
        name: name(f)?,
        kind: PolicyKind::LbCookie { expiration_seconds },
    })
}

/// What `CreateLoadBalancerPolicy` asks for.
pub(super) fn any(f: &Fields<'_>) -> Result<Policy, Failure> {
    let type_name = f.required("PolicyTypeName")?;
    let attributes = Attributes::read(&type_name, f)?;
    let kind = match type_name.as_str() {
        LB_COOKIE => {
            let period = attributes.at_most_one(COOKIE_PERIOD)?;
            let expiration_seconds = period.map(expiration).transpose()?.flatten();
            PolicyKind::LbCookie { expiration_seconds }
        }
        APP_COOKIE => PolicyKind::AppCookie {
            cookie: cookie_name(attributes.one(COOKIE_NAME)?)?,
        },
        PROXY_PROTOCOL => PolicyKind::ProxyProtocol {
            is_enabled: switch(PROXY, attributes.one(PROXY)?)?,
        },
        PUBLIC_KEY => PolicyKind::PublicKey {
            text: public_key(attributes.one(KEY)?)?,
        },
        BACKEND_SERVER_AUTHENTICATION => PolicyKind::BackendServerAuthentication {
            public_keys: attributes.key_policies()?,
        },
        SSL_NEGOTIATION => attributes.ssl()?,
        _ => {
            let message = format!("There is no policy type with name {type_name}");
            return Err(Failure::new(Code::PolicyTypeNotFound, message));
        }
    };
    Ok(Policy {
        name: name(f)?,
        kind,
    })
}

/// The attributes of a policy that is to be made.
struct Attributes<'a> {
    type_name: &'a str,
    all: Vec<(String, String)>,
}

impl<'a> Attributes<'a> {
    fn read(type_name: &'a str, f: &Fields<'_>) -> Result<Self, Failure> {
        let members = f.list("PolicyAttributes")?.unwrap_or_default();
        if members.len() > POLICY_ATTRIBUTES_MAX {
            let rule = format!("have at most {POLICY_ATTRIBUTES_MAX} members");
            return Err(f.refused("PolicyAttributes", None, &rule));
        }
        let pair = |f: &Fields<'_>| {
            let value = f.optional("AttributeValue")?.unwrap_or_default();
            if value.len() > POLICY_VALUE_BYTES_MAX {
                let rule = format!("have length less than or equal to {POLICY_VALUE_BYTES_MAX}");
                return Err(f.refused("AttributeValue", None, &rule));
            }
            Ok((f.required("AttributeName")?, value))
        };
        let all = members.iter().map(pair).collect::<Result<_, _>>()?;
        Ok(Self { type_name, all })
    }

    /// The value of the only attribute that there may be.
    fn at_most_one(&self, name: &str) -> Result<Option<&str>, Failure> {
        match self.all.as_slice() {
            [] => Ok(None),
            [(only, value)] if only == name => Ok(Some(value)),
            _ => Err(self.refused(&format!("has the attribute {name} once and no other"))),
        }
    }

    fn one(&self, name: &str) -> Result<&str, Failure> {
        let value = self.at_most_one(name)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| self.refused(&format!("needs the attribute {name}")))
    }

    fn key_policies(&self) -> Result<Vec<String>, Failure> {
        let mut names: Vec<String> = Vec::new();
        for (name, value) in &self.all {
            if name != KEY_POLICY {
                return Err(self.refused(&format!("has no attribute {name}")));
            }
            if !names.contains(value) {
                names.push(value.clone());
            }
        }
        if names.is_empty() || names.len() > BACKEND_KEYS_MAX {
            let rule = format!("needs the attribute {KEY_POLICY} 1 to {BACKEND_KEYS_MAX} times");
            return Err(self.refused(&rule));
        }
        Ok(names)
    }

    /// A predefined policy, or protocols and ciphers, at least one of each, or both.
    fn ssl(&self) -> Result<PolicyKind, Failure> {
        let mut reference = None;
        let mut switches: Vec<(String, bool)> = Vec::new();
        for (name, value) in &self.all {
            let is_known = name == REFERENCE || is_switch(name);
            let is_repeated = (name == REFERENCE && reference.is_some())
                || switches.iter().any(|(other, _)| other == name);
            if !is_known || is_repeated {
                let rule = if is_known { "has only once" } else { "has no" };
                return Err(self.refused(&format!("{rule} the attribute {name}")));
            }
            if name != REFERENCE {
                switches.push((name.clone(), switch(name, value)?));
            } else if SSL_POLICIES.contains(&value.as_str()) {
                reference = Some(value.clone());
            } else {
                return Err(self.refused(&format!("cannot refer to '{value}'")));
            }
        }
        let has = |protocol: bool| {
            let mut switches = switches.iter().filter(|(name, _)| name != ORDER);
            switches.any(|(name, is_on)| *is_on && name.starts_with("Protocol-") == protocol)
        };
        if reference.is_none() && !(has(true) && has(false)) {
            let rule = format!("needs the attribute {REFERENCE}, or a protocol and a cipher");
            return Err(self.refused(&rule));
        }
        Ok(PolicyKind::SslNegotiation {
            reference,
            switches,
        })
    }

    fn refused(&self, rule: &str) -> Failure {
        let message = format!("A policy of the type {} {rule}", self.type_name);
        Failure::configuration(message)
    }
}

/// The switch of a TLS policy that is neither a protocol nor a cipher.
const ORDER: &str = "Server-Defined-Cipher-Order";

/// A protocol that CLB does not have, and elbow does; clients are not told of it.
const TLS13: &str = "Protocol-TLSv1.3";

/// Whether it is a protocol, the order, or a cipher in OpenSSL's words. Of ciphers there are more
/// than those that are listed to clients, so that their form has to do.
fn is_switch(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    TLS_PROTOCOLS.contains(&name)
        || name == TLS13
        || (name.len() <= 64 && name.bytes().all(is_letter))
}

fn name(f: &Fields<'_>) -> Result<String, Failure> {
    let name = f.required("PolicyName")?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !name.bytes().all(is_allowed) {
        return Err(Failure::invalid(
            "Policy name cannot contain characters that are not letters, or digits or the dash.",
        ));
    }
    if name.len() > NAME_BYTES_MAX {
        let message = format!("Policy name cannot be longer than {NAME_BYTES_MAX} characters");
        return Err(Failure::invalid(message));
    }
    match RESERVED_PREFIXES
        .iter()
        .find(|prefix| name.starts_with(*prefix))
    {
        None => Ok(name),
        Some(prefix) => {
            let message = format!("Policy names that begin with {prefix} are reserved");
            Err(Failure::configuration(message))
        }
    }
}

/// Seconds that a cookie lasts; 0 as if there were none.
fn expiration(text: &str) -> Result<Option<u32>, Failure> {
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_decimal);
    match seconds.filter(|seconds| *seconds <= EXPIRATION_SECONDS_MAX) {
        Some(0) => Ok(None),
        Some(seconds) => Ok(Some(seconds)),
        None => Err(Failure::invalid(format!(
            "{COOKIE_PERIOD} must be a whole number of seconds from 0 to \
             {EXPIRATION_SECONDS_MAX}, not '{text}'"
        ))),
    }
}

/// A token (RFC 9110 §5.6.2), and no name of a cookie that elbow makes itself.
fn cookie_name(name: &str) -> Result<String, Failure> {
    if name.is_empty() || name.len() > COOKIE_NAME_BYTES_MAX || !name.bytes().all(is_token) {
        return Err(Failure::invalid(format!(
            "{COOKIE_NAME} must be 1 to {COOKIE_NAME_BYTES_MAX} letters, digits and other \
             characters that names of cookies may have"
        )));
    }
    if OWN_COOKIES.contains(&name) {
        let message = format!("{COOKIE_NAME} cannot be {name}, which is a cookie of stickiness");
        return Err(Failure::invalid(message));
    }
    Ok(name.to_owned())
}

/// Base64, perhaps over several lines and in PEM armour. Whether it is a key is seen where it is
/// used.
fn public_key(text: &str) -> Result<String, Failure> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+/= \r\n-".contains(&byte);
    if !text.bytes().all(is_allowed) {
        let message = format!("{KEY} must be a public key in the base64 of PEM");
        return Err(Failure::configuration(message));
    }
    Ok(text.to_owned())
}

fn switch(name: &str, value: &str) -> Result<bool, Failure> {
    boolean(value).ok_or_else(|| {
        let message = format!("{name} must be true or false, not '{value}'");
        Failure::configuration(message)
    })
}
