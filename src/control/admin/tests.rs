mod access;
mod console;
mod live;
mod query;
mod sign_in;
mod steering;
mod v1;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use tokio::sync::mpsc;

use super::super::certificates::Ends;
use super::*;
use crate::config::{Backend, Config, parse_with_sources};
use crate::control::journal::Journal;
use crate::control::regions::{Regions, Settled};
use crate::control::{Files, Inventory, Origin, Wish};
use crate::health::Outcome;
use crate::http::{Classification, Reply};
use crate::state::fixture::{backend, config, listener, load_balancer, sticky};
use crate::state::{Command, Remembered, State};
use crate::sticky::Verdict;

fn about() -> About {
    About {
        version: "9.8.7",
        driver: "epoll",
        cores: vec![Some(3), None],
        verdicts: &Verdict::NAMES,
        certificate_ends: Ends::default(),
        access_log: Arc::default(),
    }
}

fn origin() -> Origin {
    let text = "[admin]\nlisten = \"127.0.0.1:9090\"";
    let (config, sources) = parse_with_sources(text, "elbow.toml").expect("it holds");
    Origin {
        host: config.host,
        admin: config.admin,
        access_log: config.access_log,
        cluster: config.cluster,
        sources,
    }
}

fn seals() -> Seals {
    Seals::new(&[crate::sticky::Key {
        id: 1,
        secret: [1; 16],
    }])
}

/// An admin address over a load balancer of two listeners and two backends, of which `i-1` is in
/// service.
struct Bench {
    address: SocketAddr,
    link: Arc<Link>,
    counts: Arc<ControlLine>,
}

/// What the file says.
fn written() -> Config {
    let backends = ["i-1", "i-2"].map(|id| backend(id, Ipv4Addr::LOCALHOST, None));
    let [one, mut two] = backends;
    two.address = Ipv4Addr::new(127, 0, 0, 2).into();
    let web = load_balancer(
        "web",
        vec![listener(8080, Some(sticky(60))), listener(9090, None)],
        vec![one.clone(), two.clone()],
    );
    let named = |backend: Backend| (backend.id.clone(), backend);
    Config {
        instances: [one, two].map(named).into(),
        ..config(vec![web])
    }
}

impl Bench {
    async fn new() -> Self {
        let start = |setup: Setup| setup.start().expect("a thread can be had");
        Self::with(Credentials::default(), start).await
    }

    /// As [`Bench::new`], but what is ordered comes out here, one at a time.
    async fn deaf() -> (Self, Receiver<Order>) {
        Self::deaf_and_guarded_by(Credentials::default()).await
    }

    /// The same with these credentials.
    async fn deaf_and_guarded_by(credentials: Credentials) -> (Self, Receiver<Order>) {
        let (orders, ordered) = sync_channel(1);
        (Self::with(credentials, |_| orders).await, ordered)
    }

