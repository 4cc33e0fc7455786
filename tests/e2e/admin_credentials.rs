//! Who is let in at the admin address: requests signed by `curl --aws-sigv4`, which knows nothing
//! of elbow, and requests that were tampered with on the way.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use rustix::process::Signal;

use crate::harness::{Backend, Directory, Elbow, Outcome, Response, Setup, Wire, eventually, get};

const CHANGES: (&str, &str) = ("AKIDCHANGES", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const READS: (&str, &str) = ("prometheus", "a-secret-that-travels");
const DESCRIBE: &str = "Action=DescribeLoadBalancers&Version=2012-06-01";

/// elbow with two credentials, one of them read-only, and one backend in service.
struct Stage {
    elbow: Elbow,
    directory: Directory,
    backend: Backend,
}

impl Stage {
    fn new() -> Self {
        let directory = Directory::new();
        let backend = Backend::named("one");
        let toml = toml(&directory, &[backend.address]);
        let elbow = Elbow::start(&toml);
        elbow.expect_in_service(&[&backend]);
        Self {
            elbow,
            directory,
            backend,
        }
    }

    fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.elbow.admin)
    }

    /// What `curl` gets: the status, and the body.
    fn curl(&self, target: &str, more: &[&str]) -> (u16, String) {
        let answer = curl(&[&[&*self.url(target)], more].concat());
        let (body, status) = answer.rsplit_once('\n').expect("the status is last");
        (status.parse().expect("a number"), body.to_owned())
    }

    fn signed(&self, (id, secret): (&str, &str), target: &str, more: &[&str]) -> (u16, String) {
        let user = format!("{id}:{secret}");
        self.curl(target, &[&signing(&user)[..], more].concat())
    }

    /// A change by the ELB API.
    fn change(&self, by: (&str, &str), policy: &str) -> (u16, String) {
        self.signed(by, "/", &["-d", &create_policy(policy)])
    }

    /// The bytes of a signed request, which has not reached elbow.
    fn caught(&self, (id, secret): (&str, &str), target: &str, more: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let user = format!("{id}:{secret}");
        let (url, detour) = (self.url(target), format!("::127.0.0.1:{port}"));
        let arguments = [&[&*url, "--connect-to", &detour], &signing(&user)[..], more].concat();
        let catcher = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("curl connects");
            let mut text = String::new();
            while !is_whole(&text) {
                let mut block = [0; 4096];
                let count = stream.read(&mut block).expect("curl sends");
                assert!(count > 0, "curl sends it whole");
                text += str::from_utf8(&block[..count]).expect("it is text");
            }
            let done = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.write_all(done).expect("curl waits");
            text
        });
        curl(&arguments);
        catcher.join().expect("it was caught")
    }

    fn send(&self, request: &str) -> Response {
        Wire::connect(self.elbow.admin).ask(request)
    }

    /// How many requests were refused for that reason.
    fn refused(&self, reason: &str) -> u64 {
        let sample = format!("elbow_admin_refused_total{{reason=\"{reason}\"}} ");
        let (_, text) = self.signed(READS, "/metrics", &[]);
        let value = text.lines().find_map(|line| line.strip_prefix(&sample));
        value.expect("it is counted").parse().expect("a number")
    }

    /// Traffic and the API work.
    fn assert_well(&self) {
        assert_eq!(self.elbow.ask(&get("/", &[])).body_text(), "one");
        let (status, body) = self.signed(CHANGES, "/", &["-d", DESCRIBE]);
        assert_eq!(status, 200, "{body}");
        assert!(
            body.contains("<LoadBalancerName>web</LoadBalancerName>"),
            "{body}"
        );
    }
}

/// The configuration, with secrets in that directory.
fn toml(directory: &Directory, instances: &[SocketAddr]) -> String {
    let listen = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let mut admin = format!("{listen}names = [\"elb.test\"]\n");
    for (is_read_only, (id, secret)) in [(false, CHANGES), (true, READS)] {
        let file = directory.write(id, secret);
        admin += &format!(
            "[[admin.credential]]\naccess_key_id = {id:?}\nsecret_access_key_file = {file:?}\n\
             read_only = {is_read_only}\n"
        );
    }
    Setup::new(instances).to_toml().replace(listen, &admin)
}

