//! What a configuration says, in a few lines for a person: the answer of `elbow check`.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use super::Tls;
use super::duration::written;
use super::{
    AccessLog, Admin, Api, ApplicationPolicy, Attributes, Backend, BackendPolicy, Cluster, Config,
    CookieTemplate, Credential,
};
use super::{
    DrainMode, DurationPolicy, HealthCheck, Listener, LoadBalancer, Logging, Refresh, SameSite,
    Stickiness, Trust,
};

/// How many backends of one load balancer are named; the rest is counted.
const BACKENDS_NAMED_MAX: usize = 8;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pinned = if self.host.pin {
            "pinned"
        } else {
            "not pinned"
        };
        writeln!(f, "shards on {}, {pinned}", self.host.cores)?;
        writeln!(f, "{}", self.admin)?;
        match (&self.cluster, &self.host.state_dir) {
            (Some(cluster), directory) => {
                write!(f, "{cluster}\ncookie keys by its secret")?;
                if let Some(directory) = directory {
                    write!(f, ", and older ones in {}", directory.display())?;
                }
            }
            (None, Some(directory)) => write!(f, "cookie keys in {}", directory.display())?,
            (None, None) => write!(f, "cookie keys last until restart (no state_dir)")?,
        }
        write!(f, "{}", self.access_log)?;
        self.write_names(f)?;
        self.load_balancers
            .iter()
            .try_for_each(|balancer| write!(f, "\n{balancer}"))
    }
}

impl Config {
    /// What the API may use, a line each, as far as anything was said of it.
    fn write_names(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(list) = api_switches(&self.api).list() {
            write!(f, "\nAPI: {list}")?;
        }
        for (arn, files) in &self.certificates {
            write!(f, "\ncertificate {arn} in {}", files.chain.display())?;
            if let Some(key) = &files.key {
                write!(f, ", its key in {}", key.display())?;
            }
        }
        let used = self.load_balancers.iter();
        let used: HashSet<&Backend> = used.flat_map(|balancer| &balancer.backends).collect();
        let spare = self.instances.values();
        let mut spare = spare.filter(|instance| !used.contains(instance));
        spare.try_for_each(|instance| write!(f, "\ninstance {instance}, of no load balancer yet"))
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            listen,
            advertise,
            node,
            seeds,
            secret_file,
        } = self;
        write!(f, "node {node} of a cluster, on {listen}")?;
        if advertise != listen {
            write!(f, ", reached at {advertise}")?;
        }
        match &seeds[..] {
            [] => write!(f, ", waits to be found (no seeds)")?,
            seeds => write!(f, ", seeds {}", seeds.join(" "))?,
        }
        write!(f, ", its secret in {}", secret_file.display())
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.format.name();
        if let Some(sink) = &self.to {
            let to = sink.text().display();
            write!(f, "\naccess log ({format}) to {to}")?;
        }
        if let Some(directory) = &self.directory {
            let directory = directory.display();
            write!(
                f,
                "\naccess logs ({format}) in {directory} of load balancers with a bucket"
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(address) = self.listen else {
            return f.write_str("no admin address");
        };
        write!(f, "admin address {address}, ")?;
        if self.credentials.is_empty() {
            return f.write_str("open to everybody on this host");
        }
        let told = |credential: &Credential| match credential.is_read_only {
            true => format!("{} (read-only)", credential.access_key_id),
            false => credential.access_key_id.clone(),
        };
        let ids: Vec<String> = self.credentials.iter().map(told).collect();
        write!(f, "for {}", ids.join(", "))
    }
}

impl fmt::Display for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load balancer {}", self.name)?;
        for listener in &self.listeners {
            write!(f, "\n  {listener}")?;
        }
        for policy in &self.backend_policies {
            write!(f, "\n  {policy}")?;
        }
        write!(f, "\n  backends:")?;
        if self.backends.is_empty() {
            let gets_503 = self.listeners.iter().any(|l| l.protocol.is_http());
            let what = if gets_503 {
                "request gets 503"
            } else {
                "connection is reset"
            };
            write!(f, " none, so every {what}")?;
        }
        for backend in self.backends.iter().take(BACKENDS_NAMED_MAX) {
            write!(f, " {backend}")?;
        }
        match self.backends.len().checked_sub(BACKENDS_NAMED_MAX) {
            None | Some(0) => {}
            Some(more) => write!(f, " and {more} more")?,
        }
        write!(f, "\n  {}", self.health_check)?;
        match attribute_switches(&self.attributes).list() {
            Some(list) => write!(f, "\n  attributes: {list}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            address,
            instance_protocol,
            instance_port,
            ..
        } = self;
        write!(
            f,
            "{protocol} {address} to {instance_protocol} {instance_port}"
        )?;
        if self.behind_tls {
            write!(f, ", behind TLS")?;
        }
        if let Some(tls) = &self.tls {
            write!(f, ", {tls}")?;
        }
        match &self.stickiness {
            None if !protocol.is_http() => {}
            None => write!(f, ", not sticky")?,
            Some(stickiness) => write!(f, ", {stickiness}")?,
        }
        let Some((first, others)) = self.proxy_networks.split_first() else {
            return Ok(());
        };
        write!(f, ", PROXY headers from {first}")?;
        match others.len() {
            0 => Ok(()),
            1 => write!(f, " and {}", others[0]),
            more => write!(f, " and {more} networks more"),
        }
    }
}

