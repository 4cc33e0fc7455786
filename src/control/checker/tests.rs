use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::config::{HealthCheck, Protocol, Target};
use crate::health::Failure;

const REFUSED: Outcome = Outcome::Failure(Failure::Refused);

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(300);

fn plan(address: SocketAddr, interval: Duration) -> CheckPlan {
    CheckPlan {
        load_balancer: Arc::from("web"),
        backend: Arc::from("i-1"),
        address,
        is_regular: true,
        health_check: Arc::new(HealthCheck {
            target: Target {
                protocol: Protocol::Http,
                port: 80,
                path: "/".to_owned(),
            },
            interval,
            timeout: Duration::from_secs(2),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
        }),
    }
}

/// A backend that answers every connection with 200 until its task is aborted.
async fn healthy_backend() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("loopback is there");
    let address = listener.local_addr().expect("it is bound");
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(
                    stream
                        .read_u8()
                        .await
                        .expect("the checker sends a whole head"),
                );
            }
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(answer).await.expect("the checker reads");
        }
    });
    (address, task)
}

/// A checker of one backend, and where its results arrive.
struct Bench {
    checker: Checker,
    results: mpsc::Receiver<Command>,
    counts: Arc<ControlLine>,
}

impl Bench {
    fn new(address: SocketAddr, interval: Duration) -> Self {
        let (commands, results) = mpsc::channel(64);
        let counts = Arc::new(ControlLine::default());
        let mut checker = Checker::new(commands, &counts);
        checker.follow(vec![plan(address, interval)]);
        Self {
            checker,
            results,
            counts,
        }
    }

    fn report(&self) {
        self.checker.hurry(Arc::from("web"), Arc::from("i-1"));
    }

    async fn next(&mut self) -> Outcome {
        let Some(Command::Checked {
            load_balancer,
            backend,
            outcome,
        }) = self.results.recv().await
        else {
            panic!("the checker runs and sends results only");
        };
        assert_eq!((&*load_balancer, &*backend), ("web", "i-1"));
        outcome
    }

    /// Asserts that no result comes for a while that is longer than several bursts.
    async fn is_quiet(&mut self) -> bool {
        let while_longer = limits::CHECK_BURST_PAUSE * 3;
        time::timeout(while_longer, self.results.recv())
            .await
            .is_err()
    }
}

/// Ends `task` and waits until its sockets are closed.
async fn kill(task: JoinHandle<()>) {
    task.abort();
    assert!(task.await.expect_err("it was aborted").is_cancelled());
}

#[tokio::test]
async fn the_first_check_comes_at_once() {
    let (address, _backend) = healthy_backend().await;
    let mut bench = Bench::new(address, LONG);
    let first = time::timeout(LONG / 10, bench.next()).await;
    assert_eq!(first, Ok(Outcome::Success));
}

#[tokio::test]
async fn regular_checks_start_one_interval_apart() {
    let (address, _backend) = healthy_backend().await;
    let interval = Duration::from_millis(100);
    let start = Instant::now();
    let mut bench = Bench::new(address, interval);
    assert_eq!(bench.next().await, Outcome::Success);
    for _ in 0..3 {
        assert_eq!(bench.next().await, Outcome::Success);
    }
    // Three intervals less the jitter of a tenth.
    assert!(
        start.elapsed() >= interval * 29 / 10,
        "checks came too early"
    );
    assert_eq!(bench.counts.checks_passed.value(), 4);
}

#[tokio::test]
async fn a_report_condemns_a_killed_backend_well_under_a_second() {
    let (address, backend) = healthy_backend().await;
    let mut bench = Bench::new(address, LONG);
    assert_eq!(bench.next().await, Outcome::Success);
    kill(backend).await;
    let start = Instant::now();
    bench.report();
    for _ in 0..3 {
        assert_eq!(bench.next().await, REFUSED);
    }
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "took {:?}",
        start.elapsed()
    );
    assert!(
        bench.is_quiet().await,
        "the burst went on after the verdict"
    );
}

#[tokio::test]
async fn many_reports_are_one_burst() {
    let (address, backend) = healthy_backend().await;
    let mut bench = Bench::new(address, LONG);
    assert_eq!(bench.next().await, Outcome::Success);
    kill(backend).await;
    for _ in 0..100 {
        bench.report();
    }
    assert_eq!(bench.next().await, REFUSED);
    for _ in 0..100 {
        bench.report();
    }
    assert_eq!((bench.next().await, bench.next().await), (REFUSED, REFUSED));
    assert!(
        bench.is_quiet().await,
        "reports from during the burst began another"
    );
    assert_eq!(bench.counts.check_bursts.value(), 1);
}

#[tokio::test]
async fn a_success_settles_a_burst_and_the_next_one_keeps_its_distance() {
    let (address, _backend) = healthy_backend().await;
    let mut bench = Bench::new(address, LONG);
    assert_eq!(bench.next().await, Outcome::Success);
    let start = Instant::now();
    bench.report();
    assert_eq!(bench.next().await, Outcome::Success);
    while bench.counts.check_bursts.value() < 2 {
        bench.report();
        tokio::task::yield_now().await;
    }
    assert!(start.elapsed() >= limits::CHECK_BURST_PAUSE);
    assert_eq!(bench.next().await, Outcome::Success);
}

#[tokio::test]
async fn a_report_for_an_unknown_backend_is_ignored() {
    let (address, _backend) = healthy_backend().await;
    let mut bench = Bench::new(address, LONG);
    assert_eq!(bench.next().await, Outcome::Success);
    bench.checker.hurry(Arc::from("web"), Arc::from("i-2"));
    assert!(bench.is_quiet().await);
}

#[test]
fn jitter_is_within_a_tenth_of_the_interval_and_differs_by_backend() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut seen: Vec<_> = (0..50)
        .map(|n| {
            let mut plan = plan(address, Duration::from_secs(30));
            plan.backend = Arc::from(format!("i-{n}"));
            jitter(&plan)
        })
        .collect();
    assert!(seen.iter().all(|jitter| *jitter <= Duration::from_secs(3)));
    seen.sort();
    seen.dedup();
    assert!(seen.len() > 40, "only {} of 50 differ", seen.len());
}
