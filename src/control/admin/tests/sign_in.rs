//! Who signs in to the console, what may be done by the cookie, and who guesses.

use std::cell::Cell;

use aws_credential_types::Credentials as Key;
use aws_sigv4::http_request::PercentEncodingMode;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::*;
use crate::control::admin::signature::tests::signature_fields;
use crate::control::credentials::Held;
use crate::state::AdminRefusal;
use crate::sys::unix_seconds;

/// Who changes things, and who reads.
const CHANGES: (&str, &str) = ("A", "secret");
const READS: (&str, &str) = ("R", "other");

const DESCRIBE: &str = "Action=DescribeLoadBalancers&Version=2012-06-01";

/// An admin address with both of them.
struct Guarded {
    bench: Bench,
    credentials: Credentials,
    signed: Cell<u64>,
}

/// What a browser has of a sign-in.
struct Signed {
    cookie: String,
    token: String,
}

fn held(secret: &str) -> Held {
    Held::of(&[(CHANGES.0, secret, false), (READS.0, READS.1, true)])
}

fn status(answer: &str) -> &str {
    answer.get(9..12).expect("it is an answer")
}

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    Some(pairs.find(|(known, _)| *known == name)?.1)
}

fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("there is a head");
    serde_json::from_str(body).expect("it is JSON")
}

impl Guarded {
    async fn new() -> Self {
        let credentials = Credentials::default();
        credentials.replace(held(CHANGES.1));
        let start = |setup: Setup| setup.start().expect("a thread can be had");
        Self {
            bench: Bench::with(credentials.clone(), start).await,
            credentials,
            signed: Cell::new(0),
        }
    }

    async fn ask(&self, line: &str, fields: &[String], form: &str) -> String {
        self.ask_from([127, 0, 0, 1], line, fields, form).await
    }

