//! Judges what came back against what a step expects.
//!
//! Not here: how it came about (`story`). Every complaint ends with the whole head of the response
//! that it is about.

use std::collections::{BTreeMap, BTreeSet};

use crate::case::{Answer, Expect, Status};
use crate::harness::{Head, Response};
use crate::server::{self, NAME_FIELD};

/// Length of `<value>` in hex digits: the size that CLB's own cookies have.
const VALUE_DIGITS: usize = 138;

/// One response, taken apart.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) head: Head,
    /// Who answered; `None`: the proxy itself.
    pub(crate) backend: Option<String>,
    /// The `Set-Cookie` values that the application did not send.
    pub(crate) added: Vec<String>,
    /// What is wrong with those that it did send.
    damage: Option<String>,
}

impl Reply {
    /// `answers` are those of the case, `target` what was asked for.
    pub(crate) fn new(response: Response, answers: &[Answer], target: &str) -> Self {
        let head = response.head;
        let backend = head
            .fields(NAME_FIELD)
            .first()
            .map(|name| (*name).to_owned());
        let answer = backend
            .as_deref()
            .and_then(|name| server::answer_for(answers, target, name));
        let sent: Vec<&str> = answer
            .iter()
            .flat_map(|answer| &answer.headers)
            .filter_map(|line| line.strip_prefix("Set-Cookie: "))
            .map(str::trim)
            .collect();
        let mut awaited = sent.iter().copied().peekable();
        let mut added = Vec::new();
        for value in head.fields("Set-Cookie") {
            if awaited.next_if_eq(&value.trim()).is_none() {
                added.push(value.to_owned());
            }
        }
        let damage = awaited
            .peek()
            .map(|lost| format!("the application's {lost:?} as it was sent, in its place"));
        Self {
            head,
            backend,
            added,
            damage,
        }
    }

    /// The value of the first cookie that the proxy set.
    pub(crate) fn value(&self) -> Option<&str> {
        let pair = self.added.first()?.split(';').next()?;
        pair.split_once('=').map(|(_, value)| value)
    }

    fn name(&self) -> &str {
        self.backend.as_deref().unwrap_or("nobody")
    }

    fn complain(&self, expected: &str) -> String {
        let (name, head) = (self.name(), &self.head.text);
        format!("expected: {expected}\ngot, from {name}:\n{head}")
    }
}

