//! How a backend leaves: first its sessions end, then its requests.
//!
//! ```text
//!   in service ──► Sessions ─no session left, or deadline─► Connections ─nothing in flight,─► gone
//!        └───────────────── drain_mode = "connections" ──────────┘        or time is over
//! ```
//!
//! Not here: what follows for the view and the shards (`pool.rs`). Invariant: both stages end.

use std::time::Duration;

use super::progress::{DrainEnd, Progress};
use super::rows::Stage;

/// A backend's way out.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) began_ms: u64,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// It still takes the requests of its own sessions.
    Sessions(Progress),
    /// Requests in flight may finish until then.
    Connections {
        /// How the sessions ended, if they were waited for, and how that went.
        sessions: Option<(Progress, DrainEnd)>,
        since_ms: u64,
        until_ms: u64,
    },
}

/// What a drain looks like, apart from names.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    pub(super) sessions_at_start: u64,
    pub(super) sessions_left: u64,
    pub(super) left_percent: u8,
    pub(super) half_life: Option<Duration>,
    pub(super) ends_in: Option<Duration>,
    pub(super) deadline_in: Duration,
}

impl Departure {
    pub(super) fn takes_sessions(&self) -> bool {
        matches!(self.phase, Phase::Sessions(_))
    }

    pub(super) fn stage(&self) -> Stage {
        match self.phase {
            Phase::Sessions(_) => Stage::Sessions,
            Phase::Connections { .. } => Stage::Connections,
        }
    }

    /// How its sessions ended, if they were waited for.
    pub(super) fn end_of_sessions(&self) -> Option<DrainEnd> {
        match &self.phase {
            Phase::Connections {
                sessions: Some((_, end)),
                ..
            } => Some(*end),
            _ => None,
        }
    }

    pub(super) fn picture(&self, now_ms: u64) -> Picture {
        let left = |until_ms: u64| Duration::from_millis(until_ms.saturating_sub(now_ms));
        match &self.phase {
            Phase::Sessions(progress) => Picture {
                half_life: progress.half_life(),
                ends_in: progress.ends_in(now_ms),
                deadline_in: left(progress.deadline_ms()),
                ..Picture::of(progress)
            },
            Phase::Connections {
                sessions, until_ms, ..
            } => Picture {
                ends_in: Some(left(*until_ms)),
                deadline_in: left(*until_ms),
                ..sessions
                    .as_ref()
                    .map_or_else(Picture::default, |(progress, _)| Picture::of(progress))
            },
        }
    }
}

impl Picture {
    fn of(progress: &Progress) -> Self {
        Self {
            sessions_at_start: progress.sessions_at_start(),
            sessions_left: progress.left(),
            left_percent: progress.left_percent(),
            ..Self::default()
        }
    }
}
