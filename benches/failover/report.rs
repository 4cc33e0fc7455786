//! What the sessions met, counted, and the table of it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::recipes::Contender;
use crate::session::Met;

/// One proxy with one kind of stickiness.
pub(crate) struct Row {
    pub(crate) contender: Contender,
    pub(crate) outcome: Outcome,
}

/// What came of the death of one backend.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Sessions that were on the dead backend.
    sessions: usize,
    /// Backends that these met after the kill, all together, and the most that one met.
    new_backends: usize,
    new_backends_max: usize,
    /// Sessions of others that moved.
    others_moved: usize,
    requests: usize,
    failed: usize,
    /// From the kill to the last time that a session of the dead backend changed backends, as long
    /// as that was dead.
    last_move: Duration,
    /// Sessions of the dead backend that were there again once it was back.
    went_back: usize,
}

impl Outcome {
    /// Counts what `told` says of the death of `victim` at the time `killed`, and its return.
    pub(crate) fn new(
        told: &[Vec<Met>],
        victim: &str,
        killed: Duration,
        returned: Duration,
    ) -> Self {
        let mut outcome = Self::default();
        for met in told {
            outcome.requests += met.len();
            outcome.failed += met.iter().filter(|met| met.backend.is_none()).count();
            let named = met
                .iter()
                .filter_map(|m| Some((m.at, m.backend.as_deref()?)));
            let (before, after): (Vec<_>, Vec<_>) = named.partition(|&(at, _)| at < killed);
            let Some(&(_, home)) = before.last() else {
                continue;
            };
            let others: BTreeSet<&str> = after.iter().map(|&(_, name)| name).collect();
            let others = others.into_iter().filter(|&name| name != home).count();
            if home != victim {
                let is_restless = before.iter().skip(1).any(|&(_, name)| name != home);
                outcome.others_moved += usize::from(others > 0 || is_restless);
                continue;
            }
            outcome.sessions += 1;
            outcome.new_backends += others;
            outcome.new_backends_max = outcome.new_backends_max.max(others);
            let (after, later): (Vec<_>, Vec<_>) = after.iter().partition(|(at, _)| *at < returned);
            outcome.went_back += usize::from(later.iter().any(|&(_, name)| name == victim));
            let moves = after.windows(2).filter(|pair| pair[0].1 != pair[1].1);
            let last = moves.map(|pair| pair[1].0).next_back();
            let first = after.first().filter(|(_, name)| *name != home);
            let last = last.or_else(|| first.map(|&(at, _)| at)).unwrap_or(killed);
            outcome.last_move = outcome.last_move.max(last - killed);
        }
        outcome
    }

    /// As it has to be: nobody noticed but the sessions of the dead backend, and these once.
    pub(crate) fn is_clean(&self) -> bool {
        self.sessions > 0
            && self.new_backends == self.sessions
            && self.new_backends_max == 1
            && self.others_moved == 0
            && self.went_back == 0
            && self.failed == 0
    }
}

/// Prints the table, in Markdown.
pub(crate) fn print(rows: &[Row]) {
    println!(
        "| proxy | sessions bound by | of the dead backend | new backends each: mean | most \
         | last move | went back on its return | other sessions that moved | failed requests |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for Row { contender, outcome } in rows {
        let mean = outcome.new_backends as f64 / outcome.sessions.max(1) as f64;
        println!(
            "| {} {} | {} | {} | {mean:.2} | {} | {} ms | {} | {} | {} of {} |",
            contender.proxy,
            contender.version,
            contender.way,
            outcome.sessions,
            outcome.new_backends_max,
            outcome.last_move.as_millis(),
            outcome.went_back,
            outcome.others_moved,
            outcome.failed,
            outcome.requests,
        );
    }
    for (proxy, why) in crate::recipes::ABSENT {
        println!("\n{proxy}: {why}");
    }
}
