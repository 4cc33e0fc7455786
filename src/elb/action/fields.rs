//! Reading parameters as texts, numbers, booleans, lists and structures, and the words for those
//! that are not as they should be.

use std::fmt::Display;
use std::str::FromStr;

use crate::elb::query::Node;
use crate::elb::{Code, Failure, Parameters};

/// A structure of parameters: those of the request, or of a member of a list.
pub(super) struct Fields<'a> {
    /// Where it is in the tree; `None`: nowhere, so that all of it is missing.
    node: Option<&'a Node>,
    /// The names that lead to it, with a dot at the end; empty for those of the request.
    path: String,
}

/// The least and the most that a number may be.
pub(super) struct Range<T> {
    pub(super) least: T,
    pub(super) most: T,
}

impl<'a> Fields<'a> {
    /// The parameters of a request.
    pub(super) fn of(parameters: &'a Parameters) -> Self {
        Self {
            node: Some(parameters.root()),
            path: String::new(),
        }
    }

    /// A text that has to be there and not empty.
    pub(super) fn required(&self, name: &str) -> Result<String, Failure> {
        match self.text(name)? {
            None => Err(self.missing(name)),
            Some("") => {
                let rule = "have length greater than or equal to 1";
                Err(self.refused(name, Some(""), rule))
            }
            Some(text) => Ok(text.to_owned()),
        }
    }

    /// A text that may be missing; an empty one counts as that.
    pub(super) fn optional(&self, name: &str) -> Result<Option<String>, Failure> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        Ok(text.map(str::to_owned))
    }

    /// A number in decimal digits.
    pub(super) fn number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: Range<T>,
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_decimal);
        let is_within = |number: &T| range.least <= *number && *number <= range.most;
        number.filter(is_within).map(Some).ok_or_else(|| {
            let rule = format!("be a whole number from {} to {}", range.least, range.most);
            self.refused(name, Some(text), &rule)
        })
    }

    /// A number that has to be there.
    pub(super) fn required_number<T: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: Range<T>,
    ) -> Result<T, Failure> {
        self.number(name, range)?.ok_or_else(|| self.missing(name))
    }

    /// `true` or `false`, which has to be there.
    pub(super) fn required_boolean(&self, name: &str) -> Result<bool, Failure> {
        match self.text(name)? {
            None => Err(self.missing(name)),
            Some(text) => boolean(text)
                .ok_or_else(|| self.refused(name, Some(text), "be either true or false")),
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        let Some(members) = self.members(name)? else {
            return Ok(None);
        };
        let text = |(number, node): (u32, &Node)| {
            let text = node.text().filter(|_| node.is_leaf());
            let path = format!("{}{name}.member.{number}", self.path);
            text.map(str::to_owned).ok_or_else(|| not_one_text(&path))
        };
        members
            .into_iter()
            .map(text)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of texts that has to be there; it may be empty.
    pub(super) fn required_texts(&self, name: &str) -> Result<Vec<String>, Failure> {
        self.texts(name)?.ok_or_else(|| self.missing(name))
    }

    /// A list of structures.
    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<Self>>, Failure> {
        let Some(members) = self.members(name)? else {
            return Ok(None);
        };
        let fields = |(number, node)| Self {
            node: Some(node),
            path: format!("{}{name}.member.{number}.", self.path),
        };
        Ok(Some(members.into_iter().map(fields).collect()))
    }

    /// A structure; where there is none, each of its parameters is missing.
    pub(super) fn structure(&self, name: &str) -> Self {
        Self {
            node: self.node.and_then(|node| node.below(name)),
            path: format!("{}{name}.", self.path),
        }
    }

    /// Whether anything was said of it.
    pub(super) fn is_there(&self) -> bool {
        self.node.is_some()
    }

    /// The failure for a parameter that is not there, in the words of AWS.
    pub(super) fn missing(&self, name: &str) -> Failure {
        self.refused(name, None, "not be null")
    }

    /// The failure for a parameter whose value does not do, in the words of AWS; no value is
    /// "null" there.
    pub(super) fn refused(&self, name: &str, value: Option<&str>, rule: &str) -> Failure {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
        let path = &self.path;
        let message = format!(
            "1 validation error detected: Value {value} at '{path}{name}' failed to satisfy \
             constraint: Member must {rule}"
        );
        Failure::invalid(message)
    }

    /// The text as it was sent, perhaps empty.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, Failure> {
        let Some(node) = self.node.and_then(|node| node.below(name)) else {
            return Ok(None);
        };
        match node.text().filter(|_| node.is_leaf()) {
            Some(text) => Ok(Some(text)),
            None => Err(not_one_text(&format!("{}{name}", self.path))),
        }
    }

    fn members(&self, name: &str) -> Result<Option<Vec<(u32, &'a Node)>>, Failure> {
        let Some(node) = self.node.and_then(|node| node.below(name)) else {
            return Ok(None);
        };
        node.members().map(Some).ok_or_else(|| {
            let path = format!("{}{name}", self.path);
            let message = format!("`{path}` is a list: `{path}.member.1` and so on");
            Failure::new(Code::InvalidQueryParameter, message)
        })
    }
}

/// Reads `true` or `false`, in upper or lower case.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn not_one_text(path: &str) -> Failure {
    let message = format!("`{path}` is one text and has nothing below it");
    Failure::new(Code::InvalidQueryParameter, message)
}