/// The expectation of one step with its variables filled in.
pub(crate) struct Judge<'a> {
    expect: &'a Expect,
    expand: &'a dyn Fn(&str) -> Result<String, String>,
    /// Whether the form of cookies and heads counts.
    checks_form: bool,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(
        expect: &'a Expect,
        checks_form: bool,
        expand: &'a dyn Fn(&str) -> Result<String, String>,
    ) -> Self {
        Self {
            expect,
            expand,
            checks_form,
        }
    }

    /// The status alone, which must be right also while a step waits for the rest.
    pub(crate) fn status(&self, replies: &[Reply]) -> Result<(), String> {
        let expected = match &self.expect.status {
            None => 200,
            Some(Status::Number(status)) => *status,
            Some(Status::Text(text)) => (self.expand)(text)?
                .parse()
                .map_err(|_| format!("{text:?} is no status"))?,
        };
        match replies.iter().find(|reply| reply.head.status() != expected) {
            Some(reply) => Err(reply.complain(&format!("status {expected}"))),
            None => Ok(()),
        }
    }

    /// Everything else that responses show.
    pub(crate) fn responses(&self, replies: &[Reply]) -> Result<(), String> {
        for reply in replies {
            self.response(reply)?;
        }
        self.distribution(replies)
    }

    fn response(&self, reply: &Reply) -> Result<(), String> {
        let expect = self.expect;
        if let Some(damage) = &reply.damage {
            return Err(reply.complain(damage));
        }
        if let Some(backend) = &expect.backend {
            let wanted = (self.expand)(backend)?;
            if !fits(&wanted, reply.name()) {
                return Err(reply.complain(&format!("an answer from {wanted}")));
            }
        }
        if !self.checks_form {
            return Ok(());
        }
        if let Some(sets) = expect.sets
            && reply.added.len() != sets
        {
            return Err(reply.complain(&format!("{sets} cookies set by the proxy")));
        }
        if let Some(set) = &expect.set {
            self.cookies(reply, set)?;
        }
        for piece in &expect.hides {
            let piece = (self.expand)(piece)?;
            if reply.added.iter().any(|line| line.contains(&piece)) {
                return Err(reply.complain(&format!("no cookie with {piece:?} in it")));
            }
        }
        for line in &expect.headers {
            let line = (self.expand)(line)?;
            if !reply.head.text.lines().any(|present| present == line) {
                return Err(reply.complain(&format!("the line {line:?}")));
            }
        }
        let is_there = |name: &&String| !reply.head.fields(name).is_empty();
        if let Some(name) = expect.has_headers.iter().find(|name| !is_there(name)) {
            return Err(reply.complain(&format!("a field {name}")));
        }
        match expect.no_headers.iter().find(is_there) {
            Some(name) => Err(reply.complain(&format!("no field {name}"))),
            None => Ok(()),
        }
    }

    fn cookies(&self, reply: &Reply, set: &[String]) -> Result<(), String> {
        let mut value = None;
        let all_match = reply.added.len() == set.len();
        for (pattern, line) in set.iter().zip(&reply.added) {
            let pattern = (self.expand)(pattern)?;
            let found = match_cookie(&pattern, line);
            let is_same = value.is_none() || found == value;
            if found.is_none() || !is_same {
                return Err(reply.complain(&format!("Set-Cookie {pattern:?}")));
            }
            value = found;
        }
        if all_match {
            Ok(())
        } else {
            Err(reply.complain(&format!("Set-Cookie {set:?}")))
        }
    }

    /// Who answered how often.
    fn distribution(&self, replies: &[Reply]) -> Result<(), String> {
        let expect = self.expect;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reply in replies {
            *counts.entry(reply.name()).or_default() += 1;
        }
        let complain = |what: String| Err(format!("expected: {what}\ngot answers from {counts:?}"));
        for (name, least) in &expect.at_least {
            let name = (self.expand)(name)?;
            if counts.get(name.as_str()).copied().unwrap_or(0) < *least {
                return complain(format!("{least} answers or more from {name}"));
            }
        }
        for (name, most) in &expect.at_most {
            let name = (self.expand)(name)?;
            if counts.get(name.as_str()).copied().unwrap_or(0) > *most {
                return complain(format!("{most} answers or fewer from {name}"));
            }
        }
        let besides = expect.besides.as_deref().map(self.expand).transpose()?;
        let rest: BTreeSet<&str> = counts
            .keys()
            .copied()
            .filter(|name| Some(*name) != besides.as_deref())
            .collect();
        let aside = besides.map_or(String::new(), |name| format!(" besides {name}"));
        if expect.same && rest.len() != 1 {
            return complain(format!("one backend for all{aside}"));
        }
        match expect.spread {
            Some(spread) if rest.len() < spread => {
                complain(format!("{spread} backends or more{aside}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What the backend got.
    pub(crate) fn request_seen(&self, head: &Head) -> Result<(), String> {
        if !self.checks_form {
            return Ok(());
        }
        let text = &head.text;
        for line in &self.expect.seen {
            let line = (self.expand)(line)?;
            if !text.lines().any(|present| present == line) {
                return Err(format!(
                    "expected: the backend gets {line:?}\nit got:\n{text}"
                ));
            }
        }
        for piece in &self.expect.unseen {
            let piece = (self.expand)(piece)?;
            if text.contains(&piece) {
                return Err(format!(
                    "expected: the backend does not get {piece:?}\nit got:\n{text}"
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn looks_at_requests(&self) -> bool {
        !self.expect.seen.is_empty() || !self.expect.unseen.is_empty()
    }
}

/// `a`, `not a`, `a or b`.
fn fits(wanted: &str, name: &str) -> bool {
    match wanted.strip_prefix("not ") {
        Some(unwanted) => name != unwanted && name != "nobody",
        None => wanted.split(" or ").any(|one| one == name),
    }
}

/// Matches a line against a pattern with at most one `<value>`; gives back what that stood for.
fn match_cookie(pattern: &str, line: &str) -> Option<String> {
    let Some((before, after)) = pattern.split_once("<value>") else {
        return (pattern == line).then(String::new);
    };
    let value = line.strip_prefix(before)?.strip_suffix(after)?;
    let is_hex = value
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    (is_hex && value.len() == VALUE_DIGITS).then(|| value.to_owned())
}
