//! The access log: a line for each request and each relayed connection, wherever lines go.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::{
    After, Backend, Directory, Outcome, RawBackend, Setup, Site, TlsClient, eventually, get, post,
};
use crate::tcp;

/// The fields of the Classic Load Balancer, in their order.
const FIELDS: [&str; 15] = [
    "timestamp",
    "elb",
    "client",
    "backend",
    "request_processing_time",
    "backend_processing_time",
    "response_processing_time",
    "elb_status_code",
    "backend_status_code",
    "received_bytes",
    "sent_bytes",
    "request",
    "user_agent",
    "ssl_cipher",
    "ssl_protocol",
];

/// A line by its fields; what is behind them is under `more`.
struct Line(HashMap<&'static str, String>);

impl Line {
    fn parse(line: &str) -> Self {
        let mut fields = vec![String::new()];
        let mut is_quoted = false;
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                ' ' if !is_quoted => fields.push(String::new()),
                other => fields.last_mut().expect("there is one").push(other),
            }
        }
        assert!(fields.len() >= FIELDS.len() && !is_quoted, "{line}");
        let more = fields.split_off(FIELDS.len()).join(" ");
        let mut line: HashMap<_, _> = FIELDS.into_iter().zip(fields).collect();
        line.insert("more", more);
        Self(line)
    }

    #[track_caller]
    fn expect(&self, expected: &[(&str, &str)]) {
        for (name, value) in expected {
            assert_eq!(self.0[name], *value, "{name} of {:?}", self.0);
        }
    }

    /// Its three times; `None` where one is -1.
    fn times(&self) -> [Option<f64>; 3] {
        let [_, _, _, _, request, backend, response, ..] = FIELDS;
        [request, backend, response].map(|name| {
            let seconds: f64 = self.0[name].parse().expect("a number");
            (seconds >= 0.0).then_some(seconds)
        })
    }
}

/// The lines of a file, once there are so many, without those of whoever waited for the start.
fn lines(path: &Path, count: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    eventually("the lines are written", || {
        lines = lines_now(path);
        lines.len() >= count
    });
    assert_eq!(lines.len(), count);
    lines
}

fn lines_now(path: &Path) -> Vec<Line> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.contains("/in-service "));
    lines.map(Line::parse).collect()
}

/// elbow with its access log in a file of this directory.
fn logged(setup: Setup, directory: &Directory, more: &str) -> Setup {
    let path = directory.path().join("access.log");
    setup.table("access_log", &format!("to = {path:?}\n{more}"))
}

#[test]
fn a_request_is_a_line_with_the_fields_of_the_classic_load_balancer() {
    let directory = Directory::new();
    let backend = Backend::named("one");
    let setup = logged(Setup::new(&[backend.address]), &directory, "");
    let elbow = setup.start(&[&backend]);
    let mut wire = elbow.connect();
    let agent = ["User-Agent: a \"quoted\" agent"];
    assert_eq!(wire.ask(&post("/x?y=%20", &agent, "four")).status(), 200);
    let [line] = &lines(&directory.path().join("access.log"), 1)[..] else {
        unreachable!("there is one");
    };
    let request = format!(
        "POST http://localhost:{}/x?y=%20 HTTP/1.1",
        elbow.address().port()
    );
    line.expect(&[
        ("elb", "web"),
        ("client", &wire.local_address().to_string()),
        ("backend", &backend.address.to_string()),
        ("elb_status_code", "200"),
        ("backend_status_code", "200"),
        ("received_bytes", "4"),
        ("sent_bytes", "3"),
        ("request", &request),
        ("user_agent", "a \\x22quoted\\x22 agent"),
        ("ssl_cipher", "-"),
        ("ssl_protocol", "-"),
        ("more", ""),
    ]);
    assert!(line.times().iter().all(Option::is_some), "{:?}", line.0);
    assert!(elbow.sum("elbow_access_log_lines_total") > 0);
}

#[test]
fn what_no_backend_has_answered_is_a_line_too() {
    let directory = Directory::new();
    let silent = Backend::with(|_, _| Ok(After::Close));
    let setup = logged(Setup::new(&[silent.address]), &directory, "");
    let elbow = setup.start(&[&silent]);
    let ask = |request: &str| {
        let mut wire = elbow.connect();
        wire.send(request);
        // What runs on a backend that goes out of service is cut.
        let response = wire.try_response("GET");
        response.map_or(0, |response| response.status())
    };
    assert_eq!(ask(&get("/silent", &[])), 504);
    assert_eq!(ask("GET /hostless HTTP/1.1\r\n\r\n"), 400);
    assert_eq!(ask("nonsense\r\n\r\n"), 400);
    silent.fail_checks(true);
    eventually("nobody is in service", || ask(&get("/late", &[])) == 503);
    let path = directory.path().join("access.log");
    let line = |request: &str, status: &str| {
        let mut found = None;
        eventually("it is written", || {
            found = lines_now(&path).into_iter().find(|line| {
                line.0["request"].contains(request) && line.0["elb_status_code"] == status
            });
            found.is_some()
        });
        let line = found.expect("it was found");
        assert_eq!(line.times(), [None; 3]);
        line.expect(&[
            ("backend", "-"),
            ("backend_status_code", "0"),
            ("received_bytes", "0"),
            ("sent_bytes", "0"),
            ("user_agent", "-"),
        ]);
    };
    line("/silent HTTP/1.1", "504");
    line("http://-:", "400");
    line("- - - ", "400");
    line("/late HTTP/1.1", "503");
}

