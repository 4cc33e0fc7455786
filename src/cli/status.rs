//! `elbow status`: the answer of `/v1/status` on one screen.
//!
//! Not the answer itself (`control::admin`). Invariant: a table of load balancers with names of a
//! dozen letters and IPv4 addresses fits 100 columns.

use std::fmt::Write;
use std::net::SocketAddr;

use clap::Args;

use super::ask::{Client, parse, worded};
use super::load::Answer;
use super::table::{Table, bad, good, notable};
use super::{ADMIN_DEFAULT, SIGNED, socket_address};
use crate::config::Cores;
use crate::control::{ClusterGlance, ListenerStatus, LoadBalancerStatus, ProcessStatus};

/// The flags of `elbow status`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Status {
    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  elbow status
      How the process runs, and a line for each listener of each load balancer.
  elbow status --json | jq '.load_balancers[] | select(.instances_in_service == 0) | .name'
      Load balancers that have nobody to serve their requests.

IN SERVICE: instances that serve, of those that are registered. RUNNING: requests and TCP
connections at this moment. REQUESTS: those since the start, and TCP connections. 5XX: answers by
elbow itself and, behind the plus, by instances.

Exit codes: 0, 1 if elbow cannot be asked, 2 if the flags do not hold.";

/// Does `elbow status`.
pub fn status(flags: &Status) -> Answer {
    let text = Client::new(flags.admin).get("/v1/status", &[]);
    Answer::of(text.and_then(|text| match flags.json {
        true => Ok(text.trim_end().to_owned()),
        false => Ok(told(&parse(&text)?, flags.admin)),
    }))
}

fn told(status: &ProcessStatus, admin: SocketAddr) -> String {
    let mut text = String::new();
    let mut line = |what: &str, said: String| {
        writeln!(text, "{what:<10} {said}").expect("a string takes everything");
    };
    let phase = match status.phase.as_str() {
        "serving" => good("serving"),
        other => notable(other),
    };
    let uptime = worded(status.uptime_seconds);
    line("elbow", format!("{}, {phase}, up {uptime}", status.version));
    line("shards", shards(&status.cores, &status.driver));
    let whose = match status.credentials {
        0 => "open to everybody on this host".to_owned(),
        1 => "for 1 credential".to_owned(),
        count => format!("for {count} credentials"),
    };
    line("admin", format!("{admin}, {whose}"));
    line("region", status.region.clone());
    let none = |text: &Option<String>, what: &str| text.clone().unwrap_or_else(|| what.to_owned());
    line("file", none(&status.config_file, "none: started by flags"));
    let state = none(&status.state_dir, "none: sessions end with this process");
    line("state_dir", state);
    if let Some(cluster) = &status.cluster {
        line("cluster", at_a_glance(cluster));
    }
    if status.load_balancers.is_empty() {
        return text + "\nno load balancer yet: add one to the file, or make one by the ELB API";
    }
    let mut table = Table::new(&[
        "LOAD BALANCER",
        "LISTENER -> INSTANCES",
        "POLICY",
        "IN SERVICE",
        "SESSIONS",
        "RUNNING",
        "REQUESTS",
        "5XX",
    ]);
    for balancer in &status.load_balancers {
        add(&mut table, balancer);
    }
    text + "\n" + &table.into_text()
}

/// `elbow-1, 3 of 3 nodes live, a quorum`
pub(super) fn at_a_glance(cluster: &ClusterGlance) -> String {
    let ClusterGlance {
        node,
        live,
        known,
        quorum,
        ready,
    } = cluster;
    let nodes = format!("{live} of {known} nodes live");
    let nodes = match live < known {
        true => notable(&nodes),
        false => nodes,
    };
    let quorum = match quorum {
        true => good("a quorum"),
        false => bad("no quorum"),
    };
    let ready = match ready {
        true => String::new(),
        false => format!(", {}", notable("catching up")),
    };
    format!("{node}, {nodes}, {quorum}{ready}")
}

/// `4 on CPU 0-3, uring+defer`
fn shards(cores: &[Option<usize>], driver: &str) -> String {
    let mut pinned: Vec<usize> = cores.iter().copied().flatten().collect();
    pinned.sort_unstable();
    let places = match pinned.as_slice() {
        [] => "not pinned".to_owned(),
        _ => format!("on CPU {}", Cores::List(pinned)),
    };
    format!("{} {places}, {driver}", cores.len())
}

