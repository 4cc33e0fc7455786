//! Several machines on one: nodes of elbow, backends and clients, each in a network namespace of
//! its own, on a bridge that nothing else is on.
//!
//! Needs root, for whoever may not make namespaces is left out, loudly; in CI that is a failure.
//! Invariant: nothing of the host's own network is touched, and nothing is left when the test ends.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{After, Backend, Wire, eventually, reply};
use crate::node::{GOSSIP, Node, Plan};
use crate::space::Space;

/// The network of the lab: nodes are at `.1` and so on.
pub(crate) const NETWORK: &str = "10.77.0";

/// Where all backends are, each at a port of its own.
pub(crate) const BACKENDS: &str = "10.77.0.100";

/// Where clients are.
pub(crate) const CLIENTS: &str = "10.77.0.200";

/// The port of the first backend.
const FIRST_PORT: usize = 9001;

/// How soon after a fault is over all nodes are of one mind.
pub(crate) const HEALING: Duration = Duration::from_secs(5);

/// The lab. The thread that has it built is at the clients' place from then on.
pub(crate) struct Lab {
    pub(crate) nodes: Vec<Node>,
    pub(crate) backends: Vec<Backend>,
    backend_space: Space,
    _switch: Space,
    _clients: Space,
}

impl Lab {
    /// Builds it, starts all nodes, and waits until each has all backends in service. `None`: there
    /// are no namespaces to be had here.
    pub(crate) fn start(plan: &Plan) -> Option<Self> {
        let mut lab = Self::build(plan)?;
        let addresses: Vec<String> = lab.backends.iter().map(|b| b.address.to_string()).collect();
        for node in &lab.nodes {
            node.configure(plan, &addresses);
            if plan.is_apart {
                node.lose(&format!("udp dport {GOSSIP} drop"));
            }
        }
        thread::scope(|scope| {
            for node in &mut lab.nodes {
                scope.spawn(|| node.start());
            }
        });
        for node in &lab.nodes {
            eventually("all backends are in service", || {
                node.sum("elbow_backend_in_service") == lab.backends.len() as u64
            });
        }
        (0..plan.nodes).for_each(|node| lab.expect_healthy(node));
        if plan.is_clustered && !plan.is_apart {
            lab.expect_agreement("after the start");
        }
        Some(lab)
    }

    /// Everything but what runs on the nodes.
    fn build(plan: &Plan) -> Option<Self> {
        let Some(switch) = Space::new() else {
            let told = "LEFT OUT: no network namespaces, which root can make";
            assert!(env::var("CI").as_deref() != Ok("true"), "{told}");
            say(told);
            return None;
        };
        switch.ip("link add bridge type bridge\nlink set bridge up\nlink set lo up\n");
        let join = |address: &str| {
            let space = Space::new().expect("there was one already");
            let port = format!("port{}", space.id());
            let id = space.id();
            switch.ip(&format!(
                "link add {port} type veth peer name eth0 netns {id}\n\
                 link set {port} master bridge up\n"
            ));
            space.ip(&format!(
                "addr add {address}/24 dev eth0\nlink set eth0 up\nlink set lo up\n"
            ));
            space
        };
        let nodes = (1..=plan.nodes).map(|number| Node::new(number, join(&address_of(number))));
        let mut nodes: Vec<Node> = nodes.collect();
        if let (Some(clock), Some(last)) = (&plan.clock, nodes.last_mut()) {
            last.live_by(clock);
        }
        let backend_space = join(BACKENDS);
        let clients = join(CLIENTS);
        clients.move_in();
        let backends = (0..plan.backends).map(|index| {
            let name = format!("b{index}");
            let address = format!("{BACKENDS}:{}", FIRST_PORT + index);
            backend_space.within(|| application(&name, &address))
        });
        Some(Self {
            nodes,
            backends: backends.collect(),
            backend_space,
            _switch: switch,
            _clients: clients,
        })
    }

    /// Lets a backend listen again after [`Backend::stop`].
    pub(crate) fn revive(&mut self, backend: usize) {
        let backend = &mut self.backends[backend];
        self.backend_space.within(|| backend.restart());
    }

    /// A connection to that node, at this port.
    pub(crate) fn connect(&self, node: usize, port: u16) -> Wire {
        self.nodes[node].connect(port)
    }

