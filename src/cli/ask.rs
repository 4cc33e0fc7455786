//! Asks the admin address of an elbow that runs on this host.
//!
//! Not here: what is asked (`explain.rs`, `drain.rs` and others), how it is signed (`sign.rs`).
//! Invariant: whatever goes wrong comes back as text for people; an answer is waited for no longer
//! than [`PATIENCE`], or than whoever asks says, and the next part of one that goes on no longer
//! than [`SILENCE_MAX`].

use std::io::{self, BufReader};
use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::{Agent, AsSendBody, Body, BodyReader};

use super::sign::Signer;

/// How long an answer may take. It comes from the memory of a process on this host.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer that goes on may say nothing. Something is told each second.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// One admin address.
pub(super) struct Client {
    agent: Agent,
    address: SocketAddr,
    /// `None`: the environment has no credential.
    signer: Option<Signer>,
}

/// What was asked for, or why it was not to be had, in a clause.
pub(super) type Asked<T> = Result<T, String>;

/// An answer that goes on, for whoever reads its lines.
pub(super) type Lines = BufReader<BodyReader<'static>>;

/// Why there is no answer that goes on, or no more of it, in a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nobody answers, or too many listen: to ask again may help.
    Passing(String),
    /// The same question is refused again.
    Lasting(String),
}

impl Silence {
    pub(super) fn into_clause(self) -> String {
        match self {
            Self::Passing(clause) | Self::Lasting(clause) => clause,
        }
    }
}

/// An answer that refuses.
#[derive(Deserialize)]
struct Refused {
    error: String,
    /// A line each.
    #[serde(default)]
    problems: Vec<String>,
}

impl Client {
    /// Signs what it asks if the environment has a credential.
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
            signer: Signer::of_environment(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The JSON text at `path`.
    pub(super) fn get(&self, path: &str, query: &[(&str, &str)]) -> Asked<String> {
        self.ask(Method::GET, &target(path, query), String::new())
    }

    /// The answer at `path`, which goes on for longer than anybody waits for a whole one.
    pub(super) fn listen(&self, path: &str, query: &[(&str, &str)]) -> Result<Lines, Silence> {
        let request = self.request(Method::GET, &target(path, query), String::new());
        let request = request.map_err(Silence::Lasting)?.map(|_| ());
        let request = self.agent.configure_request(request);
        let request = request
            .timeout_global(None)
            .timeout_connect(Some(SILENCE_MAX))
            .timeout_recv_response(Some(SILENCE_MAX))
            .timeout_per_read(Some(SILENCE_MAX))
            .build();
        let answer = self.agent.run(request);
        let failed = |error| Silence::Passing(format!("cannot ask {}: {error}", self.address));
        let mut answer = answer.map_err(failed)?;
        if answer.status().is_success() {
            return Ok(BufReader::new(answer.into_body().into_reader()));
        }
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(failed)?;
        let clause = self.refusal(answer.status(), &text);
        Err(match answer.status().is_client_error() {
            true => Silence::Lasting(clause),
            false => Silence::Passing(clause),
        })
    }

    pub(super) fn post(&self, path: &str, body: &serde_json::Value) -> Asked<String> {
        self.ask(Method::POST, path, body.to_string())
    }

    /// Has something done at `path`, which takes no longer than `patience`.
    pub(super) fn order(&self, path: &str, patience: Duration) -> Asked<String> {
        self.ask_patiently(Method::POST, path, String::new(), patience)
    }

    /// `segments` follow `path`, whatever is in them.
    pub(super) fn delete(&self, path: &str, segments: &[&str]) -> Asked<()> {
        let segments = segments
            .iter()
            .map(|segment| format!("/{}", encoded(segment)));
        let path = path.to_owned() + &segments.collect::<String>();
        self.ask(Method::DELETE, &path, String::new()).map(drop)
    }

    fn ask(&self, method: Method, target: &str, body: String) -> Asked<String> {
        self.ask_patiently(method, target, body, PATIENCE)
    }

    fn ask_patiently(
        &self,
        method: Method,
        target: &str,
        body: String,
        patience: Duration,
    ) -> Asked<String> {
        let failed = |error| format!("cannot ask {} (see --admin): {error}", self.address);
        let request = self.request(method, target, body)?;
        let mut answer = match request.body().is_empty() {
            true => self.run(request.map(|_| ()), patience),
            false => self.run(request, patience),
        }
        .map_err(failed)?;
        let text = answer.body_mut().read_to_string().map_err(failed)?;
        match answer.status().is_success() {
            true => Ok(text),
            false => Err(self.refusal(answer.status(), &text)),
        }
    }

    /// Signed, if there is a credential.
    fn request(&self, method: Method, target: &str, body: String) -> Asked<Request<String>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{target}", self.address))
            .header("host", self.address.to_string());
        let mut request = request.body(body).map_err(|error| error.to_string())?;
        if let Some(signer) = &self.signer {
            signer.sign(&mut request)?;
        }
        Ok(request)
    }

    /// What an answer that refuses says.
    fn refusal(&self, status: StatusCode, text: &str) -> String {
        let error = match serde_json::from_str(text) {
            Ok(Refused { error, problems }) => [vec![error], problems].concat().join("\n"),
            Err(_) => format!("{} answers {status}: is it elbow?", self.address),
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("{error} ({})", self.what_to_set())
            }
            _ => error,
        }
    }

    fn run(
        &self,
        request: Request<impl AsSendBody>,
        patience: Duration,
    ) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request);
        let request = request.timeout_global(Some(patience)).build();
        self.agent.run(request)
    }

    /// What somebody may do who was not let in.
    fn what_to_set(&self) -> &'static str {
        match self.signer {
            None => {
                "elbow wants to know who asks: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to \
                 one of its [[admin.credential]]"
            }
            Some(_) => {
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be one of its \
                 [[admin.credential]] that may do this"
            }
        }
    }
}

/// Whether reading an answer failed since nothing came for too long.
pub(super) fn is_silence(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(inner, Some(ureq::Error::Timeout(_)))
}

/// A path with a query behind it, if there is one.
fn target(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    let query = text.extend_pairs(query).finish();
    match query.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{query}"),
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
