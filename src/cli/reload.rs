//! `elbow reload`: the answer of `POST /v1/reload` for people.
//!
//! Not the reload, which the process that is asked carries out.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use super::ask::{Client, parse};
use super::load::Answer;
use super::{ADMIN_DEFAULT, SIGNED, socket_address};
use crate::control::Reloaded;

/// How long a reload may take: files are read, and shards open and close listeners.
const PATIENCE: Duration = Duration::from_secs(60);

/// The flags of `elbow reload`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Reload {
    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  elbow check --config elbow.toml && elbow reload
      What is otherwise in the file than before becomes so; connections and sessions go on.
  elbow reload --json | jq -r '.changed[]'
      The names of the load balancers that are otherwise now.

It does what SIGHUP does, and waits for what comes of it. A file that does not hold, or an address
that cannot be had, changes nothing. Exit codes: 0 if all is as the file says, 1 if nothing has
changed, and then every problem is told, or if elbow cannot be asked; 2 if the flags do not hold.";

/// Does `elbow reload`.
pub fn reload(flags: &Reload) -> Answer {
    let text = Client::new(flags.admin).order("/v1/reload", PATIENCE);
    Answer::of(text.and_then(|text| match flags.json {
        true => Ok(text.trim_end().to_owned()),
        false => Ok(told(&parse(&text)?)),
    }))
}

fn told(reloaded: &Reloaded) -> String {
    let Reloaded {
        added,
        changed,
        removed,
        unchanged,
        needs_restart,
    } = reloaded;
    let names = [("added", added), ("changed", changed), ("removed", removed)];
    let names = names.into_iter().filter(|(_, names)| !names.is_empty());
    let mut lines: Vec<String> = names
        .map(|(what, names)| format!("{what:<10} {}", names.join(", ")))
        .collect();
    lines.push(format!("{:<10} {unchanged}", "unchanged"));
    for section in needs_restart {
        let waits = format!("[{section}] says something else than at the start: restart elbow");
        lines.push(waits);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_told_by_name() {
        let names = |all: &[&str]| all.iter().map(|name| (*name).to_owned()).collect();
        let reloaded = Reloaded {
            added: names(&["shop", "mail"]),
            changed: names(&["web"]),
            removed: vec![],
            unchanged: 2,
            needs_restart: names(&["host"]),
        };
        let expected = "\
added      shop, mail
changed    web
unchanged  2
[host] says something else than at the start: restart elbow";
        assert_eq!(told(&reloaded), expected);
        let nothing = Reloaded::default();
        assert_eq!(told(&nothing), "unchanged  0");
    }
}
