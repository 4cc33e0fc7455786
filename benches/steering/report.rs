//! What was measured, in three tables.
//!
//! Pure. Invariant: a ratio is taken between two loads of the same round and only then the median
//! over rounds, so that what slows the whole machine for a while cancels out.

use std::fmt;
use std::time::Duration;

use crate::wrk::{Errors, Outcome};

/// A load while elbow was steered.
pub(crate) struct Steered {
    pub(crate) outcome: Outcome,
    /// How long each step took.
    pub(crate) times: Vec<Duration>,
}

/// All of it, by round.
pub(crate) struct Report {
    /// What it ran on, a line each.
    setting: Vec<String>,
    pub(crate) quiet: Vec<Outcome>,
    /// Changed by the API, in the rounds of `quiet`.
    pub(crate) changed: Vec<Steered>,
    /// Made to read its file again, a connection for each request.
    pub(crate) reloaded: Vec<Steered>,
}

impl Report {
    pub(crate) fn new(setting: Vec<String>) -> Self {
        Self {
            setting,
            quiet: Vec::new(),
            changed: Vec::new(),
            reloaded: Vec::new(),
        }
    }

    /// Requests that failed.
    pub(crate) fn errors(&self) -> u64 {
        let steered = self.changed.iter().chain(&self.reloaded);
        let outcomes = steered.map(|steered| &steered.outcome);
        total(outcomes.chain(&self.quiet)).total()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.setting {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "\n{:<26}{:>11}{:>10}{:>10}{:>8}",
            "", "req/s", "p50 ms", "p99 ms", "errors"
        )?;
        let changed: Vec<_> = self.changed.iter().map(|s| &s.outcome).collect();
        let reloaded: Vec<_> = self.reloaded.iter().map(|s| &s.outcome).collect();
        let quiet: Vec<_> = self.quiet.iter().collect();
        write_row(f, "left alone", &quiet)?;
        write_row(f, "changed by the API", &changed)?;
        let ratio = |figure: fn(&Outcome) -> f64| {
            let pairs = quiet.iter().zip(&changed);
            median(
                pairs
                    .map(|(quiet, changed)| figure(changed) / figure(quiet))
                    .collect(),
            )
        };
        let ratios = FIGURES.map(ratio);
        let [rate, p50, p99] = ratios;
        writeln!(
            f,
            "{:<26}{rate:>11.2}{p50:>10.2}{p99:>10.2}",
            "  as a ratio"
        )?;
        write_row(f, "reloads, closing", &reloaded)?;
        writeln!(f)?;
        write_times(f, "changes by the API", &self.changed)?;
        write_times(f, "reloads", &self.reloaded)
    }
}

/// Requests a second, and the median and the 99th percentile of the response times in milliseconds.
const FIGURES: [fn(&Outcome) -> f64; 3] = [
    |outcome| outcome.requests as f64 / outcome.window().as_secs_f64(),
    |outcome| outcome.p50_us as f64 / 1e3,
    |outcome| outcome.p99_us as f64 / 1e3,
];

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, outcomes: &[&Outcome]) -> fmt::Result {
    let of = |figure: fn(&Outcome) -> f64| median(outcomes.iter().map(|&o| figure(o)).collect());
    let [rate, p50, p99] = FIGURES.map(of);
    let errors = total(outcomes.iter().copied());
    writeln!(
        f,
        "{name:<26}{rate:>11.0}{p50:>10.2}{p99:>10.2}{:>8}",
        errors.total()
    )?;
    match errors.total() {
        0 => Ok(()),
        _ => writeln!(f, "    FAILED REQUESTS: {errors:?}"),
    }
}

/// How many steps there were, and how long they took.
fn write_times(f: &mut fmt::Formatter<'_>, name: &str, all: &[Steered]) -> fmt::Result {
    let mut times: Vec<f64> = all
        .iter()
        .flat_map(|steered| &steered.times)
        .map(|time| time.as_secs_f64() * 1e3)
        .collect();
    times.sort_by(f64::total_cmp);
    let [half, most, all] = [times.len() / 2, times.len() * 99 / 100, times.len() - 1];
    let (p50, p99, longest) = (times[half], times[most], times[all]);
    writeln!(
        f,
        "{} {name}, ms each: p50 {p50:.1}, p99 {p99:.1}, longest {longest:.1}",
        times.len()
    )
}

fn total<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Errors {
    let mut all = Errors::default();
    outcomes.for_each(|outcome| all.add(&outcome.errors));
    all
}

/// The middle one; of an even number the mean of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
