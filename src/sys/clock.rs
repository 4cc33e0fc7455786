//! Time, read here and nowhere else on the data path; everything else is told what time it is.

use std::sync::OnceLock;
use std::time::Duration;

/// A moment in milliseconds since some start, at the resolution of the kernel's tick (1–10 ms).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// A moment that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The coarse monotonic clock: a read of shared memory, no system call.
    pub fn now() -> Self {
        Self(coarse_millis(libc::CLOCK_MONOTONIC_COARSE))
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

/// A moment to the nanosecond, for what is told and not for what is waited for: dearer to read than
/// an [`Instant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The exact monotonic clock: a read of shared memory and of the CPU's counter.
    pub fn now() -> Self {
        Self(nanos(libc::CLOCK_MONOTONIC))
    }

    /// How long ago `earlier` was; zero if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The CPU time that this thread has taken so far, in nanoseconds; a system call.
pub fn thread_cpu_nanos() -> u64 {
    nanos(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Microseconds since 1970 by the wall clock, for what leaves the process.
pub fn unix_micros() -> u64 {
    nanos(libc::CLOCK_REALTIME) / 1000
}

/// Milliseconds since 1970 as the process counts them: by the wall clock when it was first asked,
/// and by the monotonic clock from there on. Never goes back, and a wall clock that is set later
/// does not change it.
pub fn unix_millis() -> u64 {
    static START_MS: OnceLock<u64> = OnceLock::new();
    let now = Instant::now().0;
    let start =
        START_MS.get_or_init(|| coarse_millis(libc::CLOCK_REALTIME_COARSE).saturating_sub(now));
    now + start
}

/// Seconds since 1970 by the wall clock, for what leaves the process.
pub fn unix_seconds() -> u64 {
    coarse_millis(libc::CLOCK_REALTIME_COARSE) / 1000
}

/// One of the kernel's coarse clocks, in milliseconds, as of its last tick.
fn coarse_millis(clock: libc::clockid_t) -> u64 {
    nanos(clock) / 1_000_000
}

/// One of the kernel's clocks, in nanoseconds.
fn nanos(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    #[expect(unsafe_code, reason = "the standard library has no coarse clocks")]
    // SAFETY: the kernel fills a live local; the clock ids are ones that every Linux has.
    unsafe {
        libc::clock_gettime(clock, &raw mut time);
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}
