//! The text of a configuration file as it is written: blocks of keys, a mark behind each.
//!
//! Not which keys there are (`write.rs`, `load_balancer.rs`).

use std::fmt::Write;
use std::time::Duration;

use toml_writer::{TomlWrite, WriteTomlValue};

use super::super::duration::written;
use super::super::sources::{Place, Sources};

/// Columns from which a list has a line for each of its values.
const LIST_COLUMNS_MAX: usize = 80;

/// Keys whose default is the profile's.
const OF_PROFILE: [&str; 8] = [
    "http_only",
    "same_site",
    "secure",
    "refresh",
    "connection_draining",
    "drain_mode",
    "drain_deadline",
    "load_bound",
];

/// What has been written so far.
pub(super) struct Page<'s> {
    text: String,
    sources: &'s Sources,
    /// The last lines are about the table that comes.
    is_led: bool,
}

/// What is said behind the keys of a block.
#[derive(Clone, Copy)]
pub(super) enum Marks<'s> {
    /// Their lines in the file, of which this is the block's place; where it is `None` all keys are
    /// as by default.
    Lines(Option<&'s Place>),
    /// Nothing: what is said of the block holds for all of them.
    None,
}

impl<'s> Marks<'s> {
    /// Those of a table below.
    pub(super) fn below(self, key: &str) -> Self {
        match self {
            Self::Lines(place) => Self::Lines(place.and_then(|place| place.below(key))),
            Self::None => Self::None,
        }
    }
}

/// Who made something as it is, and where the file has it.
pub(super) fn told(why: &str, in_file: Marks<'_>, sources: &Sources) -> String {
    match in_file {
        Marks::Lines(Some(place)) => format!("{why}; in the file at {}", sources.at(place.line)),
        Marks::Lines(None) | Marks::None => why.to_owned(),
    }
}

/// The keys of one table.
pub(super) struct Block<'p, 's> {
    page: &'p mut Page<'s>,
    marks: Marks<'s>,
}

impl<'s> Page<'s> {
    pub(super) fn new(sources: &'s Sources) -> Self {
        Self {
            text: String::new(),
            sources,
            is_led: false,
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn sources(&self) -> &'s Sources {
        self.sources
    }

    /// Where the file has what is under `key`.
    pub(super) fn marks(&self, key: &str) -> Marks<'s> {
        Marks::Lines(self.sources.root()).below(key)
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Lines that are not read.
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            self.push(format_args!("# {line}\n"));
        }
    }

    /// Lines that are not read, about the table that comes.
    pub(super) fn lead(&mut self, text: &str) {
        if !self.is_led {
            self.gap();
        }
        self.comment(text);
        self.is_led = true;
    }

    /// There comes no table.
    pub(super) fn end_lead(&mut self) {
        self.is_led = false;
    }

    /// The one table under `key`.
    pub(super) fn section(&mut self, header: &str, key: &str) -> Block<'_, 's> {
        let marks = self.marks(key);
        self.block(header, marks)
    }

    /// One of several tables under `key`.
    pub(super) fn entry(&mut self, header: &str, key: &str, name: &str) -> Block<'_, 's> {
        let marks = self.marks(key).below(name);
        let Some(why) = self.sources.named.get(name) else {
            return self.block(header, marks);
        };
        let sources = self.sources;
        self.lead(&told(why, marks, sources));
        self.block(header, Marks::None)
    }

    /// Tables that are written already, with an empty line before each.
    pub(super) fn tables(&mut self, text: &str) {
        let text = match self.is_led {
            true => text.trim_start(),
            false => text,
        };
        self.is_led = false;
        self.text.push_str(text);
    }

    /// A table with its header.
    pub(super) fn block(&mut self, header: &str, marks: Marks<'s>) -> Block<'_, 's> {
        if !self.is_led {
            self.gap();
        }
        self.is_led = false;
        self.text.push_str(header);
        if let Marks::Lines(Some(place)) = marks {
            let at = self.sources.at(place.line);
            self.mark(&at);
        }
        self.gap();
        Block { page: self, marks }
    }

    fn mark(&mut self, mark: &str) {
        if !mark.is_empty() {
            self.push(format_args!(" # {mark}"));
        }
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("a string takes everything");
    }
}

impl Block<'_, '_> {
    pub(super) fn comment(&mut self, text: &str) {
        self.page.comment(text);
    }

    pub(super) fn key(&mut self, key: &str, value: impl WriteTomlValue) {
        self.key_marked(key, value, &self.mark_of(key));
    }

    /// A key that a flag may have the last word on.
    pub(super) fn key_by(&mut self, key: &str, value: impl WriteTomlValue, flag: Option<&str>) {
        let mark = flag.map_or_else(|| self.mark_of(key), |flag| format!("flag {flag}"));
        self.key_marked(key, value, &mark);
    }

    /// A key with a mark of its own.
    pub(super) fn key_marked(&mut self, key: &str, value: impl WriteTomlValue, mark: &str) {
        self.begin(key);
        self.page
            .text
            .value(value)
            .expect("a string takes everything");
        self.page.mark(mark);
        self.page.gap();
    }

    /// A length of time, with its unit.
    pub(super) fn length(&mut self, key: &str, length: Duration) {
        self.key(key, written(length));
    }

    pub(super) fn list(&mut self, key: &str, values: &[impl AsRef<str>]) {
        let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
        let columns = values.iter().map(|value| value.len() + 4).sum::<usize>();
        if columns <= LIST_COLUMNS_MAX {
            return self.key(key, values);
        }
        let mark = self.mark_of(key);
        self.begin(key);
        self.page.text.push('[');
        self.page.mark(&mark);
        for value in values {
            self.page.text.push_str("\n  ");
            self.page
                .text
                .value(value)
                .expect("a string takes everything");
            self.page.text.push(',');
        }
        self.page.text.push_str("\n]\n");
    }

    fn begin(&mut self, key: &str) {
        self.page.text.key(key).expect("a string takes everything");
        self.page.text.push_str(" = ");
    }

    /// Where the file has a key, or why it has the value that it has.
    pub(super) fn mark_of(&self, key: &str) -> String {
        let sources = self.page.sources;
        let Marks::Lines(place) = self.marks else {
            return String::new();
        };
        if let Some(place) = place.and_then(|place| place.below(key)) {
            return sources.at(place.line);
        }
        let profile = sources.root().and_then(|root| root.below("profile"));
        match profile.filter(|_| OF_PROFILE.contains(&key)) {
            Some(profile) => format!("default, by profile at {}", sources.at(profile.line)),
            None => "default".to_owned(),
        }
    }
}
