//! The app's own cookie, whose life the stickiness cookie follows (CLB.md §2.6): read from
//! `Set-Cookie` values, looked for in `Cookie` values, its attributes copied, its path encoded.
//!
//! Not here: the stickiness cookie itself (`cookie`), and who it binds to. Invariant: nothing is
//! decoded or unquoted. Bytes are cut at `;` and `=` and copied; only `_` in a path may change.

use crate::config::{Affinity, ApplicationPolicy, UnderscoreEncoding};
use crate::limits::APP_COOKIES_MAX;

/// What one `Set-Cookie` line of the app's cookie means for the stickiness cookie.
#[derive(Debug, Clone, Copy)]
pub(super) enum Followed<'a> {
    /// A stickiness cookie goes with it.
    Bind(AppCookie<'a>),
    /// None does: the line ends in a semicolon.
    Ignored,
    /// None does: the answer has [`APP_COOKIES_MAX`] lines of that name in front of this one.
    Surplus,
}

/// The app's cookie as one `Set-Cookie` line sets it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AppCookie<'a> {
    /// What stands behind the first semicolon.
    attributes: &'a [u8],
}

/// How attributes are copied onto the stickiness cookie.
#[derive(Debug, Clone, Copy)]
pub struct Copying {
    /// `_` in the path is written `%5F`. On unless the operator says otherwise.
    pub encodes_underscores: bool,
    /// Attributes that R-056 does not name, such as `Partitioned`, are copied as well.
    pub copies_unknown: bool,
}

impl Copying {
    /// As the policy and the load balancer's switches say.
    pub fn new(policy: &ApplicationPolicy, affinity: &Affinity) -> Self {
        Self {
            encodes_underscores: affinity.underscore_encoding != UnderscoreEncoding::Off,
            copies_unknown: policy.copies_unknown_attributes,
        }
    }
}

/// Picks the lines that set the cookie `name` out of all `Set-Cookie` values of an answer, in
/// order. The name has to be the same byte for byte, blanks round it aside.
pub(super) fn followed<'a>(
    set_cookies: impl Iterator<Item = &'a [u8]>,
    name: &str,
) -> impl Iterator<Item = Followed<'a>> {
    let of_name = set_cookies.filter(move |value| is_named(value, name));
    of_name.enumerate().map(|(index, value)| {
        if index >= APP_COOKIES_MAX {
            Followed::Surplus
        } else if value.trim_ascii_end().ends_with(b";") {
            Followed::Ignored
        } else {
            Followed::Bind(AppCookie {
                attributes: attributes_of(value),
            })
        }
    })
}

impl<'a> AppCookie<'a> {
    /// Writes the attributes as they go behind `AWSELB=value`: each with a `;` in front, names in
    /// upper case in a fixed order, values as they came; none is invented. True if
    /// the path was encoded: browsers compare bytes and will not return the cookie (CLB.md §2.7).
    pub(super) fn write_attributes(&self, copying: &Copying, out: &mut Vec<u8>) -> bool {
        let known = self.known();
        let mut is_encoded = false;
        for (attribute, name) in Attribute::ALL {
            let Some(value) = known[attribute as usize] else {
                continue;
            };
            out.push(b';');
            out.extend_from_slice(name.as_bytes());
            if value.is_empty() || attribute.is_flag() {
                continue;
            }
            out.push(b'=');
            if attribute == Attribute::Path && copying.encodes_underscores {
                is_encoded = value.contains(&b'_');
                write_encoded(value, out);
            } else {
                out.extend_from_slice(value);
            }
        }
        if copying.copies_unknown {
            self.write_unknown(out);
        }
        is_encoded
    }

    /// The values of the attributes that are there, by [`Attribute`]. Of several of one name the
    /// last counts, as for browsers (RFC 6265 §5.3).
    fn known(&self) -> [Option<&'a [u8]>; Attribute::ALL.len()] {
        let mut known = [None; Attribute::ALL.len()];
        for part in parts(self.attributes) {
            let (name, value) = name_and_value(part);
            if let Some(attribute) = Attribute::of(name) {
                known[attribute as usize] = Some(value);
            }
        }
        known
    }

    fn write_unknown(&self, out: &mut Vec<u8>) {
        for part in parts(self.attributes).map(<[u8]>::trim_ascii) {
            if !part.is_empty() && Attribute::of(name_and_value(part).0).is_none() {
                out.push(b';');
                out.extend_from_slice(part);
            }
        }
    }
}

/// The attributes that R-056 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attribute {
    Path,
    Port,
    Domain,
    MaxAge,
    Expires,
    Version,
    Comment,
    CommentUrl,
    Discard,
    Secure,
    HttpOnly,
    SameSite,
}

