//! CPU time of processes, from the scheduler's own nanosecond counts.
//!
//! Counts user and system time of all threads, kernel workers of io_uring included, and the
//! network softirq work that runs on the back of their system calls. Not counted: `ksoftirqd`, and
//! threads that ended between two readings. Kernels with `CONFIG_IRQ_TIME_ACCOUNTING` keep softirq
//! work out of these counts, for all rivals alike.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::Duration;

/// CPU time used so far, by thread.
pub(crate) struct CpuTime(BTreeMap<u32, u64>);

impl CpuTime {
    /// Reads it for all threads of `processes`.
    ///
    /// # Errors
    /// If one of the processes is gone or the kernel lacks `CONFIG_SCHED_INFO`.
    pub(crate) fn read(processes: &[u32]) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for process in processes {
            for thread in numbers_in(&format!("/proc/{process}/task"))? {
                let path = format!("/proc/{process}/task/{thread}/schedstat");
                match fs::read_to_string(path) {
                    Ok(text) => threads.insert(thread, running_ns(&text)?),
                    // Ended since the directory was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                };
            }
        }
        if threads.is_empty() {
            return Err(io::Error::other(
                "no schedstat under /proc: CONFIG_SCHED_INFO is needed",
            ));
        }
        Ok(Self(threads))
    }

    /// What was used between `earlier` and this reading.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let used = |(thread, now): (&u32, &u64)| now - earlier.0.get(thread).unwrap_or(&0).min(now);
        Duration::from_nanos(self.0.iter().map(used).sum())
    }
}

/// `root` and its children, for a rival that forks workers.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn process_tree(root: u32) -> io::Result<Vec<u32>> {
    let mut tree = vec![root];
    for process in numbers_in("/proc")? {
        // A process may end while we look.
        let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
            continue;
        };
        // "PID (NAME) STATE PARENT ...", where NAME may hold anything, ')' included.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let parent = after_name.split_whitespace().nth(1);
        if parent.and_then(|parent| parent.parse().ok()) == Some(root) {
            tree.push(process);
        }
    }
    Ok(tree)
}

/// The entries of a directory that are numbers.
fn numbers_in(directory: &str) -> io::Result<Vec<u32>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(directory)? {
        numbers.extend(
            entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<u32>().ok()),
        );
    }
    Ok(numbers)
}

/// The first of the three numbers in a schedstat file: nanoseconds on a CPU.
fn running_ns(text: &str) -> io::Result<u64> {
    let first = text.split_whitespace().next().unwrap_or_default();
    first
        .parse()
        .map_err(|error| io::Error::other(format!("schedstat {text:?}: {error}")))
}
