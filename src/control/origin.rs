//! What is in force and where it comes from, as the text of a configuration file.
//!
//! Not how a configuration is written (`config`). Invariant: `[host]`, `[access_log]`, `[cluster]`
//! and where the admin address listens are as they were read at the start, the rest as it was read
//! last.

use super::journal::Record;
use super::regions::Regions;
use super::setup::Setup;
use crate::config::{AccessLog, Admin, Cluster, Config, Host, Sources};
use crate::elb::timestamp;

/// What the process was started with, and where all of it comes from.
#[derive(Debug, Default)]
pub struct Origin {
    /// The process, as at the start.
    pub host: Host,
    /// The admin address, of which the place is as at the start.
    pub admin: Admin,
    /// Where access logs go, as at the start.
    pub access_log: AccessLog,
    /// The cluster that it is in, as at the start.
    pub cluster: Option<Cluster>,
    /// Where the parts of the configuration that was read last come from.
    pub sources: Sources,
}

impl Origin {
    /// What says something else in `config`, and has no effect there.
    pub(super) fn differences(&self, config: &Config) -> Vec<String> {
        let parts = [
            ("host", self.host != config.host),
            ("admin.listen", self.admin.listen != config.admin.listen),
            ("access_log", self.access_log != config.access_log),
            ("cluster", self.cluster != config.cluster),
        ];
        let different = parts.into_iter().filter(|(_, differs)| *differs);
        different.map(|(part, _)| part.to_owned()).collect()
    }

    /// The configuration was read again, from there.
    pub(super) fn follow(&mut self, config: &Config, sources: Sources) {
        self.admin = Admin {
            listen: self.admin.listen,
            ..config.admin.clone()
        };
        let older = std::mem::take(&mut self.sources);
        self.sources = sources.with_process_of(older);
    }

    /// The text of a file that says what the regions know.
    pub fn describe(&self, regions: &Regions) -> String {
        let mut sources = self.sources.clone();
        regions.explain(&mut sources);
        let config = Config {
            host: self.host.clone(),
            admin: self.admin.clone(),
            api: regions.api.clone(),
            access_log: self.access_log.clone(),
            cluster: self.cluster.clone(),
            instances: regions.instances.in_force().clone(),
            certificates: regions.certificates.in_force().clone(),
            load_balancers: regions.all(),
        };
        config.to_toml(&sources)
    }
}

impl Regions {
    /// Says which load balancers are as the API has them.
    fn explain(&self, sources: &mut Sources) {
        for record in self.records() {
            match record {
                Record::LoadBalancer {
                    region,
                    load_balancer,
                    since_ms,
                    ..
                } => {
                    let name = self.full_name(&region, &load_balancer.name);
                    sources.change(&name, format!("API{}", since(since_ms)));
                }
                Record::Deleted {
                    region,
                    name,
                    since_ms,
                    ..
                } => {
                    let name = self.full_name(&region, &name);
                    let since = since(since_ms);
                    sources.remark(format!("{name}: deleted by the API{since}"));
                }
                Record::Instance {
                    id: name,
                    backend,
                    since_ms,
                    ..
                } => say_of(sources, "instance", &name, backend.is_some(), since_ms),
                Record::Certificate {
                    arn: name,
                    files,
                    since_ms,
                    ..
                } => say_of(sources, "certificate", &name, files.is_some(), since_ms),
                // It is not in force.
                Record::Waiting { .. } => {}
            }
        }
    }
}

/// Says of a name that `/v1` has given it, or has taken it away.
fn say_of(sources: &mut Sources, what: &str, name: &str, is_there: bool, since_ms: Option<u64>) {
    let since = since(since_ms);
    if is_there {
        sources.name(name, format!("API{since}"));
    } else {
        sources.remark(format!("{what} {name}: taken away by the API{since}"));
    }
}

fn since(ms: Option<u64>) -> String {
    ms.map_or_else(String::new, |ms| format!(", since {}", timestamp(ms)))
}

impl Setup {
    /// What is in force, as the text of a configuration file.
    pub(super) fn description(&self) -> String {
        self.origin.describe(&self.regions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_is_read_at_the_start_alone_is_told_when_it_changes() {
        let cluster = |more: &str| {
            let lines = "[cluster]\nlisten = \"[::1]:1\"\nsecret_file = \"/secret\"";
            parse(&format!("{lines}\n{more}"), "elbow.toml").expect("it holds")
        };
        let config = cluster("");
        let origin = Origin {
            host: config.host.clone(),
            admin: config.admin.clone(),
            access_log: config.access_log.clone(),
            cluster: config.cluster.clone(),
            sources: Sources::default(),
        };
        assert_eq!(origin.differences(&config), [""; 0]);
        let seeded = cluster("seeds = [\"a:1\"]\n[host]\npin = false");
        assert_eq!(origin.differences(&seeded), ["host", "cluster"]);
        let alone = parse("", "elbow.toml").expect("it holds");
        assert_eq!(origin.differences(&alone), ["cluster"]);
    }
}
