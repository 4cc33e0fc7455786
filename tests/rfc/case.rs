//! Cases as they are written. The format is told in `main.rs`.

/// One file of cases.
#[derive(Debug)]
pub(crate) struct File {
    /// Lines for `[load_balancer.attributes]`.
    pub(crate) attributes: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    /// Metrics and by how much they grow.
    pub(crate) counts: Vec<(String, u64)>,
    pub(crate) client: Fate,
    pub(crate) backend: Fate,
}

/// What happens, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    ClientSends(Bytes),
    BackendGets(Bytes),
    BackendSends(Bytes),
    ClientGets(Bytes),
    /// What follows at the backend comes on another connection.
    BackendAnew,
    BackendCloses,
    /// The client sends no more.
    ClientEnds,
}

/// Bytes, with a gap wherever the number of elbow's port stands: it is known once elbow runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes(Vec<Vec<u8>>);

/// What has become of a connection in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It carries another request.
    Open,
    /// It has ended.
    Closed,
    /// It was reset: what came before is not whole.
    Reset,
    /// There was none.
    Unasked,
    /// It got some of a request or nothing, and ended before the body did.
    Cut,
}

impl Bytes {
    pub(crate) fn at_port(&self, port: u16) -> Vec<u8> {
        self.0.join(port.to_string().as_bytes())
    }

    fn push(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(last) => last.extend_from_slice(bytes),
            None => self.0.push(bytes.to_vec()),
        }
    }

    fn push_port(&mut self) {
        self.push(b"");
        self.0.push(Vec::new());
    }
}

impl File {
    pub(crate) fn parse(text: &str) -> Self {
        let mut file = Self {
            attributes: Vec::new(),
            cases: Vec::new(),
        };
        let mut has_ended = true;
        let lines = text.lines().enumerate();
        for (index, line) in lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('#')) {
            let fault = |what: &str| -> ! { panic!("line {}: {what}: {line}", index + 1) };
            if let Some(attribute) = line.strip_prefix("with: ") {
                file.attributes.push(attribute.to_owned());
                continue;
            }
            if let Some(name) = line.strip_prefix("case: ") {
                if !has_ended {
                    fault("the case before has no `ends:`");
                }
                has_ended = false;
                file.cases.push(Case::named(name));
                continue;
            }
            let Some(case) = file.cases.last_mut().filter(|_| !has_ended) else {
                fault("a case begins with `case:` and ends with `ends:`");
            };
            if let Some(ends) = line.strip_prefix("ends: ") {
                (case.client, case.backend) = fates(ends).unwrap_or_else(|| fault("no fates"));
                has_ended = true;
            } else if !case.take(line) {
                fault("means nothing");
            }
        }
        assert!(has_ended && !file.cases.is_empty(), "the last has no end");
        file
    }
}

impl Case {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            steps: Vec::new(),
            counts: Vec::new(),
            client: Fate::Open,
            backend: Fate::Open,
        }
    }

    /// Takes a line; false if it means nothing.
    fn take(&mut self, line: &str) -> bool {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            ">" => self.add(rest, Step::ClientSends, |step| match step {
                Step::ClientSends(bytes) => Some(bytes),
                _ => None,
            }),
            ">>" => self.add(rest, Step::BackendGets, |step| match step {
                Step::BackendGets(bytes) => Some(bytes),
                _ => None,
            }),
            "<<" => self.add(rest, Step::BackendSends, |step| match step {
                Step::BackendSends(bytes) => Some(bytes),
                _ => None,
            }),
            "<" => self.add(rest, Step::ClientGets, |step| match step {
                Step::ClientGets(bytes) => Some(bytes),
                _ => None,
            }),
            "do:" => self.steps.push(match rest {
                "backend anew" => Step::BackendAnew,
                "backend closes" => Step::BackendCloses,
                "client ends" => Step::ClientEnds,
                _ => return false,
            }),
            "counts:" => {
                let Some((metric, by)) = rest.split_once(' ') else {
                    return false;
                };
                let by = by.parse().expect("a metric grows by a number");
                self.counts.push((metric.to_owned(), by));
            }
            "rule:" | "deviates:" => return !rest.is_empty(),
            _ => return false,
        }
        true
    }

    /// Adds a line to the last step if that is of the same kind, and else to a new one.
    fn add(
        &mut self,
        line: &str,
        new: fn(Bytes) -> Step,
        of_kind: fn(&mut Step) -> Option<&mut Bytes>,
    ) {
        if self.steps.last_mut().and_then(of_kind).is_none() {
            self.steps.push(new(Bytes::default()));
        }
        let is_clients = matches!(self.steps.last(), Some(Step::ClientGets(_)));
        let bytes = self.steps.last_mut().and_then(of_kind);
        let bytes = bytes.expect("the last step is of that kind");
        match line
            .strip_prefix('{')
            .and_then(|line| line.strip_suffix('}'))
        {
            Some("forwarded") => {
                bytes.push(b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n");
                bytes.push(b"X-Forwarded-Port: ");
                bytes.push_port();
                bytes.push(b"\r\nConnection: keep-alive\r\n");
            }
            Some("ok") if is_clients => bytes.push(OK_FROM_ELBOW.as_bytes()),
            Some("ok") => bytes.push(OK.as_bytes()),
            Some(own) if own.starts_with(|c: char| c.is_ascii_digit()) => {
                bytes.push(own_answer(own).as_bytes());
            }
            _ => line_of(line, bytes),
        }
    }
}

