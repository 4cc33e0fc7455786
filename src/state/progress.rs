//! How far a session drain has come, and when it will end.
//!
//! A backend that drains gets no new sessions; those it has may stay until they end by themselves
//! or the deadline passes. Sessions that end independently of each other, each with the same chance
//! in every second, become fewer by an exponential decay. Its rate is the slope of the line of
//! least squares through ln(sessions left) over the last [`DRAIN_OBSERVATIONS`] observations: all
//! of them speak, so that the noise of one count (1.6 %, see `sticky::Sketch`) hardly turns the
//! line, and those of long ago do not, since the sessions that remain late are the long ones.
//!
//! What is shown never exceeds the sessions at the start, and may rise: a session that comes back
//! from a rest is there, and hiding it would promise that the backend may be stopped.
//!
//! Not here: who counts (`Population`), and what the end of a drain does. Invariant: whatever is
//! observed, what is shown is finite.

use std::collections::VecDeque;
use std::f64::consts::LN_2;
use std::time::Duration;

use crate::limits::DRAIN_OBSERVATIONS;

/// The fewest observations that make a line: two would always fit one.
const FITTED_MIN: usize = 3;

/// The smallest decay of ln(sessions left) along the fitted line that is taken for one: a fall by
/// 5 %, three standard errors of a count.
const DECAY_MIN: f64 = 0.05;

/// Euler's constant: how far harmonic numbers are ahead of the logarithm.
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;

/// One backend's session drain.
#[derive(Debug, Clone)]
pub struct Progress {
    sessions_at_start: u64,
    deadline_ms: u64,
    /// Oldest first, at ascending times; the one made at the beginning is the first of them.
    observations: VecDeque<Observation>,
    latest: Observation,
}

/// Why a session drain is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainEnd {
    /// No session is left.
    Idle,
    /// The deadline has passed; sessions may be left.
    Deadline,
}

#[derive(Debug, Clone, Copy)]
struct Observation {
    at_ms: u64,
    left: u64,
}

impl Progress {
    /// A drain that begins now, with so many sessions at the backend, and ends at `deadline_ms` at
    /// the latest. All times are milliseconds of the same clock.
    pub fn begin(now_ms: u64, sessions_at_start: u64, deadline_ms: u64) -> Self {
        let first = Observation {
            at_ms: now_ms,
            left: sessions_at_start,
        };
        Self {
            sessions_at_start,
            deadline_ms,
            observations: VecDeque::from([first]),
            latest: first,
        }
    }

    /// Takes in that `left` sessions are alive, as [`Population::alive`](super::Population::alive)
    /// counts them; once a window. If no time has passed since the last time, it corrects that.
    pub fn observe(&mut self, now_ms: u64, left: u64) {
        let at_ms = now_ms.max(self.latest.at_ms);
        if at_ms == self.latest.at_ms {
            self.observations.pop_back();
        } else if self.observations.len() == DRAIN_OBSERVATIONS {
            self.observations.pop_front();
        }
        self.latest = Observation { at_ms, left };
        self.observations.push_back(self.latest);
    }

    /// Gives it until then.
    pub fn postpone(&mut self, deadline_ms: u64) {
        self.deadline_ms = deadline_ms;
    }

    /// Sessions that were alive when it began.
    pub fn sessions_at_start(&self) -> u64 {
        self.sessions_at_start
    }

    /// When it ends at the latest.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Sessions left at the last observation, at most those at the start.
    pub fn left(&self) -> u64 {
        self.latest.left.min(self.sessions_at_start)
    }

    /// Sessions left in percent of those at the start, 0–100, rounded up: 0 says that none is left.
    pub fn left_percent(&self) -> u8 {
        let hundredfold = u128::from(self.left()) * 100;
        let percent = hundredfold.div_ceil(u128::from(self.sessions_at_start.max(1)));
        u8::try_from(percent).expect("left is at most what it was at the start")
    }

