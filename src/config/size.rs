//! Amounts of bytes as an operator writes them: a whole number, or text with a unit.

use std::ops::RangeInclusive;

use super::Mistake;

/// Units from the smallest, each with its bytes.
const UNITS: [(&str, u64); 5] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Which amounts a key takes.
pub(super) struct Sizes {
    pub bytes: RangeInclusive<u64>,
}

impl Sizes {
    /// Takes a number of bytes.
    pub(super) fn take(&self, bytes: u64) -> Result<u64, Mistake> {
        if self.bytes.contains(&bytes) {
            Ok(bytes)
        } else {
            Err(self.mistake())
        }
    }

    /// What is taken.
    pub(super) fn mistake(&self) -> Mistake {
        let (first, last) = (written(*self.bytes.start()), written(*self.bytes.end()));
        format!("must be bytes as a number, or text from \"{first}\" to \"{last}\"").into()
    }
}

/// Reads a whole number with one of the units `B`, `KiB`, `MiB`, `GiB`, `TiB`.
pub(super) fn parse(text: &str) -> Result<u64, Mistake> {
    let expected =
        || Mistake::from("must be a whole number with its unit: \"512B\", \"64KiB\", \"10MiB\"");
    let unit_start = text
        .find(|c: char| !c.is_ascii_digit())
        .ok_or_else(expected)?;
    let (digits, unit) = text.split_at(unit_start);
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let unit = UNITS.iter().find(|(name, _)| *name == unit);
    let (_, bytes) = unit.ok_or_else(expected)?;
    number.checked_mul(*bytes).ok_or_else(expected)
}

/// What [`parse`] reads as so many bytes, in the largest unit that leaves a whole number.
pub(super) fn written(bytes: u64) -> String {
    let whole = |(_, unit): &&(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit);
    let (name, unit) = UNITS.iter().rev().find(whole).unwrap_or(&UNITS[0]);
    format!("{}{name}", bytes / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_read_and_written() {
        for (text, bytes) in [
            ("1B", 1),
            ("1025B", 1025),
            ("64KiB", 65_536),
            ("10MiB", 10 << 20),
            ("3GiB", 3 << 30),
            ("1TiB", 1 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes));
            assert_eq!(written(bytes), text);
        }
        assert_eq!(written(0), "0B");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "10",
            "KiB",
            "10MB",
            "10 MiB",
            "-1B",
            "1.5KiB",
            "10mib",
            "99999999TiB",
        ] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }
}