#[test]
fn over_tls_a_line_has_the_cipher_and_the_protocol() {
    let directory = Directory::new();
    let (backend, site) = (Backend::named("one"), Site::new("elbow.test"));
    let setup = logged(Setup::new(&[backend.address]), &directory, "");
    let elbow = setup.https(&site.lines()).start(&[&backend]);
    let client = TlsClient::new(&[&site]);
    let mut wire = client.connect(elbow.listeners[1], "elbow.test");
    assert_eq!(wire.ask(&get("/", &[])).status(), 200);
    let lines = lines(&directory.path().join("access.log"), 1);
    let request = format!(
        "GET https://localhost:{}/ HTTP/1.1",
        elbow.listeners[1].port()
    );
    lines[0].expect(&[("request", &request), ("ssl_protocol", "TLSv1.3")]);
    assert!(
        lines[0].0["ssl_cipher"].starts_with("TLS_"),
        "{:?}",
        lines[0].0
    );
}

#[test]
fn a_relayed_connection_is_a_line_at_its_end() {
    let directory = Directory::new();
    let path = directory.path().join("access.log");
    let (backend, streams) = RawBackend::held();
    let setup = logged(Setup::tcp(&[backend.address]), &directory, "");
    let elbow = tcp::start(&setup, 1);
    let (mut near, mut far) = tcp::connect(&elbow, &streams);
    let client = near.local_addr().expect("it is open");
    near.write_all(b"four").expect("elbow takes it");
    tcp::expect(&mut far, b"four");
    far.write_all(b"seventy").expect("elbow takes it");
    tcp::expect(&mut near, b"seventy");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "");
    drop((near, far));
    let lines = lines(&path, 1);
    lines[0].expect(&[
        ("client", &client.to_string()),
        ("elb_status_code", "-"),
        ("backend_status_code", "-"),
        ("received_bytes", "5"),
        ("sent_bytes", "7"),
        ("request", "- - - "),
        ("user_agent", "-"),
    ]);
    assert!(
        lines[0].times().iter().all(Option::is_some),
        "{:?}",
        lines[0].0
    );
}

#[test]
fn a_file_that_was_moved_away_is_opened_again_and_no_line_is_lost() {
    let directory = Directory::new();
    let backend = Backend::named("one");
    let setup = logged(Setup::new(&[backend.address]), &directory, "");
    let elbow = setup.start(&[&backend]);
    let (path, moved) = (
        directory.path().join("access.log"),
        directory.path().join("old"),
    );
    elbow.ask(&get("/first", &[]));
    lines(&path, 1);
    fs::rename(&path, &moved).expect("it is there");
    elbow.ask(&get("/second", &[]));
    lines(&moved, 2);
    elbow.signal(Signal::USR1);
    eventually("there is another", || path.exists());
    elbow.ask(&get("/third", &[]));
    let third = lines(&path, 1);
    assert!(third[0].0["request"].contains("/third"));
    lines(&moved, 2);
}

#[test]
fn a_full_disk_costs_lines_and_no_request() {
    let backend = Backend::named("one");
    let setup = Setup::new(&[backend.address]).table("access_log", "to = \"/dev/full\"");
    let elbow = setup.start(&[&backend]);
    for _ in 0..10 {
        assert_eq!(elbow.ask(&get("/", &[])).body_text(), "one");
    }
    eventually("all lines are lost", || {
        elbow.sum("elbow_access_log_lost_total") >= 10
    });
    elbow.expect_logged("the access log cannot be written");
    assert_eq!(elbow.sum("elbow_access_log_lines_total"), 0);
}

#[test]
fn all_lines_are_written_before_the_process_ends() {
    const REQUESTS: usize = 200;
    let directory = Directory::new();
    let backend = Backend::named("one");
    let setup = logged(
        Setup::new(&[backend.address]),
        &directory,
        "format = \"json\"",
    );
    let mut elbow = setup.start(&[&backend]);
    let mut wire = elbow.connect();
    for _ in 0..REQUESTS {
        assert_eq!(wire.ask(&get("/counted", &[])).status(), 200);
    }
    drop(wire);
    elbow.signal(Signal::TERM);
    assert!(elbow.wait().success());
    let text = fs::read_to_string(directory.path().join("access.log")).expect("it is there");
    let mut count = 0;
    for line in text.lines() {
        let object: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        if object["url"]
            .as_str()
            .is_some_and(|url| url.ends_with("/counted"))
        {
            assert_eq!(object["elb_status_code"], 200);
            count += 1;
        }
    }
    assert_eq!(count, REQUESTS);
}

