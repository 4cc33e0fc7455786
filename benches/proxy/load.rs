//! Scenarios, and wrk, which plays them.
//!
//! wrk's numbers come from a hook of its own at the end of the run, as one line of JSON, rather
//! than from its printed page, which rounds. Invariant: a run with an error is never only a number:
//! its [`Errors`] travel with it to the table and the exit code.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::Failure;
use crate::process::pinned;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// HTTP.
    Http,
    /// HTTP over TLS. wrk offers the session of a connection again on the next one.
    Tls,
    /// Nothing: it passes bytes on.
    Tcp,
}

/// One kind of load.
#[expect(
    clippy::struct_excessive_bools,
    reason = "sides of a scenario, in any combination"
)]
pub(crate) struct Scenario {
    /// How `--scenario` calls it.
    pub(crate) name: &'static str,
    /// What is asked for, one of [`crate::backend::BODIES`].
    pub(crate) path: &'static str,
    /// Concurrent connections.
    pub(crate) connections: usize,
    /// Whether requests carry the rival's stickiness cookie.
    pub(crate) is_sticky: bool,
    /// Whether each request has a connection of its own.
    pub(crate) closes: bool,
    /// Which of a rival's listeners it goes to.
    pub(crate) front: Front,
    /// Whether TLS sessions are never resumed; by TLS 1.2, see [`FULL_HANDSHAKES`].
    pub(crate) is_full_handshake: bool,
    /// Whether `--quick` plays it.
    pub(crate) is_quick: bool,
}

/// All of them, in the order of the table.
pub(crate) const SCENARIOS: [Scenario; 15] = [
    Scenario::sticky("small-8", "/128", 8),
    Scenario::sticky("small-64", "/128", 64).also_quick(),
    Scenario::sticky("small-512", "/128", 512),
    Scenario {
        is_sticky: false,
        ..Scenario::sticky("small-64-no-cookie", "/128", 64)
    },
    Scenario::sticky("16k-64", "/16k", 64).also_quick(),
    Scenario::sticky("1m-16", "/1m", 16),
    Scenario {
        closes: true,
        ..Scenario::sticky("close-64", "/128", 64)
    }
    .also_quick(),
    Scenario::sticky("tcp-small-64", "/128", 64)
        .over_tcp()
        .also_quick(),
    Scenario::sticky("tcp-1m-16", "/1m", 16).over_tcp(),
    Scenario::sticky("tcp-16m-4", "/16m", 4).over_tcp(),
    Scenario {
        closes: true,
        ..Scenario::sticky("tcp-close-64", "/128", 64)
    }
    .over_tcp(),
    Scenario::sticky("tls-small-64", "/128", 64)
        .over_tls()
        .also_quick(),
    Scenario::sticky("tls-16k-64", "/16k", 64).over_tls(),
    Scenario {
        closes: true,
        ..Scenario::sticky("tls-resumed-64", "/128", 64)
    }
    .over_tls(),
    Scenario {
        closes: true,
        is_full_handshake: true,
        ..Scenario::sticky("tls-full-64", "/128", 64)
    }
    .over_tls(),
];

impl Scenario {
    /// Kept connections that carry the stickiness cookie.
    const fn sticky(name: &'static str, path: &'static str, connections: usize) -> Self {
        Self {
            name,
            path,
            connections,
            is_sticky: true,
            closes: false,
            front: Front::Http,
            is_full_handshake: false,
            is_quick: false,
        }
    }

    const fn over_tls(self) -> Self {
        Self {
            front: Front::Tls,
            ..self
        }
    }

    /// Relayed: nobody looks at its cookie.
    const fn over_tcp(self) -> Self {
        Self {
            front: Front::Tcp,
            is_sticky: false,
            ..self
        }
    }

    const fn also_quick(self) -> Self {
        Self {
            is_quick: true,
            ..self
        }
    }
}

/// The fields of every request beside `Host`, as a browser sends them.
pub(crate) const BROWSER_FIELDS: [&str; 4] = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language: en-GB,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
];

/// Cookies that have nothing to do with stickiness and stand before the one that has.
pub(crate) const OTHER_COOKIES: &str = "theme=dark; consent=1a2b3c4d5e6f";

/// Prints what is in [`Outcome`].
const REPORT_SCRIPT: &str = r#"
done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'outcome {"requests":%d,"window_us":%d,"p99_us":%d,"errors":' ..
    '{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
    summary.requests, summary.duration, latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
"#;

