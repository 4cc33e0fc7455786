//! A response head: parsed, judged, and written anew for the client.

use httparse::Header;

use super::body::Framing;
use super::field::{ConnectionOptions, FieldSet, Name};
use super::head::{FieldSlots, Rewrite, Version, line_of, write_rewritten};
use super::request::parse_length;

/// The backend's answer is not HTTP/1, or its end has two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadResponse;

/// A response head that can be passed on.
#[derive(Debug)]
pub struct Response<'b, 'h> {
    head: &'b [u8],
    fields: &'h [Header<'b>],
    options: ConnectionOptions<'b>,
    /// Fields that end here.
    cuts: FieldSet,
    /// Fields that speak of chunks.
    codings: FieldSet,
    set_cookies: FieldSet,
    upgrade: Option<&'b [u8]>,
    version: Version,
    /// 100 to 999.
    pub status: u16,
    /// How the body ends.
    pub framing: Framing,
}

/// What the client's connection needs of a response head.
#[derive(Clone, Copy)]
pub struct Downstream<'a> {
    /// The connection stays open after this response.
    pub keep_alive: bool,
    /// The body loses its chunks, since the client speaks HTTP/1.0.
    pub unchunks: bool,
    /// What becomes of the values of the backend's `Set-Cookie` fields, each in its place.
    pub set_cookie: Option<Rewrite<'a>>,
    /// Whole field lines that go behind the backend's.
    pub extra_lines: &'a [u8],
}

impl<'b, 'h> Response<'b, 'h> {
    /// Parses and judges a whole head, its empty line included. `to_head`: it answers HEAD.
    ///
    /// # Errors
    /// [`BadResponse`]; the backend's connection cannot be used again then.
    pub fn parse(
        head: &'b [u8],
        to_head: bool,
        slots: &'h mut FieldSlots<'b>,
    ) -> Result<Self, BadResponse> {
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let status = config.parse_response_with_uninit_headers(&mut parsed, head, slots);
        let is_whole =
            matches!(status, Ok(httparse::Status::Complete(length)) if length == head.len());
        // httparse skips empty lines in front, which nobody may send before a response.
        if !is_whole || !head.starts_with(b"HTTP/1.") {
            return Err(BadResponse);
        }
        let mut response = Self {
            head,
            fields: parsed.headers,
            options: ConnectionOptions::default(),
            cuts: FieldSet::default(),
            codings: FieldSet::default(),
            set_cookies: FieldSet::default(),
            upgrade: None,
            version: Version::from_minor(parsed.version),
            status: parsed.code.filter(|&code| code >= 100).ok_or(BadResponse)?,
            framing: Framing::None,
        };
        response.judge(to_head)?;
        Ok(response)
    }

    fn judge(&mut self, to_head: bool) -> Result<(), BadResponse> {
        let mut content_length = None;
        let mut transfer_encoding = None;
        for (index, field) in self.fields.iter().enumerate() {
            match Name::of(field.name.as_bytes()) {
                Name::ContentLength => {
                    let length = parse_length(field.value).ok_or(BadResponse)?;
                    if content_length.replace(length).is_some() {
                        return Err(BadResponse);
                    }
                    // It is forbidden there (RFC 9110 §8.6), and a reader may still go by it.
                    if matches!(self.status, 100..=199 | 204) {
                        self.cuts.insert(index);
                    }
                }
                Name::TransferEncoding => {
                    if transfer_encoding.replace(field.value).is_some() {
                        return Err(BadResponse);
                    }
                    self.codings.insert(index);
                }
                Name::Connection => {
                    if !self.options.add(field.value) {
                        return Err(BadResponse);
                    }
                    self.cuts.insert(index);
                }
                Name::Upgrade if self.status == 101 => {
                    if self.upgrade.replace(field.value).is_some() {
                        return Err(BadResponse);
                    }
                }
                Name::KeepAlive | Name::ProxyConnection | Name::Upgrade => self.cuts.insert(index),
                Name::Trailer => self.codings.insert(index),
                Name::SetCookie => self.set_cookies.insert(index),
                Name::Cookie
                | Name::Expect
                | Name::FramingLookalike
                | Name::Host
                | Name::Te
                | Name::XElbowStandby
                | Name::XForwardedFor
                | Name::XForwardedPort
                | Name::XForwardedProto
                | Name::Other => {}
            }
        }
        self.cuts = self.cuts.union(self.options.nominated(self.fields));
        self.framing = match (transfer_encoding, content_length) {
            (Some(_), Some(_)) => return Err(BadResponse),
            (Some(_), None) if self.version == Version::Http10 => return Err(BadResponse),
            (Some(coding), None) if !coding.eq_ignore_ascii_case(b"chunked") => {
                return Err(BadResponse);
            }
            // What follows is another protocol's, to the end of the connection.
            _ if self.status == 101 => Framing::UntilClose,
            _ if to_head || self.has_no_body() => Framing::None,
            (Some(_), None) => Framing::Chunked,
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::UntilClose,
        };
        Ok(())
    }

    fn has_no_body(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }

