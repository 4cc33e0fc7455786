use ratatui::crossterm::event::KeyCode::{Backspace, Char, Down, End, Enter, Esc, Home, Up};

use super::*;
use crate::cli::top::sample::{app, balancer, moment, status, whole_moment};

fn press(app: &mut App, key: KeyCode) -> Wish {
    app.handle_key(KeyEvent::new(key, KeyModifiers::NONE))
}

fn hear(app: &mut App, moment: Moment) {
    let news = News::Moment(Box::new(moment));
    assert_eq!(app.handle_news(news, Instant::now()), Wish::GoOn);
}

fn names(app: &App) -> Vec<&str> {
    let balancers = app.load_balancers().into_iter();
    balancers.map(|balancer| &*balancer.name).collect()
}

#[test]
fn the_selection_follows_the_name_and_stays_within_the_list() {
    let (mut app, _) = app(None, 1);
    assert_eq!(names(&app), ["eu-west-1/shop", "mail", "web"]);
    for (key, expected) in [
        (Up, 0),
        (Down, 1),
        (Char('j'), 2),
        (Char('j'), 2),
        (Char('k'), 1),
        (End, 2),
        (Home, 0),
        (Down, 1),
    ] {
        press(&mut app, key);
        assert_eq!(app.selected_index(), expected, "{key:?}");
    }
    let mut more = moment(1);
    more.load_balancers.push(balancer("api", 1.0));
    hear(&mut app, more);
    assert_eq!(names(&app)[app.selected_index()], "mail");
    let mut fewer = moment(2);
    fewer
        .load_balancers
        .retain(|balancer| balancer.name != "mail");
    hear(&mut app, fewer);
    assert_eq!(app.selected_index(), 0, "what is gone is not selected");
}

#[test]
fn lines_are_sorted_by_the_column_that_is_chosen() {
    let (mut app, _) = app(None, 2);
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push((app.order.name(), names(&app)[0].to_owned()));
        press(&mut app, Char('s'));
    }
    let tops: Vec<_> = orders.iter().map(|(by, top)| (*by, &**top)).collect();
    assert_eq!(tops[0], ("name", "eu-west-1/shop"));
    assert_eq!(tops[1], ("req/s", "eu-west-1/shop"));
    assert_eq!(tops[6], ("sessions", "eu-west-1/shop"));
    assert_eq!(tops[7], tops[0], "after the last comes the first");
    let mut busy = moment(3);
    busy.load_balancers[0].waiting = 99;
    hear(&mut app, busy);
    app.order = Order::Waiting;
    assert_eq!(names(&app), ["web", "eu-west-1/shop", "mail"]);
}

#[test]
fn a_load_balancer_is_opened_and_closed() {
    let (mut app, _) = app(None, 1);
    press(&mut app, End);
    let opened = press(&mut app, Enter);
    assert_eq!(opened, Wish::Watch(Some("web".to_owned())));
    assert_eq!(app.view, View::Detail("web".to_owned()));
    assert_eq!(app.hearing, Hearing::Waiting);
    let known = app.load_balancer().expect("the overview has it");
    assert!(known.backends.is_empty(), "its instances are yet to come");
    hear(&mut app, whole_moment(1));
    assert_eq!(app.instances().len(), 3);
    press(&mut app, Char('s'));
    press(&mut app, Down);
    assert_eq!(
        app.instances()[app.selected_instance_index()].backend,
        "i-3"
    );
    assert_eq!(press(&mut app, Enter), Wish::GoOn, "nothing lies deeper");
    for back in [Esc, Backspace, Char('h')] {
        assert_eq!(press(&mut app, back), Wish::Watch(None));
        assert_eq!(app.view, View::Overview);
        assert_eq!(names(&app)[app.selected_index()], "web");
        press(&mut app, Enter);
    }
    press(&mut app, Esc);
    assert_eq!(press(&mut app, Esc), Wish::GoOn, "nothing lies above");
}

#[test]
fn one_that_is_asked_for_is_open_from_the_start() {
    let (mut app, _) = app(Some("web"), 2);
    assert_eq!(app.load_balancer().map(|b| b.backends.len()), Some(3));
    assert_eq!(press(&mut app, Esc), Wish::Watch(None));
    assert!(app.moment().is_none(), "the others were not asked for yet");
}

#[test]
fn numbers_stay_while_they_are_paused_or_nothing_is_heard() {
    let (mut app, now) = app(None, 1);
    let at_ms = |app: &App| app.moment().map(|moment| moment.at_ms);
    let first = at_ms(&app);
    press(&mut app, Char('p'));
    hear(&mut app, moment(1));
    assert_eq!(at_ms(&app), first);
    press(&mut app, Char('p'));
    hear(&mut app, moment(2));
    assert_ne!(at_ms(&app), first);
    let heard = app.requests_of("web").expect("it is there").last(3);
    assert!(
        heard.iter().all(Option::is_some),
        "what was paused is known"
    );

    let last = at_ms(&app);
    let lost = News::Lost("it is gone".to_owned(), Duration::from_secs(2));
    assert_eq!(app.handle_news(lost, now), Wish::GoOn);
    let again = now.after(Duration::from_secs(2));
    let why = "it is gone".to_owned();
    assert_eq!(app.hearing, Hearing::Lost { why, again });
    assert_eq!(at_ms(&app), last);
    app.handle_news(News::Opened(Box::new(status())), now);
    assert!(
        matches!(app.hearing, Hearing::Lost { .. }),
        "until a number is there"
    );
    hear(&mut app, moment(9));
    assert_eq!(app.hearing, Hearing::Live);
}

#[test]
fn what_is_refused_for_good_ends_it_with_the_reason() {
    let (mut app, now) = app(Some("web"), 1);
    let refused = News::Refused("there is no load balancer web".to_owned());
    let expected = Wish::End(Err("there is no load balancer web".to_owned()));
    assert_eq!(app.handle_news(refused, now), expected);
}

#[test]
fn q_and_ctrl_c_end_it_well_wherever_it_is() {
    let ctrl_c = KeyEvent::new(Char('c'), KeyModifiers::CONTROL);
    let q = KeyEvent::new(Char('q'), KeyModifiers::NONE);
    for key in [ctrl_c, q] {
        let (mut app, _) = app(None, 0);
        press(&mut app, Char('?'));
        assert!(app.shows_keys);
        assert_eq!(app.handle_key(key), Wish::End(Ok(())));
    }
    let (mut app, _) = app(None, 1);
    press(&mut app, Char('?'));
    assert_eq!(press(&mut app, Enter), Wish::GoOn, "a key ends the help");
    assert!(!app.shows_keys);
    assert_eq!(press(&mut app, Char('c')), Wish::GoOn);
}

#[test]
fn late_sweeps_of_a_minute_are_added_up() {
    let (app, _) = app(None, 90);
    assert_eq!(
        [0, 1, 2].map(|shard| app.sweeps_late_of(shard)),
        [0.0, 60.0, 0.0]
    );
}
