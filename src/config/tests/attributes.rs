//! Draining, affinity switches, weights and windows, and which of their defaults a profile changes.

use super::*;
use crate::http::DesyncMode;

fn with(keys: &str) -> String {
    small("", &format!("[load_balancer.attributes]\n{keys}"))
}

/// The attributes of a file that says `keys` about them.
fn attributes(keys: &str) -> Attributes {
    let config = parse(&with(keys), "elbow.toml");
    let config = config.unwrap_or_else(|problems| panic!("{keys}: {problems}"));
    config.load_balancers[0].attributes.clone()
}

fn affinity(keys: &str) -> Affinity {
    attributes(keys).affinity
}

#[test]
fn connection_draining_is_a_switch_or_a_time() {
    let draining =
        |value| attributes(&format!("connection_draining = {value}")).connection_draining;
    assert_eq!(draining("false"), None);
    assert_eq!(draining("true"), Some(Duration::from_secs(300)));
    assert_eq!(draining("1"), Some(Duration::from_secs(1)));
    assert_eq!(draining("\"1h\""), Some(Duration::from_secs(3600)));
    assert_eq!(draining("\"50ms\""), Some(Duration::from_millis(50)));
}

#[test]
fn sessions_stay_on_a_draining_backend_until_a_deadline() {
    let mode = |keys| attributes(keys).drain_mode;
    let until = |seconds| DrainMode::Sessions {
        deadline: Duration::from_secs(seconds),
    };
    assert_eq!(
        mode("drain_mode = \"connections\""),
        DrainMode::Connections { timeout: None }
    );
    assert_eq!(mode("drain_mode = \"session\""), until(3600));
    let week = "drain_deadline = \"168h\"\ndrain_mode = \"session\"";
    assert_eq!(mode(week), until(7 * 24 * 3600));
}

#[test]
fn every_desync_mode_is_known() {
    assert_eq!(attributes("").desync_mode, DesyncMode::Defensive);
    for (word, expected) in [
        ("monitor", DesyncMode::Monitor),
        ("defensive", DesyncMode::Defensive),
        ("strictest", DesyncMode::Strictest),
    ] {
        let keys = format!("desync_mode = \"{word}\"");
        assert_eq!(attributes(&keys).desync_mode, expected);
    }
}

#[test]
fn every_affinity_switch_arrives() {
    let keys = "underscore_encoding = \"all-set-cookies\"\nstrip_cookie = true\nstrict = true\n\
                fallback_affinity = \"header:X-Device\"\nload_bound = 0.25\nslow_start = \"2m\"\n\
                standby_header = true\nreason_header = true\nfailover = \"least-outstanding\"\n";
    let expected = Affinity {
        underscore_encoding: UnderscoreEncoding::AllSetCookies,
        strips_cookie: true,
        is_strict: true,
        fallback: Fallback::Header("X-Device".to_owned()),
        load_bound_percent: Some(25),
        slow_start: Duration::from_secs(120),
        sends_standby: true,
        sends_reason: true,
        failover: Failover::LeastOutstanding,
    };
    assert_eq!(affinity(keys), expected);
}

#[test]
fn every_word_of_a_switch_is_known() {
    for (word, expected) in [
        ("stickiness-cookie", UnderscoreEncoding::StickinessCookie),
        ("all-set-cookies", UnderscoreEncoding::AllSetCookies),
        ("request-dollar-path", UnderscoreEncoding::RequestDollarPath),
        ("off", UnderscoreEncoding::Off),
    ] {
        let keys = format!("underscore_encoding = \"{word}\"");
        assert_eq!(affinity(&keys).underscore_encoding, expected);
    }
    let fallback = |word| affinity(&format!("fallback_affinity = \"{word}\"")).fallback;
    assert_eq!(fallback("none"), Fallback::None);
    assert_eq!(fallback("client-address"), Fallback::ClientAddress);
    assert_eq!(affinity("failover = \"rank\"").failover, Failover::Rank);
}

#[test]
fn a_load_bound_is_a_part_of_the_fair_share_in_percent() {
    let bound = |value: &str| affinity(&format!("load_bound = {value}")).load_bound_percent;
    assert_eq!(bound("false"), None);
    for (value, percent) in [
        ("0.01", 1),
        ("0.29", 29),
        ("0.125", 13),
        ("1", 100),
        ("10", 1000),
        ("1e1", 1000),
    ] {
        assert_eq!(bound(value), Some(percent), "{value}");
    }
}

