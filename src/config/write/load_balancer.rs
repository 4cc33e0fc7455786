//! `[[load_balancer]]`, all of it.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::affinity::Affinity;
use super::super::negotiation::Origin;
use super::super::size::written;
use super::super::sources::Sources;
use super::super::{
    Admin, ApplicationPolicy, Attributes, BackendPolicy, Bounds, Bucket, CertificateFiles,
    ClientAuth, Config, CookieTemplate, DrainMode, DurationPolicy, HealthCheck, Listener,
    LoadBalancer, Logging, Overload, SslPolicy, Stickiness, Tls, Trust, parse,
};
use super::page::{Block, Marks, Page, told};

/// Writes a load balancer of this configuration; as comments if no file can say it.
pub(super) fn write(page: &mut Page<'_>, balancer: &LoadBalancer, config: &Config) {
    let sources = page.sources();
    let in_file = page.marks("load_balancer").below(&balancer.name);
    let why = sources.changed.get(&balancer.name);
    let marks = match why {
        None => in_file,
        Some(_) => Marks::None,
    };
    if let Some(why) = why {
        page.lead(&told(why, in_file, sources));
    }
    let mut text = Page::new(sources);
    whole(&mut text, balancer, config, marks);
    let text = text.into_text();
    match beyond_files(balancer, config, &text) {
        None => page.tables(&text),
        Some(reason) => {
            page.lead(&format!("No file can say this one: {reason}."));
            page.lead(text.trim());
            page.end_lead();
        }
    }
}

/// Why no file can say it, as `text` does or otherwise. The API may have more than a file, such as
/// policies of one name at a listener that it does not see and at one that it does.
fn beyond_files(balancer: &LoadBalancer, config: &Config, text: &str) -> Option<String> {
    if balancer.name.contains('/') {
        return Some("it is of another region".to_owned());
    }
    if balancer.listeners.is_empty() {
        return Some("it has no listener".to_owned());
    }
    let tls = balancer.listeners.iter().filter_map(|l| l.tls.as_ref());
    let files: Vec<_> = tls.flat_map(|tls| &tls.certificates).collect();
    let ids: HashSet<&str> = balancer.backends.iter().map(|b| b.id.as_str()).collect();
    let default = Sources::default();
    let mut alone = Page::new(&default);
    // No listener is in the way of an admin address that this one does not have.
    super::admin(&mut alone, &Admin::OFF);
    for (id, instance) in config
        .instances
        .iter()
        .filter(|(id, _)| ids.contains(id.as_str()))
    {
        super::instance(&mut alone, id, instance);
    }
    for (arn, named) in config
        .certificates
        .iter()
        .filter(|(_, named)| files.contains(named))
    {
        super::certificate(&mut alone, arn, named);
    }
    match parse(&(alone.into_text() + text), "") {
        Ok(config) if config.load_balancers[0].backends == balancer.backends => None,
        Ok(_) => Some("it has an instance that is another one by now".to_owned()),
        Err(problems) => problems.list().first().map(|problem| {
            let key = problem.key.trim_start_matches("load_balancer[0].");
            format!("{key} {}", problem.mistake)
        }),
    }
}

fn arn_of<'a>(files: &CertificateFiles, config: &'a Config) -> Option<&'a str> {
    let mut all = config.certificates.iter();
    all.find(|(_, named)| *named == files)
        .map(|(arn, _)| arn.as_str())
}

fn whole<'s>(page: &mut Page<'s>, balancer: &LoadBalancer, config: &Config, marks: Marks<'s>) {
    let LoadBalancer {
        name,
        backends,
        health_check,
        listeners,
        backend_policies,
        attributes,
    } = balancer;
    let mut block = page.block("[[load_balancer]]", marks);
    block.key("name", name.as_str());
    let ids: Vec<&str> = backends.iter().map(|backend| backend.id.as_str()).collect();
    block.list("instances", &ids);
    self::health_check(page, health_check, marks.below("health_check"));
    policies(page, listeners, marks);
    for (index, listener) in listeners.iter().enumerate() {
        let marks = marks.below("listener").below(&index.to_string());
        self::listener(page, listener, config, marks);
    }
    for (index, policy) in backend_policies.iter().enumerate() {
        let mut users = listeners.iter();
        let is_secure = users.any(|listener| {
            listener.instance_port == policy.instance_port && listener.instance_protocol.is_secure()
        });
        let marks = marks.below("backend_policy").below(&index.to_string());
        backend_policy(page, policy, is_secure, marks);
    }
    self::attributes(page, attributes, marks.below("attributes"));
}

