//! The keys of cookies: read from the state directory, or made and kept there.
//!
//! The file has one key a line, `ID SECRET`, both in hex; the first seals, all open. To rotate, put
//! a new line first and restart; sessions go on under the older keys until those are taken out.

use std::fs;
use std::io;
use std::path::Path;

use super::{durable, hex};
use crate::limits::SEAL_KEYS_MAX;
use crate::sticky::Key;

/// The file's name in the state directory.
const FILE: &str = "cookie-keys";

/// The keys in `state_dir`; a first one is made if there is no file. Without a directory, a key
/// that lasts until the process ends.
///
/// # Errors
/// If the file cannot be read or written, or does not hold keys; it is never changed then.
pub fn load(state_dir: Option<&Path>) -> io::Result<Vec<Key>> {
    let Some(directory) = state_dir else {
        return Ok(vec![fresh()?]);
    };
    let file = directory.join(FILE);
    match fs::read_to_string(&file) {
        Ok(text) => parse(&text).map_err(|problem| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {problem}", file.display()),
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory)?;
            let key = fresh()?;
            let line = format!("{:02x} {}\n", key.id, hex::to_text(&key.secret));
            durable::replace(directory, FILE, line.as_bytes())?;
            Ok(vec![key])
        }
        Err(error) => Err(io::Error::new(
            error.kind(),
            format!("{}: {error}", file.display()),
        )),
    }
}

fn fresh() -> io::Result<Key> {
    let mut random = [0; 17];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no randomness to be had"))?;
    let [id, secret @ ..] = random;
    Ok(Key { id, secret })
}

fn parse(text: &str) -> Result<Vec<Key>, String> {
    let mut keys: Vec<Key> = Vec::new();
    for (number, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let key = parse_line(line)
            .ok_or_else(|| format!("line {}: not a key: 2 hex digits, a space, 32", number + 1))?;
        if keys.iter().any(|other| other.id == key.id) {
            return Err(format!(
                "line {}: two keys have the id {:02x}",
                number + 1,
                key.id
            ));
        }
        keys.push(key);
    }
    match keys.len() {
        0 => Err("no key in it".to_owned()),
        1..=SEAL_KEYS_MAX => Ok(keys),
        more => Err(format!("{more} keys, at most {SEAL_KEYS_MAX} are kept")),
    }
}

fn parse_line(line: &str) -> Option<Key> {
    let (id, secret) = line.trim().split_once(' ')?;
    let [id] = hex::to_bytes(id)?;
    let secret = hex::to_bytes(secret)?;
    Some(Key { id, secret })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("elbow-keys-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        path
    }

    #[test]
    fn a_key_that_was_made_is_found_again_and_is_private() {
        let directory = directory("made");
        let made = load(Some(&directory)).unwrap();
        assert_eq!(load(Some(&directory)).unwrap(), made);
        let mode = fs::metadata(directory.join(FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_damaged_file_is_told_and_left_alone() {
        let directory = directory("damaged");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(FILE), "00 abc\n").unwrap();
        let error = load(Some(&directory)).unwrap_err().to_string();
        assert!(error.contains("cookie-keys: line 1"), "{error}");
        assert_eq!(
            fs::read_to_string(directory.join(FILE)).unwrap(),
            "00 abc\n"
        );
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_first_key_seals_and_more_may_follow() {
        let text = "01 000102030405060708090a0b0c0d0e0f\n\nfe ffffffffffffffffffffffffffffffff\n";
        let keys = parse(text).unwrap();
        assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [1, 0xfe]);
        assert_eq!(keys[0].secret[15], 15);
    }

    #[test]
    fn two_keys_of_one_id_and_no_key_are_refused() {
        let line = "01 000102030405060708090a0b0c0d0e0f\n";
        assert!(parse(&line.repeat(2)).unwrap_err().contains("line 2"));
        assert!(parse("\n").is_err());
    }
}
