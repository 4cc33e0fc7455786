//! nginx as Debian ships it: no `sticky cookie`, so a hash over the id that its `userid` module
//! gives each client, which is the closest that it has. It finds out about failures by requests.

use std::process::Command;

use super::Site;
use super::rival::{Running, free_address, write_config};
use crate::case::Policy;
use crate::feature::Feature;

pub(super) const FEATURES: [Feature; 2] = [Feature::DurationCookie, Feature::Weights];

pub(super) fn start(site: &Site<'_>) -> Running {
    let directory = site.directory.display();
    let address = free_address();
    let (in_upstream, in_server) = match &site.setup.policy {
        Policy::Duration { seconds, .. } => {
            let age = seconds.map_or(String::new(), |seconds| {
                format!("userid_expires {seconds}s;")
            });
            (
                "hash $uid_got$uid_set consistent;",
                format!("userid on; userid_name AWSELB; userid_path /; {age}"),
            )
        }
        Policy::None | Policy::Application { .. } => ("least_conn;", String::new()),
    };
    let mut servers = String::new();
    for name in &site.setup.backends {
        let (address, weight) = (site.addresses[name], site.setup.weights.get(name));
        let weight = weight.copied().unwrap_or(1);
        servers.push_str(&format!("server {address} weight={weight};"));
    }
    let config = format!(
        r"
daemon off;
worker_processes 2;
pid {directory}/nginx.pid;
error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    upstream pool {{
        zone pool 64k;
        {in_upstream}
        {servers}
        keepalive 32;
    }}
    server {{
        listen {address};
        {in_server}
        location / {{
            proxy_pass http://pool;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
        }}
    }}
}}
"
    );
    let path = write_config(site, "nginx.conf", &config);
    let mut command = Command::new("nginx");
    command.arg("-c").arg(path);
    Running::start(command, vec![address], None)
}
