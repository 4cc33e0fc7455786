//! The bounds of what nodes of a cluster hear, keep and send, and how long they wait.
//!
//! Part of the one list; the rest is in `limits.rs`.

use std::time::Duration;

/// Nodes of a cluster that check one backend, where there are more: the load of checks is the same
/// for any number of nodes, and one of them alone cannot be a majority.
pub const WITNESSES: usize = 3;

/// Nodes that tell a backend's chronicle to those that come, beside those that wrote it: one may
/// go, and with all of them telling, memory and traffic would grow with the square of their number.
pub const TELLERS: usize = 2;

/// The largest value that a node is heard to tell of one backend: a full chronicle has 4 KiB, a
/// sketch of many sessions 9.
pub const SAYING_BYTES_MAX: usize = 12 * 1024;

/// Nodes of a cluster that are heard, this one aside. Who comes beyond them is not.
pub const PEERS_MAX: usize = 128;

/// Backends of which one node is heard to tell.
pub const SAYINGS_MAX: usize = 65_536;

/// How often a node gossips with some of the others when nothing happens. What happens is told at
/// once.
pub const GOSSIP_INTERVAL: Duration = Duration::from_secs(1);

/// How far apart the times are at which a node gossips because something has happened: what happens
/// in between goes together.
pub const GOSSIP_PAUSE: Duration = Duration::from_millis(20);

/// When what was told at once is told again, as a datagram may be lost.
pub const GOSSIP_AGAIN: [Duration; 2] = [Duration::from_millis(150), Duration::from_millis(450)];

/// Nodes that are told at once; the others hear in the rounds that follow.
pub const GOSSIP_PEERS_AT_ONCE: usize = 16;

/// How often a node looks who is there.
pub const ROLL_INTERVAL: Duration = Duration::from_millis(250);

/// After how long without a word a node is not waited for any more: it counts no longer when it is
/// asked whether those that live are enough to decide.
pub const NODE_FORGOTTEN: Duration = Duration::from_secs(15 * 60);

/// News of other nodes that wait for the control thread. What does not fit is read again.
pub const NEWS_WAITING: usize = 16_384;

/// Batches of changes by the API that wait to be told to other nodes.
pub const CHANGES_WAITING: usize = 64;

/// Batches of what is to be told that wait.
pub const TELLINGS_WAITING: usize = 1024;

/// How long the end of a process waits for its goodbye to be on its way.
pub const LEAVE_PATIENCE: Duration = Duration::from_millis(300);

/// How long a node that starts waits for others to answer before it begins alone.
pub const FIRST_PATIENCE: Duration = Duration::from_secs(5);

/// How long a node that starts tries to come to know what others know before it begins anyway.
pub const CATCH_UP_PATIENCE: Duration = Duration::from_secs(30);

/// What other nodes tell and is older than this when it comes is no measure of the way: it was told
/// again, to those who come.
pub const NEWS_AGE_MAX: Duration = Duration::from_secs(60);

/// How long another node may know something else before this one looks whether it knows what
/// nobody tells.
pub const DIFFERENCE_PATIENCE: Duration = Duration::from_millis(1500);

/// How far the clocks of two nodes may be apart, in milliseconds: datagrams from beyond are
/// refused, so that one that was recorded cannot be sent again for long.
pub const CLOCK_SKEW_MS_MAX: u64 = 30_000;

/// How far ahead of this node's clock a stamp may be that another node made, in milliseconds: one
/// day. A node whose clock was wrong for a while has made such stamps before it was put right, and
/// all that follow are greater; from beyond this nothing is taken, as it would last.
pub const STAMP_AHEAD_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// Deletions by the API that the nodes of a cluster remember, so that what is deleted does not come
/// back with a node that was away. Beyond it the oldest are forgotten and counted.
pub const TOMBSTONES_KEPT: usize = 4096;

/// How long they are remembered. What a node brings back that was away for longer is there again.
pub const TOMBSTONE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Bytes of a load balancer or instance on its way to other nodes, so that it fits what they send
/// each other. What is larger stays on its node, is reported as a conflict and counted.
pub const REPLICA_BYTES_MAX: usize = 48 * 1024;

/// Load balancers and instances, deleted ones included, that a node knows of by others. Beyond it
/// new ones from there are refused and counted.
pub const REPLICAS_MAX: usize = 65_536;

/// Conflicts between nodes that are shown. Beyond it the oldest go; all of them are counted.
pub const CONFLICTS_KEPT: usize = 16;

/// Changes from other nodes that come to be in force at once, and are one line of the journal. What
/// is beyond it comes right after.
pub const REPLICAS_AT_ONCE: usize = 64;

/// How often that is tried again which another node has changed and this one cannot have in force.
pub const REPLICA_RETRY_INTERVAL: Duration = Duration::from_secs(10);

/// How long the log says nothing more of changes from other nodes that are refused. Each is
/// counted.
pub const REPLICA_REFUSAL_PAUSE: Duration = Duration::from_secs(60);

/// Seeds of a cluster. Beyond it the configuration is refused: one that answers is enough.
pub const CLUSTER_SEEDS_MAX: usize = 64;

/// Secrets that a cluster may have at once: that which seals, and one that is coming or going.
/// Beyond it the file is refused.
pub const CLUSTER_SECRETS_MAX: usize = 2;

/// Characters of a cluster's secret: 96 bits if they are those of base64. Below it, or beyond the
/// other, the file is refused.
pub const CLUSTER_SECRET_BYTES_MIN: usize = 16;

/// See [`CLUSTER_SECRET_BYTES_MIN`].
pub const CLUSTER_SECRET_BYTES_MAX: usize = 512;

/// Bytes of a datagram between nodes: with its headers it fits every path that carries IPv6
/// (1,280), so that nothing on the way cuts it. A longer message goes in pieces; a longer datagram
/// is none.
pub const GOSSIP_DATAGRAM_BYTES_MAX: usize = 1200;

/// Bytes of a message between nodes, as the gossip library has it. Beyond it it is not sent.
pub const GOSSIP_MESSAGE_BYTES_MAX: usize = 65_507;

/// Datagrams of one node that may overtake one another. One that is further behind the latest
/// counts as if it had come before; a multiple of 64.
pub const REPLAY_WINDOW: usize = 1024;

/// How long the log says nothing more of what is wrong between nodes and was told. How often it is
/// is counted.
pub const GOSSIP_COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// Things that the log tells in that time. Beyond it they are only counted: addresses of datagrams
/// can be made up.
pub const GOSSIP_COMPLAINTS_MAX: usize = 16;

/// How long a node hears nothing after its socket has failed.
pub const GOSSIP_ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Messages that wait for other pieces, of all nodes together: 4 MiB of them. Beyond it that which
/// began first is given up, which is counted, and so it is at the two below.
pub const HALF_MESSAGES_MAX: usize = 64;

/// Those of one node.
pub const HALF_MESSAGES_PER_NODE_MAX: usize = 4;

/// How long a message waits for its other pieces, in milliseconds; they are sent at once.
pub const HALF_MESSAGE_MS_MAX: u64 = 5000;

/// Longest name of a node, which each of its messages carries. Beyond it the configuration is
/// refused.
pub const NODE_NAME_BYTES_MAX: usize = 63;

const _: () = assert!(REPLAY_WINDOW.is_multiple_of(64));
const _: () = assert!(HALF_MESSAGES_PER_NODE_MAX <= HALF_MESSAGES_MAX);
