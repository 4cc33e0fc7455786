//! `elbow drain`: lets an instance leave, and shows how far it is.
//!
//! Not here: the drain, which the process that is asked carries out, watched or not. Invariant:
//! what ends a watch before the drain is over, Ctrl-C or a closed stdout, leaves the drain alone.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};

use super::ask::{Asked, Client, parse, worded};
use super::load::Answer;
use super::{ADMIN_DEFAULT, SIGNED, socket_address};
use crate::config::DrainMode;
use crate::control;

/// How often a watched drain is asked after.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// The flags of `elbow drain`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Drain {
    /// The load balancer
    #[arg(value_name = "LOAD_BALANCER")]
    pub load_balancer: String,

    /// The id of the instance that is to leave
    #[arg(value_name = "INSTANCE")]
    pub instance: String,

    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// What it still takes: the requests of its sessions, or only those in flight [default: as
    /// drain_mode of the load balancer says]
    #[arg(long, value_name = "MODE", value_parser = mode_parser())]
    pub mode: Option<String>,

    /// How long its sessions may stay, or with --mode connections its requests, such as 30m
    /// [default: as drain_deadline and connection_draining say]
    #[arg(long, value_name = "TIME", value_parser = DrainMode::parse_deadline)]
    pub deadline: Option<Duration>,

    /// Show how far it is until it is over. Ctrl-C ends the watch and not the drain
    #[arg(long)]
    pub watch: bool,

    /// Keep the instance after all, if its sessions are still waited for
    #[arg(long, conflicts_with_all = ["mode", "deadline", "watch"])]
    pub cancel: bool,

    /// Print JSON, one drain a line
    #[arg(long)]
    pub json: bool,
}

fn mode_parser() -> PossibleValuesParser {
    PossibleValuesParser::new(["session", "connections"])
}

const EXAMPLES: &str = "\
Examples:
  elbow drain web i-0a1b2c3d --mode session --deadline 2h --watch && ssh i-0a1b2c3d poweroff
      No new sessions, those it has until they end, at most two hours; then it can be stopped.
  elbow drain web i-0a1b2c3d --cancel
      It stays.

Exit codes: 0 if the instance has left (without --watch: will leave), 1 if elbow cannot be asked or
refuses, or the drain that is watched was cancelled, 2 if the flags do not hold.";

/// Does `elbow drain`. What is told along the way goes to `out`; one that is closed ends the watch.
pub fn drain(flags: &Drain, out: &mut impl Write) -> Answer {
    let client = Client::new(flags.admin);
    let done = if flags.cancel {
        cancel(flags, &client)
    } else {
        begin(flags, &client).and_then(|drain| match flags.watch {
            true => watch(flags, &client, drain, out),
            false => Ok(line(flags, &drain)),
        })
    };
    Answer::of(done)
}

fn cancel(flags: &Drain, client: &Client) -> Asked<String> {
    let place = [&*flags.load_balancer, &*flags.instance];
    client.delete("/v1/drains", &place)?;
    Ok(match flags.json {
        true => String::new(),
        false => format!("{} stays", flags.instance),
    })
}

fn begin(flags: &Drain, client: &Client) -> Asked<control::Drain> {
    let wanted = serde_json::json!({
        "load_balancer": flags.load_balancer,
        "instance": flags.instance,
        "mode": flags.mode,
        "deadline_seconds": flags.deadline.map(|deadline| deadline.as_secs()),
    });
    parse(&client.post("/v1/drains", &wanted)?)
}

/// The drain as it is now; `None`: it was cancelled.
fn look(flags: &Drain, client: &Client, began_ms: u64) -> Asked<Option<control::Drain>> {
    let query = [
        ("load_balancer", &*flags.load_balancer),
        ("instance", &*flags.instance),
    ];
    let drains: Vec<control::Drain> = parse(&client.get("/v1/drains", &query)?)?;
    Ok(drains.into_iter().find(|drain| drain.began_ms == began_ms))
}

