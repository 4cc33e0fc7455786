//! Version 1: `PROXY TCP4 192.0.2.7 198.51.100.1 50000 80` and a line end.
//!
//! Not lenient: one space between the words, addresses of the family that is named, numbers
//! without leading zeros. Who sends something else is no proxy that anybody uses.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Endpoints, Malformed, Pair, Parsed};
use crate::limits::PROXY_LINE_BYTES_MAX;

const OPENING: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

/// The length of the shortest header there is, in either version.
pub(super) const SHORTEST_BYTES: usize = UNKNOWN.len() + b"\r\n".len();

pub(super) fn parse(prefix: &[u8]) -> Result<Parsed, Malformed> {
    let opening = prefix.len().min(OPENING.len());
    if prefix[..opening] != OPENING[..opening] {
        return Err(Malformed);
    }
    let seen = &prefix[..prefix.len().min(PROXY_LINE_BYTES_MAX)];
    let Some(end) = seen.iter().position(|byte| *byte == b'\n') else {
        let line_end = if seen.ends_with(b"\r") { 1 } else { 2 };
        if seen.len() + line_end > PROXY_LINE_BYTES_MAX {
            return Err(Malformed);
        }
        let to_shortest = SHORTEST_BYTES.saturating_sub(seen.len());
        return Ok(Parsed::Incomplete(to_shortest.max(line_end)));
    };
    let length = end + 1;
    let line = seen[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    if line
        .strip_prefix(UNKNOWN)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b' ')))
    {
        return Ok(Parsed::Local { length });
    }
    let line = std::str::from_utf8(&line[OPENING.len()..]).map_err(|_| Malformed)?;
    let endpoints = match line.split_once(' ').ok_or(Malformed)? {
        ("TCP4", rest) => endpoints::<Ipv4Addr>(rest)?,
        ("TCP6", rest) => endpoints::<Ipv6Addr>(rest)?,
        _ => return Err(Malformed),
    };
    Ok(Parsed::Header { endpoints, length })
}

fn endpoints<Address>(text: &str) -> Result<Endpoints, Malformed>
where
    Address: FromStr + Into<IpAddr>,
{
    let mut words = text.split(' ');
    let mut next = || words.next().ok_or(Malformed);
    let [source, destination, source_port, destination_port] = [next()?, next()?, next()?, next()?];
    if words.next().is_some() {
        return Err(Malformed);
    }
    let address = |word: &str| {
        word.parse::<Address>()
            .map(Into::into)
            .map_err(|_| Malformed)
    };
    Ok(Endpoints {
        source: SocketAddr::new(address(source)?, port(source_port)?),
        destination: SocketAddr::new(address(destination)?, port(destination_port)?),
    })
}

fn port(word: &str) -> Result<u16, Malformed> {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain || (word.starts_with('0') && word != "0") {
        return Err(Malformed);
    }
    word.parse().map_err(|_| Malformed)
}

pub(super) fn write(pair: Option<Pair>, out: &mut Vec<u8>) {
    let written = match pair {
        None => write!(out, "PROXY UNKNOWN\r\n"),
        Some(Pair::V4([source, destination], [from, to])) => {
            write!(out, "PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        Some(Pair::V6([source, destination], [from, to])) => {
            write!(out, "PROXY TCP6 {source} {destination} {from} {to}\r\n")
        }
    };
    written.expect("a vector takes everything");
}
