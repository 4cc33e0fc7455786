//! One second as text, for where there is no terminal.

use std::net::SocketAddr;

use super::app::requests;
use super::numbers::{count, millis, rate, whole};
use crate::cli::ask::worded;
use crate::cli::drain::worded_drain;
use crate::cli::status::at_a_glance;
use crate::cli::table::{Table, bad, good, notable};
use crate::control::{BackendMoment, LoadBalancerMoment, Moment, ProcessStatus};

/// All load balancers, or the one that the moment is of as a whole.
pub(super) fn told(
    status: &ProcessStatus,
    admin: SocketAddr,
    is_whole: bool,
    moment: &Moment,
) -> String {
    let Moment {
        phase,
        epoch,
        cluster,
        ..
    } = moment;
    let nodes = cluster.as_ref().map(at_a_glance);
    let nodes = nodes.map(|nodes| format!("\ncluster {nodes}"));
    let uptime = worded(status.uptime_seconds);
    let version = &status.version;
    let mut parts = vec![
        format!("elbow {version}, {admin}, {phase}, up {uptime}, epoch {epoch}")
            + &nodes.unwrap_or_default(),
        shards(moment),
    ];
    if moment.load_balancers.is_empty() {
        let text = "no load balancer yet: add one to the file, or make one by the ELB API";
        parts.push(text.to_owned());
    } else {
        parts.push(load_balancers(&moment.load_balancers));
    }
    if let (true, [balancer]) = (is_whole, &moment.load_balancers[..]) {
        parts.push(instances(&balancer.backends));
        if !balancer.moves.is_empty() {
            parts.push(moves(moment, balancer));
        }
        if !balancer.drains.is_empty() {
            let lines = balancer.drains.iter().rev();
            let lines = lines.map(|drain| format!("{}  {}", drain.instance, worded_drain(drain)));
            parts.push(format!("DRAINS\n{}", lines.collect::<Vec<_>>().join("\n")));
        }
    }
    parts.join("\n\n")
}

fn shards(moment: &Moment) -> String {
    let headings = [
        "SHARD",
        "CPU",
        "PERCENT",
        "CONNECTIONS",
        "ACCEPTED/S",
        "SESSIONS",
        "LATE",
    ];
    let mut table = Table::new(&headings);
    for shard in &moment.shards {
        table.row(&[
            shard.shard.to_string(),
            shard
                .core
                .map_or_else(|| "-".to_owned(), |core| core.to_string()),
            whole(shard.cpu_percent).to_string(),
            count(shard.connections),
            rate(shard.accepted_per_second),
            count(shard.sessions),
            count(shard.sweeps_late),
        ]);
    }
    table.into_text()
}

fn load_balancers(balancers: &[LoadBalancerMoment]) -> String {
    let headings = [
        "LOAD BALANCER",
        "IN SERVICE",
        "REQ/S",
        "P50",
        "P99",
        "2XX",
        "4XX",
        "5XX",
        "RUN",
        "WAIT",
        "SESSIONS",
    ];
    let mut table = Table::new(&headings);
    for balancer in balancers {
        let (in_service, all) = (balancer.instances_in_service, balancer.instances);
        let text = format!("{in_service} of {all}");
        let latency = balancer.latency_ms;
        let answers = &balancer.answers_per_second;
        table.row(&[
            balancer.name.clone(),
            match in_service {
                0 => bad(&text),
                count if count < all => notable(&text),
                _ => good(&text),
            },
            rate(requests(balancer)),
            millis(latency.map(|latency| latency.p50)),
            millis(latency.map(|latency| latency.p99)),
            rate(answers.backend_2xx),
            rate(answers.backend_4xx + answers.elbow_4xx),
            rate(answers.backend_5xx + answers.elbow_5xx),
            count(balancer.outstanding),
            count(balancer.waiting),
            count(balancer.sessions),
        ]);
    }
    table.into_text()
}

fn instances(instances: &[BackendMoment]) -> String {
    let headings = [
        "INSTANCE", "HEALTH", "LEAVES", "LIFE", "SESSIONS", "RUN", "REQ/S", "ERR/S",
    ];
    let mut table = Table::new(&headings);
    for instance in instances {
        table.row(&[
            instance.backend.clone(),
            match instance.health.as_str() {
                "in-service" => good("in-service"),
                other => bad(other),
            },
            instance.draining.clone().unwrap_or_else(|| "-".to_owned()),
            instance.life.to_string(),
            count(instance.sessions),
            count(instance.outstanding),
            rate(instance.requests_per_second),
            rate(instance.errors_per_second),
        ]);
    }
    table.into_text()
}

fn moves(moment: &Moment, balancer: &LoadBalancerMoment) -> String {
    let mut table = Table::new(&["MOVED FROM", "TO", "SESSIONS", "AGO"]);
    for moved in balancer.moves.iter().rev() {
        table.row(&[
            moved.from.clone(),
            moved.to.clone(),
            count(moved.sessions),
            worded(moment.at_ms.saturating_sub(moved.at_ms) / 1000),
        ]);
    }
    table.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::table::plain;
    use crate::cli::top::sample::{address, moment, status, whole_moment};

    #[test]
    fn all_load_balancers_are_a_table() {
        let text = plain(&told(&status(), address(), false, &moment(3)));
        let expected = "\
elbow 9.8.7, 127.0.0.1:9090, serving, up 2 h, epoch 12

SHARD  CPU  PERCENT  CONNECTIONS  ACCEPTED/S  SESSIONS  LATE
0      7    52       120          40          900       0
1      -    97       120          40          900       1

LOAD BALANCER   IN SERVICE  REQ/S  P50   P99  2XX    4XX   5XX  RUN  WAIT  SESSIONS
web             2 of 3      300    1.25  250  270    30    2.5  12   3     1840
mail            0 of 1      0      -     -    0      0     0    0    0     0
eu-west-1/shop  2 of 3      12.3k  1.25  250  11.1k  1235  2.5  12   3     1840";
        assert_eq!(text, expected);
    }

    #[test]
    fn one_load_balancer_is_told_as_a_whole() {
        let text = plain(&told(&status(), address(), true, &whole_moment(3)));
        for line in [
            "i-1       in-service      -         2     1200      12   120    0",
            "i-2       out-of-service  -         2     0         0    0      4.2",
            "i-3       in-service      sessions  2     300       3    30     0",
            "i-2         i-1  640       14 s",
            "i-0  has left, all of its sessions ended",
            "i-3  sessions: 300 of 1200 left (25 %), half-life 5 min, ends in about 11 min, at \
             the latest in 2 h, 2 requests in flight",
        ] {
            assert!(text.lines().any(|said| said == line), "{line} in\n{text}");
        }
    }
}
