//! A client: a jar of cookies, and several requests in flight that fill it.

use elbow::sticky::{Binding, Value};

use crate::scale::APP_COOKIE;

/// A browser with one session.
#[derive(Default)]
pub(crate) struct Client {
    /// Which listener it talks to.
    pub(crate) policy: usize,
    pub(crate) in_flight: usize,
    pub(crate) jar: Jar,
}

/// What it would send now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Jar {
    /// The stickiness cookie and what it says.
    pub(crate) bound: Option<(Value, Binding)>,
    /// Whether it has the application's cookie.
    pub(crate) has_app: bool,
}

impl Jar {
    /// The `Cookie` field.
    pub(crate) fn fields(&self) -> String {
        let mut fields = String::new();
        if self.has_app {
            fields.push_str(APP_COOKIE);
            fields.push_str("=1; ");
        }
        if let Some((value, _)) = &self.bound {
            fields.push_str("AWSELB=");
            fields.push_str(std::str::from_utf8(value).expect("hex digits"));
        }
        fields
    }
}

/// What an answer sets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Answer {
    pub(crate) bound: Option<(Value, Binding)>,
    pub(crate) sets_app: bool,
}

impl Client {
    /// Takes an answer's cookies, however late it is.
    pub(crate) fn receive(&mut self, answer: &Answer) {
        self.in_flight -= 1;
        self.jar.has_app |= answer.sets_app;
        if answer.bound.is_some() {
            self.jar.bound = answer.bound;
        }
    }
}