/// A line with the numbers, and one more for each further listener.
fn add(table: &mut Table, balancer: &LoadBalancerStatus) {
    let LoadBalancerStatus {
        name,
        listeners,
        instances_in_service,
        instances,
        sessions,
        outstanding,
        requests,
        relays,
        elbow_5xx,
        backend_5xx,
    } = balancer;
    let in_service = format!("{instances_in_service} of {instances}");
    let in_service = match instances_in_service {
        0 => bad(&in_service),
        count if count < instances => notable(&in_service),
        _ => good(&in_service),
    };
    let [first, policy] = listeners.first().map_or_else(no_listener, cells);
    table.row(&[
        name.clone(),
        first,
        policy,
        in_service,
        sessions.to_string(),
        outstanding.to_string(),
        (requests + relays).to_string(),
        format!("{elbow_5xx}+{backend_5xx}"),
    ]);
    for listener in listeners.iter().skip(1) {
        let [listener, policy] = cells(listener);
        table.row(&[String::new(), listener, policy]);
    }
}

fn no_listener() -> [String; 2] {
    ["none".to_owned(), "-".to_owned()]
}

fn cells(listener: &ListenerStatus) -> [String; 2] {
    let ListenerStatus {
        address,
        protocol,
        instance_protocol,
        instance_port,
        policy,
    } = listener;
    [
        format!("{protocol} {address} -> {instance_protocol} {instance_port}"),
        policy.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::table::plain;
    use super::*;

    fn listener(protocol: &str, port: u16, policy: Option<&str>) -> ListenerStatus {
        ListenerStatus {
            address: format!("0.0.0.0:{port}"),
            protocol: protocol.to_owned(),
            instance_protocol: "HTTP".to_owned(),
            instance_port: 8080,
            policy: policy.map(str::to_owned),
        }
    }

    fn process(load_balancers: Vec<LoadBalancerStatus>) -> ProcessStatus {
        ProcessStatus {
            version: "9.8.7".to_owned(),
            uptime_seconds: 7_300,
            phase: "serving".to_owned(),
            driver: "uring+defer".to_owned(),
            cores: vec![Some(1), Some(0), Some(2)],
            credentials: 2,
            region: "us-east-1".to_owned(),
            state_dir: Some("/var/lib/elbow".to_owned()),
            config_file: Some("/etc/elbow/elbow.toml".to_owned()),
            cluster: None,
            load_balancers,
        }
    }

    fn balancer(name: &str, listeners: Vec<ListenerStatus>) -> LoadBalancerStatus {
        LoadBalancerStatus {
            name: name.to_owned(),
            listeners,
            instances_in_service: 2,
            instances: 3,
            sessions: 120,
            outstanding: 4,
            requests: 1_234_567,
            relays: 0,
            elbow_5xx: 1,
            backend_5xx: 20,
        }
    }

    fn address() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 9090))
    }

    #[test]
    fn the_process_and_its_load_balancers_are_on_one_screen() {
        let web = vec![
            listener("HTTP", 80, Some("an-hour")),
            listener("HTTPS", 443, None),
        ];
        let status = process(vec![
            balancer("web", web),
            balancer("eu-west-1/empty", vec![]),
        ]);
        let text = plain(&told(&status, address()));
        let expected = "\
elbow      9.8.7, serving, up 2 h
shards     3 on CPU 0-2, uring+defer
admin      127.0.0.1:9090, for 2 credentials
region     us-east-1
file       /etc/elbow/elbow.toml
state_dir  /var/lib/elbow

LOAD BALANCER    LISTENER -> INSTANCES           POLICY   IN SERVICE  SESSIONS  RUNNING  REQUESTS  5XX
web              HTTP 0.0.0.0:80 -> HTTP 8080    an-hour  2 of 3      120       4        1234567   1+20
                 HTTPS 0.0.0.0:443 -> HTTP 8080  -
eu-west-1/empty  none                            -        2 of 3      120       4        1234567   1+20";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_cluster_is_told_in_a_line() {
        let cluster = |live, quorum, ready| ClusterGlance {
            node: "elbow-1".to_owned(),
            live,
            known: 3,
            quorum,
            ready,
        };
        let told = |cluster| plain(&at_a_glance(&cluster));
        let all = told(cluster(3, true, true));
        assert_eq!(all, "elbow-1, 3 of 3 nodes live, a quorum");
        let few = told(cluster(1, false, false));
        assert_eq!(few, "elbow-1, 1 of 3 nodes live, no quorum, catching up");
    }

    #[test]
    fn what_is_not_there_is_told_in_words() {
        let status = ProcessStatus {
            phase: "draining".to_owned(),
            cores: vec![None],
            state_dir: None,
            config_file: None,
            ..process(vec![])
        };
        let text = plain(&told(&status, address()));
        for line in [
            "elbow      9.8.7, draining, up 2 h",
            "shards     1 not pinned, uring+defer",
            "file       none: started by flags",
            "state_dir  none: sessions end with this process",
            "no load balancer yet: add one to the file, or make one by the ELB API",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
        }
    }
}
