//! `elbow instances`: the answer of `/v1/backends` as a table.
//!
//! Not the answer itself (`control::admin`).

use std::net::SocketAddr;

use clap::Args;

use super::ask::{Client, parse};
use super::load::Answer;
use super::table::{Table, bad, good, notable};
use super::{ADMIN_DEFAULT, SIGNED, socket_address};
use crate::control::BackendRow;

/// The flags of `elbow instances`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Instances {
    /// The load balancer [default: all]
    #[arg(value_name = "LOAD_BALANCER")]
    pub load_balancer: Option<String>,

    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  elbow instances
      Every instance of every load balancer: how it is, and why.
  elbow instances web
      Those of one load balancer.
  elbow instances --json | jq -r '.[] | select(.state != \"InService\") | .backend'
      The ids of those that do not serve.

LIFE: how often it came into service. RUNNING: requests and TCP connections at this moment.

Exit codes: 0, 1 if elbow cannot be asked or there is no such load balancer, 2 if the flags do not
hold.";

/// Does `elbow instances`.
pub fn instances(flags: &Instances) -> Answer {
    let query: Vec<(&str, &str)> = flags
        .load_balancer
        .iter()
        .map(|name| ("load_balancer", name.as_str()))
        .collect();
    let text = Client::new(flags.admin).get("/v1/backends", &query);
    Answer::of(text.and_then(|text| match flags.json {
        true => Ok(text.trim_end().to_owned()),
        false => Ok(told(&parse::<Vec<BackendRow>>(&text)?)),
    }))
}

fn told(rows: &[BackendRow]) -> String {
    if rows.is_empty() {
        return "no instance is registered".to_owned();
    }
    let mut table = Table::new(&[
        "LOAD BALANCER",
        "INSTANCE",
        "ADDRESS",
        "STATE",
        "LIFE",
        "WEIGHT",
        "SESSIONS",
        "RUNNING",
        "REASON",
    ]);
    for row in rows {
        let address = match row.port {
            None => row.address.clone(),
            Some(port) if row.address.contains(':') => format!("[{}]:{port}", row.address),
            Some(port) => format!("{}:{port}", row.address),
        };
        table.row(&[
            row.load_balancer.clone(),
            row.backend.clone(),
            address,
            state(row),
            row.life.to_string(),
            row.weight.to_string(),
            row.sessions.to_string(),
            row.outstanding.to_string(),
            reason(row).to_owned(),
        ]);
    }
    table.into_text()
}

fn state(row: &BackendRow) -> String {
    match (&row.draining, row.state.as_str()) {
        (Some(_), _) => notable("draining"),
        (None, "InService") => good("InService"),
        (None, other) => bad(other),
    }
}

/// Why it does not take all that comes, in few words; `--json` has those of CLB.
fn reason(row: &BackendRow) -> &'static str {
    match (row.draining.as_deref(), row.health.as_str()) {
        (Some("sessions"), _) => "serves the sessions it has",
        (Some(_), _) => "lets requests finish",
        (None, "registering") => "no check has passed yet",
        (None, "failed") => "fails its checks",
        (None, "recovering") => "too few checks passed yet",
        (None, _) if row.over_bound => "more than its share",
        (None, _) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::plain;
    use super::*;

    fn row(backend: &str, port: Option<u16>) -> BackendRow {
        BackendRow {
            load_balancer: "web".to_owned(),
            backend: backend.to_owned(),
            address: "10.0.1.7".to_owned(),
            port,
            state: "InService".to_owned(),
            reason_code: "N/A".to_owned(),
            description: "N/A".to_owned(),
            health: "in-service".to_owned(),
            life: 1,
            weight: 1,
            sessions: 40,
            over_bound: false,
            draining: None,
            outstanding: 2,
        }
    }

    #[test]
    fn each_instance_is_a_line_with_its_state_and_the_reason() {
        let failed = BackendRow {
            address: "2001:db8::7".to_owned(),
            state: "OutOfService".to_owned(),
            reason_code: "Instance".to_owned(),
            description: "Instance has failed at least ...".to_owned(),
            health: "failed".to_owned(),
            ..row("i-2", Some(9001))
        };
        let leaving = BackendRow {
            draining: Some("sessions".to_owned()),
            weight: 0,
            ..row("i-3", None)
        };
        let crowded = BackendRow {
            over_bound: true,
            ..row("i-4", None)
        };
        let text = told(&[row("i-0a1b2c3d", None), failed, leaving, crowded]);
        let expected = "\
LOAD BALANCER  INSTANCE    ADDRESS             STATE         LIFE  WEIGHT  SESSIONS  RUNNING  REASON
web            i-0a1b2c3d  10.0.1.7            InService     1     1       40        2
web            i-2         [2001:db8::7]:9001  OutOfService  1     1       40        2        fails its checks
web            i-3         10.0.1.7            draining      1     0       40        2        serves the sessions it has
web            i-4         10.0.1.7            InService     1     1       40        2        more than its share";
        assert_eq!(plain(&text), expected);
        assert_eq!(told(&[]), "no instance is registered");
    }
}
