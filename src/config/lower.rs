//! From the text of a file to a [`Config`], in one pass that notes every problem.

use std::collections::{BTreeMap, HashMap, HashSet};

use toml::de::DeTable;

use super::access_log::access_log;
use super::api::api;
use super::certificate::certificates;
use super::cluster::cluster;
use super::host::{ANY_ADDRESS, admin, host};
use super::instance::instances;
use super::listener::Places;
use super::load_balancer::{Names, load_balancer};
use super::profile::Profile;
use super::read::{Report, Section};
use super::{Admin, Config, LoadBalancer, Problem, Problems, Sources};
use crate::limits::LOAD_BALANCERS_MAX;

/// Reads a configuration.
///
/// `file_name` is only what problems are reported under. Either the whole text holds, or every
/// problem of it comes back; if it is not TOML, that is the one problem.
pub fn parse(text: &str, file_name: &str) -> Result<Config, Problems> {
    parse_with_sources(text, file_name).map(|(config, _)| config)
}

/// As [`parse`], and says on which line each key is.
pub fn parse_with_sources(text: &str, file_name: &str) -> Result<(Config, Sources), Problems> {
    let mut report = Report::new(text);
    let config = match DeTable::parse(text) {
        Ok(document) => {
            let sources = Sources::of_file(file_name, text, document.get_ref());
            config(Section::document(&document), &mut report).map(|config| (config, sources))
        }
        Err(error) => {
            let start = error.span().map_or(0, |span| span.start);
            report.refuse_key(
                start,
                String::new(),
                format!("not TOML: {}", error.message()),
            );
            None
        }
    };
    let problems: Vec<Problem> = report.into_problems();
    if problems.is_empty() {
        Ok(config.expect("what is missing has been noted as a problem"))
    } else {
        Err(Problems::new(file_name, problems))
    }
}

fn config(mut document: Section<'_>, report: &mut Report<'_>) -> Option<Config> {
    // A profile that is wrong has been noted: any other is only needed to read on.
    let profile = profile(&mut document, report).unwrap_or(Profile::Clb);
    let host = host(&mut document, report);
    let admin = admin(&mut document, report);
    let api = api(&mut document, report);
    let access_log = access_log(&mut document, report);
    let cluster = cluster(&mut document, report);
    let instances = instances(&mut document, report);
    let certificates = certificates(&mut document, report);
    let names = Names {
        instances: &instances,
        certificates: &certificates,
    };
    let mut places = Places {
        default_address: host.as_ref().map_or(ANY_ADDRESS, |(_, address)| *address),
        admin: admin.clone().unwrap_or(Admin::OFF),
        names: HashSet::new(),
        taken: HashMap::new(),
    };
    let sections = document.sections("load_balancer", report);
    match sections.as_ref().map(Vec::len) {
        // With an admin address the API makes them.
        Some(0) if places.admin.listen.is_none() => document.refuse(
            report,
            "no [[load_balancer]] and no admin address: nothing would ever be served",
        ),
        Some(count) if count > LOAD_BALANCERS_MAX => {
            document.refuse(
                report,
                format!("more than {LOAD_BALANCERS_MAX} load balancers"),
            );
        }
        Some(_) | None => {}
    }
    let load_balancers: Vec<Option<LoadBalancer>> = sections
        .unwrap_or_default()
        .into_iter()
        .map(|section| load_balancer(section, profile, names, &mut places, report))
        .collect();
    document.finish(report);
    Some(Config {
        host: host?.0,
        admin: admin?,
        api: api?,
        access_log: access_log?,
        cluster: cluster?,
        instances: all_by_name(instances)?,
        certificates: all_by_name(certificates)?,
        load_balancers: load_balancers.into_iter().collect::<Option<_>>()?,
    })
}

/// What was read under each name; `None` if one of them is wrong.
fn all_by_name<T>(named: HashMap<&str, Option<T>>) -> Option<BTreeMap<String, T>> {
    let entries = named.into_iter();
    entries
        .map(|(name, entry)| Some((name.to_owned(), entry?)))
        .collect()
}

/// Reads `profile`; `clb` where it is not written.
fn profile(document: &mut Section<'_>, report: &mut Report<'_>) -> Option<Profile> {
    document.read_or("profile", Profile::Clb, |field| {
        field.parsed(Profile::parse, report)
    })
}
