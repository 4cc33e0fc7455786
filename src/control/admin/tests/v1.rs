//! `/v1`: what is asked for happens, and what does not hold is said.

use serde_json::{Value, json};

use super::*;
use crate::health::id_hash;
use crate::sticky::Binding;

impl Bench {
    /// Status and body of the answer to a request with a JSON body.
    pub(super) async fn request(&self, request_line: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.request_with(request_line, "", body).await;
        let value = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}")),
        };
        (status, value)
    }

    async fn request_with(&self, request_line: &str, fields: &str, body: &str) -> (u16, String) {
        let answer = self
            .send(
                format!(
                    "{request_line} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{fields}\
                     Content-Length: {}\r\n\r\n{body}",
                    self.address,
                    body.len()
                )
                .as_bytes(),
            )
            .await;
        let (head, body) = answer.split_once("\r\n\r\n").expect("there is a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|digits| digits.parse().ok());
        (status.expect("a status"), body.to_owned())
    }

    /// Where its first listener accepts.
    fn port(&self) -> u16 {
        self.link.snapshot.load().routes[0].address.port()
    }

    async fn backends(&self) -> Vec<(String, u64, Value)> {
        let (_, rows) = self.request("GET /v1/backends", "").await;
        let rows = rows.as_array().expect("a list").clone();
        let row = |row: Value| {
            let id = row["backend"].as_str().expect("a name").to_owned();
            (
                id,
                row["weight"].as_u64().expect("a number"),
                row["draining"].clone(),
            )
        };
        rows.into_iter().map(row).collect()
    }
}

#[tokio::test]
async fn a_drain_begins_is_listed_and_is_cancelled() {
    let bench = Bench::new().await;
    let wanted = json!({
        "load_balancer": "web", "instance": "i-1", "mode": "session", "deadline_seconds": 60
    });
    let (status, drain) = bench.request("POST /v1/drains", &wanted.to_string()).await;
    assert_eq!(status, 202, "{drain}");
    assert_eq!(drain["stage"], "sessions");
    assert_eq!(
        bench.backends().await[0],
        ("i-1".to_owned(), 0, json!("sessions"))
    );

    let (_, all) = bench.request("GET /v1/drains", "").await;
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    let (_, none) = bench.request("GET /v1/drains?instance=i-2", "").await;
    assert_eq!(none, json!([]));
    let metrics = bench.ask("GET /metrics").await;
    let line = r#"elbow_drain_sessions_left{load_balancer="web",backend="i-1"} 0"#;
    assert!(metrics.contains(line), "{metrics}");

    let (status, _) = bench.request("DELETE /v1/drains/web/i-1", "").await;
    assert_eq!(status, 204);
    assert_eq!(
        bench.backends().await[0],
        ("i-1".to_owned(), 1, Value::Null)
    );
    let (status, error) = bench.request("DELETE /v1/drains/web/i-1", "").await;
    assert_eq!(status, 409, "{error}");
}

#[tokio::test]
async fn without_a_mode_a_drain_is_as_the_attributes_say() {
    let bench = Bench::new().await;
    let wanted = r#"{"load_balancer":"web","instance":"i-1"}"#;
    let (status, drain) = bench.request("POST /v1/drains", wanted).await;
    assert_eq!((status, &drain["stage"]), (202, &json!("connections")));
    let (_, rows) = bench.request("GET /v1/backends", "").await;
    assert_eq!(rows[0]["state"], "InService");
    assert_eq!(
        rows[0]["description"],
        "Instance deregistration currently in progress."
    );
}

#[tokio::test]
async fn instances_come_change_and_go() {
    let bench = Bench::new().await;
    let place = "/v1/load-balancers/web/instances";
    let body = r#"{"address":"127.0.0.1","port":81,"weight":3}"#;
    let (status, row) = bench.request(&format!("PUT {place}/i-3"), body).await;
    assert_eq!((status, &row["weight"]), (201, &json!(3)), "{row}");
    let body = r#"{"address":"127.0.0.1","port":81,"weight":0}"#;
    let (status, row) = bench.request(&format!("PUT {place}/i-3"), body).await;
    assert_eq!((status, &row["weight"]), (200, &json!(0)), "{row}");
    let (status, _) = bench
        .request(&format!("PUT {place}/%5B::1%5D:9001"), "{}")
        .await;
    assert_eq!(status, 201, "its id is its address");
    let (_, all) = bench.request("GET /v1/load-balancers", "").await;
    assert_eq!(
        all[0]["instances"],
        json!(["i-1", "i-2", "i-3", "[::1]:9001"])
    );
    assert_eq!(all[0]["listeners"][1]["policy"], Value::Null);
    let (status, row) = bench.request(&format!("DELETE {place}/i-3"), "").await;
    assert_eq!((status, &row["stage"]), (202, &json!("connections")));
}

