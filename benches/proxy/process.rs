//! Child processes on a given core, and the directory that holds their files.
//!
//! Invariant: none of them outlives the bench. Dropping a [`Process`] ends and reaps it, and
//! should the bench itself be killed, the kernel sends its children SIGTERM (`setpriv`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may take to end after SIGTERM before it is killed.
const TERMINATION_TIMEOUT: Duration = Duration::from_secs(5);

/// How often something is looked at that gives no event to wait for.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Bytes of a log that are quoted when its process fails.
const LOG_TAIL_BYTES: usize = 2000;

/// A command that will run pinned to `core` and receive SIGTERM when the bench dies.
///
/// The death signal follows the spawning thread, so this belongs on the main thread.
pub(crate) fn pinned(core: usize, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        &core.to_string(),
        "setpriv",
        "--pdeathsig",
        "TERM",
        "--",
    ]);
    command.arg(program).stdin(Stdio::null());
    command
}

/// A running process, ended when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program` on `core`; what it prints goes to `NAME.log` in `directory`.
    ///
    /// # Errors
    /// If the log cannot be created or the program not started.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        core: usize,
        program: &Path,
        arguments: &[A],
        directory: &Path,
    ) -> io::Result<Self> {
        let log = directory.join(format!("{name}.log"));
        let output = File::create(&log)?;
        let child = pinned(core, program)
            .args(arguments)
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()?;
        Ok(Self { child, log })
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The last lines that it printed.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        String::from_utf8_lossy(tail).into_owned()
    }

    /// Whether it ended within [`TERMINATION_TIMEOUT`] of being asked.
    fn terminate(&mut self) -> bool {
        let is_asked = kill_process(Pid::from_child(&self.child), Signal::TERM).is_ok();
        is_asked
            && look_until(TERMINATION_TIMEOUT, || self.child.try_wait().transpose())
                .is_some_and(|result| result.is_ok())
    }
}

impl Drop for Process {
    /// SIGTERM first: nginx's master takes its worker with it only then.
    fn drop(&mut self) {
        let has_ended = matches!(self.child.try_wait(), Ok(Some(_))) || self.terminate();
        if !has_ended && self.child.kill().is_ok() {
            self.child
                .wait()
                .expect("a killed child of ours can be reaped");
        }
    }
}

/// A directory of the bench's own under the system's one, removed when dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// # Errors
    /// If it cannot be created or is there already.
    pub(crate) fn create() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("elbow-bench-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{} stays behind: {error}", self.0.display());
        }
    }
}

/// Loopback addresses that were free a moment ago, all different.
///
/// nginx and HAProxy cannot say which port they got, so port 0 is no choice for them.
///
/// # Errors
/// If the kernel has no port left.
pub(crate) fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); N];
    let mut reserved = Vec::with_capacity(N);
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        reserved.push(listener);
    }
    Ok(addresses)
}

/// Looks again and again until `look` finds something; `None` if that takes longer than `timeout`.
#[expect(
    clippy::disallowed_methods,
    reason = "no shard is here that could be held up"
)]
pub(crate) fn look_until<T>(timeout: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        thread::sleep(LOOK_INTERVAL);
    }
}
