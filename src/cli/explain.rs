//! `elbow explain`: the answer of `/v1/explain` for people.
//!
//! Not here: the answer itself (`sticky::explain`, in the process that is asked).

use std::fmt::Write;
use std::net::SocketAddr;

use clap::Args;

use super::ask::{Asked, Client, parse, worded};
use super::load::Answer;
use super::{ADMIN_DEFAULT, SIGNED, socket_address};
use crate::sticky::{Explanation, Lived, Ranked, Step};
use crate::sys::unix_seconds;

/// The flags of `elbow explain`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Explain {
    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// The load balancer
    #[arg(long, value_name = "NAME")]
    pub load_balancer: String,

    /// The port of its listener; needed if it has several
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,

    /// The value of the client's stickiness cookie, or its whole Cookie field
    #[arg(long, value_name = "VALUE")]
    pub cookie: Option<String>,

    /// The value of the application's own cookie, unless it is in --cookie
    #[arg(long, value_name = "VALUE")]
    pub app_cookie: Option<String>,

    /// What if this instance died now?
    #[arg(long, value_name = "ID")]
    pub without: Option<String>,

    /// Print the answer as JSON
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  elbow explain --load-balancer web --port 80 --cookie \"$COOKIE\"
      Where the session of that AWSELB cookie goes, and why.
  elbow explain --load-balancer web --port 80 --cookie \"$COOKIE\" --without i-0a1b2c3d
      And where it would go if that instance died.

Nothing changes by asking. Exit codes: 0, 1 if elbow cannot be asked or refuses to answer, 2 if the
flags do not hold.";

/// Does `elbow explain`.
pub fn explain(flags: &Explain) -> Answer {
    let text = ask(flags).and_then(|text| match flags.json {
        true => Ok(text.trim_end().to_owned()),
        false => Ok(told(&parse(&text)?, unix_seconds())),
    });
    Answer::of(text)
}

fn ask(flags: &Explain) -> Asked<String> {
    let port = flags.port.map(|port| port.to_string());
    let query: Vec<(&str, &str)> = [
        ("load_balancer", Some(&*flags.load_balancer)),
        ("port", port.as_deref()),
        ("cookie", flags.cookie.as_deref()),
        ("app_cookie", flags.app_cookie.as_deref()),
        ("without", flags.without.as_deref()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value?)))
    .collect();
    Client::new(flags.admin).get("/v1/explain", &query)
}

/// The answer as a few lines, each with a word in front that says what it is.
fn told(answer: &Explanation, now: u64) -> String {
    let mut lines = Lines(String::new());
    let Explanation {
        load_balancer,
        listener,
        policy,
        epoch,
        ..
    } = answer;
    lines.add(
        "listener",
        format!("{load_balancer} on {listener}, {policy}"),
    );
    if let Some(without) = &answer.without {
        lines.add("what if", format!("{without} had just died"));
    }
    lines.add("verdict", format!("{}: {}", answer.verdict, answer.because));
    lines.add("goes", &answer.goes);
    if let Some(standby) = &answer.standby {
        lines.add("standby", standby);
    }
    if let Some(session) = &answer.session {
        lines.add("session", session);
    }
    if let Some(cookie) = &answer.cookie {
        let sealed = worded(now.saturating_sub(cookie.issued));
        let began = worded(now.saturating_sub(cookie.began));
        let bound = lived(&cookie.bound_to);
        let said = format!("bound to {bound}, sealed {sealed} ago, session began {began} ago");
        lines.add("cookie", said);
    }
    for step in &answer.moves {
        lines.add("moved", moved(step, now));
    }
    for (place, backend) in (1..).zip(&answer.ranked) {
        let is_home = answer.home.as_ref() == Some(&backend.backend);
        let home = if is_home { ", its home" } else { "" };
        lines.add("rank", format!("{place}. {}{home}", ranked(backend)));
    }
    for line in &answer.sends {
        lines.add("answer", line);
    }
    lines.add("epoch", epoch.to_string());
    lines.0.trim_end().to_owned()
}

fn lived(backend: &Lived) -> String {
    format!("{} (life {})", backend.backend, backend.life)
}

fn moved(step: &Step, now: u64) -> String {
    let ended = match step.ended_ms {
        // One that is taken for dead dies a moment from now.
        Some(ended_ms) => format!("{} ago", worded(now.saturating_sub(ended_ms / 1000))),
        None => "before all that is known".to_owned(),
    };
    let (from, to) = (lived(&step.from), lived(&step.to));
    format!("from {from}, which ended {ended}, to {to}")
}

fn ranked(backend: &Ranked) -> String {
    let Ranked {
        backend: id,
        life,
        weight,
        is_leaving,
        is_over_bound,
    } = backend;
    let leaving = if *is_leaving { ", leaves" } else { "" };
    let over = if *is_over_bound {
        ", has more than its share"
    } else {
        ""
    };
    format!("{id} (life {life}), weight {weight}{leaving}{over}")
}

struct Lines(String);

impl Lines {
    fn add(&mut self, what: &str, text: impl AsRef<str>) {
        writeln!(self.0, "{what:<9} {}", text.as_ref()).expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sticky::Said;

    #[test]
    fn an_answer_reads_from_the_listener_to_the_epoch() {
        let life = |backend: &str, life| Lived {
            backend: backend.to_owned(),
            life,
        };
        let answer = Explanation {
            load_balancer: "web".to_owned(),
            listener: "127.0.0.1:80".to_owned(),
            policy: "sticky for 60 s (p)".to_owned(),
            epoch: 7,
            without: Some("i-3".to_owned()),
            verdict: "moved".to_owned(),
            because: "so it is".to_owned(),
            session: Some("00000000000000ab".to_owned()),
            cookie: Some(Said {
                bound_to: life("i-1", 1),
                issued: 990,
                began: 400,
            }),
            moves: vec![Step {
                from: life("i-1", 1),
                ended_ms: Some(995_000),
                to: life("i-2", 4),
            }],
            home: Some("i-2".to_owned()),
            goes: "to i-2".to_owned(),
            standby: None,
            ranked: vec![Ranked {
                backend: "i-2".to_owned(),
                life: 4,
                weight: 0,
                is_leaving: true,
                is_over_bound: false,
            }],
            sends: vec!["Set-Cookie: x".to_owned()],
        };
        let expected = "\
listener  web on 127.0.0.1:80, sticky for 60 s (p)
what if   i-3 had just died
verdict   moved: so it is
goes      to i-2
session   00000000000000ab
cookie    bound to i-1 (life 1), sealed 10 s ago, session began 10 min ago
moved     from i-1 (life 1), which ended 5 s ago, to i-2 (life 4)
rank      1. i-2 (life 4), weight 0, leaves, its home
answer    Set-Cookie: x
epoch     7";
        assert_eq!(told(&answer, 1000), expected);
    }
}
