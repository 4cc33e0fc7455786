//! `cargo bench --bench slow`: what clients that are slow on purpose do to those that are not.
//!
//! slowhttptest holds elbow by its four attacks, one after the other, while wrk asks as before. How
//! to read it is in `benches/README.md`. Invariant: the exit code is 0 only if each honest request
//! was answered by 200, memory stayed below its bound, and what the attackers held was given back.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what it says is for whoever runs it"
)]

mod attack;
mod backend;
#[expect(dead_code, reason = "elbow has no children")]
#[path = "../proxy/cpu.rs"]
mod cpu;
mod elbow;
#[path = "../proxy/machine.rs"]
mod machine;
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
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::elbow::{Elbow, Held};
use attack::{Attack, Mode, Size};
use backend::BODIES;
use machine::{
    are_siblings, choose_cores, cpu_model, find_program, kernel_release, load_average,
    raise_descriptor_limit,
};
use process::{Directory, Process, free_addresses};
use report::{Loads, Report, Row};
use verify::verify;
use wrk::{Load, Wrk};

/// What ends the bench: a sentence for whoever runs it.
pub(crate) type Failure = Box<dyn Error>;

/// Connections of the honest load: as many as keep the core busy and leave little of a queue.
const HONEST_CONNECTIONS: usize = 8;

/// Connections of elbow's clients that are neither: probes of slowhttptest, those that close.
const OTHERS_MAX: usize = 16;

/// Load average before the start above which the report says that the machine was not quiet.
const QUIET_LOAD_MAX: f64 = 0.5;

