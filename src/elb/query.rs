//! From `application/x-www-form-urlencoded` bytes, a body or a query string, to a tree of
//! parameters: `Listeners.member.1.Protocol=HTTP` is a path and its text.
//!
//! Not what the parameters mean (`action`). Invariant: each path has one text, and what has two
//! readings is refused rather than guessed at.

use std::collections::BTreeMap;

use super::{Code, Failure};
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_PARAMETERS_MAX};

/// The parameters of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters(Node);

/// A place in the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// What stands after the `=` of the path that ends here.
    text: Option<String>,
    /// What goes on after a dot.
    below: BTreeMap<String, Self>,
}

impl Parameters {
    /// Reads a body or a query string.
    ///
    /// Fails with `MalformedQueryString` where bytes do not decode, and with
    /// `InvalidQueryParameter` where a name comes twice or has an empty part, or there is more
    /// than [`QUERY_BYTES_MAX`] and [`QUERY_PARAMETERS_MAX`] allow.
    pub fn parse(form: &[u8]) -> Result<Self, Failure> {
        if form.len() > QUERY_BYTES_MAX {
            return Err(Failure::too_long());
        }
        if !is_encoded(form) {
            return Err(malformed("a percent sign without two hexadecimal digits"));
        }
        let mut root = Node::default();
        for (index, (name, value)) in form_urlencoded::parse(form).enumerate() {
            if index == QUERY_PARAMETERS_MAX {
                return Err(invalid(format!(
                    "The request has more than {QUERY_PARAMETERS_MAX} parameters"
                )));
            }
            // The library puts it in place of what is no UTF-8. Nobody has a use for the character
            // itself, so that the two need not be told apart.
            if name.contains('\u{FFFD}') || value.contains('\u{FFFD}') {
                return Err(malformed("text that is not UTF-8"));
            }
            root.put(&name, value.into_owned())?;
        }
        Ok(Self(root))
    }

    /// The text of a parameter whose name has no dot in it.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.below(name)?.text()
    }

    /// The root of the tree.
    pub(super) fn root(&self) -> &Node {
        &self.0
    }
}

impl Node {
    /// The text here, `None` also where only the path goes on.
    pub(super) fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// What is at `name`.
    pub(super) fn below(&self, name: &str) -> Option<&Self> {
        self.below.get(name)
    }

    /// Whether the path ends here.
    pub(super) fn is_leaf(&self) -> bool {
        self.below.is_empty()
    }

    /// The members of a list, by their numbers, which may have gaps: `.member.2`, `.member.10`.
    /// The name alone with nothing after its `=` is the empty list (CLB.md §3.1). `None`: this is
    /// no list.
    pub(super) fn members(&self) -> Option<Vec<(u32, &Self)>> {
        match &self.text {
            Some(text) => return (text.is_empty() && self.is_leaf()).then(Vec::new),
            None if self.below.len() != 1 => return None,
            None => {}
        }
        let list = self.below("member").filter(|list| list.text.is_none())?;
        let mut members = Vec::with_capacity(list.below.len());
        for (number, member) in &list.below {
            // One way to write each number, so that none comes twice.
            let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
            let is_plain = number == "0" || !number.starts_with('0');
            let number = number.parse().ok().filter(|_| is_number && is_plain)?;
            members.push((number, member));
        }
        members.sort_by_key(|(number, _)| *number);
        Some(members)
    }

    fn put(&mut self, path: &str, text: String) -> Result<(), Failure> {
        let mut node = self;
        for (depth, part) in path.split('.').enumerate() {
            if part.is_empty() || depth == QUERY_DEPTH_MAX {
                return Err(invalid(format!("`{path}` is no name of a parameter")));
            }
            node = node.below.entry(part.to_owned()).or_default();
        }
        if node.text.replace(text).is_some() {
            return Err(invalid(format!("`{path}` is there more than once")));
        }
        Ok(())
    }
}

