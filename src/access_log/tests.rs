use proptest::prelude::*;

use super::*;

/// 2015-05-13T23:39:43.945958Z, of the guide's samples.
const RECEIVED_US: u64 = 1_431_560_383_945_958;

fn micros(micros: [u64; 3]) -> Times {
    let [request, backend, response] = micros.map(|time| Some(Duration::from_micros(time)));
    Times {
        request,
        backend,
        response,
    }
}

fn entry<'a>() -> Entry<'a> {
    Entry {
        received_us: RECEIVED_US,
        load_balancer: "my-loadbalancer",
        client: "192.168.131.39:2817".parse().unwrap(),
        backend: Some("10.0.0.1:80".parse().unwrap()),
        times: micros([73, 1048, 57]),
        received_bytes: 0,
        sent_bytes: 29,
        http: Some(http()),
        tls: None,
        more: More {
            verdict: "hit",
            reason: "-",
            shard: 3,
            epoch: 12,
            request_id: b"",
        },
    }
}

fn http<'a>() -> Http<'a> {
    Http {
        status: 200,
        backend_status: 200,
        request_line: b"GET / HTTP/1.1",
        host: b"www.example.com",
        user_agent: b"curl/7.38.0",
        port: 80,
        is_secure: false,
    }
}

fn written(format: Format, entry: &Entry<'_>) -> String {
    let mut out = Vec::new();
    Writer::new(format).write(entry, &mut out);
    let text = String::from_utf8(out).unwrap();
    let (line, rest) = text.split_once('\n').unwrap();
    assert_eq!(rest, "", "one line");
    line.to_owned()
}

#[test]
fn the_samples_of_the_guide_are_written_to_the_letter() {
    let line = |entry| written(Format::Clb, &entry);
    assert_eq!(
        line(entry()),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 \
         0.001048 0.000057 200 200 0 29 \"GET http://www.example.com:80/ HTTP/1.1\" \"curl/7.38.0\" \
         - -"
    );
    let https = Entry {
        times: micros([86, 1048, 1337]),
        sent_bytes: 57,
        http: Some(Http {
            port: 443,
            is_secure: true,
            ..http()
        }),
        tls: Some(("DHE-RSA-AES128-SHA", "TLSv1.2")),
        ..entry()
    };
    assert_eq!(
        line(https),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000086 \
         0.001048 0.001337 200 200 0 57 \"GET https://www.example.com:443/ HTTP/1.1\" \
         \"curl/7.38.0\" DHE-RSA-AES128-SHA TLSv1.2"
    );
    let tcp = Entry {
        times: micros([1069, 28, 41]),
        received_bytes: 82,
        sent_bytes: 305,
        http: None,
        ..entry()
    };
    assert_eq!(
        line(tcp),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001069 \
         0.000028 0.000041 - - 82 305 \"- - - \" \"-\" - -"
    );
    let ssl = Entry {
        times: micros([1065, 15, 23]),
        received_bytes: 57,
        sent_bytes: 502,
        tls: Some(("ECDHE-ECDSA-AES128-GCM-SHA256", "TLSv1.2")),
        ..tcp
    };
    assert_eq!(
        line(ssl),
        "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.001065 \
         0.000015 0.000023 - - 57 502 \"- - - \" \"-\" ECDHE-ECDSA-AES128-GCM-SHA256 TLSv1.2"
    );
}

#[test]
fn what_did_not_come_to_be_is_said_so() {
    let unserved = Entry {
        backend: None,
        times: Times::default(),
        sent_bytes: 0,
        http: Some(Http {
            status: 503,
            backend_status: 0,
            user_agent: b"",
            host: b"h",
            ..http()
        }),
        ..entry()
    };
    let line = written(Format::Clb, &unserved);
    let tail = " - -1 -1 -1 503 0 0 0 \"GET http://h:80/ HTTP/1.1\" \"-\" - -";
    assert!(line.ends_with(tail), "{line}");
}

