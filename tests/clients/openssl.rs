//! What OpenSSL's own client says: which versions, suites and certificates there are, that sessions
//! go on, and how connections end.

use std::process::Command;

use crate::authority::{Authority, Kind};
use crate::harness::{After, Backend, Directory, Setup, reply};
use crate::program::run;
use crate::{Bench, HOST};

/// Debian's OpenSSL offers what is old or weak only if it is told to.
const ANYTHING: &str = "@SECLEVEL=0";

/// What `s_client` has seen of one connection.
#[derive(Debug)]
struct Seen {
    code: Option<i32>,
    text: String,
}

/// A handshake that succeeded.
#[derive(Debug, PartialEq, Eq)]
struct Agreed<'a> {
    is_resumed: bool,
    version: &'a str,
    suite: &'a str,
}

impl Seen {
    /// What both sides have agreed upon, if they have.
    fn agreed(&self) -> Option<Agreed<'_>> {
        let mut lines = self.text.lines().rev();
        let line = lines.find(|line| line.contains(", Cipher is "));
        let (begun, rest) = line.expect("it says how it went").split_once(", ")?;
        let (version, suite) = rest.split_once(", Cipher is ")?;
        (!self.is_alerted()).then_some(Agreed {
            is_resumed: begun == "Reused",
            version,
            suite,
        })
    }

    /// The suite, where it must be one of a new session.
    fn suite(&self) -> &str {
        self.agreed().unwrap_or_else(|| panic!("{self:?}")).suite
    }

    /// Whether the other end has ended it by an alert.
    fn is_alerted(&self) -> bool {
        self.code != Some(0) && self.text.contains("SSL alert number ")
    }

    fn has(&self, line: &str) -> bool {
        self.text.lines().any(|seen| seen == line)
    }

    /// The certificates that were sent, as they are in a file.
    fn chain(&self) -> Vec<String> {
        const END: &str = "-----END CERTIFICATE-----\n";
        let blocks = self.text.split_inclusive(END);
        let begin = |block: &str| block.find("-----BEGIN CERTIFICATE-----");
        blocks
            .filter_map(|block| Some(block[begin(block)?..].to_owned()))
            .collect()
    }
}

/// Connects and says that on standard input.
fn connect(port: u16, arguments: &[&str], input: &str) -> Seen {
    let mut command = Command::new("openssl");
    command
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(arguments);
    let answer = run(&mut command, input);
    Seen {
        code: answer.code,
        text: answer.stdout + &answer.stderr,
    }
}

/// One request for which elbow closes the connection: by then all is said that it has to say.
fn ask(port: u16, arguments: &[&str]) -> Seen {
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    connect(port, &[&["-ign_eof"], arguments].concat(), &request)
}

/// As OpenSSL calls the suites that a certificate of this kind is offered with, in elbow's order.
fn suites(kind: Kind) -> [&'static str; 3] {
    match kind {
        Kind::Ecdsa => [
            "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
        ],
        Kind::Rsa => [
            "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ],
    }
}

/// Those of TLS 1.3, in elbow's order.
const SUITES_OF_1_3: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let bench = Bench::new(Kind::Rsa, Backend::named("one"));
    let everything = format!("ALL:COMPLEMENTOFALL:{ANYTHING}");
    let speak = |version| ask(bench.port(), &[version, "-cipher", &everything]);
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let seen = speak(version);
        assert_eq!(seen.agreed().expect(version).version, name);
        assert!(seen.text.contains("one"), "{seen:?}");
    }
    for version in ["-tls1", "-tls1_1"] {
        let seen = speak(version);
        assert!(seen.is_alerted(), "{version}: {seen:?}");
    }
    let refused = bench.elbow.sum("elbow_tls_handshake_failures_total");
    assert_eq!(refused, 2);
}

