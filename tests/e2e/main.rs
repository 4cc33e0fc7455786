//! The product from outside: the real binary between raw sockets and backends under control.
//!
//! Each test starts its own elbow on ports that the kernel chooses and knows nothing of what is
//! inside. Waiting is always for an event or a condition with a deadline (`harness::eventually`).
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the clock to have deadlines, and share records between ordinary threads"
)]

#[path = "../cases/mod.rs"]
mod cases;
mod harness;

mod access_log;
mod admin_credentials;
mod admin_hostile;
mod asking;
mod bodies;
mod bounds;
mod client_certificates;
mod commands;
mod cookies;
mod desync;
mod drain;
mod explain;
mod failover;
mod failures;
mod faults;
mod framing;
mod headers;
mod https;
mod instance_drain;
mod overload;
mod proxy_protocol;
mod reload;
mod replies;
mod restart;
mod secure_backends;
mod ssl;
mod stalls;
mod steering;
mod sticky;
mod tcp;
mod tcp_bulk;
mod tickets;
mod top;
mod upgrade;
mod v1;