impl fmt::Display for BackendPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "to {}:", self.instance_port)?;
        let mut separator = " ";
        if let Some(version) = self.proxy_protocol {
            let version = version.name();
            write!(
                f,
                " PROXY headers {version}, a connection for each exchange"
            )?;
            separator = "; ";
        }
        match &self.trust {
            Trust::Anybody => {}
            Trust::Keys(keys) => write!(
                f,
                "{separator}backends with a key of {} that are known",
                keys.len()
            )?,
            Trust::Authorities(file) => {
                write!(f, "{separator}backends that {} vouches for", file.display())?;
            }
        }
        match &self.server_name {
            Some(name) => write!(f, "{separator}by the name {name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificates")?;
        for files in &self.certificates {
            write!(f, " {}", files.chain.display())?;
        }
        let policy = &self.policy;
        write!(f, ", {policy} by {}", policy.versions())?;
        if let Some(deviations) = policy.deviations() {
            write!(f, " ({deviations})")?;
        }
        let Some(auth) = &self.client_auth else {
            return Ok(());
        };
        let word = if auth.is_required {
            "required"
        } else {
            "optional"
        };
        let (ca, header) = (auth.ca.display(), &auth.subject_header);
        write!(f, ", client certificates by {ca} {word}, told in {header}")
    }
}

impl fmt::Display for Stickiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, switches) = match self {
            Self::Duration(policy) => {
                match policy.expiration_seconds {
                    None => write!(f, "sticky for the browser session")?,
                    Some(seconds) => write!(f, "sticky for {seconds} s")?,
                }
                (&policy.name, duration_switches(policy))
            }
            Self::Application(policy) => {
                write!(f, "sticky by the application's {}", policy.cookie_name)?;
                (&policy.name, application_switches(policy))
            }
        };
        match switches.list() {
            Some(list) => write!(f, " ({name}: {list})"),
            None => write!(f, " ({name})"),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.port {
            Some(port) => std::net::SocketAddr::new(self.address, port).to_string(),
            None => self.address.to_string(),
        };
        if address == self.id {
            f.write_str(&self.id)?;
        } else {
            write!(f, "{}={address}", self.id)?;
        }
        match self.weight {
            1 => Ok(()),
            weight => write!(f, " (weight {weight})"),
        }
    }
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interval, timeout) = (written(self.interval), written(self.timeout));
        let Self {
            target,
            unhealthy_threshold,
            healthy_threshold,
            ..
        } = self;
        write!(
            f,
            "checked by {target} every {interval}, timeout {timeout}, \
             out after {unhealthy_threshold} failures, back after {healthy_threshold} successes"
        )
    }
}

/// Keys that are not at CLB's defaults, each with its value unless that is `true`.
#[derive(Default)]
struct Switches(Vec<String>);

impl Switches {
    fn flag(&mut self, key: &str, is_on: bool) {
        if is_on {
            self.0.push(key.to_owned());
        }
    }

    fn value(&mut self, key: &str, value: Option<impl fmt::Display>) {
        if let Some(value) = value {
            self.0.push(format!("{key} {value}"));
        }
    }

    fn changed<T: PartialEq + fmt::Display>(&mut self, key: &str, value: T, default: T) {
        self.value(key, (value != default).then_some(value));
    }

    fn list(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.0.join(", "))
    }
}