#[test]
fn slow_start_is_off_at_0_and_at_false() {
    let slow_start = |value| affinity(&format!("slow_start = {value}")).slow_start;
    assert_eq!(slow_start("0"), Duration::ZERO);
    assert_eq!(slow_start("false"), Duration::ZERO);
    assert_eq!(slow_start("1"), Duration::from_secs(1));
    assert_eq!(slow_start("\"15m\""), Duration::from_secs(900));
}

#[test]
fn a_bound_of_requests_comes_with_a_queue_as_the_classic_load_balancer_has_it() {
    let overload = |keys| attributes(keys).overload;
    let expected = Overload {
        max_outstanding: NonZeroU32::new(65_536),
        surge_queue: 1024,
        queue_timeout: None,
    };
    assert_eq!(overload("max_outstanding = 65536"), expected);
    let keys = "surge_queue = 0\nmax_outstanding = 1\nqueue_timeout = \"250ms\"";
    let expected = Overload {
        max_outstanding: NonZeroU32::new(1),
        surge_queue: 0,
        queue_timeout: Some(Duration::from_millis(250)),
    };
    assert_eq!(overload(keys), expected);
    assert_eq!(overload("max_outstanding = false"), Overload::default());
    let waits = |keys| attributes(keys).queue_timeout();
    assert_eq!(
        waits("max_outstanding = 1\nidle_timeout = 7"),
        Duration::from_secs(7)
    );
    assert_eq!(waits(keys), Duration::from_millis(250));
}

#[test]
fn what_a_bound_of_requests_may_not_say_is_refused_with_what_it_may() {
    let no_bound = "needs max_outstanding: without it nobody waits";
    let timeout = "must be 1 to 4000 seconds, or text from \"50ms\" to \"4000s\"";
    for (keys, expected) in [
        ("max_outstanding = 0", "must be 1 to 65536"),
        ("max_outstanding = 65537", "must be 1 to 65536"),
        ("max_outstanding = true", "must be a whole number"),
        ("surge_queue = 10", no_bound),
        ("max_outstanding = false\nqueue_timeout = 1", no_bound),
        (
            "max_outstanding = 9\nsurge_queue = 1025",
            "must be 0 to 1024",
        ),
        ("max_outstanding = 9\nqueue_timeout = 0", timeout),
    ] {
        assert_eq!(only_mistake(&with(keys)), expected, "{keys}");
    }
}

#[test]
fn the_field_of_an_id_is_none_that_means_something_else() {
    let id = |value| attributes(&format!("request_id = {value}")).request_id;
    assert_eq!(id("\"X-Request-Id\""), Some("X-Request-Id".to_owned()));
    assert_eq!(id("false"), None);
    for (value, expected) in [
        (
            "\"X Id\"",
            "must be 1 to 128 letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            "\"X-Forwarded-For\"",
            "is a field that means something else to elbow",
        ),
        (
            "true",
            "must be the name of a field, such as \"X-Request-Id\", or false",
        ),
    ] {
        let keys = format!("request_id = {value}");
        assert_eq!(only_mistake(&with(&keys)), expected, "{keys}");
    }
}

#[test]
fn what_an_attribute_may_not_say_is_refused_with_what_it_may() {
    let draining = "must be 1 to 3600 seconds, or text from \"50ms\" to \"1h\", or true or false";
    let slow_start = "must be 1 to 900 seconds, or text from \"50ms\" to \"15m\", or 0 or false";
    let deadline = "must be 1 to 604800 seconds, or text from \"50ms\" to \"168h\"";
    let bound = "must be 0.01 to 10, or false";
    for (keys, expected) in [
        ("connection_draining = 0", draining),
        ("connection_draining = 3601", draining),
        ("connection_draining = [true]", draining),
        (
            "drain_mode = \"sessions\"",
            "must be \"connections\" or \"session\"",
        ),
        ("drain_mode = \"session\"\ndrain_deadline = 0", deadline),
        (
            "drain_mode = \"session\"\ndrain_deadline = \"169h\"",
            deadline,
        ),
        ("drain_deadline = 60", "needs drain_mode = \"session\""),
        (
            "drain_mode = \"connections\"\ndrain_deadline = 60",
            "needs drain_mode = \"session\"",
        ),
        (
            "desync_mode = \"strict\"",
            "must be \"monitor\", \"defensive\" or \"strictest\"",
        ),
        (
            "underscore_encoding = \"on\"",
            "must be \"stickiness-cookie\", \"all-set-cookies\", \"request-dollar-path\" or \"off\"",
        ),
        ("strip_cookie = \"yes\"", "must be true or false"),
        ("strict = 1", "must be true or false"),
        ("standby_header = \"X-Standby\"", "must be true or false"),
        ("reason_header = 0", "must be true or false"),
        (
            "fallback_affinity = \"X-Device\"",
            "must be \"none\", \"client-address\" or such as \"header:X-Device\"",
        ),
        (
            "fallback_affinity = \"header:\"",
            "the name after header: must be 1 to 128 letters, digits and !#$%&'*+-.^_`|~",
        ),
        ("load_bound = 0", bound),
        ("load_bound = 0.009", bound),
        ("load_bound = 10.01", bound),
        ("load_bound = -0.5", bound),
        ("load_bound = nan", bound),
        ("load_bound = inf", bound),
        ("load_bound = true", bound),
        ("load_bound = \"25%\"", bound),
        ("slow_start = 901", slow_start),
        ("slow_start = true", slow_start),
        ("slow_start = \"1ms\"", slow_start),
        (
            "failover = \"none\"",
            "must be \"rank\" or \"least-outstanding\"",
        ),
    ] {
        assert_eq!(only_mistake(&with(keys)), expected, "{keys}");
    }
}

