//! A program of somebody else's, run to its end in bounded time.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::Directory;

/// How long a program may take: a browser on a busy machine. It is only spent on failures.
const LIMIT: Duration = Duration::from_secs(60);

/// What it had to say.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// Its standard output, if it ended well.
    pub(crate) fn expect_success(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }
}

/// Runs it with that on its standard input, and with a home of its own, so that nobody's settings
/// are read. Fails the test if it is not installed or does not end.
pub(crate) fn run(command: &mut Command, input: &str) -> Answer {
    let home = Directory::new();
    let create = |name| File::create(home.path().join(name)).expect("the directory is writable");
    let stdin = File::open(home.write("stdin", input)).expect("it was written");
    command.env("HOME", home.path()).stdin(stdin);
    command.stdout(create("stdout")).stderr(create("stderr"));
    let name = command.get_program().display().to_string();
    let mut child = command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            panic!("no {name} on the PATH: `tests/run clients` installs what these tests need")
        }
        _ => panic!("{name} does not start: {error}"),
    });
    let status = wait(&mut child);
    let read = |name| {
        let bytes = fs::read(home.path().join(name)).expect("it was created");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (stdout, stderr) = (read("stdout"), read("stderr"));
    let Some(status) = status else {
        panic!("{name} has not ended after {LIMIT:?}\n{stdout}\n{stderr}");
    };
    Answer {
        code: status.code(),
        stdout,
        stderr,
    }
}

/// How it ended; `None` if it had to be killed.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + LIMIT;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    // It may have ended just now.
    drop(child.kill());
    drop(child.wait());
    None
}
