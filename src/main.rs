//! Arguments, configuration, sockets, shards and control: the only place that wires.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use elbow::cli::{self, Answer, Command, Failure};
use elbow::cluster::{Secrets, node_number};
use elbow::config::{Config, Cores, Host, Sources};
use elbow::control::access_log::AccessLog;
use elbow::control::certificates::{self, Ends};
use elbow::control::journal::Journal;
use elbow::control::regions::Regions;
use elbow::control::replicas::Replicas;
use elbow::control::tickets::{self, Keeper, Keyring};
use elbow::control::{
    self, About, Control, Ending, Files, Inventory, Joining, Member, Origin, ReadAgain,
};
use elbow::demo;
use elbow::limits::{ADDRESSES_PATIENCE, LISTENERS_LOOK_INTERVAL, SHARDS_MAX};
use elbow::shard::{self, Level, Start};
use elbow::state::State;
use elbow::sticky::{Key, Seals, Verdict};
use elbow::sys::{Instant, Link, Outlet, socket, thread, unix_millis, unix_seconds};
use tracing::level_filters::LevelFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit code of a process that could not start or did not end well.
const EXIT_FAILURE: u8 = 1;

fn main() -> ExitCode {
    match cli::arguments() {
        Ok(Command::Run(run)) if run.print_config => tell(&cli::print_config(&run)),
        Ok(Command::Run(run)) => {
            log_to_stderr(run.host.log_level.into());
            let loaded = cli::load(&run);
            let has_file = run.config.is_some();
            let again = move || cli::load(&run).map_err(|failure| failure.lines());
            start(loaded, has_file.then(|| ReadAgain::new(again)), |_| {
                String::new()
            })
        }
        Ok(Command::Demo(demo)) => {
            log_to_stderr(demo.host.log_level.into());
            match demo::start_backends(3) {
                Ok(backends) => {
                    let config = cli::load_demo(&demo, &backends);
                    start(
                        config.map(|config| (config, Sources::default())),
                        None,
                        what_to_try,
                    )
                }
                Err(error) => fail(&format!("cannot start the backends of the demo: {error}")),
            }
        }
        Ok(Command::Check(check)) => tell(&cli::check(&check)),
        Ok(Command::Status(status)) => tell(&cli::status(&status)),
        Ok(Command::Instances(instances)) => tell(&cli::instances(&instances)),
        Ok(Command::Cluster(cluster)) => tell(&cli::cluster(&cluster, &mut anstream::stdout())),
        Ok(Command::Top(top)) => tell(&cli::top(&top, &mut io::stdout())),
        Ok(Command::Reload(reload)) => tell(&cli::reload(&reload)),
        Ok(Command::Explain(explain)) => tell(&cli::explain(&explain)),
        Ok(Command::Drain(drain)) => tell(&cli::drain(&drain, &mut io::stdout())),
        Err(failure) => refuse(&failure),
    }
}

/// Says what a command that ends at once has to say.
fn tell(answer: &Answer) -> ExitCode {
    if answer.exit_code == 0 {
        say(&answer.text);
    } else {
        complain(&answer.text);
    }
    ExitCode::from(answer.exit_code)
}

/// Runs until a signal. Shards still run when this returns, and the end of `main` ends them: their
/// runtimes must not be dropped with operations in flight.
fn start(
    loaded: Result<(Config, Sources), Failure>,
    read_again: Option<ReadAgain>,
    greeting: fn(&Opened) -> String,
) -> ExitCode {
    let (config, sources) = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => return refuse(&failure),
    };
    if !thread::refuse_huge_pages() {
        tracing::warn!("the kernel may use huge pages: blocks then hold more memory than bytes");
    }
    if let Err(error) = thread::raise_open_files() {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    let kept = match Kept::take_up(config, sources) {
        Ok(kept) => kept,
        Err(failure) => return failure,
    };
    match run(kept, read_again, greeting) {
        Ok(Ending::Drained) => ExitCode::SUCCESS,
        Ok(Ending::TimedOut { connections }) => fail(&format!(
            "ended with {connections} connections open, the timeout was over"
        )),
        Ok(Ending::CutShort { connections }) => fail(&format!(
            "ended at once, with {connections} connections open"
        )),
        Err(problem) => fail(&problem),
    }
}

