//! The commands and flags of elbow.
//!
//! How they become a [`Config`](crate::config::Config) is in `load.rs`. Not here: what the commands
//! do (`main`), and what a value means (`config`). Invariant: whatever is wrong comes back as a
//! [`Failure`], whose text stands after `elbow: ` on stderr; nothing here logs, and only help and
//! version end the process.

mod ask;
mod cluster;
mod drain;
mod explain;
mod instances;
mod load;
mod print;
mod reload;
mod sign;
mod status;
mod table;
#[cfg(test)]
mod tests;
mod top;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

pub use cluster::{Cluster, cluster};
pub use drain::{Drain, drain};
pub use explain::{Explain, explain};
pub use instances::{Instances, instances};
pub use load::{Answer, Failure, check, load, load_demo};
pub use print::print_config;
pub use reload::{Reload, reload};
pub use status::{Status, status};
pub use top::{Top, top};

use crate::config::{Admin, Cores, Driver, Mistake, Overrides, Sink, Stickiness};

/// The arguments of the process.
#[derive(Debug, Parser)]
#[command(name = "elbow", version, about, after_help = EXAMPLES)]
#[command(disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Balance: from a configuration file, or from flags alone
    Run(Box<Run>),
    /// Try it: three small backends and a sticky load balancer, all in this process
    Demo(Demo),
    /// Check a configuration file and name every problem in it
    Check(Check),
    /// Say what runs: the process, its load balancers, what they have done so far
    Status(Status),
    /// Say how the instances are, and what they have to do
    Instances(Instances),
    /// Say which nodes are there, whether they are enough to decide, and whether they are at one
    Cluster(Cluster),
    /// Watch it from second to second: shards, load balancers, instances, sessions that move
    Top(Top),
    /// Have the configuration file read again, and say what came of it
    Reload(Reload),
    /// Say where a client's session goes, and why
    Explain(Explain),
    /// Let an instance leave once its sessions have ended
    Drain(Drain),
}

/// What `--help` of the commands that ask the admin address says at its end.
const SIGNED: &str = "\
Where elbow has an [[admin.credential]], the command signs what it asks (AWS SigV4) with
AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the environment, for AWS_REGION or else us-east-1.";

/// Where elbow has its admin address unless it is told otherwise.
const ADMIN_DEFAULT: &str = "127.0.0.1:9090";

/// The flags of `elbow run` that say what a file would.
const SOURCE_FLAGS: [&str; 4] = ["listen", "backend", "sticky", "sticky_app"];

/// The flags of `elbow run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
#[group(id = "source", required = true, args = ["config", "listen"])]
pub struct Run {
    /// The configuration file
    #[arg(long, value_name = "FILE", conflicts_with_all = SOURCE_FLAGS)]
    pub config: Option<PathBuf>,

    /// Without a file: the address and port to accept clients on
    #[arg(long, value_name = "ADDR", value_parser = socket_address, requires = "backend")]
    pub listen: Option<SocketAddr>,

    /// Without a file: the address and port of a backend; give it once for each
    #[arg(long, value_name = "ADDR", value_parser = socket_address, requires = "listen")]
    pub backend: Vec<SocketAddr>,

    /// Without a file: keep each client on its backend by a cookie that lives this long; 0 for the
    /// browser session, absent for no stickiness
    #[arg(long, value_name = "SECONDS", requires = "listen")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=i64::from(i32::MAX)))]
    pub sticky: Option<u32>,

    /// Without a file: keep each client on its backend for as long as it has this cookie of the
    /// application
    #[arg(
        long,
        value_name = "COOKIE",
        requires = "listen",
        conflicts_with = "sticky"
    )]
    #[arg(value_parser = Stickiness::by_application)]
    pub sticky_app: Option<Stickiness>,

    /// Start nothing: print what would be in force, and what is if elbow runs already, with all
    /// defaults and what the API has changed, and where each part comes from
    #[arg(long)]
    pub print_config: bool,

    /// Where metrics, health and the ELB API are served, or `off`; a loopback address unless the
    /// file has an [[admin.credential]] [default: what the file says, else 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR", value_parser = Admin::parse)]
    pub admin: Option<Admin>,

    /// Flags about the process.
    #[command(flatten)]
    pub host: HostFlags,
}

/// The flags of `elbow demo`.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub struct Demo {
    /// The address and port to accept clients on
    #[arg(long, value_name = "ADDR", value_parser = socket_address)]
    #[arg(default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    /// Where metrics and health are served: a loopback address, or `off`
    #[arg(long, value_name = "ADDR", value_parser = Admin::parse)]
    #[arg(default_value = ADMIN_DEFAULT)]
    pub admin: Admin,

    /// Flags about the process.
    #[command(flatten)]
    pub host: HostFlags,
}

/// The flags of `elbow check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Flags about the process, of `run` and `demo`. They go before what a file says.
#[derive(Debug, Args)]
#[command(next_help_heading = "Process")]
pub struct HostFlags {
    /// CPUs to use, such as 0-3,8: one shard on each [default: every CPU this process may use]
    #[arg(long, value_name = "LIST", value_parser = Cores::parse_list, conflicts_with = "shards")]
    pub cores: Option<Cores>,