    /// In what time the sessions become half as many, of late; `None` before the third observation
    /// with sessions (the start is the first) and while they do not become fewer by at least 5 %.
    pub fn half_life(&self) -> Option<Duration> {
        let per_second = self.decay_per_second()?;
        Duration::try_from_secs_f64(LN_2 / per_second).ok()
    }

    /// The expected time from now until the last session ends, at most until the deadline; `None`
    /// while there is no half-life. Zero if no session is left.
    ///
    /// The last of n sessions is expected after their mean length × (1 + 1/2 + … + 1/n).
    pub fn ends_in(&self, now_ms: u64) -> Option<Duration> {
        if self.latest.left == 0 {
            return Some(Duration::ZERO);
        }
        let left = self.left().max(1) as f64;
        let harmonic = left.ln() + EULER_GAMMA + 0.5 / left;
        let from_latest = Duration::try_from_secs_f64(harmonic / self.decay_per_second()?);
        let since_latest = Duration::from_millis(now_ms.saturating_sub(self.latest.at_ms));
        let until_deadline = Duration::from_millis(self.deadline_ms.saturating_sub(now_ms));
        let expected = from_latest.unwrap_or(Duration::MAX);
        Some(expected.saturating_sub(since_latest).min(until_deadline))
    }

    /// Whether the drain is over, and why; [`Idle`](DrainEnd::Idle) if both hold.
    ///
    /// That no session is left means that none was seen for all of the windows that a session
    /// counts as alive. It is for the caller to have watched that long (`Population::is_settled`).
    pub fn end(&self, now_ms: u64) -> Option<DrainEnd> {
        if self.latest.left == 0 {
            Some(DrainEnd::Idle)
        } else if now_ms >= self.deadline_ms {
            Some(DrainEnd::Deadline)
        } else {
            None
        }
    }

