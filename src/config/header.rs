//! The name of a field that elbow writes into requests, as the operator calls it.

use super::Mistake;
use super::affinity::HEADER_NAME_BYTES_MAX;
use super::cookie::is_token;
use crate::http::is_known_field;

/// Reads one.
///
/// # Errors
/// It is no token of 1–128 characters, or the name of a field that means something to elbow.
pub(super) fn header(text: &str) -> Result<String, Mistake> {
    if !is_token(text) || text.len() > HEADER_NAME_BYTES_MAX {
        let mistake =
            format!("must be 1 to {HEADER_NAME_BYTES_MAX} letters, digits and !#$%&'*+-.^_`|~");
        return Err(mistake.into());
    }
    if is_known_field(text) {
        return Err("is a field that means something else to elbow".into());
    }
    Ok(text.to_owned())
}
