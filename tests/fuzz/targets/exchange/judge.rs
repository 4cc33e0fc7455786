//! Whether what came of a script is what had to: the backend has seen the sound requests up to the
//! first that is refused, as they were; and each answer is that of its own request.

use crate::answer::Answer;
use crate::script::{Ask, Fate, Script};
use crate::stage::Played;

pub(crate) fn check(script: &Script, played: &Played) {
    let mut answers = Answers {
        rest: &played.received,
        is_reset: played.is_reset,
    };
    let mut forwarded: Vec<&Ask> = Vec::new();
    for ask in &script.asks {
        let next = match ask.fate {
            Fate::Refused(status) => answers.expect_refusal(status, ask.is_cut),
            Fate::Forwarded { .. } if ask.is_cut => Next::Nothing,
            Fate::Forwarded {
                keeps_alive,
                is_old,
            } => {
                forwarded.push(ask);
                answers.expect_answer(ask, keeps_alive, is_old)
            }
        };
        if next == Next::Nothing {
            break;
        }
    }
    // A client that waits for it may be told to go on, and then not.
    while let Some(rest) = answers.rest.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n") {
        answers.rest = rest;
    }
    let more = answers.rest.escape_ascii().to_string();
    assert!(more.is_empty(), "nobody asked for {more:?}");
    check_seen(&forwarded, played);
}

/// The backend has seen these requests, each once, or again where that is safe and it was silent.
fn check_seen(forwarded: &[&Ask], played: &Played) {
    let mut seen = played.seen.iter().peekable();
    for ask in forwarded {
        let one = seen
            .next()
            .unwrap_or_else(|| panic!("{} was not forwarded", ask.tag));
        assert_eq!((&*one.method, &one.target), (ask.method, &ask.tag));
        assert!(one.content == ask.content, "other content of {ask:?}");
        if ask.answer == Answer::Silence && ask.method != "POST" {
            while seen.next_if(|again| again.target == ask.tag).is_some() {}
        }
    }
    let more: Vec<_> = seen.map(|seen| &seen.target).collect();
    assert!(more.is_empty(), "nobody has sent {more:?}");
}

/// What may follow an answer on its connection.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Another,
    Nothing,
}

/// What the client got, up to where it was looked at.
struct Answers<'a> {
    rest: &'a [u8],
    is_reset: bool,
}

/// An answer that elbow has written.
struct Got<'a> {
    status: u16,
    head: &'a str,
    content: Vec<u8>,
    is_whole: bool,
}

