//! A backend that is a process of its own, to be killed without a word.

use std::env;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::backend::Backend;

/// Names the backend; set only for the child.
const NAME_VARIABLE: &str = "ELBOW_TEST_BACKEND";

/// This test executable once more, running [`backend_process_mode`].
pub(crate) struct BackendProcess {
    pub(crate) address: SocketAddr,
    child: Child,
    /// The child ends when this is closed, so none is left behind by a test that fails.
    _stdin: ChildStdin,
}

impl BackendProcess {
    pub(crate) fn named(name: &str) -> Self {
        let (_, module) = module_path!()
            .split_once("::")
            .expect("a module of the test crate");
        let mut child = Command::new(env::current_exe().expect("a test has a path"))
            .args([
                "--exact",
                "--nocapture",
                &format!("{module}::backend_process_mode"),
            ])
            .env(NAME_VARIABLE, name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test executable starts");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut lines = stdout.lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.strip_prefix("backend ")?.parse().ok());
        Self {
            address: address.expect("the child says where it listens"),
            child,
            _stdin: stdin,
        }
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
    let backend = Backend::application(name.leak());
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "\nbackend {}", backend.address).expect("the parent reads");
    stdout.flush().expect("the parent reads");
    let mut until_closed = Vec::new();
    io::stdin()
        .read_to_end(&mut until_closed)
        .expect("stdin is a pipe");
}
