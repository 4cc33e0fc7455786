//! The subject of a client's certificate as a header can carry it: RFC 4514, in printable ASCII.
//!
//! Not whether the certificate leads to one that is trusted: that was judged in a handshake, maybe
//! an earlier one. Invariant: a subject has at most [`CLIENT_SUBJECT_BYTES_MAX`] bytes, all of them
//! from space to `~`, so no certificate can write a line of a head.

use std::fmt::{self, Write};

use x509_parser::asn1_rs::{Any, Oid, Tag, ToDer};
use x509_parser::oid_registry as oid;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::limits::CLIENT_SUBJECT_BYTES_MAX;

/// The subject of a certificate that is valid at `now`, in seconds since 1970; a session that
/// resumes was judged when it began. `None`: it is not valid then, or its subject is too long
/// or broken.
pub(super) fn subject(certificate: &[u8], now: u64) -> Option<Box<str>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let now = i64::try_from(now).ok()?;
    let validity = certificate.validity();
    if !(validity.not_before.timestamp()..=validity.not_after.timestamp()).contains(&now) {
        return None;
    }
    let mut text = Bounded(String::new());
    write_name(certificate.subject().as_raw(), &mut text).ok()?;
    Some(text.0.into())
}

/// Writes a `Name` in DER. RFC 4514 §2.1: what stands last there comes first here.
fn write_name(name: &[u8], out: &mut Bounded) -> fmt::Result {
    let [name] = &parts(name)?[..] else {
        return Err(fmt::Error);
    };
    let relatives = parts(within(name, Tag::Sequence)?)?;
    for (index, relative) in relatives.iter().rev().enumerate() {
        if index > 0 {
            out.write_char(',')?;
        }
        for (index, attribute) in parts(within(relative, Tag::Set)?)?.iter().enumerate() {
            if index > 0 {
                out.write_char('+')?;
            }
            write_attribute(within(attribute, Tag::Sequence)?, out)?;
        }
    }
    Ok(())
}

/// RFC 4514 §2.3: a type without a short name, and a value without a text, as what they are.
fn write_attribute(attribute: &[u8], out: &mut Bounded) -> fmt::Result {
    let (value, kind) = Oid::from_der(attribute).map_err(|_| fmt::Error)?;
    let [value] = &parts(value)?[..] else {
        return Err(fmt::Error);
    };
    let name = short_name(&kind);
    match name {
        Some(name) => write!(out, "{name}=")?,
        None => write!(out, "{}=", kind.to_id_string())?,
    }
    match name.and_then(|_| text(value)) {
        Some(text) => write_text(&text, out),
        None => {
            out.write_char('#')?;
            let bytes = value.to_der_vec().map_err(|_| fmt::Error)?;
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02X}"))
        }
    }
}

/// The elements that stand one behind the other in DER, to the last byte: whoever skips what it
/// cannot read tells another name than the certificate's.
fn parts(mut der: &[u8]) -> Result<Vec<Any<'_>>, fmt::Error> {
    let mut parts = Vec::new();
    while !der.is_empty() {
        let (rest, part) = Any::from_der(der).map_err(|_| fmt::Error)?;
        parts.push(part);
        der = rest;
    }
    Ok(parts)
}

/// What is in an element of this type.
fn within<'d>(element: &Any<'d>, tag: Tag) -> Result<&'d [u8], fmt::Error> {
    if element.tag() == tag {
        Ok(element.data)
    } else {
        Err(fmt::Error)
    }
}

/// The short names of RFC 4514 §3, and two that are common in certificates of clients.
fn short_name(kind: &Oid<'_>) -> Option<&'static str> {
    let known = [
        (oid::OID_X509_COMMON_NAME, "CN"),
        (oid::OID_X509_LOCALITY_NAME, "L"),
        (oid::OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (oid::OID_X509_ORGANIZATION_NAME, "O"),
        (oid::OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (oid::OID_X509_COUNTRY_NAME, "C"),
        (oid::OID_X509_STREET_ADDRESS, "STREET"),
        (oid::OID_DOMAIN_COMPONENT, "DC"),
        (oid::OID_USERID, "UID"),
        (oid::OID_X509_SERIALNUMBER, "serialNumber"),
        (oid::OID_PKCS9_EMAIL_ADDRESS, "emailAddress"),
    ];
    known
        .into_iter()
        .find(|(known, _)| known == kind)
        .map(|(_, name)| name)
}

/// The text of a value, if it is of a type whose text has one reading.
fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::Ia5String
        | Tag::VisibleString => String::from_utf8(value.data.to_vec()).ok(),
        Tag::BmpString => {
            let units = value.data.chunks(2);
            let units = units.map(|unit| <[u8; 2]>::try_from(unit).map(u16::from_be_bytes));
            String::from_utf16(&units.collect::<Result<Vec<_>, _>>().ok()?).ok()
        }
        _ => None,
    }
}

/// RFC 4514 §2.4, with everything beyond printable ASCII as the hex of its bytes in UTF-8.
fn write_text(text: &str, out: &mut Bounded) -> fmt::Result {
    let last = text.len().saturating_sub(1);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {}
            b'#' if index == 0 => {}
            b' ' if index == 0 || index == last => {}
            b' '..=b'~' => {
                out.write_char(byte.into())?;
                continue;
            }
            _ => {
                write!(out, "\\{byte:02X}")?;
                continue;
            }
        }
        out.write_char('\\')?;
        out.write_char(byte.into())?;
    }
    Ok(())
}

/// Text up to the bound; beyond it an error.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > CLIENT_SUBJECT_BYTES_MAX {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
