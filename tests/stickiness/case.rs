//! The vocabulary of the case files: what a case may say. `README.md` shows how it reads.
//!
//! Not here: what any of it does (`story`) or how it is judged (`expect`). A key that is not in
//! this file is an error, so a misspelt expectation cannot pass for one that holds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::feature::Feature;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseFile {
    pub(crate) case: Vec<Case>,
}

/// One story: how things are at first, then step by step what happens and what must be seen.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// The promise, as a sentence.
    pub(crate) name: String,
    /// The requirements that it proves: `R-001` to `R-074`, or `extension` for what AWS lacks.
    pub(crate) requirements: Vec<String>,
    /// Other proxies than elbow are judged too, by statuses and who answered alone: not by the
    /// cookies and heads that brought it about.
    #[serde(default)]
    pub(crate) behaviour: bool,
    /// What the case needs beside what its steps tell.
    #[serde(default)]
    pub(crate) needs: BTreeSet<Feature>,

    #[serde(default)]
    policy: Policy,
    #[serde(default = "two_backends")]
    backends: Vec<String>,
    #[serde(default = "one_listener")]
    listeners: Vec<Listener>,
    /// Keys of `[load_balancer.attributes]`, as they are.
    #[serde(default)]
    attributes: toml::Table,
    #[serde(default = "two")]
    shards: usize,
    /// Weights of backends that have one.
    #[serde(default)]
    weights: BTreeMap<String, u32>,

    /// How backends answer; what no answer fits gets 200, or the NNN of `/status/NNN`.
    #[serde(default)]
    pub(crate) answer: Vec<Answer>,
    pub(crate) step: Vec<Step>,
}

/// What the proxy is configured with; a restart may change any of it.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) policy: Policy,
    pub(crate) backends: Vec<String>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) attributes: toml::Table,
    pub(crate) shards: usize,
    pub(crate) weights: BTreeMap<String, u32>,
    /// The offset of the proxy's wall clock in seconds.
    pub(crate) clock: i64,
}

/// The stickiness policy of all listeners that have one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Policy {
    #[default]
    None,
    Duration {
        /// Absent: the browser session.
        seconds: Option<u32>,
        /// More keys of the policy, as they are.
        #[serde(default)]
        settings: toml::Table,
    },
    Application {
        /// The application's own cookie.
        cookie: String,
        #[serde(default)]
        settings: toml::Table,
    },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listener {
    pub(crate) instance_port: u16,
    pub(crate) behind_tls: bool,
    pub(crate) sticky: bool,
    /// Relays bytes; never sticky.
    pub(crate) tcp: bool,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            instance_port: 8080,
            behind_tls: false,
            sticky: true,
            tcp: false,
        }
    }
}

/// How a backend answers a request for one path.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) path: String,
    /// Absent: all backends.
    pub(crate) backend: Option<String>,
    #[serde(default = "ok")]
    pub(crate) status: u16,
    /// Field lines of the response.
    #[serde(default)]
    pub(crate) headers: Vec<String>,
    /// The connection ends instead.
    #[serde(default)]
    pub(crate) breaks: bool,
}

/// One thing that happens, and what must be seen of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawStep")]
pub(crate) enum Step {
    Request(Box<RequestStep>),
    Event(Event),
    Admin(AdminCall),
}

/// Requests, what happens meanwhile, and what all responses must be like.
#[derive(Debug, Clone)]
pub(crate) struct RequestStep {
    pub(crate) request: Request,
    pub(crate) during: Option<Event>,
    pub(crate) expect: Expect,
    pub(crate) bind: Bind,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStep {
    request: Option<Request>,
    during: Option<Event>,
    expect: Option<Expect>,
    bind: Option<Bind>,
    event: Option<Event>,
    admin: Option<AdminCall>,
}

impl TryFrom<RawStep> for Step {
    type Error = &'static str;

