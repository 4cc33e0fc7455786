//! Where the parts of a configuration come from: which line of the file, which flag, or whoever
//! has changed them since.
//!
//! Not the parts themselves ([`Config`](super::Config)). Invariant: a key that has a place here is
//! written there.

use std::collections::BTreeMap;

use toml::de::{DeTable, DeValue};

use super::Overrides;

/// The keys by which tables of a list are known; others are known by their place in it.
const NAMES: [&str; 4] = ["name", "id", "arn", "access_key_id"];

/// Where the parts of a configuration come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The file as it was named, and where its keys are; `None`: flags say everything.
    file: Option<(String, Place)>,
    /// The line of `host.address`, which is about listeners and not about the process.
    host_address: Option<usize>,
    /// What flags have changed.
    pub(super) overrides: Overrides,
    /// Load balancers that are not as the file has them, by name: why, in words.
    pub(super) changed: BTreeMap<String, String>,
    /// Instances and certificates that are not as the file has them, by id and ARN: why, in words.
    pub(super) named: BTreeMap<String, String>,
    /// What else is to be told of load balancers, a line each.
    pub(super) remarks: Vec<String>,
}

impl Sources {
    /// `document` was read from `text`, which is that of a file of this name.
    pub(super) fn of_file(file_name: &str, text: &str, document: &DeTable<'_>) -> Self {
        let root = Place::of(1, document, &Lines::of(text));
        let address = root.below("host").and_then(|host| host.below("address"));
        Self {
            host_address: address.map(|address| address.line),
            file: Some((file_name.to_owned(), root)),
            ..Self::default()
        }
    }

    /// The same with what flags have changed.
    #[must_use]
    pub fn with_overrides(self, overrides: Overrides) -> Self {
        Self { overrides, ..self }
    }

    /// The load balancer of this name is not as the file has it, and why: `API, since 2026-11-28`.
    pub fn change(&mut self, load_balancer: &str, why: String) {
        self.changed.insert(load_balancer.to_owned(), why);
    }

    /// The instance of this id, or the certificate of this ARN, is not as the file has it, and why.
    pub fn name(&mut self, name: &str, why: String) {
        self.named.insert(name.to_owned(), why);
    }

    /// Adds something to tell of what is not there.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// These, with what `older` says of what is read at the start alone: `[host]`, `[access_log]`,
    /// `[cluster]`, and where the admin address listens.
    #[must_use]
    pub fn with_process_of(mut self, mut older: Self) -> Self {
        self.overrides = older.overrides;
        if let (Some((_, new)), Some((_, old))) = (&mut self.file, &mut older.file) {
            for section in ["host", "access_log", "cluster"] {
                new.take_from(old, section);
            }
            match (new.below.get_mut("admin"), old.below.get_mut("admin")) {
                (Some(new), Some(old)) => new.take_from(old, "listen"),
                (Some(new), None) => drop(new.below.remove("listen")),
                (None, _) => new.take_from(old, "admin"),
            }
        }
        self
    }

    /// The file as it was named, if there is one.
    pub fn file_name(&self) -> Option<&str> {
        self.file.as_ref().map(|(name, _)| name.as_str())
    }

    /// Where the whole file is.
    pub(super) fn root(&self) -> Option<&Place> {
        self.file.as_ref().map(|(_, root)| root)
    }

    /// Where the file says on which address listeners accept that name none.
    pub(super) fn host_address(&self) -> Option<String> {
        self.host_address.map(|line| self.at(line))
    }

    /// A line of the file, as it is told behind a key: without its directories.
    pub(super) fn at(&self, line: usize) -> String {
        let name = self.file_name().unwrap_or_default();
        let name = name.rsplit('/').next().unwrap_or_default();
        format!("{name}:{line}")
    }
}

/// Where a key, or a table of a list, is written, and what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: usize,
    below: BTreeMap<String, Self>,
}

impl Place {
    fn of(line: usize, table: &DeTable<'_>, lines: &Lines) -> Self {
        let key = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let name: &toml::de::DeString<'_> = key.get_ref();
            let line = lines.at(key.span().start);
            (
                name.to_string(),
                Self::of_value(line, value.get_ref(), lines),
            )
        };
        Self {
            line,
            below: table.iter().map(key).collect(),
        }
    }

    fn of_value(line: usize, value: &DeValue<'_>, lines: &Lines) -> Self {
        match value {
            DeValue::Table(table) => Self::of(line, table, lines),
            DeValue::Array(items) => {
                let table = |(index, item): (usize, &toml::Spanned<DeValue<'_>>)| {
                    let table = item.get_ref().as_table()?;
                    let mut names = NAMES.iter().filter_map(|name| table.get(*name));
                    let name = names.next().and_then(|name| name.get_ref().as_str());
                    let name = name.map_or_else(|| index.to_string(), str::to_owned);
                    Some((name, Self::of(lines.at(item.span().start), table, lines)))
                };
                let below = items.iter().enumerate().filter_map(table).collect();
                Self { line, below }
            }
            _ => Self {
                line,
                below: BTreeMap::new(),
            },
        }
    }

    /// What is under a key is where the other has it, if anywhere.
    fn take_from(&mut self, other: &mut Self, key: &str) {
        self.below.remove(key);
        self.below.extend(other.below.remove_entry(key));
    }

    /// The place of a key of this table, or of a table of this list by its name or index.
    pub(super) fn below(&self, key: &str) -> Option<&Self> {
        self.below.get(key)
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(memchr::memchr_iter(b'\n', text.as_bytes()).collect())
    }

    /// The line of a byte, from 1.
    fn at(&self, byte: usize) -> usize {
        1 + self.0.partition_point(|end| *end < byte)
    }
}
