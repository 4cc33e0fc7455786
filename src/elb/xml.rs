//! Elements, texts and lists, written by `quick-xml`.
//!
//! Not what an answer says (`answer`), only its form. Invariant: whatever the names and texts of
//! users are, the document is well-formed XML 1.0.

use std::borrow::Cow;
use std::fmt::Display;

use quick_xml::Writer;
use quick_xml::escape::partial_escape;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// A document that is being written.
pub(super) struct Xml(Writer<Vec<u8>>);

impl Xml {
    /// A whole document: the element `root` and what `content` puts into it.
    pub(super) fn document(root: &str, namespace: &str, content: impl FnOnce(&mut Self)) -> String {
        let mut xml = Self(Writer::new_with_indent(Vec::new(), b' ', 2));
        let start = BytesStart::new(root).with_attributes([("xmlns", namespace)]);
        xml.event(Event::Start(start));
        content(&mut xml);
        xml.event(Event::End(BytesEnd::new(root)));
        String::from_utf8(xml.0.into_inner()).expect("only text was written")
    }

    /// `<name>…</name>` with other elements in it.
    pub(super) fn within(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.event(Event::Start(BytesStart::new(name)));
        content(self);
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// `<name/>`.
    pub(super) fn empty(&mut self, name: &str) {
        self.event(Event::Empty(BytesStart::new(name)));
    }

    /// `<name>text</name>`, `<name/>` if there is none in it.
    pub(super) fn text(&mut self, name: &str, text: impl Display) {
        let text = text.to_string();
        if text.is_empty() {
            return self.empty(name);
        }
        self.event(Event::Start(BytesStart::new(name)));
        self.event(Event::Text(BytesText::from_escaped(escaped(&text))));
        self.event(Event::End(BytesEnd::new(name)));
    }

    /// The same if there is a text; else nothing.
    pub(super) fn optional(&mut self, name: &str, text: Option<impl Display>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A `<member>` for each item; without any, the empty element, which clients read as an empty
    /// list (CLB.md §3.1).
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut content: impl FnMut(&mut Self, T),
    ) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return self.empty(name);
        }
        self.within(name, |x| {
            for item in items {
                x.within("member", |x| content(x, item));
            }
        });
    }

    /// A list of texts.
    pub(super) fn texts<T: Display>(&mut self, name: &str, items: impl IntoIterator<Item = T>) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return self.empty(name);
        }
        self.within(name, |x| {
            for item in items {
                x.text("member", item);
            }
        });
    }

    fn event(&mut self, event: Event<'_>) {
        self.0
            .write_event(event)
            .expect("a vector takes what is written to it");
    }
}

/// Text as it may stand in a document: what XML 1.0 has no way to say, such as NUL, as the
/// replacement character; a carriage return so that readers do not take it for a line feed.
fn escaped(text: &str) -> Cow<'_, str> {
    let has_words = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{FFFD}' | '\u{10000}'..);
    let escaped = partial_escape(text);
    if escaped.chars().all(has_words) {
        return escaped;
    }
    let mut clean = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        match c {
            '\r' => clean.push_str("&#13;"),
            c if has_words(c) => clean.push(c),
            _ => clean.push('\u{FFFD}'),
        }
    }
    clean.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_what_xml_cannot_say_is_replaced() {
        let cases = [
            ("plain 'text'", "plain 'text'"),
            ("a<b>&c", "a&lt;b&gt;&amp;c"),
            ("\0\u{1b}\u{FFFF}", "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ("a\r\nb\t", "a&#13;\nb\t"),
            ("\u{1F600}", "\u{1F600}"),
        ];
        for (text, written) in cases {
            assert_eq!(escaped(text), written, "{text:?}");
        }
    }

    #[test]
    fn empty_lists_and_texts_are_empty_elements() {
        let document = Xml::document("A", "urn:x", |x| {
            x.texts("B", [""; 0]);
            x.list("C", [(); 0], |_, ()| ());
            x.text("D", "");
            x.optional("E", None::<&str>);
            x.texts("F", ["1"]);
        });
        assert_eq!(
            document,
            "<A xmlns=\"urn:x\">\n  <B/>\n  <C/>\n  <D/>\n  <F>\n    <member>1</member>\n  </F>\n</A>"
        );
    }
}
