//! Moments as text.
//!
//! Invariant: what is kept is the text of one second, which is that of thousands of lines.

use std::fmt::Write;

use time::OffsetDateTime;

/// `2026-01-02T03:04:05.`
const SECOND_BYTES: usize = 20;

/// A whole timestamp.
pub(super) const TIMESTAMP_BYTES: usize = SECOND_BYTES + 7;

/// Makes timestamps of moments, most of which are in the second of the one before.
#[derive(Debug, Default)]
pub(super) struct Seconds {
    second: u64,
    text: String,
}

impl Seconds {
    /// A moment in microseconds since 1970, such as `2026-01-02T03:04:05.670001Z`. One that has no
    /// such form, some 8,000 years ahead, is shown as the first.
    pub(super) fn timestamp(&mut self, micros: u64) -> [u8; TIMESTAMP_BYTES] {
        let (second, micros) = (micros / 1_000_000, micros % 1_000_000);
        if self.second != second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            let date = i64::try_from(second).ok();
            let date = date.and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
            let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            let (hour, minute, second) = date.to_hms();
            let month = u8::from(date.month());
            let (year, day) = (date.year(), date.day());
            write!(
                self.text,
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}."
            )
            .expect("a string takes every write");
        }
        let mut timestamp = *b"0000-00-00T00:00:00.000000Z";
        timestamp[..SECOND_BYTES].copy_from_slice(self.text.as_bytes());
        write_micros(micros, &mut timestamp[SECOND_BYTES..]);
        timestamp
    }
}

/// Writes six digits.
pub(super) fn write_micros(mut micros: u64, out: &mut [u8]) {
    for digit in out[..6].iter_mut().rev() {
        *digit = b'0' + u8::try_from(micros % 10).expect("a digit");
        micros /= 10;
    }
}
