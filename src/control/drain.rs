//! From the signal to the end: stop accepting, let exchanges finish, give up at the timeout.
//!
//! Not here: how shards finish (`shard`), and the exit itself (`main`). Invariant: the end comes
//! within the shutdown timeout, whatever clients and backends do.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time;

use super::signals::Stop;
use crate::limits;
use crate::sys::Link;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All client connections were closed.
    Drained,
    /// The shutdown timeout passed with this many client connections open.
    TimedOut {
        /// Client connections that are cut off.
        connections: u64,
    },
    /// A second signal came with this many client connections open.
    CutShort {
        /// Client connections that are cut off.
        connections: u64,
    },
}

/// How long shards may take to notice that the process drains; before that, no open connections
/// may only mean that one is just being accepted.
const NOTICE: Duration = Duration::from_millis(250);
const _: () = assert!(NOTICE.as_millis() >= 2 * limits::SWEEP_INTERVAL.as_millis());

/// How often the open connections are counted.
const COUNT_INTERVAL: Duration = Duration::from_millis(20);

/// Waits for a signal, drains, and says how it went. `timeout` counts from the signal.
pub(super) async fn until_stopped(
    link: &Link,
    mut stops: mpsc::Receiver<Stop>,
    timeout: Duration,
) -> Ending {
    let Some(signal) = stops.recv().await else {
        return std::future::pending().await;
    };
    tracing::info!(?signal, timeout_seconds = timeout.as_secs(), "draining");
    link.begin_drain();
    let connections = || link.shards.sum(|shard| &shard.connections);
    let idle = async {
        time::sleep(NOTICE).await;
        while connections() > 0 {
            time::sleep(COUNT_INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        () = idle => Ending::Drained,
        Some(_) = stops.recv() => Ending::CutShort { connections: connections() },
        () = time::sleep(timeout) => Ending::TimedOut { connections: connections() },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;
    use crate::state::Snapshot;
    use crate::sys::{Listeners, Phase};

    const TIMEOUT: Duration = Duration::from_secs(30);

    fn link() -> Arc<Link> {
        Link::new(
            Snapshot {
                epoch: 1,
                routes: Vec::new(),
                cuts: Vec::new(),
            },
            Listeners::default(),
            2,
        )
        .0
    }

    // Time is tokio's paused clock: it jumps to the next deadline when all tasks wait.

    #[tokio::test(start_paused = true)]
    async fn an_idle_process_ends_once_the_shards_must_have_noticed() {
        let link = link();
        let (stops, inbox) = mpsc::channel(2);
        stops
            .send(Stop::Terminate)
            .await
            .expect("the inbox is there");
        let start = Instant::now();
        assert_eq!(until_stopped(&link, inbox, TIMEOUT).await, Ending::Drained);
        assert_eq!(link.phase(), Phase::Draining);
        assert!(start.elapsed() >= NOTICE && start.elapsed() < 2 * NOTICE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_drain_waits_for_connections_of_all_shards() {
        let link = link();
        link.shards.line(0).connections.add(1);
        link.shards.line(1).connections.add(2);
        let (stops, inbox) = mpsc::channel(2);
        stops
            .send(Stop::Terminate)
            .await
            .expect("the inbox is there");
        let closing = async {
            time::sleep(Duration::from_secs(5)).await;
            link.shards.line(0).connections.sub(1);
            time::sleep(Duration::from_secs(5)).await;
            link.shards.line(1).connections.sub(2);
        };
        let start = Instant::now();
        let (ending, ()) = tokio::join!(until_stopped(&link, inbox, TIMEOUT), closing);
        assert_eq!(ending, Ending::Drained);
        assert!(start.elapsed() >= Duration::from_secs(10));
        assert!(start.elapsed() < Duration::from_secs(11));
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_ends_a_drain_and_tells_what_is_left() {
        let link = link();
        link.shards.line(1).connections.add(2);
        let (stops, inbox) = mpsc::channel(2);
        stops
            .send(Stop::Interrupt)
            .await
            .expect("the inbox is there");
        let start = Instant::now();
        let ending = until_stopped(&link, inbox, TIMEOUT).await;
        assert_eq!(ending, Ending::TimedOut { connections: 2 });
        assert_eq!(start.elapsed().as_secs(), TIMEOUT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once() {
        let link = link();
        link.shards.line(0).connections.add(1);
        let (stops, inbox) = mpsc::channel(2);
        for _ in 0..2 {
            stops
                .send(Stop::Interrupt)
                .await
                .expect("the inbox has room for two");
        }
        let start = Instant::now();
        let ending = until_stopped(&link, inbox, TIMEOUT).await;
        assert_eq!(ending, Ending::CutShort { connections: 1 });
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_happens_without_a_signal() {
        let link = link();
        let (_stops, inbox) = mpsc::channel(2);
        let waited = time::timeout(TIMEOUT, until_stopped(&link, inbox, TIMEOUT)).await;
        assert_eq!(waited.ok(), None);
        assert_eq!(link.phase(), Phase::Serving);
    }
}
