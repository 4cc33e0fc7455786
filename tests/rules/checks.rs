//! The rules themselves: each takes one file and says what is against it, with line and reason.

use std::fmt;

use crate::source::{Source, words};

/// Modules that are values only: bytes, time and randomness come in, bytes and decisions go out.
const PURE: [&str; 10] = [
    "http",
    "sticky",
    "health",
    "cluster",
    "balance",
    "access_log",
    "proxy_protocol",
    "config",
    "state",
    "elb",
];

/// Modules that do what the pure ones decide.
const SHELL: [&str; 5] = ["shard", "control", "sys", "cli", "demo"];

/// Words that a pure module has no use for, and what each would bring in.
const IMPURE: [(&str, &str); 15] = [
    ("tokio", "async I/O"),
    ("monoio", "async I/O"),
    ("io_uring", "I/O"),
    ("socket2", "sockets"),
    ("TcpStream", "sockets"),
    ("TcpListener", "sockets"),
    ("UdpSocket", "sockets"),
    ("UnixStream", "sockets"),
    ("ToSocketAddrs", "name resolution"),
    ("libc", "system calls"),
    ("Instant", "the clock; take the time as an argument"),
    ("SystemTime", "the clock; take the time as an argument"),
    ("async", "suspension"),
    ("await", "suspension"),
    ("unsafe", "unsafe code"),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 9] = [
    "util", "utils", "manager", "common", "misc", "helper", "helpers", "stuff", "base",
];

/// Lines of code, tests left out, from which a file has outgrown its neighbours.
const CODE_LINES_MAX: usize = 600;

/// Columns of a comment: what rustfmt keeps for the code.
const COLUMNS_MAX: usize = 100;

/// Something against a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) rule: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

/// Everything that is against the rules in one file.
pub(crate) fn breaches(source: &Source) -> Vec<Breach> {
    let mut found = Found {
        path: &source.path,
        breaches: Vec::new(),
    };
    leftovers(source, &mut found);
    if source.path.ends_with(".rs") {
        opening(source, &mut found);
        measures(source, &mut found);
        names(source, &mut found);
        unsafety(source, &mut found);
        purity(source, &mut found);
        imports(source, &mut found);
        limits(source, &mut found);
    }
    found.breaches
}

struct Found<'a> {
    path: &'a str,
    breaches: Vec<Breach>,
}

impl Found<'_> {
    fn add(&mut self, line: usize, rule: impl Into<String>) {
        self.breaches.push(Breach {
            path: self.path.to_owned(),
            line,
            rule: rule.into(),
        });
    }
}

/// Nothing unfinished, and nothing that is true on one machine only.
fn leftovers(source: &Source, found: &mut Found<'_>) {
    // In halves, so that this file passes its own rule.
    let unfinished = [["FIX", "ME"], ["TO", "DO"], ["XX", "X"], ["db", "g!("]].map(|s| s.concat());
    let machine = [
        ["/ho", "me/"],
        ["/ro", "ot/"],
        ["/Use", "rs/"],
        ["/wo", "rk/"],
    ];
    let machine = machine.map(|halves| halves.concat());
    for (index, line) in source.text.lines().enumerate() {
        if let Some(word) = unfinished.iter().find(|word| has_word(line, word)) {
            found.add(index + 1, format!("`{word}` is left over"));
        }
        if let Some(path) = machine.iter().find(|path| has_word(line, path)) {
            found.add(index + 1, format!("`{path}` is a path of some machine"));
        }
    }
}

/// Whether `word` stands in `line` and no letter or digit touches it on the left.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-$}".contains(c)))
}

/// Every file says first what it is; unit tests in a file of their own are what their module is.
fn opening(source: &Source, found: &mut Found<'_>) {
    if source.name() != "tests" && !source.text.starts_with("//! ") {
        found.add(
            1,
            "a file opens with `//!`: what it is, what it is not, its invariant",
        );
    }
}

/// Lines and files that fit a screen and a head.
fn measures(source: &Source, found: &mut Found<'_>) {
    for (index, line) in source.text.lines().enumerate() {
        let is_comment = line.trim_start().starts_with("//");
        if is_comment && line.chars().count() > COLUMNS_MAX {
            let rule = format!("a comment has at most {COLUMNS_MAX} columns");
            found.add(index + 1, rule);
        }
    }
    let lines = source
        .code()
        .filter(|(_, line)| !line.trim().is_empty())
        .count();
    if lines > CODE_LINES_MAX {
        found.add(
            1,
            format!("{lines} lines of code; at {CODE_LINES_MAX} a file wants to be two"),
        );
    }
}

