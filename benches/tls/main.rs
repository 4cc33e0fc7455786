//! `cargo bench --bench tls`: elbow's adapter round rustls beside monoio-rustls, as servers.
//!
//! This program is the clients, on one core, and for each run starts itself as the server, on
//! another. What is measured and how to read it is in `benches/README.md`. Not elbow as a whole:
//! that is `proxy`. Invariant: the exit code is 0 only if every answer was whole and right.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench answers by printing; no shard is here that could be held up by a sleep"
)]

mod client;
#[path = "../proxy/cpu.rs"]
#[expect(dead_code, reason = "the server has no children")]
mod cpu;
#[path = "../proxy/process.rs"]
mod process;
mod report;
mod server;

use std::env;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};
use elbow::sys::thread::{allowed_cores, pin_to, raise_open_files};

use client::{Client, Figures, Load, Target, play};
use process::{Directory, Process, free_addresses, look_until};
use report::Row;
use server::Adapter;

/// As elbow has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What ends the bench: a sentence for whoever runs it.
pub(crate) type Failure = Box<dyn Error>;

/// Bytes of a request: a small head.
pub(crate) const REQUEST_BYTES: usize = 200;

/// The name in the certificate.
pub(crate) const HOST: &str = "bench.test";

/// Where the server finds its certificate, and clients whom to trust.
pub(crate) const CERTIFICATE_FILE: &str = "certificate.der";

/// Where the server finds its key.
pub(crate) const KEY_FILE: &str = "key.der";

/// Connections of which the memory is counted, as `tests/idle_memory` does.
const IDLE_CONNECTIONS: usize = 2000;

/// Requests on one connection before memory is counted.
const WARM_UP_REQUESTS: usize = 200;

/// Descriptors that either process has for other things.
const OTHER_DESCRIPTORS: usize = 200;

/// How long a server may take until it answers.
const READY_TIMEOUT: Duration = Duration::from_secs(10);

/// A load and the size of its answers.
struct Scenario {
    name: &'static str,
    load: Load,
    answer_bytes: usize,
}

const SCENARIOS: [Scenario; 4] = [
    Scenario {
        name: "128-64",
        load: Load::Kept(64),
        answer_bytes: 128,
    },
    Scenario {
        name: "16k-64",
        load: Load::Kept(64),
        answer_bytes: 16 << 10,
    },
    Scenario {
        name: "1m-16",
        load: Load::Kept(16),
        answer_bytes: 1 << 20,
    },
    Scenario {
        name: "full",
        load: Load::Handshakes,
        answer_bytes: 128,
    },
];

/// The scenario in which connections rest.
const IDLE: &str = "idle";