    fn try_from(raw: RawStep) -> Result<Self, Self::Error> {
        let is_plain = raw.during.is_none() && raw.expect.is_none() && raw.bind.is_none();
        match (raw.request, raw.event, raw.admin) {
            (Some(request), None, None) => Ok(Self::Request(Box::new(RequestStep {
                request,
                during: raw.during,
                expect: raw.expect.unwrap_or_default(),
                bind: raw.bind.unwrap_or_default(),
            }))),
            (None, Some(event), None) if is_plain => Ok(Self::Event(event)),
            (None, None, Some(call)) if is_plain => Ok(Self::Admin(call)),
            _ => Err(
                "a step is one of `request` (with `during`, `expect`, `bind`), `event`, `admin`",
            ),
        }
    }
}

/// A request, or many of the same.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Request {
    /// Whose cookie jar is used and filled; absent: nobody's.
    pub(crate) client: Option<String>,
    /// Default `GET`; with a body `POST`.
    pub(crate) method: Option<String>,
    /// Default `/`.
    pub(crate) path: Option<String>,
    /// The text of one `Cookie` field, beside the jar's.
    pub(crate) cookie: Option<String>,
    /// More field lines.
    pub(crate) headers: Vec<String>,
    pub(crate) body: Option<String>,
    /// Which listener is asked, from 0.
    pub(crate) listener: usize,
    /// How often, one after the other; 1 if absent.
    pub(crate) times: Option<usize>,
    /// On how many connections in parallel, all with the cookies of the start; 1 if absent.
    pub(crate) connections: Option<usize>,
    /// A new connection for each request.
    pub(crate) fresh: bool,
    /// Once for each of these texts, which `{each}` stands for.
    pub(crate) each: Vec<String>,
    /// Again and again until the expectation holds. The status must be right every time.
    pub(crate) until: bool,
}

/// What responses must be like. What is absent is not looked at, apart from the status.
///
/// Always: the application's own `Set-Cookie` lines arrive as they were sent, in order.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Expect {
    /// 200 if absent.
    pub(crate) status: Option<Status>,
    /// Who answered: a name, `not NAME`, or `NAME or NAME`.
    pub(crate) backend: Option<String>,
    /// All answers came from one backend.
    pub(crate) same: bool,
    /// Answers came from at least so many backends.
    pub(crate) spread: Option<usize>,
    /// For `same` and `spread`: answers of this backend are left out, and there are others.
    pub(crate) besides: Option<String>,
    /// At least so many answers came from these backends.
    pub(crate) at_least: BTreeMap<String, usize>,
    /// At most so many answers came from these backends.
    pub(crate) at_most: BTreeMap<String, usize>,
    /// How many cookies the proxy set, in each response.
    pub(crate) sets: Option<usize>,
    /// Those cookies, in order: `<value>` is 138 upper-case hex digits, the same in each line.
    pub(crate) set: Option<Vec<String>>,
    /// Texts that are nowhere in a cookie that the proxy set.
    pub(crate) hides: Vec<String>,
    /// Lines in the head of the response, byte for byte.
    pub(crate) headers: Vec<String>,
    /// Names of fields that are in the response, whatever they say.
    pub(crate) has_headers: Vec<String>,
    /// Names of fields that are not in the response.
    pub(crate) no_headers: Vec<String>,
    /// Lines in the head that the backend got.
    pub(crate) seen: Vec<String>,
    /// Texts that are nowhere in the head that the backend got.
    pub(crate) unseen: Vec<String>,
}

/// A status as a number, or as text with a variable in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Status {
    Number(u16),
    Text(String),
}

/// Names for what the last response showed, to be used as `{NAME}`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Bind {
    /// Who answered.
    pub(crate) backend: Option<String>,
    /// The value of the first cookie that the proxy set.
    pub(crate) cookie: Option<String>,
    /// The value of a field that the backend got: its name here, the field's there.
    pub(crate) seen: BTreeMap<String, String>,
}