    async fn with(
        credentials: Credentials,
        start: impl FnOnce(Setup) -> SyncSender<Order>,
    ) -> Self {
        let config = written();
        let (inventory, bound) =
            Inventory::open(&config, Files::load(&config, 0).expect("it names none"), 2)
                .expect("ports are free");
        let mut state = State::new(&config, &bound, 2, Remembered::new(), 0);
        let outcome = Outcome::Success;
        let checked = Command::Checked {
            load_balancer: "web".into(),
            backend: "i-1".into(),
            outcome,
        };
        drop(state.apply(checked, 0).expect("the backend is registered"));
        let (link, _reports) = Link::new(state.snapshot(), inventory.listeners(), 2);
        // No shard is there to follow.
        for shard in link.shards.lines() {
            shard.listeners_seen.set(u64::MAX);
        }
        let (publisher, published) = watch::channel(Published::of(&state));
        let (wishes, mut wished) = mpsc::channel(1);
        let snapshots = Arc::clone(&link.snapshot);
        tokio::spawn(async move {
            while let Some(Wish { command, answer }) = wished.recv().await {
                let done = state.apply(command, 0).map(drop);
                snapshots.store(Arc::new(state.snapshot()));
                publisher.send_replace(Published::of(&state));
                answer.send(done).expect("the handler waits");
            }
        });
        let counts = Arc::new(ControlLine::default());
        let Settled { regions, .. } = Regions::settle(&config, Vec::new(), 0).expect("it is valid");
        let setup = Setup {
            inventory,
            origin: origin(),
            regions,
            journal: Journal::open(None).expect("it keeps nothing").0,
            replicas: None,
            read_again: None,
            link: Arc::clone(&link),
            wishes,
            published: published.clone(),
            counts: Arc::clone(&counts),
            has_missed_hangup: Arc::default(),
        };
        let doors = Doors {
            orders: start(setup),
            standing: Standing::new(&about(), &origin(), "us-east-1"),
            credentials,
            is_ready: Arc::new(true.into()),
        };
        let admin = Admin::new(
            Arc::clone(&link),
            published,
            doors,
            seals(),
            Arc::clone(&counts),
            about(),
        );
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback is there");
        let address = socket.local_addr().expect("it is bound");
        tokio::spawn(admin.serve(socket));
        Self {
            address,
            link,
            counts,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("admin listens")
    }

    /// The whole answer to a request with this first line.
    async fn ask(&self, request_line: &str) -> String {
        let request =
            format!("{request_line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        self.send(request.as_bytes()).await
    }

    async fn send(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request).await.expect("admin reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("admin answers");
        answer
    }
}

#[tokio::test]
async fn healthz_tells_a_draining_process_from_a_serving_one() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /healthz").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nok\n"),
        "{answer}"
    );
    bench.link.begin_drain();
    let answer = bench.ask("GET /healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("\r\n\r\ndraining\n"));
}

