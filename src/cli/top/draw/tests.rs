//! Screens as text. To see what has changed, look at what the assertion prints.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::cli::top::feed::News;
use crate::cli::top::sample::{app, moment, shard};
use crate::control::{ClusterGlance, LoadBalancerMoment, Moment};

fn drawn(app: &App, now: Instant, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("it is memory");
    terminal
        .draw(|frame| draw(frame, app, now))
        .expect("it is memory");
    terminal.backend().buffer().clone()
}

/// A screen as lines without the blanks at their ends.
fn screen(app: &App, now: Instant, width: u16, height: u16) -> String {
    let buffer = drawn(app, now, width, height);
    let lines = (0..height).map(|y| {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        line.trim_end().to_owned() + "\n"
    });
    lines.collect()
}

fn assert_screen(drawn: &str, expected: &str) {
    assert!(drawn == expected, "it is\n{drawn}and not\n{expected}");
}

fn hear(app: &mut App, moment: Moment) {
    app.handle_news(News::Moment(Box::new(moment)), Instant::now());
}

#[test]
fn all_load_balancers_fit_80_columns() {
    let (app, now) = app(None, 42);
    let expected = include_str!("goldens/overview-80x24.txt");
    assert_screen(&screen(&app, now, 80, 24), expected);
}

#[test]
fn a_wide_screen_has_longer_bars() {
    let (app, now) = app(None, 42);
    let expected = include_str!("goldens/overview-120x40.txt");
    assert_screen(&screen(&app, now, 120, 40), expected);
}

#[test]
fn a_load_balancer_fits_80_columns() {
    let (app, now) = app(Some("web"), 42);
    let expected = include_str!("goldens/detail-80x24.txt");
    assert_screen(&screen(&app, now, 80, 24), expected);
}

#[test]
fn a_load_balancer_on_a_large_screen() {
    let (app, now) = app(Some("web"), 42);
    let expected = include_str!("goldens/detail-120x40.txt");
    assert_screen(&screen(&app, now, 120, 40), expected);
}

#[test]
fn old_numbers_stay_in_grey_with_the_reason() {
    let (mut app, now) = app(None, 3);
    let why = "cannot ask 127.0.0.1:9090: io: Connection refused".to_owned();
    app.handle_news(News::Lost(why, Duration::from_secs(4)), now);
    let text = screen(&app, now.after(Duration::from_secs(1)), 80, 24);
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].ends_with(" LOST"), "{text}");
    let expected = "old numbers, again in 3 s: cannot ask 127.0.0.1:9090: io: Connection refused";
    assert_eq!(lines[1], expected);
    assert!(text.contains("eu-west-1/shop"), "{text}");
    let buffer = drawn(&app, now, 80, 24);
    let is_grey = |y: u16| buffer[(0, y)].modifier.contains(Modifier::DIM);
    assert!(is_grey(3) && !is_grey(0) && !is_grey(23));
}

#[test]
fn without_colours_there_are_none() {
    let (mut app, now) = app(Some("web"), 3);
    let coloured = |app: &App| {
        let buffer = drawn(app, now, 120, 40);
        let mut cells = buffer.content.iter();
        cells.any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(coloured(&app));
    app.has_colours = false;
    assert!(!coloured(&app));
}

#[test]
fn the_nodes_of_a_cluster_are_told_in_the_first_line() {
    let (mut app, now) = app(None, 1);
    let cluster = ClusterGlance {
        node: "elbow-1".to_owned(),
        live: 1,
        known: 3,
        quorum: false,
        ready: true,
    };
    let with_nodes = Moment {
        cluster: Some(cluster),
        ..moment(1)
    };
    hear(&mut app, with_nodes);
    let screen = screen(&app, now, 120, 40);
    assert!(
        screen.contains("epoch 12  1/3 nodes, no quorum  "),
        "{screen}"
    );
}

#[test]
fn more_shards_than_fit_are_told_in_one_line() {
    let (mut app, now) = app(None, 1);
    let mut many = moment(1);
    let percents = (0..64_u8).map(f64::from).enumerate();
    many.shards = percents
        .map(|(number, percent)| shard(number, percent))
        .collect();
    hear(&mut app, many);
    let text = screen(&app, now, 80, 24);
    assert!(
        text.contains("and 60 more shards, the busiest at 63 %, 7200 connections"),
        "{text}"
    );
}

#[test]
fn the_selected_line_is_always_on_the_screen() {
    let (mut app, now) = app(None, 1);
    let mut many = moment(1);
    let web = many.load_balancers[0].clone();
    many.load_balancers = (0..100)
        .map(|number| LoadBalancerMoment {
            name: format!("lb-{number:03}"),
            ..web.clone()
        })
        .collect();
    hear(&mut app, many);
    app.handle_key(KeyEvent::new(KeyCode::End, KeyModifiers::NONE));
    let text = screen(&app, now, 80, 24);
    assert!(
        text.contains(">lb-099") && !text.contains("lb-000"),
        "{text}"
    );
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let (first, now) = app(None, 0);
    assert!(screen(&first, now, 80, 24).contains("waits for the first second"));
    let mut nothing = moment(1);
    nothing.load_balancers.clear();
    let (mut web, now) = app(Some("web"), 1);
    hear(&mut web, nothing.clone());
    assert!(screen(&web, now, 80, 24).contains("web is not there any more"));
    let (mut all, now) = app(None, 1);
    hear(&mut all, nothing);
    assert!(screen(&all, now, 80, 24).contains("no load balancer yet"));
    all.handle_key(KeyEvent::new(KeyCode::Char('?'), KeyModifiers::NONE));
    assert!(screen(&all, now, 80, 24).contains("open the load balancer"));
}

#[test]
fn no_screen_is_too_small() {
    for wanted in [None, Some("web")] {
        let (mut app, now) = app(wanted, 5);
        for lost in [false, true] {
            for (width, height) in [
                (1, 1),
                (3, 2),
                (10, 3),
                (20, 5),
                (39, 11),
                (80, 6),
                (500, 200),
            ] {
                drawn(&app, now, width, height);
            }
            if !lost {
                app.handle_news(News::Lost("why".to_owned(), Duration::ZERO), now);
            }
        }
    }
}
