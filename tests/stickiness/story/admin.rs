//! Calls to the admin address.

use std::time::Instant;

use super::Story;
use crate::case::AdminCall;
use crate::harness::PATIENCE;

impl Story<'_> {
    pub(super) fn tell_admin(
        &self,
        method: &str,
        path: &str,
        json: Option<&str>,
    ) -> Result<(), String> {
        let response = self.proxy().call_admin(method, path, json)?;
        match response.status() {
            200..300 => Ok(()),
            _ => Err(format!(
                "expected: {method} {path} is done\ngot:\n{}{}",
                response.head.text,
                response.body_text()
            )),
        }
    }

    pub(super) fn call_admin(&self, call: &AdminCall) -> Result<(), String> {
        let path = self.expand(&call.path)?;
        let body = call.body.as_ref();
        let json = body.map(|body| serde_json::to_string(body).expect("TOML is no richer"));
        let json = json.map(|json| self.expand_json(&json)).transpose()?;
        let says = call.says.iter().map(|text| self.expand(text));
        let says = says.collect::<Result<Vec<_>, _>>()?;
        let says_not = call.says_not.iter().map(|text| self.expand(text));
        let says_not = says_not.collect::<Result<Vec<_>, _>>()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let response = self
                .proxy()
                .call_admin(&call.method, &path, json.as_deref())?;
            let (status, text) = (response.status(), response.body_text());
            let is_right = call
                .status
                .map_or(matches!(status, 200..300), |expected| expected == status)
                && says.iter().all(|piece| text.contains(piece))
                && !says_not.iter().any(|piece| text.contains(piece));
            if is_right {
                return Ok(());
            }
            if !call.until || Instant::now() > deadline {
                let wanted = (call.status, &says, &says_not);
                let head = response.head.text;
                return Err(format!(
                    "expected: status, text, not {wanted:?}\ngot:\n{head}{text}"
                ));
            }
        }
    }

    /// Braces are JSON's own, so variables are written `<NAME>` there.
    fn expand_json(&self, json: &str) -> Result<String, String> {
        let mut expanded = json.to_owned();
        while let Some((before, rest)) = expanded.split_once('<') {
            let (name, after) = rest.split_once('>').ok_or("`<` without `>` in a body")?;
            let value = self.expand(&format!("{{{name}}}"))?;
            expanded = format!("{before}{value}{after}");
        }
        Ok(expanded)
    }
}
