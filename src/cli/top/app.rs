//! What `elbow top` shows: the last numbers and how it came to them, what is selected, how it is
//! sorted.
//!
//! Pure: keys, news and the time come in, and a [`Wish`] comes out. Invariant: numbers stay until
//! newer ones are there, and whether they are of now is told beside them.

mod sort;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

pub(super) use self::sort::{InstanceOrder, Order};
use super::feed::News;
use super::history::History;
use crate::control::{BackendMoment, LoadBalancerMoment, Moment, ProcessStatus};
use crate::sys::Instant;

/// Load balancers whose requests are kept in mind; those beyond it have no bars.
const HISTORIES_MAX: usize = 4_096;

/// What is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum View {
    /// The shards and all load balancers.
    Overview,
    /// The load balancer of this name.
    Detail(String),
}

/// Whether the numbers are of now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hearing {
    /// The stream has been asked for, and nothing has come yet.
    Waiting,
    /// Each second.
    Live,
    /// Not any more, for this reason; it is asked again then.
    Lost { why: String, again: Instant },
}

/// What is to be done about what has happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Nothing but to draw it.
    GoOn,
    /// To listen to that load balancer, or to all.
    Watch(Option<String>),
    /// To end, well or with this reason.
    End(Result<(), String>),
}

/// The process that is watched.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) version: String,
    uptime: Duration,
    asked: Instant,
}

impl Process {
    pub(super) fn uptime(&self, now: Instant) -> Duration {
        self.uptime + now.since(self.asked)
    }
}

/// All that is drawn.
#[derive(Debug)]
pub(super) struct App {
    pub(super) address: SocketAddr,
    pub(super) has_colours: bool,
    pub(super) view: View,
    pub(super) hearing: Hearing,
    pub(super) process: Option<Process>,
    /// The last moment of all load balancers.
    overview: Option<Moment>,
    /// The last moment of the one that is open.
    detail: Option<Moment>,
    pub(super) is_paused: bool,
    pub(super) shows_keys: bool,
    pub(super) order: Order,
    pub(super) instance_order: InstanceOrder,
    selected: Option<String>,
    selected_instance: Option<String>,
    requests: BTreeMap<String, History>,
    /// By number of the shard.
    sweeps_late: Vec<History>,
}

impl App {
    /// Shows that load balancer first, or all.
    pub(super) fn new(address: SocketAddr, wanted: Option<String>, has_colours: bool) -> Self {
        Self {
            address,
            has_colours,
            selected: wanted.clone(),
            view: wanted.map_or(View::Overview, View::Detail),
            hearing: Hearing::Waiting,
            process: None,
            overview: None,
            detail: None,
            is_paused: false,
            shows_keys: false,
            order: Order::Name,
            instance_order: InstanceOrder::Name,
            selected_instance: None,
            requests: BTreeMap::new(),
            sweeps_late: Vec::new(),
        }
    }

    /// What the stream of what is on the screen has to tell.
    pub(super) fn handle_news(&mut self, news: News, now: Instant) -> Wish {
        match news {
            News::Opened(status) => self.set_process(&status, now),
            News::Moment(moment) => {
                self.hearing = Hearing::Live;
                self.remember(&moment);
                if !self.is_paused {
                    self.show(*moment);
                }
            }
            News::Lost(why, wait) => {
                let again = now.after(wait);
                self.hearing = Hearing::Lost { why, again };
            }
            News::Refused(why) => return Wish::End(Err(why)),
        }
        Wish::GoOn
    }

    fn set_process(&mut self, status: &ProcessStatus, now: Instant) {
        self.process = Some(Process {
            version: status.version.clone(),
            uptime: Duration::from_secs(status.uptime_seconds),
            asked: now,
        });
    }

    fn remember(&mut self, moment: &Moment) {
        for balancer in &moment.load_balancers {
            let has_room = self.requests.len() < HISTORIES_MAX;
            if has_room || self.requests.contains_key(&balancer.name) {
                let history = self.requests.entry(balancer.name.clone()).or_default();
                history.add(moment.at_ms, requests(balancer));
            }
        }
        if self.view == View::Overview {
            // Those that are deleted; one load balancer says nothing of the others.
            let is_there = |name: &String| moment.load_balancers.iter().any(|b| b.name == *name);
            self.requests.retain(|name, _| is_there(name));
        }
        let shards = moment.shards.len();
        self.sweeps_late.resize_with(shards, History::default);
        for (history, shard) in self.sweeps_late.iter_mut().zip(&moment.shards) {
            let late = u32::try_from(shard.sweeps_late).unwrap_or(u32::MAX);
            history.add(moment.at_ms, f64::from(late));
        }
    }

    fn show(&mut self, moment: Moment) {
        match self.view {
            View::Overview => self.overview = Some(moment),
            View::Detail(_) => self.detail = Some(moment),
        }
    }

