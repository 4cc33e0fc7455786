//! Between what the API knows of a load balancer ([`LoadBalancer`](super::LoadBalancer)) and what
//! elbow runs (`config::LoadBalancer`): [`lower()`] makes the second of the first, [`lift()`] the
//! first of the second.
//!
//! Not here: what makes it happen. Nothing is bound, read or kept; whoever calls this says in
//! [`Places`] and [`Facts`] what neither of the two knows. Invariants: what comes out of
//! [`lower()`] is as valid as what a file says; and a load balancer of the file that the API has
//! not changed comes back from there as it was: `lower(&lift(b, ..), Some(b), ..) == b`.
//!
//! The API has no words for much of what a file can say. So the load balancer as the file has it is
//! the base of [`lower()`], and what cannot be said stays as it is there:
//!
//! - A listener at the port of one in the file keeps that one's address and
//!   `accept_proxy_protocol`; `behind_tls` if it is HTTP; further certificates and `client_ca` if
//!   it has TLS.
//! - Listeners that the API does not see stay as they are: those at port 0; and those at a port
//!   that an earlier one has on another address, as long as the API has that port.
//! - A stickiness policy keeps all but the life or the name of the cookie, if one of its name and
//!   kind is in use in the file.
//! - An SSL policy that says the same as in the file still knows what was asked for and is not
//!   offered.
//! - An instance of the file keeps address, port and weight.
//! - An instance port to which TLS is spoken keeps `server_name`, and `ca` unless the API names
//!   keys; PROXY headers that are of version 2 in the file remain so.
//! - Attributes that CLB does not have stay, and so do parts of a second where the whole seconds,
//!   rounded up, have not been changed.
//!
//! The other way, [`lift()`] shows what is in force. Policies that no listener uses, and what is
//! kept for the API alone (tags, zones, subnets, access logs, how long draining would last if it
//! were on), are not in a `config::LoadBalancer` and not made up. An SSL policy is shown by what it
//! offers, and policies of instance ports get names that begin with `elbow-`.

mod lift;
mod lower;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;

pub use lift::lift;
pub use lower::lower;

use crate::config::{Backend, CertificateFiles};

/// Where the words of the API lead.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// Where listeners accept that have no address of their own in the file.
    pub address: IpAddr,
    /// The backend of an instance id; `None`: there is none.
    pub instance: &'a dyn Fn(&str) -> Option<Backend>,
    /// The files of a certificate's ARN; `None`: there are none. It is not asked for those that
    /// [`CertificateFiles::file_arn`] makes up.
    pub certificate: &'a dyn Fn(&str) -> Option<CertificateFiles>,
}

impl fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What the API shows of a load balancer that is not in the file.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The region that it is in; its one zone is called after it.
    pub region: &'a str,
    /// Milliseconds since 1970.
    pub created_ms: u64,
    /// The name that clients connect to; `None`: the address of its first listener.
    pub dns_name: Option<&'a str>,
    /// The ARN that files have got from a `[[certificate]]`; `None`: they are shown by their path.
    pub arn: &'a dyn Fn(&CertificateFiles) -> Option<String>,
}

impl fmt::Debug for Facts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("region", &self.region)
            .field("created_ms", &self.created_ms)
            .field("dns_name", &self.dns_name)
            .finish_non_exhaustive()
    }
}