#[tokio::test]
async fn what_is_left_out_of_a_registration_stays_and_of_a_name_is_the_default() {
    let bench = Bench::new().await;
    let place = "/v1/load-balancers/web/instances/i-2";
    let (status, row) = bench
        .request(&format!("PUT {place}"), r#"{"port":81,"weight":9}"#)
        .await;
    assert_eq!((status, &row["weight"]), (200, &json!(9)), "{row}");
    let shown = json!({
        "id": "i-2", "address": "127.0.0.2", "port": 81, "weight": 9, "named_by": "api",
        "load_balancers": ["web"]
    });
    assert_eq!(
        bench.request("GET /v1/instances/i-2", "").await,
        (200, shown)
    );
    let body = r#"{"address":"127.0.0.3"}"#;
    let (status, row) = bench.request("PUT /v1/instances/i-2", body).await;
    assert_eq!(
        (status, &row["port"], &row["weight"]),
        (200, &Value::Null, &json!(1))
    );
    let address = bench.link.snapshot.load().routes[0].backends[1].address;
    assert_eq!(
        address.to_string(),
        "127.0.0.3:8080",
        "in force where it is registered"
    );
    // An address may have a weight, which it keeps as long as it is registered.
    let place = "/v1/load-balancers/web/instances/127.0.0.9:80";
    let (status, row) = bench
        .request(&format!("PUT {place}"), r#"{"weight":0}"#)
        .await;
    assert_eq!((status, &row["weight"]), (201, &json!(0)), "{row}");
    let (_, all) = bench.request("GET /v1/instances", "").await;
    let named_by: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| &row["named_by"])
        .collect();
    assert_eq!(named_by, ["api", "file", "api"]);
}

#[tokio::test]
async fn names_of_the_file_are_there_and_can_be_taken_away_while_nobody_has_them() {
    let bench = Bench::new().await;
    let (_, all) = bench.request("GET /v1/instances", "").await;
    assert_eq!(all[0]["id"], "i-1");
    assert_eq!(all[0]["load_balancers"], json!(["web"]));
    let (status, error) = bench.request("DELETE /v1/instances/i-1", "").await;
    assert_eq!(status, 409, "{error}");
    let place = "/v1/load-balancers/web/instances/i-1";
    let (status, _) = bench.request(&format!("DELETE {place}"), "").await;
    assert_eq!(status, 202);
    let (status, error) = bench.request("DELETE /v1/instances/i-1", "").await;
    assert_eq!(status, 409, "it leaves, and may be told to stay: {error}");
    let (status, error) = bench.request("PUT /v1/instances/i-4", "{}").await;
    assert_eq!(status, 400, "{error}");
    let body = r#"{"address":"127.0.0.4"}"#;
    assert_eq!(bench.request("PUT /v1/instances/i-4", body).await.0, 201);
    assert_eq!(bench.request("DELETE /v1/instances/i-4", "").await.0, 204);
    assert_eq!(bench.request("GET /v1/instances/i-4", "").await.0, 404);
}

#[tokio::test]
async fn changes_wait_in_a_bounded_queue() {
    let (bench, orders) = Bench::deaf().await;
    let mut waiting = bench.connect().await;
    let line = "DELETE /v1/instances/i-1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    waiting
        .write_all(line.as_bytes())
        .await
        .expect("admin reads");
    // The only place is taken once it is there, and what comes then is refused at once.
    loop {
        let (status, error) = bench.request("GET /v1/instances", "").await;
        assert_eq!(status, 503, "{error}");
        let told = error["error"].as_str().expect("words").to_owned();
        if told.contains("try again") {
            break;
        }
    }
    drop(orders);
    let (status, error) = bench.request("GET /v1/instances", "").await;
    assert_eq!((status, &error["error"]), (503, &json!("elbow is ending")));
}

/// An operation of the document, as a request line with something for each parameter.
fn line_of(method: &str, path: &str) -> String {
    let parts = path.split('/');
    let parts = parts.map(|part| match part {
        name if name.starts_with('{') => "x",
        // It would go on for ten minutes.
        "live" => "live?moments=1",
        other => other,
    });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

#[tokio::test]
async fn what_the_document_describes_is_there_and_nothing_else() {
    let bench = Bench::new().await;
    let (status, document) = bench.request("GET /v1/openapi.json", "").await;
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() > 10, "{paths:?}");
    for (path, operations) in paths {
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let line = line_of(method, path);
            let (status, answer) = bench.request_with(&line, "", "").await;
            if operations.get(method.to_lowercase()).is_some() {
                assert_ne!(status, 405, "{line}");
                assert!(!answer.starts_with("404: not here"), "{line}");
                let responses = &operations[method.to_lowercase()]["responses"];
                assert!(
                    responses.get(status.to_string()).is_some(),
                    "{line} {status}"
                );
            } else {
                assert_eq!(status, 405, "{line}");
            }
        }
    }
}

