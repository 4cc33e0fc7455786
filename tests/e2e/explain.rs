//! `/v1/explain` and `elbow explain` tell where requests really go.

use serde_json::Value;

use crate::harness::{After, Backend, Elbow, Outcome, Response, Setup, eventually, get};

/// Answers with its name, and sets the application's cookie.
fn app_backend(name: &'static str) -> Backend {
    Backend::with(move |_, wire| {
        let length = name.len();
        wire.try_send(format!(
            "HTTP/1.1 200 OK\r\nSet-Cookie: app=1\r\nContent-Length: {length}\r\n\r\n{name}"
        ))?;
        Ok(After::Keep)
    })
}

/// Three backends by their names.
fn backends() -> [(&'static str, Backend); 3] {
    ["one", "two", "three"].map(|name| (name, app_backend(name)))
}

fn explain(elbow: &Elbow, cookies: &str, more: &str) -> Value {
    let target = format!(
        "/v1/explain?load_balancer=web&port={}&cookie={}{more}",
        elbow.address().port(),
        cookies.replace(' ', "%20"),
    );
    let (status, answer) = elbow.admin("GET", &target, "");
    assert_eq!(status, 200, "{answer}");
    answer
}

/// The name of the backend that an explanation calls the home.
fn home(answer: &Value, backends: &[(&'static str, Backend)]) -> &'static str {
    let of_id = |(_, backend): &&(_, Backend)| answer["home"] == backend.address.to_string();
    let found = backends.iter().find(of_id);
    found.unwrap_or_else(|| panic!("no home: {answer}")).0
}

fn ask(elbow: &Elbow, cookies: &str) -> Response {
    elbow.ask(&get("/", &[&format!("Cookie: {cookies}")]))
}

/// What is told and what happens, before and after the session's backend is gone. Returns the
/// verdict after.
fn tells_the_truth(setup: &Setup, mut backends: [(&'static str, Backend); 3]) -> String {
    let elbow = {
        let all: Vec<&Backend> = backends.iter().map(|(_, backend)| backend).collect();
        setup.start(&all)
    };
    let sessions: Vec<String> = (0..12)
        .map(|_| format!("app=1; AWSELB={}", elbow.ask(&get("/", &[])).session()))
        .collect();
    for cookies in &sessions {
        let answer = explain(&elbow, cookies, "");
        assert_eq!(answer["verdict"], "valid", "{answer}");
        assert_eq!(ask(&elbow, cookies).body_text(), home(&answer, &backends));
    }

    let lost = backends[0].1.address.to_string();
    let foreseen: Vec<_> = sessions
        .iter()
        .map(|cookies| {
            home(
                &explain(&elbow, cookies, &format!("&without={lost}")),
                &backends,
            )
        })
        .collect();
    assert!(!foreseen.contains(&"one"));
    backends[0].1.stop();
    eventually("it is out of service", || {
        elbow.ask(&get("/", &[]));
        let (_, rows) = elbow.admin("GET", "/v1/backends", "");
        rows[0]["state"] == "OutOfService"
    });
    let mut verdict = String::new();
    for (cookies, foreseen) in sessions.iter().zip(foreseen) {
        let answer = explain(&elbow, cookies, "");
        assert_eq!(home(&answer, &backends), foreseen, "as was foreseen");
        assert_eq!(ask(&elbow, cookies).body_text(), foreseen, "as was told");
        if answer["verdict"] != "valid" {
            verdict = answer["verdict"].as_str().expect("a name").to_owned();
        }
    }
    verdict
}

#[test]
fn sessions_of_the_application_are_told_as_they_go() {
    let backends = backends();
    let addresses = [0, 1, 2].map(|index: usize| backends[index].1.address);
    let verdict = tells_the_truth(&Setup::app(&addresses, "app"), backends);
    assert_eq!(verdict, "moved");
}

#[test]
fn sessions_by_duration_are_told_as_they_go() {
    let backends = backends();
    let addresses = [0, 1, 2].map(|index: usize| backends[index].1.address);
    let verdict = tells_the_truth(&Setup::sticky(&addresses, Some(60)), backends);
    assert_eq!(verdict, "down");
}

#[test]
fn the_command_says_it_in_words() {
    let one = app_backend("one");
    let elbow = Setup::app(&[one.address], "app").start(&[&one]);
    let session = elbow.ask(&get("/", &[])).session();
    let (admin, port) = (elbow.admin.to_string(), elbow.address().port().to_string());
    let run = |more: &[&str]| {
        let arguments = ["explain", "--admin", &admin, "--load-balancer", "web"];
        Outcome::of(&[&arguments, more].concat())
    };
    let missing = run(&["--port", &port, "--cookie", &session]);
    assert!(
        missing.text.contains("app-cookie-missing"),
        "{}",
        missing.text
    );
    let answer = run(&["--port", &port, "--cookie", &session, "--app-cookie", "1"]);
    assert_eq!(answer.code, Some(0), "{}", answer.text);
    for line in [
        "verdict   valid: ",
        &format!("goes      to {}\n", one.address),
    ] {
        assert!(answer.text.contains(line), "{line} in {}", answer.text);
    }
    let json = run(&["--cookie", &format!("app=1; AWSELB={session}"), "--json"]);
    let value: Value = serde_json::from_str(&json.text).expect("JSON");
    assert_eq!(value["verdict"], "valid");

    let refused = run(&["--port", "1"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("listens on"), "{}", refused.stderr);
    assert_eq!(Outcome::of(&["explain"]).code, Some(2));
    drop(elbow);
    assert_eq!(run(&[]).code, Some(1), "nobody is there");
}
