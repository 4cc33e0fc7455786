//! The loop of `elbow top` on a terminal: what happens goes to the app, and the app to the screen.
//!
//! Not what a key or a moment means (`app.rs`), and not how it looks (`draw.rs`).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ratatui::crossterm::event::Event;

use super::Top;
use super::app::{App, Wish};
use super::draw::draw;
use super::feed::{Feed, Moments, News};
use super::terminal::{Screen, tell_keys, tell_signals};
use crate::cli::ask::{Asked, Client, Silence, parse};
use crate::sys::Instant;

/// What has happened and was not looked at yet; whoever has more to tell waits.
const HAPPENINGS_MAX: usize = 64;

/// How often the screen is drawn while nothing happens: it tells how long it waits.
const TICK: Duration = Duration::from_secs(1);

/// What the loop waits for.
#[derive(Debug)]
pub(super) enum Happening {
    /// A key, or another size.
    Terminal(Event),
    /// Something of the feed with this number.
    News(u64, News),
    /// A signal, or a terminal that is gone.
    Ended,
}

/// Feeds, of which the latest counts.
struct Feeds {
    client: Arc<Client>,
    number: u64,
    happenings: SyncSender<Happening>,
}

impl Feeds {
    fn start(&mut self, wanted: Option<String>, first: Option<Moments>) -> Feed {
        self.number += 1;
        let (number, to) = (self.number, self.happenings.clone());
        let tell = move |news| to.send(Happening::News(number, news)).is_ok();
        Feed::start(Arc::clone(&self.client), wanted, first, tell)
    }
}

/// Watches until somebody ends it, or elbow refuses.
pub(super) fn watch(flags: &Top, client: Client) -> Asked<()> {
    // Whether there is anybody to watch is told before the terminal is taken.
    let status = parse(&client.get("/v1/status", &[])?)?;
    let wanted = flags.load_balancer.clone();
    let moments = Moments::open(&client, wanted.as_deref()).map_err(Silence::into_clause)?;
    let colours = anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never;
    let mut app = App::new(flags.admin, wanted.clone(), colours);
    app.handle_news(News::Opened(Box::new(status)), Instant::now());

    let (sender, happenings) = sync_channel(HAPPENINGS_MAX);
    let told = |error: io::Error| format!("cannot use this terminal (see --once): {error}");
    tell_signals(sender.clone()).map_err(told)?;
    let mut screen = Screen::take().map_err(told)?;
    tell_keys(sender.clone());
    let mut feeds = Feeds {
        client: Arc::new(client),
        number: 0,
        happenings: sender,
    };
    let mut feed = feeds.start(wanted, Some(moments));
    loop {
        let now = Instant::now();
        let drawn = screen.terminal.draw(|frame| draw(frame, &app, now));
        drawn.map_err(told)?;
        if screen.is_gone() {
            return Ok(());
        }
        let mut next = match happenings.recv_timeout(TICK) {
            Ok(happening) => Some(happening),
            Err(RecvTimeoutError::Timeout) if !feed.is_over() => None,
            Err(_) => return Err("what reads the stream has ended".to_owned()),
        };
        // All that is there is drawn at once.
        while let Some(happening) = next {
            let wish = match happening {
                Happening::Ended => return Ok(()),
                Happening::Terminal(Event::Key(key)) => app.handle_key(key),
                Happening::Terminal(_) => Wish::GoOn,
                Happening::News(number, news) if number == feeds.number => {
                    app.handle_news(news, Instant::now())
                }
                Happening::News(..) => Wish::GoOn,
            };
            match wish {
                Wish::GoOn => {}
                Wish::Watch(wanted) => feed = feeds.start(wanted, None),
                Wish::End(ending) => return ending,
            }
            next = happenings.try_recv().ok();
        }
    }
}
