//! Tables for people, and what is coloured in them.
//!
//! Colours are always in the text; whoever prints it takes them out where they do not belong
//! (`anstream`, in `main`).

use std::io::Write;
use std::iter;

use anstyle::{AnsiColor, Style};
use tabwriter::TabWriter;

/// Lines of cells, of which those of a column begin one below the other.
pub(super) struct Table {
    lines: TabWriter<Vec<u8>>,
    columns: usize,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Self {
            lines: TabWriter::new(Vec::new()).ansi(true),
            columns: headings.len(),
        };
        table.row(headings);
        table
    }

    /// Adds a line; cells that are missing at its end are empty.
    pub(super) fn row(&mut self, cells: &[impl AsRef<str>]) {
        let cells = cells.iter().map(AsRef::as_ref);
        // A column goes on only as long as each line has it.
        let cells: Vec<&str> = cells.chain(iter::repeat("")).take(self.columns).collect();
        writeln!(self.lines, "{}", cells.join("\t")).expect("memory takes everything");
    }

    /// The text, without the last line's end.
    pub(super) fn into_text(mut self) -> String {
        self.lines.flush().expect("memory takes everything");
        let bytes = self.lines.into_inner().expect("it was flushed");
        let text = String::from_utf8(bytes).expect("it was text");
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    }
}

/// What is as it should be.
pub(super) fn good(text: &str) -> String {
    styled(AnsiColor::Green.on_default(), text)
}

/// What somebody may want to look at.
pub(super) fn notable(text: &str) -> String {
    styled(AnsiColor::Yellow.on_default(), text)
}

/// What is not as it should be.
pub(super) fn bad(text: &str) -> String {
    styled(AnsiColor::Red.on_default(), text)
}

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Text as it is where there are no colours.
#[cfg(test)]
pub(super) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_seen_of_their_cells() {
        let mut table = Table::new(&["NAME", "STATE", "WHY"]);
        table.row(&["a", &good("fine"), ""]);
        table.row(&["a-long-name", &bad("out of service"), "checks fail"]);
        let expected = "\
NAME         STATE           WHY
a            fine
a-long-name  out of service  checks fail";
        assert_eq!(plain(&table.into_text()), expected);
    }
}