/// Requests that do not hold: the line, the body, the status and a part of what is said.
const REFUSED: [(&str, &str, u16, &str); 27] = [
    ("POST /v1/drains", "{", 400, "the body"),
    (
        "POST /v1/drains",
        r#"{"load_balancer":"web","instance":"i-1","a":1}"#,
        400,
        "unknown field",
    ),
    (
        "POST /v1/drains",
        r#"{"load_balancer":"web","instance":"i-1","mode":"x"}"#,
        400,
        "mode must be",
    ),
    (
        "POST /v1/drains",
        r#"{"load_balancer":"web","instance":"i-1","deadline_seconds":3601}"#,
        400,
        "deadline_seconds must be",
    ),
    (
        "POST /v1/drains",
        r#"{"load_balancer":"web","instance":"i-1","mode":"session","deadline_seconds":0}"#,
        400,
        "deadline_seconds must be",
    ),
    (
        "POST /v1/drains",
        r#"{"load_balancer":"x","instance":"i-1"}"#,
        404,
        "no load balancer `x`",
    ),
    (
        "POST /v1/drains",
        r#"{"load_balancer":"web","instance":"x"}"#,
        404,
        "no instance `x`",
    ),
    ("GET /v1/drains?a=b", "", 400, "unknown field"),
    ("PATCH /v1/drains", "", 405, "Allow"),
    (
        "PUT /v1/load-balancers/web/instances/a%20b",
        "{}",
        400,
        "id must be",
    ),
    (
        "PUT /v1/load-balancers/web/instances/i-3",
        "{}",
        400,
        "address is missing",
    ),
    (
        "DELETE /v1/load-balancers/web/instances/i-3",
        "",
        404,
        "no instance `i-3`",
    ),
    (
        "PUT /v1/load-balancers/x/instances/i-1",
        "{}",
        404,
        "no load balancer `x`",
    ),
    (
        "PUT /v1/load-balancers/web/instances/127.0.0.1",
        r#"{"port":1}"#,
        400,
        "port is said by the id",
    ),
    (
        "PUT /v1/load-balancers/web/instances/i-1",
        r#"{"address":"127.0.0.2"}"#,
        409,
        "are the same instance",
    ),
    (
        "PUT /v1/instances/i-2",
        r#"{"address":"127.0.0.1"}"#,
        409,
        "are the same instance",
    ),
    (
        "PUT /v1/instances/i-2",
        r#"{"address":"127.0.0.1","weight":257}"#,
        400,
        "weight must be",
    ),
    ("GET /v1/instances/i-3", "", 404, "no instance has"),
    ("DELETE /v1/instances/i-3", "", 404, "no instance has"),
    (
        "PUT /v1/certificates",
        r#"{"arn":"site","certificate":"/a"}"#,
        400,
        "arn must begin with arn:",
    ),
    ("DELETE /v1/certificates", "", 400, "missing field `arn`"),
    ("DELETE /v1/certificates?arn=arn:x", "", 404, "`arn:x`"),
    ("DELETE /v1/drains/web/i-3", "", 404, "no instance `i-3`"),
    (
        "GET /v1/explain?load_balancer=x",
        "",
        404,
        "no load balancer `x`",
    ),
    ("GET /v1/explain?load_balancer=web", "", 400, "which port"),
    (
        "GET /v1/explain?load_balancer=web&port=2",
        "",
        404,
        "listens on",
    ),
    (
        "GET /v1/explain?load_balancer=web&port=1&without=x",
        "",
        404,
        "without",
    ),
];

