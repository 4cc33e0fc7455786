//! elbow with an admin address, and whoever changes it there and by its file.
//!
//! Not what is changed (`changes.rs`). Invariant: a change that is refused, or not answered in
//! time, ends the bench.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use ureq::Agent;

use crate::backend::BODIES;
use crate::changes::{self, Addresses};
use crate::process::{Process, look_until};
use crate::verify::{fetch, verify, wait_until_ready};
use crate::wrk::Load;
use crate::{CONNECTIONS, Failure};

/// How long elbow may take for one change.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where elbow runs.
pub(crate) struct Site<'a> {
    /// The core that is its own, also for the threads that make changes.
    pub(crate) core: usize,
    /// For its files.
    pub(crate) directory: &'a Path,
    pub(crate) addresses: Addresses,
}

/// elbow, verified, with a session bound.
pub(crate) struct Elbow<'a> {
    site: &'a Site<'a>,
    /// The cookies of the session, and the backend that it is with.
    cookies: String,
    backend: String,
    file: PathBuf,
    process: Process,
    agent: Agent,
    changes: usize,
    reloads: usize,
}

impl<'a> Elbow<'a> {
    /// Starts it, waits until it serves, and verifies what it serves.
    ///
    /// # Errors
    /// If it ends, does not serve in time, or serves the wrong thing; with the end of its log.
    pub(crate) fn start(site: &'a Site<'a>) -> Result<Self, Failure> {
        let file = site.directory.join("elbow.toml");
        fs::write(&file, changes::file(0, site))?;
        let program = Path::new(env!("CARGO_BIN_EXE_elbow"));
        let arguments = ["run", "--config", &file.display().to_string()];
        let mut process = Process::start("elbow", site.core, program, &arguments, site.directory)?;
        let front = site.addresses.front;
        let cookies = wait_until_ready(&mut process, front)
            .and_then(|()| verify(front, true))
            .map_err(|error| format!("{error}\n{}", process.log_tail()))?;
        let (path, _) = BODIES[0];
        let backend = fetch(front, path, &cookies)?.backend;
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(Self {
            site,
            cookies,
            backend,
            file,
            process,
            agent: config.into(),
            changes: 0,
            reloads: 0,
        })
    }

    /// Requests of the session, on connections that are kept or on one each.
    pub(crate) fn load(&self, seconds: u64, closes: bool) -> Load {
        let (path, _) = BODIES[0];
        Load {
            url: format!("http://{}{path}", self.site.addresses.front),
            connections: CONNECTIONS,
            seconds,
            cookies: self.cookies.clone(),
            closes,
            is_full_handshake: false,
        }
    }

    /// The session is still with its backend.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn expect_session(&self) -> Result<(), Failure> {
        let (path, _) = BODIES[0];
        let answer = fetch(self.site.addresses.front, path, &self.cookies)?;
        match answer.backend == self.backend {
            true => Ok(()),
            false => Err(format!(
                "the session moved from {} to {}",
                self.backend, answer.backend
            )
            .into()),
        }
    }

    /// Makes the next change by the API. It is in force when this returns.
    ///
    /// # Errors
    /// If it is not answered by 200.
    pub(crate) fn change(&mut self) -> Result<(), Failure> {
        let form = changes::change(self.changes, &self.site.addresses);
        self.changes += 1;
        let answer = self
            .agent
            .post(self.url("/"))
            .content_type("application/x-www-form-urlencoded")
            .send(&form);
        let mut answer = answer.map_err(|error| format!("{form}: {error}"))?;
        let text = answer.body_mut().read_to_string()?;
        match answer.status().as_u16() {
            200 => Ok(()),
            status => Err(format!("{form}: {status}\n{text}").into()),
        }
    }

    /// Writes the next file and has it read; it is in force when this returns.
    ///
    /// # Errors
    /// If it is not taken in time.
    pub(crate) fn reload(&mut self) -> Result<(), Failure> {
        self.reloads += 1;
        fs::write(&self.file, changes::file(self.reloads, self.site))?;
        let before = self.counts()?;
        let id = Pid::from_raw(i32::try_from(self.process.id())?).ok_or("it has an id")?;
        kill_process(id, Signal::HUP)?;
        let after = look_until(PATIENCE, || {
            let counts = self.counts();
            counts
                .as_ref()
                .is_ok_and(|now| *now != before)
                .then_some(counts)
        });
        match after {
            Some(Ok([_, errors])) if errors == before[1] => Ok(()),
            Some(Err(error)) => Err(error),
            _ => Err(format!("the file was not taken\n{}", self.process.log_tail()).into()),
        }
    }

    /// Reloads, and those that failed.
    fn counts(&self) -> Result<[u64; 2], Failure> {
        let mut answer = self.agent.get(self.url("/metrics")).call()?;
        let text = answer.body_mut().read_to_string()?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|value| value.trim().parse().ok());
            value.ok_or_else(|| Failure::from(format!("no {name}in /metrics")))
        };
        Ok([
            value("elbow_reloads_total ")?,
            value("elbow_reload_errors_total ")?,
        ])
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.site.addresses.admin)
    }
}
