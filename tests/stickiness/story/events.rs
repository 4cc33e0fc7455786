//! What happens to backends, the proxy and time.

use super::Story;
use crate::case::{Event, Hold, Restart};
use crate::harness::{Directory, Wire, eventually};
use crate::jar::HOST;
use crate::server::{HOLD, Server};

impl Story<'_> {
    pub(super) fn happen(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Fail(name) => self.fail(name, true),
            Event::Recover(name) => self.fail(name, false),
            Event::Kill(name) => self.known(name).map(|(_, server)| server.kill()),
            Event::Revive(name) => {
                let (name, server) = self.known(name)?;
                server.revive();
                self.await_service(&name, true);
                Ok(())
            }
            Event::Move(name) => {
                let (name, server) = self.known(name)?;
                server.kill();
                self.servers.remove(&name);
                self.server(&name);
                Ok(())
            }
            Event::AwaitDown(name) => {
                let name = self.expand(name)?;
                self.await_service(&name, false);
                Ok(())
            }
            Event::Pass(seconds) => {
                self.clients_clock += seconds;
                Ok(())
            }
            Event::Hold(hold) => self.hold(hold),
            Event::Release => self.release(),
            Event::Restart(restart) => self.restart(restart),
            Event::Register(name) => self.register(name, 1),
            Event::Deregister(name) => {
                let name = self.expand(name)?;
                self.tell_admin(
                    "DELETE",
                    &format!("/v1/load-balancers/web/instances/{name}"),
                    None,
                )
            }
            Event::Reweigh { backend, weight } => self.register(backend, *weight),
            Event::Drain(drain) => {
                let name = self.expand(&drain.backend)?;
                self.proxy()
                    .drain(&name, &drain.mode, drain.deadline_seconds)
            }
            Event::Undrain(name) => {
                let name = self.expand(name)?;
                self.proxy().undrain(&name)
            }
        }
    }

    fn restart(&mut self, restart: &Restart) -> Result<(), String> {
        let mut restart = restart.clone();
        for name in restart.backends.iter_mut().flatten() {
            *name = self.expand(name)?;
        }
        self.proxy = None;
        if restart.forgets {
            self.directory = Directory::new();
        }
        self.setup.change(&restart);
        self.start();
        self.await_all();
        Ok(())
    }

    fn hold(&mut self, hold: &Hold) -> Result<(), String> {
        let cookie = hold
            .cookie
            .as_deref()
            .map(|text| self.expand(text))
            .transpose()?;
        let line = cookie.map_or(String::new(), |cookie| format!("Cookie: {cookie}\r\n"));
        let request = format!("GET {HOLD} HTTP/1.1\r\nHost: {HOST}\r\n{line}\r\n");
        let address = self.proxy().listeners()[0];
        for _ in 0..hold.count {
            let mut wire = Wire::connect(address);
            wire.send(&request);
            self.held.push(wire);
        }
        let on = match &hold.on {
            Some(on) => self.expand(on)?,
            None => self.holder(),
        };
        self.known(&on)?.1.expect_held(hold.count);
        if let Some(name) = &hold.bind {
            self.variables.insert(name.clone(), on);
        }
        Ok(())
    }

    /// The backend that has got a request to hold.
    fn holder(&self) -> String {
        let mut holder = None;
        eventually("a backend holds a request", || {
            let mut servers = self.servers.iter();
            holder = servers.find(|(_, server)| server.is_holding());
            holder.is_some()
        });
        holder
            .map(|(name, _)| name.clone())
            .expect("the condition above held")
    }

    fn release(&mut self) -> Result<(), String> {
        self.servers.values().for_each(Server::release);
        for mut wire in self.held.drain(..) {
            let response = wire.try_response("GET");
            let response = response.map_err(|error| format!("a held request: {error}"))?;
            if response.status() != 200 {
                return Err(format!("a held request got\n{}", response.head.text));
            }
        }
        Ok(())
    }

    fn register(&mut self, name: &str, weight: u32) -> Result<(), String> {
        let name = self.expand(name)?;
        let address = self.server(&name).address();
        let body = serde_json::json!({
            "address": address.ip().to_string(),
            "port": address.port(),
            "weight": weight,
        });
        let path = format!("/v1/load-balancers/web/instances/{name}");
        self.tell_admin("PUT", &path, Some(&body.to_string()))?;
        if self.servers[&name].is_up() {
            self.await_service(&name, true);
        }
        Ok(())
    }
}
