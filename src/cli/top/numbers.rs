//! Numbers in at most five characters.

/// A count, shortened from ten thousand on.
pub(super) fn count(count: u64) -> String {
    let (whole, unit) = match count {
        0..10_000 => return count.to_string(),
        10_000..1_000_000 => (count, "k"),
        1_000_000..1_000_000_000 => (count / 1_000, "M"),
        _ => (count / 1_000_000, "G"),
    };
    match whole {
        0..100_000 => format!("{}.{}{unit}", whole / 1000, whole % 1000 / 100),
        _ => format!("{}{unit}", whole / 1000),
    }
}

/// How often something happened in a second.
pub(super) fn rate(per_second: f64) -> String {
    match per_second {
        ..=0.0 => "0".to_owned(),
        ..0.1 => "<0.1".to_owned(),
        ..9.95 => format!("{per_second:.1}"),
        _ => count(whole(per_second)),
    }
}

/// Milliseconds, or seconds with their unit from ten on; a dash for none.
pub(super) fn millis(millis: Option<f64>) -> String {
    match millis {
        None => "-".to_owned(),
        Some(..10.0) => format!("{:.2}", millis.unwrap_or_default()),
        Some(millis @ ..100.0) => format!("{millis:.1}"),
        Some(millis @ ..10_000.0) => whole(millis).to_string(),
        Some(millis) => format!("{}s", whole(millis / 1000.0)),
    }
}

/// The nearest whole number; 0 for what is below, and for what is none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers for people; what does not fit becomes the nearest that does"
)]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// A bar of `width` characters of which this share is full.
pub(super) fn bar(share: f64, width: usize) -> String {
    let full = (0..width).filter(|cell| {
        let middle = f64::from(u32::try_from(*cell).unwrap_or(u32::MAX)) + 0.5;
        middle <= share * f64::from(u32::try_from(width).unwrap_or(u32::MAX))
    });
    let full = full.count();
    "█".repeat(full) + &"░".repeat(width - full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_longer_than_five_characters() {
        let counts = [
            0,
            9_999,
            10_000,
            99_999,
            100_000,
            999_999,
            1_000_000,
            123_456_789,
        ];
        let told = counts.map(count);
        let expected = [
            "0", "9999", "10.0k", "99.9k", "100k", "999k", "1.0M", "123M",
        ];
        assert_eq!(told, expected);
        let rates = [0.0, 0.04, 0.5, 9.94, 9.96, 1234.4, 20_000.0].map(rate);
        assert_eq!(rates, ["0", "<0.1", "0.5", "9.9", "10", "1234", "20.0k"]);
        let times = [0.512, 12.34, 128.0, 8192.0, 16_384.0, 131_072.0];
        let times = times.map(|time| millis(Some(time)));
        assert_eq!(times, ["0.51", "12.3", "128", "8192", "16s", "131s"]);
        assert_eq!(millis(None), "-");
    }

    #[test]
    fn a_bar_is_full_as_far_as_it_should_be() {
        let bars = [0.0, 0.5, 1.0, 2.0, f64::NAN].map(|share| bar(share, 4));
        assert_eq!(bars, ["░░░░", "██░░", "████", "████", "░░░░"]);
    }
}