#[test]
fn each_suite_of_tls_1_2_is_refused_alone_except_those_offered() {
    let mut list = Command::new("openssl");
    list.args(["ciphers", "-s", "-tls1_2"]);
    list.arg(format!("ALL:COMPLEMENTOFALL:{ANYTHING}"));
    let listed = run(&mut list, "").expect_success();
    let all: Vec<&str> = listed.trim().split(':').collect();
    // RSA key exchange, CBC, no forward secrecy: what the client could do, so that it is elbow that
    // refuses it.
    for refused in ["AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA256"] {
        assert!(all.contains(&refused), "{refused} is none of {all:?}");
    }
    for kind in Kind::BOTH {
        let bench = Bench::new(kind, Backend::named("one"));
        let is_accepted = |suite: &&&str| {
            let alone = format!("{suite}:{ANYTHING}");
            let seen = ask(bench.port(), &["-tls1_2", "-cipher", &alone]);
            assert!(seen.is_alerted() || seen.suite() == **suite, "{seen:?}");
            !seen.is_alerted()
        };
        let mut accepted: Vec<&str> = all.iter().filter(is_accepted).copied().collect();
        accepted.sort_unstable();
        assert_eq!(accepted, suites(kind));
    }
}

#[test]
fn each_suite_of_tls_1_3_is_refused_alone_except_those_offered() {
    let bench = Bench::new(Kind::Ecdsa, Backend::named("one"));
    let speak = |suite| ask(bench.port(), &["-tls1_3", "-ciphersuites", suite]);
    for suite in SUITES_OF_1_3 {
        assert_eq!(speak(suite).suite(), suite);
    }
    for suite in ["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"] {
        let seen = speak(suite);
        assert!(seen.is_alerted(), "{suite}: {seen:?}");
    }
}

#[test]
fn the_order_of_suites_is_elbows() {
    for kind in Kind::BOTH {
        let bench = Bench::new(kind, Backend::named("one"));
        let versions = [
            ("-tls1_2", "-cipher", suites(kind)),
            ("-tls1_3", "-ciphersuites", SUITES_OF_1_3),
        ];
        for (version, flag, mut suites) in versions {
            suites.reverse();
            // The client likes the last best; of what is left elbow takes its first.
            for first in 0..suites.len() {
                let wanted = &suites[first..];
                let seen = ask(bench.port(), &[version, flag, &wanted.join(":")]);
                assert_eq!(seen.suite(), suites[2], "{wanted:?}");
                let wanted = &suites[..=first];
                let seen = ask(bench.port(), &[version, flag, &wanted.join(":")]);
                assert_eq!(seen.suite(), suites[first], "{wanted:?}");
            }
        }
    }
}

#[test]
fn the_name_picks_the_certificate_and_its_chain_is_sent_whole() {
    let authority = Authority::new();
    let site = authority.certify(&[HOST], Kind::Ecdsa);
    let shop = authority.certify(&["shop.test", "www.shop.test"], Kind::Rsa);
    let wild = authority.certify(&["*.wild.test"], Kind::Ecdsa);
    let backend = Backend::named("one");
    let others = format!("certificates = [{:?}, {:?}]", shop.file, wild.file);
    let elbow = Setup::new(&[backend.address])
        .https(&format!("{}\n{others}", site.lines()))
        .start(&[&backend]);
    let show = |arguments: &[&str]| {
        let always = ["-showcerts", "-CAfile", &authority.root];
        ask(elbow.listeners[1].port(), &[&always, arguments].concat())
    };
    for (host, expected) in [
        (HOST, &site),
        ("shop.test", &shop),
        ("WWW.shop.test", &shop),
        ("any.wild.test", &wild),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            let name = ["-servername", host, "-verify_hostname", host];
            let seen = show(&[&name[..], &["-verify_return_error", version]].concat());
            assert_eq!(seen.chain(), expected.chain, "{host}: {seen:?}");
            assert!(seen.has("Verification: OK"), "{host}: {seen:?}");
            assert_eq!(seen.code, Some(0));
        }
    }
    // Nobody's name, a wildcard's parent, two labels for one, no name at all: the default.
    for host in ["other.test", "wild.test", "a.b.wild.test"] {
        assert_eq!(show(&["-servername", host]).chain(), site.chain, "{host}");
    }
    assert_eq!(show(&["-noservername"]).chain(), site.chain);
}

