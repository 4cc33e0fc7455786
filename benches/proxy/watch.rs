//! Who looks at elbow while it is measured: Prometheus that scrapes it each second, and an open
//! console. With the access log that is all there is to see of it.
//!
//! Not a test of what they see. Invariant: they look for as long as a [`Watch`] lives, and one that
//! sees nothing makes the bench fail.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::Failure;

/// How often the scraper asks, and moments come.
const SECOND: Duration = Duration::from_secs(1);

/// Those who look.
pub(crate) struct Watch {
    log: PathBuf,
    /// Shared with their threads, which end once it is theirs alone.
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    scrapes: AtomicU64,
    moments: AtomicU64,
}

impl Watch {
    /// Looks at an elbow with that admin address, which writes its access log to that file.
    pub(crate) fn start(admin: SocketAddr, log: &Path) -> Self {
        let seen = Arc::new(Seen::default());
        let (scraper, console) = (Arc::downgrade(&seen), Arc::downgrade(&seen));
        thread::spawn(move || {
            while let Some(seen) = scraper.upgrade() {
                if scrape(admin).is_ok() {
                    seen.scrapes.fetch_add(1, Ordering::Relaxed);
                }
                drop(seen);
                pause();
            }
        });
        thread::spawn(move || {
            while console.strong_count() > 0 {
                let look = || {
                    let seen = console.upgrade()?;
                    seen.moments.fetch_add(1, Ordering::Relaxed);
                    Some(())
                };
                // A stream ends after some minutes, and is lost as the process ends.
                if watch(admin, look).is_err() {
                    pause();
                }
            }
        });
        Self {
            log: log.to_owned(),
            seen,
        }
    }

    /// Empties the log, so that it takes no more of the disk than one window writes.
    ///
    /// # Errors
    /// If it is not there.
    pub(crate) fn begin(&self) -> io::Result<()> {
        File::options()
            .write(true)
            .truncate(true)
            .open(&self.log)
            .map(drop)
    }

    /// That there was something to see since this was asked last.
    ///
    /// # Errors
    /// If not.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let bytes = fs::metadata(&self.log)?.len();
        let scrapes = self.seen.scrapes.swap(0, Ordering::Relaxed);
        let moments = self.seen.moments.swap(0, Ordering::Relaxed);
        if bytes == 0 || scrapes == 0 || moments == 0 {
            let seen = format!("{bytes} bytes of log, {scrapes} scrapes, {moments} moments");
            return Err(format!("elbow was not looked at: {seen}").into());
        }
        Ok(())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "no shard is here that could be held up"
)]
fn pause() {
    thread::sleep(SECOND);
}

fn ask(admin: SocketAddr, target: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(admin)?;
    stream.set_read_timeout(Some(5 * SECOND))?;
    let request = format!("GET {target} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn scrape(admin: SocketAddr) -> io::Result<()> {
    let mut text = String::new();
    ask(admin, "/metrics")?.read_to_string(&mut text)?;
    match text.contains("elbow_requests_total") {
        true => Ok(()),
        false => Err(io::Error::other("no metrics")),
    }
}

/// Reads moments until nobody wants them any more, or there are none.
fn watch(admin: SocketAddr, look: impl Fn() -> Option<()>) -> io::Result<()> {
    for line in BufReader::new(ask(admin, "/v1/live?load_balancer=bench")?).lines() {
        if line?.starts_with("data: ") && look().is_none() {
            break;
        }
    }
    Ok(())
}