/// What is to run: what the file says and what the API has changed since.
struct Kept {
    config: Config,
    origin: Origin,
    regions: Regions,
    journal: Journal,
    files: Files,
    /// What the API has changed on any node of the cluster; `None`: there is none.
    replicas: Option<Replicas>,
    /// To join the others.
    joining: Option<Joining>,
}

impl Kept {
    fn take_up(config: Config, sources: Sources) -> Result<Self, ExitCode> {
        let (config, socket) = open_cluster(config).map_err(|problem| fail(&problem))?;
        let (mut journal, records) = Journal::open(config.host.state_dir.as_deref())
            .map_err(|error| fail(&format!("cannot take up what the API has changed: {error}")))?;
        let (mut replicas, records) = match &config.cluster {
            None => (None, records),
            Some(cluster) => {
                let (replicas, records) = Replicas::take_up(node_number(&cluster.node), records);
                (Some(replicas), records)
            }
        };
        let settled = Regions::settle(&config, records, unix_millis()).map_err(|problems| {
            let problems = problems.join("\n");
            fail(&format!(
                "what the API has changed does not hold any more\n{problems}"
            ))
        })?;
        let outdated = match &mut replicas {
            Some(known) => known.instead_of(settled.outdated),
            None => settled.outdated,
        };
        if let Err(error) = journal.append(&outdated) {
            tracing::warn!(%error, "what the file has replaced of the API's changes stays on disk");
        }
        let config = Config {
            load_balancers: settled.wanted,
            ..config
        };
        let files = Files::load(&config, unix_seconds())
            .map_err(|problems| refuse(&Failure::Certificates(problems)))?;
        let secrets = files.secrets.clone();
        let joining = join(&config, socket, secrets).map_err(|problem| fail(&problem))?;
        let origin = Origin {
            host: config.host.clone(),
            admin: config.admin.clone(),
            access_log: config.access_log.clone(),
            cluster: config.cluster.clone(),
            sources,
        };
        Ok(Self {
            config,
            origin,
            regions: settled.regions,
            journal,
            files,
            replicas,
            joining,
        })
    }
}

/// Where the process can be reached, opened before anything runs.
struct Opened {
    /// Where the listeners accept, in configuration order.
    addresses: Vec<SocketAddr>,
    admin: Option<TcpListener>,
    admin_address: Option<SocketAddr>,
}

fn run(
    kept: Kept,
    read_again: Option<ReadAgain>,
    greeting: fn(&Opened) -> String,
) -> Result<Ending, String> {
    let Kept {
        config,
        origin,
        regions,
        journal,
        files,
        replicas,
        joining,
    } = kept;
    let config = &config;
    let cores = choose_cores(&config.host)?;
    let keys = load_cookie_keys(config, &files)?;
    let remembered = control::memory::load(config.host.state_dir.as_deref())
        .map_err(|error| format!("cannot take up the sessions of before: {error}"))?;
    let ticket_keys = load_ticket_keys(config, &files.certificates.keyring)?;
    certificates::log_deviations(&config.load_balancers);
    let certificate_ends = Arc::clone(&files.certificates.ends);
    await_addresses(config);
    let (inventory, bound) = Inventory::open(config, files, cores.len())?;
    let mut opened = open_admin(config)?;
    opened.addresses = bound.iter().map(|bound| bound.address).collect();
    let greeting = greeting(&opened);

    let node = joining.as_ref().map(|joining| joining.member.clone());
    let (shards, now_ms) = (cores.len(), unix_millis());
    let state = match node.as_ref().map(Member::roll) {
        None => State::new(config, &bound, shards, remembered, now_ms),
        Some(roll) => State::among(roll, config, &bound, shards, remembered, now_ms),
    };
    let (link, reports) = Link::new(state.snapshot(), inventory.listeners(), cores.len());
    let log = AccessLog::start(&config.access_log, &config.api.region)?;
    let outlet = log.as_ref().map(AccessLog::outlet);
    let levels = start_shards(config, &cores, &keys, &link, outlet.as_ref())?;

    let control = Control {
        state,
        link,
        reports,
        admin: opened.admin.take(),
        seals: Seals::new(&keys),
        state_dir: config.host.state_dir.clone(),
        shutdown_timeout: config.host.shutdown_timeout,
        about: about(&cores, &levels, certificate_ends, log.as_ref()),
        origin,
        inventory,
        regions,
        journal,
        replicas,
        read_again,
        access_log: outlet,
        ticket_keys,
        joining,
    };
    let ready = || {
        announce(config, &opened, node.as_ref(), &cores, &levels);
        say(&greeting);
    };
    let ending = control::run(control, ready);
    if let Some(log) = log {
        log.finish();
    }
    ending.map_err(|error| format!("the control thread failed: {error}"))
}

