//! How each rival is configured: on one core, as somebody who knows it well would for this task.
//!
//! All but the relay add `X-Forwarded-For`, `-Proto` and `-Port`, keep upstream connections and
//! bind sessions by a cookie of their own; none writes an access log. The figures in the comments
//! are CPU time per request, from trials with such a load on a shared machine with two cores.

use std::env;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::find_program;
use crate::rivals::{Addresses, Site};

/// The first nginx whose open-source build has `sticky cookie`.
const NGINX_WITH_STICKY: [u32; 3] = [1, 29, 6];

/// How to run a rival.
pub(crate) struct Recipe {
    /// What to start.
    pub(crate) program: PathBuf,
    /// With what.
    pub(crate) arguments: Vec<String>,
    /// As it calls itself.
    pub(crate) version: String,
    /// How it binds sessions.
    pub(crate) stickiness: &'static str,
    /// Its access log, if it writes one.
    pub(crate) log: Option<PathBuf>,
}

/// What elbow does beside its work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Beside {
    /// Nothing.
    Nothing,
    /// It writes an access log, and is looked at, at this admin address.
    Watched(SocketAddr),
    /// It is the node of a cluster that is there, and another is there.
    Clustered([SocketAddr; 2]),
}

/// elbow: one shard, one duration policy, and what it does beside that.
pub(crate) fn elbow(site: &Site<'_>, addresses: Addresses, beside: Beside) -> io::Result<Recipe> {
    let [a, b] = site.backends;
    let (core, instance_port, certificate) = (site.core, a.port(), site.certificate);
    let (port, tls_port) = (addresses.clear.port(), addresses.tls.port());
    let tcp_port = addresses.tcp.port();
    let Extra {
        name,
        admin,
        log,
        section,
    } = extra(site, beside)?;
    let config = format!(
        r#"
[host]
cores = "{core}"
address = "127.0.0.1"
shutdown_timeout = "1s"
[admin]
listen = "{admin}"
{section}
[[load_balancer]]
name = "bench"
instances = ["{a}", "{b}"]
  [load_balancer.health_check]
  target = "HTTP:{instance_port}/128"
  interval = 5
  timeout = 2
  unhealthy_threshold = 10
  healthy_threshold = 2
  [[load_balancer.lb_cookie_policy]]
  name = "an-hour"
  expiration_seconds = 3600
  [[load_balancer.listener]]
  protocol = "HTTP"
  port = {port}
  instance_protocol = "HTTP"
  instance_port = {instance_port}
  policies = ["an-hour"]
  [[load_balancer.listener]]
  protocol = "HTTPS"
  port = {tls_port}
  instance_protocol = "HTTP"
  instance_port = {instance_port}
  policies = ["an-hour"]
  certificate = {certificate:?}
  [[load_balancer.listener]]
  protocol = "TCP"
  port = {tcp_port}
  instance_protocol = "TCP"
  instance_port = {instance_port}
"#
    );
    let path = write_config(site, &name, &config)?;
    Ok(Recipe {
        log,
        program: PathBuf::from(env!("CARGO_BIN_EXE_elbow")),
        arguments: vec!["run".into(), "--config".into(), path],
        version: env!("CARGO_PKG_VERSION").into(),
        stickiness: "duration policy",
    })
}

/// What is in its file for what it does beside.
struct Extra {
    name: String,
    admin: SocketAddr,
    log: Option<PathBuf>,
    section: String,
}

fn extra(site: &Site<'_>, beside: Beside) -> io::Result<Extra> {
    let mut extra = Extra {
        name: "elbow.toml".to_owned(),
        admin: SocketAddr::from(([127, 0, 0, 1], 0)),
        log: None,
        section: String::new(),
    };
    match beside {
        Beside::Nothing => {}
        Beside::Watched(admin) => {
            let log = site.directory.join("access.log");
            extra.name = "watched.toml".to_owned();
            extra.admin = admin;
            extra.section = format!("[access_log]\nto = {log:?}");
            extra.log = Some(log);
        }
        Beside::Clustered([own, other]) => {
            let secret = write_secret(site)?;
            extra.name = format!("clustered-{}.toml", own.port());
            extra.section = format!(
                "[cluster]\nlisten = \"{own}\"\nseeds = [\"{other}\"]\nsecret_file = {secret:?}"
            );
        }
    }
    Ok(extra)
}