#[test]
fn all_of_them_are_named_in_one_report() {
    let keys = "load_bound = 0\nslow_start = 901\nfailover = 1\ndrain_mode = 1\nstrict = 1\n";
    let expected = [
        "9 load_balancer[0].attributes.load_bound = 0",
        "10 load_balancer[0].attributes.slow_start = 901",
        "11 load_balancer[0].attributes.failover = 1",
        "12 load_balancer[0].attributes.drain_mode = 1",
        "13 load_balancer[0].attributes.strict = 1",
    ];
    assert_eq!(problems(&with(keys)), expected);
}

#[test]
fn the_modern_profile_drains_by_session_and_bounds_load() {
    let modern = |keys: &str| {
        let text = format!("profile = \"modern\"\n{}", with(keys));
        let config = parse(&text, "elbow.toml").expect("the file holds");
        config.load_balancers[0].attributes.clone()
    };
    let expected = Attributes {
        connection_draining: Some(Duration::from_secs(300)),
        drain_mode: DrainMode::Sessions {
            deadline: Duration::from_secs(3600),
        },
        affinity: Affinity {
            load_bound_percent: Some(25),
            ..Affinity::default()
        },
        ..Attributes::default()
    };
    assert_eq!(modern(""), expected);
    let without = format!("profile = \"modern\"\n{}", small("", ""));
    let without = parse(&without, "elbow.toml").expect("the file holds");
    assert_eq!(without.load_balancers[0].attributes, expected);
    let written = "connection_draining = false\ndrain_mode = \"connections\"\nload_bound = false\n";
    assert_eq!(modern(written), Attributes::default());
    let deadline = modern("drain_deadline = 60").drain_mode;
    assert_eq!(
        deadline,
        DrainMode::Sessions {
            deadline: Duration::from_secs(60)
        }
    );
}

#[test]
fn weights_and_windows_end_at_their_bounds() {
    let instance = |weight: &str| {
        let instance = "[[instance]]\nid = \"i\"\naddress = \"10.0.0.1\"\n";
        let list = "name = \"a\"\ninstances = [\"i\", \"10.0.0.2\"]";
        small("", &format!("{instance}{weight}")).replace("name = \"a\"", list)
    };
    let weights = |weight: &str| {
        let config = parse(&instance(weight), "elbow.toml").expect("the file holds");
        let backends = &config.load_balancers[0].backends;
        backends
            .iter()
            .map(|backend| backend.weight)
            .collect::<Vec<_>>()
    };
    assert_eq!(weights(""), [1, 1]);
    assert_eq!(weights("weight = 0"), [0, 1]);
    assert_eq!(weights("weight = 256"), [256, 1]);
    assert_eq!(only_mistake(&instance("weight = 257")), "must be 0 to 256");

    let window = |value: &str| small("", &format!("[host]\nsession_window = {value}"));
    let config = parse(&window("\"5m\""), "elbow.toml").expect("the file holds");
    assert_eq!(config.host.session_window, Duration::from_secs(300));
    for value in ["0", "301", "\"99ms\""] {
        assert_eq!(
            only_mistake(&window(value)),
            "must be 1 to 300 seconds, or text from \"100ms\" to \"5m\""
        );
    }
}
