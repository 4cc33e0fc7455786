//! What curl says: whom it trusts, what its jar keeps, and that long bodies pass whole.

use std::fs;
use std::process::Command;

use crate::authority::{Authority, Kind};
use crate::harness::{Backend, Directory, Elbow, Setup, reply};
use crate::program::{Answer, run};
use crate::{Bench, HOST};

/// curl's exit code for a certificate that it does not take.
const NOT_TRUSTED: Option<i32> = Some(60);

/// More requests than two backends would share by chance.
const REQUESTS: usize = 100;

/// Asks `host` at that port, trusting who is in the file `root`. `what` ends with the URL's path.
fn ask(host: &str, port: u16, root: &str, what: &[&str]) -> Answer {
    let (path, arguments) = what.split_last().expect("a path");
    let mut command = Command::new("curl");
    command
        .args(["-sS", "--max-time", "50", "--noproxy", "*"])
        .args(["--cacert", root])
        .args(["--resolve", &format!("{host}:{port}:127.0.0.1")])
        .args(arguments)
        .arg(format!("https://{host}:{port}{path}"));
    run(&mut command, "")
}

/// Elbow with a sticky HTTPS listener before two backends.
struct Sticky {
    authority: Authority,
    elbow: Elbow,
    _backends: [Backend; 2],
}

impl Sticky {
    fn new(attribute: &str) -> Self {
        let authority = Authority::new();
        let lines = authority.certify(&[HOST], Kind::Ecdsa).lines();
        let backends = [Backend::named("one"), Backend::named("two")];
        let elbow = Setup::sticky(&backends.each_ref().map(|b| b.address), None)
            .https(&lines)
            .attribute(attribute)
            .start(&backends.each_ref());
        Self {
            authority,
            elbow,
            _backends: backends,
        }
    }

    fn ask(&self, what: &[&str]) -> String {
        let port = self.elbow.listeners[1].port();
        ask(HOST, port, &self.authority.root, what).expect_success()
    }

    /// The backends that answer many requests, each on a connection of its own.
    fn answering(&self, arguments: &[&str]) -> Vec<String> {
        let many = format!("/?[1-{REQUESTS}]");
        let close = ["-H", "Connection: close", "-w", "\n"];
        let answers = self.ask(&[&close, arguments, &[&many]].concat());
        let mut names: Vec<String> = answers.lines().map(str::to_owned).collect();
        assert_eq!(names.len(), REQUESTS);
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A cookie in a jar, in the format of Netscape's.
#[derive(Debug)]
struct Kept {
    name: String,
    value: String,
    is_secure: bool,
}

fn jar(text: &str) -> Vec<Kept> {
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    let fields = lines.map(|line| line.split('\t').collect::<Vec<_>>());
    let kept = fields.filter_map(|fields| match fields[..] {
        [_, _, _, secure, _, name, value] => Some(Kept {
            name: name.to_owned(),
            value: value.to_owned(),
            is_secure: secure == "TRUE",
        }),
        _ => None,
    });
    let mut kept: Vec<Kept> = kept.collect();
    kept.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    kept
}

#[test]
fn the_host_of_the_certificate_is_trusted_and_no_other() {
    for kind in Kind::BOTH {
        let bench = Bench::new(kind, Backend::named("one"));
        let root = &bench.authority.root;
        let answer = ask(HOST, bench.port(), root, &["/"]);
        assert_eq!(answer.expect_success(), "one");
        let answer = ask("other.test", bench.port(), root, &["/"]);
        assert_eq!(answer.code, NOT_TRUSTED, "{answer:?}");
        let stranger = Authority::new();
        let answer = ask(HOST, bench.port(), &stranger.root, &["/"]);
        assert_eq!(answer.code, NOT_TRUSTED, "{answer:?}");
    }
}

#[test]
fn a_jar_keeps_a_session_at_one_backend_by_whichever_cookies_there_are() {
    for (setting, second_names) in [
        ("AWSALBCORS", &["AWSALBCORS"][..]),
        ("AWSELBCORS", &["AWSELBCORS"]),
        ("both", &["AWSALBCORS", "AWSELBCORS"]),
    ] {
        let sticky = Sticky::new(&format!("cors_cookie_name = {setting:?}"));
        let directory = Directory::new();
        let file = directory.path().join("jar").display().to_string();
        let head = sticky.ask(&["-D", "-", "-c", &file, "/"]);
        let text = fs::read_to_string(&file).expect("curl has written it");
        let kept = jar(&text);
        let names: Vec<&str> = kept.iter().map(|cookie| cookie.name.as_str()).collect();
        let mut expected = [&["AWSELB"], second_names].concat();
        expected.sort_unstable();
        assert_eq!(names, expected, "{head}");
        for cookie in &kept {
            assert_eq!(cookie.value, kept[0].value, "{head}");
            let is_second = cookie.name != "AWSELB";
            assert_eq!(cookie.is_secure, is_second, "{head}");
            let begin = format!("Set-Cookie: {}=", cookie.name);
            let line = head.lines().find(|line| line.starts_with(&begin));
            let line = line.expect("it came by this head");
            assert_eq!(line.ends_with(";SECURE;SAMESITE=None"), is_second, "{line}");
        }

        let first = head.lines().last().expect("a body");
        assert_eq!(sticky.answering(&["-b", &file]), [first]);
        for cookie in &kept {
            let alone = format!("{}={}", cookie.name, cookie.value);
            assert_eq!(sticky.answering(&["-b", &alone]), [first], "{alone}");
        }
        assert_eq!(sticky.answering(&[]), ["one", "two"], "without a cookie");
    }
}

#[test]
fn a_jar_that_fills_on_the_way_keeps_a_session_too() {
    let sticky = Sticky::new("");
    let directory = Directory::new();
    let file = directory.path().join("jar").display().to_string();
    let names = sticky.answering(&["-c", &file, "-b", &file]);
    assert_eq!(names.len(), 1, "{names:?}");
    assert_eq!(sticky.answering(&["-b", &file]), names);
}

#[test]
fn long_bodies_pass_whole_both_ways_by_both_versions() {
    const BYTES: usize = 32 << 20;
    let backend =
        Backend::with(|request, wire| reply(wire, &String::from_utf8_lossy(&request.body)));
    let bench = Bench::new(Kind::Ecdsa, backend);
    let directory = Directory::new();
    let body: String = ('a'..='z').cycle().take(BYTES).collect();
    let sent = format!("@{}", directory.write("sent", &body).display());
    let file = directory.path().join("received");
    let received = file.display().to_string();
    for version in ["1.2", "1.3"] {
        let least = format!("--tlsv{version}");
        let only = [&least, "--tls-max", version];
        let what = [
            "--data-binary",
            &sent,
            "-o",
            &received,
            "-w",
            "%{http_code}",
        ];
        let what = [&only[..], &what, &["/"]].concat();
        let answer = ask(HOST, bench.port(), &bench.authority.root, &what);
        assert_eq!(answer.expect_success(), "200");
        let echo = fs::read(&file).expect("curl has written it");
        assert!(echo == body.as_bytes(), "{} bytes", echo.len());
        fs::remove_file(&file).expect("it is ours");
    }
}
