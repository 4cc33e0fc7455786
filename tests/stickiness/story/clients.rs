//! What clients do: requests with and without a jar, one after the other or in parallel.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::Story;
use crate::case::{Event, Request};
use crate::date;
use crate::expect::Reply;
use crate::harness::{PATIENCE, Response, Wire, eventually};
use crate::jar::HOST;

impl Story<'_> {
    pub(super) fn perform(
        &mut self,
        request: &Request,
        during: Option<&Event>,
    ) -> Result<Vec<Reply>, String> {
        let path = request.path.as_deref().unwrap_or("/");
        let target = self.expand(path)?;
        let responses = match during {
            None if request.connections.is_none() => self.in_turn(request, &target)?,
            _ => self.in_parallel(request, during, &target)?,
        };
        let answers = Arc::clone(&self.answers);
        let replies = responses
            .into_iter()
            .map(|r| Reply::new(r, &answers, &target));
        Ok(replies.collect())
    }

    fn in_turn(&mut self, request: &Request, target: &str) -> Result<Vec<Response>, String> {
        let address = self.proxy().listeners()[request.listener];
        let mut wire = Wire::connect(address);
        let mut responses = Vec::new();
        for index in 0..request.times.unwrap_or(1) {
            if request.fresh && index > 0 {
                wire = Wire::connect(address);
            }
            let text = self.request_text(request, target)?;
            let response = exchange(&mut wire, &text)?;
            self.keep(request, target, &response);
            responses.push(response);
        }
        Ok(responses)
    }

    /// With an event: asks before it, through it, and as often as the step says after it.
    fn in_parallel(
        &mut self,
        request: &Request,
        during: Option<&Event>,
        target: &str,
    ) -> Result<Vec<Response>, String> {
        let address = self.proxy().listeners()[request.listener];
        let text: Arc<str> = self.request_text(request, target)?.into();
        let connections = request.connections.unwrap_or(1);
        let (times, fresh) = (request.times.unwrap_or(1), request.fresh);
        let answered = Arc::new(AtomicUsize::new(0));
        let is_over = Arc::new(AtomicBool::new(during.is_none()));
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                let client = Client {
                    address,
                    text: Arc::clone(&text),
                    times,
                    fresh,
                    answered: Arc::clone(&answered),
                    is_over: Arc::clone(&is_over),
                };
                thread::spawn(move || client.run())
            })
            .collect();
        let mut outcome = Ok(());
        if let Some(event) = during {
            eventually("all clients are at it, or one has failed", || {
                answered.load(Ordering::SeqCst) >= 4 * connections
                    || clients.iter().any(|client| client.is_finished())
            });
            outcome = self.happen(event);
            is_over.store(true, Ordering::SeqCst);
        }
        let mut responses = Vec::new();
        for client in clients {
            responses.extend(client.join().map_err(|_| "a client panicked")??);
        }
        outcome?;
        for response in &responses {
            self.keep(request, target, response);
        }
        Ok(responses)
    }

    fn request_text(&self, request: &Request, target: &str) -> Result<String, String> {
        let method = match (&request.method, &request.body) {
            (Some(method), _) => self.expand(method)?,
            (None, Some(_)) => "POST".to_owned(),
            (None, None) => "GET".to_owned(),
        };
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n");
        let is_secure = self.setup.listeners[request.listener].behind_tls;
        let jar = request
            .client
            .as_ref()
            .and_then(|client| self.jars.get(client));
        let kept = jar.and_then(|jar| jar.cookies(target, is_secure, self.clients_now()));
        if let Some(cookies) = kept {
            text.push_str(&format!("Cookie: {cookies}\r\n"));
        }
        if let Some(cookie) = &request.cookie {
            text.push_str(&format!("Cookie: {}\r\n", self.expand(cookie)?));
        }
        for line in &request.headers {
            text.push_str(&format!("{}\r\n", self.expand(line)?));
        }
        if let Some(body) = &request.body {
            let length = body.len();
            text.push_str(&format!("Content-Length: {length}\r\n\r\n{body}"));
        } else {
            text.push_str("\r\n");
        }
        Ok(text)
    }

    /// Puts what a response sets into the jar of its client.
    fn keep(&mut self, request: &Request, target: &str, response: &Response) {
        let Some(client) = &request.client else {
            return;
        };
        let now = self.clients_now();
        let date = response
            .head
            .fields("Date")
            .first()
            .and_then(|date| date::parse(date));
        let behind = date.map_or(0, |date| now - date);
        let jar = self.jars.entry(client.clone()).or_default();
        for line in response.head.fields("Set-Cookie") {
            jar.store(line, target, now, behind);
        }
    }

    fn clients_now(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.expect("1970 is long ago").as_secs();
        i64::try_from(seconds).expect("so far") + self.clients_clock
    }
}

/// One of several that ask in parallel.
struct Client {
    address: SocketAddr,
    text: Arc<str>,
    /// How often it asks once the event is over.
    times: usize,
    fresh: bool,
    /// Responses of all clients.
    answered: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Client {
    fn run(self) -> Result<Vec<Response>, String> {
        let mut responses = Vec::new();
        let mut wire = Wire::connect(self.address);
        let mut left = self.times;
        let deadline = Instant::now() + 2 * PATIENCE;
        while left > 0 && Instant::now() < deadline {
            // Looked at before the request is sent, so that it is one from after the event.
            left -= usize::from(self.is_over.load(Ordering::SeqCst));
            responses.push(exchange(&mut wire, &self.text)?);
            self.answered.fetch_add(1, Ordering::SeqCst);
            if self.fresh {
                wire = Wire::connect(self.address);
            }
        }
        Ok(responses)
    }
}

/// One request and its response on an open connection.
fn exchange(wire: &mut Wire, text: &str) -> Result<Response, String> {
    let method = text.split(' ').next().unwrap_or_default();
    let sent = wire.try_send(text);
    let answered = sent.and_then(|()| wire.try_response(method));
    answered.map_err(|error| format!("expected: a response\ngot: {error}\nto the request\n{text}"))
}
