//! How each proxy is configured, as somebody who knows it well would for this task.
//!
//! All have two shards, threads or workers and, where they can, health checks each second of which
//! two in a row decide. All may send a request again that a backend did not answer.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::application::{COOKIE, HEALTH_PATH};
use crate::{BACKENDS, program};

/// What is not in the table, and why.
pub(crate) const ABSENT: [(&str, &str); 1] = [(
    "nginx, by the application's cookie",
    "no such feature in the open-source build: a hash of that cookie sends the second request of \
     a session elsewhere than the first, which had none",
)];

/// Who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    Elbow,
    Haproxy,
    Nginx,
}

/// How sessions are bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OwnCookie,
    AppCookie,
}

/// A proxy with one kind of stickiness.
pub(crate) struct Contender {
    pub(crate) proxy: Proxy,
    pub(crate) version: String,
    /// How it binds sessions, in its own words.
    pub(crate) way: &'static str,
    kind: Kind,
}

/// What to start.
pub(crate) struct Recipe {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
}

impl Proxy {
    pub(crate) fn is_elbow(self) -> bool {
        self == Self::Elbow
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Elbow => "elbow",
            Self::Haproxy => "HAProxy",
            Self::Nginx => "nginx",
        })
    }
}

/// Everybody, in the order of the table.
pub(crate) fn contenders() -> Vec<Contender> {
    let all = [
        (Proxy::Elbow, Kind::OwnCookie, "duration policy"),
        (Proxy::Haproxy, Kind::OwnCookie, "`cookie insert`"),
        (Proxy::Nginx, Kind::OwnCookie, "`hash` of `userid` cookie"),
        (Proxy::Elbow, Kind::AppCookie, "application policy"),
        (
            Proxy::Haproxy,
            Kind::AppCookie,
            "`stick-table` by app cookie",
        ),
    ];
    let contender = |(proxy, kind, way)| Contender {
        proxy,
        version: version(proxy),
        way,
        kind,
    };
    all.into_iter().map(contender).collect()
}

fn version(proxy: Proxy) -> String {
    let (name, skip) = match proxy {
        Proxy::Elbow => return env!("CARGO_PKG_VERSION").to_owned(),
        Proxy::Haproxy => ("haproxy", "HAProxy version "),
        Proxy::Nginx => ("nginx", "nginx version: nginx/"),
    };
    let Ok(output) = Command::new(name).arg("-v").output() else {
        return "(not installed)".to_owned();
    };
    let printed = [output.stdout, output.stderr].concat();
    let line = String::from_utf8_lossy(&printed).replace(skip, "");
    line.split_whitespace().next().unwrap_or("?").to_owned()
}

impl Contender {
    /// How to run it in front of `backends`, its files in `directory`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn recipe(
        &self,
        address: SocketAddr,
        backends: &[SocketAddr; BACKENDS],
        directory: &Path,
    ) -> io::Result<Recipe> {
        let (name, text) = match self.proxy {
            Proxy::Elbow => ("elbow.toml", elbow(self.kind, address, backends)),
            Proxy::Haproxy => ("haproxy.cfg", haproxy(self.kind, address, backends)),
            Proxy::Nginx => ("nginx.conf", nginx(address, backends, directory)),
        };
        let path = directory.join(name);
        fs::write(&path, text)?;
        let path = path.display().to_string();
        let (program, flags) = match self.proxy {
            Proxy::Elbow => (Path::new(env!("CARGO_BIN_EXE_elbow")), ["run", "--config"]),
            Proxy::Haproxy => (program("haproxy"), ["-db", "-f"]),
            Proxy::Nginx => (program("nginx"), ["-q", "-c"]),
        };
        Ok(Recipe {
            program: program.to_owned(),
            arguments: [flags[0], flags[1], &path].map(str::to_owned).to_vec(),
        })
    }
}

fn elbow(kind: Kind, address: SocketAddr, backends: &[SocketAddr]) -> String {
    let instances: Vec<String> = backends.iter().map(ToString::to_string).collect();
    let policy = match kind {
        Kind::OwnCookie => "[[load_balancer.lb_cookie_policy]]\nexpiration_seconds = 3600".into(),
        Kind::AppCookie => {
            format!("[[load_balancer.app_cookie_policy]]\ncookie_name = \"{COOKIE}\"")
        }
    };
    let (ip, port) = (address.ip(), address.port());
    format!(
        r#"
[host]
shards = 2
pin = false
address = "{ip}"
shutdown_timeout = "1s"
[admin]
listen = "127.0.0.1:0"
[[load_balancer]]
name = "bench"
instances = {instances:?}
[load_balancer.health_check]
target = "HTTP:80{HEALTH_PATH}"
interval = "1s"
timeout = "900ms"
unhealthy_threshold = 2
healthy_threshold = 2
{policy}
name = "sticky"
[[load_balancer.listener]]
protocol = "HTTP"
port = {port}
instance_port = 80
policies = ["sticky"]
"#
    )
}

/// Sessions by its own cookie move with `redispatch`; those by the application's have an entry in
/// a table, shared by all threads, which follows them.
fn haproxy(kind: Kind, address: SocketAddr, backends: &[SocketAddr]) -> String {
    let (stickiness, has_cookie) = match kind {
        Kind::OwnCookie => ("cookie SRV insert indirect nocache".to_owned(), true),
        Kind::AppCookie => (
            format!(
                "stick-table type string len 64 size 100k expire 1h\n    \
                 stick on req.cook({COOKIE})\n    stick store-response res.cook({COOKIE})"
            ),
            false,
        ),
    };
    let server = |(index, address): (usize, &SocketAddr)| {
        let cookie = match has_cookie {
            true => format!("cookie s{index}"),
            false => String::new(),
        };
        format!("    server s{index} {address} {cookie} check inter 1s fall 2 rise 2\n")
    };
    let servers: String = backends.iter().enumerate().map(server).collect();
    format!(
        r"
global
    nbthread 2
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout http-keep-alive 1m
    http-reuse always
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
frontend bench
    bind {address} backlog 4096
    default_backend pool
backend pool
    balance leastconn
    option httpchk GET {HEALTH_PATH}
    {stickiness}
{servers}"
    )
}

/// The open-source build has no active checks and, before 1.29.6, no `sticky`: a hash over the
/// cookie that its `userid` module gives is the best that it can do.
fn nginx(address: SocketAddr, backends: &[SocketAddr], directory: &Path) -> String {
    let directory = directory.display();
    let servers: String = backends
        .iter()
        .map(|address| format!("        server {address} max_fails=1 fail_timeout=2s;\n"))
        .collect();
    format!(
        r"
daemon off;
worker_processes 2;
worker_rlimit_nofile 16384;
pid {directory}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
    upstream pool {{
        zone pool 1m;
        hash $uid_got$uid_set consistent;
{servers}
        keepalive 512;
    }}
    server {{
        listen {address} reuseport backlog=4096;
        userid on;
        userid_expires 1h;
        location / {{
            proxy_pass http://pool;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_next_upstream error timeout http_502;
        }}
    }}
}}
"
    )
}
