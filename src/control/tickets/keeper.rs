//! Ticket keys over time: found at the start, changed while elbow runs, written down.
//!
//! Not which key does what when (`ring.rs`), nor the form of the file (`file.rs`), which is read at
//! the start alone. Invariants: what cannot be written is used all the same, and written as soon as
//! it can be; shards never wait for the disk. Time is the process's own, which no clock that is set
//! meanwhile changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task;
use tokio::time::{self, MissedTickBehavior};

use super::ring::Ring;
use super::{Keyring, file};
use crate::limits::TICKET_KEY_LOOK_INTERVAL;
use crate::state::ControlLine;
use crate::sys::unix_millis;

/// Who changes the keys of a keyring, and keeps them for the next process.
#[derive(Debug)]
pub struct Keeper {
    keyring: Keyring,
    /// The state directory; `None`: keys last until the process ends.
    directory: Option<PathBuf>,
    /// Whether the file has the keys that are in use.
    is_written: bool,
    /// Whether the last attempt to write it failed, which is told once.
    is_failing: bool,
}

/// Fills the keyring: with those keys in `state_dir` that still hold at `now`, in seconds since
/// 1970, and a new one if none of them seals.
///
/// # Errors
/// If the file cannot be read or does not hold keys, or there is no randomness. The file is never
/// changed then. That it cannot be written is no error.
pub fn load(state_dir: Option<&Path>, keyring: &Keyring, now: u64) -> io::Result<Keeper> {
    let found = state_dir.map_or_else(|| Ok(Vec::new()), file::read)?;
    keyring.0.store(Arc::new(Ring::found(found)));
    let mut keeper = Keeper {
        keyring: keyring.clone(),
        directory: state_dir.map(Path::to_owned),
        is_written: true,
        is_failing: false,
    };
    keeper.turn(now)?;
    if let Some((directory, ring)) = keeper.to_write() {
        // If that fails, `keep_turning` tries again at once, counts it and says so.
        keeper.is_written = file::write(&directory, ring.keys()).is_ok();
    }
    Ok(keeper)
}

/// Has the keys be those of the time, and the file have them, until the runtime ends.
pub(in crate::control) async fn keep_turning(mut keeper: Keeper, counts: Arc<ControlLine>) {
    let mut looks = time::interval(TICKET_KEY_LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        match keeper.turn(unix_millis() / 1000) {
            Ok(false) => {}
            Ok(true) => {
                counts.ticket_key_rotations.add(1);
                tracing::info!("another key seals TLS session tickets");
            }
            Err(error) => tracing::error!(%error, "no new key for TLS session tickets"),
        }
        keeper.write(&counts).await;
    }
}

impl Keeper {
    /// Has the keys be those of `now`; true if another seals than before.
    ///
    /// # Errors
    /// If there is no randomness. All stays as it was then, until the next call.
    pub(super) fn turn(&mut self, now: u64) -> io::Result<bool> {
        let before = self.keyring.0.load_full();
        let ring = Ring::at(now, before.keys())?;
        let has_another = ring.sealing() != before.sealing();
        let has_others = ring.keys() != before.keys();
        self.is_written &= !has_others;
        if has_another || has_others {
            self.keyring.0.store(Arc::new(ring));
        }
        Ok(has_another)
    }

    /// Writes the keys if the file has others.
    pub(super) async fn write(&mut self, counts: &ControlLine) {
        let Some((directory, ring)) = self.to_write() else {
            return;
        };
        let file = directory.join(file::FILE);
        let written = task::spawn_blocking(move || file::write(&directory, ring.keys())).await;
        let written = written.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        self.is_written = written.is_ok();
        if let Err(error) = &written {
            counts.ticket_key_write_errors.add(1);
            if !self.is_failing {
                tracing::error!(%error, file = %file.display(), "ticket keys cannot be kept");
            }
        }
        self.is_failing = written.is_err();
    }

    /// Where the keys are to be written, and which, if the file has others.
    fn to_write(&self) -> Option<(PathBuf, Arc<Ring>)> {
        let directory = self.directory.clone().filter(|_| !self.is_written)?;
        Some((directory, self.keyring.0.load_full()))
    }
}
