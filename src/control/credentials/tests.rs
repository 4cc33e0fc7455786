use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::config::Admin;

/// A directory of one test, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("elbow-credentials-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Credentials with these files, on a loopback address.
fn admin(files: &[(&str, PathBuf)]) -> Admin {
    let credential = |(id, file): &(&str, PathBuf)| Credential {
        access_key_id: (*id).to_owned(),
        secret_access_key_file: file.clone(),
        is_read_only: false,
        line: 7,
    };
    Admin {
        credentials: files.iter().map(credential).collect(),
        ..Admin::default()
    }
}

#[test]
fn a_secret_is_what_is_in_the_file_without_white_space_round_it() {
    let directory = Directory::new("trimmed");
    let files = [("A", directory.write("a", b" wJalr/+EXAMPLE \n"))];
    let credentials = Credentials::load(&admin(&files)).unwrap();
    let held = credentials.now();
    let holder = held.holder("A").expect("it is there");
    assert!(holder.has_secret("wJalr/+EXAMPLE"));
    assert!(!holder.has_secret("wJalr/+EXAMPL") && !holder.has_secret(""));
    assert!(held.holder("B").is_none() && !held.is_open());
    let told = format!("{held:?}");
    assert!(!told.contains("wJalr"), "{told}");
}

#[test]
fn every_file_that_does_not_hold_is_named_with_its_line() {
    let directory = Directory::new("bad");
    let long = vec![b'a'; usize::try_from(SECRET_FILE_BYTES_MAX).unwrap() + 1];
    let files = [
        ("absent", directory.0.join("none")),
        ("directory", directory.0.clone()),
        ("empty", directory.write("empty", b" \n")),
        ("long", directory.write("long", &long)),
        ("two", directory.write("two", b"one two\n")),
        ("latin", directory.write("latin", b"\xff\n")),
        ("good", directory.write("good", b"secret")),
    ];
    let problems = Credentials::load(&admin(&files)).unwrap_err();
    let expected = [
        "No such file",
        "directory",
        "no secret",
        "too large",
        "one word",
        "UTF-8",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for ((problem, (id, file)), expected) in problems.iter().zip(&files).zip(expected) {
        let start = format!(
            "line 7: secret_access_key_file of {id}: {}: ",
            file.display()
        );
        assert!(problem.starts_with(&start), "{problem}");
        assert!(problem[start.len()..].contains(expected), "{problem}");
    }
}

#[test]
fn what_does_not_hold_leaves_all_as_it_was() {
    let directory = Directory::new("again");
    let file = directory.write("a", b"one");
    let files = [("A", file.clone())];
    let credentials = Credentials::load(&admin(&files)).unwrap();
    let has = |secret| {
        credentials
            .now()
            .holder("A")
            .is_some_and(|a| a.has_secret(secret))
    };
    fs::write(&file, "").unwrap();
    assert!(credentials.read_again(&admin(&files)).is_err());
    assert!(has("one"));
    fs::write(&file, "two").unwrap();
    let held = credentials.read_again(&admin(&files)).unwrap();
    credentials.replace(held);
    assert!(has("two") && !has("one"));
    // On this host alone they may all go.
    credentials.replace(credentials.read_again(&admin(&[])).unwrap());
    assert!(credentials.now().is_open());
}

#[test]
fn an_address_that_others_reach_does_not_lose_its_last_credential() {
    let directory = Directory::new("exposed");
    let exposed = Admin {
        listen: Some("0.0.0.0:9090".parse().unwrap()),
        ..admin(&[("A", directory.write("a", b"one"))])
    };
    let credentials = Credentials::load(&exposed).unwrap();
    // By the file it is on loopback from the next start on, and until then where it is.
    let problems = credentials.read_again(&admin(&[])).unwrap_err();
    assert!(problems[0].contains("there must be one"), "{problems:?}");
    let held = credentials.read_again(&exposed).unwrap();
    credentials.replace(held);
    assert!(credentials.read_again(&admin(&[])).is_err());
}
