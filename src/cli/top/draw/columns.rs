//! Tables whose last columns are left out where the screen is too narrow.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Text;
use ratatui::widgets::{Row, Table, TableState};

/// What stands before the selected line, and its width.
const MARK: &str = ">";

/// A column of a table.
pub(super) struct Column {
    pub(super) heading: &'static str,
    pub(super) width: u16,
    pub(super) alignment: Alignment,
}

impl Column {
    pub(super) const fn text(heading: &'static str, width: u16) -> Self {
        Self {
            heading,
            width,
            alignment: Alignment::Left,
        }
    }

    pub(super) const fn number(heading: &'static str, width: u16) -> Self {
        Self {
            heading,
            width,
            alignment: Alignment::Right,
        }
    }
}

/// How many columns fit, each a blank behind the one before; the first is always there.
fn fitting(columns: &[Column], width: u16) -> usize {
    let mut used = 0_u16;
    let fits = |column: &&Column| {
        used = used.saturating_add(1).saturating_add(column.width);
        used <= width
    };
    columns.iter().take_while(fits).count().max(1)
}

/// Draws a table with the line at `selected` on the screen. A cell is a text and its style.
pub(super) fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    columns: &[Column],
    lines: Vec<Vec<(String, Style)>>,
    selected: usize,
) {
    let count = fitting(columns, area.width);
    let columns = &columns[..count];
    let widths = columns
        .iter()
        .map(|column| Constraint::Length(column.width));
    let headings = columns
        .iter()
        .map(|column| Text::from(column.heading).alignment(column.alignment));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let is_empty = lines.is_empty();
    let rows = lines.into_iter().map(|line| {
        let cells = line
            .into_iter()
            .zip(columns)
            .map(|((text, style), column)| Text::styled(text, style).alignment(column.alignment));
        Row::new(cells)
    });
    let table = Table::new(rows, widths)
        .header(Row::new(headings).style(bold))
        .highlight_symbol(MARK)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected((!is_empty).then_some(selected));
    frame.render_stateful_widget(table, area, &mut state);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_are_left_out_from_the_right() {
        let columns = [
            Column::text("A", 4),
            Column::number("B", 3),
            Column::number("C", 2),
        ];
        let fitting = [0, 5, 8, 9, 11, 12].map(|width| fitting(&columns, width));
        assert_eq!(fitting, [1, 1, 1, 2, 2, 3]);
    }
}
