//! What the API has changed, in `api.journal` of the state directory.
//!
//! ```text
//! append ─► one more line, on the disk ─► Ok            open ─► all lines ─► what is alive
//!              └─ not written: cut off again ─► Err          └─ a last line that is torn: cut off
//! ```
//!
//! Calls wait for the disk: a thread of its own makes them. Not here: what a record means, and
//! whether it still holds beside the file that was edited since. Invariants: a batch is there as a
//! whole or not at all, whenever the process or the machine ends; what [`Journal::append`] has
//! answered with `Ok` is there; nobody else writes the file meanwhile; and it is not larger than
//! some multiple of what is alive in it.
//!
//! | file | |
//! |---|---|
//! | `record.rs` | what is kept, and what of it is alive |
//! | `text.rs` | the bytes of it, and which damage is only the end of a write |
//! | `lock.rs` | one process at a time |

mod lock;
mod record;
#[cfg(test)]
mod tests;
mod text;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use self::lock::Lock;
use self::record::Alive;
use self::text::Flaw;
use super::durable;
use crate::limits::{
    JOURNAL_ALIVE_BYTES_MAX, JOURNAL_BATCH_BYTES_MAX, JOURNAL_BYTES_MAX, JOURNAL_GROWTH,
    JOURNAL_SLACK_BYTES,
};

pub use self::record::Record;

/// The file's name in the state directory.
const FILE: &str = "api.journal";

/// What was cut off its end, the last time that there was something.
const DAMAGED_FILE: &str = "api.journal.damaged";

/// What to do about a file that cannot be used.
const ADVICE: &str = "to start without what the API has set, move it away";

/// Keeps what the API has changed.
#[derive(Debug)]
pub struct Journal {
    /// `None`: without a directory.
    kept: Option<Kept>,
}

impl Journal {
    /// Takes up what an earlier process has left in `state_dir`: the records that are alive, in no
    /// order that matters. Without a directory nothing is kept, and there is nothing.
    ///
    /// The end of a write that was interrupted is cut off; the log says so, and the bytes are in
    /// `api.journal.damaged`.
    ///
    /// # Errors
    /// If another process has the journal, or it cannot be read or written, or is damaged
    /// elsewhere, or of another version. It is as before then, and the message says what to do.
    pub fn open(state_dir: Option<&Path>) -> io::Result<(Self, Vec<Record>)> {
        let Some(directory) = state_dir else {
            return Ok((Self { kept: None }, Vec::new()));
        };
        let kept = Kept::open(directory)?;
        let records = kept.alive.records().cloned().collect();
        Ok((Self { kept: Some(kept) }, records))
    }

    /// The records that are alive in `state_dir` at this moment, whether a process has the journal
    /// or not. Nothing is locked and nothing changes: the end of a write that goes on, or was
    /// interrupted, is left out and left alone.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), but for the other process.
    pub fn peek(state_dir: Option<&Path>) -> io::Result<Vec<Record>> {
        let Some(directory) = state_dir else {
            return Ok(Vec::new());
        };
        let path = directory.join(FILE);
        let told =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let text = match read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text.map_err(told)?,
        };
        let contents = text::read(&text).map_err(|flaw| refusal(&path, flaw))?;
        Ok(contents.alive.records().cloned().collect())
    }

    /// Returns once all of these are on the disk. Later ones take the place of earlier ones about
    /// the same thing.
    ///
    /// # Errors
    /// Those of the file system, or if there is more than a batch or the journal may hold. None of
    /// the records is kept then, and the file is as before. Should it be impossible to make it so,
    /// calls fail until it could be written anew, which each of them tries; a process that starts
    /// before that may find the records.
    pub fn append(&mut self, records: &[Record]) -> io::Result<()> {
        match &mut self.kept {
            Some(kept) if !records.is_empty() => kept.append(records),
            _ => Ok(()),
        }
    }
}

/// A journal on disk.
#[derive(Debug)]
struct Kept {
    directory: PathBuf,
    /// Opened to append.
    file: File,
    /// Whole batches in the file, and where the last of them ends.
    batches: u32,
    bytes: u64,
    alive: Alive,
    /// How large the file may grow after a compaction that failed, until the next is tried.
    patience_bytes: u64,
    /// Nobody knows what the file has after `bytes`, or whether it is the one that the next start
    /// will find.
    is_poisoned: bool,
    _lock: Lock,
}

