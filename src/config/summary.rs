//! What a configuration says, in a few lines for a person: the answer of `elbow check`.

use std::fmt;

use super::duration::written;
use super::{Backend, Config, HealthCheck, Listener, LoadBalancer, Stickiness};

/// How many backends of one load balancer are named; the rest is counted.
const BACKENDS_NAMED_MAX: usize = 8;

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pinned = if self.host.pin {
            "pinned"
        } else {
            "not pinned"
        };
        writeln!(f, "shards on {}, {pinned}", self.host.cores)?;
        match self.admin.listen {
            Some(address) => writeln!(f, "admin address {address}")?,
            None => writeln!(f, "no admin address")?,
        }
        match &self.host.state_dir {
            Some(directory) => write!(f, "cookie keys in {}", directory.display())?,
            None => write!(f, "cookie keys last until restart (no state_dir)")?,
        }
        self.load_balancers
            .iter()
            .try_for_each(|balancer| write!(f, "\n{balancer}"))
    }
}

impl fmt::Display for LoadBalancer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load balancer {}", self.name)?;
        for listener in &self.listeners {
            write!(f, "\n  {listener}")?;
        }
        write!(f, "\n  backends:")?;
        if self.backends.is_empty() {
            write!(f, " none, so every request gets 503")?;
        }
        for backend in self.backends.iter().take(BACKENDS_NAMED_MAX) {
            write!(f, " {backend}")?;
        }
        match self.backends.len().checked_sub(BACKENDS_NAMED_MAX) {
            None | Some(0) => {}
            Some(more) => write!(f, " and {more} more")?,
        }
        write!(f, "\n  {}", self.health_check)
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            protocol,
            address,
            instance_protocol,
            instance_port,
            ..
        } = self;
        write!(
            f,
            "{protocol} {address} to {instance_protocol} {instance_port}"
        )?;
        if self.behind_tls {
            write!(f, ", behind TLS")?;
        }
        match &self.stickiness {
            None => write!(f, ", not sticky"),
            Some(stickiness) => write!(f, ", {stickiness}"),
        }
    }
}

impl fmt::Display for Stickiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration(policy) => {
                match policy.expiration_seconds {
                    None => write!(f, "sticky for the browser session")?,
                    Some(seconds) => write!(f, "sticky for {seconds} s")?,
                }
                write!(f, " ({})", policy.name)
            }
            Self::Application(policy) => {
                write!(
                    f,
                    "sticky by the cookie {} ({})",
                    policy.cookie_name, policy.name
                )
            }
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = match self.port {
            Some(port) => std::net::SocketAddr::new(self.address, port).to_string(),
            None => self.address.to_string(),
        };
        if address == self.id {
            f.write_str(&self.id)
        } else {
            write!(f, "{}={address}", self.id)
        }
    }
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interval, timeout) = (written(self.interval), written(self.timeout));
        let Self {
            target,
            unhealthy_threshold,
            healthy_threshold,
            ..
        } = self;
        write!(
            f,
            "checked by {target} every {interval}, timeout {timeout}, \
             out after {unhealthy_threshold} failures, back after {healthy_threshold} successes"
        )
    }
}
