//! The thread that writes the access log.
//!
//! It may wait for a disk, a pipe or a syslog; nobody waits for it, but for a moment at the end.
//! Not what is in a line (`access_log`), and not the files of load balancers
//! (`access_log/buckets.rs`). Invariants: a line is written whole or not at all, wherever that can
//! be; one that could not be written is counted.

mod buckets;
mod sink;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tokio::signal::unix::Signal;

use crate::access_log::{Lines, ToWrite};
use crate::config::{self, Format};
use crate::limits::{
    LOG_BATCHES_WAITING, LOG_COMPLAINT_INTERVAL, LOG_FINISH_INTERVAL, LOG_FINISH_PATIENCE,
    SWEEP_INTERVAL,
};
use crate::state::WriterLine;
use crate::sys::thread::pause;
use crate::sys::{Instant, Outlet, unix_micros};
use buckets::Buckets;
use sink::OpenSink;

/// The tie to the thread.
#[derive(Debug)]
pub struct AccessLog {
    to_write: SyncSender<ToWrite>,
    format: Format,
    has_sink: bool,
    keeps: bool,
    /// What it counts.
    pub counts: Arc<WriterLine>,
    thread: JoinHandle<()>,
}

impl AccessLog {
    /// Opens what lines go to and starts the thread; `None`: there is nothing that they go to.
    /// Load balancers are of `region` unless their name says another.
    ///
    /// # Errors
    /// What cannot be opened.
    pub fn start(config: &config::AccessLog, region: &str) -> Result<Option<Self>, String> {
        if config.to.is_none() && config.directory.is_none() {
            return Ok(None);
        }
        let sink = config.to.clone().map(OpenSink::open).transpose()?;
        let buckets = config
            .directory
            .clone()
            .map(|directory| Buckets::new(directory, region));
        let (to_write, orders) = sync_channel(LOG_BATCHES_WAITING);
        let counts = Arc::new(WriterLine::default());
        let (has_sink, keeps) = (sink.is_some(), buckets.is_some());
        let writer = Writer {
            sink,
            buckets,
            counts: Arc::clone(&counts),
            complained: None,
        };
        let thread = thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || writer.run(&orders))
            .map_err(|error| error.to_string())?;
        Ok(Some(Self {
            to_write,
            format: config.format,
            has_sink,
            keeps,
            counts,
            thread,
        }))
    }

    /// A shard's end of it.
    pub fn outlet(&self) -> Outlet {
        Outlet {
            to_write: self.to_write.clone(),
            format: self.format,
            has_sink: self.has_sink,
            keeps: self.keeps,
        }
    }

    /// Waits until all that shards have is written, or until it has taken too long: a pipe may have
    /// nobody at its other end. Nothing may run any more.
    pub fn finish(self) {
        // Shards hand over what they have with their next look.
        pause(2 * SWEEP_INTERVAL);
        let deadline = Instant::now().after(LOG_FINISH_PATIENCE);
        let mut is_told = false;
        while !self.thread.is_finished() {
            if deadline <= Instant::now() {
                return tracing::error!("the access log is left as it is: writing takes too long");
            }
            is_told = is_told || self.to_write.try_send(ToWrite::End).is_ok();
            pause(LOG_FINISH_INTERVAL);
        }
    }
}

/// Has the file opened again at each signal, as it was moved away.
pub(super) async fn reopen_at(mut signals: Signal, outlet: Option<Outlet>) {
    while signals.recv().await.is_some() {
        let Some(outlet) = &outlet else {
            continue;
        };
        match outlet.to_write.try_send(ToWrite::Reopen) {
            Ok(()) => tracing::info!("the access log is opened again"),
            Err(_) => tracing::warn!("the access log is not opened again: too much waits there"),
        }
    }
}

struct Writer {
    sink: Option<OpenSink>,
    buckets: Option<Buckets>,
    counts: Arc<WriterLine>,
    /// When it was last said in the other log that this one cannot be written.
    complained: Option<Instant>,
}

impl Writer {
    fn run(mut self, orders: &Receiver<ToWrite>) {
        while let Ok(order) = orders.recv() {
            match order {
                ToWrite::Lines(lines) => {
                    let done = self.write(&lines);
                    self.settle(&lines, done);
                }
                ToWrite::Reopen => {
                    let done = self.sink.as_mut().map_or(Ok(()), OpenSink::reopen);
                    self.settle(&Lines::default(), done);
                }
                ToWrite::End => return,
            }
        }
    }

    fn write(&mut self, lines: &Lines) -> io::Result<()> {
        match (&lines.of, &mut self.sink, &mut self.buckets) {
            (None, Some(sink), _) => sink.write(&lines.text),
            (Some((name, attributes)), _, Some(buckets)) => {
                buckets.write(name, attributes, &lines.text, unix_micros() / 1_000_000)
            }
            (None, None, _) | (Some(_), _, None) => Ok(()),
        }
    }

    fn settle(&mut self, lines: &Lines, done: io::Result<()>) {
        let Err(error) = done else {
            return self.counts.written.add(lines.count);
        };
        self.counts.lost.add(lines.count);
        let now = Instant::now();
        let is_due = |before: Instant| now.since(before) >= LOG_COMPLAINT_INTERVAL;
        if self.complained.is_none_or(is_due) {
            self.complained = Some(now);
            tracing::error!(%error, lines = lines.count, "the access log cannot be written");
        }
    }
}
