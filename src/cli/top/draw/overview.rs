//! The shards, and a line for each load balancer.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::columns::{Column, table};
use super::{cells, cut};
use crate::cli::top::app::{App, requests};
use crate::cli::top::numbers::{bar, count, millis, rate, whole};
use crate::control::{LoadBalancerMoment, ShardMoment};

/// Shards have no more than one line in so many of the screen.
const SHARDS_SHARE: u16 = 4;

/// The width of the names of load balancers; longer ones are cut.
const NAME_MIN: usize = 12;
const NAME_MAX: usize = 32;

/// All columns but the name and the bars, with the blanks between them.
const NUMBERS_WIDTH: usize = 62;

/// The width of the bars.
const BARS_MIN: usize = 6;
const BARS_MAX: usize = 60;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let Some(moment) = app.moment() else {
        return frame.render_widget("waits for the first second...", area);
    };
    let shards = shards(app, &moment.shards, (area.height / SHARDS_SHARE).max(2));
    let (above, below) = cut(area, cells(shards.len() + 1));
    frame.render_widget(Paragraph::new(shards), above);
    let balancers = app.load_balancers();
    if balancers.is_empty() {
        let text = "no load balancer yet: add one to the file, or make one by the ELB API";
        return frame.render_widget(text, below);
    }
    let names = balancers.iter().map(|b| b.name.chars().count());
    let name = names.max().unwrap_or(0).clamp(NAME_MIN, NAME_MAX);
    let room = usize::from(below.width).saturating_sub(NUMBERS_WIDTH + name);
    let bars = room.clamp(BARS_MIN, BARS_MAX);
    let lines = balancers.iter().map(|b| line(app, b, bars)).collect();
    let columns = columns(cells(name), cells(bars));
    table(frame, below, &columns, lines, app.selected_index());
}

fn columns(name: u16, bars: u16) -> [Column; 12] {
    [
        Column::text("NAME", name),
        Column::number("IN", 5),
        Column::number("REQ/S", 5),
        Column::text("MINUTE", bars),
        Column::number("P50", 5),
        Column::number("P99", 5),
        Column::number("2XX", 5),
        Column::number("4XX", 5),
        Column::number("5XX", 5),
        Column::number("RUN", 5),
        Column::number("WAIT", 5),
        Column::number("SESS", 5),
    ]
}

fn line(app: &App, balancer: &LoadBalancerMoment, bars: usize) -> Vec<(String, Style)> {
    let LoadBalancerMoment {
        name,
        answers_per_second: answers,
        latency_ms,
        outstanding,
        waiting,
        sessions,
        instances,
        instances_in_service: in_service,
        ..
    } = balancer;
    let plain = |text: String| (text, Style::new());
    let unless_zero = |text: String, style| match text == "0" {
        true => (text, Style::new()),
        false => (text, style),
    };
    let history = app.requests_of(name);
    let errors = rate(answers.backend_5xx + answers.elbow_5xx);
    vec![
        plain(name.clone()),
        (
            format!("{in_service}/{instances}"),
            app.of_all(*in_service, *instances),
        ),
        plain(rate(requests(balancer))),
        plain(history.map_or_else(String::new, |history| history.minute(bars))),
        plain(millis(latency_ms.map(|latency| latency.p50))),
        plain(millis(latency_ms.map(|latency| latency.p99))),
        plain(rate(answers.backend_2xx)),
        plain(rate(answers.backend_4xx + answers.elbow_4xx)),
        unless_zero(errors, app.bad()),
        plain(count(*outstanding)),
        unless_zero(count(*waiting), app.notable()),
        plain(count(*sessions)),
    ]
}

/// A line for each shard, or for as many as `lines` has room for and one about the others.
fn shards(app: &App, shards: &[ShardMoment], lines: u16) -> Vec<Line<'static>> {
    let room = usize::from(lines);
    let shown = match shards.len() {
        all if all <= room => all,
        _ => room - 1,
    };
    let (shown, others) = shards.split_at(shown);
    let mut text: Vec<_> = shown.iter().map(|shard| shard_line(app, shard)).collect();
    if !others.is_empty() {
        let cpu = others.iter().map(|shard| shard.cpu_percent);
        let busiest = whole(cpu.fold(0.0, f64::max));
        let connections = others.iter().map(|shard| shard.connections).sum();
        text.push(Line::from(format!(
            "and {} more shards, the busiest at {busiest} %, {} connections",
            others.len(),
            count(connections)
        )));
    }
    text
}

fn shard_line(app: &App, shard: &ShardMoment) -> Line<'static> {
    const BUSY_PERCENT: f64 = 90.0;
    let ShardMoment {
        shard: number,
        core,
        cpu_percent,
        connections,
        accepted_per_second,
        ..
    } = shard;
    let core = core.map_or_else(|| "-".to_owned(), |core| core.to_string());
    let style = match *cpu_percent >= BUSY_PERCENT {
        true => app.bad(),
        false => app.good(),
    };
    let before = format!("shard {number:<3} CPU {core:<3} ");
    let percent = format!("{:>4} % ", whole(*cpu_percent));
    let late = whole(app.sweeps_late_of(*number));
    let after = format!(
        "{:>5} connections {:>5} accepted/s {:>4} late",
        count(*connections),
        rate(*accepted_per_second),
        count(late)
    );
    let bar = Span::styled(bar(cpu_percent / 100.0, 10), style);
    Line::from(vec![before.into(), bar, percent.into(), after.into()])
}
