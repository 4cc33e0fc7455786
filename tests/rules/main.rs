//! The rules of this repository, checked on its sources: who may import whom, where `unsafe` is,
//! how files open, how long they are, what they may be called.
//!
//! What clippy and rustfmt can see is left to them (Cargo.toml, .clippy.toml).

mod checks;
mod source;

use std::fs;
use std::path::Path;

use checks::breaches;
use source::Source;

/// What may lie at the top of the repository, beside names that begin with a dot.
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "src",
    "target", // not in the repository
    "tests",
    "tuning",
];

#[test]
fn sources_follow_the_rules() {
    let mut sources = Vec::new();
    for top in [
        "src",
        "tests",
        "benches",
        "tuning",
        ".ci",
        "README.md",
        "Cargo.toml",
    ] {
        read_into(&root().join(top), &mut sources);
    }
    assert!(
        sources.iter().any(|source| source.path == "src/lib.rs"),
        "no sources found"
    );
    let report: Vec<String> = sources
        .iter()
        .flat_map(breaches)
        .map(|breach| breach.to_string())
        .collect();
    assert!(
        report.is_empty(),
        "against the rules:\n{}\n",
        report.join("\n")
    );
}

#[test]
fn top_level_holds_only_what_belongs_there() {
    let entries = fs::read_dir(root()).expect("the repository is readable");
    for entry in entries {
        let name = entry.expect("the repository is readable").file_name();
        let name = name.to_string_lossy();
        let is_known = name.starts_with('.') || TOP_LEVEL.contains(&name.as_ref());
        assert!(
            is_known,
            "{name}: the top level holds {TOP_LEVEL:?} and dot files"
        );
    }
}

/// What is fuzzed is what is built: packages and versions, but for those of fuzzing itself.
#[test]
fn both_locks_hold_the_same_versions() {
    let read = |path: &str| {
        let text = fs::read_to_string(root().join(path)).expect("the lock is in the repository");
        let packages = text.split("[[package]]").skip(1);
        let lines = packages.map(|package| package.lines().skip(1).take(2).collect::<String>());
        lines.collect::<Vec<_>>()
    };
    let built = read("Cargo.lock");
    let mut fuzzed = read("tests/fuzz/Cargo.lock");
    fuzzed.retain(|package| {
        let own = ["elbow-fuzz", "libfuzzer-sys", "arbitrary"];
        !own.iter()
            .any(|own| package.contains(&format!("\"{own}\"")))
    });
    let other: Vec<_> = fuzzed
        .iter()
        .filter(|package| !built.contains(package))
        .collect();
    assert!(
        fuzzed.len() > 1 && other.is_empty(),
        "not in Cargo.lock: {other:?}; copy that to tests/fuzz, and have cargo make it fit there"
    );
}

/// A path, a text that breaks a rule there, and what the report says.
const FORBIDDEN: [(&str, &str, &str); 19] = [
    (
        "src/http/a.rs",
        "use tokio::net;",
        "`http` is pure; `tokio`",
    ),
    (
        "src/http/a.rs",
        "use std::{net::{IpAddr, TcpStream}};",
        "`TcpStream` brings in sockets",
    ),
    (
        "src/health/a.rs",
        "use std::time::Instant;",
        "`Instant` brings in the clock",
    ),
    ("src/state/mod.rs", "use std::thread;", "knows no threads"),
    (
        "src/config/a.rs",
        "pub async fn f() {}",
        "`async` brings in suspension",
    ),
    (
        "src/balance.rs",
        "use crate::shard::Shard;",
        "`balance` is pure, `shard` is shell",
    ),
    (
        "src/config/a.rs",
        "use crate::{\n    limits,\n    sys::clock,\n};",
        "`sys` is shell",
    ),
    (
        "src/http/a.rs",
        "use crate::sticky::Seal;",
        "do not know each other",
    ),
    (
        "src/sticky/a.rs",
        "use crate::{limits, http::Head};",
        "do not know each other",
    ),
    (
        "src/shard/a.rs",
        "use crate::control::Api;",
        "do not know each other",
    ),
    (
        "src/control/a.rs",
        "fn f(x: crate::shard::Shard) {}",
        "do not know each other",
    ),
    (
        "src/shard/a.rs",
        "fn f() { unsafe { g() } }",
        "`unsafe` belongs in src/sys",
    ),
    (
        "tests/a.rs",
        "fn f() { unsafe { g() } }",
        "`unsafe` belongs in src/sys",
    ),
    ("src/shard/util.rs", "fn f() {}", "says nothing"),
    (
        "src/shard/a.rs",
        "pub struct PoolManager;",
        "`PoolManager` is a name that says nothing",
    ),
    (
        "src/shard/a.rs",
        "fn get_count() {}",
        "an accessor has no get_",
    ),
    (
        "src/limits.rs",
        "pub const A: u8 = 1;",
        "a bound has a doc comment",
    ),
    ("src/a.rs", concat!("// TO", "DO: later"), "is left over"),
    (
        "tests/run",
        concat!("cd /ho", "me/me"),
        "is a path of some machine",
    ),
];