impl Kept {
    fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let lock = Lock::take(directory)?;
        let path = directory.join(FILE);
        let told =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if !fs::exists(&path).map_err(told)? {
            durable::replace(directory, FILE, text::HEAD).map_err(told)?;
        }
        let text = read(&path).map_err(told)?;
        let contents = text::read(&text).map_err(|flaw| refusal(&path, flaw))?;
        let file = to_append(&path).map_err(told)?;
        let (whole, torn) = text.split_at(contents.whole_bytes);
        if !torn.is_empty() {
            cut(directory, &file, whole.len(), torn).map_err(told)?;
        }
        settle(directory, &file).map_err(told)?;
        let mut kept = Self {
            directory: directory.to_owned(),
            file,
            batches: contents.batches,
            bytes: whole.len() as u64,
            alive: contents.alive,
            patience_bytes: 0,
            is_poisoned: false,
            _lock: lock,
        };
        if kept.alive.journal_bytes() < whole.len() {
            kept.compact_if_possible().map_err(told)?;
        }
        Ok(kept)
    }

    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut alive = self.alive.clone();
        for record in records {
            alive.take_in(record.clone())?;
        }
        if alive.journal_bytes() > JOURNAL_ALIVE_BYTES_MAX {
            return Err(too_large("the journal", JOURNAL_ALIVE_BYTES_MAX));
        }
        if self.is_poisoned || self.bytes > self.bytes_allowed() {
            self.compact_if_possible()?;
        }
        let line = text::line(self.batches + 1, records)?;
        if line.len() > JOURNAL_BATCH_BYTES_MAX {
            return Err(too_large("one change", JOURNAL_BATCH_BYTES_MAX));
        }
        self.write(&line)?;
        self.alive = alive;
        Ok(())
    }

    /// How large the file may be before it is compacted.
    fn bytes_allowed(&self) -> u64 {
        let alive = self.alive.journal_bytes();
        self.patience_bytes
            .max((JOURNAL_GROWTH * alive + JOURNAL_SLACK_BYTES) as u64)
    }

    /// Adds a line, or leaves the file as it was.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let bytes = self.bytes + line.len() as u64;
        if bytes > JOURNAL_BYTES_MAX {
            return Err(too_large("the journal", JOURNAL_BYTES_MAX));
        }
        let written = self.file.write_all(line);
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            let undone = self.file.set_len(self.bytes);
            if let Err(error) = undone.and_then(|()| self.file.sync_all()) {
                self.is_poisoned = true;
                tracing::error!(%error, file = %self.path().display(),
                    "what was half written cannot be cut off: the API changes nothing until it is");
            }
            return Err(error);
        }
        self.bytes = bytes;
        self.batches += 1;
        Ok(())
    }

    /// Writes the file anew, with what is alive. If that fails the old one will do, unless it is
    /// poisoned.
    fn compact_if_possible(&mut self) -> io::Result<()> {
        let Err(error) = self.compact() else {
            return Ok(());
        };
        // The new file may already have the name, and it is not known whether for good: what is
        // added to either of the two could be lost.
        self.is_poisoned |= !self.is_in_place();
        if self.is_poisoned {
            return Err(error);
        }
        self.patience_bytes = self.bytes + JOURNAL_SLACK_BYTES as u64;
        tracing::warn!(%error, file = %self.path().display(), "the journal cannot be compacted");
        Ok(())
    }

    fn compact(&mut self) -> io::Result<()> {
        let text = text::journal(&self.alive)?;
        durable::replace(&self.directory, FILE, &text)?;
        self.file = to_append(&self.path())?;
        self.batches = u32::try_from(self.alive.records().len()).map_err(io::Error::other)?;
        self.bytes = text.len() as u64;
        self.patience_bytes = 0;
        self.is_poisoned = false;
        Ok(())
    }

    /// Whether the open file is the one that has the name.
    fn is_in_place(&self) -> bool {
        let named = fs::metadata(self.path());
        let opened = self.file.metadata();
        matches!((named, opened), (Ok(named), Ok(opened))
            if (named.dev(), named.ino()) == (opened.dev(), opened.ino()))
    }

    fn path(&self) -> PathBuf {
        self.directory.join(FILE)
    }
}

/// All of a file that is not too large.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let opened = File::open(path)?;
    opened.take(JOURNAL_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > JOURNAL_BYTES_MAX {
        let text = format!("has more than {JOURNAL_BYTES_MAX} bytes; {ADVICE}");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(text)
}

fn to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Takes a torn end off a file, and keeps it for those who want to look.
fn cut(directory: &Path, file: &File, whole_bytes: usize, torn: &[u8]) -> io::Result<()> {
    durable::replace(directory, DAMAGED_FILE, torn)?;
    file.set_len(whole_bytes as u64)?;
    let kept_in = directory.join(DAMAGED_FILE);
    tracing::warn!(bytes = torn.len(), kept_in = %kept_in.display(),
        "the last line of the API's journal is damaged and is cut off");
    Ok(())
}

/// Has the disk know what was read, and under which name: a process that was killed may have left
/// it in the kernel's memory alone.
fn settle(directory: &Path, file: &File) -> io::Result<()> {
    file.sync_all()?;
    File::open(directory)?.sync_all()
}

fn refusal(path: &Path, flaw: Flaw) -> io::Error {
    let path = path.display();
    let text = match flaw {
        Flaw::Head(problem) => format!("{path}: {problem}; {ADVICE}"),
        Flaw::Batch(byte, problem) => format!(
            "{path}: {problem} (byte {byte}); {ADVICE}; to start with what it had set before \
             that, copy it and cut it: truncate --size={byte} {path}"
        ),
    };
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn too_large(what: &str, bytes_max: impl std::fmt::Display) -> io::Error {
    let text = format!("{what} would have more than {bytes_max} bytes");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}
