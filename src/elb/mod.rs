//! The Query API of Elastic Load Balancing, version 2012-06-01 (CLB.md §3), as values: the bytes
//! of a request come in, a changed [`Catalog`] and the bytes of an answer go out.
//!
//! ```text
//! body ─► Parameters ─► Action ─► Catalog::apply(action, world) ─► Answer ─► XML
//!          query.rs     action/    catalog/                        answer/
//!              └───────────┴───────────┴─────► Failure ─► XML      failure.rs
//! ```
//!
//! [`setup`] leads from there to what elbow runs, and from what a file says to what the API shows.
//!
//! Not HTTP, not signatures, not sockets: whoever calls this binds listeners, keeps the catalog on
//! disk and says in a [`World`] what the catalog cannot know. Invariant: an action that fails has
//! changed nothing, and each code that a client can see is one of [`Code`].

mod action;
mod answer;
mod catalog;
mod failure;
mod query;
pub mod setup;
#[cfg(test)]
mod tests;
mod xml;

pub use action::{AccessLogChanges, Action, AttributeChanges, NewLoadBalancer, Page};
pub use answer::{Answer, AttributesShown, Health, InstanceState, PolicyShown, timestamp};
pub use catalog::{
    AccessLog, Attributes, BackendServer, Catalog, Draining, HealthCheck, Limits, Listener,
    LoadBalancer, Policy, PolicyKind, PolicyType, Scheme, Subnet, SubnetFacts, Tag, World,
};
pub use failure::{Code, Failure};
pub use query::Parameters;

/// The version of the API that is served here.
pub const VERSION: &str = "2012-06-01";

/// The XML namespace of every answer.
const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/";
