//! `cargo bench --bench proxy`: elbow beside nginx, HAProxy and a relay that parses nothing.
//!
//! Every rival runs on one core, wrk and the backends on another; rivals take turns within each
//! round. What is measured and how to read it is in `benches/README.md`. Not a conformance test: a
//! rival is verified before it is timed, but only for what the load asks. Invariant: the exit code
//! is 0 only if every request of every run was answered.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "that is how a bench answers"
)]

mod backend;
mod cpu;
mod load;
mod machine;
mod poll;
mod process;
mod recipes;
mod relay;
mod report;
mod rivals;
mod tools;
mod verify;
mod watch;
mod wrk;

use std::env;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand, ValueEnum};

use crate::cpu::CpuTime;
use crate::load::{SCENARIOS, Scenario};
use crate::machine::{
    are_siblings, choose_cores, cpu_model, find_program, kernel_release, load_average,
    raise_descriptor_limit,
};
use crate::process::{Directory, Process, free_addresses};
use crate::report::{Figures, Report, RivalVersion, ScenarioReport, Setting};
use crate::rivals::{Rival, Running, Site};
use crate::tools::check_tools;
use crate::wrk::{Errors, Wrk};

/// What ends the bench: a sentence for whoever runs it.
pub(crate) type Failure = Box<dyn Error>;

/// Length of the load before each measured window: fills pools and caches.
const WARM_UP_SECONDS: u64 = 1;

/// Load average before the start above which the report says that the machine was not quiet.
const QUIET_LOAD_MAX: f64 = 0.5;

