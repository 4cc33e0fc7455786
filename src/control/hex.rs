//! Bytes as hex digits, two each: how key files have names and secrets.
//!
//! Not the text of cookies (`sticky`), which has upper-case digits.

/// Lower-case digits.
pub(super) fn to_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Digits of either case, and exactly as many as are needed; else `None`.
pub(super) fn to_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(digits[0])? << 4 | digit(digits[1])?;
    }
    Some(bytes)
}

fn digit(character: u8) -> Option<u8> {
    let value = char::from(character).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_are_the_same() {
        assert_eq!(to_text(&[0x01, 0xfe]), "01fe");
        assert_eq!(to_bytes(&to_text(&[0x01, 0xfe])), Some([0x01, 0xfe]));
        assert_eq!(to_bytes("FE"), Some([0xfe]));
    }

    #[test]
    fn what_is_not_two_digits_a_byte_is_refused() {
        for text in ["", "f", "fff", "+f", "f ", "0x", "é"] {
            assert_eq!(to_bytes::<1>(text), None, "{text:?}");
        }
    }
}
