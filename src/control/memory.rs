//! What outlives the process: each load balancer's view, in `view.json` of the state directory.
//!
//! Lives stay open in the file as elbow ends: the process that starts next takes them up, and its
//! first checks have the last word. Without a directory nothing is kept. Invariants: the file is
//! whole at every moment (it is written beside and renamed), one write runs at a time, and what is
//! newest in the end is what was newest in memory. A write that fails is told once until one
//! succeeds again, and the next change tries anew.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::{self, JoinHandle};
use tokio::time;

use super::durable;
use crate::health::View;
use crate::state::{ControlLine, Remembered};

/// The file's name in the state directory.
const FILE: &str = "view.json";

/// What the file is written as, and the only version that is read.
const VERSION: u32 = 1;

/// How long the end of the process waits for what is not written yet.
const LAST_WRITE: Duration = Duration::from_secs(2);

/// The views of all load balancers, as [`State::remembered`](crate::state::State::remembered)
/// shares them.
type Views = BTreeMap<Arc<str>, Arc<View>>;

/// What the file says about itself, whatever else is in it.
#[derive(Deserialize)]
struct Envelope {
    version: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    #[serde(rename = "version")]
    _version: u32,
    load_balancers: Remembered,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    load_balancers: BTreeMap<&'a str, &'a View>,
}

/// What an earlier process left in `state_dir`; nothing if it left nothing, or without a directory.
///
/// # Errors
/// If the file cannot be read, is damaged or of another version. It is never changed then.
pub fn load(state_dir: Option<&Path>) -> io::Result<Remembered> {
    let Some(file) = state_dir.map(|directory| directory.join(FILE)) else {
        return Ok(Remembered::new());
    };
    let told = |kind, problem: String| {
        let file = file.display();
        let advice = "to start without it, move it away: sessions that had moved then go back to \
                      backends that came back";
        io::Error::new(kind, format!("{file}: {problem}; {advice}"))
    };
    match fs::read(&file) {
        Ok(text) => parse(&text).map_err(|problem| told(io::ErrorKind::InvalidData, problem)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Remembered::new()),
        Err(error) => Err(told(error.kind(), error.to_string())),
    }
}

fn parse(text: &[u8]) -> Result<Remembered, String> {
    let damaged = |error: serde_json::Error| format!("is damaged: {error}");
    let Envelope { version } = serde_json::from_slice(text).map_err(damaged)?;
    if version != VERSION {
        return Err(format!(
            "is of version {version}, this elbow reads {VERSION}"
        ));
    }
    let Read { load_balancers, .. } = serde_json::from_slice(text).map_err(damaged)?;
    for (name, view) in &load_balancers {
        // To take in all of it must give the same: a chronicle in order and within its bounds.
        let mut taken_in = View::default();
        taken_in.merge(view);
        if taken_in != *view {
            return Err(format!("is damaged: the lives of {name} are out of order"));
        }
    }
    Ok(load_balancers)
}

/// Keeps the file like the memory.
#[derive(Debug)]
pub(super) struct Memory {
    /// `None`: without a directory.
    keeper: Option<Keeper>,
}

#[derive(Debug)]
struct Keeper {
    latest: watch::Sender<Views>,
    writer: JoinHandle<()>,
}

impl Memory {
    /// Writes `views` and whatever [`note`](Self::note) brings after them.
    pub(super) fn new(state_dir: Option<PathBuf>, views: Views, counts: Arc<ControlLine>) -> Self {
        let keeper = state_dir.map(|directory| {
            let (latest, mut newest) = watch::channel(views);
            newest.mark_changed();
            let writer = tokio::spawn(keep(directory, newest, counts));
            Keeper { latest, writer }
        });
        Self { keeper }
    }

    /// The views have changed.
    pub(super) fn note(&self, views: Views) {
        if let Some(keeper) = &self.keeper {
            keeper.latest.send_replace(views);
        }
    }

    /// Waits until all is written, for a little while.
    pub(super) async fn finish(self) {
        let Some(Keeper { latest, writer }) = self.keeper else {
            return;
        };
        drop(latest);
        if time::timeout(LAST_WRITE, writer).await.is_err() {
            tracing::error!("the view was not written in time");
        }
    }
}

/// Writes what is newest until nothing newer can come.
async fn keep(directory: PathBuf, mut newest: watch::Receiver<Views>, counts: Arc<ControlLine>) {
    let mut is_failing = false;
    while newest.changed().await.is_ok() {
        let views = newest.borrow_and_update().clone();
        let place = directory.clone();
        let written = task::spawn_blocking(move || write(&place, &views)).await;
        match written.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            Ok(()) => is_failing = false,
            Err(error) => {
                counts.view_write_errors.add(1);
                if !std::mem::replace(&mut is_failing, true) {
                    let file = directory.join(FILE);
                    tracing::error!(%error, file = %file.display(), "the view cannot be kept");
                }
            }
        }
    }
}

fn write(directory: &Path, views: &Views) -> io::Result<()> {
    let written = Written {
        version: VERSION,
        load_balancers: views
            .iter()
            .map(|(name, view)| (&**name, &**view))
            .collect(),
    };
    durable::replace(directory, FILE, &serde_json::to_vec(&written)?)
}

#[cfg(test)]
mod tests;
