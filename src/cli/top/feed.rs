//! The stream of moments: opened, read, and opened again when it ends.
//!
//! Not what becomes of a moment (`app.rs`). Invariant: a thread per feed and one feed at a time; a
//! feed whose handle is dropped ends with the next moment, or with the silence of the other side.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::cli::ask::{Client, Lines, Silence, is_silence, parse};
use crate::control::{Moment, ProcessStatus};

/// The longest moment that is read, in bytes; ten thousand instances are some 3 MiB. Beyond it the
/// stream is none of elbow's.
const MOMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The shortest and the longest wait before a stream is asked for again.
const AGAIN_MIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(8);

/// What a feed has to tell.
#[derive(Debug)]
pub(super) enum News {
    /// It listens, to this process.
    Opened(Box<ProcessStatus>),
    /// A second is over.
    Moment(Box<Moment>),
    /// Nothing is heard, for this reason; it asks again after so long.
    Lost(String, Duration),
    /// It is refused for good, and ends.
    Refused(String),
}

/// An answer of `/v1/live`.
pub(super) struct Moments {
    lines: Lines,
    address: String,
}

impl Moments {
    /// Asks for one load balancer, or for all in short.
    pub(super) fn open(client: &Client, load_balancer: Option<&str>) -> Result<Self, Silence> {
        let query = load_balancer.map(|name| ("load_balancer", name));
        let lines = client.listen("/v1/live", query.as_slice())?;
        Ok(Self {
            lines,
            address: client.address().to_string(),
        })
    }

    /// The next moment as it was sent, JSON without a line's end; `None`: the stream has ended.
    pub(super) fn next_text(&mut self) -> Result<Option<String>, Silence> {
        next_event(&mut self.lines).map_err(|error| {
            let clause = match is_silence(&error) {
                true => "it says nothing any more".to_owned(),
                false => error.to_string(),
            };
            Silence::Passing(format!("lost {}: {clause}", self.address))
        })
    }

    fn next(&mut self) -> Result<Option<Moment>, Silence> {
        let text = self.next_text()?;
        let moment = text.map(|text| parse(&text)).transpose();
        // An elbow of another version will say the same again.
        moment.map_err(Silence::Lasting)
    }
}

