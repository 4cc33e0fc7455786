//! One node: elbow in a namespace of its own, with its configuration, its faults and its clock.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Clock, Directory, Elbow, Wire, get, sum_of};
use crate::lab::{Lives, address_of};
use crate::space::Space;

/// The port of gossip.
pub(crate) const GOSSIP: u16 = 7946;

/// The port of the listener whose policy is one of duration.
pub(crate) const BY_DURATION: u16 = 80;

/// The port of the listener whose policy follows the cookie `app`.
pub(crate) const BY_APP: u16 = 81;

/// The metric of datagrams that were refused.
pub(crate) const REFUSED: &str = "elbow_gossip_refused_total";

/// The metric of bytes sent to other nodes.
pub(crate) const SENT: &str = "elbow_gossip_bytes_sent_total";

/// What a lab has, and how its nodes are configured.
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    pub(crate) backends: usize,
    /// Between two health checks; two in a row tell.
    pub(crate) interval: &'static str,
    /// Each has a section `[cluster]`.
    pub(crate) is_clustered: bool,
    /// No node gets a datagram of another.
    pub(crate) is_apart: bool,
    /// Where nodes look for others beside each other.
    pub(crate) more_seeds: Vec<String>,
    /// What the last node lives by.
    pub(crate) clock: Option<Arc<Clock>>,
}

impl Plan {
    /// So many nodes before so many backends.
    pub(crate) fn new(nodes: usize, backends: usize) -> Self {
        Self {
            nodes,
            backends,
            interval: "1s",
            is_clustered: true,
            is_apart: false,
            more_seeds: Vec::new(),
            clock: None,
        }
    }

    fn to_toml(&self, node: &Node, backends: &[String]) -> String {
        let Self { interval, .. } = self;
        let directory = node.directory.path();
        let state = directory.join("state");
        let secret = directory.join("secret");
        let gossip = |address: String| format!("{address}:{GOSSIP}");
        let mut seeds: Vec<String> = (1..=self.nodes).map(|n| gossip(address_of(n))).collect();
        seeds.extend_from_slice(&self.more_seeds);
        let listen = gossip(node.address.clone());
        let cluster = match self.is_clustered {
            true => format!(
                "[cluster]\nlisten = {listen:?}\nseeds = {seeds:?}\nsecret_file = {secret:?}\n"
            ),
            false => String::new(),
        };
        let listener = |port: u16, policy: &str| {
            format!(
                "[[load_balancer.listener]]\nprotocol = \"HTTP\"\nport = {port}\n\
                 instance_protocol = \"HTTP\"\ninstance_port = 8080\npolicies = [{policy:?}]\n"
            )
        };
        let listeners = listener(BY_DURATION, "by-duration") + &listener(BY_APP, "by-app");
        format!(
            r#"[host]
shards = 1
pin = false
state_dir = {state:?}
[admin]
listen = "127.0.0.1:9090"
[api]
address_pool = "0.0.0.0"
{cluster}
[[load_balancer]]
name = "web"
instances = {backends:?}
[load_balancer.health_check]
target = "HTTP:8080/health"
interval = {interval:?}
timeout = "800ms"
unhealthy_threshold = 2
healthy_threshold = 2
[[load_balancer.lb_cookie_policy]]
name = "by-duration"
expiration_seconds = 3600
[[load_balancer.app_cookie_policy]]
name = "by-app"
cookie_name = "app"
{listeners}"#
        )
    }
}

/// The secret of all nodes of a lab.
pub(crate) const SECRET: &str = "the-secret-of-the-lab";

/// A node, running or not.
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) space: Space,
    directory: Directory,
    clock: Option<Arc<Clock>>,
    elbow: Option<Elbow>,
}

impl Node {
    pub(crate) fn new(number: usize, space: Space) -> Self {
        Self {
            address: address_of(number),
            space,
            directory: Directory::new(),
            clock: None,
            elbow: None,
        }
    }

    /// Writes its configuration and the secret.
    pub(crate) fn configure(&self, plan: &Plan, backends: &[String]) {
        self.directory
            .write("elbow.toml", &plan.to_toml(self, backends));
        self.share(SECRET);
    }

    /// Gives it this secret, which it reads when it starts.
    pub(crate) fn share(&self, secret: &str) {
        let file = self.directory.write("secret", secret);
        let only_owner = fs::Permissions::from_mode(0o600);
        fs::set_permissions(file, only_owner).expect("it is ours");
    }

    /// Has it live by that clock once it is started.
    pub(crate) fn live_by(&mut self, clock: &Arc<Clock>) {
        self.clock = Some(Arc::clone(clock));
    }

    /// Starts it and waits until it serves.
    pub(crate) fn start(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_elbow"));
        command
            .args(["run", "--config"])
            .arg(self.directory.path().join("elbow.toml"));
        if let Some(clock) = &self.clock {
            clock.rule(&mut command);
        }
        self.elbow = Some(self.space.within(|| Elbow::spawn_by(command)));
    }

