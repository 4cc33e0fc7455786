use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn a_sketch_is_the_same_for_another_node() {
    for count in [0, 1, 2, 3, 100, 128, 129, 5000] {
        let mut sketch = Sketch::default();
        (0..count).for_each(|session| sketch.insert(session));
        let text = sketch.to_text();
        assert!(
            text.len() <= crate::limits::SAYING_BYTES_MAX,
            "{}",
            text.len()
        );
        let read = Sketch::read(&text).expect("it was written by us");
        assert_eq!(read.estimate(), sketch.estimate());
    }
    for text in ["", "7", "[1]", "[3,[1]]", "[1,[]]", "[7,[0,0,0]]"] {
        if let Some(mut sketch) = Sketch::read(text) {
            sketch.insert(1);
            assert!(sketch.estimate() >= 1);
        }
    }
}
use crate::limits::SESSION_SKETCH_BYTES_MAX;

/// So many sessions, others for every `seed`.
fn sessions(seed: u64, count: u64) -> impl Iterator<Item = u64> {
    (0..count).map(move |index| health::mix(seed, index))
}

fn sketch(sessions: impl IntoIterator<Item = u64>) -> Sketch {
    let mut sketch = Sketch::default();
    for session in sessions {
        sketch.insert(session);
    }
    sketch
}

fn union(left: &Sketch, right: &Sketch) -> Sketch {
    let mut union = left.clone();
    union.merge(right);
    union
}

