//! `elbow top`: what happens from second to second, on a terminal or as text.
//!
//! Not what happens (`control::Moment`), which the process that is asked tells each second.
//! Invariant: a terminal is left as it was found, however the command ends.

mod app;
mod draw;
mod feed;
mod history;
mod numbers;
mod plain;
#[cfg(test)]
mod sample;
mod terminal;
mod watch;

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;

use clap::Args;

use self::feed::Moments;
use super::ask::{Asked, Client, Silence, parse};
use super::load::Answer;
use super::{ADMIN_DEFAULT, SIGNED, socket_address};

/// The flags of `elbow top`.
#[derive(Debug, Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{SIGNED}"))]
pub struct Top {
    /// The load balancer to look at first, with its instances, moves and drains [default: all, in
    /// short]
    #[arg(value_name = "LOAD_BALANCER")]
    pub load_balancer: Option<String>,

    /// The admin address of the elbow that is asked
    #[arg(long, value_name = "ADDR", value_parser = socket_address, default_value = ADMIN_DEFAULT)]
    pub admin: SocketAddr,

    /// Print one second as text and end, as is done where stdout is no terminal
    #[arg(long)]
    pub once: bool,

    /// Print each second as JSON, one a line; with --once only the first
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  elbow top
      The shards and all load balancers, anew each second; Enter opens one, q ends it, ? tells more.
  elbow top web
      One load balancer: its instances, sessions that moved, drains.
  elbow top web --once
      A second of it as text.
  elbow top --json | jq --unbuffered -r '.load_balancers[] | [.name, .requests_per_second] | @tsv'
      Numbers for a script, until it has read enough.

IN: instances in service, of those that are registered. REQ/S: requests, and connections of TCP and
SSL listeners. P50, P99: how long instances took, in milliseconds. 4XX, 5XX: answers by instances
and by elbow itself, in a second. RUN, WAIT: requests that run, and that wait for an instance with
room. The small bars are the last minute.

When elbow is gone the screen keeps the last numbers, says so, and asks again. It is one of at most
16 that may watch at the same time. Colours are left out where NO_COLOR is set; nothing is told by
them alone.

Exit codes: 0, 1 if elbow cannot be asked (with --json: any more) or there is no such load balancer,
2 if the flags do not hold.";

/// Does `elbow top`. JSON goes to `out`; one that is closed ends it.
pub fn top(flags: &Top, out: &mut impl Write) -> Answer {
    let client = Client::new(flags.admin);
    Answer::of(if flags.json {
        lines(flags, &client, out)
    } else if flags.once || !std::io::stdout().is_terminal() {
        once(flags, &client)
    } else {
        watch::watch(flags, client).map(|()| String::new())
    })
}

/// One second as text.
fn once(flags: &Top, client: &Client) -> Asked<String> {
    let status = parse(&client.get("/v1/status", &[])?)?;
    let text = first(&mut open(flags, client)?)?;
    Ok(plain::told(
        &status,
        flags.admin,
        flags.load_balancer.is_some(),
        &parse(&text)?,
    ))
}

/// Each second as a line of JSON.
fn lines(flags: &Top, client: &Client, out: &mut impl Write) -> Asked<String> {
    loop {
        let mut moments = open(flags, client)?;
        // Streams end after a while; one that says nothing at all is not asked for again.
        let mut text = first(&mut moments)?;
        if flags.once {
            return Ok(text);
        }
        loop {
            if writeln!(out, "{text}").and_then(|()| out.flush()).is_err() {
                // Nobody reads on.
                return Ok(String::new());
            }
            match moments.next_text().map_err(Silence::into_clause)? {
                Some(next) => text = next,
                None => break,
            }
        }
    }
}

fn open(flags: &Top, client: &Client) -> Asked<Moments> {
    let moments = Moments::open(client, flags.load_balancer.as_deref());
    moments.map_err(Silence::into_clause)
}

fn first(moments: &mut Moments) -> Asked<String> {
    let text = moments.next_text().map_err(Silence::into_clause)?;
    text.ok_or_else(|| "elbow ended the stream at once: does it end itself?".to_owned())
}
