//! Where shards give lines of the access log to whoever writes them.
//!
//! Invariant: giving never waits.

use std::sync::mpsc::SyncSender;

use crate::access_log::ToWrite;
use crate::config::Format;

/// A shard's end of it.
#[derive(Debug, Clone)]
pub struct Outlet {
    /// Takes lines, unless too many wait there already.
    pub to_write: SyncSender<ToWrite>,
    /// How they are to be written.
    pub format: Format,
    /// There is a place where those of all load balancers go.
    pub has_sink: bool,
    /// There is a place for files of load balancers' own.
    pub keeps: bool,
}