/// The data of the next server-sent event; `None`: there are no more.
fn next_event(lines: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut bounded = lines.take(MOMENT_BYTES_MAX);
    let mut data = String::new();
    loop {
        let mut line = String::new();
        bounded.read_line(&mut line)?;
        if !line.ends_with('\n') {
            return match bounded.limit() {
                0 => Err(io::Error::other(
                    "a moment that is longer than any of elbow's",
                )),
                _ => Ok(None),
            };
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if let Some(more) = line.strip_prefix("data:") {
            data += more.strip_prefix(' ').unwrap_or(more);
        } else if line.is_empty() && !data.is_empty() {
            return Ok(Some(data));
        }
    }
}

/// How long to wait after so many attempts in a row that failed.
fn wait_after(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    AGAIN_MIN.saturating_mul(doubled).min(AGAIN_MAX)
}

/// A thread that listens. Dropped, it ends soon.
pub(super) struct Feed {
    thread: JoinHandle<()>,
    _held: Sender<()>,
}

impl Feed {
    /// Listens to what is `wanted`, first on a stream that is open already if there is one, and
    /// gives what it hears to `tell` until that is false.
    pub(super) fn start(
        client: Arc<Client>,
        wanted: Option<String>,
        first: Option<Moments>,
        tell: impl Fn(News) -> bool + Send + 'static,
    ) -> Self {
        let (held, ended) = channel();
        let listener = Listener {
            client,
            wanted,
            tell,
            ended,
        };
        Self {
            thread: thread::spawn(move || listener.listen(first)),
            _held: held,
        }
    }

    /// Whether its thread is gone: it has told that it was refused, or it has panicked.
    pub(super) fn is_over(&self) -> bool {
        self.thread.is_finished()
    }
}

/// Nobody wants to hear more.
struct Over;

struct Listener<T> {
    client: Arc<Client>,
    wanted: Option<String>,
    tell: T,
    /// Disconnected once the handle is dropped.
    ended: Receiver<()>,
}

impl<T: Fn(News) -> bool> Listener<T> {
    fn listen(&self, mut first: Option<Moments>) {
        let mut failures = 0;
        loop {
            let silence = match first.take().map_or_else(|| self.open(), Ok) {
                Ok(moments) => match self.read(moments, &mut failures) {
                    Ok(silence) => silence,
                    Err(Over) => return,
                },
                Err(silence) => Some(silence),
            };
            let Some(silence) = silence else { continue };
            failures += 1;
            let wait = wait_after(failures);
            let goes_on = match silence {
                Silence::Lasting(clause) => {
                    (self.tell)(News::Refused(clause));
                    false
                }
                Silence::Passing(clause) => (self.tell)(News::Lost(clause, wait)),
            };
            if !goes_on || self.ended.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    fn open(&self) -> Result<Moments, Silence> {
        let moments = Moments::open(&self.client, self.wanted.as_deref())?;
        let status = self.client.get("/v1/status", &[]);
        let status = status.map_err(Silence::Passing)?;
        let status = parse(&status).map_err(Silence::Lasting)?;
        (self.tell)(News::Opened(Box::new(status)));
        Ok(moments)
    }

    /// Reads until it ends, in order (`None`) or not.
    fn read(&self, mut moments: Moments, failures: &mut u32) -> Result<Option<Silence>, Over> {
        let mut count = 0;
        loop {
            let moment = match moments.next() {
                Ok(Some(moment)) => moment,
                // One that never says anything is not asked again at once.
                Ok(None) if count == 0 => {
                    let clause = "elbow ended the stream".to_owned();
                    return Ok(Some(Silence::Passing(clause)));
                }
                Ok(None) => return Ok(None),
                Err(silence) => return Ok(Some(silence)),
            };
            count += 1;
            *failures = 0;
            let is_dropped = self.ended.try_recv() == Err(TryRecvError::Disconnected);
            if is_dropped || !(self.tell)(News::Moment(Box::new(moment))) {
                return Err(Over);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::cli::top::sample::{moment, status};

    /// Answers as elbow does, each stream with one moment; from the third on there is no such load
    /// balancer.
    fn serve(listener: &TcpListener) {
        let mut streams = 0;
        for connection in listener.incoming() {
            let mut connection = connection.expect("it comes from here");
            let request = BufReader::new(&connection).lines().map_while(Result::ok);
            let request: Vec<_> = request.take_while(|line| !line.is_empty()).collect();
            let is_stream = request[0].contains("/v1/live?load_balancer=web");
            streams += u32::from(is_stream);
            let (line, body) = match is_stream {
                false => ("200 OK", serde_json::to_string(&status())),
                true if streams > 2 => ("404 Not Found", Ok("{\"error\": \"gone\"}".to_owned())),
                true => ("200 OK", serde_json::to_string(&moment(1))),
            };
            let body = body.expect("it is JSON");
            let (body, more) = match is_stream && streams <= 2 {
                // Longer than what comes: it breaks off.
                true => (format!("data: {body}\n\n"), 9),
                false => (body, 0),
            };
            let length = body.len() + more;
            let answer = format!(
                "HTTP/1.1 {line}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
            connection
                .write_all(answer.as_bytes())
                .expect("somebody reads");
        }
    }

    #[test]
    fn a_stream_that_breaks_is_asked_for_again_until_it_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
        let address = listener.local_addr().expect("it is bound");
        thread::spawn(move || serve(&listener));
        let (sender, heard) = sync_channel(1);
        let client = Arc::new(Client::new(address));
        let feed = Feed::start(client, Some("web".to_owned()), None, move |news| {
            sender.send(news).is_ok()
        });
        let heard: Vec<_> = heard.iter().collect();
        let kinds = heard.iter().map(|news| match news {
            News::Opened(_) => "opened".to_owned(),
            News::Moment(_) => "moment".to_owned(),
            News::Lost(_, wait) => format!("lost for {wait:?}"),
            News::Refused(why) => format!("refused, {why}"),
        });
        let once = ["opened", "moment", "lost for 1s"];
        let expected = [&once[..], &once, &["refused, gone"]].concat();
        assert_eq!(kinds.collect::<Vec<_>>(), expected);
        feed.thread.join().expect("it has ended");
    }

    #[test]
    fn events_are_their_data_whatever_stands_between() {
        let stream = "event: moment\ndata: {\"a\":1}\n\n: still here\n\ndata:{\r\ndata: }\r\n\r\n";
        let mut lines = stream.as_bytes();
        let mut next = || next_event(&mut lines).expect("memory can be read");
        assert_eq!(next().as_deref(), Some("{\"a\":1}"));
        assert_eq!(next().as_deref(), Some("{}"));
        assert_eq!(next(), None);
    }

    #[test]
    fn an_event_that_is_cut_off_is_none() {
        let next = |stream: &str| next_event(&mut stream.as_bytes()).expect("memory can be read");
        assert_eq!(next("data: {\"a\":"), None);
        assert_eq!(next("data: {}\n"), None);
    }

    #[test]
    fn the_wait_doubles_up_to_a_bound() {
        let waits = [1, 2, 3, 4, 5, 1000].map(|failures| wait_after(failures).as_secs());
        assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
    }
}
