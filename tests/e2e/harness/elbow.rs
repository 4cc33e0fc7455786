//! The binary under test as a child process: started, asked, signalled, and never left behind.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;

use super::backend::Backend;
use super::message::{Response, get, post};
use super::wire::Wire;
use super::{PATIENCE, eventually};

/// elbow, ready to serve.
pub(crate) struct Elbow {
    child: Child,
    /// Where it listens, in the order of the file.
    pub(crate) listeners: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    stderr: Arc<Mutex<String>>,
    directory: Option<Directory>,
}

impl Elbow {
    /// Starts it with this configuration and waits until it says that it is ready.
    pub(crate) fn start(toml: &str) -> Self {
        let directory = Directory::new();
        let file = directory.write("elbow.toml", toml);
        let file = file.to_str().expect("the path is ASCII");
        let mut elbow = Self::spawn(&["run", "--config", file]);
        elbow.directory = Some(directory);
        elbow
    }

    /// Writes its configuration anew and has it read again; whether it was taken.
    pub(crate) fn reload(&self, toml: &str) -> bool {
        let directory = self.directory.as_ref().expect("it has a file");
        directory.write("elbow.toml", toml);
        let counts = || ["elbow_reloads_total", "elbow_reload_errors_total"].map(|n| self.sum(n));
        let before = counts();
        self.signal(Signal::HUP);
        eventually("the file is read again", || counts() != before);
        counts()[1] == before[1]
    }

    /// Where the listeners of that load balancer are now.
    pub(crate) fn listeners_of(&self, load_balancer: &str) -> Vec<SocketAddr> {
        let (_, balancers) = self.admin("GET", "/v1/load-balancers", "");
        let balancers = balancers.as_array().expect("a list").iter();
        let mut named = balancers.filter(|balancer| balancer["name"] == load_balancer);
        let Some(balancer) = named.next() else {
            return Vec::new();
        };
        let listeners = balancer["listeners"].as_array().expect("a list").iter();
        listeners
            .map(|listener| {
                let address = listener["address"].as_str().expect("text");
                address.parse().expect("an address")
            })
            .collect()
    }

    /// Starts it with these arguments and waits until it says that it is ready.
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_elbow"));
        command.args(arguments);
        Self::spawn_by(command)
    }

    /// As [`Elbow::spawn`], by a command that becomes elbow.
    pub(crate) fn spawn_by(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        // Reads on after `ready`, so that elbow never waits for a full pipe.
        thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .for_each(|line| drop(sender.send(line)));
        });

        let mut listeners = Vec::new();
        let mut admin = None;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| {
                let text = stderr.lock().expect("no holder panics").clone();
                drop(child.kill());
                let what = match error {
                    RecvTimeoutError::Timeout => "is not ready in time",
                    RecvTimeoutError::Disconnected => "ended before it was ready",
                };
                panic!("elbow {what}: {command:?}\n{text}")
            });
            if let Some(rest) = line.strip_prefix("listening ") {
                let address = rest.split(' ').nth(1).unwrap_or_default();
                listeners.push(address.parse().expect("`listening` names an address"));
            } else if let Some(rest) = line.strip_prefix("admin http://") {
                admin = Some(
                    rest.trim_end_matches('/')
                        .parse()
                        .expect("`admin` names one"),
                );
            } else if line.starts_with("ready shards=") {
                break;
            }
        }
        let admin = admin.expect("the admin address is announced before `ready`");
        Self {
            child,
            listeners,
            admin,
            stderr,
            directory: None,
        }
    }

    /// Where its first listener is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listeners[0]
    }

    /// A new connection to the first listener.
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address())
    }

    /// One request on a new connection to the first listener.
    pub(crate) fn ask(&self, request: &str) -> Response {
        self.connect().ask(request)
    }

    /// Waits until requests without a cookie reach each of `backends`.
    pub(crate) fn expect_in_service(&self, backends: &[&Backend]) {
        let mut missing = backends.to_vec();
        missing
            .iter()
            .for_each(|backend| _ = backend.take_reached());
        eventually("all backends in service", || {
            self.ask(&get("/in-service", &[]));
            missing.retain(|backend| !backend.take_reached());
            missing.is_empty()
        });
    }

    /// The text of /metrics.
    pub(crate) fn metrics(&self) -> String {
        let response = Wire::connect(self.admin).ask(&get("/metrics", &["Connection: close"]));
        assert_eq!(response.status(), 200, "{}", response.head.text);
        response.body_text()
    }

    /// Status and body of an answer of the admin address; null if there is no body.
    pub(crate) fn admin(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{body}",
            self.admin
        );
        let response = Wire::connect(self.admin).ask(&request);
        let value = match response.body.as_slice() {
            [] => Value::Null,
            json => serde_json::from_slice(json).expect("/v1 answers in JSON"),
        };
        (response.status(), value)
    }

    /// Lets the instance at that path leave; it may have left when this is answered.
    pub(crate) fn deregister(&self, place: &str) {
        let (status, row) = self.admin("DELETE", place, "");
        assert!([200, 202].contains(&status), "{status} {row}");
    }

    /// The next `count` moments of a load balancer, one a second.
    pub(crate) fn moments(&self, load_balancer: &str, count: usize) -> Vec<Value> {
        let target = format!("/v1/live?moments={count}&load_balancer={load_balancer}");
        let response = Wire::connect(self.admin).ask(&get(&target, &["Connection: close"]));
        let text = response.body_text();
        assert_eq!(response.status(), 200, "{text}");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|json| serde_json::from_str(json).expect("a moment is JSON"))
            .collect()
    }

    /// Status and text of the answer of the ELB API to a form.
    pub(crate) fn api(&self, form: &str) -> (u16, String) {
        let lines = [
            "Connection: close",
            "Content-Type: application/x-www-form-urlencoded",
        ];
        let request = post("/", &lines, &format!("{form}&Version=2012-06-01"));
        let response = Wire::connect(self.admin).ask(&request);
        (response.status(), response.body_text())
    }

    /// Makes a change by the ELB API, which must be taken.
    pub(crate) fn change(&self, form: &str) -> String {
        let (status, text) = self.api(form);
        assert_eq!(status, 200, "{form}\n{text}");
        text
    }

    /// The sum of one metric over all its labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        sum_of(&self.metrics(), name)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.stderr.lock().expect("no holder panics").clone()
    }

    /// Waits until it has logged this; what it logs is read on a thread beside the test's.
    pub(crate) fn expect_logged(&self, text: &str) {
        eventually(text, || self.log().contains(text));
    }

    /// The process that was started: elbow, or what stands before it.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, at once.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is ours");
    }

    /// Waits until it ends.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("elbow ended", || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        status.expect("the condition above held")
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.id());
        fs::read_dir(path).expect("the process runs").count()
    }

    /// Lets it have no more than so many descriptors.
    pub(crate) fn limit_descriptors(&self, count: u64) {
        let limit = Rlimit {
            current: Some(count),
            maximum: Some(count),
        };
        let limited = prlimit(Some(Pid::from_child(&self.child)), Resource::Nofile, limit);
        limited.expect("the child is ours");
    }

    /// The time that its shards have spent on CPUs, all together.
    pub(crate) fn shards_time(&self) -> Duration {
        const TICK: Duration = Duration::from_millis(10);
        let tasks = fs::read_dir(format!("/proc/{}/task", self.id())).expect("the process runs");
        let ticks = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
            let (name, numbers) = text.split_once(") ")?;
            // The times in user and kernel mode, 12th and 13th behind the name: proc_pid_stat(5).
            let spent = numbers.split(' ').skip(11).take(2);
            let spent = spent.filter_map(|ticks| ticks.parse::<u32>().ok());
            name.contains("(shard-").then(|| spent.sum::<u32>())
        });
        TICK * ticks.sum::<u32>()
    }

    /// The most memory that it had resident so far, in bytes.
    pub(crate) fn resident_bytes_max(&self) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let text = fs::read_to_string(path).expect("the process runs");
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        kib.and_then(|digits| digits.parse::<u64>().ok())
            .expect("VmHWM is in kB")
            * 1024
    }
}

