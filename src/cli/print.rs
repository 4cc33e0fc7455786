//! `elbow run --print-config`: what would be in force, and what is if elbow runs already.
//!
//! Not the text (`config`, `control::Origin`). Invariant: it opens no port, takes no lock and
//! writes nothing, so that it may be asked beside a process that runs.

use super::Run;
use super::load::{Answer, Failure, load};
use crate::control::Origin;
use crate::control::journal::Journal;
use crate::control::regions::Regions;
use crate::sys::unix_millis;

/// Does `elbow run --print-config`.
pub fn print_config(run: &Run) -> Answer {
    let (config, sources) = match load(run) {
        Ok(loaded) => loaded,
        Err(failure) => {
            return Answer {
                text: format!("elbow: {failure}"),
                exit_code: Failure::EXIT_CODE,
            };
        }
    };
    let settled = Journal::peek(config.host.state_dir.as_deref())
        .map_err(|error| format!("cannot read what the API has changed: {error}"))
        .and_then(|records| {
            Regions::settle(&config, records, unix_millis()).map_err(|problems| {
                let problems = problems.join("\n");
                format!("what the API has changed does not hold any more\n{problems}")
            })
        });
    Answer::of(settled.map(|settled| {
        let origin = Origin {
            host: config.host,
            admin: config.admin,
            access_log: config.access_log,
            cluster: config.cluster,
            sources,
        };
        origin.describe(&settled.regions).trim_end().to_owned()
    }))
}
