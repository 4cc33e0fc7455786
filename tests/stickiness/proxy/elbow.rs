//! elbow: the binary of this build, with two shards and a state directory.

use std::env;
use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::Site;
use crate::case::Policy;
use crate::feature::Feature;
use crate::harness::{Elbow, Response};

/// All but the clock, which needs a program.
pub(super) const FEATURES: [Feature; 10] = [
    Feature::DurationCookie,
    Feature::ApplicationCookie,
    Feature::Checks,
    Feature::Form,
    Feature::Seal,
    Feature::Ports,
    Feature::Settings,
    Feature::Admin,
    Feature::Drain,
    Feature::Weights,
];

/// Runs a program with another wall clock.
const FAKETIME: &str = "faketime";

/// The driver that all tests use; unset: the one that elbow takes by itself.
const DRIVER_VARIABLE: &str = "ELBOW_TEST_DRIVER";

/// elbow, serving.
pub(crate) struct Running(Elbow);

/// Whether there is a program to set the clock with.
pub(super) fn has_faketime() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(FAKETIME).is_file())
}

impl Running {
    pub(super) fn start(site: &Site<'_>) -> Self {
        let file = site.directory.join("elbow.toml");
        fs::write(&file, to_toml(site)).expect("the directory is writable");
        let elbow = env!("CARGO_BIN_EXE_elbow");
        let mut command = match site.setup.clock {
            0 => Command::new(elbow),
            offset => {
                let mut command = Command::new(FAKETIME);
                command.args(["-f", &format!("{offset:+}s"), elbow]);
                // Timers go on as they do.
                command.env("DONT_FAKE_MONOTONIC", "1");
                command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
                command
            }
        };
        command.args(["run", "--config"]).arg(file);
        Self(Elbow::spawn_by(command))
    }

    pub(super) fn listeners(&self) -> &[SocketAddr] {
        &self.0.listeners
    }

    pub(super) fn is_in_service(&self, backend: &str) -> Option<bool> {
        let text = self.call("GET", "/v1/backends", None).body_text();
        let rows: serde_json::Value = serde_json::from_str(&text).expect("/v1/backends is JSON");
        let mut rows = rows.as_array().expect("an array").iter();
        Some(rows.any(|row| row["backend"] == backend && row["state"] == "InService"))
    }

    pub(super) fn call(&self, method: &str, path: &str, json: Option<&str>) -> Response {
        super::ask(self.0.admin, method, path, json)
    }

    pub(super) fn drain(
        &self,
        backend: &str,
        mode: &str,
        deadline_seconds: u32,
    ) -> Result<(), String> {
        let body = serde_json::json!({
            "load_balancer": "web",
            "instance": backend,
            "mode": mode,
            "deadline_seconds": deadline_seconds,
        });
        accepted(&self.call("POST", "/v1/drains", Some(&body.to_string())))
    }

    pub(super) fn undrain(&self, backend: &str) -> Result<(), String> {
        let path = format!("/v1/drains/web/{backend}");
        accepted(&self.call("DELETE", &path, None))
    }
}

impl Drop for Running {
    /// `faketime` stands between, and does not end what it started when it is killed itself; it
    /// does end, and tidies up, after its child.
    fn drop(&mut self) {
        let id = self.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        let ids = children.split_whitespace().filter_map(|id| id.parse().ok());
        for child in ids.filter_map(Pid::from_raw) {
            // It may have ended already.
            _ = kill_process(child, Signal::KILL);
            self.0.wait();
        }
    }
}

/// Takes any 2xx.
fn accepted(response: &Response) -> Result<(), String> {
    if matches!(response.status(), 200..300) {
        return Ok(());
    }
    Err(format!(
        "the admin address refused:\n{}{}",
        response.head.text,
        response.body_text()
    ))
}

fn to_toml(site: &Site<'_>) -> String {
    let setup = site.setup;
    let mut toml = format!(
        "[host]\naddress = \"127.0.0.1\"\nshards = {}\nsession_window = \"100ms\"\nstate_dir = {:?}\n",
        setup.shards,
        site.directory.join("state"),
    );
    if let Ok(driver) = env::var(DRIVER_VARIABLE) {
        toml.push_str(&format!("driver = {driver:?}\n"));
    }
    toml.push_str("[admin]\nlisten = \"127.0.0.1:0\"\n");
    for name in &setup.backends {
        let address = site.addresses[name];
        let (ip, port) = (address.ip(), address.port());
        write!(
            toml,
            "[[instance]]\nid = {name:?}\naddress = \"{ip}\"\nport = {port}\n"
        )
        .expect("a string takes everything");
        if let Some(weight) = setup.weights.get(name) {
            toml.push_str(&format!("weight = {weight}\n"));
        }
    }
    toml.push_str(&format!(
        "[[load_balancer]]\nname = \"web\"\ninstances = {:?}\n\
         [load_balancer.health_check]\ntarget = \"HTTP:8080/health\"\n\
         interval = \"500ms\"\ntimeout = \"450ms\"\n\
         unhealthy_threshold = 3\nhealthy_threshold = 2\n",
        setup.backends
    ));
    toml.push_str(&policy(&setup.policy));
    let is_sticky = !matches!(setup.policy, Policy::None);
    for listener in &setup.listeners {
        let protocol = if listener.tcp { "TCP" } else { "HTTP" };
        let policies = if is_sticky && listener.sticky && !listener.tcp {
            "[\"sticky\"]"
        } else {
            "[]"
        };
        toml.push_str(&format!(
            "[[load_balancer.listener]]\nprotocol = {protocol:?}\nport = 0\n\
             instance_protocol = {protocol:?}\ninstance_port = {}\nbehind_tls = {}\n\
             policies = {policies}\n",
            listener.instance_port, listener.behind_tls
        ));
    }
    let attributes = &setup.attributes;
    toml.push_str(&format!("[load_balancer.attributes]\n{attributes}\n"));
    toml
}

fn policy(policy: &Policy) -> String {
    match policy {
        Policy::None => String::new(),
        Policy::Duration { seconds, settings } => {
            let period = seconds.map(|seconds| format!("expiration_seconds = {seconds}\n"));
            format!(
                "[[load_balancer.lb_cookie_policy]]\nname = \"sticky\"\n{}{settings}",
                period.unwrap_or_default()
            )
        }
        Policy::Application { cookie, settings } => format!(
            "[[load_balancer.app_cookie_policy]]\nname = \"sticky\"\ncookie_name = {cookie:?}\n\
             {settings}"
        ),
    }
}