    /// The rate of the exponential decay.
    fn decay_per_second(&self) -> Option<f64> {
        let from_ms = self.observations.front()?.at_ms;
        let seconds = |at_ms: u64| Duration::from_millis(at_ms - from_ms).as_secs_f64();
        // None left has no logarithm, and a drain that comes there is over.
        let points = || {
            let with_sessions = self.observations.iter().filter(|seen| seen.left > 0);
            with_sessions.map(|seen| (seconds(seen.at_ms), (seen.left as f64).ln()))
        };
        let count = points().count();
        if count < FITTED_MIN {
            return None;
        }
        let (sum_x, sum_y) = points().fold((0.0, 0.0), |sum, at| (sum.0 + at.0, sum.1 + at.1));
        let (mean_x, mean_y) = (sum_x / count as f64, sum_y / count as f64);
        let (mut covariance, mut variance) = (0.0, 0.0);
        for (x, y) in points() {
            covariance += (x - mean_x) * (y - mean_y);
            variance += (x - mean_x) * (x - mean_x);
        }
        let per_second = -covariance / variance;
        let span = seconds(self.latest.at_ms);
        (per_second * span >= DECAY_MIN).then_some(per_second)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::health;

    /// From one window to the next.
    const WINDOW_MS: u64 = 30_000;

    /// Later than anything observed here.
    const LATE_MS: u64 = 1_000_000_000;

    /// A drain from 1,000 s on whose sessions are `left` after each window.
    fn drain(sessions_at_start: u64, left: impl IntoIterator<Item = u64>) -> Progress {
        let begin_ms = 1_000_000;
        let mut progress = Progress::begin(begin_ms, sessions_at_start, LATE_MS);
        for (window, left) in (1..).zip(left) {
            progress.observe(begin_ms + window * WINDOW_MS, left);
        }
        progress
    }

    /// What is left of `start` sessions after each of so many windows.
    fn decay(start: f64, half_life_s: f64, windows: u32) -> impl Iterator<Item = f64> {
        (1..=windows).map(move |window| start * (-f64::from(window) * 30.0 / half_life_s).exp2())
    }

    fn rounded(left: f64) -> u64 {
        format!("{left:.0}").parse().expect("a count")
    }

    fn is_within(found: Option<Duration>, wanted_s: f64, error: f64) -> bool {
        found.is_some_and(|found| (found.as_secs_f64() / wanted_s - 1.0).abs() < error)
    }

    #[test]
    fn the_half_life_of_a_decay_is_found() {
        for (start, half_life_s, windows) in [
            (10_000.0, 600.0, 3),
            (10_000.0, 600.0, 40),
            (10_000.0, 60.0, 12),
            (300.0, 120.0, 20),
            (100_000.0, 14_400.0, 200),
        ] {
            let left = decay(start, half_life_s, windows).map(rounded);
            let found = drain(rounded(start), left).half_life();
            assert!(
                is_within(found, half_life_s, 0.05),
                "{half_life_s}: {found:?}"
            );
        }
    }

    #[test]
    fn the_noise_of_the_counts_hardly_moves_the_half_life() {
        for seed in 0..200 {
            // Even noise of the same standard deviation as that of a sketch.
            let noise = |index| (health::mix(seed, index) >> 11) as f64 / (1_u64 << 53) as f64;
            let counts = (0..)
                .zip(decay(10_000.0, 600.0, 40))
                .map(|(index, left)| rounded(left * (1.0 + 0.016 * 3.46 * (noise(index) - 0.5))));
            let found = drain(10_000, counts).half_life();
            assert!(is_within(found, 600.0, 0.05), "{seed}: {found:?}");
        }
    }

    #[test]
    fn late_sessions_set_the_half_life() {
        let quick = decay(100_000.0, 120.0, 20);
        let slow = decay(100_000.0 / 32.0, 1_800.0, 60);
        let progress = drain(100_000, quick.chain(slow).map(rounded));
        assert!(is_within(progress.half_life(), 1_800.0, 0.05));
    }

    #[test]
    fn without_a_decay_there_is_no_half_life() {
        let cases: [&[u64]; 8] = [
            &[],
            &[50],
            &[0, 0, 0],
            &[100; 70],
            &[100, 101, 99, 100, 101, 99],
            &[100, 120, 150, 200],
            &[0],
            &[0, 0, 90, 0],
        ];
        for left in cases {
            let progress = drain(100, left.iter().copied());
            assert_eq!(progress.half_life(), None, "{left:?}");
        }
        assert_eq!(drain(0, [0, 0, 0, 0]).half_life(), None);
        assert_eq!(drain(1, [1, 1, 1, 1]).half_life(), None);
    }

    #[test]
    fn the_expected_end_is_that_of_the_last_session() {
        // One session lasts for its mean length, a half-life / ln 2; then a thousand of them.
        let one = drain(8, [4, 2, 1]);
        let half_life = one.half_life().expect("a decay").as_secs_f64();
        let now_ms = 1_000_000 + 3 * WINDOW_MS;
        assert!(is_within(one.ends_in(now_ms), half_life / LN_2, 0.08));

        let many = drain(4_000, decay(4_000.0, 600.0, 40).map(rounded));
        let now_ms = 1_000_000 + 40 * WINDOW_MS;
        let exact: f64 = (1..=1_000).map(|n| 1.0 / f64::from(n)).sum();
        assert!(is_within(many.ends_in(now_ms), 600.0 / LN_2 * exact, 0.02));
        // Half an hour later, with nothing new observed.
        let later = many.ends_in(now_ms + 1_800_000);
        assert!(is_within(later, 600.0 / LN_2 * exact - 1_800.0, 0.02));
        assert_eq!(many.ends_in(now_ms + 90_000_000), Some(Duration::ZERO));
    }

    #[test]
    fn a_drain_ends_at_its_deadline_at_the_latest() {
        let deadline_ms = 1_100_000;
        let mut progress = Progress::begin(1_000_000, 1000, deadline_ms);
        for (at_ms, left) in [(1_030_000, 950), (1_060_000, 900)] {
            progress.observe(at_ms, left);
        }
        assert_eq!(progress.ends_in(1_060_000), Some(Duration::from_secs(40)));
        assert_eq!(progress.end(deadline_ms - 1), None);
        assert_eq!(progress.end(deadline_ms), Some(DrainEnd::Deadline));
        assert_eq!(progress.ends_in(deadline_ms + 1), Some(Duration::ZERO));
    }

    #[test]
    fn a_drain_without_sessions_is_over() {
        let progress = drain(100, [50, 0]);
        assert_eq!(progress.end(1_060_000), Some(DrainEnd::Idle));
        assert_eq!(progress.end(LATE_MS), Some(DrainEnd::Idle));
        assert_eq!(progress.ends_in(1_060_000), Some(Duration::ZERO));
        assert_eq!(progress.left_percent(), 0);
        let none = Progress::begin(5, 0, LATE_MS);
        assert_eq!(none.end(5), Some(DrainEnd::Idle));
        assert_eq!((none.left(), none.left_percent()), (0, 0));
    }

    #[test]
    fn a_session_that_comes_back_is_shown_and_keeps_the_drain_going() {
        let progress = drain(100, [50, 0, 1]);
        assert_eq!(progress.left(), 1);
        assert_eq!(progress.end(1_090_000), None);
        // Nobody was there at the start, as after a restart: not shown, and yet waited for.
        let progress = drain(0, [3]);
        assert_eq!((progress.left(), progress.left_percent()), (0, 0));
        assert_eq!(progress.end(1_030_000), None);
        assert_eq!(progress.ends_in(1_030_000), None);
    }

    #[test]
    fn percents_are_rounded_up() {
        assert_eq!(drain(1000, []).left_percent(), 100);
        assert_eq!(drain(1000, [1]).left_percent(), 1);
        assert_eq!(drain(1000, [990]).left_percent(), 99);
        assert_eq!(drain(1000, [991]).left_percent(), 100);
        assert_eq!(drain(u64::MAX, [u64::MAX - 1]).left_percent(), 100);
    }

    #[test]
    fn an_observation_at_the_same_time_corrects_the_last() {
        let mut progress = drain(100, [50, 30]);
        progress.observe(1_060_000, 25);
        progress.observe(900_000, 25);
        assert_eq!(progress.left(), 25);
        assert_eq!(progress.observations.len(), 3);
        assert!(is_within(progress.half_life(), 30.0, 0.001));
    }

    proptest! {
        #[test]
        fn whatever_is_observed_what_is_shown_makes_sense(
            begin_ms in any::<u64>(),
            start in prop_oneof![Just(0), Just(1), 0..1_000_u64, any::<u64>()],
            deadline_ms in any::<u64>(),
            observations in vec(
                (
                    prop_oneof![0..100_000_u64, any::<u64>()],
                    prop_oneof![0..3_u64, 0..1_000_u64, any::<u64>()],
                ),
                0..100,
            ),
        ) {
            let mut now_ms = begin_ms;
            let mut progress = Progress::begin(begin_ms, start, deadline_ms);
            for (step_ms, left) in observations {
                now_ms = now_ms.saturating_add(step_ms);
                progress.observe(now_ms, left);
                prop_assert!(progress.left() <= start.min(left));
                prop_assert!(progress.left_percent() <= 100);
                prop_assert!(progress.observations.len() <= DRAIN_OBSERVATIONS);
                prop_assert!(progress.half_life().is_none_or(|found| !found.is_zero()));
                let until_deadline = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
                prop_assert!(progress.ends_in(now_ms).is_none_or(|ends| ends <= until_deadline));
                prop_assert_eq!(progress.end(now_ms) == Some(DrainEnd::Idle), left == 0);
            }
        }
    }
}
