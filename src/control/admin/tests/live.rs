//! `/v1/live`: who may listen, and what a stream looks like.

use tokio::io::{AsyncBufReadExt, BufReader};

use super::*;
use crate::control::Moment;
use crate::limits::WATCHERS_MAX;

impl Bench {
    /// Somebody who listens, after the head of the answer.
    async fn listen(&self, query: &str) -> BufReader<TcpStream> {
        let mut stream = self.connect().await;
        let request = format!("GET /v1/live{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .await
            .expect("admin reads");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let count = reader.read_line(&mut head).await.expect("admin answers");
            assert!(count > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream"), "{head}");
        reader
    }
}

/// The next moment of a stream.
async fn next(reader: &mut BufReader<TcpStream>) -> Moment {
    loop {
        let mut line = String::new();
        let count = reader.read_line(&mut line).await.expect("it goes on");
        assert!(count > 0, "the stream ended");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str(data).expect("it is a moment");
        }
    }
}

#[tokio::test]
async fn a_watcher_is_told_what_happens_and_of_one_load_balancer_all() {
    let bench = Bench::new().await;
    let mut all = bench.listen("").await;
    let mut one = bench.listen("?load_balancer=web&moments=2").await;
    let snapshot = bench.link.snapshot.load_full();
    snapshot.routes[0].counts.line(0).requests.add(50);
    let moment = next(&mut all).await;
    assert_eq!((moment.shards.len(), moment.load_balancers.len()), (2, 1));
    assert!(
        moment.load_balancers[0].requests_per_second > 0.0,
        "{moment:?}"
    );
    assert!(moment.load_balancers[0].backends.is_empty(), "{moment:?}");
    next(&mut one).await;
    let moment = next(&mut one).await;
    assert_eq!(
        moment.load_balancers[0].requests_per_second, 0.0,
        "{moment:?}"
    );
    let names = moment.load_balancers[0]
        .backends
        .iter()
        .map(|row| &*row.backend);
    assert_eq!(names.collect::<Vec<_>>(), ["i-1", "i-2"]);
    let mut rest = String::new();
    while one.read_line(&mut rest).await.expect("it ends well") > 0 && !rest.ends_with("0\r\n\r\n")
    {
    }
    assert!(!rest.contains("data:"), "it asked for two: {rest}");
}

#[tokio::test]
async fn so_many_may_watch_and_whoever_goes_makes_room() {
    let bench = Bench::new().await;
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS_MAX {
        watchers.push(bench.listen("").await);
    }
    let answer = bench.ask("GET /v1/live").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("16 others watch already"), "{answer}");
    watchers.pop();
    let is_free = async {
        while !bench
            .ask("GET /v1/live?moments=1")
            .await
            .starts_with("HTTP/1.1 200 ")
        {}
    };
    let waiting = tokio::time::timeout(Duration::from_secs(10), is_free);
    waiting.await.expect("its place is free again");
}

#[tokio::test]
async fn a_query_that_does_not_hold_is_refused() {
    let bench = Bench::new().await;
    for (query, status, words) in [
        ("moments=0", 400, "moments must be from 1 to 600"),
        ("moments=601", 400, "moments must be from 1 to 600"),
        ("moments=-1", 400, "moments"),
        ("load_balancers=web", 400, "load_balancer"),
        ("load_balancer=wed", 404, "did you mean `web`?"),
    ] {
        let answer = bench.ask(&format!("GET /v1/live?{query}")).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{query}: {answer}"
        );
        assert!(answer.contains(words), "{query}: {answer}");
    }
}