/// The secret of a cluster, which nobody else may read.
fn write_secret(site: &Site<'_>) -> io::Result<String> {
    let path = write_config(site, "secret", "known to the nodes of this bench\n")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// nginx: one worker. Of the buffers tried (defaults, 4k + 16 × 32k, 4k + 8 × 64k, 4k + 32 × 16k,
/// 32k + 16 × 32k, unbuffered) these took the least CPU over all bodies; nothing goes to disk. Its
/// own `sticky` where it has it, else a hash over the id that its `userid` module gives to each
/// client: the same cookie traffic, and it survives restarts. Bytes are for its `stream` module.
pub(crate) fn nginx(site: &Site<'_>, addresses: Addresses) -> io::Result<Recipe> {
    let [a, b] = site.backends;
    let (directory, certificate) = (site.directory.display(), site.certificate.display());
    let Addresses { clear, tls, tcp } = addresses;
    let temp_paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {directory}/nginx-{kind};"))
        .join("\n    ");
    let program = find_program("nginx")?;
    let build = printed_by(&program, "-V")?;
    let version = first_line_of(&build).replace("nginx version: nginx/", "");
    let load_stream = nginx_stream(&build)?;
    let stream = nginx_bytes(site, tcp);
    let (in_upstream, in_server, stickiness) = nginx_stickiness(&version);
    let config = format!(
        r"
{load_stream}
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {directory}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; multi_accept on; use epoll; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    server_tokens off;
    keepalive_timeout 1h;
    keepalive_requests 1000000000;
    {temp_paths}
    upstream pool {{
        {in_upstream}
        server {a};
        server {b};
        keepalive 512;
        keepalive_timeout 1h;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {clear} reuseport backlog=4096;
        listen {tls} ssl reuseport backlog=4096;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate};
        ssl_protocols TLSv1.2 TLSv1.3;
        {in_server}
        location / {{
            proxy_pass http://pool;
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Port $server_port;
            proxy_buffer_size 16k;
            proxy_buffers 8 16k;
            proxy_busy_buffers_size 32k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
{stream}
"
    );
    let path = write_config(site, "nginx.conf", &config)?;
    Ok(Recipe {
        log: None,
        program,
        arguments: vec!["-c".into(), path],
        version,
        stickiness,
    })
}

/// nginx's listener for bytes.
fn nginx_bytes(site: &Site<'_>, address: SocketAddr) -> String {
    let [a, b] = site.backends;
    format!(
        r"
stream {{
    upstream bytes {{
        server {a};
        server {b};
    }}
    server {{
        listen {address} reuseport backlog=4096;
        proxy_pass bytes;
        proxy_buffer_size 64k;
    }}
}}
"
    )
}

/// The line that loads the `stream` module, by what nginx tells of its build; none if it is part of
/// the program.
///
/// # Errors
/// `NotFound`.
pub(crate) fn nginx_stream(build: &str) -> io::Result<String> {
    let mut options = build.split_whitespace();
    if options.clone().any(|option| option == "--with-stream") {
        return Ok(String::new());
    }
    options
        .find_map(|option| option.strip_prefix("--modules-path="))
        .map(|path| format!("{path}/ngx_stream_module.so"))
        .filter(|path| Path::new(path).is_file())
        .map(|path| format!("load_module {path};"))
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nginx has no stream module"))
}

/// What binds sessions in that version: lines of the upstream, lines of the server, and its name.
fn nginx_stickiness(version: &str) -> (&'static str, &'static str, &'static str) {
    if version_numbers(version) >= NGINX_WITH_STICKY.to_vec() {
        ("sticky cookie srv expires=1h path=/;", "", "sticky cookie")
    } else {
        (
            "hash $uid_got$uid_set consistent;",
            "userid on; userid_expires 1h;",
            "hash of userid",
        )
    }
}

/// HAProxy: one thread. A buffer holds a 16 KiB answer with its head: 15.6 µs of CPU per request
/// rather than the 19.1 of the default. Splicing took 1 MiB from 380 to 182 µs and smaller bodies
/// nowhere. It keeps no identifiers of TLS sessions: as with the others, tickets alone resume them.
pub(crate) fn haproxy(site: &Site<'_>, addresses: Addresses) -> io::Result<Recipe> {
    let [a, b] = site.backends;
    let Addresses { clear, tls, tcp } = addresses;
    let certificate = site.certificate.display();
    let program = find_program("haproxy")?;
    let printed = printed_by(&program, "-v")?;
    let version = first_line_of(&printed)
        .split_whitespace()
        .nth(2)
        .unwrap_or("?")
        .to_owned();
    let config = format!(
        r"
global
    nbthread 1
    maxconn 8192
    tune.bufsize 32768
    tune.ssl.cachesize 0
    maxpipes 1024
defaults
    mode http
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout http-keep-alive 1m
    option http-keep-alive
    option forwardfor
    option splice-response
    http-reuse always
frontend bench
    bind {clear} backlog 4096
    bind {tls} backlog 4096 ssl crt {certificate} alpn http/1.1
    maxconn 8192
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Port %[dst_port]
    default_backend pool
listen bytes
    mode tcp
    bind {tcp} backlog 4096
    maxconn 8192
    option splice-auto
    balance roundrobin
    server a {a} check inter 5s
    server b {b} check inter 5s
backend pool
    balance leastconn
    cookie SRV insert indirect nocache
    server a {a} cookie a check inter 5s
    server b {b} cookie b check inter 5s
"
    );
    let path = write_config(site, "haproxy.cfg", &config)?;
    let arguments = vec!["-db".into(), "-f".into(), path];
    Ok(Recipe {
        log: None,
        program,
        arguments,
        version,
        stickiness: "cookie insert",
    })
}

/// The relay: this program in another role.
pub(crate) fn relay(site: &Site<'_>, address: SocketAddr) -> io::Result<Recipe> {
    let [a, b] = site.backends.map(|backend| backend.to_string());
    Ok(Recipe {
        log: None,
        program: env::current_exe()?,
        arguments: vec!["--bench".into(), "relay".into(), address.to_string(), a, b],
        version: "of this bench".into(),
        stickiness: "none",
    })
}

fn write_config(site: &Site<'_>, name: &str, text: &str) -> io::Result<String> {
    let path = site.directory.join(name);
    fs::write(&path, text)?;
    Ok(path.display().to_string())
}

/// What `program` prints, on either stream.
pub(crate) fn printed_by(program: &Path, argument: &str) -> io::Result<String> {
    let output = Command::new(program).arg(argument).output()?;
    let printed = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn first_line_of(printed: &str) -> &str {
    printed.lines().next().unwrap_or_default()
}

/// "1.29.6 (Debian)" as [1, 29, 6].
fn version_numbers(version: &str) -> Vec<u32> {
    let numbers = version.split_whitespace().next().unwrap_or_default();
    numbers
        .split('.')
        .filter_map(|number| number.parse().ok())
        .collect()
}
