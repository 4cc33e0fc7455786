//! `elbow cluster`: the answer of `/v1/cluster` for people.
//!
//! Not the answer itself (`control::admin`). Invariant: what is not as it should be is told in
//! words, and the exit code says whether the nodes that live are enough to decide.

use std::fmt::Write as _;
use std::io::Write;
use std::net::SocketAddr;

use clap::Args;

use super::ask::{Asked, Client, parse, worded};
use super::load::Answer;
use super::table::{Table, bad, good, notable};
use super::{ADMIN_DEFAULT, SIGNED, socket_address};
use crate::control::{ClusterStatus, NodeStatus};
use crate::sys::unix_millis;

/// The flags of `elbow cluster`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Cluster {
    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  elbow cluster
      The nodes as the one that is asked sees them, whether they are enough to decide, and what they
      are not at one about.
  elbow cluster --json | jq -r '.nodes[] | select(.live | not) | .name'
      The nodes that are lost.

STATE: ready, catching up after its start, draining before its end, or lost. KNOWS: the same as the
node that is asked, or for how long it has known something else: other lives of instances, other
changes by the API. UP: since when, by its own clock. A quorum is more than half of all nodes, lost
ones and those that were never heard included; without one no instance is declared dead for all,
and each node still goes round what it finds failed.

Exit codes: 0, also where there is no [cluster]; 1 if there is no quorum or elbow cannot be asked;
2 if the flags do not hold.";

/// Does `elbow cluster`. Where there is no quorum what was asked for goes to `out`, and the answer
/// says why it is none that somebody hopes for.
pub fn cluster(flags: &Cluster, out: &mut impl Write) -> Answer {
    Answer::of(ask(flags, out))
}

fn ask(flags: &Cluster, out: &mut impl Write) -> Asked<String> {
    let text = Client::new(flags.admin).get("/v1/cluster", &[])?;
    let status: ClusterStatus = parse(&text)?;
    let text = match flags.json {
        true => text.trim_end().to_owned(),
        false => told(&status, unix_millis()),
    };
    if status.quorum {
        return Ok(text);
    }
    // Nobody reads it: the exit code is still to be had.
    drop(writeln!(out, "{text}"));
    let ClusterStatus { live, known, .. } = status;
    Err(format!("no quorum: {live} of {known} nodes live"))
}

fn told(status: &ClusterStatus, now_ms: u64) -> String {
    if !status.enabled {
        return "no cluster: this node is alone, as its file has no [cluster]".to_owned();
    }
    let mut table = Table::new(&[
        "NODE", "ADDRESS", "STATE", "KNOWS", "VERSION", "EPOCH", "UP",
    ]);
    for node in &status.nodes {
        let unknown = || "-".to_owned();
        table.row(&[
            node.name.clone(),
            node.address.clone().unwrap_or_else(unknown),
            state(node),
            knows(node),
            node.version.clone().unwrap_or_else(unknown),
            node.epoch.map_or_else(unknown, |epoch| epoch.to_string()),
            match node.live {
                true => worded(now_ms.saturating_sub(node.started_ms) / 1000),
                false => unknown(),
            },
        ]);
    }
    table.into_text() + "\n\n" + &quorum(status) + &troubles(status, now_ms)
}

fn state(node: &NodeStatus) -> String {
    match (node.state.as_str(), node.lost_seconds) {
        ("lost", Some(seconds)) => bad(&format!("lost for {}", worded(seconds))),
        ("lost", None) => bad("lost"),
        ("ready", _) => good("ready"),
        (other, _) => notable(&other.replace('-', " ")),
    }
}

fn knows(node: &NodeStatus) -> String {
    match &node.differs_in {
        Some(what) if node.live && what.is_empty() => "the same".to_owned(),
        Some(what) if node.live => {
            let since = worded(node.differs_seconds.unwrap_or_default());
            notable(&format!("other {} for {since}", what.join(", ")))
        }
        Some(_) | None => "-".to_owned(),
    }
}

/// `quorum     yes, 3 of 3 nodes live`
fn quorum(status: &ClusterStatus) -> String {
    let ClusterStatus {
        live, known, nodes, ..
    } = status;
    let unheard = match known.saturating_sub(nodes.len()) {
        0 => String::new(),
        count => format!(" ({count} never heard)"),
    };
    let nodes = format!("{live} of {known} nodes live{unheard}");
    match status.quorum {
        true => format!("quorum     {}, {nodes}", good("yes")),
        false => {
            let none = bad("no");
            format!("quorum     {none}, {nodes}: no instance is declared dead for all")
        }
    }
}

