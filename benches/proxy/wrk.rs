//! wrk: one load, played from a core, and what it saw.
//!
//! wrk's numbers come from a hook of its own at the end of the run, as one line of JSON, rather
//! than from its printed page, which rounds. Invariant: a run with an error is never only a number:
//! its [`Errors`] travel with it to the table and the exit code.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::Failure;
use crate::process::pinned;

/// What wrk is to do.
pub(crate) struct Load {
    /// What it asks for.
    pub(crate) url: String,
    /// Concurrent connections.
    pub(crate) connections: usize,
    /// For how long.
    pub(crate) seconds: u64,
    /// The cookies of a session, for the `Cookie` field; may be empty.
    pub(crate) cookies: String,
    /// Whether each request has a connection of its own.
    pub(crate) closes: bool,
    /// Whether TLS sessions are never resumed; by TLS 1.2, see [`FULL_HANDSHAKES`].
    pub(crate) is_full_handshake: bool,
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
    'outcome {"requests":%d,"window_us":%d,"p50_us":%d,"p99_us":%d,"errors":' ..
    '{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
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
    /// The median of the response times, in microseconds.
    pub(crate) p50_us: u64,
    /// Their 99th percentile. wrk counts what it could not send meanwhile as well: a pause shows as
    /// long as it was, and not in one response alone.
    pub(crate) p99_us: u64,
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

impl Outcome {
    /// How long it loaded.
    pub(crate) fn window(&self) -> Duration {
        Duration::from_micros(self.window_us)
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

    /// Begins to play.
    ///
    /// # Errors
    /// If wrk cannot be started.
    pub(crate) fn start(&self, load: &Load) -> io::Result<Playing> {
        let mut command = pinned(self.core, &self.program);
        command.args(["-t1", "--latency"]);
        command
            .arg(format!("-c{}", load.connections))
            .arg(format!("-d{}s", load.seconds));
        command.arg("-s").arg(&self.script);
        for field in BROWSER_FIELDS {
            command.args(["-H", field]);
        }
        command.args(["-H", &cookie_field(&load.cookies)]);
        if load.closes {
            command.args(["-H", "Connection: close"]);
        }
        if load.is_full_handshake {
            command.env("OPENSSL_CONF", &self.full_handshakes);
        }
        let child = command
            .arg(&load.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Playing {
            child,
            is_interrupted: Arc::clone(&self.is_interrupted),
        })
    }

    /// Plays it to its end.
    ///
    /// # Errors
    /// As [`Wrk::start`] and [`Playing::outcome`].
    pub(crate) fn play(&self, load: &Load) -> Result<Outcome, Failure> {
        self.start(load)?.outcome()
    }
}

/// A load that is being played. It ends by itself when its time is over.
pub(crate) struct Playing {
    child: Child,
    is_interrupted: Arc<AtomicBool>,
}

impl Playing {
    /// Waits for the end.
    ///
    /// # Errors
    /// If wrk prints no outcome, or at a signal. Errors of the load are in the outcome.
    pub(crate) fn outcome(self) -> Result<Outcome, Failure> {
        let output = self.child.wait_with_output()?;
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

/// The `Cookie` field with the ordinary cookies and `cookies`, which may be empty.
pub(crate) fn cookie_field(cookies: &str) -> String {
    let separator = if cookies.is_empty() { "" } else { "; " };
    format!("Cookie: {OTHER_COOKIES}{separator}{cookies}")
}