impl Elbow {
    /// What it has logged so far.
    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().expect("no holder panics").clone()
    }
}

impl Drop for Elbow {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            // The capture of the failing test shows it.
            let stderr = self
                .stderr
                .lock()
                .map(|text| text.clone())
                .unwrap_or_default();
            show(&format!("stderr of elbow:\n{stderr}"));
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "shown by the test runner with the failure"
)]
fn show(text: &str) {
    eprintln!("{text}");
}

/// What a command that ends by itself had to say.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    /// Standard output, then standard error.
    pub(crate) text: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Runs elbow with these arguments to its end; kills it if that does not come.
    pub(crate) fn of(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_elbow"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait().expect("the child is ours").is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
        }
        drop(child.kill());
        let status = child.wait().expect("the child is ours");
        // The collectors end with the pipes, and each holds a count until then.
        eventually("pipes read", || {
            Arc::strong_count(&stdout) == 1 && Arc::strong_count(&stderr) == 1
        });
        let stderr = stderr.lock().expect("no holder panics").clone();
        let stdout = stdout.lock().expect("no holder panics").clone();
        Self {
            code: status.code(),
            text: stdout + &stderr,
            stderr,
        }
    }
}

/// The sum of one metric over all its labels, in that text of /metrics.
pub(crate) fn sum_of(text: &str, name: &str) -> u64 {
    let values = text.lines().filter_map(|line| {
        let (sample, value) = line.split_once(' ')?;
        (sample.split('{').next() == Some(name)).then(|| value.parse::<u64>())
    });
    values
        .map(|value| value.expect("a count is a whole number"))
        .sum()
}

/// Gathers what comes out of a pipe, on a thread that ends with the pipe.
fn collect(mut pipe: impl Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&text);
    thread::spawn(move || {
        let mut block = [0; 4096];
        while let Ok(count @ 1..) = pipe.read(&mut block) {
            let piece = String::from_utf8_lossy(&block[..count]);
            shared.lock().expect("no holder panics").push_str(&piece);
        }
    });
    text
}

/// A directory of one test, removed with it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("elbow-test-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file and says where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("the temporary directory is writable");
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left lies in the temporary directory.
        drop(fs::remove_dir_all(&self.0));
    }
}
