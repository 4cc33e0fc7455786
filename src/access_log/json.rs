//! A line as a JSON object, with the Classic Load Balancer's names for its fields.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use super::when::TIMESTAMP_BYTES;
use super::{Entry, parts, write_url};

/// The object. What did not come to be is `null`, and what a connection has not is not there.
#[derive(Serialize)]
struct Object<'a> {
    timestamp: &'a str,
    elb: &'a str,
    client: SocketAddr,
    backend: Option<SocketAddr>,
    request_processing_time: Option<f64>,
    backend_processing_time: Option<f64>,
    response_processing_time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elb_status_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backend_status_code: Option<u16>,
    received_bytes: u64,
    sent_bytes: u64,
    #[serde(flatten)]
    request: Option<Request<'a>>,
    ssl_cipher: Option<&'a str>,
    ssl_protocol: Option<&'a str>,
    verdict: Option<&'a str>,
    reason: Option<&'a str>,
    shard: usize,
    epoch: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Request<'a> {
    /// What cannot be read as a request line is only here.
    request_line: Cow<'a, str>,
    method: Option<Cow<'a, str>>,
    url: Option<String>,
    version: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
}

/// Appends the object.
pub(super) fn write(entry: &Entry<'_>, timestamp: &[u8; TIMESTAMP_BYTES], out: &mut Vec<u8>) {
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
    let more = |text| Some(text).filter(|text| *text != "-");
    let object = Object {
        timestamp: str::from_utf8(timestamp).expect("digits"),
        elb: entry.load_balancer,
        client: entry.client,
        backend: entry.backend,
        request_processing_time: seconds(entry.times.request),
        backend_processing_time: seconds(entry.times.backend),
        response_processing_time: seconds(entry.times.response),
        elb_status_code: entry.http.map(|http| http.status),
        backend_status_code: entry.http.map(|http| http.backend_status),
        received_bytes: entry.received_bytes,
        sent_bytes: entry.sent_bytes,
        request: entry.http.as_ref().map(|http| {
            let parts = parts(http.request_line);
            Request {
                request_line: String::from_utf8_lossy(http.request_line),
                method: parts.map(|[method, ..]| String::from_utf8_lossy(method)),
                url: parts.map(|[_, target, _]| {
                    let mut url = Vec::new();
                    write_url(http, target, |part| url.extend_from_slice(part));
                    String::from_utf8_lossy(&url).into_owned()
                }),
                version: parts.map(|[.., version]| String::from_utf8_lossy(version)),
                user_agent: (!http.user_agent.is_empty())
                    .then(|| String::from_utf8_lossy(http.user_agent)),
            }
        }),
        ssl_cipher: entry.tls.map(|(cipher, _)| cipher),
        ssl_protocol: entry.tls.map(|(_, protocol)| protocol),
        verdict: more(entry.more.verdict),
        reason: more(entry.more.reason),
        shard: entry.more.shard,
        epoch: entry.more.epoch,
        request_id: Some(entry.more.request_id)
            .filter(|id| !id.is_empty())
            .map(String::from_utf8_lossy),
    };
    serde_json::to_writer(out, &object).expect("a vector takes every write");
}