/// Compares elbow with other proxies on this machine; needs two cores, nginx, haproxy and wrk.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench proxy --", version)]
struct Arguments {
    /// How often every rival plays every scenario.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Length of each measured window.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Play only this scenario; may be repeated.
    #[arg(long, value_parser = PossibleValuesParser::new(SCENARIOS.map(|s| s.name)))]
    scenario: Vec<String>,
    /// Play only this rival; may be repeated.
    #[arg(long)]
    rival: Vec<Rival>,
    /// Write all figures there too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// One round of one second, three scenarios: does it run, is anything far off?
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
    /// Copy bytes.
    #[command(hide = true)]
    Relay {
        address: SocketAddr,
        upstreams: Vec<SocketAddr>,
    },
}

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        println!("a bench, not a test: run it with `cargo bench --bench proxy`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.role {
        Some(Role::Backend { addresses }) => backend::serve(addresses).map_err(Failure::from),
        Some(Role::Relay { address, upstreams }) => {
            relay::serve(*address, upstreams).map_err(Failure::from)
        }
        None => compare(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("proxy bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The bench: starts everybody, plays the rounds, prints the report.
fn compare(arguments: &Arguments) -> Result<(), Failure> {
    let rivals = match arguments.rival.as_slice() {
        [] => Rival::value_variants(),
        chosen => chosen,
    };
    let scenarios = chosen_scenarios(arguments);
    let (rounds, seconds) = match arguments.quick {
        true => (1, 1),
        false => (usize::from(arguments.rounds), arguments.seconds),
    };
    check_tools(rivals)?;
    raise_descriptor_limit()?;
    let cores = choose_cores()?;
    let load_before = load_average()?;

    let directory = Directory::create()?;
    let backends = free_addresses()?;
    let _backend = start_backend(cores[1], backends, &directory)?;
    let wrk = Wrk::new(find_program("wrk")?, cores[1], directory.path())?;
    let certificate = write_certificate(directory.path())?;
    let site = Site {
        core: cores[0],
        directory: directory.path(),
        backends,
        certificate: &certificate,
    };
    let running = rivals
        .iter()
        .map(|rival| rival.start(&site))
        .collect::<Result<Vec<_>, Failure>>()?;

    let scenarios = play(&wrk, &running, &scenarios, rounds, seconds)?;
    let setting = setting(cores, load_before, rounds, seconds, &running)?;
    let report = Report { setting, scenarios };
    print!("{report}");
    if let Some(path) = &arguments.json {
        fs::write(path, serde_json::to_string_pretty(&report)?)?;
    }
    match report.errors() {
        0 => Ok(()),
        errors => Err(format!("{errors} requests failed, see the table").into()),
    }
}

/// Everybody's turns: rounds over scenarios over rivals. Each round starts with another rival, so
/// that nobody always comes first or after the same one.
fn play(
    wrk: &Wrk,
    rivals: &[Running],
    scenarios: &[&Scenario],
    rounds: usize,
    seconds: u64,
) -> Result<Vec<ScenarioReport>, Failure> {
    let mut runs = vec![vec![(Vec::new(), Errors::default()); rivals.len()]; scenarios.len()];
    for round in 0..rounds {
        for (scenario, runs) in scenarios.iter().zip(&mut runs) {
            for turn in 0..rivals.len() {
                let index = (turn + round) % rivals.len();
                let rival = &rivals[index];
                if !rival.rival.plays(scenario.front) {
                    continue;
                }
                let (figures, errors) = measure(wrk, rival, scenario, seconds)?;
                eprintln!(
                    "round {}/{rounds} {:<19}{:<8}{:>8.0} req/s {:>7.2} CPU µs/req",
                    round + 1,
                    scenario.name,
                    rival.rival,
                    figures.requests_per_second,
                    figures.cpu_us_per_request
                );
                runs[index].0.push(figures);
                runs[index].1.add(&errors);
            }
        }
    }
    let reports = scenarios.iter().zip(runs).filter_map(|(scenario, runs)| {
        let players = rivals.iter().zip(runs);
        let players: Vec<_> = players
            .filter(|(running, _)| running.rival.plays(scenario.front))
            .collect();
        let elbow = players
            .iter()
            .position(|(running, _)| running.rival == Rival::Elbow);
        let named = players.into_iter();
        let named = named.map(|(running, (figures, e))| (running.rival.to_string(), figures, e));
        let named: Vec<_> = named.collect();
        (!named.is_empty()).then(|| ScenarioReport::new(scenario.name, elbow, named))
    });
    Ok(reports.collect())
}

/// Warms one rival up, then measures it. Errors of the warm-up count as well.
fn measure(
    wrk: &Wrk,
    rival: &Running,
    scenario: &Scenario,
    seconds: u64,
) -> Result<(Figures, Errors), Failure> {
    let address = rival.addresses.of(scenario.front);
    let load = |seconds| scenario.load(address, &rival.cookies, seconds);
    let warm_up = wrk.play(&load(WARM_UP_SECONDS))?;
    if let Some(watch) = &rival.watch {
        watch.begin()?;
    }
    let before = CpuTime::read(&rival.processes)?;
    let outcome = wrk.play(&load(seconds))?;
    let cpu = CpuTime::read(&rival.processes)?.since(&before);
    if let Some(watch) = &rival.watch {
        watch.check()?;
    }
    if outcome.requests == 0 {
        let (rival, scenario, errors) = (rival.rival, scenario.name, outcome.errors);
        return Err(format!("{rival} answered no request of {scenario}: {errors:?}").into());
    }
    let (requests, window) = (outcome.requests as f64, outcome.window().as_secs_f64());
    let figures = Figures {
        requests_per_second: requests / window,
        cpu_us_per_request: cpu.as_secs_f64() * 1e6 / requests,
        p50_us: outcome.p50_us as f64,
        p99_us: outcome.p99_us as f64,
        busy: cpu.as_secs_f64() / window,
    };
    let mut errors = warm_up.errors;
    errors.add(&outcome.errors);
    Ok((figures, errors))
}

fn chosen_scenarios(arguments: &Arguments) -> Vec<&'static Scenario> {
    let is_chosen = |scenario: &&Scenario| match arguments.scenario.as_slice() {
        [] => scenario.is_quick || !arguments.quick,
        names => names.iter().any(|name| name == scenario.name),
    };
    SCENARIOS.iter().filter(is_chosen).collect()
}

/// A certificate with an ECDSA key on P-256, which most sites have, and the key, in one PEM file.
fn write_certificate(directory: &Path) -> Result<PathBuf, Failure> {
    let made = rcgen::generate_simple_self_signed(["bench.test".to_owned()])?;
    let file = directory.join("bench.pem");
    let text = made.cert.pem() + &made.signing_key.serialize_pem();
    fs::write(&file, text)?;
    Ok(file)
}

fn start_backend(
    core: usize,
    addresses: [SocketAddr; 2],
    directory: &Directory,
) -> Result<Process, Failure> {
    let mut arguments = vec!["--bench".to_owned(), "backend".to_owned()];
    arguments.extend(addresses.map(|address| address.to_string()));
    let program = env::current_exe()?;
    Ok(Process::start(
        "backend",
        core,
        &program,
        &arguments,
        directory.path(),
    )?)
}

/// What the report says about the machine and the rivals.
fn setting(
    [rival_core, load_core]: [usize; 2],
    load_before: f64,
    rounds: usize,
    seconds: u64,
    rivals: &[Running],
) -> Result<Setting, Failure> {
    let mut caveats = Vec::new();
    if are_siblings(rival_core, load_core) {
        caveats.push("the two cores are threads of one physical core: choose others".into());
    }
    if load_before > QUIET_LOAD_MAX {
        let caveat = format!("others use this machine (load average {load_before} at the start)");
        caveats.push(caveat);
    }
    if seconds < 2 || rounds < 3 {
        caveats.push("a short run: good to see that all works, not to compare".into());
    }
    let version = |running: &Running| RivalVersion {
        rival: running.rival.to_string(),
        version: running.version.clone(),
        stickiness: running.stickiness.to_owned(),
    };
    Ok(Setting {
        kernel: kernel_release()?,
        cpu: cpu_model()?,
        rival_core,
        load_core,
        caveats,
        rounds,
        seconds,
        warm_up_seconds: WARM_UP_SECONDS,
        rivals: rivals.iter().map(version).collect(),
    })
}
