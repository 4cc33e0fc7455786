//! The PROXY protocol: whose connection this really is, in front of a connection's first byte.
//!
//! Both versions of HAProxy's `proxy-protocol.txt` are read and written, over borrowed bytes. Not
//! here: whom to believe (`config::Network`), and when to send one (`shard`). Invariant: a header
//! is believed only as a whole, and whoever reads no more than [`Parsed::Incomplete`] asks for
//! never takes a byte from behind it.

mod binary;
#[cfg(test)]
mod tests;
mod text;

use std::net::{IpAddr, SocketAddr};

/// Which of the two forms a header is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One line of text, as the Classic Load Balancer sends it.
    V1,
    /// Binary.
    V2,
}

/// The two ends of a connection as the first proxy saw them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// The client.
    pub source: SocketAddr,
    /// Where the client connected to.
    pub destination: SocketAddr,
}

/// What the first bytes of a connection say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header, of which at least so many bytes are still to come; never 0, and
    /// never more than there are up to its end.
    Incomplete(usize),
    /// A header.
    Header {
        /// Whose connection it is.
        endpoints: Endpoints,
        /// Its bytes: what is behind them belongs to the connection.
        length: usize,
    },
    /// A header that names nobody: the connection is the sender's own (`LOCAL`), or it cannot say
    /// (`UNKNOWN`, a UNIX socket, datagrams). The addresses of the socket hold.
    Local {
        /// As above.
        length: usize,
    },
}

/// These bytes are not the beginning of a header that can be believed; nothing was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Reads the header that a connection begins with; `prefix` is all that came so far.
///
/// # Errors
/// [`Malformed`] as soon as no byte that might follow could make it a header: other bytes, a text
/// line beyond [`PROXY_LINE_BYTES_MAX`](crate::limits::PROXY_LINE_BYTES_MAX), a binary header
/// beyond [`PROXY_HEADER_BYTES_MAX`](crate::limits::PROXY_HEADER_BYTES_MAX) or with a version,
/// command or family that does not exist.
pub fn parse(prefix: &[u8]) -> Result<Parsed, Malformed> {
    match prefix.first() {
        None => Ok(Parsed::Incomplete(text::SHORTEST_BYTES)),
        Some(&first) if first == binary::SIGNATURE[0] => binary::parse(prefix),
        Some(_) => text::parse(prefix),
    }
}

/// Appends a header to `out`, of at most
/// [`PROXY_LINE_BYTES_MAX`](crate::limits::PROXY_LINE_BYTES_MAX) bytes. `None`: it says that the
/// connection's ends are not known.
///
/// IPv4 addresses in IPv6 form are written as IPv4; with one end of each family, the IPv4 one is
/// written in IPv6 form, as a header has room for one family only.
pub fn write(version: Version, endpoints: Option<Endpoints>, out: &mut Vec<u8>) {
    let pair = endpoints.map(Pair::of);
    match version {
        Version::V1 => text::write(pair, out),
        Version::V2 => binary::write(pair, out),
    }
}

impl Version {
    /// As the key `proxy_protocol` says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
}

/// Two ends of one family.
#[derive(Debug, Clone, Copy)]
enum Pair {
    V4([std::net::Ipv4Addr; 2], [u16; 2]),
    V6([std::net::Ipv6Addr; 2], [u16; 2]),
}

impl Pair {
    fn of(endpoints: Endpoints) -> Self {
        let Endpoints {
            source,
            destination,
        } = endpoints;
        let ports = [source.port(), destination.port()];
        let in_v6 = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        match (source.ip().to_canonical(), destination.ip().to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Self::V4([source, destination], ports),
            (source, destination) => Self::V6([in_v6(source), in_v6(destination)], ports),
        }
    }
}
