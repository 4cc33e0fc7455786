//! The answers that elbow makes itself, to the letter of CLB.md §4.8; those that CLB has none of,
//! in the same shape.

/// An answer of elbow's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    /// The request is malformed, ambiguous, or asks for CONNECT.
    BadRequest,
    /// The method is longer than 127 bytes.
    MethodNotAllowed,
    /// The client did not send the whole request in the idle timeout.
    RequestTimeout,
    /// The body is longer than the load balancer's `max_body`.
    ContentTooLarge,
    /// The request line is longer than its bound.
    UriTooLong,
    /// An `Expect` other than `100-continue` (RFC 9110 §10.1.1).
    ExpectationFailed,
    /// The head is longer than its bound, or has more fields.
    HeadTooLarge,
    /// A transfer coding other than `chunked` (RFC 9112 §6.1).
    NotImplemented,
    /// The backend's answer is not HTTP, or has two readings.
    BadGateway,
    /// No backend is in service, none could be reached, or the shard has no buffers left.
    ServiceUnavailable,
    /// The backend was silent for the idle timeout, or closed before it answered.
    GatewayTimeout,
}

/// The interim answer to `Expect: 100-continue`.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

macro_rules! answer {
    ($line:literal, $connection:literal) => {
        concat!(
            "HTTP/1.1 ",
            $line,
            "\r\nContent-Length: 0\r\nConnection: ",
            $connection,
            "\r\n\r\n"
        )
        .as_bytes()
    };
}

impl Reply {
    /// Every reply, in the order of its index, for metrics.
    pub const ALL: [Self; 11] = [
        Self::BadRequest,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ContentTooLarge,
        Self::UriTooLong,
        Self::ExpectationFailed,
        Self::HeadTooLarge,
        Self::NotImplemented,
        Self::BadGateway,
        Self::ServiceUnavailable,
        Self::GatewayTimeout,
    ];

    /// The replies' names for metrics, in the order of their index.
    pub const NAMES: [&'static str; 11] = [
        "bad_request",
        "method_not_allowed",
        "request_timeout",
        "content_too_large",
        "uri_too_long",
        "expectation_failed",
        "head_too_large",
        "not_implemented",
        "bad_gateway",
        "service_unavailable",
        "gateway_timeout",
    ];

    /// The status code.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::ContentTooLarge => 413,
            Self::UriTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::HeadTooLarge => 431,
            Self::NotImplemented => 501,
            Self::BadGateway => 502,
            Self::ServiceUnavailable => 503,
            Self::GatewayTimeout => 504,
        }
    }

    /// The whole answer. Those that the client is to blame for always close: where its next
    /// request would begin is not known.
    pub fn bytes(self, keep_alive: bool) -> &'static [u8] {
        match (self, keep_alive) {
            (Self::BadRequest, _) => answer!("400 BAD_REQUEST", "close"),
            (Self::MethodNotAllowed, _) => answer!("405 METHOD_NOT_ALLOWED", "close"),
            (Self::RequestTimeout, _) => answer!("408 REQUEST_TIMEOUT", "close"),
            (Self::ContentTooLarge, _) => answer!("413 CONTENT_TOO_LARGE", "close"),
            (Self::UriTooLong, _) => answer!("414 URI_TOO_LONG", "close"),
            (Self::ExpectationFailed, _) => answer!("417 EXPECTATION_FAILED", "close"),
            (Self::HeadTooLarge, _) => {
                answer!("431 REQUEST_HEADER_FIELDS_TOO_LARGE", "close")
            }
            (Self::NotImplemented, _) => answer!("501 NOT_IMPLEMENTED", "close"),
            (Self::BadGateway, true) => answer!("502 BAD_GATEWAY", "keep-alive"),
            (Self::BadGateway, false) => answer!("502 BAD_GATEWAY", "close"),
            (Self::ServiceUnavailable, true) => {
                answer!(
                    "503 Service Unavailable: Back-end server is at capacity",
                    "keep-alive"
                )
            }
            (Self::ServiceUnavailable, false) => {
                answer!(
                    "503 Service Unavailable: Back-end server is at capacity",
                    "close"
                )
            }
            (Self::GatewayTimeout, true) => answer!("504 GATEWAY_TIMEOUT", "keep-alive"),
            (Self::GatewayTimeout, false) => answer!("504 GATEWAY_TIMEOUT", "close"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_carries_the_status_and_the_answer_is_whole() {
        for (index, reply) in Reply::ALL.into_iter().enumerate() {
            assert_eq!(reply as usize, index);
            for keep_alive in [true, false] {
                let bytes = reply.bytes(keep_alive);
                let line = format!("HTTP/1.1 {} ", reply.status());
                assert!(bytes.starts_with(line.as_bytes()));
                assert!(bytes.ends_with(b"\r\n\r\n"));
            }
        }
    }

    #[test]
    fn the_clients_faults_close_the_connection() {
        for reply in Reply::ALL {
            let closes = reply
                .bytes(true)
                .windows(17)
                .any(|text| text == b"Connection: close");
            assert_eq!(closes, reply.status() < 502, "{reply:?}");
        }
    }
}
