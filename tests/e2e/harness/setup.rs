//! A configuration as a test words it, and elbow started with it.

use std::env;
use std::fmt::Write;
use std::net::SocketAddr;

use super::backend::Backend;
use super::elbow::Elbow;

/// The driver that all tests use; unset: the one that elbow takes by itself.
const DRIVER_VARIABLE: &str = "ELBOW_TEST_DRIVER";

/// One load balancer named `web`, with health checks fast enough for tests.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    instances: Vec<SocketAddr>,
    listeners: Vec<Listener>,
    host_lines: Vec<String>,
    listener_lines: Vec<String>,
    backend_policies: Vec<(u16, String)>,
    sections: Vec<String>,
    attributes: Vec<String>,
    expiration_seconds: Option<u32>,
    app_cookie: Option<&'static str>,
    is_checked_by_tcp: bool,
}

/// One listener of it.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a test, in any combination"
)]
pub(crate) struct Listener {
    pub(crate) is_tcp: bool,
    pub(crate) is_sticky: bool,
    pub(crate) is_behind_tls: bool,
    pub(crate) instance_port: u16,
    /// Its lines about certificates, if TLS is on it.
    pub(crate) tls: Option<String>,
    /// TLS is on its connections to backends.
    pub(crate) is_secured: bool,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            is_tcp: false,
            is_sticky: false,
            is_behind_tls: false,
            instance_port: 8080,
            tls: None,
            is_secured: false,
        }
    }
}

impl Listener {
    fn to_toml(&self, policy: &str) -> String {
        let Self {
            is_tcp,
            is_sticky,
            is_behind_tls,
            instance_port,
            tls,
            is_secured,
        } = self;
        let policies: &[&str] = if *is_sticky { &[policy] } else { &[] };
        let named = |is_secure| match (is_tcp, is_secure) {
            (true, false) => "TCP",
            (true, true) => "SSL",
            (false, false) => "HTTP",
            (false, true) => "HTTPS",
        };
        let (protocol, instance_protocol) = (named(tls.is_some()), named(*is_secured));
        let tls = tls.as_deref().unwrap_or_default();
        format!(
            "[[load_balancer.listener]]\nprotocol = {protocol:?}\nport = 0\n\
             instance_protocol = {instance_protocol:?}\ninstance_port = {instance_port}\n\
             policies = {policies:?}\nbehind_tls = {is_behind_tls}\n{tls}\n"
        )
    }
}

impl Setup {
    /// These backends, one listener without stickiness, two shards.
    pub(crate) fn new(instances: &[SocketAddr]) -> Self {
        Self {
            instances: instances.to_vec(),
            listeners: vec![Listener::default()],
            ..Self::default()
        }
    }

    /// As [`Setup::new`], with a policy whose cookies last that long; `None`: the browser session.
    pub(crate) fn sticky(instances: &[SocketAddr], expiration_seconds: Option<u32>) -> Self {
        let listener = Listener {
            is_sticky: true,
            ..Listener::default()
        };
        let setup = Self {
            expiration_seconds,
            ..Self::new(instances)
        };
        setup.listeners(&[listener])
    }

    /// As [`Setup::new`], with a policy that follows this cookie of the application.
    pub(crate) fn app(instances: &[SocketAddr], cookie_name: &'static str) -> Self {
        Self {
            app_cookie: Some(cookie_name),
            ..Self::sticky(instances, None)
        }
    }

    /// These backends, of any protocol, and one TCP listener.
    pub(crate) fn tcp(instances: &[SocketAddr]) -> Self {
        let listener = Listener {
            is_tcp: true,
            ..Listener::default()
        };
        let setup = Self {
            is_checked_by_tcp: true,
            ..Self::new(instances)
        };
        setup.listeners(&[listener])
    }

    pub(crate) fn listeners(mut self, listeners: &[Listener]) -> Self {
        self.listeners = listeners.to_vec();
        self
    }

    /// All listeners stand behind a TLS terminator.
    pub(crate) fn behind_tls(mut self) -> Self {
        self.listeners
            .iter_mut()
            .for_each(|listener| listener.is_behind_tls = true);
        self
    }

    /// Adds a listener for HTTPS behind the first, which it is otherwise like.
    pub(crate) fn https(mut self, tls: &str) -> Self {
        let listener = Listener {
            tls: Some(tls.to_owned()),
            ..self.listeners[0].clone()
        };
        self.listeners.push(listener);
        self
    }

    /// Adds a line to `[host]`.
    pub(crate) fn host(mut self, line: impl Into<String>) -> Self {
        self.host_lines.push(line.into());
        self
    }