fn signing(user: &str) -> [&str; 4] {
    [
        "--aws-sigv4",
        "aws:amz:us-east-1:elasticloadbalancing",
        "--user",
        user,
    ]
}

/// Runs curl to its end; the body of the answer, and its status on a line of its own.
fn curl(arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args([
            "-sS",
            "--max-time",
            "15",
            "--noproxy",
            "*",
            "-w",
            "\n%{http_code}",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("curl is there");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("answers are text")
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let lengths = head
        .lines()
        .filter_map(|line| line.strip_prefix("Content-Length: "));
    body.len()
        == lengths
            .map(|text| text.parse::<usize>().expect("a number"))
            .sum::<usize>()
}

fn create_policy(name: &str) -> String {
    format!(
        "Action=CreateLBCookieStickinessPolicy&Version=2012-06-01&LoadBalancerName=web&\
         PolicyName={name}"
    )
}

fn code(name: &str) -> String {
    format!("<Code>{name}</Code>")
}

#[test]
fn who_has_the_key_is_let_in_and_nobody_else() {
    let stage = Stage::new();
    stage.assert_well();
    let (status, body) = stage.change(CHANGES, "by-key");
    assert_eq!(status, 200, "{body}");
    let (id, secret) = CHANGES;
    let cases = [
        ((id, "another"), "SignatureDoesNotMatch", "signature"),
        (("nobody", secret), "InvalidClientTokenId", "credential"),
    ];
    for (by, expected, reason) in cases {
        let (status, body) = stage.change(by, "by-nobody");
        assert_eq!(status, 403, "{body}");
        assert!(body.contains(&code(expected)), "{body}");
        let (status, body) = stage.signed(by, "/v1/backends", &[]);
        assert_eq!(status, 403, "{body}");
        assert!(body.starts_with("{\"error\":"), "{body}");
        assert_eq!(stage.refused(reason), 2);
    }
    // Without a signature nothing is to be had, not even what there is.
    for target in ["/v1/backends", "/v1/drains", "/nowhere", "/healthz/"] {
        let (status, body) = stage.curl(target, &[]);
        assert_eq!(status, 401, "{target}: {body}");
        assert!(
            body.contains("missing Authentication Token"),
            "{target}: {body}"
        );
    }
    let (status, body) = stage.curl("/", &["-d", DESCRIBE]);
    assert_eq!(status, 403, "{body}");
    assert!(body.contains(&code("MissingAuthenticationToken")), "{body}");
    assert_eq!(stage.refused("unsigned"), 5);
    assert_eq!(stage.curl("/healthz", &[]), (200, "ok\n".to_owned()));
    let policies = stage.signed(CHANGES, "/", &["-d", DESCRIBE]).1;
    assert!(policies.contains("by-key") && !policies.contains("by-nobody"));
    let audit = format!("who={id}");
    stage.elbow.expect_logged(&audit);
    let log = stage.elbow.log();
    assert!(
        log.lines()
            .any(|l| l.contains(&audit) && l.contains("CreateLBCookie")),
        "{log}"
    );
    assert_eq!(
        log.matches("reason=\"signature\"").count(),
        1,
        "not a line each: {log}"
    );
    assert!(log.contains("others than its owner may read"), "{log}");
    for secret in [CHANGES.1, READS.1] {
        assert!(!log.contains(secret), "a secret is in the log");
    }
    stage.assert_well();
}

#[test]
fn a_request_that_was_changed_on_the_way_is_refused() {
    let stage = Stage::new();
    let form = create_policy("mine");
    let signed = stage.caught(CHANGES, "/", &["-d", &form]);
    for (before, after) in [
        ("PolicyName=mine", "PolicyName=evil"),
        ("POST / ", "POST /?LoadBalancerName=other "),
        ("POST / ", "PUT / "),
        ("us-east-1", "eu-west-1"),
        ("X-Amz-Date: 20", "X-Amz-Date: 21"),
        ("Signature=", "Signature=0"),
    ] {
        assert!(signed.contains(before), "{before} in\n{signed}");
        let answer = stage.send(&signed.replacen(before, after, 1));
        assert!(
            (400..404).contains(&answer.status()),
            "{after}: {}",
            answer.body_text()
        );
    }
    // To another Host that is allowed as well.
    let host = format!("Host: {}", stage.elbow.admin);
    let moved = stage.send(&signed.replacen(&host, "Host: localhost", 1));
    assert!(moved.body_text().contains(&code("SignatureDoesNotMatch")));
    assert!(
        !stage
            .signed(CHANGES, "/", &["-d", DESCRIBE])
            .1
            .contains("mine")
    );
    assert_eq!(
        stage.send(&signed).status(),
        200,
        "as it was signed it is taken"
    );
    // Paths with what has to be encoded, and parameters.
    for target in [
        "/v1/drains/web/%5B%3A%3A1%5D%3A80",
        "/v1/drains/web/10.0.0.1:80",
    ] {
        let (status, body) = stage.signed(CHANGES, target, &["-X", "DELETE"]);
        assert_eq!(status, 404, "{target}: {body}");
    }
    let (status, body) = stage.signed(CHANGES, "/v1/drains?instance=a&load_balancer=web", &[]);
    assert_eq!((status, body.trim()), (200, "[]"));
    stage.assert_well();
}

#[test]
fn a_change_is_made_once_and_what_is_old_is_not_made() {
    let stage = Stage::new();
    let by_api = stage.caught(CHANGES, "/", &["-d", &create_policy("once")]);
    let by_v1 = stage.caught(CHANGES, "/v1/drains/web/none", &["-X", "DELETE"]);
    assert_eq!(stage.send(&by_api).status(), 200);
    let again = stage.send(&by_api);
    assert_eq!(again.status(), 400);
    assert!(
        again.body_text().contains(&code("Throttling")),
        "{}",
        again.body_text()
    );
    assert_eq!(stage.send(&by_v1).status(), 404, "there is no such drain");
    let again = stage.send(&by_v1);
    assert_eq!(again.status(), 409, "{}", again.body_text());
    assert!(
        again.body_text().contains("was taken already"),
        "{}",
        again.body_text()
    );
    assert_eq!(stage.refused("replay"), 2);
    // Who only asks may ask again.
    for target in [
        "/v1/backends",
        "/?Action=DescribeLoadBalancers&Version=2012-06-01",
    ] {
        let asked = stage.caught(CHANGES, target, &[]);
        assert_eq!(stage.send(&asked).status(), 200);
        assert_eq!(stage.send(&asked).status(), 200);
    }
    // What a signature says of the time goes before whether it is right.
    let asked = stage.caught(CHANGES, "/", &["-d", DESCRIBE]);
    let (_, date) = asked.split_once("X-Amz-Date: ").expect("it has a date");
    for (year, count) in [("2015", 1), ("2999", 2)] {
        let day = year.to_owned() + "0830";
        let moved = asked.replace(&date[..8], &day);
        let answer = stage.send(&moved);
        assert_eq!(answer.status(), 400, "{moved}");
        let body = answer.body_text();
        assert!(body.contains(&code("RequestExpired")), "{moved}\n{body}");
        assert_eq!(stage.refused("expired"), count);
    }
    stage.assert_well();
}

#[test]
fn who_may_only_read_changes_nothing() {
    let stage = Stage::new();
    let (status, body) = stage.signed(READS, "/", &["-d", DESCRIBE]);
    assert_eq!(status, 200, "{body}");
    assert_eq!(stage.signed(READS, "/v1/load-balancers", &[]).0, 200);
    let (status, body) = stage.change(READS, "by-reader");
    assert_eq!(status, 403, "{body}");
    assert!(body.contains(&code("AccessDenied")), "{body}");
    let one = stage.backend.address.to_string();
    let instance = format!("/v1/load-balancers/web/instances/{one}");
    let drain = format!("{{\"load_balancer\":\"web\",\"instance\":\"{one}\"}}");
    let cases: [(&str, &[&str]); 4] = [
        (&instance, &["-X", "DELETE"]),
        (&instance, &["-X", "PUT", "-d", "{\"weight\": 0}"]),
        ("/v1/drains", &["-d", &drain]),
        ("/v1/backends", &["-X", "POST"]),
    ];
    for (target, more) in cases {
        let (status, body) = stage.signed(READS, target, more);
        assert_eq!(status, 403, "{target}: {body}");
        assert!(body.contains("may only read"), "{body}");
    }
    assert_eq!(stage.refused("read_only"), 5);
    let weight = "{\"weight\": 2}";
    let (status, body) = stage.signed(CHANGES, &instance, &["-X", "PUT", "-d", weight]);
    assert_eq!(status, 200, "{body}");
    let by = CHANGES.0;
    let audit = format!("done who={by} method=PUT path=\"{instance}\" status=200");
    stage.elbow.expect_logged(&audit);
    stage.assert_well();
}

#[test]
fn metrics_take_a_password_of_who_may_only_read() {
    let stage = Stage::new();
    let by_password = |(id, secret): (&str, &str), target| {
        stage.curl(target, &["--user", &format!("{id}:{secret}")])
    };
    let (status, text) = by_password(READS, "/metrics");
    assert_eq!(status, 200, "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    for (by, expected) in [
        ((READS.0, "wrong"), "must be an access key id"),
        (("nobody", READS.1), "must be an access key id"),
        (CHANGES, "for read-only credentials"),
    ] {
        let (status, body) = by_password(by, "/metrics");
        assert_eq!(status, 401, "{body}");
        assert!(body.contains(expected), "{body}");
    }
    let plain = stage.send(&get("/metrics", &[]));
    assert_eq!(plain.status(), 401);
    let challenge = plain.head.field("WWW-Authenticate");
    assert_eq!(challenge, Some("Basic realm=\"elbow metrics\""));
    // Nowhere else.
    let (status, body) = by_password(READS, "/v1/backends");
    assert_eq!(status, 401, "{body}");
    assert_eq!(stage.signed(CHANGES, "/metrics", &[]).0, 200);
}

#[test]
fn only_names_of_its_own_are_asked_for_whoever_signs() {
    let stage = Stage::new();
    for (host, expected) in [
        ("Host: elb.test", 200),
        ("Host: ELB.test:9090", 200),
        ("Host: evil.test", 403),
        ("Host: elb.test.evil.test", 403),
    ] {
        let (status, body) = stage.signed(CHANGES, "/v1/backends", &["-H", host]);
        assert_eq!(status, expected, "{host}: {body}");
    }
    assert_eq!(stage.refused("host"), 2);
    let page = ["-X", "DELETE", "-H", "Origin: http://evil.test"];
    let (status, body) = stage.signed(CHANGES, "/v1/drains/web/one", &page);
    assert_eq!(status, 403, "{body}");
    assert_eq!(stage.refused("origin"), 1);
}

#[test]
fn bodies_are_read_up_to_the_bound_of_their_route() {
    let stage = Stage::new();
    let long = "a".repeat(300 * 1024);
    let file = stage.directory.write("long", &long);
    let sent = format!("@{}", file.display());
    let (status, body) = stage.signed(CHANGES, "/", &["-d", &sent, "-H", "Expect:"]);
    assert_eq!(status, 400, "{body}");
    assert!(body.contains(&code("InvalidQueryParameter")), "{body}");
    let (status, _) = stage.signed(CHANGES, "/v1/drains", &["-d", &long[..32 * 1024]]);
    assert_eq!(status, 413);
    assert_eq!(stage.refused("body"), 2);
    stage.assert_well();
}

#[test]
fn a_secret_changes_on_sighup_and_a_bad_file_changes_nothing() {
    let stage = Stage::new();
    let (id, old) = CHANGES;
    let count = |name: &str| {
        let (_, text) = stage.signed(READS, "/metrics", &[]);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .expect("it is there")
            .parse::<u64>()
            .expect("a number")
    };
    let reload = |counter: &str| {
        let before = count(counter);
        stage.elbow.signal(Signal::HUP);
        eventually("the file is read again", || count(counter) == before + 1);
    };
    stage.directory.write(id, "");
    reload("elbow_reload_errors_total");
    stage.elbow.expect_logged("no secret in it");
    stage.assert_well();
    stage.directory.write(id, "a-new-secret\n");
    reload("elbow_reloads_total");
    assert_eq!(stage.change((id, old), "with-old").0, 403);
    let (status, body) = stage.change((id, "a-new-secret"), "with-new");
    assert_eq!(status, 200, "{body}");
}

#[test]
fn commands_sign_with_the_credential_of_the_environment() {
    let stage = Stage::new();
    let run = |variables: &[(&str, &str)], arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_elbow"))
            .args(arguments)
            .args(["--admin", &stage.elbow.admin.to_string()])
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .expect("the binary starts");
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8(text).expect("it is text"),
        )
    };
    let [changes, reads] = [CHANGES, READS]
        .map(|(id, secret)| [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]);
    let explain = ["explain", "--load-balancer", "web", "--cookie", "a b=c; d"];
    let (status, text) = run(&reads, &explain);
    assert_eq!(status, Some(0), "{text}");
    let (status, text) = run(&[], &explain);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        "{text}"
    );
    let top = ["top", "web", "--once"];
    let (status, text) = run(&reads, &top);
    assert_eq!(status, Some(0), "{text}");
    let (status, text) = run(&[], &top);
    assert_eq!(status, Some(1), "{text}");
    // An address has characters that a path has encoded, and that a signature encodes once more.
    let one = stage.backend.address.to_string();
    let drain = ["drain", "web", &one];
    let (status, text) = run(&reads, &drain);
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("that may do this"), "{text}");
    let cancel = [&drain[..], &["--cancel"]].concat();
    let (status, text) = run(&changes, &cancel);
    assert_eq!(status, Some(1), "{text}");
    assert!(
        !text.contains("AWS_"),
        "nothing drains, which is all that is wrong: {text}"
    );
    let (status, text) = run(
        &changes,
        &[&drain[..], &["--watch", "--mode", "connections"]].concat(),
    );
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("has left"), "{text}");
    let help = Outcome::of(&["drain", "--help"]).text;
    assert!(help.contains("AWS_SECRET_ACCESS_KEY"), "{help}");
}

