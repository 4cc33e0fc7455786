use std::net::{Ipv4Addr, SocketAddr};

use super::certificates::Ends;
use super::*;
use crate::demo;
use crate::state::{Bound, Remembered, fixture};
use crate::sys::Listeners;

fn about() -> About {
    About {
        version: "0",
        driver: "epoll",
        cores: vec![None],
        verdicts: &[],
        certificate_ends: Ends::default(),
        access_log: Arc::default(),
    }
}

/// A running control thread's work over one load balancer, `web`.
struct Bench {
    link: Arc<Link>,
    stops: mpsc::Sender<Stop>,
    running: tokio::task::JoinHandle<io::Result<Ending>>,
}

impl Bench {
    fn new(backends: &[SocketAddr]) -> Self {
        let backends = backends
            .iter()
            .map(|address| {
                fixture::backend(&address.to_string(), address.ip(), Some(address.port()))
            })
            .collect();
        let mut web = fixture::load_balancer("web", vec![fixture::listener(80, None)], backends);
        web.health_check.target.path = "/health".to_owned();
        let listen = [SocketAddr::from((Ipv4Addr::LOCALHOST, 1))];
        let state = State::new(
            &fixture::config(vec![web]),
            &Bound::first(&listen),
            1,
            Remembered::new(),
            0,
        );
        let (link, reports) = Link::new(state.snapshot(), Listeners::default(), 1);
        let (stops, inbox) = mpsc::channel(2);
        let control = Control {
            state,
            link: Arc::clone(&link),
            reports,
            admin: None,
            state_dir: None,
            seals: Seals::new(&keys::load(None, None).expect("there is randomness")),
            shutdown_timeout: Duration::from_secs(10),
            origin: Origin::default(),
            inventory: Inventory::default(),
            regions: Regions::default(),
            replicas: None,
            joining: None,
            journal: Journal::open(None).expect("it keeps nothing").0,
            read_again: None,
            access_log: None,
            ticket_keys: tickets::load(None, &tickets::Keyring::default(), 0).expect("in memory"),
            about: about(),
        };
        let running = tokio::spawn(async {
            let hangups = signals::hangups()?;
            serve(control, inbox, hangups).await
        });
        Self {
            link,
            stops,
            running,
        }
    }

    /// Waits until the published snapshot shows this many backends in service.
    async fn until_in_service(&self, count: usize) {
        let published = async {
            loop {
                let snapshot = self.link.snapshot.load_full();
                let backends = &snapshot.routes[0].backends;
                if backends
                    .iter()
                    .filter(|backend| backend.is_in_service())
                    .count()
                    == count
                {
                    return;
                }
                time::sleep(Duration::from_millis(1)).await;
            }
        };
        time::timeout(Duration::from_secs(5), published)
            .await
            .expect("it is published");
    }

    fn report(&self, backend: &str) -> bool {
        let (load_balancer, backend) = (Arc::from("web"), Arc::from(backend));
        self.link.report(Report::Unreachable {
            load_balancer,
            backend,
            problem: None,
        })
    }
}

#[tokio::test]
async fn a_report_about_a_dead_backend_changes_the_snapshot_well_under_a_second() {
    let mut addresses = demo::start_backends(2).expect("loopback is there");
    let mortal = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
    let doomed = mortal.local_addr().expect("it is bound");
    addresses.push(doomed);
    let bench = Bench::new(&addresses);

    // It passes one check, and dies.
    let (mut stream, _) = tokio::task::spawn_blocking(move || mortal.accept())
        .await
        .expect("it does not panic")
        .expect("the checker connects");
    io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .expect("the checker reads");
    bench.until_in_service(3).await;

    let start = time::Instant::now();
    assert!(bench.report(&doomed.to_string()));
    bench.until_in_service(2).await;
    assert!(
        start.elapsed() < Duration::from_secs(1),
        "took {:?}",
        start.elapsed()
    );
    let snapshot = bench.link.snapshot.load();
    let seen: Vec<_> = snapshot.routes[0]
        .backends
        .iter()
        .map(|b| (b.is_in_service(), b.life))
        .collect();
    assert_eq!(seen, [(true, 1), (true, 1), (false, 1)]);
}

#[tokio::test]
async fn a_stop_drains_and_ends_the_run() {
    let bench = Bench::new(&demo::start_backends(1).expect("loopback is there"));
    bench.until_in_service(1).await;
    bench.link.shards.line(0).connections.add(1);
    bench.stops.send(Stop::Terminate).await.expect("it runs");
    bench.stops.send(Stop::Terminate).await.expect("it runs");
    let ending = bench
        .running
        .await
        .expect("it does not panic")
        .expect("nothing failed");
    assert_eq!(ending, Ending::CutShort { connections: 1 });
}