impl Answers<'_> {
    fn expect_refusal(&mut self, status: u16, is_cut: bool) -> Next {
        if is_cut && self.rest.is_empty() {
            return Next::Nothing;
        }
        let got = self.take("POST").expect("a refusal is answered");
        assert_eq!((got.status, got.content.len()), (status, 0), "{}", got.head);
        assert!(got.head.contains("\r\nConnection: close\r\n"));
        assert!(got.is_whole);
        Next::Nothing
    }

    fn expect_answer(&mut self, ask: &Ask, keeps_alive: bool, is_old: bool) -> Next {
        let (expected, ends) = expected(ask, is_old);
        let is_reset = self.is_reset;
        let Some(got) = self.take(ask.method) else {
            assert!(
                expected.contains(&0) && is_reset,
                "no answer to {}",
                ask.tag
            );
            return Next::Nothing;
        };
        assert!(expected.contains(&got.status), "{} to {ask:?}", got.head);
        if !got.is_whole {
            assert!(
                expected.contains(&0) && is_reset,
                "half of {} to {ask:?}",
                got.head
            );
            assert!(ask.tag.as_bytes().starts_with(&got.content));
            return Next::Nothing;
        }
        if got.status == 200 && ask.method != "HEAD" {
            assert_eq!(got.content, ask.tag.as_bytes(), "another's answer");
            assert!(
                !expected.contains(&0),
                "an answer that was not whole seems to be"
            );
        } else {
            assert_eq!(got.content, b"");
        }
        let is_last = got.head.contains("\r\nConnection: close\r\n");
        assert!(
            is_last != got.head.contains("\r\nConnection: keep-alive\r\n"),
            "{}",
            got.head
        );
        assert!(is_last || keeps_alive && !ends, "{} to {ask:?}", got.head);
        // It is not known whether its client still sends where the body has come in parts.
        assert!(
            !is_last || !keeps_alive || ends || !ask.content.is_empty(),
            "{}",
            got.head
        );
        if is_last {
            Next::Nothing
        } else {
            Next::Another
        }
    }

    /// Takes the next answer, and interim ones before it; `None`: there is none.
    fn take(&mut self, method: &str) -> Option<Got<'_>> {
        loop {
            let end = self.rest.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
            let (head, rest) = self.rest.split_at(end);
            let head = std::str::from_utf8(head).expect("the backend sends ASCII");
            let status = head
                .strip_prefix("HTTP/1.1 ")
                .and_then(|line| line.get(..3));
            let status: u16 = status
                .and_then(|digits| digits.parse().ok())
                .expect("a status");
            self.rest = rest;
            if status == 100 || status == 103 {
                continue;
            }
            let has_none = method == "HEAD" || matches!(status, 204 | 304);
            let (content, is_whole, behind) = match body(head, rest, self.is_reset) {
                _ if has_none => (Vec::new(), true, rest),
                taken => taken,
            };
            self.rest = behind;
            return Some(Got {
                status,
                head,
                content,
                is_whole,
            });
        }
    }
}

/// The content of an answer, whether it is whole, and what stands behind it. One that ends with its
/// connection is whole if that ends well.
fn body<'a>(head: &str, rest: &'a [u8], is_reset: bool) -> (Vec<u8>, bool, &'a [u8]) {
    if head.contains("\r\nTransfer-Encoding: chunked\r\n") {
        let mut content = Vec::new();
        let whole = unchunk(rest, &mut content);
        return (content, whole.is_some(), whole.unwrap_or_default());
    }
    let Some((_, line)) = head.split_once("\r\nContent-Length: ") else {
        return (rest.to_vec(), !is_reset, b"");
    };
    let digits = line.split("\r\n").next().expect("a line has an end");
    let length = digits.parse::<usize>().expect("elbow passes on numbers");
    let there = length.min(rest.len());
    (rest[..there].to_vec(), there == length, &rest[there..])
}

fn unchunk<'a>(mut rest: &'a [u8], content: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let line = std::str::from_utf8(&rest[..end]).ok()?;
        let size = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return rest.strip_prefix(b"Trailing: x\r\n\r\n");
        }
        content.extend_from_slice(&rest[..size.min(rest.len())]);
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// The statuses that a client may get, 0 for an answer that is cut; and whether its connection ends
/// whatever the client wishes.
fn expected(ask: &Ask, is_old: bool) -> (&'static [u16], bool) {
    let has_body = ask.method != "HEAD";
    match ask.answer {
        Answer::Length | Answer::BehindHints | Answer::BehindContinue => (&[200], false),
        Answer::Last | Answer::Surplus => (&[200], false),
        Answer::Chunks => (&[200], is_old && has_body),
        Answer::UntilClose => (&[200], has_body),
        Answer::NoContent => (&[204], false),
        Answer::NotModified => (&[304], false),
        Answer::BadStatus | Answer::TwoLengths | Answer::UnaskedSwitch => (&[502], false),
        Answer::HalfHead => (&[502], false),
        Answer::Silence => (&[504], false),
        Answer::HalfBody | Answer::HalfChunk | Answer::BadChunk if !has_body => (&[200], false),
        Answer::HalfBody => (&[0, 200], true),
        // Where all of it comes at once, nothing of it is passed on.
        Answer::HalfChunk | Answer::BadChunk => (&[0, 200, 502], false),
    }
}