    /// The answer to a client at that address of loopback.
    async fn ask_from(
        &self,
        address: [u8; 4],
        line: &str,
        fields: &[String],
        form: &str,
    ) -> String {
        let fields = fields.concat();
        let length = form.len();
        let request = format!(
            "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\
             Content-Length: {length}\r\n\r\n{form}"
        );
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        let mut stream = socket.connect(self.bench.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    /// The fields of a signature that no other request of the test has.
    fn signature(&self, line: &str, form: &str, (id, secret): (&str, &str)) -> Vec<String> {
        let (method, target) = line.split_once(' ').expect("method and target");
        self.signed.set(self.signed.get() + 1);
        let made = signature_fields(
            (method, target, "localhost"),
            form.as_bytes(),
            (
                &Key::new(id, secret, None, None, "test"),
                unix_seconds() + self.signed.get(),
            ),
            PercentEncodingMode::Double,
        );
        let line = |(name, value)| format!("{name}: {value}\r\n");
        made.into_iter().map(line).collect()
    }

    async fn try_to_sign_in(&self, key: (&str, &str)) -> String {
        let line = "POST /v1/sign-in";
        self.ask(line, &self.signature(line, "", key), "").await
    }

    async fn sign_in(&self, key: (&str, &str)) -> Signed {
        let answer = self.try_to_sign_in(key).await;
        assert_eq!(status(&answer), "200", "{answer}");
        let cookie = field(&answer, "set-cookie").expect("there is one");
        let cookie = cookie.split(';').next().expect("there is a first part");
        let account = body(&answer);
        Signed {
            cookie: format!("Cookie: other=1; {cookie}\r\n"),
            token: format!("X-Elbow-Token: {}\r\n", account["token"].as_str().unwrap()),
        }
    }

    fn refused(&self, reason: AdminRefusal) -> u64 {
        self.bench.counts.admin_refused[reason as usize].value()
    }
}

impl Signed {
    fn by_cookie(&self) -> Vec<String> {
        vec![self.cookie.clone()]
    }

    fn with_token(&self) -> Vec<String> {
        vec![self.cookie.clone(), self.token.clone()]
    }
}

fn nobody() -> Value {
    json!({"who": null, "read_only": true, "token": null, "expires_in_seconds": null})
}

#[tokio::test]
async fn a_signed_request_gets_a_cookie_by_which_its_sender_is_known() {
    let guarded = Guarded::new().await;
    let question = "GET /v1/sign-in";
    let answer = guarded.ask(question, &[], "").await;
    assert_eq!((status(&answer), body(&answer)), ("200", nobody()));
    assert_eq!(guarded.refused(AdminRefusal::Unsigned), 0);

    let answer = guarded.try_to_sign_in(CHANGES).await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert_eq!(field(&answer, "cache-control"), Some("no-store"));
    let cookie = field(&answer, "set-cookie").expect("there is one");
    let (value, attributes) = cookie.split_once(';').expect("it has attributes");
    let attributes: Vec<_> = attributes.split("; ").map(str::trim).collect();
    let expected = ["Max-Age=43200", "Path=/", "HttpOnly", "SameSite=Strict"];
    assert_eq!(attributes, expected);
    let account = body(&answer);
    assert_eq!(account["who"], "A");
    assert_eq!(account["read_only"], false);
    assert_eq!(account["expires_in_seconds"], 43200);
    assert_eq!(account["token"].as_str().unwrap().len(), 64);
    let cookie = [format!("Cookie: {value}\r\n")];
    assert!(!answer.contains(&format!("\"{value}\"")));

    let answer = guarded.ask("GET /v1/backends", &cookie, "").await;
    assert_eq!(status(&answer), "200", "{answer}");
    let answer = guarded.ask(question, &cookie, "").await;
    assert_eq!(body(&answer)["token"], account["token"]);
    let signed = guarded.signature(question, "", READS);
    let answer = body(&guarded.ask(question, &signed, "").await);
    assert_eq!(
        (&answer["who"], &answer["read_only"]),
        (&json!("R"), &json!(true))
    );
}

#[tokio::test]
async fn one_signature_signs_in_once_and_what_is_not_signed_does_not() {
    let guarded = Guarded::new().await;
    let line = "POST /v1/sign-in";
    for key in [CHANGES, READS] {
        let signature = guarded.signature(line, "", key);
        let answers = [
            guarded.ask(line, &signature, "").await,
            guarded.ask(line, &signature, "").await,
        ];
        assert_eq!(
            answers.each_ref().map(|answer| status(answer)),
            ["200", "409"]
        );
        assert_eq!(field(&answers[1], "set-cookie"), None);
    }
    let answer = guarded.ask(line, &[], "").await;
    assert_eq!(status(&answer), "401", "{answer}");
    assert_eq!(field(&answer, "www-authenticate"), Some("AWS4-HMAC-SHA256"));
    let signed = guarded.sign_in(CHANGES).await;
    let answer = guarded.ask(line, &signed.with_token(), "").await;
    assert_eq!(status(&answer), "409", "{answer}");
}

#[tokio::test]
async fn what_a_browser_sends_by_itself_changes_nothing() {
    let guarded = Guarded::new().await;
    let signed = guarded.sign_in(CHANGES).await;
    let other = guarded.sign_in(CHANGES).await;
    let create = "Action=CreateLBCookieStickinessPolicy&Version=2012-06-01&LoadBalancerName=web&\
                  PolicyName=";
    let mistaken = vec![signed.cookie.clone(), other.token.clone()];
    for fields in [signed.by_cookie(), mistaken] {
        for (line, form) in [
            ("POST /", format!("{create}p")),
            ("POST /", DESCRIBE.to_owned()),
            (&format!("GET /?{create}p"), String::new()),
            (&format!("GET /?{DESCRIBE}"), String::new()),
        ] {
            let answer = guarded.ask(line, &fields, &form).await;
            assert_eq!(status(&answer), "403", "{line} {answer}");
            assert!(answer.contains("<Code>AccessDenied</Code>"), "{answer}");
        }
        for line in [
            "POST /v1/reload",
            "PUT /v1/instances/i-3",
            "DELETE /v1/sign-in",
        ] {
            let answer = guarded.ask(line, &fields, "{}").await;
            assert_eq!(status(&answer), "403", "{line} {answer}");
        }
    }
    assert_eq!(guarded.refused(AdminRefusal::Token), 14);
    // Nor does a page of another origin, whatever it has.
    let elsewhere = "Origin: http://localhost:8080\r\n".to_owned();
    let fields = [signed.with_token(), vec![elsewhere]].concat();
    let answer = guarded.ask("POST /", &fields, DESCRIBE).await;
    assert_eq!(status(&answer), "403", "{answer}");
    assert_eq!(guarded.refused(AdminRefusal::Origin), 1);

    let token = signed.with_token();
    for line in ["POST /", &format!("GET /?{DESCRIBE}")] {
        let answer = guarded.ask(line, &token, DESCRIBE).await;
        assert_eq!(status(&answer), "200", "{answer}");
    }
    let instance = "{\"address\": \"127.0.0.3\"}";
    let line = "PUT /v1/load-balancers/web/instances/i-3";
    let answer = guarded.ask(line, &token, instance).await;
    assert_eq!(status(&answer), "201", "{answer}");
}

#[tokio::test]
async fn who_may_only_read_signs_in_and_changes_nothing() {
    let guarded = Guarded::new().await;
    let signed = guarded.sign_in(READS).await;
    let token = signed.with_token();
    let account = body(&guarded.ask("GET /v1/sign-in", &token, "").await);
    assert_eq!(
        (&account["who"], &account["read_only"]),
        (&json!("R"), &json!(true))
    );
    let answer = guarded.ask("POST /", &token, DESCRIBE).await;
    assert_eq!(status(&answer), "200", "{answer}");
    let delete = "Action=DeleteLoadBalancer&Version=2012-06-01&LoadBalancerName=web";
    let answer = guarded.ask("POST /", &token, delete).await;
    assert_eq!(status(&answer), "403", "{answer}");
    let answer = guarded.ask("POST /v1/reload", &token, "").await;
    assert_eq!(status(&answer), "403", "{answer}");
    assert_eq!(guarded.refused(AdminRefusal::ReadOnly), 2);
    let answer = guarded.ask("DELETE /v1/sign-in", &token, "").await;
    assert_eq!(status(&answer), "200", "{answer}");
    // What a credential may is what it may now.
    let signed = guarded.sign_in(CHANGES).await;
    guarded
        .credentials
        .replace(Held::of(&[(CHANGES.0, CHANGES.1, true)]));
    let answer = guarded.ask("POST /", &signed.with_token(), delete).await;
    assert!(answer.contains("may only read"), "{answer}");
}

/// That a cookie is none any more.
async fn expect_over(guarded: &Guarded, signed: &Signed) {
    let token = signed.with_token();
    let answer = guarded.ask("GET /v1/backends", &token, "").await;
    assert_eq!(status(&answer), "401", "{answer}");
    assert!(
        body(&answer)["error"]
            .as_str()
            .unwrap()
            .contains("sign in again")
    );
    let answer = guarded.ask("POST /", &token, DESCRIBE).await;
    assert!(
        answer.contains("<Code>MissingAuthenticationToken</Code>"),
        "{answer}"
    );
    let answer = guarded.ask("GET /v1/sign-in", &token, "").await;
    assert_eq!((status(&answer), body(&answer)), ("200", nobody()));
}

#[tokio::test]
async fn a_cookie_is_over_once_somebody_signs_out_or_the_secret_is_another_one() {
    let guarded = Guarded::new().await;
    let (one, two) = (
        guarded.sign_in(CHANGES).await,
        guarded.sign_in(CHANGES).await,
    );
    let answer = guarded
        .ask("DELETE /v1/sign-in", &one.with_token(), "")
        .await;
    assert_eq!((status(&answer), body(&answer)), ("200", nobody()));
    let cookie = field(&answer, "set-cookie").expect("it is taken away");
    assert!(
        cookie.starts_with("elbow_sign_in_80=; Max-Age=0; Path=/"),
        "{cookie}"
    );
    expect_over(&guarded, &one).await;
    let answer = guarded.ask("GET /v1/backends", &two.by_cookie(), "").await;
    assert_eq!(status(&answer), "200", "{answer}");

    guarded.credentials.replace(held("another"));
    expect_over(&guarded, &two).await;
    assert_eq!(guarded.refused(AdminRefusal::SignedOut), 4);
}

#[tokio::test]
async fn a_cookie_is_over_when_nobody_has_used_it_for_long_and_elsewhere() {
    let guarded = Guarded::new().await;
    let signed = guarded.sign_in(CHANGES).await;
    let elsewhere = [127, 0, 0, 2];
    let token = signed.with_token();
    let answer = guarded
        .ask_from(elsewhere, "GET /v1/backends", &token, "")
        .await;
    assert_eq!(status(&answer), "401", "{answer}");
    let answer = guarded.ask("GET /v1/backends", &token, "").await;
    assert_eq!(status(&answer), "200", "{answer}");
    later(limits::SIGN_IN_REST_MAX).await;
    expect_over(&guarded, &signed).await;
}

/// Goes on as if so much time had passed.
async fn later(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn who_guesses_is_not_looked_at_for_a_while_and_others_are() {
    let guarded = Guarded::new().await;
    let signed = guarded.sign_in(CHANGES).await;
    let wrong = (CHANGES.0, "guess");
    for _ in 0..limits::GUESSES_MAX {
        let answer = guarded.try_to_sign_in(wrong).await;
        assert_eq!(status(&answer), "403", "{answer}");
    }
    for key in [wrong, CHANGES] {
        let answer = guarded.try_to_sign_in(key).await;
        assert_eq!(status(&answer), "429", "{answer}");
        let seconds: u64 = field(&answer, "retry-after").unwrap().parse().unwrap();
        assert!((295..=301).contains(&seconds), "{seconds}");
        let told = body(&answer)["error"].as_str().unwrap().to_owned();
        assert!(
            told.contains(&format!("again in {seconds} seconds")),
            "{told}"
        );
    }
    let signature = guarded.signature("POST /", DESCRIBE, CHANGES);
    let answer = guarded.ask("POST /", &signature, DESCRIBE).await;
    assert!(answer.contains("<Code>Throttling</Code>"), "{answer}");
    assert_eq!(guarded.refused(AdminRefusal::LockedOut), 3);

    // Who is signed in stays so; another credential, and another client, are not concerned.
    let answer = guarded.ask("POST /", &signed.with_token(), DESCRIBE).await;
    assert_eq!(status(&answer), "200", "{answer}");
    guarded.sign_in(READS).await;
    let signature = guarded.signature("POST /", DESCRIBE, CHANGES);
    let elsewhere = [127, 0, 0, 2];
    let answer = guarded
        .ask_from(elsewhere, "POST /", &signature, DESCRIBE)
        .await;
    assert_eq!(status(&answer), "200", "{answer}");

    later(limits::LOCKOUT_TIME).await;
    guarded.sign_in(CHANGES).await;
}

#[tokio::test]
async fn passwords_and_unknown_ids_are_guesses_as_well() {
    let guarded = Guarded::new().await;
    // `R:guess` and `R:other`.
    let [wrong, right] = ["UjpndWVzcw==", "UjpvdGhlcg=="];
    let ask = async |password: &str| {
        let field = format!("Authorization: Basic {password}\r\n");
        guarded.ask("GET /metrics", &[field], "").await
    };
    assert_eq!(status(&ask(right).await), "200");
    for _ in 0..limits::GUESSES_MAX {
        assert_eq!(status(&ask(wrong).await), "401");
    }
    assert_eq!(status(&ask(right).await), "429");
    // Elsewhere it is none, also where a browser sends it beside the cookie.
    let field = format!("Authorization: Basic {right}\r\n");
    let answer = guarded
        .ask("GET /v1/backends", std::slice::from_ref(&field), "")
        .await;
    assert_eq!(status(&answer), "401", "{answer}");
    let signed = guarded.sign_in(CHANGES).await;
    let fields = [vec![field], signed.by_cookie()].concat();
    let answer = guarded.ask("GET /v1/backends", &fields, "").await;
    assert_eq!(status(&answer), "200", "{answer}");
    for number in 0..limits::GUESSES_MAX {
        let unknown = format!("X{number}");
        let answer = guarded.try_to_sign_in((&unknown, "guess")).await;
        assert!(
            answer.contains("no credential has this access key id"),
            "{answer}"
        );
    }
    let answer = guarded.try_to_sign_in(("Y", "guess")).await;
    assert_eq!(status(&answer), "429", "{answer}");
    guarded.sign_in(CHANGES).await;
}

#[tokio::test]
async fn the_console_is_there_for_who_signs_in_and_nothing_else_is() {
    let guarded = Guarded::new().await;
    for (line, expected) in [
        ("GET /console/", "200"),
        ("GET /console/sign_in.js", "200"),
        ("HEAD /console/main.js", "200"),
        ("GET /console", "308"),
        ("GET /console/none.js", "404"),
        ("POST /console/", "401"),
        ("GET /healthz", "200"),
        ("POST /healthz", "405"),
        ("GET /consoles", "401"),
        ("GET /console../v1/backends", "401"),
        ("GET /", "403"),
        ("GET /nothing", "401"),
        ("GET /metrics", "401"),
        ("GET /v1/backends", "401"),
        ("GET /v1/openapi.json", "401"),
        ("GET /v1/sign-in/", "401"),
        ("PUT /v1/sign-in", "401"),
        ("DELETE /v1/sign-in", "401"),
    ] {
        let answer = guarded.ask(line, &[], "").await;
        assert_eq!(status(&answer), expected, "{line} {answer}");
    }
}

#[tokio::test]
async fn where_there_are_no_credentials_nobody_has_to_sign_in() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /v1/sign-in").await;
    let open = json!(
        {"who": "anonymous", "read_only": false, "token": null, "expires_in_seconds": null}
    );
    assert_eq!((status(&answer), body(&answer)), ("200", open));
    assert_eq!(status(&bench.ask("POST /v1/sign-in").await), "409");
    assert_eq!(status(&bench.ask("DELETE /v1/sign-in").await), "404");
}