    /// Ends it by SIGKILL.
    pub(crate) fn kill(&mut self) {
        let elbow = self.elbow.take().expect("it runs");
        if self.clock.is_some() {
            Clock::clean_up(elbow.id());
        }
    }

    /// Ends it by SIGTERM and waits until it is gone.
    pub(crate) fn leave(&mut self) {
        let mut elbow = self.elbow.take().expect("it runs");
        elbow.signal(Signal::TERM);
        assert!(elbow.wait().success(), "{}", elbow.log());
    }

    pub(crate) fn elbow(&self) -> &Elbow {
        self.elbow.as_ref().expect("it runs")
    }

    /// A connection to one of its listeners.
    pub(crate) fn connect(&self, port: u16) -> Wire {
        let address = format!("{}:{port}", self.address);
        Wire::connect(address.parse().expect("an address"))
    }

    /// The text of its /metrics.
    pub(crate) fn metrics(&self) -> String {
        self.space.within(|| self.elbow().metrics())
    }

    /// The sum of one of its metrics over all labels.
    pub(crate) fn sum(&self, name: &str) -> u64 {
        sum_of(&self.metrics(), name)
    }

    /// How many nodes there are as its log has it, itself included.
    pub(crate) fn nodes(&self) -> usize {
        let log = self.elbow().log();
        let count = |text: &str| log.matches(text).count();
        let gone = count("another node does not answer any more") + count("another node has left");
        1 + count("another node is there") - gone
    }

    /// The status of its /healthz.
    pub(crate) fn health(&self) -> u16 {
        let request = get("/healthz", &["Connection: close"]);
        let ask = || Wire::connect(self.elbow().admin).ask(&request).status();
        self.space.within(ask)
    }

    /// Makes a change by its ELB API, which must be taken.
    pub(crate) fn change(&self, form: &str) {
        self.space.within(|| self.elbow().change(form));
    }

    /// The names of its load balancers.
    pub(crate) fn load_balancers(&self) -> Vec<String> {
        let list = || self.elbow().admin("GET", "/v1/load-balancers", "");
        let (_, list) = self.space.within(list);
        let list = list.as_array().expect("a list").iter();
        let names = list.map(|balancer| balancer["name"].as_str().expect("text").to_owned());
        names.collect()
    }

    /// The lives that it knows of.
    pub(crate) fn lives(&self) -> Lives {
        let target = "/v1/view?load_balancer=web";
        let (status, mut view) = self.space.within(|| self.elbow().admin("GET", target, ""));
        assert_eq!(status, 200, "{view}");
        let Value::Array(instances) = view["instances"].take() else {
            panic!("no instances: {view}");
        };
        let lives = instances.into_iter().map(|mut instance| {
            let name = ["instance", "hash"]
                .iter()
                .find_map(|key| instance[key].as_str());
            let name = name.expect("text").to_owned();
            (name, instance["lives"].take())
        });
        lives.collect()
    }

    /// Has it lose what this rule of nftables drops of what comes in, beside what it loses already.
    pub(crate) fn lose(&self, rule: &str) {
        self.filter("in", "input", rule);
    }

    /// As [`Node::lose`], of what goes out.
    pub(crate) fn lose_sent(&self, rule: &str) {
        self.filter("out", "output", rule);
    }

    fn filter(&self, chain: &str, hook: &str, rule: &str) {
        let script = format!(
            "table inet faults {{\nchain {chain} {{\ntype filter hook {hook} priority 0\n{rule}\n}}\n}}\n"
        );
        self.space.run("nft", &["-f", "-"], &script);
    }

    /// Ends the faults of its network.
    pub(crate) fn heal(&self) {
        let script = "table inet faults\ndelete table inet faults\n";
        self.space.run("nft", &["-f", "-"], script);
    }
}

impl Node {
    /// Has its gossip counted, as the network has it: from 0 on, headers included.
    pub(crate) fn count_gossip(&self) {
        let script = format!(
            "table inet counts {{\nchain out {{\ntype filter hook output priority 10\n\
             udp dport {GOSSIP} counter\n}}\n}}\n"
        );
        self.space.run("nft", &["-f", "-"], &script);
    }

    /// The bytes of gossip that it has sent since they are counted.
    pub(crate) fn gossip_bytes(&self) -> u64 {
        let table = self
            .space
            .run("nft", &["list", "table", "inet", "counts"], "");
        let mut words = table.split_whitespace().skip_while(|word| *word != "bytes");
        let bytes = words.nth(1).and_then(|digits| digits.parse().ok());
        bytes.expect("nft prints what is counted")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.elbow.is_some() {
            self.kill();
        }
    }
}
