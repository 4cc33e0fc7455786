//! What is wrong with a configuration, in words for the person who wrote it.
//!
//! Not here: what is allowed; that is beside each value's reader. Invariant: a [`Problems`] holds
//! at least one problem, in the order of the file.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// Everything that one reading of a file found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    file_name: String,
    list: Vec<Problem>,
}

impl Problems {
    /// Puts the problems of `file_name` in the order of its lines. `list` must not be empty.
    pub(super) fn new(file_name: &str, mut list: Vec<Problem>) -> Self {
        assert!(!list.is_empty(), "a file without problems was refused");
        list.sort_by_key(|problem| problem.line);
        Self {
            file_name: file_name.to_owned(),
            list,
        }
    }

    /// The file, as it was named to the reader.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// The problems, by line.
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problems {
    /// One line per problem, each opening with `file:line:`, then how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "{}:{problem}", self.file_name)?;
        }
        match self.list.len() {
            1 => write!(f, "1 problem"),
            count => write!(f, "{count} problems"),
        }
    }
}

impl Error for Problems {}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line of the file, from 1.
    pub line: usize,
    /// The path of the key, such as `load_balancer[0].listener[1].port`; empty where the file is
    /// not TOML or the problem is with the file as a whole.
    pub key: String,
    /// The value as written, shortened to one line; `None` where the key itself is the problem.
    pub value: Option<String>,
    /// What is wrong with it.
    pub mistake: Mistake,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.line)?;
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.key, self.mistake),
            None if self.key.is_empty() => write!(f, "{}", self.mistake),
            None => write!(f, "{}: {}", self.key, self.mistake),
        }
    }
}

/// Why a value is refused: a clause for a person, such as "must be 1 to 10". No code branches on
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake(Cow<'static, str>);

impl From<&'static str> for Mistake {
    fn from(clause: &'static str) -> Self {
        Self(Cow::Borrowed(clause))
    }
}

impl From<String> for Mistake {
    fn from(clause: String) -> Self {
        Self(Cow::Owned(clause))
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Mistake {}

/// The one of `known` that was most likely meant by `written`, if any is near; of two as near, the
/// first by name.
pub(crate) fn nearest<'k>(
    written: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let written = written.to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| {
            let name_folded = name.to_ascii_lowercase();
            (
                strsim::normalized_damerau_levenshtein(&written, &name_folded),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, a_name), (b, b_name)| a.total_cmp(b).then_with(|| b_name.cmp(a_name)))
        .map(|(_, name)| name)
}

/// Half of the letters in place: finds `policies` for `policy`, and nothing for `backends` among
/// the keys of a listener.
const LIKENESS_MIN: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let known = ["protocol", "port", "instance_port", "policies"];
        assert_eq!(nearest("protocl", known), Some("protocol"));
        assert_eq!(nearest("policy", known), Some("policies"));
        assert_eq!(nearest("Port", known), Some("port"));
        assert_eq!(nearest("backends", known), None);
        assert_eq!(nearest("p3", ["p2", "p1"]), nearest("p3", ["p1", "p2"]));
    }

    #[test]
    fn problems_read_in_the_order_of_the_file_and_end_with_their_count() {
        let at = |line, value: Option<&str>| Problem {
            line,
            key: "host.pin".to_owned(),
            value: value.map(str::to_owned),
            mistake: "no".into(),
        };
        let problems = Problems::new("a.toml", vec![at(7, Some("3")), at(2, None)]);
        let text = "a.toml:2: host.pin: no\na.toml:7: host.pin = 3: no\n2 problems";
        assert_eq!(problems.to_string(), text);
    }
}
