//! The field names that a proxy must know.

/// A field name, as far as elbow treats it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    Connection,
    ContentLength,
    Cookie,
    Expect,
    Host,
    KeepAlive,
    ProxyConnection,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
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
            14 if is(b"content-length") => Self::ContentLength,
            15 if is(b"x-forwarded-for") => Self::XForwardedFor,
            16 if is(b"proxy-connection") => Self::ProxyConnection,
            16 if is(b"x-forwarded-port") => Self::XForwardedPort,
            17 if is(b"transfer-encoding") => Self::TransferEncoding,
            17 if is(b"x-forwarded-proto") => Self::XForwardedProto,
            _ => Self::Other,
        }
    }
}

/// What a message's `Connection` fields say (RFC 9110 §7.6.1).
#[derive(Debug, Default)]
pub(super) struct ConnectionOptions<'b> {
    pub(super) has_close: bool,
    pub(super) has_keep_alive: bool,
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

    /// Whether a field was nominated as hop-by-hop.
    pub(super) fn nominates(&self, name: &[u8]) -> bool {
        let nominated = &self.nominated.names[..self.nominated.count];
        nominated
            .iter()
            .any(|other| other.eq_ignore_ascii_case(name))
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
    fn a_nominated_field_is_hop_by_hop_unless_elbow_needs_it() {
        let mut options = ConnectionOptions::default();
        assert!(options.add(b"Keep-Alive, X-Secret , close,, Host, X-Forwarded-For"));
        assert!(options.has_close && options.has_keep_alive);
        assert!(options.nominates(b"x-secret"));
        assert!(!options.nominates(b"host"));
        assert!(!options.nominates(b"x-forwarded-for"));
    }

    #[test]
    fn more_nominations_than_the_bound_are_refused() {
        let many = vec!["x"; crate::limits::CONNECTION_OPTIONS_MAX + 1].join(",");
        assert!(!ConnectionOptions::default().add(many.as_bytes()));
    }
}