/// What is told of this process and does not change.
fn about(
    cores: &[Option<usize>],
    levels: &[Level],
    certificate_ends: Ends,
    log: Option<&AccessLog>,
) -> About {
    About {
        version: env!("CARGO_PKG_VERSION"),
        driver: least(levels),
        cores: cores.to_vec(),
        verdicts: &Verdict::NAMES,
        certificate_ends,
        access_log: log.map_or_else(Arc::default, |log| Arc::clone(&log.counts)),
    }
}

fn load_cookie_keys(config: &Config, files: &Files) -> Result<Vec<Key>, String> {
    let state_dir = config.host.state_dir.as_deref();
    if state_dir.is_none() && config.cluster.is_none() {
        tracing::info!("no state_dir: sessions last until this process ends");
    }
    control::keys::load(state_dir, files.secrets.as_ref())
        .map_err(|error| format!("cannot load the cookie keys: {error}"))
}

/// Has the listeners' keyring filled before the first of them gives a ticket.
fn load_ticket_keys(config: &Config, keyring: &Keyring) -> Result<Keeper, String> {
    let state_dir = config.host.state_dir.as_deref();
    tickets::load(state_dir, keyring, unix_seconds())
        .map_err(|error| format!("cannot load the ticket keys: {error}"))
}

/// Starts a shard for each core, and says by what driver each runs, once all of them do.
fn start_shards(
    config: &Config,
    cores: &[Option<usize>],
    keys: &[Key],
    link: &Arc<Link>,
    log: Option<&Outlet>,
) -> Result<Vec<Level>, String> {
    let mut levels = Vec::with_capacity(cores.len());
    let (started, starting) = mpsc::channel();
    for (index, core) in cores.iter().enumerate() {
        let start = Start {
            index,
            core: *core,
            driver: config.host.driver,
            seals: Seals::new(keys),
            session_window: config.host.session_window,
            link: Arc::clone(link),
            log: log.cloned(),
        };
        shard::spawn(start, started.clone())
            .map_err(|error| format!("cannot start shard {index}: {error}"))?;
    }
    for _ in cores {
        let level = starting
            .recv()
            .map_err(|_| "a shard ended before it began".to_owned())?;
        levels.push(level.map_err(|error| format!("a shard cannot start its driver: {error}"))?);
    }
    Ok(levels)
}

/// The core of each shard; `None`: not pinned.
fn choose_cores(host: &Host) -> Result<Vec<Option<usize>>, String> {
    let allowed = thread::allowed_cores();
    if allowed.is_empty() {
        return Err("the kernel does not say on which CPUs this process may run".to_owned());
    }
    let chosen = match &host.cores {
        Cores::Allowed => allowed,
        Cores::Count(count) => allowed.iter().copied().cycle().take(count.get()).collect(),
        Cores::List(list) => {
            if let Some(core) = list.iter().find(|core| !allowed.contains(core)) {
                return Err(format!(
                    "cores: CPU {core} is not one of those allowed: {allowed:?}"
                ));
            }
            list.clone()
        }
    };
    if chosen.len() > SHARDS_MAX {
        return Err(format!(
            "{} shards, at most {SHARDS_MAX} are possible",
            chosen.len()
        ));
    }
    Ok(chosen
        .into_iter()
        .map(|core| host.pin.then_some(core))
        .collect())
}

/// Waits for a moment until the addresses are free, as after `kill -9` they may not be yet. Whether
/// they are, the opening tells.
fn await_addresses(config: &Config) {
    let listeners = config.load_balancers.iter().flat_map(|b| &b.listeners);
    let listeners = listeners.map(|listener| listener.address);
    let deadline = Instant::now().after(ADDRESSES_PATIENCE);
    for address in listeners.chain(config.admin.listen) {
        if socket::is_taken(address) {
            tracing::info!(%address, "waiting, as somebody listens there");
        }
        while socket::is_taken(address) && Instant::now() < deadline {
            thread::pause(LISTENERS_LOOK_INTERVAL);
        }
    }
}