fn duration_switches(policy: &DurationPolicy) -> Switches {
    let DurationPolicy { cookie, .. } = policy;
    let clb = CookieTemplate::default();
    let mut switches = Switches::default();
    switches.changed("cookie_name", &cookie.name, &clb.name);
    switches.changed("cookie_path", &cookie.path, &clb.path);
    switches.value("cookie_domain", cookie.domain.as_ref());
    switches.flag("secure", cookie.is_secure);
    switches.flag("http_only", cookie.is_http_only);
    switches.value("same_site", cookie.same_site.map(SameSite::name));
    switches.flag("partitioned", cookie.is_partitioned);
    switches.changed("refresh", policy.refresh.name(), Refresh::Never.name());
    switches.value("idle_limit", policy.idle_limit.map(written));
    switches.value("absolute_limit", policy.absolute_limit.map(written));
    switches
}

fn application_switches(policy: &ApplicationPolicy) -> Switches {
    let mut switches = Switches::default();
    switches.flag("copy_unknown_attributes", policy.copies_unknown_attributes);
    switches.value("absolute_limit", policy.absolute_limit.map(written));
    switches
}

fn api_switches(api: &Api) -> Switches {
    let default = Api::default();
    let mut switches = Switches::default();
    let (pool, default_pool) = (api.address_pool, default.address_pool);
    switches.changed("address_pool", pool.to_string(), default_pool.to_string());
    switches.value("dns_suffix", api.dns_suffix.as_ref());
    switches.changed("region", &api.region, &default.region);
    let count = api.known_ids.as_ref().map(BTreeSet::len);
    switches.value("known_ids", count);
    switches
}

fn attribute_switches(attributes: &Attributes) -> Switches {
    let clb = Attributes::default();
    let mut switches = Switches::default();
    let (idle, clb_idle) = (attributes.idle_timeout, clb.idle_timeout);
    switches.changed("idle_timeout", written(idle), written(clb_idle));
    let (cors, clb_cors) = (attributes.cors_cookie_name, clb.cors_cookie_name);
    switches.changed("cors_cookie_name", cors.name(), clb_cors.name());
    let draining = attributes.connection_draining;
    switches.value("connection_draining", draining.map(written));
    if let DrainMode::Sessions { deadline } = attributes.drain_mode {
        switches.value("drain_mode", Some("session"));
        switches.value("drain_deadline", Some(written(deadline)));
    }
    let upgrades =
        |attributes: &Attributes| format!("[{}]", attributes.upgrades.names().join(", "));
    switches.changed("upgrades", upgrades(attributes), upgrades(&clb));
    let (desync, clb_desync) = (attributes.desync_mode, clb.desync_mode);
    switches.changed("desync_mode", desync.name(), clb_desync.name());
    switches.value("request_id", attributes.request_id.as_ref());
    match &attributes.access_log {
        Logging::Off => switches.value("access_log", Some(false)),
        Logging::On => {}
        Logging::Kept(bucket) => switches.value("access_log", Some(&bucket.name)),
    }
    for (key, bound) in attributes.bounds.written() {
        switches.value(key, bound);
    }
    let (overload, clb_overload) = (&attributes.overload, clb.overload);
    switches.value("max_outstanding", overload.max_outstanding);
    switches.changed(
        "surge_queue",
        overload.surge_queue,
        clb_overload.surge_queue,
    );
    switches.value("queue_timeout", overload.queue_timeout.map(written));
    let (affinity, clb) = (&attributes.affinity, clb.affinity);
    let (encoding, clb_encoding) = (affinity.underscore_encoding, clb.underscore_encoding);
    switches.changed("underscore_encoding", encoding.name(), clb_encoding.name());
    switches.flag("strip_cookie", affinity.strips_cookie);
    switches.flag("strict", affinity.is_strict);
    switches.changed("fallback_affinity", &affinity.fallback, &clb.fallback);
    let load_bound = affinity.load_bound_percent;
    switches.value(
        "load_bound",
        load_bound.map(|percent| f64::from(percent) / 100.0),
    );
    switches.changed(
        "slow_start",
        written(affinity.slow_start),
        written(clb.slow_start),
    );
    switches.flag("standby_header", affinity.sends_standby);
    switches.flag("reason_header", affinity.sends_reason);
    switches.changed("failover", affinity.failover.name(), clb.failover.name());
    switches
}
