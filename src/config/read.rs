//! A typed reader over a TOML document that notes what is wrong and goes on.
//!
//! Not here: what elbow's keys mean. serde stops at its first error and forgets where it was; this
//! keeps the place of each value, so that one reading names every problem. Invariant: a method that
//! answers `None` for something that is written has noted a problem about it.

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::Lengths;
use super::problem::nearest;
use super::size::{self, Sizes};
use super::{Mistake, Problem};

/// Longest value that a problem quotes in full, in characters.
const QUOTED_CHARS_MAX: usize = 60;

/// Collects what is wrong with one text.
pub(super) struct Report<'t> {
    text: &'t str,
    problems: Vec<Problem>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: Vec::new(),
        }
    }

    /// Notes that `field` has a value that cannot be taken.
    pub(super) fn refuse(&mut self, field: &Field<'_>, mistake: impl Into<Mistake>) {
        let value = Some(self.quote(field.span.clone()));
        self.note(field.span.start, field.path.clone(), value, mistake.into());
    }

    /// Notes something about the key `path`, at byte `start`, rather than about its value.
    pub(super) fn refuse_key(&mut self, start: usize, path: String, mistake: impl Into<Mistake>) {
        self.note(start, path, None, mistake.into());
    }

    /// What was noted.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The line of byte `start`, from 1.
    fn line(&self, start: usize) -> usize {
        let before = &self.text.as_bytes()[..start];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    fn note(&mut self, start: usize, key: String, value: Option<String>, mistake: Mistake) {
        self.problems.push(Problem {
            line: self.line(start),
            key,
            value,
            mistake,
        });
    }

    /// The first line of what is written at `span`, shortened.
    fn quote(&self, span: Range<usize>) -> String {
        let written = &self.text[span];
        let line = written.lines().next().unwrap_or_default();
        let end = line
            .char_indices()
            .nth(QUOTED_CHARS_MAX)
            .map_or(line.len(), |(end, _)| end);
        if end == written.len() {
            line.to_owned()
        } else {
            format!("{}...", &line[..end])
        }
    }
}

/// One table of the file and which of its keys were asked for.
pub(super) struct Section<'t> {
    path: String,
    start: usize,
    table: &'t DeTable<'t>,
    known: Vec<&'static str>,
    not_yet: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The whole document.
    pub(super) fn document(document: &'t Spanned<DeTable<'t>>) -> Self {
        Self::new(String::new(), document.span().start, document.get_ref())
    }

    fn new(path: String, start: usize, table: &'t DeTable<'t>) -> Self {
        Self {
            path,
            start,
            table,
            known: Vec::new(),
            not_yet: Vec::new(),
        }
    }

    /// Its path, such as `load_balancer[0]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Notes something about the section as a whole.
    pub(super) fn refuse(&self, report: &mut Report<'_>, mistake: impl Into<Mistake>) {
        report.refuse_key(self.start, self.path.clone(), mistake);
    }

    /// The value of `key`, if it is written.
    pub(super) fn field(&mut self, key: &'static str) -> Option<Field<'t>> {
        self.known.push(key);
        let value = self.table.get(key)?;
        Some(Field {
            path: self.key_path(key),
            span: value.span(),
            value: value.get_ref(),
        })
    }

    /// The value of `key` as it is, whoever is to read it.
    pub(super) fn peek(&self, key: &str) -> Option<&'t DeValue<'t>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    /// The value of `key`, which must be written.
    pub(super) fn required(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Field<'t>> {
        let field = self.field(key);
        if field.is_none() {
            report.refuse_key(self.start, self.key_path(key), "is missing");
        }
        field
    }

    /// The value of `key` as `read` takes it: `default` where it is not written, `None` where it is
    /// wrong.
    pub(super) fn read_or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(Field<'t>) -> Option<T>,
    ) -> Option<T> {
        self.field(key).map_or(Some(default), read)
    }

    /// The table under `key`, as in `[key]`.
    pub(super) fn section(&mut self, key: &'static str, report: &mut Report<'_>) -> Option<Self> {
        let field = self.field(key)?;
        match field.value {
            DeValue::Table(table) => Some(Section::new(field.path, field.span.start, table)),
            DeValue::Array(_) => {
                let mistake = format!("there is one at most: write [{key}] in single brackets");
                report.refuse_key(field.span.start, field.path, mistake);
                None
            }
            _ => field.mismatch("a table", report),
        }
    }

    /// The tables under `key`, as in `[[key]]`: an empty list where it is not written, `None` where
    /// it is something else.
    pub(super) fn sections(
        &mut self,
        key: &'static str,
        report: &mut Report<'_>,
    ) -> Option<Vec<Self>> {
        let Some(field) = self.field(key) else {
            return Some(Vec::new());
        };
        if field.value.is_table() {
            let mistake = format!("there may be several: write [[{key}]] in double brackets");
            report.refuse_key(field.span.start, field.path, mistake);
            return None;
        }
        let items = field.items(report)?;
        let section = |item: Field<'t>| match item.value {
            DeValue::Table(table) => Some(Section::new(item.path, item.span.start, table)),
            _ => item.mismatch("a table", report),
        };
        items.into_iter().map(section).collect()
    }

    /// Refuses keys that a later version will serve.
    pub(super) fn refuse_not_yet(&mut self, keys: &[&'static str], report: &mut Report<'_>) {
        for key in keys {
            self.not_yet.push(key);
            if let Some((key, _)) = self.table.get_key_value(*key) {
                let path = self.key_path(key.get_ref());
                report.refuse_key(key.span().start, path, NOT_YET);
            }
        }
    }

    /// Notes every key that nobody asked for. Each section ends with it.
    pub(super) fn finish(self, report: &mut Report<'_>) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known.contains(&name) || self.not_yet.contains(&name) {
                continue;
            }
            let mistake = match nearest(name, self.known.iter().copied()) {
                Some(known) => format!("is not a key here; did you mean `{known}`?"),
                None => format!("is not a key here; the keys are {}", self.known.join(", ")),
            };
            report.refuse_key(key.span().start, self.key_path(name), mistake);
        }
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// What is said of keys and values that a later version will serve.
const NOT_YET: &str = "is not available in this version";