/// Something that happens to backends, the proxy or time. Each waits until the proxy has seen it,
/// unless it says otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Event {
    /// The backend fails its health checks, and answers as before.
    Fail(String),
    /// It passes them again.
    Recover(String),
    /// It stops listening, and its connections end. The proxy has to find out for itself.
    Kill(String),
    /// It listens again, on the same port.
    Revive(String),
    /// It listens on another port from now on; the proxy is not told.
    Move(String),
    /// Waits until the backend is out of service.
    AwaitDown(String),
    /// Seconds pass for the clients; negative: their clocks are set back.
    Pass(i64),
    /// Sends requests that the backend does not answer until `release`.
    Hold(Hold),
    /// Lets held requests go; each must be answered with 200.
    Release,
    /// The proxy is killed and started again, with what is given changed.
    Restart(Restart),
    /// The backend becomes one of the load balancer's, or gets its present address.
    Register(String),
    /// The backend is taken out of the load balancer. Nothing is waited for.
    Deregister(String),
    /// The backend gets another weight.
    Reweigh { backend: String, weight: u32 },
    /// The backend is drained. Nothing is waited for.
    Drain(Drain),
    /// The drain is called off.
    Undrain(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hold {
    /// The backend that gets them; absent: whichever does, and `count` is 1.
    pub(crate) on: Option<String>,
    #[serde(default = "one")]
    pub(crate) count: usize,
    /// A name for that backend.
    pub(crate) bind: Option<String>,
    /// The text of their `Cookie` field.
    pub(crate) cookie: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drain {
    pub(crate) backend: String,
    /// `session` or `connections`.
    pub(crate) mode: String,
    pub(crate) deadline_seconds: u32,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Restart {
    pub(crate) policy: Option<Policy>,
    pub(crate) backends: Option<Vec<String>>,
    pub(crate) listeners: Option<Vec<Listener>>,
    pub(crate) attributes: Option<toml::Table>,
    pub(crate) weights: Option<BTreeMap<String, u32>>,
    pub(crate) shards: Option<usize>,
    /// The state directory is empty afterwards.
    pub(crate) forgets: bool,
    /// The offset of the proxy's wall clock in seconds.
    pub(crate) clock: Option<i64>,
}

/// A request to the admin address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminCall {
    #[serde(default = "get")]
    pub(crate) method: String,
    pub(crate) path: String,
    /// Sent as JSON.
    pub(crate) body: Option<toml::Value>,
    /// Absent: any 2xx.
    pub(crate) status: Option<u16>,
    /// Texts that are in the answer's body.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// Texts that are not.
    #[serde(default)]
    pub(crate) says_not: Vec<String>,
    /// Again and again until the answer is right.
    #[serde(default)]
    pub(crate) until: bool,
}

impl Case {
    /// How the proxy is configured at first.
    pub(crate) fn setup(&self) -> Setup {
        Setup {
            policy: self.policy.clone(),
            backends: self.backends.clone(),
            listeners: self.listeners.clone(),
            attributes: self.attributes.clone(),
            shards: self.shards,
            weights: self.weights.clone(),
            clock: 0,
        }
    }
}

impl Setup {
    /// Takes over what a restart changes.
    pub(crate) fn change(&mut self, restart: &Restart) {
        fn take<T: Clone>(present: &mut T, next: &Option<T>) {
            if let Some(next) = next {
                *present = next.clone();
            }
        }
        take(&mut self.policy, &restart.policy);
        take(&mut self.backends, &restart.backends);
        take(&mut self.listeners, &restart.listeners);
        take(&mut self.attributes, &restart.attributes);
        take(&mut self.weights, &restart.weights);
        take(&mut self.shards, &restart.shards);
        take(&mut self.clock, &restart.clock);
    }
}

fn two_backends() -> Vec<String> {
    vec!["a".to_owned(), "b".to_owned()]
}

fn one_listener() -> Vec<Listener> {
    vec![Listener::default()]
}

fn one() -> usize {
    1
}

fn two() -> usize {
    2
}

fn ok() -> u16 {
    200
}

fn get() -> String {
    "GET".to_owned()
}