/// The relative errors of sketches of `count` sessions for each of `seeds` seeds: their average
/// with sign, their average without, and what one in a hundred exceeds.
fn errors(count: u64, seeds: u64) -> (f64, f64, f64) {
    let error = |seed| sketch(sessions(seed, count)).estimate() as f64 / count as f64 - 1.0;
    let signed: Vec<f64> = (0..seeds).map(error).collect();
    let mut sizes: Vec<f64> = signed.iter().map(|error| error.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let average = |errors: &[f64]| errors.iter().sum::<f64>() / errors.len() as f64;
    let p99 = sizes[sizes.len() * 99 / 100];
    (average(&signed), average(&sizes), p99)
}

#[test]
fn a_hundred_sessions_are_counted_one_by_one() {
    let (_, average, p99) = errors(100, 2000);
    assert!(average < 0.000_1 && p99 == 0.0, "{average} {p99}");
}

#[test]
fn estimates_are_off_by_no_more_than_is_promised() {
    for (count, seeds) in [(1_000, 1_000), (10_000, 500), (100_000, 200)] {
        let (bias, average, p99) = errors(count, seeds);
        let figures = format!("{count} sessions: {bias:.4} {average:.4} {p99:.4}");
        assert!(bias.abs() < 0.003, "{figures}");
        assert!(average < 0.014, "{figures}");
        // So few samples leave this figure itself uncertain by half a percent.
        assert!(p99 < 0.05, "{figures}");
    }
}

#[test]
fn memory_grows_with_the_sessions_and_ends_at_its_bound() {
    let bytes = |count| sketch(sessions(1, count)).bytes();
    assert_eq!(bytes(0), 8);
    assert_eq!(bytes(2), 8);
    assert!(bytes(10) <= 72, "{}", bytes(10));
    assert!(bytes(128) <= 520, "{}", bytes(128));
    for count in [1_000, 100_000] {
        let bytes = bytes(count);
        assert!(bytes <= SESSION_SKETCH_BYTES_MAX, "{bytes}");
    }
}

#[test]
fn only_the_empty_sketch_is_estimated_at_zero() {
    assert_eq!(Sketch::default().estimate(), 0);
    assert!(Sketch::default().is_empty());
    // Every hash is a session of its own: the all-zero one too.
    let mut one = Sketch::default();
    one.0.insert_hash(0);
    assert_eq!(one.estimate(), 1);
    assert!(!one.is_empty());
}

#[test]
fn sessions_picked_for_the_hash_cannot_look_like_none() {
    // Ranks that are lost beside a large sum, and that are taken from it once it is small.
    let hash = |register: u64, rank: u32| register | (((1 << (rank - 1)) - 1) << 12);
    let mut picked = Sketch::default();
    for rank in [13, 50] {
        for register in 0..4096 {
            picked.0.insert_hash(hash(register, rank));
        }
    }
    assert!(picked.estimate() > 0);
    assert!(!picked.is_empty());
}

#[test]
fn a_window_begins_empty() {
    let mut census = Census::default();
    assert!(census.is_empty());
    census.note(3, 7);
    census.note(1, 7);
    census.note(3, 8);
    census.note(3, 8);
    assert!(!census.is_empty());
    let counts = |window: Vec<(u32, Sketch)>| {
        let count = |(slot, sketch): &(u32, Sketch)| (*slot, sketch.estimate());
        window.iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(counts(census.take()), [(1, 1), (3, 2)]);
    assert!(census.is_empty());
    assert_eq!(counts(census.take()), []);
    census.note(2, 9);
    assert_eq!(counts(census.take()), [(2, 1)]);
}

#[test]
fn a_slot_beyond_the_bound_is_not_counted() {
    let mut census = Census::default();
    let beyond = u32::try_from(SLOTS_MAX).expect("slots are u32");
    census.note(beyond, 1);
    census.note(u32::MAX, 1);
    assert!(census.is_empty());
    census.note(beyond - 1, 1);
    assert_eq!(census.take().len(), 1);
}

#[test]
fn a_sketch_may_go_to_another_thread() {
    fn travels<T: Send>() {}
    travels::<Sketch>();
    travels::<Census>();
}

/// Sets of sessions in all representations of a sketch, which often overlap.
fn some_sessions() -> impl Strategy<Value = BTreeSet<u64>> {
    let range = |counts| (0..2_000_u64, counts);
    let counts = prop_oneof![0..4_u64, 2..20_u64, 100..160_u64, 130..3_000_u64];
    range(counts).prop_map(|(first, count)| (first..first + count).collect())
}

/// That two sketches say the same, but for the rounding of sums made in another order.
fn agree(left: &Sketch, right: &Sketch) -> bool {
    let (left, right) = (left.estimate(), right.estimate());
    let rounding = if left <= 128 { 0 } else { 1 + left / 10_000 };
    left.abs_diff(right) <= rounding
}

/// That `estimate` may be one for `count` sessions: exact while they are few.
fn is_near(estimate: u64, count: usize) -> bool {
    if count <= 128 {
        return count as u64 - estimate <= 1;
    }
    (estimate as f64 - count as f64).abs() < 0.08 * count as f64
}

proptest! {
    #[test]
    fn a_merge_is_the_union_of_the_sets(sets in vec(some_sessions(), 1..6)) {
        let all: BTreeSet<u64> = sets.iter().flatten().copied().collect();
        let mut merged = Sketch::default();
        for set in &sets {
            merged.merge(&sketch(set.iter().copied()));
        }
        prop_assert!(agree(&merged, &sketch(all.iter().copied())));
        prop_assert!(is_near(merged.estimate(), all.len()), "{} {}", merged.estimate(), all.len());
    }

    #[test]
    fn a_merge_is_commutative_associative_and_idempotent(
        a in some_sessions(),
        b in some_sessions(),
        c in some_sessions(),
    ) {
        let [a, b, c] = [a, b, c].map(sketch);
        let left = union(&union(&a, &b), &c);
        let right = union(&a, &union(&b, &c));
        prop_assert!(agree(&union(&a, &b), &union(&b, &a)));
        prop_assert!(agree(&left, &right));
        // What is equal now stays equal whatever is added.
        let later = sketch(sessions(9, 50));
        prop_assert!(agree(&union(&left, &later), &union(&right, &later)));
        prop_assert_eq!(union(&left, &b).estimate(), left.estimate());
        prop_assert_eq!(union(&a, &a).estimate(), a.estimate());
        prop_assert_eq!(union(&a, &Sketch::default()).estimate(), a.estimate());
        prop_assert_eq!(union(&Sketch::default(), &a).estimate(), a.estimate());
    }

    #[test]
    fn shards_together_count_as_one_would(
        requests in vec((0..4_usize, 0..3_u32, 0..400_u64), 0..2_000),
    ) {
        let mut shards: [Census; 4] = Default::default();
        let mut one = Census::default();
        for &(shard, slot, session) in &requests {
            shards[shard].note(slot, session);
            one.note(slot, session);
        }
        let mut merged: BTreeMap<u32, Sketch> = BTreeMap::new();
        for (slot, sketch) in shards.iter_mut().flat_map(Census::take) {
            merged.entry(slot).or_default().merge(&sketch);
        }
        let one: BTreeMap<u32, Sketch> = one.take().into_iter().collect();
        prop_assert!(merged.keys().eq(one.keys()));
        for (slot, sketch) in &one {
            prop_assert!(agree(&merged[slot], sketch), "slot {}", slot);
        }
    }
}
