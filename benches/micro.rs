//! `cargo bench --bench micro`: what each pure stage of the data path costs, alone.
//!
//! The order is that of an exchange: head, cookie, choice, answer; then what is counted. Nothing
//! here waits or does I/O; what elbow costs as a whole is measured by `proxy`. Invariant: inputs
//! look like a browser's and a backend's, and each stage is called as `shard` calls it.

use std::array;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};

use elbow::balance::{Moment, NEWCOMER, least_outstanding};
use elbow::config::{ApplicationPolicy, Attributes, CorsCookieName, DurationPolicy, Stickiness};
use elbow::health::{Stamp, View, id_hash};
use elbow::http::{
    Body, Downstream, Forwarding, Framing, Request, Response, classify, field_slots, find_end,
};
use elbow::limits::SESSIONS_PER_SHARD;
use elbow::state::{Admits, Backend, BackendLine, Count, Histogram, PerShard, Route};
use elbow::sticky::{
    Binding, Census, Key, NONCE_BYTES, Seals, Sessions, Sketch, Tally, Value, Visit, next_home,
    write_lines,
};
use elbow::sys;

/// Shards whose counts are summed for a choice.
const SHARDS: usize = 4;

/// Backends of a load balancer: a few, many, and more than most have.
const POOLS: [usize; 3] = [3, 30, 300];

const STEADY: Moment = Moment {
    now_ms: 0,
    slow_start: Duration::ZERO,
    number: NEWCOMER,
};

const SCOPE: u64 = 7;
const EPOCH: u64 = 1;
const NOW: u64 = 1_700_000_000;

fn policy() -> DurationPolicy {
    DurationPolicy::new("an-hour", NonZeroU32::new(3600))
}

/// What a browser sends on a second page, elbow's cookie left out.
const REQUEST: &[u8] = b"GET /assets/page?id=42 HTTP/1.1\r\n\
    Host: www.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Referer: https://www.example.com/\r\n\
    Connection: keep-alive\r\n\
    Cookie: _ga=GA1.2.1234567890.1700000000; theme=dark\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Priority: u=0, i\r\n\r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: backend\r\n\
    Date: Tue, 14 Nov 2023 22:13:20 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\n\
    Content-Length: 16384\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=60\r\n\
    ETag: \"5e0be100-4000\"\r\n\
    Vary: Accept-Encoding\r\n\r\n";

fn main() {
    // Short enough that all of them take less than a minute.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
        .nresamples(20_000)
        .configure_from_args();
    heads(&mut criterion);
    cookies(&mut criterion);
    choices(&mut criterion);
    bodies(&mut criterion);
    census(&mut criterion);
    latency(&mut criterion);
    criterion.final_summary();
}

fn heads(criterion: &mut Criterion) {
    let forwarding = Forwarding {
        upgrades: false,
        client: "192.0.2.7",
        protocol: "http",
        port: "80",
        fallback_host: "198.51.100.1",
        cookie: None,
        cut: None,
        extra_lines: b"",
    };
    let downstream = Downstream {
        keep_alive: true,
        unchunks: false,
        set_cookie: None,
        extra_lines: b"",
    };
    let mut out = Vec::with_capacity(4096);
    let mut group = criterion.benchmark_group("head");
    group.bench_function("find-end", |bencher| {
        bencher.iter(|| find_end(black_box(REQUEST), 0));
    });
    group.bench_function("request", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut slots = field_slots();
            let request = Request::parse(black_box(REQUEST), &mut slots).expect("a valid head");
            request.write(&forwarding, &mut out);
            black_box(&out).len()
        });
    });
    // Asked only about heads that may not be compliant; the others pay for a look at names.
    group.bench_function("classify", |bencher| {
        bencher.iter(|| classify(black_box(REQUEST)));
    });
    group.bench_function("response", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mut slots = field_slots();
            let response =
                Response::parse(black_box(RESPONSE), false, &mut slots).expect("a valid head");
            response.write(&downstream, &mut out);
            black_box(&out).len()
        });
    });
    group.finish();
}

