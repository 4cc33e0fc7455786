//! One backend of a case: answers as the case says, names itself, and can be made to fail.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::case::Answer;
use crate::harness::{After, Backend, Gate, Head};

/// The field by which an answer says whose it is.
pub(crate) const NAME_FIELD: &str = "X-Backend";

/// Requests for this are not answered before [`Server::release`].
pub(crate) const HOLD: &str = "/hold";

/// A backend with its name and its gate.
pub(crate) struct Server {
    backend: Backend,
    gate: Gate,
    is_killed: bool,
    is_ill: Cell<bool>,
}

impl Server {
    pub(crate) fn start(name: &str, answers: &Arc<[Answer]>) -> Self {
        let gate = Gate::default();
        let (held, name, answers) = (gate.clone(), name.to_owned(), Arc::clone(answers));
        let backend = Backend::with(move |request, wire| {
            let target = request.head.target();
            if target == HOLD {
                held.pass();
            }
            if answer_for(&answers, target, &name).is_some_and(|answer| answer.breaks) {
                return Ok(After::Close);
            }
            wire.try_send(response(&request.head, &name, &answers))?;
            Ok(After::Keep)
        });
        Self {
            backend,
            gate,
            is_killed: false,
            is_ill: Cell::new(false),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.backend.address
    }

    pub(crate) fn fail_checks(&self, fails: bool) {
        self.is_ill.set(fails);
        self.backend.fail_checks(fails);
    }

    pub(crate) fn kill(&mut self) {
        self.is_killed = true;
        self.backend.stop();
    }

    pub(crate) fn revive(&mut self) {
        self.is_killed = false;
        self.backend.restart();
    }

    /// Whether checks can find it healthy.
    pub(crate) fn is_up(&self) -> bool {
        !self.is_killed && !self.is_ill.get()
    }

    /// The head of the last request that came.
    pub(crate) fn last_head(&self) -> Head {
        self.backend.last().head
    }

    /// Whether the last request that came is one to hold.
    pub(crate) fn is_holding(&self) -> bool {
        let requests = self.backend.requests();
        requests
            .last()
            .is_some_and(|request| request.head.target() == HOLD)
    }

    /// Waits until so many requests are held.
    pub(crate) fn expect_held(&self, count: usize) {
        self.gate.expect_waiting(count);
    }

    /// Answers what is held, and holds nothing from now on.
    pub(crate) fn release(&self) {
        self.gate.open();
    }
}

/// The answer of a case to a request, if it has one.
pub(crate) fn answer_for<'a>(
    answers: &'a [Answer],
    target: &str,
    name: &str,
) -> Option<&'a Answer> {
    let path = target.split('?').next();
    answers.iter().find(|answer| {
        Some(answer.path.as_str()) == path && answer.backend.as_deref().is_none_or(|b| b == name)
    })
}

fn response(head: &Head, name: &str, answers: &[Answer]) -> String {
    let target = head.target();
    let answer = answer_for(answers, target, name);
    let asked = target
        .strip_prefix("/status/")
        .and_then(|digits| digits.parse().ok());
    let status: u16 = answer.map(|answer| answer.status).or(asked).unwrap_or(200);
    let lines: String = answer
        .iter()
        .flat_map(|answer| &answer.headers)
        .map(|line| format!("{line}\r\n"))
        .collect();
    let start = format!("HTTP/1.1 {status} Status\r\n{NAME_FIELD}: {name}\r\n{lines}");
    let has_body = !matches!(status, 204 | 304);
    if !has_body {
        return format!("{start}\r\n");
    }
    let body = if head.start_line().starts_with("HEAD ") {
        ""
    } else {
        name
    };
    format!("{start}Content-Length: {}\r\n\r\n{body}", name.len())
}