fn open_admin(config: &Config) -> Result<Opened, String> {
    let mut opened = Opened {
        addresses: Vec::new(),
        admin: None,
        admin_address: None,
    };
    if let Some(address) = config.admin.listen {
        let told = |error: io::Error| {
            format!("cannot listen on {address} for admin (see --admin): {error}")
        };
        let socket = TcpListener::bind(address).map_err(told)?;
        opened.admin_address = Some(socket.local_addr().map_err(told)?);
        opened.admin = Some(socket);
    }
    Ok(opened)
}

/// Opens what a node of a cluster is heard by, and has the configuration say where that is.
fn open_cluster(mut config: Config) -> Result<(Config, Option<UdpSocket>), String> {
    let Some(cluster) = config.cluster.take() else {
        return Ok((config, None));
    };
    let address = cluster.listen;
    let told = |error: io::Error| format!("cannot listen on {address} for the cluster: {error}");
    let socket = UdpSocket::bind(address).map_err(told)?;
    let port = socket.local_addr().map_err(told)?.port();
    config.cluster = Some(cluster.at(port));
    Ok((config, Some(socket)))
}

/// What this node needs to join others.
fn join(
    config: &Config,
    socket: Option<UdpSocket>,
    secrets: Option<Secrets>,
) -> Result<Option<Joining>, String> {
    let (Some(cluster), Some(socket), Some(secrets)) = (&config.cluster, socket, secrets) else {
        return Ok(None);
    };
    let boot_ms = control::starts::begin(config.host.state_dir.as_deref(), unix_millis())
        .map_err(|error| format!("cannot take up the number of the last start: {error}"))?;
    Ok(Some(Joining {
        member: Member {
            name: cluster.node.clone(),
            boot_ms,
            advertise: cluster.advertise,
            seeds: cluster.seeds.clone(),
        },
        socket,
        secrets,
    }))
}

/// Says on stdout where elbow listens and how it runs: one line each, for people and scripts.
fn announce(
    config: &Config,
    opened: &Opened,
    node: Option<&Member>,
    cores: &[Option<usize>],
    levels: &[Level],
) {
    let mut lines = String::new();
    let listeners = config.load_balancers.iter().flat_map(|balancer| {
        balancer
            .listeners
            .iter()
            .map(|l| (l.protocol, &balancer.name))
    });
    for (address, (protocol, name)) in opened.addresses.iter().zip(listeners) {
        let protocol = protocol.to_string().to_lowercase();
        lines += &format!("listening {protocol} {address} load_balancer={name}\n");
    }
    if let Some(address) = opened.admin_address {
        lines += &format!("admin http://{address}\n");
    }
    if let Some(node) = node {
        lines += &format!("cluster udp {} node={}\n", node.advertise, node.name);
    }
    let pinned: Vec<_> = cores.iter().flatten().map(ToString::to_string).collect();
    let pinned = if pinned.is_empty() {
        "none".to_owned()
    } else {
        pinned.join(",")
    };
    let level = least(levels);
    lines += &format!(
        "ready shards={} cores={pinned} driver={level}\n",
        cores.len()
    );
    say(lines.trim_end());
}

/// What all shards can do at least.
fn least(levels: &[Level]) -> &'static str {
    levels.iter().min().map_or("none", |level| level.name())
}

fn what_to_try(opened: &Opened) -> String {
    match (opened.addresses.first(), opened.admin_address) {
        (Some(listen), Some(admin)) => demo::what_to_try(*listen, admin),
        _ => String::new(),
    }
}

fn log_to_stderr(level: LevelFilter) {
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        // It would be told on stderr, by `eprintln!`, which panics where nothing can be written.
        .log_internal_errors(false)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .init();
}

fn refuse(failure: &Failure) -> ExitCode {
    complain(&format!("elbow: {failure}"));
    ExitCode::from(Failure::EXIT_CODE)
}

fn fail(problem: &str) -> ExitCode {
    complain(&format!("elbow: {problem}"));
    ExitCode::from(EXIT_FAILURE)
}

/// To stdout, in colours only where they are seen. A reader that is gone is no reason to end.
fn say(text: &str) {
    if !text.is_empty() {
        drop(writeln!(anstream::stdout(), "{text}"));
    }
}

fn complain(text: &str) {
    drop(writeln!(io::stderr(), "{text}"));
}
