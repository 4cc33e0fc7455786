//! The file with the secret of a cluster.
//!
//! Not what a secret may be, nor what is made of one (`cluster`). Invariant: what others than the
//! file's owner could have read or written is no secret.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::certificates::in_file;
use super::credentials::MODE_OF_OTHERS;
use crate::cluster::Secrets;
use crate::config::Cluster;
use crate::limits::SECRET_FILE_BYTES_MAX;

/// Reads the secrets of this cluster.
///
/// # Errors
/// Which file cannot be used, and why; nothing of what is in it.
pub(super) fn load(cluster: &Cluster) -> Result<Secrets, String> {
    let file = &cluster.secret_file;
    read(file).map_err(|problem| format!("cluster.secret_file: {}", in_file(file, problem)))
}

fn read(path: &Path) -> Result<Secrets, String> {
    let told = |error: io::Error| error.to_string();
    let file = File::open(path).map_err(told)?;
    let mode = file.metadata().map_err(told)?.mode();
    if mode & MODE_OF_OTHERS != 0 {
        return Err(format!(
            "its mode is {:04o}, so that others than its owner may read or change it: chmod 600",
            mode & 0o7777
        ));
    }
    let mut text = String::new();
    let read = file
        .take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text);
    if read.map_err(told)? as u64 > SECRET_FILE_BYTES_MAX {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge).to_string());
    }
    Secrets::parse(&text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// What comes of a file with this text and this mode, and what the file was called.
    fn loaded(name: &str, text: &[u8], mode: u32) -> (Result<Secrets, String>, String) {
        let name = format!("elbow-secrets-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let cluster = Cluster {
            listen: "127.0.0.1:0".parse().unwrap(),
            advertise: "127.0.0.1:0".parse().unwrap(),
            node: "a".to_owned(),
            seeds: Vec::new(),
            secret_file: path.clone(),
        };
        let secrets = load(&cluster);
        fs::remove_file(&path).unwrap();
        (secrets, path.display().to_string())
    }

    #[test]
    fn a_file_of_its_owner_alone_holds_one_secret_or_two() {
        let (one, _) = loaded("one", b"0123456789abcdef\n", 0o600);
        assert_eq!(one.expect("it holds").iter().count(), 1);
        let (two, _) = loaded("two", b"0123456789abcdef\nfedcba9876543210", 0o400);
        assert_eq!(two.expect("it holds").iter().count(), 2);
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused() {
        for mode in [0o640, 0o604, 0o620, 0o602] {
            let (secrets, file) = loaded("open", b"0123456789abcdef\n", mode);
            let problem = secrets.expect_err("it was taken");
            let expected = format!(
                "cluster.secret_file: {file}: its mode is {mode:04o}, so that others than its \
                 owner may read or change it: chmod 600"
            );
            assert_eq!(problem, expected);
        }
    }

    #[test]
    fn a_file_that_holds_no_secret_is_told_and_not_shown() {
        for (text, problem) in [
            (
                &b"short\n"[..],
                "line 1: a secret must have 16 to 512 characters",
            ),
            (b"", "no secret in it"),
            (b"\xff\xfe\xfd", "stream did not contain valid UTF-8"),
            (&[b'\n'; 5000], "file too large"),
        ] {
            let (secrets, file) = loaded("none", text, 0o600);
            let expected = format!("cluster.secret_file: {file}: {problem}");
            assert_eq!(secrets.expect_err("it was taken"), expected);
        }
    }
}
