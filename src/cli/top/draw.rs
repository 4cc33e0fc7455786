//! How the app looks: a line of the process, what is open, a line of keys.
//!
//! Pure: the app is only read. Invariant: what does not fit is left out, from the bottom and from
//! the right, and colours tell nothing that no word or number tells.

mod columns;
mod detail;
mod overview;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::{App, Hearing, View};
use crate::cli::ask::worded;
use crate::control::ClusterGlance;
use crate::sys::Instant;

const KEYS: &str = "
  j k, arrows, PgUp PgDn, Home End    select
  Enter, l                            open the load balancer
  Esc, Backspace, h                   back to all of them
  s                                   sort by the next column
  p                                   keep these numbers; again for those of now
  q, Ctrl-C                           end

  IN         instances in service, of those that are registered
  REQ/S      requests, and connections of TCP and SSL listeners
  P50 P99    how long instances took, in milliseconds
  4XX 5XX    answers by instances and by elbow itself, in a second
  RUN WAIT   requests that run, and that wait for an instance with room
  late       sweeps of a shard in the last minute that something kept waiting";

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, now: Instant) {
    let notice = notice(app, now);
    let heights = [
        Constraint::Length(1),
        Constraint::Length(u16::from(notice.is_some())),
        Constraint::Fill(1),
        Constraint::Length(1),
    ];
    let [head, below, body, foot] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(header(app, now, head.width), head);
    if let Some(notice) = notice {
        frame.render_widget(Line::styled(notice, app.bad()), below);
    }
    if app.shows_keys {
        frame.render_widget(Paragraph::new(KEYS.trim_start_matches('\n')), body);
    } else {
        match &app.view {
            View::Overview => overview::draw(frame, body, app),
            View::Detail(name) => detail::draw(frame, body, app, name),
        }
        if matches!(app.hearing, Hearing::Lost { .. }) {
            let old = Style::new().add_modifier(Modifier::DIM);
            frame.buffer_mut().set_style(body, old);
        }
    }
    frame.render_widget(footer(app), foot);
}

/// `elbow 0.1.0  127.0.0.1:9090  serving  up 3 h  epoch 12` and, at the right, whether it is live.
fn header(app: &App, now: Instant, width: u16) -> Line<'static> {
    let mut parts = Vec::new();
    match &app.process {
        Some(process) => parts.push(format!("elbow {}", process.version)),
        None => parts.push("elbow".to_owned()),
    }
    parts.push(app.address.to_string());
    if let Some(moment) = app.latest() {
        parts.push(moment.phase.clone());
    }
    let is_lost = matches!(app.hearing, Hearing::Lost { .. });
    if let (false, Some(process)) = (is_lost, &app.process) {
        parts.push(format!("up {}", worded(process.uptime(now).as_secs())));
    }
    if let Some(moment) = app.latest() {
        parts.push(format!("epoch {}", moment.epoch));
        parts.extend(moment.cluster.as_ref().map(nodes));
    }
    let left = parts.join("  ");
    let (state, style) = match &app.hearing {
        Hearing::Lost { .. } => ("LOST", app.bad()),
        _ if app.is_paused => ("PAUSED", app.notable()),
        Hearing::Waiting => ("waiting", Style::new()),
        Hearing::Live => ("live", app.good()),
    };
    let room = usize::from(width).saturating_sub(state.len() + 1);
    let left: String = left.chars().take(room).collect();
    let bold = Style::new().add_modifier(Modifier::BOLD);
    Line::from(vec![
        Span::styled(format!("{left:<room$} "), bold),
        Span::styled(state, style.add_modifier(Modifier::BOLD)),
    ])
}

/// `3/3 nodes`
fn nodes(cluster: &ClusterGlance) -> String {
    let quorum = if cluster.quorum { "" } else { ", no quorum" };
    format!("{}/{} nodes{quorum}", cluster.live, cluster.known)
}

/// That the numbers are old, and why.
fn notice(app: &App, now: Instant) -> Option<String> {
    let Hearing::Lost { why, again } = &app.hearing else {
        return None;
    };
    let when = match again.since(now).as_secs_f64().ceil() {
        0.0 => "now".to_owned(),
        seconds => format!("in {seconds} s"),
    };
    Some(format!("old numbers, again {when}: {why}"))
}

fn footer(app: &App) -> Line<'static> {
    let keys = match (&app.view, app.shows_keys) {
        (_, true) => "q quit  any other key: back".to_owned(),
        (View::Overview, _) => format!(
            "q quit  Enter open  s sort (by {})  p pause  ? keys",
            app.order.name()
        ),
        (View::Detail(_), _) => format!(
            "q quit  Esc back  s sort (by {})  p pause  ? keys",
            app.instance_order.name()
        ),
    };
    Line::styled(keys, Style::new().add_modifier(Modifier::REVERSED))
}

impl App {
    fn good(&self) -> Style {
        self.coloured(Color::Green)
    }

    fn notable(&self) -> Style {
        self.coloured(Color::Yellow)
    }

    fn bad(&self) -> Style {
        self.coloured(Color::Red)
    }

    fn coloured(&self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    /// How many of so many are in service.
    fn of_all(&self, in_service: usize, all: usize) -> Style {
        match in_service {
            0 => self.bad(),
            count if count < all => self.notable(),
            _ => self.good(),
        }
    }
}

/// The upper lines of `area`, and what is left of it.
fn cut(area: Rect, lines: u16) -> (Rect, Rect) {
    let parts = [
        Constraint::Length(lines.min(area.height)),
        Constraint::Fill(1),
    ];
    let [upper, rest] = Layout::vertical(parts).areas(area);
    (upper, rest)
}

/// A length that a screen cannot have is the longest that it can.
fn cells(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
