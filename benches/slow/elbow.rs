//! elbow as users run it, with its defaults, and what it holds: connections, descriptors, memory.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use elbow::limits::{
    BULK_BLOCK_BYTES, BULK_BLOCKS_MAX, IDLE_CONNECTION_BYTES_MAX, RELAY_BLOCK_BYTES,
};
use ureq::Agent;

use crate::Failure;
use crate::cpu::CpuTime;
use crate::process::{Process, look_until};
use crate::verify::{verify, wait_until_ready};

/// How long elbow may take to give back what clients held that are gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// Most memory, in bytes, that so many clients may cost over plain HTTP: a connection and two relay
/// blocks for each, one of them for an answer while the body still comes, and all bulk blocks
/// (`src/limits.rs`).
pub(crate) fn memory_max(clients: usize) -> u64 {
    let bulk = BULK_BLOCKS_MAX * BULK_BLOCK_BYTES;
    let each = IDLE_CONNECTION_BYTES_MAX + 2 * RELAY_BLOCK_BYTES;
    (bulk + clients * each) as u64
}

/// elbow in front of one backend, on a core of its own.
pub(crate) struct Elbow {
    pub(crate) front: SocketAddr,
    admin: SocketAddr,
    agent: Agent,
    process: Process,
}

/// What it holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    /// Connections of clients.
    pub(crate) connections: u64,
    /// Open descriptors, but for connections to the backend that rest: those are kept for reuse.
    pub(crate) descriptors: usize,
    /// Buffers of 64 KiB.
    pub(crate) blocks: u64,
}

impl Elbow {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If it ends or does not serve in time; with the end of its log.
    pub(crate) fn start(
        core: usize,
        [front, admin, backend]: [SocketAddr; 3],
        directory: &Path,
    ) -> Result<Self, Failure> {
        let file = directory.join("elbow.toml");
        fs::write(&file, configuration(core, [front, admin, backend]))?;
        let program = Path::new(env!("CARGO_BIN_EXE_elbow"));
        let arguments = ["run", "--config", &file.display().to_string()];
        let mut process = Process::start("elbow", core, program, &arguments, directory)?;
        wait_until_ready(&mut process, front)
            .and_then(|()| verify(front, false))
            .map_err(|error| format!("{error}\n{}", process.log_tail()))?;
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .build();
        Ok(Self {
            front,
            admin,
            agent: config.into(),
            process,
        })
    }

    /// The sum of a metric over its labels.
    ///
    /// # Errors
    /// If it cannot be had.
    pub(crate) fn metric(&self, name: &str) -> Result<u64, Failure> {
        let url = format!("http://{}/metrics", self.admin);
        let text = self.agent.get(url).call()?.body_mut().read_to_string()?;
        let samples = text.lines().filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            (sample.split('{').next() == Some(name)).then(|| value.parse::<u64>())
        });
        Ok(samples.sum::<Result<_, _>>()?)
    }

    /// # Errors
    /// If elbow is gone.
    pub(crate) fn held(&self) -> Result<Held, Failure> {
        let connections = self.metric("elbow_connections")?;
        let blocks = self.metric("elbow_relay_blocks")?;
        let resting = usize::try_from(self.metric("elbow_upstream_idle")?)?;
        // Last: with the connection to the admin address, which the first question has opened.
        let descriptors = fs::read_dir(format!("/proc/{}/fd", self.process.id()))?.count();
        Ok(Held {
            connections,
            descriptors: descriptors.saturating_sub(resting),
            blocks,
        })
    }

    /// Waits until it holds no more than that, and says what.
    ///
    /// # Errors
    /// If it still does after a while.
    pub(crate) fn expect_back_at(&self, rested: Held) -> Result<Held, Failure> {
        let mut last = None;
        let back = look_until(PATIENCE, || {
            last = self.held().ok();
            last.filter(|held| {
                held.connections <= rested.connections
                    && held.blocks <= rested.blocks
                    && held.descriptors <= rested.descriptors
            })
        });
        match back {
            Some(held) => Ok(held),
            None => {
                Err(format!("{PATIENCE:?} later it holds {last:?} and before {rested:?}").into())
            }
        }
    }

    /// CPU time that it has used so far.
    ///
    /// # Errors
    /// If elbow is gone.
    pub(crate) fn cpu_time(&self) -> Result<CpuTime, Failure> {
        Ok(CpuTime::read(&[self.process.id()])?)
    }

    /// Bytes that are resident now.
    ///
    /// # Errors
    /// If elbow is gone.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        self.status("VmRSS:")
    }

    /// The most bytes that were resident since [`Elbow::forget_peak`].
    ///
    /// # Errors
    /// If elbow is gone.
    pub(crate) fn resident_peak(&self) -> Result<u64, Failure> {
        self.status("VmHWM:")
    }

    /// # Errors
    /// If elbow is gone.
    pub(crate) fn forget_peak(&self) -> Result<(), Failure> {
        // proc(5): 5 sets the peak to what is resident now.
        Ok(fs::write(
            format!("/proc/{}/clear_refs", self.process.id()),
            "5",
        )?)
    }

    fn status(&self, name: &str) -> Result<u64, Failure> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.ok_or_else(|| format!("no {name}"))?.parse()?;
        Ok(kib * 1024)
    }
}

fn configuration(core: usize, [front, admin, backend]: [SocketAddr; 3]) -> String {
    let (port, instance_port) = (front.port(), backend.port());
    format!(
        r#"
[host]
cores = "{core}"
address = "127.0.0.1"
shutdown_timeout = "1s"
[admin]
listen = "{admin}"
[[load_balancer]]
name = "bench"
instances = ["127.0.0.1"]
  [load_balancer.health_check]
  target = "HTTP:{instance_port}/128"
  interval = 5
  timeout = 4
  unhealthy_threshold = 10
  healthy_threshold = 2
  [[load_balancer.listener]]
  protocol = "HTTP"
  port = {port}
  instance_port = {instance_port}
"#
    )
}