#[test]
fn the_url_is_of_the_host_and_the_listeners_port_with_the_target_as_it_came() {
    let url = |host: &[u8], target: &str| {
        let mut url = Vec::new();
        let http = Http { host, ..http() };
        write_url(&http, target.as_bytes(), |part| url.extend_from_slice(part));
        String::from_utf8(url).unwrap()
    };
    assert_eq!(url(b"a:8080", "/x?y=%20"), "http://a:80/x?y=%20");
    assert_eq!(url(b"[::1]", "/"), "http://[::1]:80/");
    assert_eq!(url(b"[::1]:8080", "/"), "http://[::1]:80/");
    assert_eq!(url(b"", "/"), "http://-:80/");
    assert_eq!(url(b"a", "*"), "http://a:80/*");
    assert_eq!(url(b"a", "http://b:81/c"), "http://b:81/c");
}

#[test]
fn behind_the_switch_are_verdict_reason_shard_epoch_and_id() {
    let clb = written(Format::Clb, &entry());
    let line = |id| {
        let mut entry = entry();
        entry.more.request_id = id;
        written(Format::ClbAndMore, &entry)
    };
    assert_eq!(line(b""), format!("{clb} hit - 3 12 \"-\""));
    assert_eq!(line(b"a b\""), format!("{clb} hit - 3 12 \"a b\\x22\""));
}

#[test]
fn the_json_has_the_id_of_requests_that_have_one() {
    let mut entry = entry();
    entry.more.request_id = b"a\"b";
    let object: serde_json::Value =
        serde_json::from_str(&written(Format::Json, &entry)).expect("it is JSON");
    assert_eq!(object["request_id"], "a\"b");
}

#[test]
fn the_json_has_the_same_by_name() {
    let line = written(Format::Json, &entry());
    let object: serde_json::Value = serde_json::from_str(&line).unwrap();
    let expected = serde_json::json!({
        "timestamp": "2015-05-13T23:39:43.945958Z",
        "elb": "my-loadbalancer",
        "client": "192.168.131.39:2817",
        "backend": "10.0.0.1:80",
        "request_processing_time": 0.000_073,
        "backend_processing_time": 0.001_048,
        "response_processing_time": 0.000_057,
        "elb_status_code": 200,
        "backend_status_code": 200,
        "received_bytes": 0,
        "sent_bytes": 29,
        "request_line": "GET / HTTP/1.1",
        "method": "GET",
        "url": "http://www.example.com:80/",
        "version": "HTTP/1.1",
        "user_agent": "curl/7.38.0",
        "ssl_cipher": null,
        "ssl_protocol": null,
        "verdict": "hit",
        "reason": null,
        "shard": 3,
        "epoch": 12,
    });
    assert_eq!(object, expected);
}

#[test]
fn a_timestamp_is_of_its_own_second() {
    let mut seconds = Seconds::default();
    let mut at = |micros| String::from_utf8(seconds.timestamp(micros).to_vec()).unwrap();
    assert_eq!(at(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(at(999_999), "1970-01-01T00:00:00.999999Z");
    assert_eq!(at(1_000_000), "1970-01-01T00:00:01.000000Z");
    assert_eq!(at(RECEIVED_US), "2015-05-13T23:39:43.945958Z");
    assert_eq!(at(u64::MAX), "1970-01-01T00:00:00.551615Z");
}

/// The fields of a line: separated by blanks, except for those in quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => fields.push(String::new()),
            other => fields.last_mut().unwrap().push(other),
        }
    }
    assert!(!is_quoted, "{line}");
    fields
}

proptest! {
    #[test]
    fn whatever_a_client_says_a_line_has_its_fields_and_is_one(
        request_line in prop::collection::vec(any::<u8>(), 0..60),
        user_agent in prop::collection::vec(any::<u8>(), 0..60),
        host in prop::collection::vec(any::<u8>(), 0..20),
        id in prop::collection::vec(any::<u8>(), 0..20),
        target in "[ -~]{0,20}",
    ) {
        let wild = Http { request_line: &request_line, user_agent: &user_agent, host: &host, ..http() };
        let readable = format!("GET {target} HTTP/1.1");
        for http in [wild, Http { request_line: readable.as_bytes(), ..wild }] {
            let mut entry = Entry { http: Some(http), ..entry() };
            entry.more.request_id = &id;
            let line = written(Format::Clb, &entry);
            prop_assert!(line.is_ascii());
            prop_assert_eq!(fields(&line).len(), 15);
            prop_assert_eq!(fields(&written(Format::ClbAndMore, &entry)).len(), 20);
            let json = written(Format::Json, &entry);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }
    }
}
