//! `cargo bench --bench failover`: what a backend's death does to sessions, here and elsewhere.
//!
//! Five backends, two hundred sessions with six requests each at the same time; one backend is
//! killed in the middle, by SIGKILL, and comes back later. Counted is what each session met. How
//! to read it is in `benches/README.md`. Not a load test. Invariant: the exit code is 0 only if
//! elbow moved each session of the dead backend once, no other session, and failed no request.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench answers by printing; no shard is here that could be held up by a sleep"
)]

mod application;
#[path = "../proxy/process.rs"]
mod process;
mod recipes;
mod report;
mod session;

use std::env;
use std::error::Error;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand};
use rustix::process::{Pid, Signal, kill_process};

use process::{Directory, Process, free_addresses, look_until};
use recipes::{Contender, Recipe, contenders};
use report::{Outcome, Row};
use session::Load;

/// What ends the bench: a sentence for whoever runs it.
pub(crate) type Failure = Box<dyn Error>;

/// Backends of each proxy.
pub(crate) const BACKENDS: usize = 5;

/// Which of them is killed.
const VICTIM: usize = 2;

/// How long a proxy may take until it has found all backends in service.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The core on which processes run: all share it, as nothing here is timed finely.
const CORE: usize = 0;

/// Counts what sessions go through when a backend dies; needs nginx and haproxy.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench failover --", version)]
struct Arguments {
    /// Sessions.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(5..=1000))]
    sessions: u16,
    /// How long after the kill sessions are watched; after half of it the backend is back.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u64).range(4..=600))]
    seconds: u64,
    /// Fifty sessions, eight seconds: does it run, is anything far off?
    #[arg(long, conflicts_with_all = ["sessions", "seconds"])]
    quick: bool,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What this program also is, for itself.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum Role {
    /// A backend of that name.
    #[command(hide = true)]
    Application { name: String, address: SocketAddr },
}

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        println!("a bench, not a test: run it with `cargo bench --bench failover`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.role {
        Some(Role::Application { name, address }) => {
            application::serve(name, *address).map_err(Failure::from)
        }
        None => compare(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("failover bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The bench: one proxy after the other, then the table.
fn compare(arguments: &Arguments) -> Result<(), Failure> {
    let (sessions, watched) = match arguments.quick {
        true => (50, Duration::from_secs(8)),
        false => (
            usize::from(arguments.sessions),
            Duration::from_secs(arguments.seconds),
        ),
    };
    let mut rows = Vec::new();
    for contender in contenders() {
        let outcome = play(&contender, sessions, watched)
            .map_err(|error| format!("{} ({}): {error}", contender.proxy, contender.way))?;
        eprintln!("{} ({}): done", contender.proxy, contender.way);
        rows.push(Row { contender, outcome });
    }
    report::print(&rows);
    let is_broken = |row: &&Row| row.contender.proxy.is_elbow() && !row.outcome.is_clean();
    match rows.iter().find(is_broken) {
        None => Ok(()),
        Some(row) => Err(format!(
            "elbow ({}): a session moved more than once, or without need, or a request failed",
            row.contender.way
        )
        .into()),
    }
}

/// Five backends behind one proxy, and the death of one of them under load.
fn play(contender: &Contender, sessions: usize, watched: Duration) -> Result<Outcome, Failure> {
    let directory = Directory::create()?;
    let addresses: [SocketAddr; BACKENDS] = free_addresses()?;
    let backends = start_backends(&addresses, &directory)?;
    let [address] = free_addresses()?;
    let Recipe { program, arguments } = contender.recipe(address, &addresses, directory.path())?;
    let mut proxy = Process::start("proxy", CORE, &program, &arguments, directory.path())?;
    wait_until_ready(&mut proxy, address)
        .map_err(|error| format!("{error}\n{}", proxy.log_tail()))?;

    let load = Load::begin(address, sessions);
    let settled = look_until(READY_TIMEOUT, || load.is_under_way().then_some(()));
    settled.ok_or("the sessions did not come under way")?;
    thread::sleep(Duration::from_secs(1));
    let victim = i32::try_from(backends[VICTIM].id())?;
    let victim = Pid::from_raw(victim).ok_or("the victim has a process id")?;
    let killed = load.now();
    kill_process(victim, Signal::KILL)?;
    thread::sleep(watched / 2);
    let returned = load.now();
    let _returned = start_backend(VICTIM, addresses[VICTIM], &directory)?;
    thread::sleep(watched / 2);
    let told = load.end()?;
    Ok(Outcome::new(
        &told,
        &application_name(VICTIM),
        killed,
        returned,
    ))
}

fn start_backends(
    addresses: &[SocketAddr],
    directory: &Directory,
) -> Result<Vec<Process>, Failure> {
    let numbered = addresses.iter().copied().enumerate();
    let backends: io::Result<Vec<_>> = numbered
        .map(|(index, address)| start_backend(index, address, directory))
        .collect();
    for address in addresses {
        look_until(READY_TIMEOUT, || TcpStream::connect(address).ok())
            .ok_or("a backend does not listen")?;
    }
    Ok(backends?)
}

fn start_backend(index: usize, address: SocketAddr, directory: &Directory) -> io::Result<Process> {
    let name = application_name(index);
    let arguments = ["--bench", "application", &name, &address.to_string()];
    let program = env::current_exe()?;
    Process::start(&name, CORE, &program, &arguments, directory.path())
}

/// What a backend calls itself.
pub(crate) fn application_name(index: usize) -> String {
    format!("backend-{index}")
}

/// Waits until requests without a cookie have reached all backends.
fn wait_until_ready(proxy: &mut Process, address: SocketAddr) -> Result<(), Failure> {
    let mut missing: Vec<String> = (0..BACKENDS).map(application_name).collect();
    let outcome = look_until(READY_TIMEOUT, || {
        match proxy.exit_status() {
            Ok(None) => {}
            Ok(Some(status)) => return Some(Err(format!("ended before it served, {status}"))),
            Err(error) => return Some(Err(error.to_string())),
        }
        for _ in 0..BACKENDS {
            if let Ok(name) = session::ask_once(address) {
                missing.retain(|missing| *missing != name);
            }
        }
        missing.is_empty().then_some(Ok(()))
    });
    Ok(outcome.unwrap_or_else(|| Err(format!("these were not reached: {missing:?}")))?)
}

/// Where programs are looked for by name: `taskset` does that.
pub(crate) fn program(name: &str) -> &Path {
    Path::new(name)
}
