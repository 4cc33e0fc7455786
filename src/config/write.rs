//! A configuration as a file says it, with every key, and behind each where it comes from.
//!
//! Not what may be said (`lower.rs`). Invariants: what is written is read as the same
//! configuration again; what no file can say is there as a comment, with the reason; of secrets
//! there are the paths.

mod load_balancer;
mod page;
#[cfg(test)]
mod tests;

use super::{
    AccessLog, Admin, Api, Backend, CertificateFiles, Cluster, Config, Cores, Credential, Driver,
    Host, Sources,
};
use page::{Block, Marks, Page};

impl Config {
    /// The text of a file that says the same.
    pub fn to_toml(&self, sources: &Sources) -> String {
        let mut page = Page::new(sources);
        legend(&mut page, sources);
        host(&mut page, &self.host);
        admin(&mut page, &self.admin);
        api(&mut page, &self.api);
        access_log(&mut page, &self.access_log);
        if let Some(cluster) = &self.cluster {
            self::cluster(&mut page, cluster);
        }
        for (id, instance) in &self.instances {
            self::instance(&mut page, id, instance);
        }
        for (arn, files) in &self.certificates {
            certificate(&mut page, arn, files);
        }
        for balancer in &self.load_balancers {
            load_balancer::write(&mut page, balancer, self);
        }
        for remark in &sources.remarks {
            page.gap();
            page.comment(remark);
        }
        page.into_text()
    }
}

fn legend(page: &mut Page<'_>, sources: &Sources) {
    page.comment(
        "What is in force, as a configuration file. Behind each key is where it comes from;",
    );
    page.comment("`default`: it is said nowhere. A key that is missing has no value.");
    match sources.file_name() {
        Some(name) => page.comment(&format!("The file is {name}.")),
        None => page.comment("There is no file: flags say what is not as by default."),
    }
}

fn host(page: &mut Page<'_>, host: &Host) {
    let Host {
        cores,
        pin,
        driver,
        state_dir,
        shutdown_timeout,
        session_window,
    } = host;
    let flags = page.sources().overrides.clone();
    let mut block = page.section("[host]", "host");
    match cores {
        Cores::Allowed => block.comment("cores: every CPU that the process may use # default"),
        Cores::Count(count) => {
            let count = u64::try_from(count.get()).unwrap_or(u64::MAX);
            block.key_by("shards", count, flags.cores.is_some().then_some("--shards"));
        }
        Cores::List(_) => {
            let list = cores.to_string();
            block.key_by("cores", list, flags.cores.is_some().then_some("--cores"));
        }
    }
    block.key_by("pin", *pin, flags.no_pin.then_some("--no-pin"));
    let driver_flag = flags.driver.is_some().then_some("--driver");
    block.key_by("driver", driver.name(), driver_flag);
    if let Some(directory) = state_dir {
        let flag = flags.state_dir.is_some().then_some("--state-dir");
        block.key_by("state_dir", directory.to_string_lossy(), flag);
    }
    block.length("shutdown_timeout", *shutdown_timeout);
    block.length("session_window", *session_window);
}

fn admin(page: &mut Page<'_>, admin: &Admin) {
    let Admin {
        listen,
        names,
        credentials,
    } = admin;
    let flag = page
        .sources()
        .overrides
        .admin
        .is_some()
        .then_some("--admin");
    let mut block = page.section("[admin]", "admin");
    let listen = listen.map_or_else(|| "off".to_owned(), |address| address.to_string());
    block.key_by("listen", listen, flag);
    if !names.is_empty() {
        block.list("names", names);
    }
    let marks = page.marks("admin").below("credential");
    for credential in credentials {
        write_credential(page, credential, marks);
    }
}

fn write_credential<'s>(page: &mut Page<'s>, credential: &Credential, marks: Marks<'s>) {
    let Credential {
        access_key_id,
        secret_access_key_file,
        is_read_only,
        line: _,
    } = credential;
    let mut block = page.block("[[admin.credential]]", marks.below(access_key_id));
    block.key("access_key_id", access_key_id.as_str());
    let file = secret_access_key_file.to_string_lossy();
    block.key("secret_access_key_file", file);
    block.key("read_only", *is_read_only);
}

fn api(page: &mut Page<'_>, api: &Api) {
    let Api {
        address_pool,
        dns_suffix,
        region,
        known_ids,
    } = api;
    let mut block = page.section("[api]", "api");
    block.key("address_pool", address_pool.to_string());
    if let Some(suffix) = dns_suffix {
        block.key("dns_suffix", suffix.as_str());
    }
    block.key("region", region.as_str());
    if let Some(ids) = known_ids {
        let ids: Vec<&String> = ids.iter().collect();
        block.list("known_ids", &ids);
    }
}

fn access_log(page: &mut Page<'_>, log: &AccessLog) {
    let AccessLog {
        to,
        directory,
        format,
    } = log;
    let overrides = &page.sources().overrides;
    let flag = overrides.access_log.is_some().then_some("--access-log");
    let mut block = page.section("[access_log]", "access_log");
    if let Some(sink) = to {
        block.key_by("to", sink.text().to_string_lossy(), flag);
    }
    if let Some(directory) = directory {
        block.key("directory", directory.to_string_lossy());
    }
    block.key("format", format.name());
}

fn cluster(page: &mut Page<'_>, cluster: &Cluster) {
    let Cluster {
        listen,
        advertise,
        node,
        seeds,
        secret_file,
    } = cluster;
    let mut block = page.section("[cluster]", "cluster");
    block.key("listen", listen.to_string());
    block.key("advertise", advertise.to_string());
    block.key("node", node.as_str());
    block.list("seeds", seeds);
    block.key("secret_file", secret_file.to_string_lossy());
}

fn instance(page: &mut Page<'_>, name: &str, instance: &Backend) {
    let Backend {
        id: _,
        address,
        port,
        weight,
    } = instance;
    let mut block = page.entry("[[instance]]", "instance", name);
    block.key("id", name);
    block.key("address", address.to_string());
    if let Some(port) = port {
        block.key("port", *port);
    }
    block.key("weight", *weight);
}

fn certificate(page: &mut Page<'_>, name: &str, files: &CertificateFiles) {
    let mut block = page.entry("[[certificate]]", "certificate", name);
    block.key("arn", name);
    write_files(&mut block, files);
}

/// The keys of a certificate's files.
fn write_files(block: &mut Block<'_, '_>, files: &CertificateFiles) {
    let CertificateFiles { chain, key } = files;
    block.key("certificate", chain.to_string_lossy());
    if let Some(key) = key {
        block.key("certificate_key", key.to_string_lossy());
    }
}

impl Driver {
    /// As the key `driver` says it.
    fn name(self) -> &'static str {
        let [auto, uring, epoll] = Self::NAMES;
        match self {
            Self::Auto => auto,
            Self::Uring => uring,
            Self::Epoll => epoll,
        }
    }
}
