//! Runs one case: its backends, the proxy before them, and the steps in order.
//!
//! Invariant: nothing is waited for but events, and each wait has a deadline.

mod admin;
mod clients;
mod events;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::case::{Answer, Case, RequestStep, Setup, Step};
use crate::expect::{Judge, Reply};
use crate::feature::Feature;
use crate::harness::{Directory, PATIENCE, Wire, eventually};
use crate::jar::Jar;
use crate::proxy::{Kind, Proxy, Site};
use crate::server::Server;
use crate::template;

/// Everything that a case is about while it runs.
struct Story<'a> {
    case: &'a Case,
    answers: Arc<[Answer]>,
    kind: Kind,
    setup: Setup,
    directory: Directory,
    servers: BTreeMap<String, Server>,
    /// `None` only while it is started again.
    proxy: Option<Proxy>,
    variables: BTreeMap<String, String>,
    jars: BTreeMap<String, Jar>,
    /// By how many seconds the clients' clocks differ from ours.
    clients_clock: i64,
    held: Vec<Wire>,
}

/// Runs a case to its end. Fails by a panic whose message tells the whole story.
pub(crate) fn run(case: &Case, file: &str, kind: Kind) {
    let mut story = Story::begin(case, kind);
    for (index, step) in case.step.iter().enumerate() {
        if let Err(complaint) = story.step(step) {
            let (number, name) = (index + 1, &case.name);
            panic!("{file}: {name}\nstep {number}: {complaint}");
        }
    }
}

impl<'a> Story<'a> {
    fn begin(case: &'a Case, kind: Kind) -> Self {
        let mut story = Self {
            case,
            answers: case.answer.clone().into(),
            kind,
            setup: case.setup(),
            directory: Directory::new(),
            servers: BTreeMap::new(),
            proxy: None,
            variables: BTreeMap::new(),
            jars: BTreeMap::new(),
            clients_clock: 0,
            held: Vec::new(),
        };
        story.start();
        story.await_all();
        story
    }

    /// Starts the proxy with the present setup.
    fn start(&mut self) {
        for name in self.setup.backends.clone() {
            self.server(&name);
        }
        let addresses = self.addresses();
        self.proxy = Some(self.kind.start(&Site {
            setup: &self.setup,
            addresses: &addresses,
            directory: self.directory.path(),
        }));
    }

    fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let pairs = self.servers.iter();
        pairs
            .map(|(name, server)| (name.clone(), server.address()))
            .collect()
    }

    fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("it runs between the steps")
    }

    /// The backend of that name, started if it is new.
    fn server(&mut self, name: &str) -> &mut Server {
        let answers = &self.answers;
        self.servers
            .entry(name.to_owned())
            .or_insert_with(|| Server::start(name, answers))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Event(event) => self.happen(event),
            Step::Admin(call) => self.call_admin(call),
            Step::Request(step) if step.request.each.is_empty() => self.ask(step),
            Step::Request(step) => step.request.each.iter().try_for_each(|text| {
                let text = self.expand(text)?;
                self.variables.insert("each".to_owned(), text.clone());
                self.ask(step)
                    .map_err(|complaint| format!("for each, here {text:?}: {complaint}"))
            }),
        }
    }

    fn ask(&mut self, step: &RequestStep) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let replies = self.perform(&step.request, step.during.as_ref())?;
            let verdict = self.judge(step, &replies)?;
            let is_over = !step.request.until || Instant::now() > deadline;
            if verdict.is_ok() || is_over {
                verdict?;
                return self.bind(step, replies.last().expect("a request has a response"));
            }
        }
    }

    /// The outer result is about what must hold every time, the inner about what may take a while.
    fn judge(&self, step: &RequestStep, replies: &[Reply]) -> Result<Result<(), String>, String> {
        let expand = |text: &str| self.expand(text);
        let checks_form = self.kind == Kind::Elbow || !self.case.behaviour;
        let judge = Judge::new(&step.expect, checks_form, &expand);
        judge.status(replies)?;
        if judge.looks_at_requests() {
            let backend = replies.last().and_then(|reply| reply.backend.as_ref());
            let server = backend.and_then(|name| self.servers.get(name));
            let server = server.ok_or("expected: an answer from a backend")?;
            judge.request_seen(&server.last_head())?;
        }
        Ok(judge.responses(replies))
    }

    fn bind(&mut self, step: &RequestStep, reply: &Reply) -> Result<(), String> {
        if let Some(name) = &step.bind.backend {
            let backend = reply.backend.clone().ok_or("no backend to bind")?;
            self.variables.insert(name.clone(), backend);
        }
        if let Some(name) = &step.bind.cookie {
            let value = reply.value().ok_or("no cookie to bind")?;
            self.variables.insert(name.clone(), value.to_owned());
        }
        for (name, field) in &step.bind.seen {
            let server = reply
                .backend
                .as_ref()
                .and_then(|backend| self.servers.get(backend));
            let head = server.ok_or("no backend has seen it")?.last_head();
            let values = head.fields(field);
            let value = values
                .first()
                .ok_or_else(|| format!("the backend got no {field}"))?;
            self.variables.insert(name.clone(), (*value).to_owned());
        }
        Ok(())
    }
    fn expand(&self, text: &str) -> Result<String, String> {
        template::expand(text, &|name| self.value_of(name))
    }

    /// What was bound; `NAME.address` and `NAME.port` of a backend; `port` of the first listener.
    fn value_of(&self, name: &str) -> Option<String> {
        if let Some(value) = self.variables.get(name) {
            return Some(value.clone());
        }
        if name == "port" {
            return Some(self.proxy().listeners()[0].port().to_string());
        }
        let (backend, part) = name.rsplit_once('.')?;
        let backend = self.variables.get(backend).map_or(backend, String::as_str);
        let address = self.servers.get(backend)?.address();
        match part {
            "address" => Some(address.ip().to_string()),
            "port" => Some(address.port().to_string()),
            _ => None,
        }
    }

    /// The backend that `text` names, which must have been started.
    fn known(&mut self, text: &str) -> Result<(String, &mut Server), String> {
        let name = self.expand(text)?;
        match self.servers.get_mut(&name) {
            Some(server) => Ok((name, server)),
            None => Err(format!("no backend is called {name:?}")),
        }
    }

    fn fail(&mut self, name: &str, fails: bool) -> Result<(), String> {
        let (name, server) = self.known(name)?;
        server.fail_checks(fails);
        self.await_service(&name, !fails);
        Ok(())
    }

    /// Waits until the proxy knows; a proxy that does not tell is not waited for.
    fn await_service(&self, name: &str, expected: bool) {
        let what = if expected {
            "in service"
        } else {
            "out of service"
        };
        eventually(&format!("{name} is {what}"), || {
            let is_in_service = self.proxy().is_in_service(name);
            is_in_service.is_none_or(|is_in_service| is_in_service == expected)
        });
    }

    /// Waits until every backend that listens is in service.
    fn await_all(&self) {
        for name in &self.setup.backends {
            if self.servers[name].is_up() {
                self.await_service(name, true);
            }
        }
    }
}

impl Drop for Story<'_> {
    fn drop(&mut self) {
        // Backends end their connections only once nobody stands at the gate.
        self.servers.values().for_each(Server::release);
    }
}

/// What a proxy lacks for a case.
pub(crate) fn lacks(case: &Case, kind: Kind) -> Vec<Feature> {
    let features = kind.features();
    case.features().difference(&features).copied().collect()
}