#[tokio::test]
async fn backends_are_json_rows_with_live_counts() {
    let bench = Bench::new().await;
    for shard in 0..2 {
        let snapshot = bench.link.snapshot.load();
        snapshot.routes[0].backends[0]
            .counts
            .line(shard)
            .outstanding
            .add(2);
    }
    let answer = bench.ask("GET /v1/backends").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("there is a head");
    assert!(head.contains("content-type: application/json"), "{head}");
    let rows: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
    let expected = serde_json::json!([
        {
            "load_balancer": "web", "backend": "i-1", "address": "127.0.0.1", "port": null,
            "state": "InService", "reason_code": "N/A",
            "description": "N/A", "health": "in-service", "life": 1, "weight": 1, "sessions": 0, "over_bound": false,
            "draining": null, "outstanding": 4
        },
        {
            "load_balancer": "web", "backend": "i-2", "address": "127.0.0.2", "port": null,
            "state": "OutOfService",
            "reason_code": "ELB", "description": "Instance registration is still in progress.",
            "health": "registering", "life": 0, "weight": 1, "sessions": 0, "over_bound": false, "draining": null,
            "outstanding": 0
        },
    ]);
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn metrics_sum_shards_and_count_each_load_balancer_once() {
    let bench = Bench::new().await;
    let snapshot = bench.link.snapshot.load_full();
    for shard in 0..2 {
        bench.link.shards.line(shard).accepted.add(5 + shard as u64);
        let line = snapshot.routes[0].counts.line(shard);
        line.requests.add(10);
        line.verdicts[Verdict::Strict as usize].add(3);
        line.own_answers[Reply::ServiceUnavailable as usize].add(1);
        bench.link.shards.line(shard).cpu_nanos.set(1_500_000_000);
        line.non_compliant[Classification::Ambiguous as usize].add(2);
        line.latency.observe(Duration::from_millis(3));
        line.latency.observe(Duration::from_secs(90));
        snapshot.routes[0].backends[0].counts.line(shard).responses[1].add(7);
    }
    bench.counts.checks_failed.add(4);
    let answer = bench.ask("GET /metrics").await;
    assert!(
        answer.contains("content-type: application/openmetrics-text"),
        "{answer}"
    );
    for line in [
        r#"elbow_build_info{version="9.8.7"} 1"#,
        "elbow_snapshot_epoch 2",
        "elbow_draining 0",
        "elbow_checks_failed_total 4",
        r#"elbow_connections_accepted_total{shard="0"} 5"#,
        r#"elbow_connections_accepted_total{shard="1"} 6"#,
        r#"elbow_requests_total{load_balancer="web"} 20"#,
        r#"elbow_sticky_verdicts_total{load_balancer="web",verdict="strict"} 6"#,
        r#"elbow_desync_requests_total{load_balancer="web",classification="acceptable"} 0"#,
        r#"elbow_desync_requests_total{load_balancer="web",classification="ambiguous"} 4"#,
        r#"elbow_own_answers_total{load_balancer="web",reason="service_unavailable",status="503"} 2"#,
        r#"elbow_shard_cpu_seconds_total{shard="1"} 1.5"#,
        r#"elbow_backend_check_connect_errors_total{load_balancer="web",backend="i-1"} 0"#,
        "# UNIT elbow_latency_seconds seconds",
        r#"elbow_latency_seconds_bucket{le="0.002",load_balancer="web"} 0"#,
        r#"elbow_latency_seconds_bucket{le="0.004",load_balancer="web"} 2"#,
        r#"elbow_latency_seconds_bucket{le="65.536",load_balancer="web"} 2"#,
        r#"elbow_latency_seconds_bucket{le="+Inf",load_balancer="web"} 4"#,
        r#"elbow_latency_seconds_count{load_balancer="web"} 4"#,
        r#"elbow_latency_seconds_sum{load_balancer="web"} 180.006"#,
        r#"elbow_backend_responses_total{load_balancer="web",backend="i-1",class="2xx"} 14"#,
        r#"elbow_backend_in_service{load_balancer="web",backend="i-1"} 1"#,
        r#"elbow_backend_in_service{load_balancer="web",backend="i-2"} 0"#,
        r#"elbow_backend_sessions{load_balancer="web",backend="i-1"} 0"#,
        r#"elbow_backend_weight{load_balancer="web",backend="i-1"} 1"#,
        r#"elbow_backend_over_bound{load_balancer="web",backend="i-1"} 0"#,
        r#"elbow_backend_draining{load_balancer="web",backend="i-1"} 0"#,
        "# EOF",
    ] {
        let times = answer.lines().filter(|&seen| seen == line).count();
        assert_eq!(times, 1, "{line} in\n{answer}");
    }
}

#[tokio::test]
async fn every_metric_has_one_type_one_help_and_the_prefix() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /metrics").await;
    let mut names: Vec<_> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    assert!(
        names.len() > 30 && names.iter().all(|name| name.starts_with("elbow_")),
        "{names:?}"
    );
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name appears twice");
    assert_eq!(
        answer
            .lines()
            .filter(|line| line.starts_with("# HELP "))
            .count(),
        count
    );
}

#[tokio::test]
async fn an_unknown_path_is_answered_with_those_that_are_known() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /metric").await;
    assert!(answer.starts_with("HTTP/1.1 404 "));
    for path in [
        "/metrics",
        "/healthz",
        "/v1/backends",
        "/v1/load-balancers",
        "/v1/drains",
    ] {
        assert!(answer.contains(path), "{path} is not told in\n{answer}");
    }
    assert!(
        bench
            .ask("DELETE /v1/backends")
            .await
            .starts_with("HTTP/1.1 405 ")
    );
}

