//! What was measured, as medians and ratios, as a table and as JSON.
//!
//! Pure. Invariant: a ratio is taken between two runs of the same round and only then the median
//! over rounds, so that what slows the whole machine for a while cancels out.

use std::fmt::{self, Write};

use serde::Serialize;

use crate::wrk::Errors;

/// Everything that `--json` writes.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What it ran on and how.
    pub(crate) setting: Setting,
    /// One per scenario, in the order they were played.
    pub(crate) scenarios: Vec<ScenarioReport>,
}

/// What it ran on and how.
#[derive(Debug, Serialize)]
pub(crate) struct Setting {
    /// Kernel release.
    pub(crate) kernel: String,
    /// CPU model.
    pub(crate) cpu: String,
    /// The core of the rivals.
    pub(crate) rival_core: usize,
    /// The core of wrk and the backends.
    pub(crate) load_core: usize,
    /// What keeps the figures from being taken at face value, a sentence each.
    pub(crate) caveats: Vec<String>,
    /// Rounds over which medians are taken.
    pub(crate) rounds: usize,
    /// Length of each measured window.
    pub(crate) seconds: u64,
    /// Length of the load before it.
    pub(crate) warm_up_seconds: u64,
    /// Who was compared.
    pub(crate) rivals: Vec<RivalVersion>,
}

/// One rival's identity.
#[derive(Debug, Serialize)]
pub(crate) struct RivalVersion {
    /// Its name.
    pub(crate) rival: String,
    /// Its version.
    pub(crate) version: String,
    /// How it binds sessions.
    pub(crate) stickiness: String,
}

/// One scenario's results.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioReport {
    /// Its name.
    pub(crate) scenario: String,
    /// One per rival, in the order of [`Setting::rivals`].
    pub(crate) rivals: Vec<RivalReport>,
}

/// One rival's results in one scenario.
#[derive(Debug, Serialize)]
pub(crate) struct RivalReport {
    /// Its name.
    pub(crate) rival: String,
    /// The median of each figure.
    pub(crate) median: Figures,
    /// Elbow's figures divided by this rival's, round by round, then the median. `None` for elbow
    /// itself and when elbow was not played.
    pub(crate) elbow_to_this: Option<Figures>,
    /// All errors of all rounds.
    pub(crate) errors: Errors,
    /// What each round measured.
    pub(crate) samples: Vec<Figures>,
}

/// The figures of one run, or medians or ratios of them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Throughput.
    pub(crate) requests_per_second: f64,
    /// User and system time of the rival, in microseconds.
    pub(crate) cpu_us_per_request: f64,
    /// Median of the response times, in microseconds.
    pub(crate) p50_us: f64,
    /// 99th percentile of the response times, in microseconds.
    pub(crate) p99_us: f64,
    /// CPU time over wall time: 1 means that the rival's core was full.
    pub(crate) busy: f64,
}

impl ScenarioReport {
    /// Sums up. `elbow` is the index of elbow in `runs`; a run is a rival's name, its figures by
    /// round and its errors.
    pub(crate) fn new(
        name: &str,
        elbow: Option<usize>,
        runs: Vec<(String, Vec<Figures>, Errors)>,
    ) -> Self {
        let elbow_samples = elbow.map(|index| runs[index].1.clone());
        let rivals =
            runs.into_iter()
                .enumerate()
                .map(|(index, (rival, samples, errors))| {
                    let elbow_to_this = elbow_samples
                        .as_ref()
                        .filter(|_| elbow != Some(index))
                        .map(|ours| {
                            let ratios: Vec<Figures> = ours
                                .iter()
                                .zip(&samples)
                                .map(|(ours, theirs)| ours.over(theirs))
                                .collect();
                            Figures::median(&ratios)
                        });
                    let median = Figures::median(&samples);
                    RivalReport {
                        rival,
                        median,
                        elbow_to_this,
                        errors,
                        samples,
                    }
                });
        Self {
            scenario: name.to_owned(),
            rivals: rivals.collect(),
        }
    }
}

impl Figures {
    /// Figure by figure.
    fn over(&self, other: &Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second / other.requests_per_second,
            cpu_us_per_request: self.cpu_us_per_request / other.cpu_us_per_request,
            p50_us: self.p50_us / other.p50_us,
            p99_us: self.p99_us / other.p99_us,
            busy: self.busy / other.busy,
        }
    }

    /// Figure by figure; of an even number the mean of the middle two.
    fn median(samples: &[Self]) -> Self {
        let of = |figure: fn(&Self) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(figure).collect();
            values.sort_by(f64::total_cmp);
            let middle = values.len() / 2;
            if values.len() % 2 == 1 {
                values[middle]
            } else {
                f64::midpoint(values[middle - 1], values[middle])
            }
        };
        Self {
            requests_per_second: of(|f| f.requests_per_second),
            cpu_us_per_request: of(|f| f.cpu_us_per_request),
            p50_us: of(|f| f.p50_us),
            p99_us: of(|f| f.p99_us),
            busy: of(|f| f.busy),
        }
    }
}

impl Report {
    /// Errors of all runs together.
    pub(crate) fn errors(&self) -> u64 {
        let rivals = self.scenarios.iter().flat_map(|scenario| &scenario.rivals);
        rivals.map(|rival| rival.errors.total()).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting {
            kernel,
            cpu,
            rival_core,
            load_core,
            rounds,
            seconds,
            ..
        } = &self.setting;
        writeln!(formatter, "Linux {kernel}, {cpu}")?;
        writeln!(
            formatter,
            "rivals on core {rival_core}; wrk and backends on core {load_core}"
        )?;
        writeln!(
            formatter,
            "medians of {rounds} round(s) of {seconds} s each"
        )?;
        for RivalVersion {
            rival,
            version,
            stickiness,
        } in &self.setting.rivals
        {
            writeln!(formatter, "  {rival} {version}, stickiness: {stickiness}")?;
        }
        for caveat in &self.setting.caveats {
            writeln!(formatter, "note: {caveat}")?;
        }
        for scenario in &self.scenarios {
            write_scenario(formatter, scenario)?;
        }
        Ok(())
    }
}

/// A table: a line per rival, its figures, then elbow's divided by them.
fn write_scenario(formatter: &mut fmt::Formatter<'_>, scenario: &ScenarioReport) -> fmt::Result {
    writeln!(
        formatter,
        "\n{:<19}{:>11}{:>11}{:>10}{:>7}{:>8}   elbow / rival:  req/s    CPU    p99",
        scenario.scenario, "req/s", "CPU µs/req", "p99 ms", "busy", "errors"
    )?;
    for RivalReport {
        rival,
        median,
        elbow_to_this,
        errors,
        ..
    } in &scenario.rivals
    {
        let mut line = format!(
            "  {rival:<17}{:>11.0}{:>11.2}{:>10.2}{:>6.0}%{:>8}",
            median.requests_per_second,
            median.cpu_us_per_request,
            median.p99_us / 1000.0,
            median.busy * 100.0,
            errors.total(),
        );
        if let Some(ratio) = elbow_to_this {
            let Figures {
                requests_per_second,
                cpu_us_per_request,
                p99_us,
                ..
            } = ratio;
            write!(
                line,
                "{requests_per_second:>24.2}{cpu_us_per_request:>7.2}{p99_us:>7.2}"
            )?;
        }
        writeln!(formatter, "{line}")?;
        if errors.total() > 0 {
            writeln!(formatter, "    FAILED REQUESTS: {errors:?}")?;
        }
    }
    Ok(())
}
