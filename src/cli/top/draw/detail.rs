//! One load balancer: its requests and answers, its instances, where sessions went, who leaves.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::columns::{Column, table};
use super::{cells, cut};
use crate::cli::ask::worded;
use crate::cli::drain::{about, worded_drain};
use crate::cli::top::app::{App, requests};
use crate::cli::top::numbers::{bar, count, millis, rate, whole};
use crate::control::{BackendMoment, Drain, LatencyMillis, LoadBalancerMoment, Moment, Move};

/// The height of the bars of requests, and of the whole screen where they are higher.
const BARS_HEIGHT: u16 = 3;
const BARS_HEIGHT_TALL: u16 = 6;
const TALL: u16 = 36;

/// Lines of drains, and of moves, that instances leave room for.
const DRAINS_MAX: usize = 3;
const MOVES_MAX: usize = 4;

/// The width of ids of instances; longer ones are cut.
const ID_MIN: usize = 12;
const ID_MAX: usize = 32;

/// The least width of how they are and how far on their way out: `in-service`, and the heading.
const HEALTH_MIN: usize = 10;
const LEAVES_MIN: usize = 6;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, name: &str) {
    let Some(balancer) = app.load_balancer() else {
        let text = match app.moment() {
            None => "waits for the first second...".to_owned(),
            Some(_) => format!("{name} is not there any more"),
        };
        return frame.render_widget(text, area);
    };
    let bars = match area.height {
        TALL.. => BARS_HEIGHT_TALL,
        _ => BARS_HEIGHT,
    };
    let summary = summary(app, balancer);
    let (above, below) = cut(area, cells(summary.len()));
    frame.render_widget(Paragraph::new(summary), above);
    let (chart, below) = cut(below, bars);
    draw_requests(frame, chart, app, name);
    let Some(moment) = app.moment() else {
        let text = "waits for the first second of its instances...";
        return frame.render_widget(text, below);
    };
    let drains = drains(app, &balancer.drains);
    let moves = moves(moment, &balancer.moves);
    let room = |lines: &Vec<Line<'_>>, most: usize| cells(lines.len().min(most + 1));
    let others = room(&drains, DRAINS_MAX) + room(&moves, MOVES_MAX);
    let wanted = cells(balancer.backends.len() + 1);
    // Instances scroll, so it is they who make room.
    let least = below.height.saturating_sub(others).min(wanted).max(2);
    let all = cells(drains.len() + moves.len());
    let instances = below
        .height
        .saturating_sub(all)
        .clamp(least, wanted.max(least));
    let (upper, below) = cut(below, instances);
    draw_instances(frame, upper, app);
    let most = below.height.saturating_sub(room(&drains, DRAINS_MAX));
    let (middle, below) = cut(below, cells(moves.len()).min(most));
    frame.render_widget(Paragraph::new(moves), middle);
    frame.render_widget(Paragraph::new(drains), below);
}

fn summary(app: &App, balancer: &LoadBalancerMoment) -> Vec<Line<'static>> {
    let LoadBalancerMoment {
        name,
        answers_per_second: answers,
        latency_ms: latency,
        outstanding,
        waiting,
        sessions,
        verdicts_per_second: verdicts,
        instances,
        instances_in_service: in_service,
        ..
    } = balancer;
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mut head = Line::styled(name.clone(), bold);
    head.push_span("  ");
    let in_service_text = format!("{in_service} of {instances} in service");
    let style = app.of_all(*in_service, *instances);
    head.push_span(Span::styled(in_service_text, style));
    head.push_span(format!(
        "  {} running  {} waiting  {} sessions",
        count(*outstanding),
        count(*waiting),
        count(*sessions)
    ));
    let times = latency.map_or_else(
        || "latency    -".to_owned(),
        |LatencyMillis { p50, p90, p99 }| {
            let [p50, p90, p99] = [p50, p90, p99].map(|time| millis(Some(time)));
            format!("latency    p50 {p50}  p90 {p90}  p99 {p99} ms")
        },
    );
    let [two, three, four, five, own_four, own_five] = [
        answers.backend_2xx,
        answers.backend_3xx,
        answers.backend_4xx,
        answers.backend_5xx,
        answers.elbow_4xx,
        answers.elbow_5xx,
    ]
    .map(rate);
    let answers = format!(
        "answers/s  2xx {two}  3xx {three}  4xx {four}  5xx {five}  \
         elbow's own 4xx {own_four}  5xx {own_five}"
    );
    let verdicts = verdicts.iter().filter(|(_, often)| **often > 0.0);
    let verdicts = verdicts.map(|(verdict, often)| format!("  {verdict} {}", rate(*often)));
    let verdicts: String = verdicts.collect();
    let verdicts = match verdicts.is_empty() {
        true => "verdicts/s -".to_owned(),
        false => format!("verdicts/s {}", verdicts.trim_start()),
    };
    let history = app.requests_of(name);
    let seconds = history.map_or_else(Vec::new, |history| history.last(60));
    let peak = seconds.into_iter().flatten().fold(0.0, f64::max);
    let requests = rate(requests(balancer));
    let requests = format!("req/s      {requests}, at most {} in a minute", rate(peak));
    let lines = [times, answers, verdicts, requests].map(Line::from);
    [vec![head], lines.to_vec()].concat()
}

