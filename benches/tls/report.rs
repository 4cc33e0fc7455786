//! What was measured, as medians and ratios, as two tables.
//!
//! Pure. Invariant: a ratio is taken between two runs of the same round and only then the median
//! over rounds, so that what slows the whole machine for a while cancels out.

use crate::client::Figures;

/// One scenario: for each round the figures of elbow and of monoio-rustls.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<[Figures; 2]>,
}

impl Row {
    /// Of no round yet.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }
}

/// Prints what each scenario cost.
pub(crate) fn print_cpu(rows: &[Row]) {
    println!(
        "\n| scenario | CPU µs each: elbow | monoio-rustls | ratio | each second: elbow \
         | monoio-rustls | busy: elbow | monoio-rustls |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for Row { name, rounds } in rows {
        let of = |adapter: usize, figure: fn(&Figures) -> f64| {
            median(rounds.iter().map(|round| figure(&round[adapter])))
        };
        println!(
            "| `{name}` | {:.2} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} % | {:.0} % |",
            of(0, |figures| figures.cpu_us),
            of(1, |figures| figures.cpu_us),
            median(
                rounds
                    .iter()
                    .map(|[ours, theirs]| ours.cpu_us / theirs.cpu_us)
            ),
            of(0, |figures| figures.per_second),
            of(1, |figures| figures.per_second),
            of(0, |figures| figures.busy * 100.0),
            of(1, |figures| figures.busy * 100.0),
        );
    }
}

/// Prints what an idle connection holds, in bytes: for each round elbow's and monoio-rustls's.
pub(crate) fn print_memory(connections: usize, rounds: &[[usize; 2]]) {
    let of = |adapter: usize| median(rounds.iter().map(|round| round[adapter] as f64));
    println!(
        "\n| idle connections | bytes each: elbow | monoio-rustls | ratio |\n|---|--:|--:|--:|\n\
         | {connections} | {:.0} | {:.0} | {:.2} |",
        of(0),
        of(1),
        median(
            rounds
                .iter()
                .map(|&[ours, theirs]| ours as f64 / theirs as f64)
        ),
    );
}

/// Of an even number the mean of the middle two.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
