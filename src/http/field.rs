//! The field names that a proxy must know.

/// A field name, as far as elbow treats it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Connection,
    ContentLength,
    Cookie,
    Expect,
    /// A name that is not that of a length or a coding, but that a backend may take for one.
    FramingLookalike,
    Host,
    KeepAlive,
    ProxyConnection,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    XElbowStandby,
    XForwardedFor,
    XForwardedPort,
    XForwardedProto,
    Other,
}

impl Name {
    /// Tells a name by its length first: most fields are dismissed by that alone.
    pub(super) fn of(name: &[u8]) -> Self {
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            2 if is(b"te") => Self::Te,
            4 if is(b"host") => Self::Host,
            6 if is(b"cookie") => Self::Cookie,
            6 if is(b"expect") => Self::Expect,
            7 if is(b"upgrade") => Self::Upgrade,
            7 if is(b"trailer") => Self::Trailer,
            10 if is(b"connection") => Self::Connection,
            10 if is(b"keep-alive") => Self::KeepAlive,
            10 if is(b"set-cookie") => Self::SetCookie,
            14 if is(b"content-length") => Self::ContentLength,
            15 if is(b"x-forwarded-for") => Self::XForwardedFor,
            15 if is(b"x-elbow-standby") => Self::XElbowStandby,
            16 if is(b"proxy-connection") => Self::ProxyConnection,
            16 if is(b"x-forwarded-port") => Self::XForwardedPort,
            17 if is(b"transfer-encoding") => Self::TransferEncoding,
            17 if is(b"x-forwarded-proto") => Self::XForwardedProto,
            14.. if framing_lookalike(name).is_some() => Self::FramingLookalike,
            _ => Self::Other,
        }
    }
}

/// The name of a field that says where a body ends, if readers may take this one for it: its
/// letters are the same, and what stands between them is not.
///
/// Gateways make variables of names, with `_` for all that is no letter; others skip blanks.
pub(super) fn framing_lookalike(name: &[u8]) -> Option<Name> {
    // The first letter dismisses almost all names.
    let (known, found): (&[u8], _) = match letters(name).next()? {
        b't' => (b"transfer-encoding", Name::TransferEncoding),
        b'c' => (b"content-length", Name::ContentLength),
        _ => return None,
    };
    let has_its_letters = name.len() >= known.len() && letters(name).eq(letters(known));
    has_its_letters.then_some(found)
}

/// The letters and digits of a name in lower case, also those beyond ASCII that have an ASCII
/// letter as their capital: `ſ` and `ı`.
fn letters(mut name: &[u8]) -> impl Iterator<Item = u8> {
    std::iter::from_fn(move || {
        loop {
            let (byte, rest) = match name {
                [0xc5, 0xbf, rest @ ..] => (b's', rest),
                [0xc4, 0xb1, rest @ ..] => (b'i', rest),
                [byte, rest @ ..] => (*byte, rest),
                [] => return None,
            };
            name = rest;
            if byte.is_ascii_alphanumeric() {
                return Some(byte.to_ascii_lowercase());
            }
        }
    })
}

/// Whether a token may have that byte: a method, a name, a protocol (RFC 9110 §5.6.2).
pub fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Whether a field of that name, in any case, is one that elbow treats apart, or could be taken for
/// one by a backend.
pub fn is_known_field(name: &str) -> bool {
    Name::of(name.replace('_', "-").as_bytes()) != Name::Other
}

/// Whether backends may take one name for the other: case says nothing, and `_` is `-` to those
/// that read fields as variables of their environment (RFC 3875 §4.1.18).
pub(super) fn is_alike(name: &[u8], other: &[u8]) -> bool {
    let fold = |byte: &u8| match byte {
        b'_' => b'-',
        byte => byte.to_ascii_lowercase(),
    };
    name.len() == other.len() && name.iter().map(fold).eq(other.iter().map(fold))
}

/// Some of a head's fields, by their index: a bit each, so that a head is classified once and the
/// few fields that matter are found again without a look at the others.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FieldSet(u128);

