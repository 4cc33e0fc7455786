use super::*;
use crate::limits::SIGN_INS_MAX;

/// One that changes things and one that reads.
fn held() -> Held {
    Held::of(&[("A", "secret", false), ("R", "other", true)])
}

fn here() -> Network {
    Network::of("192.0.2.1".parse().unwrap())
}

struct Bench {
    sign_ins: SignIns,
    held: Held,
    began: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            sign_ins: SignIns::new(SIGN_INS_MAX),
            held: held(),
            began: Instant::now(),
        }
    }

    fn begin(&mut self, id: &str, now: Instant) -> SignedIn {
        let holder = self.held.holder(id).unwrap();
        let (signed_in, displaced) = self.sign_ins.begin(holder, here(), now).unwrap();
        assert!(!displaced);
        signed_in
    }

    fn holds(&mut self, signed_in: &SignedIn, now: Instant) -> bool {
        let found = self.sign_ins.find(&signed_in.pass, &self.held, here(), now);
        found.is_some()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pass_says_whose_it_is_until_its_end() {
    let mut bench = Bench::new();
    let now = bench.began;
    let (one, other) = (bench.begin("A", now), bench.begin("R", now));
    assert_eq!((one.who.as_str(), one.is_read_only), ("A", false));
    assert_eq!(one.ends_in, SIGN_IN_TIME_MAX);
    let found = bench.sign_ins.find(&other.pass, &bench.held, here(), now);
    let found = found.expect("it holds");
    assert_eq!((found.who.as_str(), found.is_read_only), ("R", true));
    let again = Pass::parse(&one.pass.text()).expect("it is one");
    bench.sign_ins.end(&again);
    assert!(!bench.holds(&one, now) && bench.holds(&other, now));
    for text in ["", "00", &"x".repeat(64), &other.pass.text()[1..]] {
        assert!(Pass::parse(text).is_none(), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_rest_and_with_age() {
    let mut bench = Bench::new();
    let now = bench.began;
    let resting = bench.begin("A", now);
    let almost = SIGN_IN_REST_MAX - Duration::from_secs(1);
    assert!(bench.holds(&resting, now + almost));
    assert!(bench.holds(&resting, now + 2 * almost));
    assert!(!bench.holds(&resting, now + 2 * almost + SIGN_IN_REST_MAX));

    let busy = bench.begin("A", now);
    let mut time = now;
    while time < now + SIGN_IN_TIME_MAX {
        assert!(bench.holds(&busy, time));
        time += almost;
    }
    assert!(!bench.holds(&busy, now + SIGN_IN_TIME_MAX));
    assert!(bench.sign_ins.all.is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_its_credential_or_its_secret_and_reads_once_that_only_reads() {
    let mut bench = Bench::new();
    let now = bench.began;
    let one = bench.begin("A", now);
    bench.held = Held::of(&[("A", "secret", true)]);
    let found = bench.sign_ins.find(&one.pass, &bench.held, here(), now);
    assert!(found.expect("it holds").is_read_only);
    bench.held = Held::of(&[("A", "another", false)]);
    assert!(!bench.holds(&one, now));
    bench.held = held();
    assert!(!bench.holds(&one, now), "it has ended for good");

    let one = bench.begin("A", now);
    bench.held = Held::of(&[("R", "other", true)]);
    assert!(!bench.holds(&one, now));
}

#[tokio::test(start_paused = true)]
async fn elsewhere_it_is_nothing_and_stays_what_it_is_here() {
    let mut bench = Bench::new();
    let now = bench.began;
    let one = bench.begin("A", now);
    let there = Network::of("192.0.2.2".parse().unwrap());
    let found = bench.sign_ins.find(&one.pass, &bench.held, there, now);
    assert!(found.is_none());
    assert!(bench.holds(&one, now));
}

#[tokio::test(start_paused = true)]
async fn at_the_bound_whoever_rested_longest_is_signed_out() {
    let mut bench = Bench::new();
    bench.sign_ins = SignIns::new(2);
    let second = Duration::from_secs(1);
    let now = bench.began;
    let (one, two) = (bench.begin("A", now), bench.begin("A", now + second));
    assert!(bench.holds(&one, now + 2 * second));
    let holder = bench.held.holder("A").unwrap();
    let begun = bench.sign_ins.begin(holder, here(), now + 3 * second);
    let (three, displaced) = begun.unwrap();
    assert!(displaced);
    let later = now + 4 * second;
    let hold = [&one, &two, &three].map(|signed_in| bench.holds(signed_in, later));
    assert_eq!(hold, [true, false, true]);
    // Those that are over make room by themselves.
    let over = later + SIGN_IN_REST_MAX;
    bench.begin("A", over);
    assert_eq!(bench.sign_ins.all.len(), 1);
}

#[test]
fn a_token_is_of_one_pass_and_neither_can_be_read_in_the_log() {
    let [one, other] = [1, 2].map(|byte| Pass([byte; 32]));
    assert!(one.has_token(one.token().as_bytes()));
    assert!(!one.has_token(other.token().as_bytes()) && !one.has_token(b""));
    assert_ne!(one.token(), one.text());
    assert_eq!(format!("{one:?}"), "Pass");
}
