//! When this node started, by which the others tell its lives apart: in `start` of the state
//! directory.
//!
//! Invariant: with a directory each start has a greater number than all before, also where the
//! clock went back meanwhile; the others would take it for one that is over. Without a directory
//! the clock has to do.

use std::fs;
use std::io;
use std::path::Path;

use super::durable;

/// The file's name in the state directory.
const FILE: &str = "start";

/// The number of the start that happens now, which is `now_ms`, in milliseconds since 1970, unless
/// an earlier one has as much.
///
/// # Errors
/// If the file cannot be read or written, or is not what was written.
pub fn begin(state_dir: Option<&Path>, now_ms: u64) -> io::Result<u64> {
    let Some(directory) = state_dir else {
        return Ok(now_ms);
    };
    let file = directory.join(FILE);
    let told =
        |kind, problem: String| io::Error::new(kind, format!("{}: {problem}", file.display()));
    let last: u64 = match fs::read_to_string(&file) {
        Ok(text) => text
            .trim()
            .parse()
            .map_err(|_| told(io::ErrorKind::InvalidData, "is no number".to_owned()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(told(error.kind(), error.to_string())),
    };
    let start = now_ms.max(last.saturating_add(1));
    fs::create_dir_all(directory)?;
    durable::replace(directory, FILE, format!("{start}\n").as_bytes())?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_is_later_than_the_last_whatever_the_clock_says() {
        let directory = std::env::temp_dir().join(format!("elbow-starts-{}", std::process::id()));
        drop(fs::remove_dir_all(&directory));
        let starts = [1000, 2000, 500, 500, 3000].map(|now| begin(Some(&directory), now).unwrap());
        assert_eq!(starts, [1000, 2000, 2001, 2002, 3000]);
        fs::write(directory.join(FILE), "soon").unwrap();
        assert!(begin(Some(&directory), 4000).is_err());
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(begin(None, 7).unwrap(), 7);
    }
}
