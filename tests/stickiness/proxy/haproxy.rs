//! HAProxy: an inserted cookie for duration policies; for application policies a stick table that
//! learns the application's cookie from responses, and the new server after a failure; `option
//! redispatch` and health checks.

use std::process::Command;

use super::Site;
use super::rival::{Running, free_address, write_config};
use crate::case::Policy;
use crate::feature::Feature;

pub(super) const FEATURES: [Feature; 5] = [
    Feature::DurationCookie,
    Feature::ApplicationCookie,
    Feature::Checks,
    Feature::Drain,
    Feature::Weights,
];

pub(super) fn start(site: &Site<'_>) -> Running {
    let address = free_address();
    let socket = site.directory.join("haproxy.sock");
    let sticky = match &site.setup.policy {
        Policy::None => String::new(),
        Policy::Duration { seconds, .. } => {
            let age = seconds.map_or(String::new(), |age| format!(" attr \"Max-Age={age}\""));
            format!("cookie AWSELB insert indirect nocache{age}")
        }
        Policy::Application { cookie, .. } => format!(
            "stick-table type string len 64 size 10k expire 1h\n    \
             stick store-response res.cook({cookie})\n    \
             stick on req.cook({cookie})"
        ),
    };
    let has_cookie = matches!(site.setup.policy, Policy::Duration { .. });
    let mut servers = String::new();
    for name in &site.setup.backends {
        let (address, weight) = (site.addresses[name], site.setup.weights.get(name));
        let weight = weight.copied().unwrap_or(1);
        let cookie = if has_cookie {
            format!(" cookie {name}")
        } else {
            String::new()
        };
        servers.push_str(&format!(
            "    server {name} {address} weight {weight}{cookie} check inter 500ms fall 3 rise 2\n"
        ));
    }
    let config = format!(
        r"
global
    stats socket {socket} mode 600 level admin
    nbthread 2
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response
frontend clients
    bind {address}
    default_backend pool
backend pool
    balance leastconn
    option httpchk GET /health
    {sticky}
{servers}",
        socket = socket.display()
    );
    let path = write_config(site, "haproxy.cfg", &config);
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(path);
    Running::start(command, vec![address], Some(socket))
}
