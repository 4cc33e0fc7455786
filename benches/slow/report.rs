//! What was measured, as a table.
//!
//! Pure.

use std::fmt;
use std::time::Duration;

use crate::attack::Mode;
use crate::elbow::memory_max;
use crate::wrk::{Errors, Outcome};

/// Loads over elbow, and loads to the backend without elbow, which show what an attack costs the
/// core that it shares with both ends.
#[derive(Default)]
pub(crate) struct Loads {
    pub(crate) over_elbow: Vec<Outcome>,
    /// None in a quick run.
    pub(crate) without: Vec<Outcome>,
    /// CPU time of elbow during its own.
    pub(crate) cpu: Duration,
}

impl Loads {
    /// Microseconds of elbow's CPU time for each honest request, the attack's share included.
    fn cpu_us(&self) -> f64 {
        let requests: u64 = self.over_elbow.iter().map(|outcome| outcome.requests).sum();
        self.cpu.as_secs_f64() * 1e6 / requests as f64
    }
}

/// One attack.
pub(crate) struct Row {
    pub(crate) mode: Mode,
    pub(crate) quiet: Loads,
    pub(crate) attacked: Loads,
    /// Connections of clients while it went on.
    pub(crate) connections: u64,
    /// How many there may be.
    pub(crate) clients_max: usize,
    /// Bytes of memory before it, and the most while it went on.
    pub(crate) memory: [u64; 2],
}

impl Row {
    /// Honest requests that failed.
    pub(crate) fn errors(&self) -> Errors {
        let mut all = Errors::default();
        let loads = self
            .quiet
            .over_elbow
            .iter()
            .chain(&self.attacked.over_elbow);
        loads.for_each(|outcome| all.add(&outcome.errors));
        all
    }

    /// Bytes of memory that there may be at most.
    pub(crate) fn memory_max(&self) -> u64 {
        self.memory[0] + memory_max(self.clients_max)
    }
}

/// All of them.
pub(crate) struct Report {
    /// What it ran on, a line each.
    pub(crate) setting: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.setting {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "\n{:<18}{:>6}{:>16}{:>16}{:>16}{:>7}{:>10}{:>14}{:>8}{:>20}",
            "",
            "held",
            "req/s",
            "p50 ms",
            "p99 ms",
            "ratio",
            "no elbow",
            "CPU us/req",
            "errors",
            "MiB, peak, bound"
        )?;
        for row in &self.rows {
            write_row(f, row)?;
        }
        Ok(())
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let (quiet, attacked) = (&row.quiet, &row.attacked);
    write!(f, "{:<18}{:>6}", row.mode.name(), row.connections)?;
    for (figure, decimals) in [(rate as fn(&Outcome) -> f64, 0), (p50_ms, 2), (p99_ms, 2)] {
        let [before, now] = [quiet, attacked].map(|loads| median(&loads.over_elbow, figure));
        write!(f, "{before:>8.decimals$}{now:>8.decimals$}")?;
    }
    let over_elbow = ratio(&quiet.over_elbow, &attacked.over_elbow);
    let without = match quiet.without.is_empty() {
        true => String::new(),
        false => format!("{:.2}", ratio(&quiet.without, &attacked.without)),
    };
    let [before, peak] = row.memory;
    let memory = [before, peak, row.memory_max()].map(|bytes| bytes / (1024 * 1024));
    let [before, peak, most] = memory;
    let errors = row.errors().total();
    writeln!(
        f,
        "{over_elbow:>7.2}{without:>10}{:>7.1}{:>7.1}{errors:>8}{before:>6}{peak:>7}{most:>7}",
        quiet.cpu_us(),
        attacked.cpu_us()
    )
}

fn rate(outcome: &Outcome) -> f64 {
    outcome.requests as f64 / outcome.window().as_secs_f64()
}

fn p99_ms(outcome: &Outcome) -> f64 {
    outcome.p99_us as f64 / 1e3
}

fn p50_ms(outcome: &Outcome) -> f64 {
    outcome.p50_us as f64 / 1e3
}

/// That of the 99th percentiles.
fn ratio(quiet: &[Outcome], attacked: &[Outcome]) -> f64 {
    median(attacked, p99_ms) / median(quiet, p99_ms)
}

/// The one in the middle; of an even number the larger of the middle two.
fn median(outcomes: &[Outcome], figure: fn(&Outcome) -> f64) -> f64 {
    let mut values: Vec<f64> = outcomes.iter().map(figure).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
