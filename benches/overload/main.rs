//! `cargo bench --bench overload`: what becomes of four times the load that backends can take.
//!
//! Two backends that become slower beyond their capacity, elbow before them, and wrk: first with as
//! many connections as they have capacity for, then with four times as many. How to read it is in
//! `benches/README.md`. Not a measure of elbow's own speed: the backends are what is slow.
//! Invariant: the exit code is 0 only if every answer was either right or a clean 503, and no
//! backend ever had more than its bound.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a bench answers by printing; no shard is here that could be held up by a sleep"
)]

mod backend;
#[expect(
    dead_code,
    reason = "shared with benches that start more kinds of processes"
)]
#[path = "../proxy/process.rs"]
mod process;

use std::env;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Parser;
use serde::Deserialize;

use backend::{CAPACITY, Seen};
use process::{Directory, Process, free_addresses, look_until};

/// What ends the bench: a sentence for whoever runs it.
type Failure = Box<dyn Error>;

/// How many requests all backends together work on at once.
const AT_CAPACITY: usize = 2 * CAPACITY;

/// How long elbow may take until it serves.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// The core of elbow and of wrk: the backends only wait.
const CORE: usize = 0;

/// Plays four times the load that backends can take; needs wrk.
#[derive(Debug, Parser)]
#[command(name = "cargo bench --bench overload --", version)]
struct Arguments {
    /// How long each kind of load is played.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=600))]
    seconds: u16,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// One row of the table.
struct Scenario {
    name: &'static str,
    attributes: String,
    connections: usize,
    is_bounded: bool,
}

/// What wrk saw, counted by its hook.
#[derive(Debug, Deserialize)]
struct Outcome {
    right: u64,
    refused: u64,
    wrong: u64,
    broken: u64,
    window_us: u64,
    p99_us: u64,
}

/// Counts what is right, what is a clean refusal, and what is neither. Whoever was refused comes
/// again after the time that an answer takes: at once, and there would be ten times the load.
const SCRIPT: &str = r#"
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() right, refused, wrong, resting = 0, 0, 0, 0 end
function response(status, headers, body)
  if status == 200 and body == "right" then right = right + 1
  elseif status == 503 and body == "" then refused, resting = refused + 1, resting + 1
  else wrong = wrong + 1 end
end
function delay()
  if resting == 0 then return 0 end
  resting = resting - 1
  return 10
end
function done(summary, latency)
  local sum = {right = 0, refused = 0, wrong = 0}
  for _, thread in ipairs(threads) do
    for name, count in pairs(sum) do sum[name] = count + thread:get(name) end
  end
  local e = summary.errors
  io.write(string.format(
    'outcome {"right":%d,"refused":%d,"wrong":%d,"broken":%d,"window_us":%d,"p99_us":%d}\n',
    sum.right, sum.refused, sum.wrong, e.connect + e.read + e.write + e.timeout,
    summary.duration, latency:percentile(99)))
end
"#;

fn main() -> ExitCode {
    if !env::args().any(|argument| argument == "--bench") {
        println!("a bench, not a test: run it with `cargo bench --bench overload`");
        return ExitCode::SUCCESS;
    }
    match play_all(Arguments::parse().seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("overload bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn scenarios() -> [Scenario; 4] {
    let bounded = format!("max_outstanding = {CAPACITY}\n");
    let short = format!("{bounded}surge_queue = {AT_CAPACITY}\n");
    let scenario = |name, attributes: &str, load: usize| Scenario {
        name,
        attributes: attributes.to_owned(),
        connections: load * AT_CAPACITY,
        is_bounded: !attributes.is_empty(),
    };
    [
        scenario("1 x, bounded", &bounded, 1),
        scenario("4 x, bounded, all may wait", &bounded, 4),
        scenario("4 x, bounded, a third of the rest may wait", &short, 4),
        scenario("4 x, without a bound", "", 4),
    ]
}

fn play_all(seconds: u16) -> Result<(), Failure> {
    let mut peak = None;
    let mut complaints = Vec::new();
    println!(
        "{:<46} {:>8} {:>6} {:>9} {:>6} {:>6} {:>8} {:>8}",
        "load", "right/s", "ratio", "refused/s", "wrong", "broken", "p99 ms", "at once"
    );
    for scenario in scenarios() {
        let seen = Arc::default();
        let outcome = play(&scenario, &seen, seconds)?;
        let window = Duration::from_micros(outcome.window_us).as_secs_f64();
        let per_second = |count: u64| count as f64 / window;
        let right = per_second(outcome.right);
        let at_once = seen.most_at_once.load(Ordering::SeqCst);
        println!(
            "{:<46} {right:>8.0} {:>6.2} {:>9.0} {:>6} {:>6} {:>8.1} {at_once:>8}",
            scenario.name,
            right / *peak.get_or_insert(right),
            per_second(outcome.refused),
            outcome.wrong,
            outcome.broken,
            Duration::from_micros(outcome.p99_us).as_secs_f64() * 1000.0,
        );
        let is_clean = outcome.wrong + outcome.broken == 0;
        let holds = at_once <= CAPACITY && seen.answers.load(Ordering::SeqCst) > 0;
        if scenario.is_bounded && !(is_clean && holds) {
            complaints.push(scenario.name);
        }
    }
    match complaints.as_slice() {
        [] => Ok(()),
        names => Err(format!("wrong answers, or a bound that did not hold: {names:?}").into()),
    }
}

/// One kind of load against backends and an elbow of its own.
fn play(scenario: &Scenario, seen: &Arc<Seen>, seconds: u16) -> Result<Outcome, Failure> {
    let directory = Directory::create()?;
    let backends = [backend::start(seen)?, backend::start(seen)?];
    let [address] = free_addresses()?;
    let file = directory.path().join("elbow.toml");
    fs::write(
        &file,
        configuration(address, &backends, &scenario.attributes),
    )?;
    let arguments = ["run".as_ref(), "--config".as_ref(), file.as_os_str()];
    let program = Path::new(env!("CARGO_BIN_EXE_elbow"));
    let elbow = Process::start("elbow", CORE, program, &arguments, directory.path())?;
    look_until(READY_TIMEOUT, || serves(address).then_some(()))
        .ok_or_else(|| format!("elbow does not serve\n{}", elbow.log_tail()))?;

    let script = directory.path().join("count.lua");
    fs::write(&script, SCRIPT)?;
    let output = Command::new("wrk")
        .args(["-t1", "--latency", "-s"])
        .arg(&script)
        .arg(format!("-c{}", scenario.connections))
        .arg(format!("-d{seconds}s"))
        .arg(format!("http://{address}/"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(json) = text.lines().find_map(|line| line.strip_prefix("outcome ")) else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("wrk printed no outcome: {text}{complaint}").into());
    };
    Ok(serde_json::from_str(json)?)
}

fn configuration(address: SocketAddr, backends: &[SocketAddr], attributes: &str) -> String {
    let instances: Vec<String> = backends.iter().map(ToString::to_string).collect();
    format!(
        r#"
[host]
shards = 2
pin = false
[admin]
listen = "off"
[[load_balancer]]
name = "web"
instances = {instances:?}
[load_balancer.health_check]
target = "TCP:80"
[[load_balancer.listener]]
protocol = "HTTP"
address = "{}"
port = {}
instance_port = 80
[load_balancer.attributes]
{attributes}"#,
        address.ip(),
        address.port()
    )
}

/// Whether a backend answers.
fn serves(address: SocketAddr) -> bool {
    let url = format!("http://{address}/");
    ureq::get(&url).call().is_ok()
}
