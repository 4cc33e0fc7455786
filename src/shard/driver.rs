//! The runtime of one shard, on the best driver that the kernel grants.
//!
//! Each level is tried from the top; a refusal (an old kernel, a seccomp profile, a memlock limit)
//! leads one step down. Which one runs is logged and is a metric.

use std::future::Future;
use std::io;

use monoio::time::TimeDriver;
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use crate::config::Driver;
use crate::limits::{RING_ENTRIES, RING_ENTRIES_MIN};

/// Completion entries per submission entry: with several operations a connection in flight, the
/// ring must not overflow.
const COMPLETIONS_PER_ENTRY: u32 = 8;

/// How a shard does its I/O, from the plainest to the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// epoll.
    Epoll,
    /// io_uring without flags, for kernels before 5.19.
    Uring,
    /// io_uring with `COOP_TASKRUN` and `SINGLE_ISSUER` (6.0).
    UringCoop,
    /// io_uring that also defers completions to the shard's own waits (`DEFER_TASKRUN`, 6.1).
    UringDefer,
}

impl Level {
    /// The names for logs and metrics, in the order of their index.
    pub const NAMES: [&'static str; 4] = ["epoll", "uring", "uring+coop", "uring+defer"];

    /// The name for logs and metrics.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    fn ring(self, entries: u32) -> io_uring::Builder {
        let mut ring = io_uring::IoUring::builder();
        ring.setup_clamp()
            .setup_cqsize(entries * COMPLETIONS_PER_ENTRY);
        if self >= Self::UringCoop {
            ring.setup_coop_taskrun()
                .setup_submit_all()
                .setup_single_issuer();
        }
        if self >= Self::UringDefer {
            ring.setup_defer_taskrun();
        }
        ring
    }
}

/// A shard's runtime. It belongs to the thread that built it.
#[expect(missing_debug_implementations, reason = "monoio's runtime has none")]
pub enum Runtime {
    /// On io_uring.
    Uring(monoio::Runtime<TimeDriver<IoUringDriver>>),
    /// On epoll.
    Epoll(monoio::Runtime<TimeDriver<LegacyDriver>>),
}

impl Runtime {
    /// Builds the runtime for the calling thread, and says at which level.
    ///
    /// # Errors
    /// With [`Driver::Uring`], the kernel's refusal of the plainest ring; otherwise what `epoll`
    /// itself gives, such as `EMFILE`.
    pub fn build(driver: Driver) -> io::Result<(Self, Level)> {
        if driver != Driver::Epoll {
            match build_uring() {
                Ok(built) => return Ok(built),
                Err(error) if driver == Driver::Uring => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "io_uring is not to be had, falling back to epoll");
                }
            }
        }
        let epoll = RuntimeBuilder::<LegacyDriver>::new()
            .enable_timer()
            .build()?;
        Ok((Self::Epoll(epoll), Level::Epoll))
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        match self {
            Self::Uring(runtime) => runtime.block_on(future),
            Self::Epoll(runtime) => runtime.block_on(future),
        }
    }
}

fn build_uring() -> io::Result<(Runtime, Level)> {
    let mut refusal = None;
    for level in [Level::UringDefer, Level::UringCoop, Level::Uring] {
        let mut entries = RING_ENTRIES;
        loop {
            let built = RuntimeBuilder::<IoUringDriver>::new()
                .with_entries(entries)
                .uring_builder(level.ring(entries))
                .enable_timer()
                .build();
            match built {
                Ok(runtime) => return Ok((Runtime::Uring(runtime), level)),
                // Ring memory counts against RLIMIT_MEMLOCK since 6.14.
                Err(error)
                    if error.raw_os_error() == Some(libc::ENOMEM) && entries > RING_ENTRIES_MIN =>
                {
                    entries /= 2;
                }
                Err(error) => {
                    tracing::debug!(level = level.name(), %error, "driver level refused");
                    refusal = Some(error);
                    break;
                }
            }
        }
    }
    Err(refusal.unwrap_or_else(|| io::ErrorKind::Unsupported.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epoll_runs_where_it_is_asked_for() {
        let (mut runtime, level) = Runtime::build(Driver::Epoll).unwrap();
        assert_eq!(level, Level::Epoll);
        assert_eq!(runtime.block_on(async { 7 }), 7);
    }

    #[test]
    fn the_best_level_runs_or_a_plainer_one() {
        let (mut runtime, _) = Runtime::build(Driver::Auto).unwrap();
        assert_eq!(runtime.block_on(async { 7 }), 7);
    }

    #[test]
    fn the_order_of_names_is_that_of_levels() {
        assert_eq!(Level::Epoll.name(), "epoll");
        assert_eq!(Level::UringDefer.name(), "uring+defer");
    }
}
