//! Texts with variables in them: `{NAME}`, and `{NAME|CHANGE}` for a value that was tampered with.
//!
//! Changes: `lower`, `flip N` (another hex digit at place N, from 0), `first N`, `hex` (the bytes
//! of the text as upper-case hex digits).

/// Puts values in the place of `{...}`.
pub(crate) fn expand(
    text: &str,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        let (inside, after) = behind
            .split_once('}')
            .ok_or_else(|| format!("a brace is not closed in {text:?}"))?;
        let (name, changed_by) = match inside.split_once('|') {
            Some((name, change)) => (name, Some(change)),
            None => (inside, None),
        };
        let value = value_of(name).ok_or_else(|| format!("nothing is bound to {{{name}}}"))?;
        expanded.push_str(before);
        match changed_by {
            Some(change) => expanded.push_str(&changed(&value, change)?),
            None => expanded.push_str(&value),
        }
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn changed(value: &str, change: &str) -> Result<String, String> {
    let (verb, place) = change.split_once(' ').unwrap_or((change, "0"));
    let place: usize = place
        .parse()
        .map_err(|_| format!("{change:?} has no number"))?;
    match verb {
        "hex" => Ok(value.bytes().map(|byte| format!("{byte:02X}")).collect()),
        "lower" => Ok(value.to_lowercase()),
        "first" => Ok(value.chars().take(place).collect()),
        "flip" if place < value.len() => {
            let digit = if &value[place..=place] == "0" {
                "1"
            } else {
                "0"
            };
            Ok(format!("{}{digit}{}", &value[..place], &value[place + 1..]))
        }
        _ => Err(format!(
            "{change:?} is no change for a value of {} digits",
            value.len()
        )),
    }
}
