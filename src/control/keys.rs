//! The keys of cookies: read from the state directory, or made and kept there; those of a cluster
//! are made of its secrets.
//!
//! The file has one key a line, `ID SECRET`, both in hex; the first seals, all open. To rotate, put
//! a new line first and restart; sessions go on under the older keys until those are taken out.
//!
//! Not which key opens a cookie (`sticky`). Invariant: every node of a cluster seals by what all of
//! them open; what is in its own file only opens.

use std::fs;
use std::io;
use std::path::Path;

use super::{durable, hex};
use crate::cluster::{Secret, Secrets};
use crate::limits::SEAL_KEYS_MAX;
use crate::sticky::Key;

/// The file's name in the state directory.
const FILE: &str = "cookie-keys";

/// What the keys of a cluster are for. A number of the protocol, as `cluster` has some.
const PURPOSE: &str = "elbow cookie key 1";

/// The keys in `state_dir`; a first one is made if there is no file. Without a directory, a key
/// that lasts until the process ends. In a cluster, those of its secrets, and behind them those in
/// `state_dir`, where nothing is made.
///
/// # Errors
/// If the file cannot be read or written, or does not hold keys; it is never changed then.
pub fn load(state_dir: Option<&Path>, secrets: Option<&Secrets>) -> io::Result<Vec<Key>> {
    let kept = state_dir.map(read).transpose()?.flatten();
    if let Some(secrets) = secrets {
        let mut keys: Vec<Key> = secrets.iter().map(shared).collect();
        keys.extend(kept.into_iter().flatten());
        return match keys.len() {
            ..=SEAL_KEYS_MAX => Ok(keys),
            more => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{FILE}: {more} keys with those of the cluster, at most {SEAL_KEYS_MAX}"),
            )),
        };
    }
    match (kept, state_dir) {
        (Some(keys), _) => Ok(keys),
        (None, None) => Ok(vec![fresh()?]),
        (None, Some(directory)) => {
            fs::create_dir_all(directory)?;
            let key = fresh()?;
            let line = format!("{:02x} {}\n", key.id, hex::to_text(&key.secret));
            durable::replace(directory, FILE, line.as_bytes())?;
            Ok(vec![key])
        }
    }
}

/// The keys in the file, if there is one.
fn read(directory: &Path) -> io::Result<Option<Vec<Key>>> {
    let file = directory.join(FILE);
    let told =
        |kind, problem: String| io::Error::new(kind, format!("{}: {problem}", file.display()));
    match fs::read_to_string(&file) {
        Ok(text) => parse(&text)
            .map(Some)
            .map_err(|problem| told(io::ErrorKind::InvalidData, problem)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(error.kind(), error.to_string())),
    }
}

/// The key that every node makes of this secret. Its id may be that of another key: then both are
/// tried.
fn shared(secret: &Secret) -> Key {
    let [id, secret @ ..] = secret.derive::<17>(PURPOSE);
    Key { id, secret }
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
        let made = load(Some(&directory), None).unwrap();
        assert_eq!(load(Some(&directory), None).unwrap(), made);
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
        let error = load(Some(&directory), None).unwrap_err().to_string();
        assert!(error.contains("cookie-keys: line 1"), "{error}");
        assert_eq!(
            fs::read_to_string(directory.join(FILE)).unwrap(),
            "00 abc\n"
        );
        fs::remove_dir_all(&directory).unwrap();
    }

    /// A cluster's, and the keys of them by Python's hmac.
    const SECRETS: &str = "correct horse battery staple\n0123456789abcdef\n";
    const KEYS: [&str; 2] = [
        "94 6d37e097441775ae31435e4c130d713f",
        "4c 487ee557600088f3025e7abbc98dba21",
    ];

    fn digits(keys: &[Key]) -> Vec<String> {
        let text = |key: &Key| format!("{:02x} {}", key.id, hex::to_text(&key.secret));
        keys.iter().map(text).collect()
    }

    #[test]
    fn every_node_of_a_cluster_has_the_same_keys_and_makes_no_file() {
        let directory = directory("cluster");
        fs::create_dir_all(&directory).unwrap();
        let secrets = Secrets::parse(SECRETS).unwrap();
        for state_dir in [None, Some(&*directory)] {
            let keys = load(state_dir, Some(&secrets)).unwrap();
            assert_eq!(digits(&keys), KEYS);
        }
        assert!(!directory.join(FILE).exists());
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_keys_of_a_node_that_joins_a_cluster_go_on_to_open() {
        let directory = directory("joins");
        let own = load(Some(&directory), None).unwrap();
        let secrets = Secrets::parse(SECRETS).unwrap();
        let keys = load(Some(&directory), Some(&secrets)).unwrap();
        assert_eq!(digits(&keys)[..2], KEYS);
        assert_eq!(keys[2..], own);
        let line = |id: usize| format!("{id:02x} {}\n", "00".repeat(16));
        let keep = |count| {
            let lines: String = (0..count).map(line).collect();
            fs::write(directory.join(FILE), lines).unwrap();
            load(Some(&directory), Some(&secrets))
        };
        assert_eq!(keep(SEAL_KEYS_MAX - 2).unwrap().len(), SEAL_KEYS_MAX);
        let error = keep(SEAL_KEYS_MAX - 1).unwrap_err().to_string();
        assert_eq!(
            error,
            "cookie-keys: 17 keys with those of the cluster, at most 16"
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
