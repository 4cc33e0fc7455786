//! Heads and responses as a test looks at them. Not strict: what is refused is elbow's business.

/// The head of a request or a response.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// All bytes up to and with the empty line; what is no UTF-8 is replaced.
    pub(crate) text: String,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

impl Head {
    pub(crate) fn start_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    /// The status of a response; 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        let status = self.start_line().split(' ').nth(1);
        status.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// The target of a request.
    pub(crate) fn target(&self) -> &str {
        self.start_line().split(' ').nth(1).unwrap_or_default()
    }

    /// The values of all fields of that name, in order.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self
            .text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.trim())
            .collect()
    }

    /// The value of the only field of that name. Two of them are a failure.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.fields(name);
        assert!(
            values.len() <= 1,
            "{name} is there {} times:\n{}",
            values.len(),
            self.text
        );
        values.first().copied()
    }

    pub(crate) fn request_framing(&self) -> Framing {
        self.framing().unwrap_or(Framing::Length(0))
    }

    pub(crate) fn response_framing(&self, method: &str) -> Framing {
        match self.status() {
            100..200 | 204 | 304 => Framing::Length(0),
            _ if method == "HEAD" => Framing::Length(0),
            _ => self.framing().unwrap_or(Framing::UntilClose),
        }
    }

    fn framing(&self) -> Option<Framing> {
        let codings = self.field("Transfer-Encoding").map(str::to_lowercase);
        if codings.is_some_and(|codings| codings.ends_with("chunked")) {
            return Some(Framing::Chunked);
        }
        self.field("Content-Length")?
            .parse()
            .ok()
            .map(Framing::Length)
    }
}

/// One response with its body, chunks put together.
#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    /// The lines after the last chunk, `\r\n` included.
    pub(crate) trailers: String,
}

impl Response {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of the cookie that this response sets; fails if it sets it twice.
    pub(crate) fn cookie(&self, name: &str) -> Option<String> {
        let all = self.head.fields("Set-Cookie");
        let pairs = all
            .iter()
            .filter_map(|line| line.split(';').next()?.split_once('='));
        let values: Vec<&str> = pairs.filter(|(n, _)| *n == name).map(|(_, v)| v).collect();
        assert!(values.len() <= 1, "{name} is set {} times", values.len());
        values.first().map(|value| (*value).to_owned())
    }

    /// The `AWSELB` cookie, which must be there.
    pub(crate) fn session(&self) -> String {
        self.cookie("AWSELB")
            .unwrap_or_else(|| panic!("no AWSELB in\n{}", self.head.text))
    }
}

/// A GET of HTTP/1.1 with further field lines.
pub(crate) fn get(target: &str, lines: &[&str]) -> String {
    format!("{}\r\n", head("GET", target, lines))
}

/// A POST of HTTP/1.1 with a body of known length and further field lines.
pub(crate) fn post(target: &str, lines: &[&str], body: &str) -> String {
    let length = body.len();
    format!(
        "{}Content-Length: {length}\r\n\r\n{body}",
        head("POST", target, lines)
    )
}

fn head(method: &str, target: &str, lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{lines}")
}
