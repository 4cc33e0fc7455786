//! What came of reading the configuration again, for whoever asked for it.
//!
//! Not the log, which tells the same of every reload (`setup.rs`). The JSON is that of
//! `POST /v1/reload`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a reload has to say.
pub(super) type Outcome = Result<Reloaded, Unchanged>;

/// The configuration was read and is in force. Names are those of load balancers, in the order of
/// the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reloaded {
    /// Those that are new.
    pub added: Vec<String>,
    /// Those that are otherwise now.
    pub changed: Vec<String>,
    /// Those that are gone.
    pub removed: Vec<String>,
    /// How many are as they were.
    pub unchanged: usize,
    /// The sections that say something else than at the start, when alone they are looked at.
    pub needs_restart: Vec<String>,
}

/// Why nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unchanged {
    /// There is no file.
    NoFile,
    /// The configuration does not hold: a line for each problem, at least one.
    Problems(Vec<String>),
}
