//! `[[load_balancer.listener]]`.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::certificate::Certificates;
use super::network::networks;
use super::policy::Policies;
use super::problem::nearest;
use super::read::{Field, Report, Section};
use super::ssl_policy::SslPolicies;
use super::tls::tls;
use super::{Admin, Listener, Protocol, Stickiness};

/// What the load balancers of a file must not take from each other.
pub(super) struct Places {
    /// The names of load balancers so far.
    pub names: HashSet<String>,
    /// Where a listener binds that names no address.
    pub default_address: IpAddr,
    /// The admin address, which no listener may take.
    pub admin: Admin,
    /// The addresses of listeners so far, and the path of each listener.
    pub taken: HashMap<SocketAddr, String>,
}

/// Reads one `[[load_balancer.listener]]`.
pub(super) fn listener(
    mut section: Section<'_>,
    policies: &Policies<'_>,
    ssl_policies: &SslPolicies<'_>,
    certificates: &Certificates<'_>,
    places: &mut Places,
    report: &mut Report<'_>,
) -> Option<Listener> {
    let protocol = section
        .required("protocol", report)
        .and_then(|field| field.parsed(Protocol::parse, report));
    let default = match protocol {
        Some(Protocol::Tcp | Protocol::Ssl) => Protocol::Tcp,
        Some(Protocol::Http | Protocol::Https) | None => Protocol::Http,
    };
    let instance_protocol = section.read_or("instance_protocol", default, |field| {
        instance_protocol(&field, protocol, report)
    });
    let instance_port = section
        .required("instance_port", report)
        .and_then(|field| field.port(report));
    let address = address(&mut section, places, report);
    let stickiness = section.read_or("policies", None, |field| {
        stickiness(&field, policies, protocol, report)
    });
    let behind_tls = section.read_or("behind_tls", false, |field| {
        behind_tls(&field, protocol, report)
    });
    let tls = tls(&mut section, protocol, ssl_policies, certificates, report);
    let proxy_networks = section.read_or("accept_proxy_protocol", Vec::new(), |field| {
        networks(&field, report)
    });
    section.finish(report);
    Some(Listener {
        address: address?,
        protocol: protocol?,
        instance_protocol: instance_protocol?,
        instance_port: instance_port?,
        stickiness: stickiness?,
        behind_tls: behind_tls?,
        tls: tls?,
        proxy_networks: proxy_networks?,
    })
}

/// Whether what clients speak is passed on unread; no, if it is not known.
fn is_of_bytes(front: Option<Protocol>) -> bool {
    front.is_some_and(|protocol| !protocol.is_http())
}

/// Reads `instance_protocol`: of the same kind as what clients speak (CLB.md §3.4).
fn instance_protocol(
    field: &Field<'_>,
    front: Option<Protocol>,
    report: &mut Report<'_>,
) -> Option<Protocol> {
    let protocol = field.parsed(Protocol::parse, report)?;
    let mistake = match front.map(Protocol::is_http) {
        Some(true) if !protocol.is_http() => "must be HTTP or HTTPS, as the listener's protocol is",
        Some(false) if protocol.is_http() => "must be TCP or SSL, as the listener's protocol is",
        Some(_) | None => return Some(protocol),
    };
    report.refuse(field, mistake);
    None
}

/// Reads `behind_tls`, which is about what an HTTP listener writes into requests and answers.
fn behind_tls(field: &Field<'_>, front: Option<Protocol>, report: &mut Report<'_>) -> Option<bool> {
    let behind_tls = field.boolean(report)?;
    if behind_tls && is_of_bytes(front) {
        report.refuse(
            field,
            "a listener that relays bytes changes nothing by it: it is for HTTP",
        );
        return None;
    }
    if behind_tls && front == Some(Protocol::Https) {
        report.refuse(field, "is for HTTP listeners; on this one TLS ends here");
        return None;
    }
    Some(behind_tls)
}

/// Reads `address` and `port`, and takes the place if it is free.
fn address(
    section: &mut Section<'_>,
    places: &mut Places,
    report: &mut Report<'_>,
) -> Option<SocketAddr> {
    let ip = section.read_or("address", places.default_address, |field| {
        field.ip_address(report)
    });
    let port_field = section.required("port", report)?;
    let port = port_field.integer(0..=u16::MAX.into(), report)?;
    let port = u16::try_from(port).expect("the range ends with u16");
    let address = SocketAddr::new(ip?, port);
    if places.admin.clashes_with(address) {
        report.refuse(
            &port_field,
            format!("{address} takes the admin address too"),
        );
        return None;
    }
    // With port 0 the kernel picks another one for each listener.
    if port != 0 {
        if let Some(other) = places.taken.get(&address) {
            report.refuse(&port_field, format!("{address} is taken by {other}"));
            return None;
        }
        places.taken.insert(address, section.path().to_owned());
    }
    Some(address)
}

/// Reads `policies`: at most one, since all there are so far are about stickiness (CLB.md §2.1),
/// and none on a listener that is not HTTP.
fn stickiness(
    field: &Field<'_>,
    policies: &Policies<'_>,
    front: Option<Protocol>,
    report: &mut Report<'_>,
) -> Option<Option<Stickiness>> {
    let items = field.items(report)?;
    if !items.is_empty() && is_of_bytes(front) {
        let mistake = "a stickiness policy needs HTTP or HTTPS: this listener sees no cookies";
        report.refuse(field, mistake);
        return None;
    }
    if items.len() > 1 {
        report.refuse(field, "a listener has at most one stickiness policy");
        return None;
    }
    let Some(item) = items.first() else {
        return Some(None);
    };
    let name = item.text(report)?;
    if let Some(policy) = policies.get(name) {
        return policy.clone().map(Some);
    }
    let mistake = match nearest(name, policies.keys().copied()) {
        Some(known) => {
            format!("is no policy of this load balancer; did you mean `{known}`?")
        }
        None => "is no policy of this load balancer".to_owned(),
    };
    report.refuse(item, mistake);
    None
}