/// What the nodes are not at one about.
fn troubles(status: &ClusterStatus, now_ms: u64) -> String {
    let mut text = String::new();
    let mut line = |said: String| write!(text, "\n{said}").expect("a string takes everything");
    for dispute in &status.disputes {
        let lives = match dispute.lives {
            true => "lives",
            false => "is dead",
        };
        line(format!(
            "{}    {} of {} {lives} for all; well for {}, failed for {}",
            notable("dispute"),
            dispute.instance,
            dispute.load_balancer,
            dispute.well.join(", "),
            dispute.failed.join(", "),
        ));
    }
    for change in &status.waiting {
        line(format!(
            "{}    {} by {}, for {}: {}",
            notable("waiting"),
            change.thing,
            change.node,
            worded(change.waiting_seconds),
            change.why,
        ));
    }
    for change in &status.conflicts {
        let ago = worded(now_ms.saturating_sub(change.at_ms) / 1000);
        line(format!(
            "{}   {}, {ago} ago: {} (kept: that of {})",
            notable("conflict"),
            change.thing,
            change.what,
            change.kept_from,
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::table::plain;
    use super::*;
    use crate::control::{Dispute, ReplacedChange, WaitingChange};

    const NOW_MS: u64 = 1_000_000_000;

    fn node(name: &str) -> NodeStatus {
        NodeStatus {
            name: name.to_owned(),
            number: 1,
            address: Some("10.0.0.5:7946".to_owned()),
            live: true,
            lost_seconds: None,
            state: "ready".to_owned(),
            version: Some("9.8.7".to_owned()),
            started_ms: NOW_MS - 7_300_000,
            epoch: Some(12),
            differs_in: Some(Vec::new()),
            differs_seconds: None,
        }
    }

    fn of(nodes: Vec<NodeStatus>) -> ClusterStatus {
        ClusterStatus {
            enabled: true,
            node: Some("one".to_owned()),
            live: nodes.iter().filter(|node| node.live).count(),
            known: nodes.len(),
            quorum: true,
            nodes,
            disputes: Vec::new(),
            waiting: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    #[test]
    fn each_node_is_a_line_and_one_says_whether_they_are_enough() {
        let starting = NodeStatus {
            state: "catching-up".to_owned(),
            differs_in: Some(vec!["lives".to_owned()]),
            differs_seconds: Some(4),
            ..node("two")
        };
        let lost = NodeStatus {
            live: false,
            state: "lost".to_owned(),
            lost_seconds: Some(150),
            ..node("three")
        };
        let silent = NodeStatus {
            state: "catching-up".to_owned(),
            address: None,
            version: None,
            epoch: None,
            differs_in: None,
            ..node("four")
        };
        let expected = "\
NODE   ADDRESS        STATE           KNOWS                VERSION  EPOCH  UP
one    10.0.0.5:7946  ready           the same             9.8.7    12     2 h
two    10.0.0.5:7946  catching up     other lives for 4 s  9.8.7    12     2 h
three  10.0.0.5:7946  lost for 2 min  -                    9.8.7    12     -
four   -              catching up     -                    -        -      2 h

quorum     yes, 3 of 4 nodes live";
        let text = told(&of(vec![node("one"), starting, lost, silent]), NOW_MS);
        assert_eq!(plain(&text), expected);
    }

    #[test]
    fn what_they_are_not_at_one_about_is_told_behind_the_nodes() {
        let status = ClusterStatus {
            known: 3,
            quorum: false,
            disputes: vec![Dispute {
                load_balancer: "web".to_owned(),
                instance: "i-1".to_owned(),
                lives: true,
                well: vec!["two".to_owned(), "three".to_owned()],
                failed: vec!["one".to_owned()],
            }],
            waiting: vec![WaitingChange {
                thing: "load balancer mail".to_owned(),
                node: "two".to_owned(),
                waiting_seconds: 30,
                why: "port 25 is taken".to_owned(),
            }],
            conflicts: vec![ReplacedChange {
                thing: "instance i-2".to_owned(),
                at_ms: NOW_MS - 61_000,
                kept_from: "two".to_owned(),
                what: "changed on both".to_owned(),
            }],
            ..of(vec![node("one")])
        };
        let expected = "\
quorum     no, 1 of 3 nodes live (2 never heard): no instance is declared dead for all
dispute    i-1 of web lives for all; well for two, three, failed for one
waiting    load balancer mail by two, for 30 s: port 25 is taken
conflict   instance i-2, 61 s ago: changed on both (kept: that of two)";
        let text = plain(&told(&status, NOW_MS));
        let (_, behind) = text.split_once("\n\n").expect("a table comes first");
        assert_eq!(behind, expected);
    }

    #[test]
    fn who_is_alone_is_told_so() {
        let alone = ClusterStatus {
            enabled: false,
            ..of(Vec::new())
        };
        assert!(told(&alone, NOW_MS).starts_with("no cluster"));
    }
}