const _: () = assert!(crate::limits::FIELDS_MAX <= 128);

impl FieldSet {
    pub(super) fn insert(&mut self, index: usize) {
        self.0 |= 1 << index;
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.0 &= !(1 << index);
    }

    pub(super) fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn contains(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The indices, ascending.
    pub(super) fn iter(self) -> impl Iterator<Item = usize> + Clone {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let index = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (index < 128).then_some(index)
        })
    }
}

/// What a message's `Connection` fields say (RFC 9110 §7.6.1).
#[derive(Debug, Default)]
pub(super) struct ConnectionOptions<'b> {
    pub(super) has_close: bool,
    pub(super) has_keep_alive: bool,
    pub(super) has_upgrade: bool,
    nominated: Nominated<'b>,
}

#[derive(Debug, Default)]
struct Nominated<'b> {
    names: [&'b [u8]; crate::limits::CONNECTION_OPTIONS_MAX],
    count: usize,
}

impl<'b> ConnectionOptions<'b> {
    /// Adds one `Connection` field; false if it nominates more fields than elbow keeps in mind.
    #[must_use]
    pub(super) fn add(&mut self, value: &'b [u8]) -> bool {
        for option in super::head::list(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.has_close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.has_keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.has_upgrade = true;
            } else if Name::of(option) == Name::Other {
                // A field that elbow knows is never cut because a peer nominated it: that is how
                // clients would strip Host, Cookie or X-Forwarded-For on its way to the backend.
                let Some(slot) = self.nominated.names.get_mut(self.nominated.count) else {
                    return false;
                };
                *slot = option;
                self.nominated.count += 1;
            }
        }
        true
    }

    /// The fields that were nominated as hop-by-hop.
    pub(super) fn nominated(&self, fields: &[httparse::Header<'_>]) -> FieldSet {
        let mut found = FieldSet::default();
        for name in &self.nominated.names[..self.nominated.count] {
            for (index, field) in fields.iter().enumerate() {
                if name.eq_ignore_ascii_case(field.name.as_bytes()) {
                    found.insert(index);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Name::of(b"HOST"), Name::Host);
        assert_eq!(Name::of(b"Transfer-Encoding"), Name::TransferEncoding);
        assert_eq!(Name::of(b"x-forwarded-for"), Name::XForwardedFor);
        assert_eq!(Name::of(b"x_forwarded_for"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
    }

    #[test]
    fn names_that_a_backend_may_confuse_are_alike() {
        for name in ["X-Subject", "x_subject", "X-SUBJECT"] {
            assert!(is_alike(name.as_bytes(), b"X-Subject"), "{name}");
        }
        assert!(is_known_field("content_length") && !is_known_field("X-Subject"));
        for name in ["XSubject", "X-Subjec", "X-Subject-", "X.Subject", ""] {
            assert!(!is_alike(name.as_bytes(), b"X-Subject"), "{name}");
        }
    }

    #[test]
    fn a_nominated_field_is_hop_by_hop_unless_elbow_needs_it() {
        let mut options = ConnectionOptions::default();
        assert!(options.add(b"Keep-Alive, X-Secret , close,, Host, X-Forwarded-For"));
        assert!(options.has_close && options.has_keep_alive);
        let fields = ["Host", "x-secret", "X-Forwarded-For", "X-SECRET"]
            .map(|name| httparse::Header { name, value: b"" });
        assert_eq!(
            options.nominated(&fields).iter().collect::<Vec<_>>(),
            [1, 3]
        );
    }

    #[test]
    fn a_set_gives_back_what_was_put_in_in_order() {
        let mut set = FieldSet::default();
        assert!(set.is_empty() && set.iter().next().is_none());
        for index in [127, 0, 64, 3] {
            set.insert(index);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 3, 64, 127]);
        assert!(set.contains(127) && !set.contains(126));
    }

    #[test]
    fn more_nominations_than_the_bound_are_refused() {
        let many = vec!["x"; crate::limits::CONNECTION_OPTIONS_MAX + 1].join(",");
        assert!(!ConnectionOptions::default().add(many.as_bytes()));
    }
}
