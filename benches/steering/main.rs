//! `cargo bench --bench steering`: what it does to elbow's traffic that elbow is changed meanwhile.
//!
//! By turns elbow is left alone and changed by its API, under the same load; then its file is read
//! again and again while each request comes on a connection of its own. How to read it is in
//! `benches/README.md`. Not a comparison with others. Invariant: the exit code is 0 only if each
//! change was made and each request answered by 200.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, waits and prints; no shard is here that could be held up"
)]

#[path = "../proxy/backend.rs"]
mod backend;
mod changes;
mod elbow;
#[path = "../proxy/machine.rs"]
mod machine;
#[path = "../proxy/poll.rs"]
mod poll;
#[path = "../proxy/process.rs"]
mod process;
mod report;
#[path = "../proxy/verify.rs"]
mod verify;
#[path = "../proxy/wrk.rs"]
mod wrk;

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use changes::Addresses;
use elbow::{Elbow, Site};
use machine::{
    are_siblings, choose_cores, cpu_model, find_program, kernel_release, load_average,
    raise_descriptor_limit,
};
use process::{Directory, Process, free_addresses};
use report::{Report, Steered};
use wrk::{Load, Wrk};

/// What ends the bench: a sentence for whoever runs it.
pub(crate) type Failure = Box<dyn Error>;

/// Connections of the load: as many as keep a core busy and leave little of a queue.
const CONNECTIONS: usize = 8;

/// Load average before the start above which the report says that the machine was not quiet.
const QUIET_LOAD_MAX: f64 = 0.5;

/// Steers elbow under load; needs two cores and wrk.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench steering --", version)]
struct Arguments {
    /// How often each load is played.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Length of each load.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Changes by the API in each second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    changes: u32,
    /// Reloads in each second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100))]
    reloads: u32,
    /// One round of two seconds: is each change made and each request answered?
    #[arg(long, conflicts_with_all = ["rounds", "seconds"])]
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
    /// Serve the bodies.
    #[command(hide = true)]
    Backend { addresses: Vec<SocketAddr> },
}

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        println!("a bench, not a test: run it with `cargo bench --bench steering`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.role {
        Some(Role::Backend { addresses }) => backend::serve(addresses).map_err(Failure::from),
        None => steer(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("steering bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The bench: starts everybody, plays the rounds, prints the report.
fn steer(arguments: &Arguments) -> Result<(), Failure> {
    let (rounds, seconds) = match arguments.quick {
        true => (1, 2),
        false => (arguments.rounds, arguments.seconds),
    };
    let wrk = find_program("wrk").map_err(|_| "no wrk; on Debian: apt-get install -y wrk")?;
    raise_descriptor_limit()?;
    let cores @ [core, load_core] = choose_cores()?;
    let load_before = load_average()?;
    let directory = Directory::create()?;
    let [front, admin, other, filed, a, b, spare] = free_addresses()?;
    let addresses = Addresses {
        front,
        admin,
        other,
        filed,
        backends: [a, b],
        spare,
    };
    let _backend = start_backend(load_core, [a, b, spare], &directory)?;
    let site = Site {
        core,
        directory: directory.path(),
        addresses,
    };
    let mut elbow = Elbow::start(&site)?;
    let wrk = Wrk::new(wrk, load_core, directory.path())?;
    let pace = |a_second: u32| Duration::from_secs(1) / a_second;
    let kept = elbow.load(seconds, false);
    wrk.play(&kept)?;

    let mut report = Report::new(setting(cores, load_before, rounds, seconds)?);
    for round in 1..=rounds {
        // Neither always comes first.
        let is_quiet_first = round % 2 == 1;
        if is_quiet_first {
            report.quiet.push(wrk.play(&kept)?);
        }
        let changed = steered(&wrk, &kept, pace(arguments.changes), || elbow.change())?;
        eprintln!("round {round}/{rounds}: {} changes", changed.times.len());
        report.changed.push(changed);
        if !is_quiet_first {
            report.quiet.push(wrk.play(&kept)?);
        }
    }
    let closing = elbow.load(seconds, true);
    for round in 1..=rounds {
        let reloaded = steered(&wrk, &closing, pace(arguments.reloads), || elbow.reload())?;
        eprintln!("round {round}/{rounds}: {} reloads", reloaded.times.len());
        report.reloaded.push(reloaded);
    }
    elbow.expect_session()?;
    print!("{report}");
    match report.errors() {
        0 => Ok(()),
        errors => Err(format!("{errors} requests failed, see above").into()),
    }
}

/// Plays a load and meanwhile takes a step again and again, at most one each `pace`.
fn steered(
    wrk: &Wrk,
    load: &Load,
    pace: Duration,
    mut step: impl FnMut() -> Result<(), Failure>,
) -> Result<Steered, Failure> {
    let playing = wrk.start(load)?;
    let start = Instant::now();
    let end = start + Duration::from_secs(load.seconds);
    let mut times = Vec::new();
    let mut next = start;
    while next < end {
        thread::sleep(next.saturating_duration_since(Instant::now()));
        let before = Instant::now();
        step()?;
        times.push(before.elapsed());
        // One that was late is not made up for.
        next = (next + pace).max(Instant::now());
    }
    Ok(Steered {
        outcome: playing.outcome()?,
        times,
    })
}

fn start_backend(
    core: usize,
    addresses: [SocketAddr; 3],
    directory: &Directory,
) -> Result<Process, Failure> {
    let mut arguments = vec!["--bench".to_owned(), "backend".to_owned()];
    arguments.extend(addresses.map(|address| address.to_string()));
    let program = env::current_exe()?;
    let directory = directory.path();
    Ok(Process::start(
        "backend", core, &program, &arguments, directory,
    )?)
}

/// What the report says about the machine, a line each.
fn setting(
    [core, load_core]: [usize; 2],
    load_before: f64,
    rounds: u8,
    seconds: u64,
) -> Result<Vec<String>, Failure> {
    let mut lines = vec![
        format!("Linux {}, {}", kernel_release()?, cpu_model()?),
        format!("elbow on core {core}; wrk, backends and who changes it on core {load_core}"),
        format!("medians of {rounds} round(s) of {seconds} s each, {CONNECTIONS} connections"),
    ];
    if are_siblings(core, load_core) {
        lines.push("note: the two cores are threads of one physical core: choose others".into());
    }
    if load_before > QUIET_LOAD_MAX {
        lines.push(format!(
            "note: others use this machine (load average {load_before} at the start)"
        ));
    }
    Ok(lines)
}
