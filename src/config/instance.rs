//! Backends: `[[instance]]` names addresses, and `instances` of a load balancer uses the names.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::problem::nearest;
use super::read::{Field, Report, Section};
use super::{Backend, Mistake};
use crate::limits::{BACKENDS_MAX, INSTANCES_NAMED_MAX};

/// Longest instance id. AWS's own have 19 characters; ids become labels of metrics.
const ID_BYTES_MAX: usize = 64;

/// The weight of a backend that names none.
const DEFAULT_WEIGHT: u32 = 1;

/// The largest weight.
const WEIGHT_MAX: u32 = 256;

/// The ids that the file defines; `None` for one whose entry is wrong in another way, so that its
/// use elsewhere is not refused as well.
pub(super) type Instances<'t> = HashMap<&'t str, Option<Backend>>;

impl Backend {
    /// The backend of an id: one of `named`, else an id that is an address.
    pub fn by_id(id: &str, named: &BTreeMap<String, Self>) -> Option<Self> {
        let of_address = || Self::from_address(id)?.ok();
        named.get(id).cloned().or_else(of_address)
    }

    /// Reads an address without a name of its own: `10.0.1.8`, `10.0.1.9:9001`, `[::1]:9001`.
    ///
    /// `None` if `text` is no address at all, so that it may be a name.
    fn from_address(text: &str) -> Option<Result<Self, Mistake>> {
        if let Ok(address) = text.parse::<IpAddr>() {
            let backend = || Self {
                id: text.to_owned(),
                address,
                port: None,
                weight: DEFAULT_WEIGHT,
            };
            return Some(check_address(address).map(|()| backend()));
        }
        text.parse::<SocketAddr>()
            .ok()
            .map(Self::from_socket_address)
    }

    /// Reads a backend from its parts, by the rules of `[[instance]]`. An id that is an address
    /// says all but the weight, as in `instances` of a load balancer.
    ///
    /// # Errors
    /// The part that does not hold, by its key, and why.
    pub fn from_parts(
        id: &str,
        address: Option<&str>,
        port: Option<u64>,
        weight: Option<u64>,
    ) -> Result<Self, (&'static str, Mistake)> {
        let backend = match Self::from_address(id) {
            Some(backend) => {
                let spare = [("address", address.is_some()), ("port", port.is_some())];
                if let Some((key, _)) = spare.into_iter().find(|(_, is_there)| *is_there) {
                    return Err((key, "is said by the id already, which is an address".into()));
                }
                backend.map_err(|mistake| ("id", mistake))?
            }
            None => {
                check_id(id).map_err(|mistake| ("id", mistake))?;
                let address = address.ok_or_else(|| ("address", "is missing".into()))?;
                Self {
                    id: id.to_owned(),
                    address: parse_address(address).map_err(|mistake| ("address", mistake))?,
                    port: port
                        .map(check_port)
                        .transpose()
                        .map_err(|mistake| ("port", mistake))?,
                    weight: DEFAULT_WEIGHT,
                }
            }
        };
        Ok(Self {
            weight: match weight {
                None => DEFAULT_WEIGHT,
                Some(weight) => check_weight(weight).map_err(|mistake| ("weight", mistake))?,
            },
            ..backend
        })
    }

    /// The backend at `address`, named as the address is written.
    pub(super) fn from_socket_address(address: SocketAddr) -> Result<Self, Mistake> {
        check_address(address.ip())?;
        if address.port() == 0 {
            return Err("the port must be 1 to 65535".into());
        }
        if matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0) {
            return Err("must be an address without a zone".into());
        }
        Ok(Self {
            id: address.to_string(),
            address: address.ip(),
            port: Some(address.port()),
            weight: DEFAULT_WEIGHT,
        })
    }
}

fn check_address(address: IpAddr) -> Result<(), Mistake> {
    if address.is_unspecified() || address.is_multicast() {
        return Err("must be the address of one backend".into());
    }
    Ok(())
}

