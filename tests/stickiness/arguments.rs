//! The command line of the suite.

use crate::proxy::Kind;

/// What to run.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) kinds: Vec<Kind>,
    /// Print the table.
    pub(crate) table: bool,
    /// Run what elbow does not do yet as well.
    pub(crate) pending: bool,
    /// Words of which file or name must contain one; empty: all cases.
    words: Vec<String>,
}

impl Arguments {
    /// Reads the arguments. Those of the standard test runner that change nothing here are taken.
    pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            kinds: vec![Kind::Elbow],
            table: false,
            pending: false,
            words: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--table" => parsed.table = true,
                "--pending" => parsed.pending = true,
                "--proxy" => parsed.kinds = kinds(&arguments.next().unwrap_or_default())?,
                "--nocapture" | "--quiet" | "-q" => {}
                word if !word.starts_with('-') => parsed.words.push(argument),
                _ => {
                    return Err(format!(
                        "unknown argument {argument}; tests/stickiness/README.md"
                    ));
                }
            }
        }
        Ok(parsed)
    }

    pub(crate) fn chooses(&self, file: &str, name: &str) -> bool {
        let mut words = self.words.iter();
        self.words.is_empty() || words.any(|word| file.contains(word) || name.contains(word))
    }
}

fn kinds(name: &str) -> Result<Vec<Kind>, String> {
    if name == "all" {
        return Ok(Kind::ALL.to_vec());
    }
    let kind = Kind::ALL
        .iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name));
    kind.map(|kind| vec![*kind])
        .ok_or_else(|| format!("--proxy is elbow, nginx, haproxy or all, not {name:?}"))
}
