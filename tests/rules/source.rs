//! A source file as the rules see it: its text, and the same text with only code left.
//!
//! Not a parser: it knows comments, literals and where the unit tests begin. Line numbers are those
//! of the file, since what is removed is replaced by blanks.

/// One file of the repository.
pub(crate) struct Source {
    /// Path from the repository's root, with `/`.
    pub(crate) path: String,
    /// The file as it is.
    pub(crate) text: String,
    /// The file without comments and without what stands in string and character literals.
    code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            blank_out(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    /// The module under `src/` that the file belongs to, as `http` for `src/http/head.rs`.
    pub(crate) fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        below.split(['/', '.']).next()
    }

    /// The file's name without `.rs`; the directory's for a `mod.rs`.
    pub(crate) fn name(&self) -> &str {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.rsplit('/').next().unwrap_or(path)
    }

    /// Lines of code with their numbers from 1, up to the unit tests at the end of the file.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_all_tests = self.name() == "tests";
        let end = if is_all_tests { 0 } else { self.tests_start() };
        self.code
            .lines()
            .enumerate()
            .take(end)
            .map(|(index, line)| (index + 1, line))
    }

    /// The index of the line `#[cfg(test)]` before an inline module of tests.
    fn tests_start(&self) -> usize {
        let lines: Vec<&str> = self.text.lines().collect();
        let starts = |index: &usize| {
            lines[*index] == "#[cfg(test)]"
                && lines[index + 1..]
                    .iter()
                    .find(|line| !line.starts_with("#["))
                    .is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
        };
        (0..lines.len()).find(starts).unwrap_or(lines.len())
    }
}

/// The words of a line of code: identifiers and keywords.
pub(crate) fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Replaces comments and the contents of literals by blanks and keeps every line end.
fn blank_out(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = blank_length(rest);
        if length == 0 {
            // An identifier goes as a whole, so that the r of `for"` starts no raw string.
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (kept, after) = rest.split_at(word.max(first.len_utf8()));
            code.push_str(kept);
            rest = after;
            continue;
        }
        let (blanked, after) = rest.split_at(length);
        code.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    code
}

/// How many bytes at the start of `rest` are a comment or a literal; 0 if neither starts here.
fn blank_length(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    let opens = |byte| matches!(byte, b'"' | b'\'' | b'#');
    let (prefix, literal) = match rest.bytes().take(3).position(opens) {
        Some(at) if ["", "b", "c", "r", "br", "cr"].contains(&&rest[..at]) => rest.split_at(at),
        _ => return 0,
    };
    if prefix.ends_with('r') {
        let hashes = literal.len() - literal.trim_start_matches('#').len();
        if !literal[hashes..].starts_with('"') {
            return 0;
        }
        let close = format!("\"{}", "#".repeat(hashes));
        let body = prefix.len() + hashes + 1;
        return rest[body..]
            .find(&close)
            .map_or(rest.len(), |end| body + end + close.len());
    }
    if literal.starts_with('"') {
        return prefix.len() + quoted_length(literal, '"');
    }
    let is_char = literal.starts_with("'\\")
        || (literal.starts_with('\'') && literal.chars().nth(2) == Some('\''));
    if is_char {
        prefix.len() + quoted_length(literal, '\'')
    } else {
        0
    }
}

/// The length of a literal with escapes, both quotes included.
fn quoted_length(literal: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in literal.char_indices().skip(1) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    literal.len()
}

#[test]
fn only_code_is_left() {
    let text = concat!(
        "let a = \"tokio \\\" x\"; // monoio\n",
        "/* libc\n*/ let b = r#\"std::\" thread\"#; let c = 'x'; let d: &'static str = f('\\'');\n",
    );
    let source = Source::new("src/http/a.rs", text);
    let seen: Vec<&str> = source.code().flat_map(|(_, line)| words(line)).collect();
    assert_eq!(
        seen,
        [
            "let", "a", "let", "b", "let", "c", "let", "d", "static", "str", "f"
        ]
    );
    assert_eq!(source.code().count(), text.lines().count());
}

#[test]
fn unit_tests_are_not_code() {
    let text = "fn f() {}\n#[cfg(test)]\nmod tests {\n    use std::thread;\n}\n";
    assert_eq!(Source::new("src/http/a.rs", text).code().count(), 1);
    assert_eq!(Source::new("src/http/tests.rs", text).code().count(), 0);
}
