//! The access log as a shard has it: records become lines, lines are gathered, and whoever writes
//! them gets many at a time.
//!
//! Not the writing, which may wait for a disk (`control::access_log`). Invariants: a shard never
//! waits for it; what cannot be taken is dropped and counted.

use std::cell::RefCell;
use std::sync::Arc;

use super::Shard;
use super::record::{Record, Slot};
use super::serve::Client;
use super::tls::Tls;
use crate::access_log::{Lines, ToWrite, Writer};
use crate::config::Logging;
use crate::limits::{LOG_BATCH_BYTES, RECORDS_FREE_MAX};
use crate::state::{Route, ShardLine};
use crate::sys::Outlet;

/// What one shard has of the log; nothing, where nobody takes lines.
#[derive(Debug, Default)]
pub(super) struct Log(Option<Gathering>);

#[derive(Debug)]
struct Gathering {
    outlet: Outlet,
    writer: RefCell<Writer>,
    /// Records that nobody uses, with their memory.
    #[expect(clippy::vec_box, reason = "a connection has it by one word")]
    free: RefCell<Vec<Box<Record>>>,
    /// For where all go.
    sink: RefCell<Lines>,
    /// For the files of load balancers that have some; those for which there is something.
    kept: RefCell<Vec<Lines>>,
}

impl Log {
    pub(super) fn new(outlet: Option<Outlet>) -> Self {
        Self(outlet.map(|outlet| Gathering {
            writer: RefCell::new(Writer::new(outlet.format)),
            outlet,
            free: RefCell::default(),
            sink: RefCell::default(),
            kept: RefCell::default(),
        }))
    }

    /// Begins the record of a request by what there is of its head, or of a connection (`None`),
    /// if there is a log that it belongs in.
    pub(super) fn begin(&self, slot: &Slot, route: &Route, head: Option<&[u8]>) {
        let Some(this) = &self.0 else {
            return;
        };
        let logging = &route.attributes.access_log;
        let is_kept = this.outlet.keeps && matches!(logging, Logging::Kept(_));
        if *logging == Logging::Off || !(is_kept || this.outlet.has_sink) {
            return;
        }
        let free = this.free.borrow_mut().pop();
        let mut record = Record::begin(free, route, head);
        record.is_kept = is_kept;
        slot.put(record);
    }

    /// Ends a record, if there is one, and has its line written.
    pub(super) fn end(&self, shard: &Shard, client: &Client<'_>) {
        let (Some(this), Some(record)) = (&self.0, client.record.take()) else {
            return;
        };
        this.write(shard, client, &record);
        let mut free = this.free.borrow_mut();
        if free.len() < RECORDS_FREE_MAX && record.is_small() {
            free.push(record);
        }
    }

    /// Hands over what has been gathered.
    pub(super) fn flush(&self, counts: &ShardLine) {
        let Some(this) = &self.0 else {
            return;
        };
        this.hand_over(&mut this.sink.borrow_mut(), counts);
        for mut lines in this.kept.borrow_mut().drain(..) {
            this.hand_over(&mut lines, counts);
        }
    }
}

impl Gathering {
    fn write(&self, shard: &Shard, client: &Client<'_>, record: &Record) {
        let epoch = shard.world().snapshot.epoch;
        let tls = client.stream.tls().and_then(Tls::agreed);
        let entry = record.entry(client.source(), tls, shard.index, epoch);
        let counts = shard.counts();
        let mut writer = self.writer.borrow_mut();
        if self.outlet.has_sink {
            let mut sink = self.sink.borrow_mut();
            writer.write(&entry, &mut sink.text);
            sink.count += 1;
            if sink.text.len() >= LOG_BATCH_BYTES {
                self.hand_over(&mut sink, counts);
            }
        }
        if record.is_kept {
            let mut kept = self.kept.borrow_mut();
            match place(&mut kept, shard, record.load_balancer()) {
                Some(at) => {
                    let lines = &mut kept[at];
                    writer.write(&entry, &mut lines.text);
                    lines.count += 1;
                    if lines.text.len() >= LOG_BATCH_BYTES {
                        self.hand_over(&mut kept.swap_remove(at), counts);
                    }
                }
                None => counts.log_lines_dropped.add(1),
            }
        }
    }

    fn hand_over(&self, lines: &mut Lines, counts: &ShardLine) {
        if lines.count == 0 {
            return;
        }
        let count = lines.count;
        let empty = Lines {
            text: Vec::with_capacity(lines.text.len().next_power_of_two()),
            ..Lines::default()
        };
        let full = std::mem::replace(lines, empty);
        if self.outlet.to_write.try_send(ToWrite::Lines(full)).is_err() {
            counts.log_lines_dropped.add(count);
        }
    }
}

/// Where the lines of a load balancer are gathered; `None`: it is gone.
fn place(kept: &mut Vec<Lines>, shard: &Shard, load_balancer: &str) -> Option<usize> {
    let is_it = |lines: &Lines| {
        lines
            .of
            .as_ref()
            .is_some_and(|(name, _)| **name == *load_balancer)
    };
    if let Some(at) = kept.iter().position(is_it) {
        return Some(at);
    }
    let world = shard.world();
    let mut routes = world.snapshot.routes.iter();
    let route = routes.find(|route| *route.load_balancer == *load_balancer)?;
    kept.push(Lines {
        of: Some((
            Arc::clone(&route.load_balancer),
            Arc::clone(&route.attributes),
        )),
        ..Lines::default()
    });
    Some(kept.len() - 1)
}
