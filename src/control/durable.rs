//! Files of the state directory that are whole at every moment, and private.
//!
//! Not what is in them. Invariant: after a crash or on a full disk a file is the one of before or
//! the one that was to replace it, never a part; what [`replace`] has reported is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes beside the file `name` in `directory` and renames, and has the disk know before it
/// returns. Only the user that elbow runs as may read it.
///
/// # Errors
/// Those of the file system. The file is the one of before then, unless it was the last step that
/// failed: the directory's own write.
pub(super) fn replace(directory: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let beside = directory.join(format!("{name}.new"));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut opened = options.open(&beside)?;
    opened.write_all(text)?;
    opened.sync_all()?;
    fs::rename(&beside, directory.join(name))?;
    File::open(directory)?.sync_all()
}
