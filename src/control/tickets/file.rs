//! `ticket-keys` in the state directory: one key a line, `NAME SECRET BORN`.
//!
//! Name and secret are hex, 32 and 64 digits; the birth is in seconds since 1970. The order of the
//! lines says nothing. Not which of the keys are of use (`ring.rs`).

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::super::{durable, hex};
use super::ring::Key;
use crate::limits::TICKET_KEYS_MAX;

/// The file's name in the state directory.
pub(super) const FILE: &str = "ticket-keys";

/// The keys in the file of `directory`; none if there is no file.
///
/// # Errors
/// If it cannot be read or does not hold keys; it is never changed here.
pub(super) fn read(directory: &Path) -> io::Result<Vec<Arc<Key>>> {
    let file = directory.join(FILE);
    let told = |kind, problem: String| {
        let file = file.display();
        io::Error::new(kind, format!("{file}: {problem}"))
    };
    match fs::read_to_string(&file) {
        Ok(text) => parse(&text).map_err(|problem| told(io::ErrorKind::InvalidData, problem)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(told(error.kind(), error.to_string())),
    }
}

/// Replaces the file; the directory is made if there is none.
pub(super) fn write(directory: &Path, keys: &[Arc<Key>]) -> io::Result<()> {
    let mut text = String::new();
    for key in keys {
        let (name, secret) = (hex::to_text(&key.name), hex::to_text(&key.secret));
        text += &format!("{name} {secret} {}\n", key.born);
    }
    fs::create_dir_all(directory)?;
    durable::replace(directory, FILE, text.as_bytes())
}

fn parse(text: &str) -> Result<Vec<Arc<Key>>, String> {
    let mut keys: Vec<Arc<Key>> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        let key = parse_line(line).ok_or_else(|| {
            format!("line {number}: not a key: 32 hex digits, 64, seconds since 1970")
        })?;
        if keys.iter().any(|other| other.name == key.name) {
            let name = hex::to_text(&key.name);
            return Err(format!("line {number}: two keys have the name {name}"));
        }
        if keys.len() == TICKET_KEYS_MAX {
            return Err(format!(
                "line {number}: more than {TICKET_KEYS_MAX} keys, which are the most that are kept"
            ));
        }
        keys.push(Arc::new(key));
    }
    if keys.is_empty() {
        return Err("no key in it".to_owned());
    }
    Ok(keys)
}

fn parse_line(line: &str) -> Option<Key> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [name, secret, born] = fields[..] else {
        return None;
    };
    let (name, secret) = (hex::to_bytes(name)?, hex::to_bytes(secret)?);
    Some(Key::new(name, secret, born.parse().ok()?))
}
