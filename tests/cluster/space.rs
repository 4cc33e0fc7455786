//! A network namespace: what one machine of the lab sees of the network.
//!
//! Not where anything runs: a thread moves in, and what it opens and starts from there on is of
//! this namespace. Invariant: a namespace has no name and no file, only a process that holds it and
//! ends with the test, however that ends; so the kernel leaves nothing behind.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::panic;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// A namespace of its own.
pub(crate) struct Space {
    holder: Child,
    link: File,
}

impl Space {
    /// One without any connection. `None`: this process may not make one.
    pub(crate) fn new() -> Option<Self> {
        let mut holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        // What `cat` echoes, it echoes from within. Whether there is one is seen by the answer.
        drop(holder.stdin.as_mut()?.write_all(b"\n"));
        let echo = holder.stdout.as_mut()?.read_exact(&mut [0]);
        if echo.is_err() {
            drop(holder.wait());
            return None;
        }
        let link = File::open(format!("/proc/{}/ns/net", holder.id())).ok()?;
        Some(Self { holder, link })
    }

    /// The process that holds it, by which `ip` knows it.
    pub(crate) fn id(&self) -> u32 {
        self.holder.id()
    }

    /// Moves the calling thread in, with the threads and processes that it starts from now on.
    pub(crate) fn move_in(&self) {
        let is_network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(self.link.as_fd(), is_network).expect("root may move");
    }

    /// Does this work in there, on a thread of its own.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let worker = || {
            self.move_in();
            work()
        };
        thread::scope(|scope| match scope.spawn(worker).join() {
            Ok(result) => result,
            Err(failure) => panic::resume_unwind(failure),
        })
    }

    /// Runs a program in there with that on its standard input; what it prints.
    pub(crate) fn run(&self, program: &str, arguments: &[&str], input: &str) -> String {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self
            .within(|| command.spawn())
            .unwrap_or_else(|error| panic!("no {program}, which `tests/run cluster` has: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        // A program that does not read has failed, which is seen below.
        drop(stdin.write_all(input.as_bytes()));
        drop(stdin);
        let output = child.wait_with_output().expect("the child is ours");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {errors}\n{input}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs these lines of `ip` in there.
    pub(crate) fn ip(&self, lines: &str) {
        self.run("ip", &["-batch", "-"], lines);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        // Its pipe is closed with it too, where there is nobody left to drop this.
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