fn draw_requests(frame: &mut Frame<'_>, area: Rect, app: &App, name: &str) {
    let Some(history) = app.requests_of(name) else {
        return;
    };
    let seconds = history.last(usize::from(area.width));
    // The bars are of whole numbers.
    let tenths = seconds
        .into_iter()
        .map(|often| often.map(|often| whole(often * 10.0)));
    let bars = Sparkline::default().data(tenths.collect::<Vec<_>>());
    frame.render_widget(bars.absent_value_symbol(" "), area);
}

fn draw_instances(frame: &mut Frame<'_>, area: Rect, app: &App) {
    let instances = app.instances();
    let ids = instances.iter().map(|i| i.backend.chars().count());
    let id = ids.max().unwrap_or(0).clamp(ID_MIN, ID_MAX);
    let healths = instances.iter().map(|i| i.health.len());
    let leaves = instances
        .iter()
        .map(|i| i.draining.as_ref().map_or(0, String::len));
    let columns = [
        Column::text("INSTANCE", cells(id)),
        Column::text("HEALTH", cells(healths.max().unwrap_or(0).max(HEALTH_MIN))),
        Column::text("LEAVES", cells(leaves.max().unwrap_or(0).max(LEAVES_MIN))),
        Column::number("LIFE", 4),
        Column::number("SESS", 5),
        Column::text("", 10),
        Column::number("RUN", 5),
        Column::number("REQ/S", 5),
        Column::number("ERR/S", 5),
    ];
    let most = instances.iter().map(|instance| instance.sessions).max();
    let lines = instances
        .iter()
        .map(|i| instance_line(app, i, most.unwrap_or(0)));
    let selected = app.selected_instance_index();
    table(frame, area, &columns, lines.collect(), selected);
}

fn instance_line(app: &App, instance: &BackendMoment, most: u64) -> Vec<(String, Style)> {
    let BackendMoment {
        backend,
        health,
        draining,
        life,
        sessions,
        outstanding,
        requests_per_second,
        errors_per_second,
        ..
    } = instance;
    let plain = |text: String| (text, Style::new());
    let health_style = match health.as_str() {
        "in-service" => app.good(),
        _ => app.bad(),
    };
    let permille = (sessions * 1000).checked_div(most).unwrap_or(0);
    let share = f64::from(u32::try_from(permille).unwrap_or(u32::MAX)) / 1000.0;
    let errors = rate(*errors_per_second);
    let errors_style = match errors == "0" {
        true => Style::new(),
        false => app.bad(),
    };
    vec![
        plain(backend.clone()),
        (health.clone(), health_style),
        (draining.clone().unwrap_or_default(), app.notable()),
        plain(life.to_string()),
        plain(count(*sessions)),
        plain(bar(share, 10)),
        plain(count(*outstanding)),
        plain(rate(*requests_per_second)),
        (errors, errors_style),
    ]
}

/// The latest first.
fn moves(moment: &Moment, moves: &[Move]) -> Vec<Line<'static>> {
    let lines = moves.iter().rev().map(|moved| {
        let Move {
            from,
            to,
            sessions,
            at_ms,
        } = moved;
        let ago = worded(moment.at_ms.saturating_sub(*at_ms) / 1000);
        Line::from(format!(
            "{from} -> {to}  {} sessions  {ago} ago",
            count(*sessions)
        ))
    });
    under("SESSIONS THAT MOVED", lines.collect())
}

fn drains(app: &App, drains: &[Drain]) -> Vec<Line<'static>> {
    let lines = drains.iter().rev().map(|drain| {
        let instance = format!("{}  ", drain.instance);
        if drain.is_done() {
            return Line::from(instance + &worded_drain(drain));
        }
        if drain.sessions_at_start == 0 {
            // Then none were there, or they are not counted yet.
            return Line::from(instance + &how_far(drain));
        }
        let left = f64::from(drain.left_percent) / 100.0;
        let bar = Span::styled(bar(left, 10), app.notable());
        let percent = format!("{:>4} % left, ", drain.left_percent);
        Line::from(vec![
            instance.into(),
            bar,
            percent.into(),
            how_far(drain).into(),
        ])
    });
    under("DRAINS", lines.collect())
}

/// How a drain goes on, what matters most first.
fn how_far(drain: &Drain) -> String {
    let half_life = drain.half_life_seconds;
    let half_life = half_life.map(|seconds| format!("half-life {}", about(seconds)));
    let end = drain.ends_in_seconds;
    let end = end.map(|seconds| format!("ends in {}", about(seconds)));
    let rest = [
        format!("at most {}", about(drain.deadline_in_seconds)),
        format!("{} running", count(drain.requests_in_flight)),
        drain.stage.clone(),
    ];
    let parts = [half_life, end].into_iter().flatten().chain(rest);
    parts.collect::<Vec<_>>().join(", ")
}

/// Lines below their heading; nothing if there are none.
fn under(heading: &'static str, lines: Vec<Line<'static>>) -> Vec<Line<'static>> {
    if lines.is_empty() {
        return lines;
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    [vec![Line::styled(heading, bold)], lines].concat()
}