    /// Splits the nodes: those up to `first` and the others have nothing from each other.
    pub(crate) fn split(&self, first: usize) {
        let (one, other) = self.nodes.split_at(first);
        for (side, beyond) in [(one, other), (other, one)] {
            let beyond: Vec<&str> = beyond.iter().map(|node| &*node.address).collect();
            let rule = format!("ip saddr {{ {} }} drop", beyond.join(", "));
            side.iter().for_each(|node| node.lose(&rule));
        }
    }

    /// Puts a backend out of that node's reach, which is refused its connections.
    pub(crate) fn hide(&self, node: usize, backend: usize) {
        let port = self.backends[backend].address.port();
        let rule = format!("ip daddr {BACKENDS} tcp dport {port} reject with tcp reset");
        self.nodes[node].lose_sent(&rule);
    }

    /// Ends all faults of the network.
    pub(crate) fn heal(&self) {
        self.nodes.iter().for_each(Node::heal);
    }

    /// What all nodes say of all lives, if they are of one mind.
    pub(crate) fn agreed(&self) -> Option<Lives> {
        let mut views = self.nodes.iter().map(Node::lives);
        let first = views.next().expect("there are nodes");
        views.all(|view| view == first).then_some(first)
    }

    /// Waits until the nodes are of one mind, [`HEALING`] at most; the figure is printed.
    pub(crate) fn expect_agreement(&self, when: &str) -> Lives {
        let mut lives = None;
        let took = within(HEALING, when, || {
            lives = self.agreed();
            lives.is_some()
        });
        say(&format!("all nodes agree {when}: in {took:?}"));
        lives.expect("the condition held")
    }

    /// The number of a backend's last life, and whether it is over, as that node has it.
    pub(crate) fn life(&self, node: usize, backend: usize) -> (u64, bool) {
        let mut lives = self.nodes[node].lives();
        let lives = lives.remove(&self.backends[backend].address.to_string());
        let lives = lives.expect("all nodes know it");
        let last = lives.as_array().and_then(|lives| lives.last());
        let last = last.expect("it was in service");
        let number = last["number"].as_u64().expect("a number");
        (number, !last["died_ms"].is_null())
    }

    /// Waits until these nodes have closed the life of a backend.
    pub(crate) fn expect_closed(&self, nodes: &[usize], backend: usize) {
        for node in nodes {
            eventually("the life is closed", || self.life(*node, backend).1);
        }
    }

    /// Waits until a node says that it is ready for clients.
    pub(crate) fn expect_healthy(&self, node: usize) {
        eventually("it is healthy", || self.nodes[node].health() == 200);
    }

    /// Waits until a node sees so many nodes that are there, itself included.
    pub(crate) fn expect_nodes(&self, node: usize, count: usize) {
        eventually("it sees so many nodes", || {
            self.nodes[node].nodes() == count
        });
    }

    /// Waits until each of these nodes has so many backends in service.
    pub(crate) fn expect_in_service(&self, nodes: &[usize], count: usize) {
        for index in nodes {
            eventually("so many backends are in service", || {
                self.nodes[*index].sum("elbow_backend_in_service") == count as u64
            });
        }
    }
}

/// The lives of each instance as `/v1/view` has them, by its id.
pub(crate) type Lives = BTreeMap<String, Value>;

/// The address of a node, which are counted from 1.
pub(crate) fn address_of(node: usize) -> String {
    format!("{NETWORK}.{node}")
}

/// Answers with its name, and gives a cookie `app` to whoever has none.
fn application(name: &str, address: &str) -> Backend {
    let name = name.to_owned();
    Backend::at(address, move |request, wire| {
        let cookies = request.head.fields("Cookie").join("; ");
        if cookies.split("; ").any(|pair| pair.starts_with("app=")) {
            return reply(wire, &name);
        }
        let length = name.len();
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: app=1; Path=/\r\nContent-Length: {length}\r\n\r\n{name}"
        ))?;
        Ok(After::Keep)
    })
}

/// Waits until `condition` holds, which must be within `limit`; how long it took.
pub(crate) fn within(limit: Duration, what: &str, condition: impl FnMut() -> bool) -> Duration {
    let begin = Instant::now();
    eventually(what, condition);
    let took = begin.elapsed();
    assert!(took <= limit, "{what}: only after {took:?}");
    took
}

/// Says something past the test runner, which shows only what failed.
pub(crate) fn say(text: &str) {
    let test = thread::current().name().unwrap_or_default().to_owned();
    drop(writeln!(io::stderr(), "{test}: {text}"));
}