    /// How many shards to run, on the first CPUs this process may use
    #[arg(long, value_name = "N", value_parser = Cores::parse_count)]
    pub shards: Option<Cores>,

    /// Let the kernel move shards between CPUs
    #[arg(long)]
    pub no_pin: bool,

    /// How to do I/O: auto takes io_uring where the kernel allows it, else epoll
    /// [default: what the file says, else auto]
    #[arg(long, value_name = "DRIVER", value_parser = driver_parser())]
    pub driver: Option<Driver>,

    /// Where keys and the lives of backends are kept; without it sessions end with this process
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// A line for each request, as the Classic Load Balancer writes them: to that file, - for
    /// stdout, or syslog
    #[arg(long, value_name = "FILE", value_parser = Sink::parse)]
    pub access_log: Option<Sink>,

    /// How much to log on stderr
    #[arg(long, value_name = "LEVEL", value_enum, default_value_t = LogLevel::Info)]
    pub log_level: LogLevel,
}

/// How much to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What needs somebody now.
    Error,
    /// What needs somebody soon.
    Warn,
    /// What changed.
    Info,
    /// Why it changed.
    Debug,
    /// Every step.
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl HostFlags {
    fn overrides(&self, admin: Option<Admin>) -> Overrides {
        Overrides {
            cores: self.cores.clone().or_else(|| self.shards.clone()),
            no_pin: self.no_pin,
            driver: self.driver,
            state_dir: self.state_dir.clone(),
            admin,
            access_log: self.access_log.clone(),
        }
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, Mistake> {
    text.parse()
        .map_err(|_| "must be an IP address and port, such as 127.0.0.1:8080".into())
}

fn driver_parser() -> impl TypedValueParser<Value = Driver> {
    PossibleValuesParser::new(Driver::NAMES).try_map(|name| Driver::parse(&name))
}

/// Reads the arguments of this process.
///
/// Where they ask for help or the version, or name no command, it prints that and ends the process.
pub fn arguments() -> Result<Command, Failure> {
    match Cli::try_parse() {
        Ok(cli) => Ok(cli.command),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
            _ => Err(Failure::Usage(one_line(&error))),
        },
    }
}

/// What clap has to say, without its usage lines, on one line.
fn one_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let paragraphs = text
        .trim_start_matches("error: ")
        .split("\n\n")
        .filter(|paragraph| !paragraph.starts_with("Usage:"))
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>();
    paragraphs
        .join("; ")
        .trim_end_matches('.')
        .replace("; For more", "; for more")
}

const EXAMPLES: &str = "\
Examples:
  elbow demo
      See stickiness at work; it prints what to try.
  elbow run --listen 0.0.0.0:8080 --backend 10.0.0.1:9001 --backend 10.0.0.2:9001 --sticky 60
      One load balancer, no file.
  elbow check --config elbow.toml && elbow run --config elbow.toml
      The usual way.
  elbow status && elbow instances web
      What runs, and how the instances of a load balancer are.
  elbow cluster
      Which nodes there are, and whether they are at one.
  elbow top
      What happens from second to second; q ends it.
  elbow reload
      The file was edited: make it so.
  elbow explain --load-balancer web --port 80 --cookie \"$COOKIE\"
      Where that session goes, and why.
  elbow drain web i-0a1b2c3d --watch
      Take an instance out and lose no session.

`elbow run --help` says more.";

const RUN_EXAMPLES: &str = "\
Examples:
  elbow run --config /etc/elbow/elbow.toml
      Everything the file says.
  elbow run --listen 0.0.0.0:8080 --backend 10.0.0.1:9001 --backend 10.0.0.2:9001
      Each request to the backend with the fewest outstanding ones.
  elbow run --listen 0.0.0.0:8080 --backend 10.0.0.1:9001 --backend 10.0.0.2:9001 --sticky 3600
      As before, and whoever got an answer from a backend comes back to it for an hour.
  elbow run --listen 0.0.0.0:8080 --backend 10.0.0.1:9001 --backend 10.0.0.2:9001 \\
    --sticky-app JSESSIONID
      Whoever got a JSESSIONID from a backend comes back to it as long as the browser keeps that.
  elbow run --config elbow.toml --cores 2-5 --state-dir /var/lib/elbow
      On four CPUs, and with cookies that survive a restart. Flags go before the file.
  elbow run --config elbow.toml --print-config
      What that comes to, every default included, as a file that says the same.

Without a file, backends are checked by a TCP connection every 5 seconds.
SIGTERM and SIGINT let running exchanges finish. Exit codes: 0 after a signal, 1 if something
failed while running, 2 if the configuration or the flags do not hold.";

const DEMO_EXAMPLES: &str = "\
Examples:
  elbow demo
      Then, in another terminal:
  curl -i http://127.0.0.1:8080/
      Look for Set-Cookie: each call without the cookie may reach another backend,
  curl -c jar -b jar http://127.0.0.1:8080/
      and each call with it reaches the same one.";

const CHECK_EXAMPLES: &str = "\
Examples:
  elbow check --config elbow.toml
      Prints what the file says and exits with 0, or prints each problem with its line, its key,
      its value and what would be allowed, and exits with 2.";