    /// Whether the connection changes to that protocol, names of which are alike in any case, with
    /// the byte behind this head (RFC 9110 §7.8, RFC 6455 §4.1).
    pub fn switches_to(&self, protocol: &str) -> bool {
        let is_it = |value: &[u8]| value.eq_ignore_ascii_case(protocol.as_bytes());
        self.status == 101 && self.version == Version::Http11 && self.upgrade.is_some_and(is_it)
    }

    /// Whether this is an interim response, after which another head follows.
    pub fn is_interim(&self) -> bool {
        (100..=199).contains(&self.status) && self.status != 101
    }

    /// Whether the backend's connection can carry another exchange once the body is over.
    pub fn keeps_alive(&self) -> bool {
        let by_default = self.version == Version::Http11 || self.options.has_keep_alive;
        by_default && !self.options.has_close && self.framing != Framing::UntilClose
    }

    /// The values of the `Set-Cookie` fields, in order.
    pub fn set_cookies(&self) -> impl Iterator<Item = &'b [u8]> {
        self.set_cookies
            .iter()
            .map(|index| self.fields[index].value)
    }

    /// Writes the head for the client behind what is in `out`: HTTP/1.1, hop-by-hop fields cut,
    /// `Set-Cookie` as `downstream` says; every other byte as it came.
    pub fn write(&self, downstream: &Downstream<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1");
        let mut run = b"HTTP/1.1".len();
        let mut edits = self.cuts;
        // RFC 9112 §6.1 forbids codings on 1xx and 204; on 304 they say nothing to the client.
        if downstream.unchunks || self.has_no_body() {
            edits = edits.union(self.codings);
        }
        if downstream.set_cookie.is_some() {
            edits = edits.union(self.set_cookies);
        }
        for index in edits.iter() {
            let field = &self.fields[index];
            let line = line_of(self.head, field);
            out.extend_from_slice(&self.head[run..line.start]);
            run = line.end;
            if let Some(rewrite) = downstream.set_cookie
                && self.set_cookies.contains(index)
            {
                write_rewritten(self.head, field, rewrite, out);
            }
        }
        out.extend_from_slice(&self.head[run..self.head.len() - 2]);
        out.extend_from_slice(downstream.extra_lines);
        if self.status == 101 {
            out.extend_from_slice(b"Connection: upgrade\r\n\r\n");
        } else if self.is_interim() {
            out.extend_from_slice(b"\r\n");
        } else if downstream.keep_alive {
            out.extend_from_slice(b"Connection: keep-alive\r\n\r\n");
        } else {
            out.extend_from_slice(b"Connection: close\r\n\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::head::field_slots;
    use super::*;

    const KEEP: Downstream<'_> = Downstream {
        keep_alive: true,
        unchunks: false,
        set_cookie: None,
        extra_lines: b"",
    };

    fn framing(head: &str, to_head: bool) -> Result<Framing, BadResponse> {
        let mut slots = field_slots();
        Response::parse(head.as_bytes(), to_head, &mut slots).map(|response| response.framing)
    }

    fn rewritten(head: &str, downstream: &Downstream<'_>) -> String {
        let mut slots = field_slots();
        let response = Response::parse(head.as_bytes(), false, &mut slots).unwrap();
        let mut out = Vec::new();
        response.write(downstream, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_end_of_the_body_follows_rfc_9112() {
        for (head, to_head, expected) in [
            ("200 OK\r\nContent-Length: 5", false, Framing::Length(5)),
            ("200 OK\r\nContent-Length: 5", true, Framing::None),
            (
                "200 OK\r\nTransfer-Encoding: Chunked",
                false,
                Framing::Chunked,
            ),
            ("200 OK", false, Framing::UntilClose),
            ("204 No Content", false, Framing::None),
            (
                "304 Not Modified\r\nContent-Length: 5",
                false,
                Framing::None,
            ),
            ("100 Continue", false, Framing::None),
        ] {
            let head = format!("HTTP/1.1 {head}\r\n\r\n");
            assert_eq!(framing(&head, to_head), Ok(expected), "{head}");
        }
    }

    #[test]
    fn an_answer_with_two_readings_is_bad() {
        for head in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
            "HTTP/1.1 200 OK\r\nContent-Length: five",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
            "HTTP/1.1 099 Odd",
            "HTTP/1.1 200 OK\r\n folded",
            "HTTP/1.1 200 OK\r\nA: b\rc",
            "HTTP/1.1 200 O\rK",
            "SSH-2.0-OpenSSH_9.2",
            "\r\nHTTP/1.1 200 OK",
        ] {
            assert_eq!(
                framing(&format!("{head}\r\n\r\n"), false),
                Err(BadResponse),
                "{head}"
            );
        }
    }

    #[test]
    fn the_head_is_passed_on_with_our_lines_behind() {
        let head = "HTTP/1.0 404 Not  Found\r\nSet-Cookie: a=b\r\nConnection: x-hop\r\n\
                    X-Hop: 1\r\nContent-Length: 0\r\n\r\n";
        let downstream = Downstream {
            keep_alive: false,
            unchunks: false,
            set_cookie: None,
            extra_lines: b"Set-Cookie: c=d\r\n",
        };
        assert_eq!(
            rewritten(head, &downstream),
            "HTTP/1.1 404 Not  Found\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\
             Set-Cookie: c=d\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn the_values_of_set_cookie_are_given_in_order() {
        let head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b;\r\nSet-Cookie2: no\r\nA: b\r\n\
                     SET-COOKIE:\r\nset-cookie:  c=\xe9 \r\nConnection: Set-Cookie\r\n\r\n";
        let mut slots = field_slots();
        let response = Response::parse(head, false, &mut slots).unwrap();
        let values: Vec<_> = response.set_cookies().collect();
        assert_eq!(values, [&b"a=b;"[..], b"", b"c=\xe9"]);
    }

    #[test]
    fn set_cookie_is_rewritten_in_its_place_and_cut_where_nothing_is_left() {
        let head = "HTTP/1.1 200 OK\r\nset-cookie:  a=1 \r\nConnection: close\r\n\
                    Set-Cookie: cut\r\nContent-Length: 0\r\nSet-Cookie: b=2\r\n\
                    X-Elbow-Reason: own\r\n\r\n";
        let downstream = Downstream {
            set_cookie: Some(&|value, out| {
                if value != b"cut" {
                    out.extend_from_slice(value);
                    out.extend_from_slice(b";PATH=/");
                }
            }),
            extra_lines: b"Set-Cookie: c=3\r\n",
            ..KEEP
        };
        assert_eq!(
            rewritten(head, &downstream),
            "HTTP/1.1 200 OK\r\nset-cookie:  a=1;PATH=/ \r\nContent-Length: 0\r\n\
             Set-Cookie: b=2;PATH=/\r\nX-Elbow-Reason: own\r\nSet-Cookie: c=3\r\n\
             Connection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn a_head_without_fields_or_reason_is_passed_on() {
        assert_eq!(
            rewritten("HTTP/1.1 200\r\n\r\n", &KEEP),
            "HTTP/1.1 200\r\nConnection: keep-alive\r\n\r\n"
        );
    }

    #[test]
    fn an_old_client_is_not_told_of_chunks() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: A\r\n\r\n";
        let downstream = Downstream {
            keep_alive: false,
            unchunks: true,
            set_cookie: None,
            extra_lines: b"",
        };
        assert_eq!(
            rewritten(head, &downstream),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn a_switch_names_its_protocol_once_and_has_no_length() {
        let switches = |head: &str| {
            let head = format!("{head}\r\n\r\n");
            let mut slots = field_slots();
            let response = Response::parse(head.as_bytes(), false, &mut slots)?;
            assert_eq!(response.framing, Framing::UntilClose);
            assert!(!response.keeps_alive());
            Ok(response.switches_to("websocket"))
        };
        assert_eq!(switches("HTTP/1.1 101\r\nUpgrade: WebSocket"), Ok(true));
        assert_eq!(switches("HTTP/1.1 101\r\nUpgrade: h2c"), Ok(false));
        assert_eq!(
            switches("HTTP/1.1 101\r\nUpgrade: websocket, h2c"),
            Ok(false)
        );
        assert_eq!(switches("HTTP/1.1 101 Switching"), Ok(false));
        assert_eq!(switches("HTTP/1.0 101\r\nUpgrade: websocket"), Ok(false));
        let twice = "HTTP/1.1 101\r\nUpgrade: websocket\r\nUpgrade: websocket";
        assert_eq!(switches(twice), Err(BadResponse));
        let head = "HTTP/1.1 101 Yes\r\nConnection: Upgrade\r\nUpgrade: x\r\nA: b\r\n\r\n";
        let expected = "HTTP/1.1 101 Yes\r\nUpgrade: x\r\nA: b\r\nConnection: upgrade\r\n\r\n";
        assert_eq!(rewritten(head, &KEEP), expected);
    }

    #[test]
    fn an_answer_that_can_have_no_body_announces_none() {
        let head = "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nA: b\r\n\r\n";
        let expected = "HTTP/1.1 204 No Content\r\nA: b\r\nConnection: keep-alive\r\n\r\n";
        assert_eq!(rewritten(head, &KEEP), expected);
        let head = "HTTP/1.1 103 Hints\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(rewritten(head, &KEEP), "HTTP/1.1 103 Hints\r\n\r\n");
        let head = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n";
        assert!(rewritten(head, &KEEP).contains("Content-Length: 5"));
    }

    #[test]
    fn an_interim_head_says_nothing_about_the_connection() {
        let head = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        assert_eq!(rewritten(head, &KEEP), head);
    }

    #[test]
    fn the_backends_connection_is_kept_by_the_rules_of_its_version() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 0", true),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close",
                false,
            ),
            ("HTTP/1.0 200 OK\r\nContent-Length: 0", false),
            (
                "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive",
                true,
            ),
            ("HTTP/1.1 200 OK", false),
        ] {
            let head = format!("{head}\r\n\r\n");
            let mut slots = field_slots();
            let response = Response::parse(head.as_bytes(), false, &mut slots).unwrap();
            assert_eq!(response.keeps_alive(), expected, "{head}");
        }
    }
}
