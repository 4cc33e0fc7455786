//! Asks the admin address of an elbow that runs on this host.
//!
//! Not here: what is asked (`explain.rs`, `drain.rs` and others). Invariant: whatever goes wrong
//! comes back as text for people; an answer is waited for no longer than [`PATIENCE`], or than
//! whoever asks says.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Agent, Body};

/// How long an answer may take. It comes from the memory of a process on this host.
const PATIENCE: Duration = Duration::from_secs(10);

/// One admin address.
pub(super) struct Client {
    agent: Agent,
    address: SocketAddr,
}

/// What was asked for, or why it was not to be had, in a clause.
pub(super) type Asked<T> = Result<T, String>;

/// An answer that refuses.
#[derive(Deserialize)]
struct Refused {
    error: String,
    /// A line each.
    #[serde(default)]
    problems: Vec<String>,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            // A proxy of the environment does not know this host's loopback.
            .proxy(None)
            .build();
        Self {
            agent: config.into(),
            address,
        }
    }

    /// The JSON text at `path`.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Asked<String> {
        let request = self.agent.get(self.url(path));
        let request = query
            .iter()
            .fold(request, |r, (key, value)| r.query(key, value));
        self.read(request.call())
    }

    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> Asked<String> {
        self.read(self.agent.post(self.url(path)).send(body.to_string()))
    }

    /// Has something done at `path`, which takes no longer than `patience`.
    pub(super) fn order(&self, path: &str, patience: Duration) -> Asked<String> {
        let request = self.agent.post(self.url(path)).config();
        let request = request.timeout_global(Some(patience)).build();
        self.read(request.send_empty())
    }

    /// `segments` follow `path`, whatever is in them.
    pub(super) fn delete(&self, path: &str, segments: &[&str]) -> Asked<()> {
        let segments = segments
            .iter()
            .map(|segment| format!("/{}", encoded(segment)));
        let path = path.to_owned() + &segments.collect::<String>();
        self.read(self.agent.delete(self.url(&path)).call())
            .map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Asked<String> {
        let failed = |error| format!("cannot ask {} (see --admin): {error}", self.address);
        let mut answer = answer.map_err(failed)?;
        let text = answer.body_mut().read_to_string().map_err(failed)?;
        if answer.status().is_success() {
            return Ok(text);
        }
        Err(match serde_json::from_str(&text) {
            Ok(Refused { error, problems }) => [vec![error], problems].concat().join("\n"),
            Err(_) => format!("{} answers {}: is it elbow?", self.address, answer.status()),
        })
    }
}

/// What an answer says.
pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Asked<T> {
    serde_json::from_str(text)
        .map_err(|error| format!("the answer is none of this version of elbow: {error}"))
}

/// A path segment by RFC 3986 §2.1.
fn encoded(segment: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let bytes = segment.bytes();
    bytes
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// A length of time for people, in its largest unit.
pub(super) fn worded(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_survives_whatever_is_in_it() {
        assert_eq!(encoded("i-0a_1.b"), "i-0a_1.b");
        assert_eq!(encoded("[::1]:80/é"), "%5B%3A%3A1%5D%3A80%2F%C3%A9");
    }

    #[test]
    fn lengths_of_time_are_told_in_the_largest_unit_that_says_enough() {
        let told = [0, 119, 120, 7_199, 7_200, 172_800].map(worded);
        assert_eq!(told, ["0 s", "119 s", "2 min", "119 min", "2 h", "2 days"]);
    }

    #[test]
    fn nobody_there_is_told_with_the_address() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = free.local_addr().expect("it is bound");
        drop(free);
        let error = Client::new(address).get("/healthz", &[]).unwrap_err();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
