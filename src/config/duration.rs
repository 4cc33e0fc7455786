//! Lengths of time as an operator writes them: whole seconds, or text with a unit.
//!
//! CLB knows whole seconds only. Text such as `"250ms"` is elbow's extension: it reaches below the
//! minima of CLB, for demonstrations and tests that must not wait, down to the bound that each key
//! sets.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Mistake;

/// The shortest length that text may ask for where CLB has a minimum of its own. Below it a check
/// or a timeout would come near the interval at which shards look at deadlines.
pub(super) const SHORTEST: Duration = Duration::from_millis(50);

/// Which lengths a key takes.
pub(super) struct Lengths {
    /// Whole seconds, as CLB has them.
    pub seconds: RangeInclusive<u64>,
    /// Text with a unit may go down to this; it ends where `seconds` ends.
    pub shortest: Duration,
}

impl Lengths {
    /// Takes a whole number of seconds.
    pub(super) fn take_seconds(&self, seconds: u64) -> Result<Duration, Mistake> {
        if self.seconds.contains(&seconds) {
            Ok(Duration::from_secs(seconds))
        } else {
            Err(self.mistake())
        }
    }

    /// Takes text such as `30s`.
    pub(super) fn take_text(&self, text: &str) -> Result<Duration, Mistake> {
        let length = parse(text)?;
        if length >= self.shortest && length <= Duration::from_secs(*self.seconds.end()) {
            Ok(length)
        } else {
            Err(self.mistake())
        }
    }

    /// What is taken.
    pub(super) fn mistake(&self) -> Mistake {
        let (first, last) = (self.seconds.start(), self.seconds.end());
        let shortest = written(self.shortest);
        let longest = written(Duration::from_secs(*last));
        format!("must be {first} to {last} seconds, or text from \"{shortest}\" to \"{longest}\"")
            .into()
    }
}

/// Reads a whole number with one of the units `ms`, `s`, `m`, `h`.
pub(super) fn parse(text: &str) -> Result<Duration, Mistake> {
    let expected = || {
        Mistake::from("must be a whole number with its unit: \"250ms\", \"30s\", \"2m\" or \"1h\"")
    };
    let unit_start = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(expected)?;
    let (digits, unit) = text.split_at(unit_start);
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let unit_ms: u64 = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return Err(expected()),
    };
    number
        .checked_mul(unit_ms)
        .map(Duration::from_millis)
        .ok_or_else(expected)
}

/// What [`parse`] reads as `length`, in the largest unit that leaves a whole number. `length` is
/// cut to milliseconds.
pub(super) fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    match length.subsec_millis() {
        0 if seconds == 0 => "0s".to_owned(),
        0 if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        0 if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        0 => format!("{seconds}s"),
        _ => format!("{}ms", length.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: Lengths = Lengths {
        seconds: 5..=300,
        shortest: SHORTEST,
    };

    #[test]
    fn every_unit_is_read() {
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("1h"), Ok(Duration::from_secs(3600)));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "30 s",
            "30sec",
            "99999999999999999999s",
        ] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
        assert!(parse(&format!("{}h", u64::MAX)).is_err());
    }

    #[test]
    fn seconds_keep_the_range_of_clb_and_text_may_go_below_it() {
        assert!(CHECK.take_seconds(4).is_err());
        assert_eq!(CHECK.take_seconds(5), Ok(Duration::from_secs(5)));
        assert!(CHECK.take_seconds(301).is_err());
        assert!(CHECK.take_text("49ms").is_err());
        assert_eq!(CHECK.take_text("50ms"), Ok(SHORTEST));
        assert!(CHECK.take_text("301s").is_err());
    }

    #[test]
    fn a_written_length_reads_back() {
        for ms in [0, 50, 999, 1000, 1001, 90_000, 120_000, 3_600_000] {
            let length = Duration::from_millis(ms);
            assert_eq!(parse(&written(length)), Ok(length));
        }
    }
}
