//! How large a world is and what happens in it, drawn from its seed.

use std::num::NonZeroU32;

use elbow::config::{self, ApplicationPolicy, Config, DurationPolicy, Stickiness};
use fastrand::Rng;

/// The application's own cookie.
pub(crate) const APP_COOKIE: &str = "app";

/// The name of the load balancer.
pub(crate) const LOAD_BALANCER: &str = "web";

/// How often each backend is checked, in milliseconds.
pub(crate) const CHECK_INTERVAL_MS: u64 = 1000;

/// How long a check waits for a backend that hangs.
pub(crate) const CHECK_TIMEOUT_MS: u64 = 400;

/// How long requests wait for a backend that hangs.
pub(crate) const ANSWER_TIMEOUT_MS: u64 = 3000;

/// In a calm world: from one change of a backend to the next. Longer than a failure takes to be
/// noticed and told, plus the slowest request and the latest cookie.
pub(crate) const CALM_MS: u64 = 12_000;

/// A world's measures.
pub(crate) struct Scale {
    /// Failures never overlap, and nobody asks for an exemption.
    pub(crate) is_calm: bool,
    pub(crate) backends: usize,
    pub(crate) shards: usize,
    pub(crate) clients: usize,
    /// When the last request is sent and the last backend fails.
    pub(crate) until_ms: u64,
    /// The longest pause of a client between two rounds of requests.
    pub(crate) think_ms: u64,
    /// The longest that a snapshot takes to a shard.
    pub(crate) delivery_ms: u64,
    /// The longest pause between two changes of backends, in a world that is not calm.
    pub(crate) trouble_ms: u64,
    pub(crate) unhealthy_threshold: u32,
}

impl Scale {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let is_calm = rng.u8(..3) == 0;
        Self {
            is_calm,
            backends: rng.usize(if is_calm { 3..=6 } else { 2..=6 }),
            shards: rng.usize(2..=4),
            clients: rng.usize(3..=12),
            until_ms: if is_calm { 5 * CALM_MS } else { 15_000 },
            think_ms: if is_calm { 1200 } else { 600 },
            delivery_ms: *rng
                .choice(&[1, 20, 300, 1500])
                .expect("there are four of them"),
            trouble_ms: *rng
                .choice(&[400, 1500, 5000])
                .expect("there are three of them"),
            unhealthy_threshold: rng.u32(2..=3),
        }
    }

    /// One load balancer with two listeners: by duration, by the application's cookie.
    pub(crate) fn config(&self) -> Config {
        let instances: Vec<String> = (1..=self.backends)
            .map(|n| format!("10.0.0.{n}:80"))
            .collect();
        let unhealthy_threshold = self.unhealthy_threshold;
        let text = format!(
            r#"
[[load_balancer]]
name = "{LOAD_BALANCER}"
instances = {instances:?}
[load_balancer.health_check]
target = "HTTP:80/ping"
interval = "{CHECK_INTERVAL_MS}ms"
timeout = "{CHECK_TIMEOUT_MS}ms"
unhealthy_threshold = {unhealthy_threshold}
healthy_threshold = 2
[[load_balancer.listener]]
protocol = "HTTP"
port = 8080
instance_port = 8080
[[load_balancer.listener]]
protocol = "HTTP"
port = 8081
instance_port = 8081
[load_balancer.attributes]
connection_draining = 1
"#
        );
        let mut config = config::parse(&text, "simulation").expect("the text is ours");
        let policies = [
            Stickiness::Duration(DurationPolicy::new("d", NonZeroU32::new(60))),
            Stickiness::Application(ApplicationPolicy::new("a", APP_COOKIE)),
        ];
        let listeners = &mut config.load_balancers[0].listeners;
        for (listener, policy) in listeners.iter_mut().zip(policies) {
            listener.stickiness = Some(policy);
        }
        config
    }
}
