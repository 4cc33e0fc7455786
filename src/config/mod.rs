//! What an operator asked for, as typed values. If a [`Config`] exists, it is valid.
//!
//! This file holds the types, except for those of policies (`policy.rs`, `cookie.rs`), of TLS
//! (`tls.rs`, `negotiation.rs`, `client_auth.rs`), of access logs (`access_log.rs`), of affinity
//! (`affinity.rs`), of what a client may take (`bounds.rs`), of what a backend may (`overload.rs`)
//! and of credentials (`credential.rs`). How a file becomes one is read from `lower.rs` downwards,
//! how flags do in `flags.rs`, and how one becomes a file again in `write.rs`. Not here: anything
//! that changes while elbow runs (`state`). Invariant: no other module checks a range or a
//! reference again.

mod access_log;
mod affinity;
mod api;
mod attributes;
mod backend_policy;
mod bounds;
mod certificate;
mod client_auth;
mod cluster;
mod cookie;
mod cores;
mod credential;
mod duration;
mod flags;
mod header;
mod host;
mod instance;
mod listener;
mod load_balancer;
mod lower;
mod negotiation;
mod network;
mod overload;
mod policy;
mod problem;
mod profile;
mod read;
mod size;
mod sources;
mod ssl_policy;
mod summary;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod upgrades;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use access_log::{AccessLog, Bucket, Format, Logging, Sink};
pub use affinity::{Affinity, Failover, Fallback, UnderscoreEncoding};
pub use backend_policy::public_key;
pub use bounds::Bounds;
pub use client_auth::ClientAuth;
pub use cookie::{CookieTemplate, SameSite};
pub use credential::Credential;
pub use flags::Overrides;
pub use lower::{parse, parse_with_sources};
pub use negotiation::{CIPHERS, SslPolicy, Suite};
pub use overload::Overload;
pub use policy::{ApplicationPolicy, DurationPolicy, Refresh, Stickiness};
pub(crate) use problem::nearest;
pub use problem::{Mistake, Problem, Problems};
pub use sources::Sources;
pub use tls::{CertificateFiles, Tls};
pub use upgrades::Upgrades;

use crate::http::DesyncMode;
use crate::proxy_protocol::Version;

/// Everything in one configuration file, or made from the flags of `elbow run`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The process: cores, driver, where state lies.
    pub host: Host,
    /// The admin address.
    pub admin: Admin,
    /// What the ELB API needs to know of this host.
    pub api: Api,
    /// Where lines of the access log go.
    pub access_log: AccessLog,
    /// The cluster that this node is in; `None`: it is alone.
    pub cluster: Option<Cluster>,
    /// Backends by the ids that the file gives them, whether a load balancer uses them or not.
    pub instances: BTreeMap<String, Backend>,
    /// Certificates by the ARNs that the file gives them: at most 2,048 characters of printable
    /// ASCII that begin with `arn:`, and none that begins as [`CertificateFiles::file_arn`] does.
    pub certificates: BTreeMap<String, CertificateFiles>,
    /// The load balancers, in file order; names are unique.
    pub load_balancers: Vec<LoadBalancer>,
}

/// `[host]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Which CPUs get a shard.
    pub cores: Cores,
    /// Whether shard threads are pinned. Default true.
    pub pin: bool,
    /// Which I/O driver the shards use.
    pub driver: Driver,
    /// Where keys and what is known of backends live. Without it they last until restart.
    pub state_dir: Option<PathBuf>,
    /// How long exchanges in flight may run after SIGTERM. 0–3600 s, default 30 s.
    pub shutdown_timeout: Duration,
    /// How finely the age of sessions is told. 100 ms – 5 min, default 30 s. A session counts as
    /// alive for ten windows after its last request: in the sessions per backend, in the progress
    /// of a drain.
    pub session_window: Duration,
}

/// Which cores get a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cores {
    /// One shard per CPU in the process's affinity mask.
    Allowed,
    /// That many shards, on the first CPUs of the affinity mask, round and round.
    Count(NonZeroUsize),
    /// One shard on each of these CPUs; sorted, without repeats, not empty.
    List(Vec<usize>),
}

/// Which I/O driver the shards use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// io_uring as well as the kernel allows it, else epoll, with a warning.
    Auto,
    /// io_uring or refuse to start.
    Uring,
    /// epoll.
    Epoll,
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where the admin address listens; a loopback address unless there are credentials. Default
    /// `127.0.0.1:9090`. `None`, written `off`: nowhere.
    pub listen: Option<SocketAddr>,
    /// What it is called beside its IP address and `localhost`: DNS names in lower case, at most
    /// [`ADMIN_NAMES_MAX`](crate::limits::ADMIN_NAMES_MAX).
    pub names: Vec<String>,
    /// Who may ask it, in file order; ids are unique, and at most
    /// [`CREDENTIALS_MAX`](crate::limits::CREDENTIALS_MAX). None, the default: everybody.
    pub credentials: Vec<Credential>,
}