fn watch(
    flags: &Drain,
    client: &Client,
    first: control::Drain,
    out: &mut impl Write,
) -> Asked<String> {
    let bar = (!flags.json && io::stderr().is_terminal()).then(|| bar(&first));
    let began_ms = first.began_ms;
    let mut drain = first;
    let mut told = None;
    while !drain.is_done() {
        let what_matters = (
            drain.stage.clone(),
            drain.sessions_left,
            drain.requests_in_flight,
        );
        if let Some(bar) = &bar {
            bar.set_position(drain.sessions_at_start.saturating_sub(drain.sessions_left));
            bar.set_message(worded_drain(&drain));
        } else if told.as_ref() != Some(&what_matters) {
            told = Some(what_matters);
            let written = writeln!(out, "{}", line(flags, &drain)).and_then(|()| out.flush());
            if written.is_err() {
                // Nobody reads on.
                return Ok(String::new());
            }
        }
        pause();
        let Some(now) = look(flags, client, began_ms)? else {
            return Err(format!("the drain was cancelled, {} stays", flags.instance));
        };
        drain = now;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    Ok(line(flags, &drain))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command has this one thread, and nothing else to do"
)]
fn pause() {
    std::thread::sleep(LOOK_INTERVAL);
}

fn bar(drain: &control::Drain) -> ProgressBar {
    let template = "{prefix} [{bar:24}] {wide_msg}\n  Ctrl-C ends this watch and not the drain";
    let style = ProgressStyle::with_template(template).expect("its keys are those of indicatif");
    let bar = ProgressBar::new(drain.sessions_at_start).with_style(style.progress_chars("=> "));
    bar.set_prefix(drain.instance.clone());
    bar
}

fn line(flags: &Drain, drain: &control::Drain) -> String {
    match flags.json {
        true => serde_json::to_string(drain).expect("text and numbers are valid JSON"),
        false => format!("{}: {}", drain.instance, worded_drain(drain)),
    }
}

/// A length of time that is not known to the second.
pub(super) fn about(seconds: f64) -> String {
    worded(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_secs())
}

/// `sessions: 30 of 120 left (25 %), half-life 5 min, ends in about 11 min, 2 requests in flight`
pub(super) fn worded_drain(drain: &control::Drain) -> String {
    let control::Drain {
        stage,
        sessions_at_start,
        sessions_left,
        left_percent,
        requests_in_flight,
        ..
    } = drain;
    let mut text = if drain.is_done() {
        let ended = match drain.sessions_ended.as_deref() {
            Some("deadline") => format!(" at the deadline, {sessions_left} sessions had to move"),
            Some(_) => ", all of its sessions ended".to_owned(),
            None => String::new(),
        };
        format!("has left{ended}")
    } else if drain.sessions_at_start > 0 {
        format!("{stage}: {sessions_left} of {sessions_at_start} left ({left_percent} %)")
    } else {
        stage.clone()
    };
    if let Some(seconds) = drain.half_life_seconds {
        text += &format!(", half-life {}", about(seconds));
    }
    if let (false, Some(seconds)) = (drain.is_done(), drain.ends_in_seconds) {
        text += &format!(", ends in about {}", about(seconds));
    }
    if !drain.is_done() {
        let deadline = about(drain.deadline_in_seconds);
        text += &format!(", at the latest in {deadline}, {requests_in_flight} requests in flight");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain() -> control::Drain {
        control::Drain {
            load_balancer: "web".to_owned(),
            instance: "i-1".to_owned(),
            stage: "sessions".to_owned(),
            sessions_ended: None,
            began_ms: 5,
            sessions_at_start: 120,
            sessions_left: 30,
            left_percent: 25,
            half_life_seconds: Some(300.0),
            ends_in_seconds: Some(660.4),
            deadline_in_seconds: 7_200.0,
            requests_in_flight: 2,
        }
    }

    #[test]
    fn a_drain_is_one_line() {
        let text = worded_drain(&drain());
        let expected = "sessions: 30 of 120 left (25 %), half-life 5 min, ends in about 11 min, \
                        at the latest in 2 h, 2 requests in flight";
        assert_eq!(text, expected);
        let done = control::Drain {
            stage: "done".to_owned(),
            sessions_ended: Some("deadline".to_owned()),
            half_life_seconds: None,
            ..drain()
        };
        let expected = "has left at the deadline, 30 sessions had to move";
        assert_eq!(worded_drain(&done), expected);
    }

    #[test]
    fn times_that_no_one_waits_for_do_not_panic() {
        let endless = control::Drain {
            half_life_seconds: Some(f64::MAX),
            ..drain()
        };
        assert!(worded_drain(&endless).contains("days"));
    }
}