#[test]
fn other_hosts_are_let_in_only_with_credentials() {
    let directory = Directory::new();
    let backend = Backend::named("one");
    let with = |toml: &str| toml.replace("\"127.0.0.1:0\"", "\"0.0.0.0:0\"");
    let open = directory.write(
        "open.toml",
        &with(&Setup::new(&[backend.address]).to_toml()),
    );
    for command in ["run", "check"] {
        let outcome = Outcome::of(&[command, "--config", open.to_str().expect("ASCII")]);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(
            outcome.text.contains("[[admin.credential]]"),
            "{}",
            outcome.text
        );
    }
    let elbow = Elbow::start(&with(&toml(&directory, &[backend.address])));
    let admin = SocketAddr::from(([127, 0, 0, 1], elbow.admin.port()));
    let asked = Wire::connect(admin).ask(&get("/v1/backends", &["Host: 127.0.0.1"]));
    assert_eq!(asked.status(), 401);
    assert!(
        !elbow.log().contains("open to everybody"),
        "{}",
        elbow.log()
    );
    let plain = Elbow::start(&Setup::new(&[backend.address]).to_toml());
    let told = "the admin address is open to everybody on this host: no [[admin.credential]]";
    eventually("it is told", || plain.log().contains(told));
}

#[test]
fn check_names_secrets_that_cannot_be_read() {
    let directory = Directory::new();
    let text = toml(&directory, &["192.0.2.1:80".parse().expect("an address")]);
    let file = directory.write("elbow.toml", &text);
    let check = || Outcome::of(&["check", "--config", file.to_str().expect("ASCII")]);
    assert_eq!(check().code, Some(0));
    let secret = directory.path().join(CHANGES.0);
    std::fs::remove_file(&secret).expect("it is there");
    let outcome = check();
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let named = format!("secret_access_key_file = {secret:?}");
    let line = 1 + text.lines().take_while(|line| **line != named).count();
    let expected = format!(
        "line {line}: secret_access_key_file of {}: {}: No such file",
        CHANGES.0,
        secret.display()
    );
    assert!(
        outcome.text.contains(&expected),
        "{expected} in {}",
        outcome.text
    );
}