    /// Adds a line to each `[[load_balancer.listener]]`.
    pub(crate) fn listener_line(mut self, line: &str) -> Self {
        self.listener_lines.push(line.to_owned());
        self
    }

    /// Adds a `[[load_balancer.NAME]]` with these lines.
    pub(crate) fn section(mut self, name: &str, lines: &str) -> Self {
        let section = format!("[[load_balancer.{name}]]\n{lines}\n");
        self.sections.push(section);
        self
    }

    /// Adds a `[NAME]` with these lines.
    pub(crate) fn table(mut self, name: &str, lines: &str) -> Self {
        self.sections.push(format!("[{name}]\n{lines}\n"));
        self
    }

    /// Connections to this instance port begin with a PROXY header.
    pub(crate) fn proxy_protocol(self, instance_port: u16, version: &'static str) -> Self {
        self.backend_policy(instance_port, &format!("proxy_protocol = {version:?}"))
    }

    /// These lines hold for backends at this instance port.
    pub(crate) fn backend_policy(mut self, instance_port: u16, lines: &str) -> Self {
        self.backend_policies
            .push((instance_port, lines.to_owned()));
        self
    }

    /// TLS is on all connections to backends, whose health is checked by TCP.
    pub(crate) fn secured(mut self) -> Self {
        self.listeners
            .iter_mut()
            .for_each(|listener| listener.is_secured = true);
        self.is_checked_by_tcp = true;
        self
    }

    /// Adds a line to `[load_balancer.attributes]`.
    pub(crate) fn attribute(mut self, line: &str) -> Self {
        self.attributes.push(line.to_owned());
        self
    }

    /// Starts elbow and waits until each of `backends` is in service.
    pub(crate) fn start(&self, backends: &[&Backend]) -> Elbow {
        let elbow = Elbow::start(&self.to_toml());
        elbow.expect_in_service(backends);
        elbow
    }

    /// The line of `[host]` for the driver that all tests use; empty if that is elbow's choice.
    pub(crate) fn driver_line() -> String {
        env::var(DRIVER_VARIABLE)
            .map_or_else(|_| String::new(), |driver| format!("driver = {driver:?}\n"))
    }

    pub(crate) fn to_toml(&self) -> String {
        let mut toml = String::from("[host]\naddress = \"127.0.0.1\"\n");
        let has_cores = self
            .host_lines
            .iter()
            .any(|line| line.starts_with("shards"));
        if !has_cores {
            toml.push_str("shards = 2\n");
        }
        toml.push_str(&Self::driver_line());
        for line in &self.host_lines {
            toml.push_str(line);
            toml.push('\n');
        }
        let instances: Vec<String> = self.instances.iter().map(ToString::to_string).collect();
        let target = match self.is_checked_by_tcp {
            true => "TCP:8080",
            false => "HTTP:8080/health",
        };
        write!(
            toml,
            r#"
[admin]
listen = "127.0.0.1:0"

[[load_balancer]]
name = "web"
instances = {instances:?}
[load_balancer.health_check]
target = {target:?}
interval = "500ms"
timeout = "450ms"
unhealthy_threshold = 3
healthy_threshold = 2
[[load_balancer.lb_cookie_policy]]
name = "by-duration"
"#
        )
        .expect("a string takes everything");
        if let Some(seconds) = self.expiration_seconds {
            toml.push_str(&format!("expiration_seconds = {seconds}\n"));
        }
        let policy = match self.app_cookie {
            None => "by-duration",
            Some(cookie_name) => {
                toml.push_str(&format!(
                    "[[load_balancer.app_cookie_policy]]\nname = \"by-app\"\n\
                     cookie_name = {cookie_name:?}\n"
                ));
                "by-app"
            }
        };
        self.write_listeners(policy, &mut toml);
        toml.push_str(&self.sections.concat());
        toml.push_str("[load_balancer.attributes]\n");
        toml.push_str(&self.attributes.join("\n"));
        toml.push('\n');
        toml
    }

    /// Writes what is said of listeners, and of the backends behind them by instance port.
    fn write_listeners(&self, policy: &str, toml: &mut String) {
        for listener in &self.listeners {
            toml.push_str(&listener.to_toml(policy));
            toml.push_str(&self.listener_lines.join("\n"));
            toml.push('\n');
        }
        for (instance_port, lines) in &self.backend_policies {
            toml.push_str(&format!(
                "[[load_balancer.backend_policy]]\ninstance_port = {instance_port}\n{lines}\n"
            ));
        }
    }
}
