//! A wall clock that a test sets while programs run by it.
//!
//! The program `faketime` brings a library that answers for the clock. Where it is missing a test
//! is left out, but not in CI. Timers go on as they do, whatever the clock shows.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::process::Command;

use super::elbow::Directory;

/// A clock, and the file that says what it shows.
pub(crate) struct Clock {
    library: String,
    directory: Directory,
}

impl Clock {
    /// One that is right so far. `None`: no clock can be set here.
    pub(crate) fn new() -> Option<Self> {
        let library = library()?;
        let directory = Directory::new();
        directory.write("time", "+0\n");
        Some(Self { library, directory })
    }

    /// Has the program that is to be started live by it.
    pub(crate) fn rule(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.library)
            .env(
                "FAKETIME_TIMESTAMP_FILE",
                self.directory.path().join("time"),
            )
            .env("FAKETIME_NO_CACHE", "1")
            // Timers go on as they do, by either name of that.
            .env("DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// Has it show so much more than it is, from now on.
    pub(crate) fn set(&self, offset_seconds: i64) {
        let next = self
            .directory
            .write("time.next", &format!("{offset_seconds:+}\n"));
        fs::rename(next, self.directory.path().join("time")).expect("both are ours");
    }

    /// Removes what the library shares between a process and its children, and a kill leaves
    /// behind.
    pub(crate) fn clean_up(process: u32) {
        for kind in ["faketime_shm", "sem.faketime_sem"] {
            drop(fs::remove_file(format!("/dev/shm/{kind}_{process}")));
        }
    }
}

/// The library that `faketime` has programs load.
fn library() -> Option<String> {
    let asked = Command::new("faketime")
        .args(["-f", "+0s", "printenv", "LD_PRELOAD"])
        .output();
    if let Ok(output) = asked
        && output.status.success()
    {
        return Some(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let told = "LEFT OUT: no program faketime here";
    assert!(env::var("CI").as_deref() != Ok("true"), "{told}");
    // Past the test runner, which shows only what failed.
    drop(writeln!(io::stderr(), "wall clock: {told}"));
    None
}