    /// A key was pressed.
    pub(super) fn handle_key(&mut self, key: KeyEvent) -> Wish {
        if key.kind == KeyEventKind::Release {
            return Wish::GoOn;
        }
        let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c' | 'd') if has_control => return Wish::End(Ok(())),
            KeyCode::Char('q') => return Wish::End(Ok(())),
            _ if self.shows_keys => self.shows_keys = false,
            KeyCode::Char('?') => self.shows_keys = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') => match self.view {
                View::Overview => self.order = self.order.next(),
                View::Detail(_) => self.instance_order = self.instance_order.next(),
            },
            KeyCode::Char('j') | KeyCode::Down => self.select(1),
            KeyCode::Char('k') | KeyCode::Up => self.select(-1),
            KeyCode::PageDown => self.select(10),
            KeyCode::PageUp => self.select(-10),
            KeyCode::Home | KeyCode::Char('g') => self.select(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.select(isize::MAX),
            KeyCode::Enter | KeyCode::Char('l') | KeyCode::Right => return self.open(),
            KeyCode::Esc | KeyCode::Backspace | KeyCode::Left | KeyCode::Char('h') => {
                return self.close();
            }
            _ => {}
        }
        Wish::GoOn
    }

    fn open(&mut self) -> Wish {
        let (View::Overview, Some(name)) = (&self.view, self.selected_name()) else {
            return Wish::GoOn;
        };
        let name = name.to_owned();
        self.selected = Some(name.clone());
        self.selected_instance = None;
        self.detail = None;
        self.turn_to(View::Detail(name.clone()));
        Wish::Watch(Some(name))
    }

    fn close(&mut self) -> Wish {
        if self.view == View::Overview {
            return Wish::GoOn;
        }
        self.turn_to(View::Overview);
        Wish::Watch(None)
    }

    fn turn_to(&mut self, view: View) {
        self.view = view;
        self.hearing = Hearing::Waiting;
        self.is_paused = false;
    }

    /// Goes so many lines on, as far as there are any.
    fn select(&mut self, lines: isize) {
        match self.view {
            View::Overview => {
                let names = self.load_balancers();
                let index = beside(self.selected_index(), lines, names.len());
                self.selected = names.get(index).map(|balancer| balancer.name.clone());
            }
            View::Detail(_) => {
                let instances = self.instances();
                let index = beside(self.selected_instance_index(), lines, instances.len());
                let instance = instances.get(index);
                self.selected_instance = instance.map(|instance| instance.backend.clone());
            }
        }
    }

    /// The last moment of what is on the screen.
    pub(super) fn moment(&self) -> Option<&Moment> {
        match self.view {
            View::Overview => self.overview.as_ref(),
            View::Detail(_) => self.detail.as_ref(),
        }
    }

    /// The last moment of whatever was on the screen last.
    pub(super) fn latest(&self) -> Option<&Moment> {
        let both = [self.overview.as_ref(), self.detail.as_ref()];
        both.into_iter().flatten().max_by_key(|moment| moment.at_ms)
    }

    /// All load balancers, sorted.
    pub(super) fn load_balancers(&self) -> Vec<&LoadBalancerMoment> {
        let balancers = self.overview.iter().flat_map(|m| &m.load_balancers);
        let mut balancers: Vec<_> = balancers.collect();
        self.order.sort(&mut balancers);
        balancers
    }

    /// The load balancer that is open; from its own stream, or else as the overview has it.
    pub(super) fn load_balancer(&self) -> Option<&LoadBalancerMoment> {
        let View::Detail(name) = &self.view else {
            return None;
        };
        let moment = self.detail.as_ref().or(self.overview.as_ref())?;
        moment.load_balancers.iter().find(|b| b.name == *name)
    }

    /// Its instances, sorted.
    pub(super) fn instances(&self) -> Vec<&BackendMoment> {
        let instances = self.load_balancer().into_iter().flat_map(|b| &b.backends);
        let mut instances: Vec<_> = instances.collect();
        self.instance_order.sort(&mut instances);
        instances
    }

    /// The line of the load balancer that is selected, or would be.
    pub(super) fn selected_index(&self) -> usize {
        let is_selected = |b: &&LoadBalancerMoment| Some(&b.name) == self.selected.as_ref();
        let mut names = self.load_balancers().into_iter();
        names.position(|b| is_selected(&b)).unwrap_or(0)
    }

    fn selected_name(&self) -> Option<&str> {
        let balancers = self.load_balancers();
        let selected = balancers.get(self.selected_index())?;
        Some(&selected.name)
    }

    /// The line of the instance that is selected, or would be.
    pub(super) fn selected_instance_index(&self) -> usize {
        let selected = self.selected_instance.as_ref();
        let mut instances = self.instances().into_iter();
        let index = instances.position(|instance| Some(&instance.backend) == selected);
        index.unwrap_or(0)
    }

    /// How many requests that load balancer had from second to second.
    pub(super) fn requests_of(&self, load_balancer: &str) -> Option<&History> {
        self.requests.get(load_balancer)
    }

    /// Sweeps of that shard that came late in the last minute, as far as they were heard of.
    pub(super) fn sweeps_late_of(&self, shard: usize) -> f64 {
        let history = self.sweeps_late.get(shard);
        history.map_or(0.0, |history| history.sum(60))
    }
}

/// Requests and relayed connections in a second.
pub(super) fn requests(balancer: &LoadBalancerMoment) -> f64 {
    balancer.requests_per_second + balancer.relays_per_second
}

/// The line that is so many on from `index`, of `count`.
fn beside(index: usize, lines: isize, count: usize) -> usize {
    index
        .saturating_add_signed(lines)
        .min(count.saturating_sub(1))
}

#[cfg(test)]
mod tests;