/// Attacks elbow by slow clients; needs two cores, wrk and slowhttptest.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench slow --", version)]
struct Arguments {
    /// Connections of each attack.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u16).range(100..))]
    connections: u16,
    /// How often each load is played.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Length of each load.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Seconds after which who sends slowly sends again; slowhttptest's own default.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=60))]
    interval: u64,
    /// 500 connections and one round of a second: is all answered and given back?
    #[arg(long, conflicts_with_all = ["connections", "rounds", "seconds"])]
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
    Backend { address: SocketAddr },
}

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        println!("a bench, not a test: run it with `cargo bench --bench slow`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.role {
        Some(Role::Backend { address }) => backend::serve(*address).map_err(Failure::from),
        None => Bench::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("slow bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Everybody who takes part.
struct Bench {
    connections: usize,
    interval: u64,
    rounds: u8,
    seconds: u64,
    /// Whether loads without elbow are played too.
    compares: bool,
    attack_core: usize,
    slowhttptest: PathBuf,
    wrk: Wrk,
    backend_address: SocketAddr,
    elbow: Elbow,
    _backend: Process,
    directory: Directory,
}

impl Bench {
    fn run(arguments: &Arguments) -> Result<(), Failure> {
        let (connections, rounds, seconds) = match arguments.quick {
            true => (500, 1, 1),
            false => (
                usize::from(arguments.connections),
                arguments.rounds,
                arguments.seconds,
            ),
        };
        let absent = |name| format!("no {name}; on Debian: apt-get install -y wrk slowhttptest");
        let wrk = find_program("wrk").map_err(|_| absent("wrk"))?;
        let slowhttptest = find_program("slowhttptest").map_err(|_| absent("slowhttptest"))?;
        raise_descriptor_limit()?;
        let cores @ [core, attack_core] = choose_cores()?;
        let interval = usize::try_from(arguments.interval)?;
        let setting = setting(cores, [connections, interval], rounds, seconds)?;
        let directory = Directory::create()?;
        let [front, admin, address] = free_addresses()?;
        let own = env::current_exe()?;
        let role = ["--bench", "backend", &address.to_string()];
        let backend = Process::start("backend", core, &own, &role, directory.path())?;
        let elbow = Elbow::start(core, [front, admin, address], directory.path())?;
        let bench = Self {
            connections,
            interval: arguments.interval,
            rounds,
            seconds,
            compares: !arguments.quick,
            attack_core,
            slowhttptest,
            wrk: Wrk::new(wrk, core, directory.path())?,
            backend_address: address,
            elbow,
            _backend: backend,
            directory,
        };
        let rested = bench.at_rest()?;
        let mut report = Report {
            setting,
            rows: Vec::new(),
        };
        for mode in Mode::ALL {
            let row = bench
                .attack(mode, rested)
                .map_err(|failure| format!("{}: {failure}", mode.name()))?;
            eprintln!("{}: done", mode.name());
            report.rows.push(row);
        }
        verify(bench.elbow.front, false)?;
        print!("{report}");
        report.rows.iter().try_for_each(expect_bounds)
    }

    /// Warms elbow up; what it holds when nobody is there.
    fn at_rest(&self) -> Result<Held, Failure> {
        self.wrk.play(&self.load(self.elbow.front))?;
        let nobody = Held {
            connections: 0,
            descriptors: usize::MAX,
            blocks: 0,
        };
        self.elbow.expect_back_at(nobody)
    }

    /// Plays the loads quiet and under one attack.
    fn attack(&self, mode: Mode, rested: Held) -> Result<Row, Failure> {
        let quiet = self.loads()?;
        self.elbow.forget_peak()?;
        let before = self.elbow.resident()?;
        let place = (
            self.slowhttptest.as_path(),
            self.attack_core,
            self.directory.path(),
        );
        let window = self.seconds * u64::from(self.rounds) * (1 + u64::from(self.compares));
        let size = Size {
            connections: self.connections,
            interval: self.interval,
            window,
        };
        let mut attack = Attack::start(mode, size, place, &self.elbow)?;
        let connections = self.elbow.held()?.connections;
        let attacked = self.loads()?;
        attack.expect_in_full()?;
        let peak = self.elbow.resident_peak()?;
        drop(attack);
        self.elbow.expect_back_at(rested)?;
        Ok(Row {
            mode,
            quiet,
            attacked,
            connections,
            clients_max: self.connections + HONEST_CONNECTIONS + OTHERS_MAX,
            memory: [before, peak],
        })
    }

    /// Plays all rounds.
    fn loads(&self) -> Result<Loads, Failure> {
        let mut loads = Loads::default();
        for _ in 0..self.rounds {
            let before = self.elbow.cpu_time()?;
            let outcome = self.wrk.play(&self.load(self.elbow.front))?;
            loads.cpu += self.elbow.cpu_time()?.since(&before);
            loads.over_elbow.push(outcome);
            if self.compares {
                loads
                    .without
                    .push(self.wrk.play(&self.load(self.backend_address))?);
            }
        }
        Ok(loads)
    }

    fn load(&self, address: SocketAddr) -> Load {
        let (path, _) = BODIES[0];
        Load {
            url: format!("http://{address}{path}"),
            connections: HONEST_CONNECTIONS,
            seconds: self.seconds,
            cookies: String::new(),
            closes: false,
            is_full_handshake: false,
        }
    }
}

/// What must hold however slow the machine is.
fn expect_bounds(row: &Row) -> Result<(), Failure> {
    let ([_, peak], most) = (row.memory, row.memory_max());
    let name = row.mode.name();
    if row.errors().total() > 0 {
        return Err(format!("{name}: honest requests failed: {:?}", row.errors()).into());
    }
    if row.connections > row.clients_max as u64 {
        return Err(format!("{name}: {} connections are open", row.connections).into());
    }
    match peak <= most {
        true => Ok(()),
        false => Err(format!("{name}: {peak} bytes resident and at most {most} may be").into()),
    }
}

/// What the report says about the machine, a line each.
fn setting(
    [core, attack_core]: [usize; 2],
    [connections, interval]: [usize; 2],
    rounds: u8,
    seconds: u64,
) -> Result<Vec<String>, Failure> {
    let load_before = load_average()?;
    let mut lines = vec![
        format!("Linux {}, {}", kernel_release()?, cpu_model()?),
        format!("elbow, wrk and the backend on core {core}; attackers on core {attack_core}"),
        format!("attacks of {connections} connections, that send every {interval} s"),
        format!(
            "medians of {rounds} honest load(s) of {seconds} s each, {HONEST_CONNECTIONS} connections"
        ),
    ];
    if are_siblings(core, attack_core) {
        lines.push("note: the two cores are threads of one physical core: choose others".into());
    }
    if load_before > QUIET_LOAD_MAX {
        lines.push(format!(
            "note: others use this machine (load average {load_before} at the start)"
        ));
    }
    Ok(lines)
}
