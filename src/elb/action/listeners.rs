//! Listeners and their ports, as parameters.

use super::PORTS;
use super::fields::Fields;
use crate::config::Protocol;
use crate::elb::{Code, Failure, Listener};

/// A list of listeners with at least one in it.
pub(super) fn listeners(f: &Fields<'_>) -> Result<Vec<Listener>, Failure> {
    let members = f.list("Listeners")?.ok_or_else(|| f.missing("Listeners"))?;
    if members.is_empty() {
        let message = "Listeners cannot be empty";
        return Err(Failure::invalid(message));
    }
    members.iter().map(listener).collect()
}

/// The ports of listeners that are to go.
pub(super) fn ports(f: &Fields<'_>) -> Result<Vec<u16>, Failure> {
    let texts = f.required_texts("LoadBalancerPorts")?;
    let port = |text: &String| {
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.parse().ok().filter(|port| is_decimal && *port != 0);
        let rule = "be a whole number from 1 to 65535";
        port.ok_or_else(|| f.refused("LoadBalancerPorts", Some(text), rule))
    };
    texts.iter().map(port).collect()
}

fn listener(f: &Fields<'_>) -> Result<Listener, Failure> {
    let protocol = protocol(&f.required("Protocol")?)?;
    let instance_protocol = match f.optional("InstanceProtocol")? {
        Some(name) => self::protocol(&name)?,
        None if protocol.is_http() => Protocol::Http,
        None => Protocol::Tcp,
    };
    Ok(Listener {
        port: f.required_number("LoadBalancerPort", PORTS)?,
        protocol,
        instance_port: f.required_number("InstancePort", PORTS)?,
        instance_protocol,
        certificate: f.optional("SSLCertificateId")?,
        policies: Vec::new(),
    })
}

fn protocol(name: &str) -> Result<Protocol, Failure> {
    Protocol::parse(name).map_err(|_| {
        let message = format!("'{name}' is no protocol of listeners: HTTP, HTTPS, TCP, SSL");
        Failure::new(Code::UnsupportedProtocol, message)
    })
}