/// `[api]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where load balancers get an address of their own that the API makes. Default
    /// `127.1.0.0/16`; `0.0.0.0` or `::` alone is every address of the host. Of a larger network
    /// the first [`POOL_ADDRESSES_MAX`](crate::limits::POOL_ADDRESSES_MAX) addresses are used.
    pub address_pool: Network,
    /// What DNS names of load balancers end with, without a leading dot: at most 128 characters.
    /// `None`, the default: they are shown by their addresses.
    pub dns_suffix: Option<String>,
    /// The region that this host is in, whose load balancers those of the file are: 1–32 of
    /// `[a-z0-9-]`, no leading or trailing dash. Default `us-east-1`.
    pub region: String,
    /// The security groups, subnets and zones that there are, and the VPC of the subnets, by their
    /// ids; at most [`KNOWN_IDS_MAX`](crate::limits::KNOWN_IDS_MAX). `None`, the default: whatever
    /// a client names is there.
    pub known_ids: Option<BTreeSet<String>>,
}

/// `[cluster]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Where this node takes datagrams of the others; port 0 is one that the kernel chooses.
    pub listen: SocketAddr,
    /// Where they reach it: no unspecified or multicast address, and a port unless `listen` has
    /// none ([`Cluster::at`]). Default: `listen`.
    pub advertise: SocketAddr,
    /// What it is called, by which the others know it: 1–63 printable ASCII characters without `/`,
    /// not the same for two nodes. Default: `advertise` as text.
    pub node: String,
    /// Nodes that may be there already, each an address or a name with a port, resolved now and
    /// then; at most [`CLUSTER_SEEDS_MAX`](crate::limits::CLUSTER_SEEDS_MAX). It does no harm if
    /// this node is among them. Default: none, as for the first node.
    pub seeds: Vec<String>,
    /// The file with the secret that all nodes share, and perhaps an older one.
    pub secret_file: PathBuf,
}

/// One `[[load_balancer]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// 1–32 of `[A-Za-z0-9-]`, no leading or trailing dash (CLB.md §3.4). Those that the API has
    /// in another region than the host's begin with its name and a slash.
    pub name: String,
    /// Its backends, in file order; ids are unique. May be empty: every request gets 503.
    pub backends: Vec<Backend>,
    /// How its backends are checked.
    pub health_check: HealthCheck,
    /// Where it listens; none only where the API has left none.
    pub listeners: Vec<Listener>,
    /// What holds for backends by their instance port; at most one for each.
    pub backend_policies: Vec<BackendPolicy>,
    /// The rest.
    pub attributes: Attributes,
}

/// One backend of a load balancer. Its JSON is kept on disk (`control::journal`): keys do not
/// change.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    /// Its name: an instance id, or the address as written.
    pub id: String,
    /// Its address.
    pub address: IpAddr,
    /// A port that replaces the instance port of listeners and of the health check.
    pub port: Option<u16>,
    /// Its share of new sessions, as a ratio to the others'. 0–256, default 1; 0 takes none.
    pub weight: u32,
}

/// `[load_balancer.health_check]`, ranges and defaults of CLB.md §4.4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub target: Target,
    /// From the start of one check to the start of the next. 5–300 s, default 30. Written as text
    /// with a unit it may be as short as 50 ms, which is elbow's extension; so may `timeout`.
    pub interval: Duration,
    /// How long an answer may take. 2–60 s (as text from 50 ms), below the interval, default 5.
    pub timeout: Duration,
    /// Failures in a row that put a backend out of service. 2–10, default 2.
    pub unhealthy_threshold: u32,
    /// Successes in a row that bring it back. 2–10, default 10.
    pub healthy_threshold: u32,
}

/// What a health check asks, as in `HTTP:8080/ping`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `HTTP`, `HTTPS`, `TCP`, `SSL`.
    pub protocol: Protocol,
    /// 1–65535; replaced by a backend's own port.
    pub port: u16,
    /// For HTTP and HTTPS: starts with `/`, at most 1,024 printable ASCII characters and no
    /// space. Else empty.
    pub path: String,
}

/// The four protocols of CLB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 in clear.
    Http,
    /// HTTP/1.1 over TLS.
    Https,
    /// Bytes.
    Tcp,
    /// Bytes over TLS.
    Ssl,
}

impl Protocol {
    /// Whether requests are read: else bytes are passed on as they are.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    /// Whether TLS is on it.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Https | Self::Ssl)
    }
}