/// Reads all `[[instance]]`.
pub(super) fn instances<'t>(document: &mut Section<'t>, report: &mut Report<'_>) -> Instances<'t> {
    let mut instances = Instances::new();
    let sections = document.sections("instance", report).unwrap_or_default();
    if sections.len() > INSTANCES_NAMED_MAX {
        let mistake = format!("more than {INSTANCES_NAMED_MAX} [[instance]]");
        document.refuse(report, mistake);
        return instances;
    }
    for mut section in sections {
        let id_field = section.required("id", report);
        let address = section
            .required("address", report)
            .and_then(|field| address(&field, report));
        let port = section.read_or("port", None, |field| field.port(report).map(Some));
        let weight = section.read_or("weight", DEFAULT_WEIGHT, |field| weight(&field, report));
        section.finish(report);
        let Some(id_field) = id_field else { continue };
        let Some(id) = id_field.text(report) else {
            continue;
        };
        let id_holds = id_field.parsed(check_id, report);
        let backend = || {
            id_holds?;
            Some(Backend {
                id: id.to_owned(),
                address: address?,
                port: port?,
                weight: weight?,
            })
        };
        if instances.insert(id, backend()).is_some() {
            report.refuse(&id_field, "is the id of another instance too");
        }
    }
    instances
}

fn address(field: &Field<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    field.parsed(parse_address, report)
}

fn parse_address(text: &str) -> Result<IpAddr, Mistake> {
    let address = text
        .parse()
        .map_err(|_| "must be an IP address such as 10.0.1.7; the port has a key of its own")?;
    check_address(address).map(|()| address)
}

fn check_port(port: u64) -> Result<u16, Mistake> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    port.ok_or_else(|| "must be 1 to 65535".into())
}

fn check_weight(weight: u64) -> Result<u32, Mistake> {
    let weight = u32::try_from(weight)
        .ok()
        .filter(|weight| *weight <= WEIGHT_MAX);
    weight.ok_or_else(|| format!("must be 0 to {WEIGHT_MAX}").into())
}

fn weight(field: &Field<'_>, report: &mut Report<'_>) -> Option<u32> {
    let weight = field.integer(0..=WEIGHT_MAX.into(), report)?;
    Some(u32::try_from(weight).expect("the range ends within u32"))
}

fn check_id(id: &str) -> Result<(), Mistake> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > ID_BYTES_MAX || !id.bytes().all(is_allowed) {
        return Err(format!("must be 1 to {ID_BYTES_MAX} of A-Z a-z 0-9 - _ .").into());
    }
    if id.parse::<IpAddr>().is_ok() {
        return Err("is an address: name it in `instances` without an entry here".into());
    }
    Ok(())
}

/// Reads `instances` of a load balancer.
pub(super) fn backends(
    section: &mut Section<'_>,
    instances: &Instances<'_>,
    report: &mut Report<'_>,
) -> Option<Vec<Backend>> {
    let Some(field) = section.field("instances") else {
        return Some(Vec::new());
    };
    let items = field.items(report)?;
    if items.len() > BACKENDS_MAX {
        report.refuse(&field, format!("names more than {BACKENDS_MAX} backends"));
        return None;
    }
    let mut places = HashSet::new();
    let mut backends = Vec::with_capacity(items.len());
    let mut all_hold = true;
    for item in items {
        match backend(&item, instances, report) {
            Some(backend) if places.insert((backend.address, backend.port)) => {
                backends.push(backend);
            }
            Some(_) => {
                report.refuse(&item, "is named twice in this load balancer");
                all_hold = false;
            }
            None => all_hold = false,
        }
    }
    all_hold.then_some(backends)
}