fn health_check<'s>(page: &mut Page<'s>, check: &HealthCheck, marks: Marks<'s>) {
    let HealthCheck {
        target,
        interval,
        timeout,
        unhealthy_threshold,
        healthy_threshold,
    } = check;
    let mut block = page.block("[load_balancer.health_check]", marks);
    block.key("target", target.to_string());
    block.length("interval", *interval);
    block.length("timeout", *timeout);
    block.key("unhealthy_threshold", *unhealthy_threshold);
    block.key("healthy_threshold", *healthy_threshold);
}

/// The policies that listeners use, each once: those about stickiness, and those about TLS.
fn policies_of(listeners: &[Listener]) -> (Vec<&Stickiness>, Vec<&SslPolicy>) {
    let (mut sticky, mut ssl) = (Vec::new(), Vec::new());
    for listener in listeners {
        sticky.extend(listener.stickiness.as_ref().filter(|p| !sticky.contains(p)));
        let policy = listener.tls.as_ref().map(|tls| &tls.policy);
        ssl.extend(policy.filter(|policy| !ssl.contains(policy)));
    }
    (sticky, ssl)
}

fn policies<'s>(page: &mut Page<'s>, listeners: &[Listener], marks: Marks<'s>) {
    let (sticky, ssl) = policies_of(listeners);
    for policy in sticky {
        match policy {
            Stickiness::Duration(policy) => {
                let marks = marks.below("lb_cookie_policy").below(&policy.name);
                duration_policy(page, policy, marks);
            }
            Stickiness::Application(policy) => {
                let marks = marks.below("app_cookie_policy").below(&policy.name);
                application_policy(page, policy, marks);
            }
        }
    }
    for policy in ssl {
        let name = policy.to_string();
        let marks = marks.below("ssl_negotiation_policy").below(&name);
        ssl_policy(page, policy, &name, marks);
    }
}

fn duration_policy<'s>(page: &mut Page<'s>, policy: &DurationPolicy, marks: Marks<'s>) {
    let DurationPolicy {
        name,
        expiration_seconds,
        cookie,
        refresh,
        idle_limit,
        absolute_limit,
    } = policy;
    let CookieTemplate {
        name: cookie_name,
        path,
        domain,
        is_secure,
        is_http_only,
        same_site,
        is_partitioned,
    } = cookie;
    let mut block = page.block("[[load_balancer.lb_cookie_policy]]", marks);
    block.key("name", name.as_str());
    let seconds = expiration_seconds.map_or(0, std::num::NonZero::get);
    block.key("expiration_seconds", seconds);
    block.key("cookie_name", cookie_name.as_str());
    block.key("cookie_path", path.as_str());
    if let Some(domain) = domain {
        block.key("cookie_domain", domain.as_str());
    }
    block.key("secure", *is_secure);
    block.key("http_only", *is_http_only);
    block.key(
        "same_site",
        same_site.map_or("off", |same_site| same_site.name()),
    );
    block.key("partitioned", *is_partitioned);
    block.key("refresh", refresh.name());
    if let Some(limit) = idle_limit {
        block.length("idle_limit", *limit);
    }
    if let Some(limit) = absolute_limit {
        block.length("absolute_limit", *limit);
    }
}