/// One `[[load_balancer.listener]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it accepts. Unique in the file, unless the port is 0.
    pub address: SocketAddr,
    /// The protocol on the client's side.
    pub protocol: Protocol,
    /// The protocol on the backend's side, of the same kind as the client's (CLB.md §3.4).
    pub instance_protocol: Protocol,
    /// The port on backends that have none of their own; also the scope of cookies.
    pub instance_port: u16,
    /// The stickiness policy in force, if any (at most one, CLB.md §2.1; none on TCP and SSL,
    ///
    pub stickiness: Option<Stickiness>,
    /// Clients reach this HTTP listener through a TLS terminator: the front end counts as HTTPS
    /// for `X-Forwarded-Proto` and for the second cookie (CLB.md §2.3).
    pub behind_tls: bool,
    /// Certificates and policy, if and only if [`Protocol::is_secure`].
    pub tls: Option<Tls>,
    /// A connection from here begins with a PROXY header, which says whose it is; from elsewhere
    /// none is believed. At most [`PROXY_NETWORKS_MAX`](crate::limits::PROXY_NETWORKS_MAX).
    pub proxy_networks: Vec<Network>,
}

/// An IP network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Its first address, never IPv4 in the form of IPv6.
    address: IpAddr,
    /// How many bits of it are those of every address in the network: 0–32, 0–128.
    prefix: u8,
}

/// One `[[load_balancer.backend_policy]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendPolicy {
    /// The instance port of the listeners that it holds for. A backend's own port, where it has
    /// one, changes nothing about that.
    pub instance_port: u16,
    /// Each connection to a backend begins with a PROXY header of this form (CLB's
    /// `ProxyProtocolPolicyType`, which is version 1) and serves one exchange.
    pub proxy_protocol: Option<Version>,
    /// Whom listeners that speak TLS to their backends take for one.
    pub trust: Trust,
    /// The name that such backends are asked for by (SNI) and, where an authority vouches for
    /// them, have to have; `None`: none, and their address. A DNS name.
    pub server_name: Option<String>,
}

/// Who counts as a backend when TLS is spoken to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// Whoever answers, as CLB has it by default (CLB.md §4.1).
    #[default]
    Anybody,
    /// Who has one of these public keys, each as DER (`SubjectPublicKeyInfo`, RFC 5280 §4.1), not
    /// empty: CLB's `BackendServerAuthenticationPolicyType`.
    Keys(Vec<Vec<u8>>),
    /// Whose certificate is for the name or address and issued, perhaps through others, by one in
    /// this PEM file.
    Authorities(PathBuf),
}

/// `[load_balancer.attributes]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// How long either side may be silent. 1–4000 s (as text from 50 ms), default 60 (CLB.md §4.3).
    pub idle_timeout: Duration,
    /// The name of the second cookie where the front end is HTTPS. Default `AWSALBCORS`.
    pub cors_cookie_name: CorsCookieName,
    /// How long exchanges in flight may run on a backend that leaves. 1–3600 s (as text from
    /// 50 ms), 300 s if only switched on (CLB.md §4.5). `None`, the default of CLB's API: they are
    /// cut off.
    pub connection_draining: Option<Duration>,
    /// What a backend that leaves still takes. Default: nothing new.
    pub drain_mode: DrainMode,
    /// What clients of HTTP listeners may change to. Default: `websocket`.
    pub upgrades: Upgrades,
    /// What is done about requests that are not as RFC 9112 has them. Default: defensive
    /// (CLB.md §4.10).
    pub desync_mode: DesyncMode,
    /// The field by which a request is known to all who see it: where a client sends none, elbow
    /// makes one up. 1–128 characters of a token, and no field that means something to elbow.
    /// `None`, the default: there is none.
    pub request_id: Option<String>,
    /// Whether its requests and connections are in the access log.
    pub access_log: Logging,
    /// What one client may take.
    pub bounds: Bounds,
    /// How much a backend takes at once.
    pub overload: Overload,
    /// How sessions are kept together and new ones spread.
    pub affinity: Affinity,
}

/// What a backend that leaves still takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrainMode {
    /// No request, whether of a session or not (CLB.md §4.5).
    Connections {
        /// How long exchanges in flight may run; `None`: as `connection_draining` says. 1–3600 s.
        timeout: Option<Duration>,
    },
    /// The requests of the sessions that it has, until they end or `deadline` is over.
    Sessions {
        /// From the order to leave. 1 s – 7 days (as text from 50 ms), default 1 h.
        deadline: Duration,
    },
}

/// The name of the second cookie (CLB.md §2.2). Either is accepted on input, whatever is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorsCookieName {
    /// `AWSALBCORS`, as the AWS page on sticky sessions names it.
    AwsAlbCors,
    /// `AWSELBCORS`, as live Classic Load Balancers emit it.
    AwsElbCors,
    /// Both, in this order: `AWSELBCORS`, `AWSALBCORS`.
    Both,
}