fn backend(
    item: &Field<'_>,
    instances: &Instances<'_>,
    report: &mut Report<'_>,
) -> Option<Backend> {
    let text = item.text(report)?;
    if let Some(instance) = instances.get(text) {
        return instance.clone();
    }
    let no_such_id = || match nearest(text, instances.keys().copied()) {
        Some(id) => format!("is no [[instance]] of this file; did you mean `{id}`?").into(),
        None => "is neither the id of an [[instance]] nor an IP address".into(),
    };
    match Backend::from_address(text).unwrap_or_else(|| Err(no_such_id())) {
        Ok(backend) => Some(backend),
        Err(mistake) => {
            report.refuse(item, mistake);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_backend_of_that_name() {
        let backend = |text| {
            Backend::from_address(text)
                .expect("an address")
                .expect("usable")
        };
        let plain = backend("10.0.1.8");
        assert_eq!((plain.id.as_str(), plain.port), ("10.0.1.8", None));
        let with_port = backend("[::1]:9001");
        assert_eq!(
            (with_port.id.as_str(), with_port.port),
            ("[::1]:9001", Some(9001))
        );
        assert!(Backend::from_address("i-0a1b2c3d").is_none());
    }

    #[test]
    fn an_id_is_a_name_or_an_address() {
        let named = Backend::from_parts("i-1", Some("10.0.0.1"), None, Some(3)).unwrap();
        let all = BTreeMap::from([(named.id.clone(), named.clone())]);
        assert_eq!(Backend::by_id("i-1", &all), Some(named));
        for (id, address, port) in [
            ("10.0.1.8", IpAddr::from([10, 0, 1, 8]), None),
            ("10.0.1.9:9001", IpAddr::from([10, 0, 1, 9]), Some(9001)),
            ("[::1]:80", "::1".parse().unwrap(), Some(80)),
        ] {
            let found = Backend::by_id(id, &all).map(|backend| (backend.address, backend.port));
            assert_eq!(found, Some((address, port)), "{id}");
        }
        for id in ["i-2", "", "0.0.0.0", "10.0.0.1:0"] {
            assert_eq!(Backend::by_id(id, &all), None, "{id:?}");
        }
    }

    #[test]
    fn parts_follow_the_rules_of_the_file() {
        let named = Backend::from_parts("i-1", Some("10.0.0.1"), Some(81), Some(256));
        let expected = Backend {
            id: "i-1".to_owned(),
            address: IpAddr::from([10, 0, 0, 1]),
            port: Some(81),
            weight: 256,
        };
        assert_eq!(named, Ok(expected));
        let address = Backend::from_parts("10.0.0.1:81", None, None, Some(0));
        assert_eq!(address.map(|b| (b.port, b.weight)), Ok((Some(81), 0)));
        for (key, id, address, port, weight) in [
            ("id", "a b", Some("10.0.0.1"), None, None),
            ("id", "0.0.0.0", None, None, None),
            ("address", "i-1", None, None, None),
            ("address", "i-1", Some("10.0.0.1:80"), None, None),
            ("address", "10.0.0.1", Some("10.0.0.1"), None, None),
            ("port", "10.0.0.1", None, Some(80), None),
            ("port", "i-1", Some("10.0.0.1"), Some(0), None),
            ("weight", "i-1", Some("10.0.0.1"), None, Some(257)),
        ] {
            let refused = Backend::from_parts(id, address, port, weight);
            assert_eq!(
                refused.map_err(|(key, _)| key),
                Err(key),
                "{id} {address:?}"
            );
        }
    }

    #[test]
    fn an_address_that_nobody_can_connect_to_is_refused() {
        for text in [
            "0.0.0.0",
            "224.0.0.1",
            "[::]:80",
            "10.0.0.1:0",
            "[fe80::1%3]:80",
        ] {
            let backend = Backend::from_address(text).expect("an address");
            assert!(backend.is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn ids_are_short_plain_and_no_addresses() {
        assert!(check_id("i-0a1b2c3d").is_ok());
        for id in [
            "",
            "a b",
            "a/b",
            "10.0.1.8",
            "é",
            &"i".repeat(ID_BYTES_MAX + 1),
        ] {
            assert!(check_id(id).is_err(), "{id:?} was taken");
        }
    }
}
