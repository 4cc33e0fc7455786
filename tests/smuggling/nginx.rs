//! nginx, of which only those have to know who want it: it is a program of the system.
//!
//! Its access log is the record. It tells of whatever nginx took for a request, and of bytes that
//! it could not take for one.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::{Directory, eventually};
use crate::servers::{Kind, Running, SEEN};

/// The kind.
pub(crate) const NGINX: Kind = ("nginx", start);

/// nginx as long as it is needed.
struct Nginx {
    child: Child,
    directory: Directory,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One process: there is no worker that it could leave behind.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Nginx {
    fn seen(&self) -> Vec<String> {
        let log = fs::read_to_string(self.directory.path().join("access.log"));
        let log = log.expect("nginx has a log");
        let lines = log.lines();
        lines
            .map(|line| line.trim_end_matches(" 200").to_owned())
            .collect()
    }
}

fn start() -> Running {
    let directory = Directory::new();
    // The port is free again when nginx asks for it.
    let reserved = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = reserved.local_addr().expect("it is bound");
    let file = directory.write("nginx.conf", &configuration(address, directory.path()));
    drop(reserved);
    let child = Command::new("nginx")
        .arg("-c")
        .arg(file)
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx is installed");
    let nginx = Nginx { child, directory };
    eventually("nginx accepts", || TcpStream::connect(address).is_ok());
    Running {
        address,
        record: Box::new(move || nginx.seen()),
    }
}

/// Names with underscores are fields like others, which is the more lenient choice.
fn configuration(address: SocketAddr, directory: &Path) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let path = directory.display();
    let temporary = temporary.map(|name| format!("{name}_temp_path {path}/{name};"));
    let temporary = temporary.join("\n    ");
    format!(
        r#"
daemon off;
master_process off;
pid {path}/pid;
error_log {path}/error.log crit;
events {{}}
http {{
    log_format seen "$request_method $request_uri $status";
    access_log {path}/access.log seen;
    {temporary}
    underscores_in_headers on;
    keepalive_requests 1000000;
    server {{
        listen {address};
        add_header {SEEN} "$request_method $request_uri";
        return 200;
    }}
}}
"#
    )
}