#[test]
fn http_1_1_is_agreed_upon_and_http_2_alone_is_refused() {
    let bench = Bench::new(Kind::Ecdsa, Backend::named("one"));
    let offer = |protocols| ask(bench.port(), &["-alpn", protocols]);
    for protocols in ["http/1.1", "h2,http/1.1"] {
        let seen = offer(protocols);
        assert!(seen.has("ALPN protocol: http/1.1"), "{protocols}: {seen:?}");
    }
    let seen = offer("h2");
    assert!(seen.is_alerted(), "{seen:?}");
    assert!(seen.text.contains("no application protocol"), "{seen:?}");
    // A client that knows nothing of it speaks HTTP/1.1 anyway.
    assert!(ask(bench.port(), &[]).has("No ALPN negotiated"));
}

#[test]
fn nothing_is_compressed_and_nothing_renegotiated() {
    let bench = Bench::with(Kind::Ecdsa, Backend::named("one"), |setup| {
        setup.attribute("idle_timeout = \"1s\"")
    });
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(ask(bench.port(), &[version, "-comp"]).has("Compression: NONE"));
    }
    // `R` asks for new keys by another handshake. The refusal comes with elbow's next words, which
    // are those of the idle timeout here.
    let seen = connect(bench.port(), &["-tls1_2"], "R\n");
    assert!(seen.has("RENEGOTIATING"), "{seen:?}");
    assert!(seen.text.contains(":no renegotiation:"), "{seen:?}");
    assert_ne!(seen.code, Some(0));
    assert_eq!(bench.elbow.sum("elbow_tls_handshakes_total"), 3);
}

#[test]
fn sessions_resume_by_tickets_on_any_shard() {
    const TRIES: usize = 20;
    let bench = Bench::new(Kind::Ecdsa, Backend::named("one"));
    let directory = Directory::new();
    let resumed = |shard| {
        let name = format!("elbow_tls_resumed_total{{shard=\"{shard}\"}} ");
        let text = bench.elbow.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(&name));
        line.and_then(|value| value.parse::<usize>().ok())
            .expect("a count")
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let before = [resumed(0), resumed(1)];
        let file = directory.path().join(version).display().to_string();
        let first = ask(bench.port(), &[version, "-sess_out", &file]);
        assert!(!first.agreed().expect(version).is_resumed);
        for _ in 0..TRIES {
            let seen = ask(bench.port(), &[version, "-sess_in", &file]);
            assert!(seen.agreed().expect(version).is_resumed, "{seen:?}");
            assert_eq!(seen.code, Some(0));
        }
        let of_shards = [resumed(0) - before[0], resumed(1) - before[1]];
        assert_eq!(of_shards.iter().sum::<usize>(), TRIES, "{of_shards:?}");
        // The kernel spreads connections over two shards: nearly never all to one.
        assert!(!of_shards.contains(&0), "{version}: {of_shards:?}");
    }
}

#[test]
fn the_end_of_an_answer_is_announced_and_a_cut_is_not() {
    let backend = Backend::with(|request, wire| match request.head.target() {
        "/cut" => {
            wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")?;
            Ok(After::Close)
        }
        _ => reply(wire, "one"),
    });
    let bench = Bench::new(Kind::Ecdsa, backend);
    let is_notified = |seen: &Seen| {
        let mut lines = seen.text.lines();
        lines.any(|line| line.contains("<<< TLS 1.") && line.ends_with("warning close_notify"))
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let seen = ask(bench.port(), &[version, "-msg"]);
        assert!(is_notified(&seen), "{seen:?}");
        assert_eq!(seen.code, Some(0), "{seen:?}");
        let request = format!("GET /cut HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        let seen = connect(bench.port(), &["-ign_eof", "-msg", version], &request);
        assert!(seen.text.contains("short"), "{seen:?}");
        assert!(!is_notified(&seen), "{seen:?}");
        assert_ne!(seen.code, Some(0), "{seen:?}");
    }
}
