//! Seeded worlds of shards, backends, checks and clients, in virtual time, on the product's own
//! pure code: `state::State`, `sticky::Sessions`, `Stick::next`, `balance`.
//!
//! Snapshots reach each shard late, answers reach clients late, a request keeps the snapshot of
//! its arrival, backends die, hang, fail only their checks, leave and come back. Everything is
//! drawn from a seed, so that a failure can be told again:
//!
//! ```sh
//! cargo test --test simulation                                   # 300 seeds
//! ELBOW_SIMULATION_SEEDS=20000 cargo test --test simulation      # more of them
//! ELBOW_SIMULATION_SEED=17 cargo test --test simulation -- --nocapture    # one, with its story
//! ```
//!
//! What must hold is in `judge.rs`, one name each. Not here: sockets, threads and bytes (`e2e`).
#![expect(
    clippy::disallowed_methods,
    reason = "seeds come from the environment; nothing else here is not from a seed"
)]

mod client;
mod cluster;
mod control;
mod exchange;
mod history;
mod judge;
mod queue;
mod scale;
mod shard;
mod trouble;
mod world;

use std::env;

use judge::{Invariant, Tally};
use shard::Rule;
use world::{Story, run};

/// Worlds of an ordinary run.
const SEEDS: u64 = 300;

/// How many seeds to run; unset: [`SEEDS`].
const SEEDS_VARIABLE: &str = "ELBOW_SIMULATION_SEEDS";

/// The only seed to run, with its story printed.
const SEED_VARIABLE: &str = "ELBOW_SIMULATION_SEED";

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is not a whole number")))
}

#[expect(clippy::print_stdout, reason = "a story is told to be read")]
fn tell(line: &str) {
    println!("{line}");
}

#[test]
fn in_no_world_is_an_invariant_broken() {
    if let Some(seed) = number(SEED_VARIABLE) {
        let Story { result, trace } = run(seed, Rule::Product, true);
        trace.iter().for_each(|line| tell(line));
        match result {
            Ok(tally) => tell(&format!("seed {seed}: {tally:?}")),
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
        return;
    }
    let mut all = Tally::default();
    let seeds = number(SEEDS_VARIABLE).unwrap_or(SEEDS);
    for seed in 0..seeds {
        match run(seed, Rule::Product, false).result {
            Ok(tally) => all.add(&tally),
            Err(violation) => panic!(
                "seed {seed}: {violation}\n\
                 again: {SEED_VARIABLE}={seed} cargo test --test simulation -- --nocapture"
            ),
        }
    }
    tell(&format!("{seeds} seeds: {all:?}"));
    // A simulation in which nothing happens proves nothing.
    assert!(
        all.calm_moves > 3 * seeds && all.moves > 10 * seeds,
        "{all:?}"
    );
    assert!(all.agreed > 100 * seeds, "{all:?}");
}

/// For each invariant a rule that breaks it.
#[test]
fn wrong_rules_are_found() {
    for (rule, invariant) in [
        (Rule::RetryByLoad, Invariant::OneNewBackend),
        (Rule::RankNow, Invariant::OneNewBackend),
        (Rule::RankNow, Invariant::NoReturnByRecovery),
        (Rule::RecoveryTakesBack, Invariant::NoReturnByRecovery),
        (Rule::HashOnly, Invariant::NoMoveWithoutFailure),
        (Rule::NoRetry, Invariant::ServedIfPossible),
        (Rule::ChecksIgnored, Invariant::InServiceOnly),
        (Rule::RankByShard, Invariant::Agreement),
    ] {
        let found = (0..SEEDS).find_map(|seed| {
            let violation = run(seed, rule, false).result.err()?;
            (violation.invariant == invariant).then_some((seed, violation))
        });
        match found {
            Some((seed, violation)) => tell(&format!("{rule:?}: seed {seed}: {violation}")),
            None => panic!("{rule:?} breaks {invariant:?}, and no seed of {SEEDS} shows it"),
        }
    }
}

#[test]
fn a_seed_always_tells_the_same_story() {
    for seed in 0..3 {
        let [first, second] = [(); 2].map(|()| run(seed, Rule::Product, true).trace);
        assert!(!first.is_empty() && first == second, "seed {seed}");
    }
}