/// What `{ok}` is of a backend.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// And as clients get it.
pub(crate) const OK_FROM_ELBOW: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok";

/// An answer of elbow's own, as README has it.
fn own_answer(what: &str) -> String {
    let (status, connection) = match what.strip_suffix(" open") {
        Some(status) => (status, "keep-alive"),
        None => (what, "close"),
    };
    let phrase = match status {
        "400" => "BAD_REQUEST",
        "405" => "METHOD_NOT_ALLOWED",
        "408" => "REQUEST_TIMEOUT",
        "413" => "CONTENT_TOO_LARGE",
        "414" => "URI_TOO_LONG",
        "417" => "EXPECTATION_FAILED",
        "431" => "REQUEST_HEADER_FIELDS_TOO_LARGE",
        "501" => "NOT_IMPLEMENTED",
        "502" => "BAD_GATEWAY",
        "504" => "GATEWAY_TIMEOUT",
        _ => panic!("elbow has no {status}"),
    };
    format!("HTTP/1.1 {status} {phrase}\r\nContent-Length: 0\r\nConnection: {connection}\r\n\r\n")
}

/// One line of bytes.
fn line_of(line: &str, bytes: &mut Bytes) {
    let (line, end) = match line.strip_suffix('\\') {
        Some(line) if !line.ends_with('\\') => (line, ""),
        _ => (line, "\r\n"),
    };
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').expect("braces close");
        bytes.push(&unescape(before));
        if inside == "port" {
            bytes.push_port();
        } else {
            let (text, count) = inside.rsplit_once('*').expect("a text and how often");
            let count = count.parse().expect("how often is a number");
            bytes.push(&unescape(text).repeat(count));
        }
        rest = after;
    }
    bytes.push(&unescape(rest));
    bytes.push(end.as_bytes());
}

fn fates(text: &str) -> Option<(Fate, Fate)> {
    let (client, backend) = text.split_once(", ")?;
    let fate = |word| match word {
        "open" => Some(Fate::Open),
        "closed" => Some(Fate::Closed),
        "reset" => Some(Fate::Reset),
        "unasked" => Some(Fate::Unasked),
        "cut" => Some(Fate::Cut),
        _ => None,
    };
    Some((
        fate(client.strip_prefix("client ")?)?,
        fate(backend.strip_prefix("backend ")?)?,
    ))
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            bytes.extend(c.to_string().bytes());
            continue;
        }
        bytes.push(match chars.next() {
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('\\') => b'\\',
            Some('x') => {
                let digits: String = chars.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).expect("two hexadecimal digits")
            }
            other => panic!("\\{other:?} stands for nothing in {text}"),
        });
    }
    bytes
}

#[test]
fn a_case_is_the_bytes_that_it_shows() {
    let text = "# said\nwith: a = 1\n\ncase: one\nrule: §1\n> A\\x00\\\n> {b\\r\\n*2}\\\n>> {forwarded}\n\
                << x\n<\n< {400}\ncounts: m 2\nends: client closed, backend unasked\n";
    let file = File::parse(text);
    assert_eq!(file.attributes, ["a = 1"]);
    let case = &file.cases[0];
    assert_eq!((case.client, case.backend), (Fate::Closed, Fate::Unasked));
    assert_eq!(case.counts, [("m".to_owned(), 2)]);
    let bytes = |step: &Step| match step {
        Step::ClientSends(bytes) | Step::BackendGets(bytes) => bytes.at_port(80),
        Step::BackendSends(bytes) | Step::ClientGets(bytes) => bytes.at_port(80),
        _ => Vec::new(),
    };
    let all: Vec<_> = case.steps.iter().map(bytes).collect();
    assert_eq!(all[0], b"A\0b\r\nb\r\n");
    assert_eq!(
        all[1],
        b"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\
          Connection: keep-alive\r\n"
    );
    assert_eq!(all[2], b"x\r\n");
    assert!(all[3].starts_with(b"\r\nHTTP/1.1 400 BAD_REQUEST\r\n"));
}