#[tokio::test]
async fn a_head_beyond_the_bound_is_refused() {
    let bench = Bench::new().await;
    let mut stream = bench.connect().await;
    let head = format!(
        "GET /metrics HTTP/1.1\r\nx: {}",
        "y".repeat(limits::ADMIN_HEAD_BYTES_MAX)
    );
    // Exactly what fits into the buffer: more would be unread, and the close a reset.
    stream
        .write_all(&head.as_bytes()[..limits::ADMIN_HEAD_BYTES_MAX])
        .await
        .expect("admin reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("admin answers");
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn a_body_is_not_waited_for() {
    let bench = Bench::new().await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n";
    let answer = bench.send(request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

const HEALTHZ: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Whether a connection answers; it stays open.
async fn is_answered(stream: &mut TcpStream) -> bool {
    let sent = stream.write_all(HEALTHZ).await;
    let mut answer = [0; 1024];
    sent.is_ok() && matches!(stream.read(&mut answer).await, Ok(1..))
}

#[tokio::test]
async fn a_connection_beyond_the_bound_takes_the_place_of_one_that_rests() {
    let bench = Bench::new().await;
    let mut held = Vec::new();
    for _ in 0..limits::ADMIN_CONNECTIONS_MAX {
        held.push(bench.connect().await);
    }
    // Half a request is none.
    let [first, second] = [held.remove(0), held.remove(0)];
    let (mut asked, mut slow) = (first, second);
    slow.write_all(&HEALTHZ[..10]).await.expect("admin reads");
    assert!(is_answered(&mut asked).await);
    let mut surplus = bench.connect().await;
    assert!(is_answered(&mut surplus).await);
    assert_eq!(slow.read(&mut [0; 1]).await.expect("in order"), 0);
    assert!(is_answered(&mut asked).await);
    assert_eq!(bench.counts.admin_connections_displaced.value(), 1);
    assert_eq!(bench.counts.admin_connections_refused.value(), 0);

    // A place is free again once its connection is gone.
    drop(surplus);
    tokio::task::yield_now().await;
    assert!(bench.ask("GET /healthz").await.ends_with("ok\n"));
    assert_eq!(bench.counts.admin_connections_displaced.value(), 1);
}

/// Sends a byte each second, and tells after how many there was an answer or the end.
async fn trickle(bench: &Bench, begun: &[u8]) -> (usize, String) {
    let mut stream = bench.connect().await;
    stream.write_all(begun).await.expect("admin reads");
    tokio::time::pause();
    let mut answer = String::new();
    for seconds in 0.. {
        let rest = tokio::time::timeout(Duration::from_secs(1), stream.read_to_string(&mut answer));
        if rest.await.is_ok() {
            return (seconds, answer);
        }
        stream.write_all(b"a").await.expect("it is open");
    }
    unreachable!("it would go on for ever")
}

#[tokio::test]
async fn a_head_that_comes_slowly_is_not_waited_for() {
    let bench = Bench::new().await;
    let (seconds, answer) = trickle(&bench, b"GET /healthz HTTP/1.1\r\nx: ").await;
    let limit = usize::try_from(limits::ADMIN_HEAD_TIMEOUT.as_secs()).unwrap();
    assert!((limit - 1..=limit + 1).contains(&seconds), "{seconds} s");
    assert_eq!(answer, "");
}

#[tokio::test]
async fn a_body_that_comes_slowly_is_not_waited_for() {
    let bench = Bench::new().await;
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
        Content-Length: 1000\r\n\r\n";
    let (seconds, answer) = trickle(&bench, head).await;
    let limit = usize::try_from(limits::ADMIN_HEAD_TIMEOUT.as_secs()).unwrap();
    assert!((limit - 1..=limit + 1).contains(&seconds), "{seconds} s");
    assert!(answer.contains("<Code>ValidationError</Code>"), "{answer}");
    assert_eq!(bench.counts.admin_requests_refused.value(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let bench = Bench::new().await;
    let mut stream = bench.connect().await;
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("admin reads");
    let mut answer = vec![0; 1024];
    assert!(stream.read(&mut answer).await.expect("admin answers") > 0);
    tokio::time::pause();
    let limit = limits::ADMIN_HEAD_TIMEOUT + Duration::from_secs(1);
    let rest = tokio::time::timeout(limit, stream.read_to_end(&mut answer)).await;
    rest.expect("it was closed in time").expect("in order");
}