fn cookies(criterion: &mut Criterion) {
    let route = route(pool(3));
    let binding = |session| Binding {
        scope: SCOPE,
        backend: route.backends[1].id_hash,
        life: 1,
        issued: NOW,
        session,
        began: 1_700_000_000,
    };
    let mut nonces = nonces();
    let seals = seals();
    let value = seals.seal(&binding(1), nonces());
    let mut group = criterion.benchmark_group("cookie");

    // The session's cookie is in the table, as for every request of a session but its first.
    let mut known = Lookups::new();
    let field = cookie_field(&value);
    group.bench_function("hit", |bencher| {
        bencher.iter(|| known.look_up(&route, EPOCH, black_box(&field)));
    });
    assert!(known.misses() <= 1, "a session is opened once");

    // The same when the world has changed since: the session is resolved anew.
    let mut epoch = EPOCH;
    group.bench_function("hit-new-epoch", |bencher| {
        bencher.iter(|| {
            epoch += 1;
            known.look_up(&route, epoch, black_box(&field))
        });
    });

    // And under an application policy: its backend has died, the view says where it moved.
    let moved = moved_route();
    let app_field = [&b"JSESSIONID=1; "[..], &field].concat();
    let mut following = Lookups::new();
    group.bench_function("hit-app", |bencher| {
        bencher.iter(|| following.look_up(&moved, EPOCH, black_box(&app_field)));
    });
    group.bench_function("hit-app-new-epoch", |bencher| {
        bencher.iter(|| {
            epoch += 1;
            following.look_up(&moved, epoch, black_box(&app_field))
        });
    });

    // As many values as the table holds and one more, in turn: none is there when it comes again.
    let fields: Vec<_> = (0..=SESSIONS_PER_SHARD as u64)
        .map(|session| cookie_field(&seals.seal(&binding(session), nonces())))
        .collect();
    let mut next = fields.iter().cycle();
    let mut forgetful = Lookups::new();
    group.bench_function("miss", |bencher| {
        bencher.iter(|| forgetful.look_up(&route, EPOCH, next.next().expect("a cycle has no end")));
    });
    assert_eq!(forgetful.hits(), 0, "no session is remembered");

    group.bench_function("open", |bencher| {
        bencher.iter(|| seals.open(black_box(&value)).expect("ours"));
    });
    group.bench_function("seal", |bencher| {
        bencher.iter(|| seals.seal(black_box(&binding(1)), nonces()));
    });
    // All that a new session adds to its first response, but for the randomness.
    group.bench_function("seal-and-lines", |bencher| {
        let (policy, mut lines) = (policy(), Vec::with_capacity(1024));
        bencher.iter(|| {
            lines.clear();
            let value = seals.seal(black_box(&binding(1)), nonces());
            write_lines(
                &policy,
                CorsCookieName::AwsAlbCors,
                false,
                &value,
                &mut lines,
            );
            black_box(&lines).len()
        });
    });
    group.finish();
}

fn choices(criterion: &mut Criterion) {
    for count in POOLS {
        let backends = pool(count);
        let mut turn = 0;
        criterion.bench_with_input(
            BenchmarkId::new("choose", count),
            &backends,
            |bencher, backends| {
                bencher.iter(|| least_outstanding(black_box(backends), &[], &mut turn, STEADY));
            },
        );
        let mut session = 0;
        criterion.bench_with_input(
            BenchmarkId::new("rank", count),
            &backends,
            |bencher, backends| {
                bencher.iter(|| {
                    session += 1;
                    next_home(session, black_box(backends), &[])
                });
            },
        );
    }
}