/// A path, and a text that breaks no rule there.
const ALLOWED: [(&str, &str); 6] = [
    (
        "src/http/a.rs",
        "use std::net::{IpAddr, SocketAddr};\nuse crate::{limits, config::Host};",
    ),
    (
        "src/http/a.rs",
        "/// Never waits: tokio is elsewhere.\nfn f() { g(\"unsafe\") }",
    ),
    (
        "src/shard/a.rs",
        "use crate::{http, sticky, sys::link::Link};\nuse crate::state::Report;",
    ),
    ("src/sys/a.rs", "fn f() { unsafe { g() } }"),
    (
        "src/limits.rs",
        "/// Bytes of a thing. Beyond it: 400.\npub const A: u8 = 1;",
    ),
    (
        "src/state/a.rs",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::thread;\n}",
    ),
];

#[test]
fn each_rule_finds_what_it_forbids() {
    for (path, text, expected) in FORBIDDEN {
        assert_breaks(path, &format!("//! A.\n{text}\n"), expected);
    }
    assert_breaks("src/a.rs", "fn f() {}\n", "a file opens with");
    assert_breaks(
        "src/a.rs",
        &format!("//! {}\n", "x".repeat(97)),
        "at most 100 columns",
    );
    assert_breaks(
        "src/a.rs",
        &format!("//! A.\n{}", "fn f() {}\n".repeat(601)),
        "601 lines of code",
    );
}

#[test]
fn what_the_rules_allow_passes() {
    for (path, text) in ALLOWED {
        let found = breaches(&Source::new(path, &format!("//! A.\n{text}\n")));
        assert!(found.is_empty(), "{path}: {text:?} breaks {found:?}");
    }
}

#[test]
fn a_report_names_file_and_line() {
    let found = breaches(&Source::new("src/http/a.rs", "//! A.\n\nuse tokio::net;\n"));
    let expected = "src/http/a.rs:3: `http` is pure; `tokio` brings in async I/O";
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [expected]
    );
}

fn assert_breaks(path: &str, text: &str, expected: &str) {
    let found = breaches(&Source::new(path, text));
    let is_found = found.iter().any(|breach| breach.rule.contains(expected));
    assert!(
        is_found,
        "{path}: {text:?} should break {expected:?}, breaks {found:?}"
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What cargo-fuzz leaves in its directory.
const LEFT_BY_FUZZING: [&str; 4] = ["target", "artifacts", "corpus", "coverage"];

/// Reads all text files at and below `path`, in order. A path that does not exist holds none.
fn read_into(path: &Path, sources: &mut Vec<Source>) {
    let fuzz = root().join("tests/fuzz");
    if LEFT_BY_FUZZING.iter().any(|left| path == fuzz.join(left)) {
        return;
    }
    if let Ok(entries) = fs::read_dir(path) {
        let mut below: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        below.sort();
        below.iter().for_each(|entry| read_into(entry, sources));
    } else if let Ok(text) = fs::read_to_string(path) {
        let relative = path
            .strip_prefix(root())
            .expect("all files lie below the root");
        sources.push(Source::new(&relative.to_string_lossy(), &text));
    }
}
