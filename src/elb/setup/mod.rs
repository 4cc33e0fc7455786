//! Between what the API knows of a load balancer ([`LoadBalancer`](super::LoadBalancer)) and what
//! elbow runs (`config::LoadBalancer`): [`lower`] makes the second of the first, [`lift`] the first
//! of the second.
//!
//! Not here: what makes it happen. Nothing is bound, read or kept; whoever calls this says in
//! [`Places`] and [`Facts`] what neither of the two knows. Invariants: what comes out of [`lower`]
//! is as valid as what a file says; and a load balancer of the file that the API has not changed
//! comes back from there as it was: `lower(&lift(b, ..), Some(b), ..) == b`.
//!
//! The API has no words for much of what a file can say. So the load balancer as the file has it is
//! the base of [`lower`], and what cannot be said stays as it is there:
//!
//! | of | stays | as long as |
//! |---|---|---|
//! | a listener | its own address, `accept_proxy_protocol`; `behind_tls`; further certificates, `client_ca` | there is one at its port; it is HTTP; it has TLS |
//! | a listener at port 0, or at a port that an earlier one has on another address | all of it: the API does not see it | the API has that port |
//! | a stickiness policy | all but the life or name of the cookie | one of its name and kind is in use |
//! | an SSL policy | what was asked for and is not offered | it is the same |
//! | an instance | address, port, weight | it is registered |
//! | an instance port | `ca`, `server_name`, version 2 of PROXY headers | a listener uses it, and there is TLS, or a PROXY header |
//! | attributes | all that CLB does not have | |
//! | times | parts of a second | the whole seconds, rounded up, are not changed |
//!
//! The other way, [`lift`] shows what is in force: policies that no listener uses, and what elbow
//! keeps for the API alone (tags, zones, subnets, access logs), are not in a `config::LoadBalancer`
//! and not made up. Policies of instance ports get names that begin with `elbow-`.

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