/// One value of the file and where it is written.
pub(super) struct Field<'t> {
    path: String,
    span: Range<usize>,
    value: &'t DeValue<'t>,
}

impl<'t> Field<'t> {
    /// The line that it is written in, from 1.
    pub(super) fn line(&self, report: &Report<'_>) -> usize {
        report.line(self.span.start)
    }

    /// The value as text.
    pub(super) fn text(&self, report: &mut Report<'_>) -> Option<&'t str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => self.mismatch("text in quotes", report),
        }
    }

    /// The value as text that `parse` takes.
    pub(super) fn parsed<T>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, Mistake>,
        report: &mut Report<'_>,
    ) -> Option<T> {
        let text = self.text(report)?;
        self.settle(parse(text), report)
    }

    /// The value if it is true or false, for keys that take something else too.
    pub(super) fn as_boolean(&self) -> Option<bool> {
        self.value.as_bool()
    }

    /// The value if it is a number, whole or not, for keys that take something else too.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self.value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        }
    }

    /// The value as true or false.
    pub(super) fn boolean(&self, report: &mut Report<'_>) -> Option<bool> {
        self.value
            .as_bool()
            .or_else(|| self.mismatch("true or false", report))
    }

    /// The value as a whole number in `range`.
    pub(super) fn integer(
        &self,
        range: RangeInclusive<u64>,
        report: &mut Report<'_>,
    ) -> Option<u64> {
        let DeValue::Integer(_) = self.value else {
            return self.mismatch("a whole number", report);
        };
        let integer = self.unsigned().filter(|integer| range.contains(integer));
        let outside = || format!("must be {} to {}", range.start(), range.end()).into();
        self.settle(integer.ok_or_else(outside), report)
    }

    /// The value as a port that can be connected to.
    pub(super) fn port(&self, report: &mut Report<'_>) -> Option<u16> {
        let port = self.integer(1..=u64::from(u16::MAX), report)?;
        Some(u16::try_from(port).expect("the range ends with u16"))
    }

    /// The value as an IP address without a port.
    pub(super) fn ip_address(&self, report: &mut Report<'_>) -> Option<IpAddr> {
        let parse = |text: &str| text.parse().map_err(|_| "must be an IP address".into());
        self.parsed(parse, report)
    }

    /// The value as a length of time: whole seconds, or text with a unit.
    pub(super) fn duration(&self, lengths: &Lengths, report: &mut Report<'_>) -> Option<Duration> {
        self.settle(self.length(lengths), report)
    }

    /// The same where the key also takes `others`, which the problem then names as well.
    pub(super) fn duration_or(
        &self,
        others: &str,
        lengths: &Lengths,
        report: &mut Report<'_>,
    ) -> Option<Duration> {
        let length = self.length(lengths);
        let length = length.map_err(|mistake| format!("{mistake}, or {others}").into());
        self.settle(length, report)
    }

    fn length(&self, lengths: &Lengths) -> Result<Duration, Mistake> {
        match self.value {
            DeValue::String(text) => lengths.take_text(text),
            DeValue::Integer(_) => match self.unsigned() {
                Some(seconds) => lengths.take_seconds(seconds),
                None => Err(lengths.mistake()),
            },
            _ => Err(lengths.mistake()),
        }
    }

    /// The value as an amount of bytes: a number, or text with a unit.
    pub(super) fn size(&self, sizes: &Sizes, report: &mut Report<'_>) -> Option<u64> {
        let size = match self.value {
            DeValue::String(text) => size::parse(text).and_then(|bytes| sizes.take(bytes)),
            _ => match self.unsigned() {
                Some(bytes) => sizes.take(bytes),
                None => Err(sizes.mistake()),
            },
        };
        self.settle(size, report)
    }

    /// The values of a list.
    pub(super) fn items(&self, report: &mut Report<'_>) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else {
            return self.mismatch("a list", report);
        };
        let item = |(index, item): (usize, &'t Spanned<DeValue<'t>>)| Field {
            path: format!("{}[{index}]", self.path),
            span: item.span(),
            value: item.get_ref(),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// What was made of the value, or a problem.
    fn settle<T>(&self, made: Result<T, Mistake>, report: &mut Report<'_>) -> Option<T> {
        made.map_err(|mistake| report.refuse(self, mistake)).ok()
    }

    fn mismatch<T>(&self, expected: &str, report: &mut Report<'_>) -> Option<T> {
        report.refuse(self, format!("must be {expected}"));
        None
    }

    /// The number, unless it is negative or beyond 64 bits.
    fn unsigned(&self) -> Option<u64> {
        let integer = self.value.as_integer()?;
        u64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }
}
