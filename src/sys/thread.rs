//! What a shard's thread asks of the kernel: a core of its own, no signals; and process limits.

use std::io;
use std::time::Duration;

/// The CPUs in this process's affinity mask, ascending. Empty only if the kernel does not say.
pub fn allowed_cores() -> Vec<usize> {
    let mut cores: Vec<usize> = core_affinity::get_core_ids()
        .unwrap_or_default()
        .iter()
        .map(|core| core.id)
        .collect();
    cores.sort_unstable();
    cores
}

/// Pins the calling thread to one CPU; false if the kernel refuses.
#[must_use]
pub fn pin_to(core: usize) -> bool {
    core_affinity::set_for_current(core_affinity::CoreId { id: core })
}

/// Blocks all signals on the calling thread, so that none interrupts its wait for the ring.
pub fn block_signals() {
    #[expect(unsafe_code, reason = "the standard library has no signal masks")]
    #[expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "one set, made and used"
    )]
    // SAFETY: the set is a live local that `sigfillset` initialises before it is used.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}

/// Does nothing for so long. Not for a shard's thread.
pub fn pause(duration: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "for threads that nobody waits for"
    )]
    std::thread::sleep(duration);
}

/// Asks the kernel for no huge pages in this process: each block then has as many pages of memory
/// as bytes were in it, where 2 MiB would stand behind the first byte of the first. False if it
/// refuses.
///
/// Of 1,000 blocks with a few bytes in each, 64 MiB were resident with them and 6 without
/// (`benches/slow`); the CPU time of a request is the same.
#[must_use]
pub fn refuse_huge_pages() -> bool {
    #[expect(unsafe_code, reason = "the standard library has no prctl")]
    // SAFETY: it takes numbers and no pointer.
    let result = unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) };
    result == 0
}

/// How many files this process may have open.
///
/// # Errors
/// Those of `getrlimit(2)`.
pub fn open_files() -> io::Result<u64> {
    open_files_limit().map(|limit| limit.rlim_cur)
}

fn open_files_limit() -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    #[expect(unsafe_code, reason = "the standard library has no resource limits")]
    // SAFETY: the kernel fills a live local.
    let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    match result {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Raises the soft limit of open files to the hard one and returns it.
///
/// # Errors
/// Those of `getrlimit(2)` and `setrlimit(2)`; the limit is then what it was.
pub fn raise_open_files() -> io::Result<u64> {
    let mut limit = open_files_limit()?;
    limit.rlim_cur = limit.rlim_max;
    #[expect(unsafe_code, reason = "the standard library has no resource limits")]
    // SAFETY: the kernel reads a live local.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