#[test]
fn behind_the_fields_of_clb_stand_those_of_stickiness_and_the_id() {
    let directory = Directory::new();
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let setup = Setup::sticky(&[one.address, two.address], Some(60));
    let setup = setup.attribute("request_id = \"X-Request-Id\"");
    let setup = logged(setup, &directory, "format = \"clb+\"");
    let elbow = setup.start(&[&one, &two]);
    let answer = elbow.ask(&get("/first", &[]));
    let home = [&one, &two][usize::from(answer.body_text() == "two")];
    let made_up = home
        .last()
        .head
        .field("X-Request-Id")
        .expect("it has one")
        .to_owned();
    let session = answer.session();
    let cookie = format!("Cookie: AWSELB={session}");
    elbow.ask(&get("/second", &[&cookie, "X-Request-Id: of the client"]));
    let mut lines = lines(&directory.path().join("access.log"), 2);
    // Shards hand over in no order.
    lines.sort_by_key(|line| line.0["request"].contains("/second"));
    let (first, second) = (&lines[0].0["more"], &lines[1].0["more"]);
    assert!(
        first.starts_with("none ") && first.ends_with(&made_up),
        "{first}"
    );
    assert!(
        second.starts_with("valid ") && second.ends_with("of the client"),
        "{second}"
    );
    assert_eq!(lines[0].0["backend"], lines[1].0["backend"]);
}

#[test]
fn a_load_balancer_with_a_bucket_has_files_of_its_own() {
    let directory = Directory::new();
    let backend = Backend::named("one");
    let setup = Setup::new(&[backend.address])
        .table("access_log", &format!("directory = {:?}", directory.path()));
    let elbow = setup.start(&[&backend]);
    elbow.ask(&get("/before", &[]));
    let modify = |enabled: bool| {
        elbow.change(&format!(
            "Action=ModifyLoadBalancerAttributes&LoadBalancerName=web\
             &LoadBalancerAttributes.AccessLog.Enabled={enabled}\
             &LoadBalancerAttributes.AccessLog.S3BucketName=my-logs\
             &LoadBalancerAttributes.AccessLog.S3BucketPrefix=a/b\
             &LoadBalancerAttributes.AccessLog.EmitInterval=5"
        ));
    };
    modify(true);
    elbow.ask(&get("/during", &[]));
    eventually("it is written", || {
        elbow.sum("elbow_access_log_lines_total") == 1
    });
    modify(false);
    elbow.ask(&get("/after", &[]));
    let account = directory.path().join("my-logs/a/b/AWSLogs/000000000000");
    assert!(account.join("ELBAccessLogTestFile").exists());
    let folder = account.join("elasticloadbalancing/us-east-1");
    let mut path = folder;
    while path.is_dir() {
        let mut entries = fs::read_dir(&path).expect("it is a folder");
        path = entries
            .next()
            .expect("it is not empty")
            .expect("it is there")
            .path();
    }
    let lines = lines(&path, 1);
    assert!(lines[0].0["request"].contains("/during"));
    let (status, answer) = elbow.api(
        "Action=ModifyLoadBalancerAttributes&LoadBalancerName=web\
         &LoadBalancerAttributes.AccessLog.Enabled=true\
         &LoadBalancerAttributes.AccessLog.S3BucketName=..",
    );
    assert_eq!(status, 409, "{answer}");
    assert!(answer.contains("InvalidConfigurationRequest"), "{answer}");
}

#[test]
fn an_answer_that_is_cut_off_is_a_line_with_what_was_sent_of_it() {
    let directory = Directory::new();
    let backend = Backend::with(|_, wire| {
        wire.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfour")?;
        // Up to the client's end.
        drop(wire.read_head());
        Ok(After::Close)
    });
    let setup = logged(Setup::new(&[backend.address]), &directory, "");
    let setup = setup.attribute("idle_timeout = \"300ms\"");
    let elbow = setup.start(&[&backend]);
    let mut wire = elbow.connect();
    wire.send(get("/", &[]));
    assert_eq!(
        wire.read_head().expect("whole").expect("a head").status(),
        200
    );
    let lines = lines(&directory.path().join("access.log"), 1);
    lines[0].expect(&[("elb_status_code", "200"), ("sent_bytes", "4")]);
}

#[test]
fn a_log_that_cannot_be_opened_stops_the_start() {
    let directory = Directory::new();
    let path = directory.path().join("nowhere/access.log");
    let file = directory.write("elbow.toml", &format!("[access_log]\nto = {path:?}\n"));
    let file = file.to_str().expect("it is text");
    let outcome = Outcome::of(&["run", "--config", file]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.text);
    assert!(
        outcome.stderr.contains("nowhere/access.log"),
        "{}",
        outcome.stderr
    );
}