fn application_policy<'s>(page: &mut Page<'s>, policy: &ApplicationPolicy, marks: Marks<'s>) {
    let ApplicationPolicy {
        name,
        cookie_name,
        copies_unknown_attributes,
        absolute_limit,
    } = policy;
    let mut block = page.block("[[load_balancer.app_cookie_policy]]", marks);
    block.key("name", name.as_str());
    block.key("cookie_name", cookie_name.as_str());
    block.key("copy_unknown_attributes", *copies_unknown_attributes);
    if let Some(limit) = absolute_limit {
        block.length("absolute_limit", *limit);
    }
}

/// An SSL policy, unless it is one that CLB has.
fn ssl_policy<'s>(page: &mut Page<'s>, policy: &SslPolicy, name: &str, marks: Marks<'s>) {
    let origin = policy.origin();
    if origin == Origin::Clb {
        return;
    }
    let mut block = page.block("[[load_balancer.ssl_negotiation_policy]]", marks);
    block.key("name", name);
    match origin {
        Origin::Clb => {}
        Origin::Reference(reference) => block.key("reference_security_policy", reference),
        Origin::Attributes(attributes) => block.list("attributes", &attributes),
    }
}

fn listener<'s>(page: &mut Page<'s>, listener: &Listener, config: &Config, marks: Marks<'s>) {
    let Listener {
        address,
        protocol,
        instance_protocol,
        instance_port,
        stickiness,
        behind_tls,
        tls,
        proxy_networks,
    } = listener;
    let of_host = page.sources().host_address();
    let mut block = page.block("[[load_balancer.listener]]", marks);
    block.key("protocol", protocol.name());
    let mut mark = block.mark_of("address");
    if let (Some(place), "default") = (of_host, mark.as_str()) {
        mark = format!("{place} (host.address)");
    }
    block.key_marked("address", address.ip().to_string(), &mark);
    block.key("port", address.port());
    block.key("instance_protocol", instance_protocol.name());
    block.key("instance_port", *instance_port);
    let policies: Vec<&str> = stickiness.iter().map(Stickiness::name).collect();
    block.list("policies", &policies);
    if *behind_tls {
        block.key("behind_tls", true);
    }
    if let Some(tls) = tls {
        write_tls(&mut block, tls, config);
    }
    let networks: Vec<String> = proxy_networks.iter().map(ToString::to_string).collect();
    block.list("accept_proxy_protocol", &networks);
}

fn write_tls(block: &mut Block<'_, '_>, tls: &Tls, config: &Config) {
    let Tls {
        certificates,
        policy,
        client_auth,
        is_http,
    } = tls;
    let (first, others) = certificates.split_first().expect("a listener has one");
    match arn_of(first, config) {
        Some(arn) => block.key("certificate", arn),
        None => super::write_files(block, first),
    }
    let named = |files: &CertificateFiles| match arn_of(files, config) {
        Some(arn) => arn.to_owned(),
        None => files.chain.to_string_lossy().into_owned(),
    };
    let others: Vec<String> = others.iter().map(named).collect();
    block.list("certificates", &others);
    block.key("ssl_policy", policy.to_string());
    let Some(client_auth) = client_auth else {
        return;
    };
    let ClientAuth {
        ca,
        is_required,
        subject_header,
    } = client_auth;
    block.key("client_ca", ca.to_string_lossy());
    let word = if *is_required { "required" } else { "optional" };
    block.key("client_auth", word);
    if *is_http {
        block.key("client_subject_header", subject_header.as_str());
    }
}

/// What is said about TLS has no effect where it is not spoken; only the API can say it then.
fn backend_policy<'s>(
    page: &mut Page<'s>,
    policy: &BackendPolicy,
    is_secure: bool,
    marks: Marks<'s>,
) {
    let BackendPolicy {
        instance_port,
        proxy_protocol,
        trust,
        server_name,
    } = policy;
    if !is_secure && proxy_protocol.is_none() {
        return;
    }
    let mut block = page.block("[[load_balancer.backend_policy]]", marks);
    block.key("instance_port", *instance_port);
    if let Some(version) = proxy_protocol {
        block.key("proxy_protocol", version.name());
    }
    if !is_secure {
        return;
    }
    match trust {
        Trust::Anybody => {}
        Trust::Keys(keys) => {
            let keys: Vec<String> = keys.iter().map(|key| STANDARD.encode(key)).collect();
            block.list("public_keys", &keys);
        }
        Trust::Authorities(file) => block.key("ca", file.to_string_lossy()),
    }
    if let Some(name) = server_name {
        block.key("server_name", name.as_str());
    }
}

