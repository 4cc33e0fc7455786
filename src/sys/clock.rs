//! Time, read here and nowhere else on the data path; everything else is told what time it is.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in milliseconds since some start, at the resolution of the kernel's tick (1–10 ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The coarse monotonic clock: a read of shared memory, no system call.
    pub fn now() -> Self {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        #[expect(
            unsafe_code,
            reason = "the standard library reads the exact, dearer clock"
        )]
        // SAFETY: the kernel fills a live local; the clock id is one that every Linux has.
        unsafe {
            libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time);
        }
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let millis = u64::try_from(time.tv_nsec / 1_000_000).unwrap_or(0);
        Self(seconds * 1000 + millis)
    }

    /// This moment and `span` later.
    pub fn after(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        )
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds since 1970 as the process counts them: by the wall clock when it was first asked,
/// and by the monotonic clock from there on. Never goes back, and a wall clock that is set later
/// does not change it.
pub fn unix_millis() -> u64 {
    static START_MS: OnceLock<u64> = OnceLock::new();
    let now = Instant::now().0;
    let start = START_MS.get_or_init(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the place that reads the clock"
        )]
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ms = wall.map_or(0, |since| since.as_millis());
        u64::try_from(wall_ms).unwrap_or(0).saturating_sub(now)
    });
    now + start
}

/// Seconds since 1970, for what leaves the process.
pub fn unix_seconds() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the clock"
    )]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