/// Whether each percent sign stands for a byte. The library takes others as they are.
fn is_encoded(form: &[u8]) -> bool {
    let mut signs = memchr::memchr_iter(b'%', form);
    signs.all(|at| {
        let digits = form.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn invalid(message: String) -> Failure {
    Failure::new(Code::InvalidQueryParameter, message)
}

fn malformed(what: &str) -> Failure {
    let message = format!("The query string contains a syntax error: {what}");
    Failure::new(Code::MalformedQueryString, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers(form: &str) -> Option<Vec<u32>> {
        let parameters = Parameters::parse(form.as_bytes()).expect("a form");
        let members = parameters.root().below("L").expect("L").members();
        members.map(|members| members.iter().map(|(number, _)| *number).collect())
    }

    #[test]
    fn a_form_is_decoded() {
        let parameters = Parameters::parse(b"Action=A&Name=%E3%81%82+b%2B&Empty=&Bare&&").unwrap();
        assert_eq!(parameters.text("Action"), Some("A"));
        assert_eq!(parameters.text("Name"), Some("\u{3042} b+"));
        assert_eq!(parameters.text("Empty"), Some(""));
        assert_eq!(parameters.text("Bare"), Some(""));
        assert_eq!(parameters.text("Absent"), None);
    }

    #[test]
    fn members_come_by_number_and_may_have_gaps() {
        assert_eq!(
            numbers("L.member.10=c&L.member.2=b&L.member.1.X=a"),
            Some(vec![1, 2, 10])
        );
        assert_eq!(numbers("L="), Some(vec![]));
    }

    #[test]
    fn what_is_no_list_is_not_taken_for_one() {
        for form in [
            "L=x",
            "L=&L.member.1=x",
            "L.member=x",
            "L.member=&L.member.1=x",
            "L.1=x",
            "L.member.1=x&L.other.1=y",
            "L.member.01=x",
            "L.member.+1=x",
            "L.member.-1=x",
            "L.member.one=x",
            "L.member.4294967296=x",
        ] {
            assert_eq!(numbers(form), None, "{form}");
        }
    }

    #[test]
    fn what_is_malformed_or_said_twice_is_refused() {
        let many = "a".repeat(QUERY_BYTES_MAX + 1);
        let numbers: Vec<_> = (0..=QUERY_PARAMETERS_MAX).map(|n| n.to_string()).collect();
        let parameters = numbers.join("&");
        let deep = "a.".repeat(QUERY_DEPTH_MAX) + "a=1";
        let cases: [(&[u8], Code); 10] = [
            (b"a=1&a=2", Code::InvalidQueryParameter),
            (b"a=1&%61=1", Code::InvalidQueryParameter),
            (b"a..b=1", Code::InvalidQueryParameter),
            (b"=1", Code::InvalidQueryParameter),
            (deep.as_bytes(), Code::InvalidQueryParameter),
            (many.as_bytes(), Code::InvalidQueryParameter),
            (parameters.as_bytes(), Code::InvalidQueryParameter),
            (b"a=%4", Code::MalformedQueryString),
            (b"a=%zz", Code::MalformedQueryString),
            (b"a=%ff", Code::MalformedQueryString),
        ];
        for (form, code) in cases {
            let refused = Parameters::parse(form).expect_err("refused");
            assert_eq!(refused.code, code, "{refused}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(form in proptest::collection::vec(any::<u8>(), 0..300)) {
            drop(Parameters::parse(&form));
        }

        #[test]
        fn what_a_client_encodes_reads_back(
            pairs in proptest::collection::btree_map("[A-Za-z0-9]{1,8}", "\\PC{0,20}", 0..20)
        ) {
            prop_assume!(pairs.values().all(|text| !text.contains('\u{FFFD}')));
            let form = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(&pairs)
                .finish();
            let parameters = Parameters::parse(form.as_bytes()).unwrap();
            for (name, text) in &pairs {
                prop_assert_eq!(parameters.text(name), Some(text.as_str()));
            }
        }
    }
}
