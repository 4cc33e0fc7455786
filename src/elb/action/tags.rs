//! Tags, as parameters.

use super::fields::Fields;
use crate::elb::{Failure, Tag};

/// Longest key, in characters (CLB.md §3.4).
const KEY_LENGTH_MAX: usize = 128;

/// Longest value, in characters (CLB.md §3.4).
const VALUE_LENGTH_MAX: usize = 256;

/// A list of tags with at least one in it.
pub(super) fn tags(f: &Fields<'_>) -> Result<Vec<Tag>, Failure> {
    let tag = |f: &Fields<'_>| {
        let value = f.optional("Value")?.unwrap_or_default();
        judge(f, "Value", &value, VALUE_LENGTH_MAX)?;
        Ok(Tag {
            key: key(f)?,
            value,
        })
    };
    members(f)?.iter().map(tag).collect()
}

/// The keys of tags that are to go, at least one.
pub(super) fn keys(f: &Fields<'_>) -> Result<Vec<String>, Failure> {
    members(f)?.iter().map(key).collect()
}

fn members<'a>(f: &Fields<'a>) -> Result<Vec<Fields<'a>>, Failure> {
    let members = f.list("Tags")?.ok_or_else(|| f.missing("Tags"))?;
    if members.is_empty() {
        return Err(f.refused("Tags", Some("[]"), "have at least 1 member"));
    }
    Ok(members)
}

fn key(f: &Fields<'_>) -> Result<String, Failure> {
    let key = f.required("Key")?;
    judge(f, "Key", &key, KEY_LENGTH_MAX)?;
    Ok(key)
}

fn judge(f: &Fields<'_>, name: &str, text: &str, most: usize) -> Result<(), Failure> {
    if text.chars().count() > most {
        let rule = format!("have length less than or equal to {most}");
        return Err(f.refused(name, Some(text), &rule));
    }
    // Letters, separators and numbers, as Unicode has them. Rust's letters are some more, such as
    // vowel signs, which Hindi cannot be written without.
    let is_separator = |c: char| c.is_whitespace() && !c.is_control();
    let is_allowed = |c: char| c.is_alphanumeric() || is_separator(c) || "_.:/=+-@".contains(c);
    if !text.chars().all(is_allowed) {
        let rule = "consist of letters, numbers, spaces and _ . : / = + - @";
        return Err(f.refused(name, Some(text), rule));
    }
    Ok(())
}
