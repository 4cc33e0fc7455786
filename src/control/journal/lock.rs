//! The lock that keeps two processes from one journal.
//!
//! On a file of its own, which stays: the journal's is replaced now and then, and the lock with it
//! would be one on a file that nobody sees. Invariant: whoever holds a [`Lock`] is alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file's name in the state directory.
const FILE: &str = "api.journal.lock";

/// The lock, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Does not wait.
    ///
    /// # Errors
    /// If another process has it, or the file system knows no locks.
    pub(super) fn take(directory: &Path) -> io::Result<Self> {
        let file = directory.join(FILE);
        let told = |kind, problem: String| {
            let file = file.display();
            io::Error::new(kind, format!("{file}: {problem}"))
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(0o600);
        let opened = options.open(&file);
        let opened = opened.map_err(|error| told(error.kind(), error.to_string()))?;
        match opened.try_lock() {
            Ok(()) => Ok(Self(opened)),
            Err(TryLockError::WouldBlock) => Err(told(
                io::ErrorKind::ResourceBusy,
                "another elbow runs with this state_dir; each needs one of its own".to_owned(),
            )),
            Err(TryLockError::Error(error)) => Err(told(error.kind(), error.to_string())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough at a moment when another thread starts a program: the
        // child has it too until then. An error leaves what closing does.
        drop(self.0.unlock());
    }
}