#[tokio::test]
async fn what_does_not_hold_is_said_and_changes_nothing() {
    let bench = Bench::new().await;
    let before = bench.backends().await;
    let too_long = " ".repeat(16 * 1024 + 1);
    let too_long = ("POST /v1/drains", &*too_long, 413, "length limit");
    for (request_line, body, expected, clause) in REFUSED.into_iter().chain([too_long]) {
        let request_line = request_line.replace("port=1&", &format!("port={}&", bench.port()));
        let (status, error) = bench.request(&request_line, body).await;
        let told = error["error"].as_str().unwrap_or_default();
        assert_eq!(status, expected, "{request_line} {error}");
        assert!(told.contains(clause), "{request_line}: {told}");
    }
    let too_long = " ".repeat(limits::ADMIN_BODY_BYTES_MAX + 1);
    let (status, error) = bench.request("POST /v1/drains", &too_long).await;
    assert_eq!(status, 413, "{error}");
    assert_eq!(bench.backends().await, before);
}

#[tokio::test]
async fn a_method_that_cannot_be_is_told_those_that_can() {
    let bench = Bench::new().await;
    let answer = bench.ask("PATCH /v1/drains").await.to_lowercase();
    let allowed = answer.lines().find_map(|line| line.strip_prefix("allow: "));
    let allowed = allowed.unwrap_or_else(|| panic!("no Allow in {answer}"));
    assert!(
        allowed.contains("get") && allowed.contains("post"),
        "{allowed}"
    );
}

#[tokio::test]
async fn pages_are_kept_out() {
    let bench = Bench::new().await;
    let origin = "Origin: http://evil.example\r\n";
    let request_line = "DELETE /v1/load-balancers/web/instances/i-1";
    let (status, _) = bench.request_with(request_line, origin, "").await;
    assert_eq!(status, 403);
    let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(
        bench
            .send(rebound.as_bytes())
            .await
            .starts_with("HTTP/1.1 403 ")
    );
    assert_eq!(bench.backends().await.len(), 2);
}

#[tokio::test]
async fn an_explanation_reads_values_and_whole_fields() {
    let bench = Bench::new().await;
    let route = bench.link.snapshot.load().routes[0].clone();
    let binding = Binding {
        scope: route.scope,
        backend: id_hash("i-1"),
        life: 1,
        issued: 1_000,
        session: 0xab,
        began: 900,
    };
    let port = bench.port();
    let value = seals().seal(&binding, [1; crate::sticky::NONCE_BYTES]);
    let value = String::from_utf8(value.to_vec()).expect("it is hex");
    for cookie in [
        value.clone(),
        format!("a=b;%20AWSELB={value}"),
        format!("Cookie:%20AWSELB={value}"),
    ] {
        let target = format!("GET /v1/explain?load_balancer=web&port={port}&cookie={cookie}");
        let (status, told) = bench.request(&target, "").await;
        assert_eq!((status, &told["verdict"]), (200, &json!("valid")), "{told}");
        assert_eq!(
            (&told["home"], &told["session"], &told["cookie"]["began"]),
            (&json!("i-1"), &json!("00000000000000ab"), &json!(900))
        );
    }
    let target = format!("GET /v1/explain?load_balancer=web&port={port}&without=i-1");
    let (_, told) = bench.request(&format!("{target}&cookie={value}"), "").await;
    assert_eq!(
        (&told["verdict"], &told["home"]),
        (&json!("down"), &Value::Null)
    );
    assert!(
        told["goes"].as_str().expect("words").contains("503"),
        "{told}"
    );
}
