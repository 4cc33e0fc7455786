//! What came of the cases: counts, failures, and a table in Markdown.

use crate::feature::Feature;
use crate::proxy::Kind;

/// What came of one case with one proxy.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    Passed,
    /// With the whole message.
    Failed(String),
    /// The proxy lacks these.
    NoSuchFeature(Vec<Feature>),
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) file: String,
    pub(crate) name: String,
    pub(crate) requirements: Vec<String>,
    pub(crate) outcomes: Vec<Outcome>,
}

/// The table: a row per case, a column per proxy, sums at the end.
pub(crate) fn table(kinds: &[Kind], rows: &[Row]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    let mut text = format!("| case | requirements | {} |\n", names.join(" | "));
    text.push_str(&format!("|---|---|{}\n", "---|".repeat(kinds.len())));
    for row in rows {
        let cells: Vec<&str> = row.outcomes.iter().map(Outcome::cell).collect();
        let (name, requirements) = (&row.name, row.requirements.join(", "));
        text.push_str(&format!(
            "| {name} | {requirements} | {} |\n",
            cells.join(" | ")
        ));
    }
    let sums: Vec<String> = (0..kinds.len()).map(|column| sum(rows, column)).collect();
    text.push_str(&format!(
        "| **passed, of those it has the features for** | | {} |\n",
        sums.join(" | ")
    ));
    text
}

fn sum(rows: &[Row], column: usize) -> String {
    let outcomes = || rows.iter().map(|row| &row.outcomes[column]);
    let passed = outcomes()
        .filter(|outcome| matches!(outcome, Outcome::Passed))
        .count();
    let lacking = outcomes()
        .filter(|outcome| matches!(outcome, Outcome::NoSuchFeature(_)))
        .count();
    format!("**{passed} of {}**", rows.len() - lacking)
}

impl Outcome {
    fn cell(&self) -> &'static str {
        match self {
            Self::Passed => "yes",
            Self::Failed(_) => "**no**",
            Self::NoSuchFeature(_) => "–",
        }
    }
}