/// Compares two adapters of rustls to monoio on this machine; needs two cores.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench tls --", version)]
struct Arguments {
    /// How often both play every scenario.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// Length of each measured window.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Play only this scenario; may be repeated.
    #[arg(long, value_parser = PossibleValuesParser::new(scenario_names()))]
    scenario: Vec<String>,
    /// One round of half a second: does it run, are the answers right?
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
    /// Answer over this adapter.
    #[command(hide = true)]
    Serve {
        adapter: Adapter,
        address: SocketAddr,
        answer_bytes: usize,
        directory: PathBuf,
    },
}

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        println!("a bench, not a test: run it with `cargo bench --bench tls`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse();
    let result = match &arguments.role {
        Some(Role::Serve {
            adapter,
            address,
            answer_bytes,
            directory,
        }) => server::serve(*adapter, *address, *answer_bytes, directory),
        None => compare(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("tls bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn scenario_names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|scenario| scenario.name).chain([IDLE])
}

/// The bench: rounds over scenarios over adapters, then the tables. Each round begins with the
/// other adapter.
fn compare(arguments: &Arguments) -> Result<(), Failure> {
    let (rounds, window) = match arguments.quick {
        true => (1, Duration::from_millis(500)),
        false => (
            usize::from(arguments.rounds),
            Duration::from_secs(arguments.seconds),
        ),
    };
    let limit = raise_open_files()?;
    let needed = IDLE_CONNECTIONS + OTHER_DESCRIPTORS;
    if limit < needed as u64 {
        return Err(format!("needs {needed} open files, the hard limit is {limit}").into());
    }
    let bench = Bench::new(window)?;
    bench.print_setting(rounds)?;
    let is_chosen =
        |name| arguments.scenario.is_empty() || arguments.scenario.iter().any(|n| n == name);
    let scenarios: Vec<_> = SCENARIOS.iter().filter(|s| is_chosen(s.name)).collect();
    let mut rows: Vec<Row> = scenarios.iter().map(|s| Row::new(s.name)).collect();
    let mut idle = Vec::new();
    for round in 0..rounds {
        for (scenario, row) in scenarios.iter().zip(&mut rows) {
            row.rounds
                .push(in_turn(round, |adapter| bench.measure(adapter, scenario))?);
        }
        if is_chosen(IDLE) {
            idle.push(in_turn(round, |adapter| bench.idle_bytes(adapter))?);
        }
    }
    if !rows.is_empty() {
        report::print_cpu(&rows);
    }
    if !idle.is_empty() {
        report::print_memory(IDLE_CONNECTIONS, &idle);
    }
    Ok(())
}

/// What each adapter gives, in the order of [`Adapter::BOTH`]; who is first depends on the round.
fn in_turn<T>(
    round: usize,
    play: impl Fn(Adapter) -> Result<T, Failure>,
) -> Result<[T; 2], Failure> {
    let [first, second] = Adapter::BOTH;
    if round.is_multiple_of(2) {
        let of_first = play(first)?;
        Ok([of_first, play(second)?])
    } else {
        let of_second = play(second)?;
        Ok([play(first)?, of_second])
    }
}

/// Where the bench runs, and for how long each window.
struct Bench {
    directory: Directory,
    server_core: usize,
    client_core: usize,
    window: Duration,
}

impl Bench {
    /// Takes the second core for this process, and makes a certificate.
    fn new(window: Duration) -> Result<Self, Failure> {
        let &[server_core, client_core, ..] = allowed_cores().as_slice() else {
            return Err("needs two cores: one for the server, one for the clients".into());
        };
        if !pin_to(client_core) {
            return Err(format!("the kernel refused to pin the clients to {client_core}").into());
        }
        let directory = Directory::create()?;
        // ECDSA on P-256.
        let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()])?;
        let path = directory.path();
        fs::write(path.join(CERTIFICATE_FILE), made.cert.der())?;
        fs::write(path.join(KEY_FILE), made.signing_key.serialize_der())?;
        Ok(Self {
            directory,
            server_core,
            client_core,
            window,
        })
    }

    fn print_setting(&self, rounds: usize) -> Result<(), Failure> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or_default();
        let Self {
            server_core,
            client_core,
            window,
            ..
        } = self;
        println!("Linux {}, load average {load} at the start", kernel.trim());
        println!("server on core {server_core}, clients on core {client_core}");
        println!("medians of {rounds} round(s) of {window:?} each");
        Ok(())
    }

    fn measure(&self, adapter: Adapter, scenario: &Scenario) -> Result<Figures, Failure> {
        self.with_server(adapter, scenario.answer_bytes, |target, server| {
            let spans = [self.window / 3, self.window];
            play(target, scenario.load, server, spans)
        })
        .inspect(|figures| eprintln!("{:<8}{:<14}{figures}", scenario.name, adapter.name()))
        .map_err(|failure| format!("{} over {}: {failure}", scenario.name, adapter.name()).into())
    }

    /// Bytes that an idle connection holds in the server, user memory alone.
    fn idle_bytes(&self, adapter: Adapter) -> Result<usize, Failure> {
        self.with_server(adapter, 128, |target, server| {
            let mut first = Client::connect(target)?;
            for _ in 0..WARM_UP_REQUESTS {
                first.ask_once()?;
            }
            let before = resident_bytes(server)?;
            let mut clients = Vec::with_capacity(IDLE_CONNECTIONS);
            for _ in 0..IDLE_CONNECTIONS {
                let mut client = Client::connect(target)?;
                client.ask_once()?;
                clients.push(client);
            }
            let after = resident_bytes(server)?;
            // They were idle and not closed.
            clients.iter_mut().try_for_each(Client::ask_once)?;
            Ok(after.saturating_sub(before) / IDLE_CONNECTIONS)
        })
        .inspect(|bytes| eprintln!("{IDLE:<8}{:<14}{bytes:>9} bytes each", adapter.name()))
        .map_err(|failure| format!("{IDLE} over {}: {failure}", adapter.name()).into())
    }

    /// Runs something against a server of its own, of which it gets the process id.
    fn with_server<T>(
        &self,
        adapter: Adapter,
        answer_bytes: usize,
        play: impl FnOnce(&Target, u32) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let [address] = free_addresses()?;
        let path = self.directory.path();
        let mut server = self.start_server(adapter, address, answer_bytes)?;
        let target = Target::new(address, answer_bytes, path)?;
        let result =
            wait_until_ready(&mut server, &target).and_then(|()| play(&target, server.id()));
        result.map_err(|failure| format!("{failure}\n{}", server.log_tail()).into())
    }

    fn start_server(
        &self,
        adapter: Adapter,
        address: SocketAddr,
        answer_bytes: usize,
    ) -> Result<Process, Failure> {
        let path: &Path = self.directory.path();
        let directory = path.to_str().ok_or("the temporary directory is no text")?;
        let (address, answer_bytes) = (address.to_string(), answer_bytes.to_string());
        let arguments = [
            "--bench",
            "serve",
            adapter.name(),
            &address,
            &answer_bytes,
            directory,
        ];
        let program = env::current_exe()?;
        Ok(Process::start(
            "server",
            self.server_core,
            &program,
            &arguments,
            path,
        )?)
    }
}

/// Waits until a request is answered.
fn wait_until_ready(server: &mut Process, target: &Target) -> Result<(), Failure> {
    let mut refusal = String::new();
    let outcome = look_until(READY_TIMEOUT, || match server.exit_status() {
        Ok(None) => {
            let asked = Client::connect(target).and_then(|mut client| {
                client.ask_once()?;
                client.close()
            });
            asked
                .map_err(|error| refusal = error.to_string())
                .ok()
                .map(Ok)
        }
        Ok(Some(status)) => Some(Err(format!("ended before it served, {status}"))),
        Err(error) => Some(Err(error.to_string())),
    });
    Ok(outcome.unwrap_or_else(|| Err(format!("never answered: {refusal}")))?)
}

/// Memory of its own that a process has resident: heap and stacks, no files.
fn resident_bytes(process: u32) -> Result<usize, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.ok_or("RssAnon is not in kB")?.parse::<usize>()? * 1024)
}

/// The answer: what is lost or moved shows, as 251 is prime.
pub(crate) fn answer(bytes: usize) -> Vec<u8> {
    (0_u8..251).cycle().take(bytes).collect()
}
