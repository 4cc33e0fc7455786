//! Where the lines of all load balancers go: a file, the output, or the host's syslog.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process;

use crate::config::Sink;

/// Where the syslog of this host listens.
const SYSLOG: &str = "/dev/log";

/// Facility `local0`, severity `informational` (RFC 5424 §6.2.1).
const PRIORITY: u8 = 16 * 8 + 6;

/// An open one.
pub(super) enum OpenSink {
    File { path: PathBuf, file: Whole },
    Stdout,
    Syslog(UnixDatagram),
}

impl OpenSink {
    /// Opens it.
    ///
    /// # Errors
    /// What cannot be opened, and why.
    pub(super) fn open(sink: Sink) -> Result<Self, String> {
        match sink {
            Sink::File(path) => {
                let file = Whole::open(&path).map_err(|error| {
                    format!("cannot open the access log {}: {error}", path.display())
                })?;
                Ok(Self::File { path, file })
            }
            Sink::Stdout => Ok(Self::Stdout),
            Sink::Syslog => connect()
                .map(Self::Syslog)
                .map_err(|error| format!("cannot reach the syslog at {SYSLOG}: {error}")),
        }
    }

    /// Opens a file by its name once more. If that cannot be, the open one stays.
    ///
    /// # Errors
    /// Why it cannot be.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if let Self::File { path, file } = self {
            *file = Whole::open(path)?;
        }
        Ok(())
    }

    /// Writes lines.
    ///
    /// # Errors
    /// Those of writing. None of the lines is in the file then.
    pub(super) fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::File { file, .. } => file.append(text),
            Self::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text)?;
                stdout.flush()
            }
            Self::Syslog(socket) => {
                let lines = text.split(|byte| *byte == b'\n');
                let mut lines = lines.filter(|line| !line.is_empty());
                lines.try_for_each(|line| tell(socket, line))
            }
        }
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(SYSLOG)?;
    Ok(socket)
}

/// Sends a line to the syslog, which may be another one than before.
fn tell(socket: &mut UnixDatagram, line: &[u8]) -> io::Result<()> {
    let mut message = format!("<{PRIORITY}>elbow[{}]: ", process::id()).into_bytes();
    message.extend_from_slice(line);
    if socket.send(&message).is_err() {
        *socket = connect()?;
        socket.send(&message)?;
    }
    Ok(())
}

/// A file whose end is always that of a line.
pub(super) struct Whole {
    file: File,
    length: u64,
    /// What is no file, such as a pipe, has no length.
    is_regular: bool,
}

impl Whole {
    /// Opens a file to write at its end; makes it if it is not there.
    ///
    /// # Errors
    /// Those of `open(2)`.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        Ok(Self {
            file,
            length: metadata.len(),
            is_regular: metadata.is_file(),
        })
    }

    /// Writes all of it, or takes back what was written of it.
    ///
    /// # Errors
    /// Those of `write(2)`.
    pub(super) fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(text);
        if written.is_ok() {
            self.length += text.len() as u64;
        } else if self.is_regular {
            self.file.set_len(self.length)?;
        }
        written
    }
}
