//! A backend that is a process of its own, to be killed or stopped without a word.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::backend::{Backend, reply};

/// Names the backend; set only for the child.
const NAME_VARIABLE: &str = "ELBOW_TEST_BACKEND";

/// Where it listens if it is one that echoes; set only for the child.
const ECHO_VARIABLE: &str = "ELBOW_TEST_BACKEND_ECHO";

/// This test executable once more, running [`backend_process_mode`].
pub(crate) struct BackendProcess {
    pub(crate) address: SocketAddr,
    name: &'static str,
    child: Child,
    /// The child ends when this is closed, so none is left behind by a test that fails.
    _stdin: ChildStdin,
}

impl BackendProcess {
    /// Answers with its name, and keeps sessions of its own.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::start(name, None)
    }

    /// Answers with its name and the target of the request.
    pub(crate) fn echoing(name: &'static str) -> Self {
        // Not where others connect from, who could take its port while it is gone.
        Self::start(name, Some("127.0.3.1:0"))
    }

    fn start(name: &'static str, echoes_at: Option<&str>) -> Self {
        let (_, module) = module_path!()
            .split_once("::")
            .expect("a module of the test crate");
        let mut command = Command::new(env::current_exe().expect("a test has a path"));
        command
            .args([
                "--exact",
                "--nocapture",
                &format!("{module}::backend_process_mode"),
            ])
            .env(NAME_VARIABLE, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(address) = echoes_at {
            command.env(ECHO_VARIABLE, address);
        }
        let mut child = command.spawn().expect("the test executable starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut lines = stdout.lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("backend ")?.parse().ok());
        Self {
            address: address.expect("the child says where it listens"),
            name,
            child,
            _stdin: stdin,
        }
    }

    /// One that echoes, where this one was before it was killed.
    pub(crate) fn restart(&mut self) {
        *self = Self::start(self.name, Some(&self.address.to_string()));
    }

    /// Sends a signal, at once.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the child is ours");
    }

    /// Ends it by SIGKILL and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }
}

impl Drop for BackendProcess {
    fn drop(&mut self) {
        // It may have been killed and waited for already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Not a test of elbow: what the child does. Without the variable it has nothing to do.
#[test]
fn backend_process_mode() {
    let Ok(name) = env::var(NAME_VARIABLE) else {
        return;
    };
    let backend = match env::var(ECHO_VARIABLE) {
        Err(_) => Backend::application(name.leak()),
        Ok(address) => Backend::at(&address, move |request, wire| {
            reply(wire, &format!("{name} {}", request.head.target()))
        }),
    };
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "\nbackend {}", backend.address).expect("the parent reads");
    stdout.flush().expect("the parent reads");
    let mut until_closed = Vec::new();
    io::stdin()
        .read_to_end(&mut until_closed)
        .expect("stdin is a pipe");
}