/// Settings of wrk's OpenSSL with which it resumes no session. Without TLS 1.3, whose tickets
/// cannot be refused by settings; that HAProxy keeps no session identifiers is in its recipe.
const FULL_HANDSHAKES: &str = "\
openssl_conf = all
[all]
ssl_conf = tls
[tls]
system_default = full
[full]
Options = -SessionTicket
MaxProtocol = TLSv1.2
";

/// What wrk saw in one run.
#[derive(Debug, Deserialize)]
pub(crate) struct Outcome {
    /// Responses that arrived whole.
    pub(crate) requests: u64,
    /// How long it loaded, in microseconds.
    pub(crate) window_us: u64,
    /// The 99th percentile of the response times, in microseconds.
    pub p99_us: u64,
    /// What went wrong.
    pub(crate) errors: Errors,
}

/// What went wrong in one or more runs, as wrk counts it.
#[derive(Debug, Default, Clone, Deserialize, Serialize)]
pub(crate) struct Errors {
    /// Connections refused or failed.
    pub(crate) connect: u64,
    /// Connections that ended or failed before the response was whole.
    pub(crate) read: u64,
    /// Requests that could not be sent.
    pub(crate) write: u64,
    /// Responses that took longer than wrk's two seconds.
    pub(crate) timeout: u64,
    /// Responses with a status of 400 or more.
    pub(crate) status: u64,
}

impl Errors {
    /// All kinds together.
    pub(crate) fn total(&self) -> u64 {
        self.connect + self.read + self.write + self.timeout + self.status
    }

    /// Adds those of another run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.connect += other.connect;
        self.read += other.read;
        self.write += other.write;
        self.timeout += other.timeout;
        self.status += other.status;
    }
}

/// wrk with its script, pinned to one core.
pub(crate) struct Wrk {
    program: PathBuf,
    script: PathBuf,
    full_handshakes: PathBuf,
    core: usize,
    is_interrupted: Arc<AtomicBool>,
}

impl Wrk {
    /// Prepares it; the files it reads are written to `directory`. From now on SIGINT and SIGTERM
    /// end the run rather than this process, so that everything is cleaned up.
    ///
    /// # Errors
    /// If a file cannot be written or a signal not be caught.
    pub(crate) fn new(program: PathBuf, core: usize, directory: &Path) -> io::Result<Self> {
        let script = directory.join("report.lua");
        fs::write(&script, REPORT_SCRIPT)?;
        let full_handshakes = directory.join("full-handshakes.cnf");
        fs::write(&full_handshakes, FULL_HANDSHAKES)?;
        let is_interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&is_interrupted))?;
        }
        Ok(Self {
            program,
            script,
            full_handshakes,
            core,
            is_interrupted,
        })
    }

    /// Plays `scenario` against `address` for whole `seconds`; `cookies` is what the rival set.
    ///
    /// # Errors
    /// If wrk cannot run or prints no outcome, or at a signal. Errors of the load are in the
    /// outcome.
    pub(crate) fn play(
        &self,
        scenario: &Scenario,
        address: SocketAddr,
        cookies: &str,
        seconds: u64,
    ) -> Result<Outcome, Failure> {
        let mut command = pinned(self.core, &self.program);
        command.args(["-t1", "--latency"]);
        command
            .arg(format!("-c{}", scenario.connections))
            .arg(format!("-d{seconds}s"));
        command.arg("-s").arg(&self.script);
        for field in BROWSER_FIELDS {
            command.args(["-H", field]);
        }
        let cookies = if scenario.is_sticky { cookies } else { "" };
        command.args(["-H", &cookie_field(cookies)]);
        if scenario.closes {
            command.args(["-H", "Connection: close"]);
        }
        if scenario.is_full_handshake {
            command.env("OPENSSL_CONF", &self.full_handshakes);
        }
        let scheme = if scenario.front == Front::Tls {
            "https"
        } else {
            "http"
        };
        let output = command
            .arg(format!("{scheme}://{address}{}", scenario.path))
            .output()?;
        if self.is_interrupted.load(Ordering::Relaxed) {
            return Err("interrupted".into());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(json) = text.lines().find_map(|line| line.strip_prefix("outcome ")) else {
            let complaint = String::from_utf8_lossy(&output.stderr);
            return Err(format!("wrk printed no outcome: {text}{complaint}").into());
        };
        Ok(serde_json::from_str(json)?)
    }
}

impl Outcome {
    /// How long it loaded.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_micros(self.window_us)
    }
}

/// The `Cookie` field with the ordinary cookies and `cookies`, which may be empty.
pub(crate) fn cookie_field(cookies: &str) -> String {
    let separator = if cookies.is_empty() { "" } else { "; " };
    format!("Cookie: {OTHER_COOKIES}{separator}{cookies}")
}
