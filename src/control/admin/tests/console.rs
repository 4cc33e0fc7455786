//! The files of the web console as a browser gets them, and what those are told who are not let in.

use super::*;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'none'";

fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let (head, _) = answer.split_once("\r\n\r\n")?;
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut named = lines.filter(|(known, _)| *known == name);
    Some(named.next()?.1)
}

fn body(answer: &str) -> &str {
    let (_, body) = answer.split_once("\r\n\r\n").expect("there is a head");
    body
}

/// That nothing but elbow's own scripts and styles runs in it.
fn expect_guarded(answer: &str) {
    assert_eq!(field(answer, "content-security-policy"), Some(POLICY));
    assert_eq!(field(answer, "x-content-type-options"), Some("nosniff"));
    assert_eq!(field(answer, "referrer-policy"), Some("no-referrer"));
}

#[tokio::test]
async fn files_have_their_types_and_nothing_else_runs() {
    let bench = Bench::new().await;
    for (path, media_type, start) in [
        ("/console/", "text/html; charset=utf-8", "<!doctype html>"),
        ("/console/main.js", "text/javascript; charset=utf-8", "//"),
        ("/console/style.css", "text/css; charset=utf-8", ":root"),
        ("/console/icon.svg", "image/svg+xml", "<svg"),
    ] {
        let answer = bench.ask(&format!("GET {path}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path} {answer}");
        assert_eq!(field(&answer, "content-type"), Some(media_type), "{path}");
        assert_eq!(field(&answer, "cache-control"), Some("no-cache"), "{path}");
        assert!(body(&answer).starts_with(start), "{path} {answer}");
        expect_guarded(&answer);
    }
}

#[tokio::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let bench = Bench::new().await;
    let answer = bench.ask("GET /console/main.js").await;
    let tag = field(&answer, "etag").expect("it has one");
    let request = |tag: &str| {
        format!(
            "GET /console/main.js HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             If-None-Match: {tag}\r\n\r\n"
        )
    };
    let again = bench.send(request(tag).as_bytes()).await;
    assert!(again.starts_with("HTTP/1.1 304 "), "{again}");
    assert_eq!(
        (field(&again, "etag"), body(&again)),
        (Some(tag), ""),
        "{again}"
    );
    let other = bench.send(request("\"other\"").as_bytes()).await;
    assert!(other.starts_with("HTTP/1.1 200 "), "{other}");
    let page = bench.ask("GET /console/").await;
    assert_ne!(field(&page, "etag"), Some(tag));
}

#[tokio::test]
async fn heads_other_methods_and_other_paths_are_answered() {
    let bench = Bench::new().await;
    let (head, whole) = (
        bench.ask("HEAD /console/").await,
        bench.ask("GET /console/").await,
    );
    assert_eq!(body(&head), "");
    let length = body(&whole).len().to_string();
    assert_eq!(field(&head, "content-length"), Some(&*length));
    assert_eq!(field(&head, "etag"), field(&whole, "etag"));

    let answer = bench.ask("GET /console").await;
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    assert_eq!(field(&answer, "location"), Some("/console/"));

    for path in ["/console/none.js", "/console/refused.html", "/console/a/b"] {
        let answer = bench.ask(&format!("GET {path}")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path} {answer}");
        expect_guarded(&answer);
    }
    let answer = bench.ask("POST /console/").await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(bench.ask("GET /nothing").await.contains("/console/"));
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so_on_a_page() {
    let (bench, _ordered) = Bench::deaf().await;
    for path in ["/console", "/console/", "/console/main.js"] {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
        let answer = bench.send(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path} {answer}");
        let media_type = field(&answer, "content-type");
        assert_eq!(media_type, Some("text/html; charset=utf-8"), "{path}");
        assert!(body(&answer).contains("one of [admin] names"), "{answer}");
        assert!(body(&answer).contains("admin.names"), "{answer}");
        expect_guarded(&answer);
    }
}
