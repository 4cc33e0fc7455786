//! The machine that the bench runs on: its limits, its cores, and where its programs are.
//!
//! Changes nothing but this process's soft limit of open files.

use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::Failure;

/// Descriptors for 512 clients, as many upstream connections, and both ends in the backend.
const DESCRIPTORS_MIN: u64 = 4096;

/// Raises the soft limit of open files, which the children inherit, to the hard one.
pub(crate) fn raise_descriptor_limit() -> Result<(), Failure> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if maximum.is_some_and(|maximum| maximum < DESCRIPTORS_MIN) {
        return Err(format!("needs {DESCRIPTORS_MIN} open files: raise `ulimit -Hn`").into());
    }
    Ok(setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?)
}

/// The first two cores that this process may use; `taskset -c 2,4 cargo bench` chooses others.
pub(crate) fn choose_cores() -> Result<[usize; 2], Failure> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    match (cores.next(), cores.next()) {
        (Some(rival), Some(load)) => Ok([rival, load]),
        _ => Err("needs two cores: one for the rival, one for wrk and the backends".into()),
    }
}

/// Looks for `name` in `PATH` and where Debian keeps servers.
///
/// # Errors
/// `NotFound`.
#[expect(
    clippy::disallowed_methods,
    reason = "PATH is where programs are found"
)]
pub(crate) fn find_program(name: &str) -> io::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{name} is not installed")))
}

/// Whether two cores are threads of the same physical core.
pub(crate) fn are_siblings(one: usize, other: usize) -> bool {
    let siblings = |core: usize| {
        let topology = format!("/sys/devices/system/cpu/cpu{core}/topology");
        fs::read_to_string(format!("{topology}/thread_siblings_list")).ok()
    };
    siblings(one).is_some_and(|list| siblings(other) == Some(list))
}

/// How many threads wanted a CPU during the last minute, on average.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn load_average() -> io::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().unwrap_or_default();
    first.parse().map_err(io::Error::other)
}

/// The kernel's release.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn kernel_release() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/osrelease")?
        .trim()
        .to_owned())
}

/// The CPU's name as the kernel shows it, if it does.
///
/// # Errors
/// If `/proc` cannot be read.
pub(crate) fn cpu_model() -> io::Result<String> {
    let list = fs::read_to_string("/proc/cpuinfo")?;
    let model = list
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    Ok(model
        .unwrap_or("unknown CPU")
        .trim_matches([' ', '\t', ':'])
        .to_owned())
}