fn bodies(criterion: &mut Criterion) {
    // 16 KiB in chunks of 1 KiB, as a server writes them that flushes now and then.
    let mut wire = Vec::new();
    for _ in 0..16 {
        wire.extend_from_slice(b"400\r\n");
        wire.extend_from_slice(&[b'x'; 1024]);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    let mut group = criterion.benchmark_group("body");
    group.throughput(Throughput::Bytes(16 * 1024));
    group.bench_function("chunk-walk-16k", |bencher| {
        bencher.iter(|| {
            let mut body = Body::new(Framing::Chunked);
            let passed = body.pass(black_box(&wire)).expect("valid chunks");
            assert!(body.is_done() && passed == wire.len());
        });
    });
    group.finish();
}

fn census(criterion: &mut Criterion) {
    // As many sessions as fill the sketches' registers, in a pool of many backends.
    const BACKENDS: u64 = 30;
    const SESSIONS: u64 = 10_000 * BACKENDS;
    let mut census = Census::default();
    let mut note = |session: u64| census.note((session % BACKENDS) as u32, session);
    (0..SESSIONS).for_each(&mut note);
    let mut sessions = (0..SESSIONS).cycle();
    criterion.bench_function("census/note", |bencher| {
        bencher.iter(|| note(black_box(sessions.next().expect("a cycle has no end"))));
    });

    // What the control thread does for each of a report's sketches.
    let sketch = |sessions: std::ops::Range<u64>| {
        let mut sketch = Sketch::default();
        sessions.for_each(|session| sketch.insert(session));
        sketch
    };
    let (mut all, reported) = (sketch(0..10_000), sketch(5_000..15_000));
    criterion.bench_function("census/merge", |bencher| {
        bencher.iter(|| all.merge(black_box(&reported)));
    });
}

/// What each request pays for being in the histogram of latencies: two readings of the clock, and
/// the counting.
fn latency(criterion: &mut Criterion) {
    let histogram = Histogram::default();
    let mut group = criterion.benchmark_group("latency");
    group.bench_function("observe", |bencher| {
        let mut nanos = 0;
        bencher.iter(|| {
            nanos = (nanos + 7_919) % 100_000_000;
            histogram.observe(black_box(Duration::from_nanos(nanos)));
        });
    });
    group.bench_function("read-and-observe", |bencher| {
        bencher.iter(|| {
            let asked = sys::Moment::now();
            histogram.observe(sys::Moment::now().since(black_box(asked)));
        });
    });
    group.finish();
}

/// A session table with its counts: hits, misses, evictions, sessions.
struct Lookups {
    sessions: Sessions,
    counts: [Count; 4],
}

impl Lookups {
    fn new() -> Self {
        Self {
            sessions: Sessions::new(seals()),
            counts: array::from_fn(|_| Count::default()),
        }
    }

    fn look_up(&mut self, route: &Route, epoch: u64, field: &[u8]) -> usize {
        let [hits, misses, evictions, sessions] = &self.counts;
        let tally = Tally {
            hits,
            misses,
            evictions,
            sessions,
        };
        let visit = Visit {
            route,
            epoch,
            now: NOW,
            fallback: None,
        };
        let fields = std::iter::once(field);
        let stick = self.sessions.look_up(&visit, fields, &tally);
        stick.home.expect("a backend is in service")
    }

    fn hits(&self) -> u64 {
        self.counts[0].value()
    }

    fn misses(&self) -> u64 {
        self.counts[1].value()
    }
}

fn seals() -> Seals {
    Seals::new(&[Key {
        id: 1,
        secret: [5; 16],
    }])
}

/// Nonces that differ: 96 bits of a counter.
fn nonces() -> impl FnMut() -> [u8; NONCE_BYTES] {
    let mut count = 0_u64;
    move || {
        count += 1;
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&count.to_le_bytes());
        nonce
    }
}

/// A `Cookie` field with two cookies of the site before elbow's.
fn cookie_field(value: &Value) -> Vec<u8> {
    let mut field = b"_ga=GA1.2.1234567890.1700000000; theme=dark; AWSELB=".to_vec();
    field.extend_from_slice(value);
    field
}

/// So many backends in service, each with a few outstanding requests on each shard.
fn pool(count: usize) -> Vec<Backend> {
    (0..count).map(backend).collect()
}

fn backend(index: usize) -> Backend {
    let id = format!("i-{index:08x}");
    let counts: PerShard<BackendLine> = PerShard::new(SHARDS);
    for shard in 0..SHARDS {
        let line = counts.line(shard);
        line.outstanding.set(1 + (index * 7 + shard * 3) as u64 % 5);
    }
    Backend {
        id_hash: id_hash(&id),
        id: id.into(),
        address: "192.0.2.1:8080".parse().expect("an address"),
        slot: 0,
        admits: Admits::All,
        life: 1,
        weight: 1,
        born_ms: 0,
        is_over_bound: false,
        max_outstanding: None,
        counts: Arc::new(counts),
    }
}

/// A route of an application policy, whose second backend has died and come back.
fn moved_route() -> Route {
    let mut route = route(pool(3));
    let policy = ApplicationPolicy::new("app", "JSESSIONID");
    route.stickiness = Some(Arc::new(Stickiness::Application(policy)));
    let at = |wall_ms| Stamp {
        wall_ms,
        ..Stamp::default()
    };
    let mut view = View::default();
    for backend in &route.backends {
        view.chronicle_mut(backend.id_hash).begin(at(1));
    }
    view.chronicle_mut(route.backends[1].id_hash).end(at(2));
    view.chronicle_mut(route.backends[1].id_hash).begin(at(3));
    route.view = Arc::new(view);
    route
}

fn route(backends: Vec<Backend>) -> Route {
    Route {
        listener: 0,
        load_balancer: "web".into(),
        counts: Arc::new(PerShard::new(SHARDS)),
        protocol: elbow::config::Protocol::Http,
        address: "198.51.100.1:80".parse().expect("an address"),
        scope: SCOPE,
        stickiness: Some(Arc::new(Stickiness::Duration(policy()))),
        attributes: Arc::new(Attributes::default()),
        is_secure: false,
        proxy_networks: Arc::new([]),
        proxy_protocol: None,
        subject_header: None,
        backends,
        view: Arc::new(View::default()),
    }
}