impl Attribute {
    /// All of them by their index, which is the order in which they are written (CLB.md §2.6).
    const ALL: [(Self, &'static str); 12] = [
        (Self::Path, "PATH"),
        (Self::Port, "PORT"),
        (Self::Domain, "DOMAIN"),
        (Self::MaxAge, "MAX-AGE"),
        (Self::Expires, "EXPIRES"),
        (Self::Version, "VERSION"),
        (Self::Comment, "COMMENT"),
        (Self::CommentUrl, "COMMENTURL"),
        (Self::Discard, "DISCARD"),
        (Self::Secure, "SECURE"),
        (Self::HttpOnly, "HTTPONLY"),
        (Self::SameSite, "SAMESITE"),
    ];

    fn of(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|(_, known)| name.eq_ignore_ascii_case(known.as_bytes()))
            .map(|(attribute, _)| attribute)
    }

    /// Whether it says all by being there; a value that it came with means nothing.
    fn is_flag(self) -> bool {
        matches!(self, Self::Discard | Self::Secure | Self::HttpOnly)
    }
}

/// Whether one of a request's `Cookie` values has the cookie `name`.
pub(super) fn has_cookie<'b>(cookie_fields: impl Iterator<Item = &'b [u8]>, name: &str) -> bool {
    cookie_fields
        .flat_map(parts)
        .any(|part| is_named(part, name))
}

/// Writes a `Cookie` value without the cookies of those names, every other byte as it came;
/// nothing if no cookie is left.
pub fn strip_cookies(field: &[u8], names: &[&str], out: &mut Vec<u8>) {
    let start = out.len();
    let mut is_first = true;
    let mut is_blank = true;
    for part in parts(field) {
        if names.iter().any(|name| is_named(part, name)) {
            continue;
        }
        if is_first {
            // The blank behind a separator that went with the cookie in front of it.
            out.extend_from_slice(part.trim_ascii_start());
        } else {
            out.push(b';');
            out.extend_from_slice(part);
        }
        is_first = false;
        is_blank &= part.trim_ascii().is_empty();
    }
    if is_blank {
        out.truncate(start);
    }
}

/// Writes a `Set-Cookie` value with `_` in its path as `%5F`, every other byte as it came: the
/// setting `all-set-cookies` (CLB.md §2.7).
pub fn encode_path(set_cookie: &[u8], out: &mut Vec<u8>) {
    let attributes = attributes_of(set_cookie);
    // The cookie itself may be called `path`.
    out.extend_from_slice(&set_cookie[..set_cookie.len() - attributes.len()]);
    encode_values_of(b"path", attributes, b";", out);
}

/// Writes a `Cookie` value with `_` in each `$Path` as `%5F`, every other byte as it came: the
/// setting `request-dollar-path` (CLB.md §2.7). Cookies that have a `$Path` may be parted by
/// commas too (RFC 2965 §3.3.4).
pub fn encode_dollar_path(cookie_field: &[u8], out: &mut Vec<u8>) {
    encode_values_of(b"$path", cookie_field, b";,", out);
}

fn encode_values_of(name: &[u8], text: &[u8], separators: &[u8], out: &mut Vec<u8>) {
    for part in text.split_inclusive(|byte| separators.contains(byte)) {
        if name_and_value(part).0.eq_ignore_ascii_case(name) {
            // The name has no underscore, so the whole part may be encoded.
            write_encoded(part, out);
        } else {
            out.extend_from_slice(part);
        }
    }
}

/// `_` as `%5F`, every other byte as it is.
fn write_encoded(path: &[u8], out: &mut Vec<u8>) {
    for piece in path.split_inclusive(|&byte| byte == b'_') {
        match piece.strip_suffix(b"_") {
            Some(before) => {
                out.extend_from_slice(before);
                out.extend_from_slice(b"%5F");
            }
            None => out.extend_from_slice(piece),
        }
    }
}

/// What stands behind the first semicolon of a `Set-Cookie` value.
fn attributes_of(set_cookie: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', set_cookie);
    end.map_or(&[], |end| &set_cookie[end + 1..])
}

/// What stands between the semicolons, blanks included.
fn parts(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = memchr::memchr(b';', text);
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

/// Name and value of a part, trimmed; the value is empty where there is no `=`.
fn name_and_value(part: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'=', part).unwrap_or(part.len());
    let value = part.get(end + 1..).unwrap_or_default();
    (part[..end].trim_ascii(), value.trim_ascii())
}

/// Whether a part is `name=…`.
fn is_named(part: &[u8], name: &str) -> bool {
    let behind = part.trim_ascii_start().strip_prefix(name.as_bytes());
    behind.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

#[cfg(test)]
mod tests;