fn attributes<'s>(page: &mut Page<'s>, attributes: &Attributes, marks: Marks<'s>) {
    let Attributes {
        idle_timeout,
        cors_cookie_name,
        connection_draining,
        drain_mode,
        upgrades,
        desync_mode,
        request_id,
        access_log,
        bounds,
        overload,
        affinity,
    } = attributes;
    let mut block = page.block("[load_balancer.attributes]", marks);
    block.length("idle_timeout", *idle_timeout);
    block.key("cors_cookie_name", cors_cookie_name.name());
    match connection_draining {
        None => block.key("connection_draining", false),
        Some(time) => block.length("connection_draining", *time),
    }
    match drain_mode {
        DrainMode::Connections { .. } => block.key("drain_mode", "connections"),
        DrainMode::Sessions { deadline } => {
            block.key("drain_mode", "session");
            block.length("drain_deadline", *deadline);
        }
    }
    block.list("upgrades", upgrades.names());
    block.key("desync_mode", desync_mode.name());
    match request_id {
        None => block.key("request_id", false),
        Some(name) => block.key("request_id", name.as_str()),
    }
    write_bounds(&mut block, bounds);
    write_overload(&mut block, overload);
    write_affinity(&mut block, affinity);
    match access_log {
        Logging::Off => block.key("access_log", false),
        Logging::On => block.key("access_log", true),
        Logging::Kept(bucket) => write_bucket(page, bucket, marks.below("access_log")),
    }
}

fn write_bucket<'s>(page: &mut Page<'s>, bucket: &Bucket, marks: Marks<'s>) {
    let Bucket {
        name,
        prefix,
        interval_minutes,
    } = bucket;
    let mut block = page.block("[load_balancer.attributes.access_log]", marks);
    block.key("bucket", name.as_str());
    block.key("prefix", prefix.as_str());
    block.key("interval", *interval_minutes);
}

fn write_bounds(block: &mut Block<'_, '_>, bounds: &Bounds) {
    let Bounds {
        max_body,
        min_rate,
        max_connections,
    } = bounds;
    for (key, bytes) in [("max_body", max_body), ("min_rate", min_rate)] {
        if let Some(bytes) = bytes {
            block.key(key, written(*bytes));
        }
    }
    if let Some(count) = max_connections {
        block.key("max_connections_per_client", *count);
    }
}

fn write_overload(block: &mut Block<'_, '_>, overload: &Overload) {
    let Overload {
        max_outstanding,
        surge_queue,
        queue_timeout,
    } = overload;
    let Some(most) = max_outstanding else {
        return block.key("max_outstanding", false);
    };
    block.key("max_outstanding", most.get());
    block.key("surge_queue", *surge_queue);
    if let Some(timeout) = queue_timeout {
        block.length("queue_timeout", *timeout);
    }
}

fn write_affinity(block: &mut Block<'_, '_>, affinity: &Affinity) {
    let Affinity {
        underscore_encoding,
        strips_cookie,
        is_strict,
        fallback,
        load_bound_percent,
        slow_start,
        sends_standby,
        sends_reason,
        failover,
    } = affinity;
    block.key("strict", *is_strict);
    block.key("failover", failover.name());
    block.key("fallback_affinity", fallback.to_string());
    match load_bound_percent {
        None => block.key("load_bound", false),
        Some(percent) => block.key("load_bound", f64::from(*percent) / 100.0),
    }
    if slow_start.is_zero() {
        block.key("slow_start", false);
    } else {
        block.length("slow_start", *slow_start);
    }
    block.key("strip_cookie", *strips_cookie);
    block.key("standby_header", *sends_standby);
    block.key("reason_header", *sends_reason);
    block.key("underscore_encoding", underscore_encoding.name());
}
