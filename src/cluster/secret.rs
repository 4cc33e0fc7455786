//! The secret that all nodes share, and the keys that are made of it.
//!
//! Not where it lies (`control::secrets`). Invariants: no secret is shown; a key says nothing of
//! the secret, nor of the other keys; nodes with the same secret make the same keys, whatever else
//! is in their files.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use crate::limits::{CLUSTER_SECRET_BYTES_MAX, CLUSTER_SECRET_BYTES_MIN, CLUSTER_SECRETS_MAX};

/// What keys of a cluster have that those of nothing else have. It is a number of the protocol: who
/// changes it leaves the cluster.
const SALT: &[u8] = b"elbow cluster 1";

/// What keys are made of (RFC 5869); of the text itself no copy is kept.
#[derive(Clone)]
pub struct Secret(Prk);

/// Those of a cluster, at most [`CLUSTER_SECRETS_MAX`] and never none: the first seals, all open.
#[derive(Debug, Clone)]
pub struct Secrets(Vec<Secret>);

impl Secret {
    /// Of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, SALT).extract(bytes))
    }

    /// As many bytes for this purpose, which has nothing in common with any other.
    pub fn derive<const N: usize>(&self, purpose: &str) -> [u8; N] {
        let mut bytes = [0; N];
        let purpose = [purpose.as_bytes()];
        let made = self.0.expand(&purpose, Length(N));
        made.and_then(|made| made.fill(&mut bytes))
            .expect("a key is far below 255 hashes");
        bytes
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secrets {
    /// Those in a text that has one in each line that is not empty.
    ///
    /// # Errors
    /// Why it does not hold, with the number of the line, and without what is in it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines: Vec<&str> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim());
            if line.is_empty() {
                continue;
            }
            if lines.len() == CLUSTER_SECRETS_MAX {
                return Err(format!(
                    "line {number}: more than {CLUSTER_SECRETS_MAX} secrets"
                ));
            }
            if lines.contains(&line) {
                return Err(format!("line {number}: the same secret again"));
            }
            check(line).map_err(|problem| format!("line {number}: {problem}"))?;
            lines.push(line);
        }
        if lines.is_empty() {
            return Err("no secret in it".to_owned());
        }
        Ok(Self(
            lines
                .iter()
                .map(|line| Secret::new(line.as_bytes()))
                .collect(),
        ))
    }

    /// That which seals.
    pub(super) fn first(&self) -> &Secret {
        &self.0[0]
    }

    /// All of them, that which seals first.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

/// Whether a line can be a secret. That it is no word that could be guessed only who has made it
/// knows.
fn check(line: &str) -> Result<(), String> {
    let range = CLUSTER_SECRET_BYTES_MIN..=CLUSTER_SECRET_BYTES_MAX;
    if !line
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        return Err("a secret must be of printable ASCII".to_owned());
    }
    if !range.contains(&line.len()) {
        return Err(format!(
            "a secret must have {} to {} characters",
            range.start(),
            range.end()
        ));
    }
    Ok(())
}

/// How many bytes are wanted.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "correct horse battery staple";

    fn derived(secret: &Secret) -> [u8; 8] {
        secret.derive("test")
    }

    fn refused(text: &str) -> String {
        Secrets::parse(text).expect_err("it was taken")
    }

    #[test]
    fn keys_are_those_of_rfc_5869() {
        // By Python's hmac: extract with the salt, then expand.
        let made: [u8; 42] = Secret::new(ONE.as_bytes()).derive("elbow test key");
        let digits: String = made.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = "7124260cda442a3485ae9944d7e0f2ab0925b4c5e350d94abb56d259d642\
                        d832dfadc85a3a58a46ec87c";
        assert_eq!(digits, expected);
    }

    #[test]
    fn each_purpose_and_each_secret_has_keys_of_its_own() {
        let secret = Secret::new(ONE.as_bytes());
        assert_eq!(derived(&secret), derived(&Secret::new(ONE.as_bytes())));
        assert_ne!(derived(&secret), secret.derive("tess"));
        assert_ne!(
            derived(&secret),
            derived(&Secret::new(b"Correct horse battery staple"))
        );
    }

    #[test]
    fn a_line_is_a_secret_and_space_around_it_is_none() {
        let secrets = Secrets::parse(&format!("\n  {ONE}\r\n\n0123456789abcdef\n")).expect("two");
        let made: Vec<_> = secrets.iter().map(derived).collect();
        let expected = [ONE, "0123456789abcdef"].map(|text| derived(&Secret::new(text.as_bytes())));
        assert_eq!(made, expected);
        assert!(Secrets::parse(&"x".repeat(CLUSTER_SECRET_BYTES_MAX)).is_ok());
    }

    #[test]
    fn what_is_no_secret_is_told_by_its_line_and_not_shown() {
        assert_eq!(refused(" \n\n"), "no secret in it");
        let length = "a secret must have 16 to 512 characters";
        assert_eq!(refused("0123456789abcde"), format!("line 1: {length}"));
        let long = "x".repeat(CLUSTER_SECRET_BYTES_MAX + 1);
        assert_eq!(
            refused(&format!("{ONE}\n{long}")),
            format!("line 2: {length}")
        );
        let odd = "line 1: a secret must be of printable ASCII";
        for text in [
            "0123456789abcdef\u{e9}",
            "0123456789\tabcdef",
            "\u{feff}0123456789abcdef",
        ] {
            assert_eq!(refused(text), odd);
        }
        let again = format!("{ONE}\n\n {ONE} ");
        assert_eq!(refused(&again), "line 3: the same secret again");
        let three = "0123456789abcdef\n1123456789abcdef\n2123456789abcdef";
        assert_eq!(refused(three), "line 3: more than 2 secrets");
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let secrets = Secrets::parse(ONE).expect("one");
        assert_eq!(format!("{secrets:?}"), "Secrets([Secret])");
    }
}