/// Names that tell something.
fn names(source: &Source, found: &mut Found<'_>) {
    if source
        .path
        .split(['/', '.'])
        .any(|part| EMPTY_NAMES.contains(&part))
    {
        found.add(1, format!("`{}` is a name that says nothing", source.path));
    }
    const DECLARES: [&str; 7] = ["mod", "struct", "enum", "trait", "type", "fn", "const"];
    for (number, line) in source.code() {
        let all: Vec<&str> = words(line).collect();
        for pair in all.windows(2).filter(|pair| DECLARES.contains(&pair[0])) {
            if parts(pair[1])
                .iter()
                .any(|part| EMPTY_NAMES.contains(&part.as_str()))
            {
                found.add(number, format!("`{}` is a name that says nothing", pair[1]));
            }
            // `get_mut` is a word of std, for access by a unique reference.
            if pair[0] == "fn" && pair[1].starts_with("get_") && pair[1] != "get_mut" {
                found.add(number, format!("`{}`: an accessor has no get_", pair[1]));
            }
        }
    }
}

/// `PoolManager` and `pool_manager` as `pool`, `manager`.
fn parts(name: &str) -> Vec<String> {
    let mut spaced = String::new();
    for c in name.chars() {
        if c.is_uppercase() {
            spaced.push('_');
        }
        spaced.extend(c.to_lowercase());
    }
    spaced.split('_').map(str::to_owned).collect()
}

/// `unsafe` in one small place.
fn unsafety(source: &Source, found: &mut Found<'_>) {
    if source.module() == Some("sys") {
        return;
    }
    for (number, line) in source.code() {
        if words(line).any(|word| word == "unsafe") {
            found.add(number, "`unsafe` belongs in src/sys");
        }
    }
}

/// The pure modules know no socket, clock, thread or suspension.
fn purity(source: &Source, found: &mut Found<'_>) {
    let Some(module) = source.module().filter(|module| PURE.contains(module)) else {
        return;
    };
    for (number, line) in source.code() {
        for (word, brings) in IMPURE {
            if words(line).any(|seen| seen == word) {
                found.add(
                    number,
                    format!("`{module}` is pure; `{word}` brings in {brings}"),
                );
            }
        }
        if line.contains("std::thread") || line.contains("thread::") {
            found.add(number, format!("`{module}` is pure; it knows no threads"));
        }
    }
}

/// Which module may know which.
fn imports(source: &Source, found: &mut Found<'_>) {
    let Some(module) = source.module() else {
        return;
    };
    let refused: &[&str] = match module {
        "http" => &["sticky"],
        "sticky" => &["http"],
        "shard" => &["control"],
        "control" => &["shard"],
        _ => &[],
    };
    let is_pure = PURE.contains(&module);
    for (number, line, target) in crate_paths(source) {
        if refused.contains(&target.as_str()) {
            found.add(
                number,
                format!("`{module}` and `{target}` do not know each other: {line}"),
            );
        } else if is_pure && SHELL.contains(&target.as_str()) {
            found.add(
                number,
                format!("`{module}` is pure, `{target}` is shell: {line}"),
            );
        }
    }
}

/// The modules named by `crate::…`, also as `use crate::{a, b::c}` over several lines.
fn crate_paths(source: &Source) -> Vec<(usize, String, String)> {
    let mut paths = Vec::new();
    let mut depth = 0; // of braces in `use crate::{`, 0 outside
    for (number, line) in source.code() {
        let mut rest = line;
        while !rest.is_empty() {
            if depth == 0 {
                let Some(at) = rest.find("crate::") else {
                    break;
                };
                rest = &rest[at + "crate::".len()..];
                if rest.starts_with('{') {
                    depth = 1;
                    rest = &rest[1..];
                } else if let Some(name) = words(rest).next() {
                    paths.push((number, line.trim().to_owned(), name.to_owned()));
                }
                continue;
            }
            let end = rest.find([',', '{', '}', ';']).unwrap_or(rest.len());
            if let Some(name) = words(&rest[..end]).next().filter(|_| depth == 1) {
                paths.push((number, line.trim().to_owned(), name.to_owned()));
            }
            match rest[end..].chars().next() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                Some(';') => depth = 0,
                _ => {}
            }
            rest = rest.get(end + 1..).unwrap_or("");
        }
    }
    paths
}

/// Every bound has its reason beside it.
fn limits(source: &Source, found: &mut Found<'_>) {
    if source.path != "src/limits.rs" {
        return;
    }
    let mut above = "";
    for (index, line) in source.text.lines().enumerate() {
        if line.starts_with("pub const ") && !above.starts_with("///") {
            found.add(
                index + 1,
                "a bound has a doc comment: why this number, what happens at it",
            );
        }
        above = line;
    }
}
