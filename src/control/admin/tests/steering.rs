//! `/v1/status`, `/v1/cluster`, `/v1/reload`, `/v1/config`: what is told, and how an order that
//! failed is.

use serde_json::{Value, json};

use super::*;
use crate::control::ReadAgain;
use crate::http::Reply;

impl Bench {
    /// Status and JSON of the answer to a reload that reads this.
    async fn reload(read: Result<Config, Vec<String>>) -> (u16, Value) {
        let read_again = ReadAgain::new(move || Ok((read.clone()?, origin().sources)));
        let start = |setup| {
            let read_again = Some(read_again);
            let setup = Setup {
                read_again,
                ..setup
            };
            setup.start().expect("a thread can be had")
        };
        let bench = Self::with(Credentials::default(), start).await;
        bench.request("POST /v1/reload", "").await
    }
}

#[tokio::test]
async fn the_process_and_its_load_balancers_are_told_with_sums_over_shards() {
    let bench = Bench::new().await;
    let snapshot = bench.link.snapshot.load_full();
    for shard in 0..2 {
        let line = snapshot.routes[0].counts.line(shard);
        line.requests.add(10);
        // A bad request is the client's doing, a bad gateway is not.
        line.own_answers[Reply::BadRequest as usize].add(5);
        line.own_answers[Reply::BadGateway as usize].add(1);
        let backend = snapshot.routes[0].backends[0].counts.line(shard);
        backend.responses[4].add(3);
        backend.outstanding.add(2);
    }
    let (status, mut told) = bench.request("GET /v1/status", "").await;
    assert_eq!(status, 200);
    assert!(told["uptime_seconds"].take().is_u64());
    let [first, second] = [0, 1].map(|at| snapshot.routes[at].address.to_string());
    let expected = json!({
        "version": "9.8.7", "uptime_seconds": null, "phase": "serving", "driver": "epoll",
        "cores": [3, null], "credentials": 0, "region": "us-east-1", "state_dir": null,
        "config_file": "elbow.toml", "cluster": null,
        "load_balancers": [{
            "name": "web",
            "listeners": [
                {
                    "address": first, "protocol": "HTTP", "instance_protocol": "HTTP",
                    "instance_port": 8080, "policy": "p"
                },
                {
                    "address": second, "protocol": "HTTP", "instance_protocol": "HTTP",
                    "instance_port": 9090, "policy": null
                },
            ],
            "instances_in_service": 1, "instances": 2, "sessions": 0, "outstanding": 4,
            "requests": 20, "relays": 0, "elbow_5xx": 2, "backend_5xx": 6
        }],
    });
    assert_eq!(told, expected);
    bench.link.begin_drain();
    let (_, told) = bench.request("GET /v1/status", "").await;
    assert_eq!(told["phase"], "draining");
}

#[tokio::test]
async fn without_a_cluster_a_node_decides_alone() {
    let bench = Bench::new().await;
    let (status, told) = bench.request("GET /v1/cluster", "").await;
    let expected = json!({
        "enabled": false, "node": null, "live": 1, "known": 1, "quorum": true,
        "nodes": [], "disputes": [], "waiting": [], "conflicts": []
    });
    assert_eq!((status, told), (200, expected));
}

#[tokio::test]
async fn backends_are_those_of_a_load_balancer_that_there_is() {
    let bench = Bench::new().await;
    let ask = |target: &'static str| bench.request(target, "");
    let (status, rows) = ask("GET /v1/backends?load_balancer=web").await;
    assert_eq!((status, rows.as_array().map(Vec::len)), (200, Some(2)));
    let (status, refused) = ask("GET /v1/backends?load_balancer=wbe").await;
    let clause = "there is no load balancer wbe; did you mean `web`?";
    assert_eq!((status, refused), (404, json!({ "error": clause })));
    let (status, refused) = ask("GET /v1/backends?load_balancer=other").await;
    let clause = "there is no load balancer other";
    assert_eq!((status, refused), (404, json!({ "error": clause })));
    let (status, _) = ask("GET /v1/backends?name=web").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_reload_tells_what_came_of_it() {
    let mut config = written();
    let mut shop = config.load_balancers[0].clone();
    shop.name = "shop".to_owned();
    config.load_balancers.push(shop);
    let (status, told) = Bench::reload(Ok(config)).await;
    let expected = json!({
        "added": ["shop"], "changed": [], "removed": [], "unchanged": 1,
        "needs_restart": ["host", "admin.listen"]
    });
    assert_eq!((status, told), (200, expected));
    let problems = vec!["elbow.toml:3: x: is wrong".to_owned()];
    let (status, told) = Bench::reload(Err(problems.clone())).await;
    let error = "the configuration does not hold; nothing has changed";
    let expected = json!({ "error": error, "problems": problems });
    assert_eq!((status, told), (422, expected));
    let (status, told) = Bench::new().await.request("POST /v1/reload", "").await;
    assert_eq!(status, 409);
    let error = told["error"].as_str().expect("a clause");
    assert!(error.contains("no configuration file"), "{error}");
}

#[tokio::test]
async fn what_is_in_force_is_text() {
    let answer = Bench::new().await.ask("GET /v1/config").await;
    assert!(answer.contains("content-type: text/plain"), "{answer}");
    for line in ["[host]", "name = \"web\"", "id = \"i-2\""] {
        assert!(answer.contains(line), "no {line} in {answer}");
    }
}

#[tokio::test]
async fn an_order_that_cannot_wait_is_refused_and_so_is_one_at_the_end() {
    let (bench, ordered) = Bench::deaf().await;
    // Whoever carries orders out has gone.
    drop(ordered);
    let (status, told) = bench.request("POST /v1/reload", "").await;
    assert_eq!((status, told), (503, json!({ "error": "elbow is ending" })));

    let (bench, _ordered) = Bench::deaf().await;
    let request = b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let (mut first, mut second) = (bench.connect().await, bench.connect().await);
    first.write_all(request).await.expect("admin reads");
    second.write_all(request).await.expect("admin reads");
    // One waits in the only place that there is, the other is refused.
    let (mut one, mut other) = ([0; 512], [0; 512]);
    let (length, answer) = tokio::select! {
        length = first.read(&mut one) => (length, &one),
        length = second.read(&mut other) => (length, &other),
    };
    let answer = String::from_utf8_lossy(&answer[..length.expect("admin answers")]);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.contains("too many changes wait for their turn"),
        "{answer}"
    );
}
