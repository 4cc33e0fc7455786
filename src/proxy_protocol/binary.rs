//! Version 2: a signature, version and command, family, length, then addresses and extensions.
//!
//! Extensions (TLVs) are skipped unread, and none are written.

use std::net::{IpAddr, SocketAddr};

use super::{Endpoints, Malformed, Pair, Parsed};
use crate::limits::PROXY_HEADER_BYTES_MAX;

/// No text protocol begins like this: an empty line, a NUL, a line end within.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family, and the length of the rest.
const FIXED_BYTES: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const UNSPECIFIED: u8 = 0x00;
const TCP_OVER_V4: u8 = 0x11;
const TCP_OVER_V6: u8 = 0x21;

/// The largest numbers given out: of a family (UNIX) and of a transport (datagrams).
const FAMILY_MAX: u8 = 3;
const TRANSPORT_MAX: u8 = 2;

pub(super) fn parse(prefix: &[u8]) -> Result<Parsed, Malformed> {
    let signature = prefix.len().min(SIGNATURE.len());
    if prefix[..signature] != SIGNATURE[..signature] {
        return Err(Malformed);
    }
    let command = prefix.get(12).copied();
    if !matches!(command, None | Some(LOCAL | PROXY)) {
        return Err(Malformed);
    }
    let Some((fixed, rest)) = prefix.split_first_chunk::<FIXED_BYTES>() else {
        return Ok(Parsed::Incomplete(FIXED_BYTES - prefix.len()));
    };
    let rest_bytes = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    let length = FIXED_BYTES + rest_bytes;
    if length > PROXY_HEADER_BYTES_MAX {
        return Err(Malformed);
    }
    let Some(rest) = rest.get(..rest_bytes) else {
        return Ok(Parsed::Incomplete(length - prefix.len()));
    };
    let family = fixed[13];
    if command == Some(LOCAL) {
        return Ok(Parsed::Local { length });
    }
    let endpoints = match family {
        TCP_OVER_V4 => endpoints::<4>(rest)?,
        TCP_OVER_V6 => endpoints::<16>(rest)?,
        _ if family >> 4 <= FAMILY_MAX && family & 0x0f <= TRANSPORT_MAX => {
            return Ok(Parsed::Local { length });
        }
        _ => return Err(Malformed),
    };
    Ok(Parsed::Header { endpoints, length })
}

/// Both addresses, of `N` bytes each, then both ports.
fn endpoints<const N: usize>(rest: &[u8]) -> Result<Endpoints, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = split::<N>(rest)?;
    let (destination, rest) = split::<N>(rest)?;
    let (source_port, rest) = split::<2>(rest)?;
    let (destination_port, _) = split::<2>(rest)?;
    let at = |address: [u8; N], port| SocketAddr::new(address.into(), u16::from_be_bytes(port));
    Ok(Endpoints {
        source: at(source, source_port),
        destination: at(destination, destination_port),
    })
}

/// The first `N` bytes, and the rest.
fn split<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), Malformed> {
    let (first, rest) = bytes.split_first_chunk().ok_or(Malformed)?;
    Ok((*first, rest))
}

pub(super) fn write(pair: Option<Pair>, out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    let ports = match pair {
        None => return out.extend_from_slice(&[PROXY, UNSPECIFIED, 0, 0]),
        Some(Pair::V4(addresses, ports)) => {
            out.extend_from_slice(&[PROXY, TCP_OVER_V4, 0, 12]);
            out.extend(addresses.iter().flat_map(|address| address.octets()));
            ports
        }
        Some(Pair::V6(addresses, ports)) => {
            out.extend_from_slice(&[PROXY, TCP_OVER_V6, 0, 36]);
            out.extend(addresses.iter().flat_map(|address| address.octets()));
            ports
        }
    };
    out.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
}
