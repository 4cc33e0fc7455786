//! The files of load balancers, where the Classic Load Balancer has them in a bucket of S3
//! (CLB.md §4.12): a folder for each bucket, in it the same folders and names.
//!
//! Invariants: a file has the lines of one interval, whose end is in its name; one that was begun
//! by another process is left as it is.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::rand;
use time::OffsetDateTime;

use super::sink::Whole;
use crate::config::{Attributes, Bucket, Logging};

/// The account that elbow's host is.
const ACCOUNT: &str = "000000000000";

/// What is written as a load balancer's log is begun, to show that it can be.
const TEST_FILE: &str = "ELBAccessLogTestFile";

/// All of them.
pub(super) struct Buckets {
    directory: PathBuf,
    region: String,
    /// This host, in the names of files.
    address: IpAddr,
    open: HashMap<Arc<str>, Open>,
}

struct Open {
    file: Whole,
    bucket: Bucket,
    /// The end of its interval, in seconds since 1970.
    ends: u64,
}

impl Buckets {
    /// None is open yet.
    pub(super) fn new(directory: PathBuf, region: &str) -> Self {
        Self {
            directory,
            region: region.to_owned(),
            address: own_address().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            open: HashMap::new(),
        }
    }

    /// Writes lines of a load balancer, at a moment in seconds since 1970.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn write(
        &mut self,
        load_balancer: &Arc<str>,
        attributes: &Attributes,
        text: &[u8],
        now: u64,
    ) -> io::Result<()> {
        let Logging::Kept(bucket) = &attributes.access_log else {
            return Ok(());
        };
        // Those whose interval is over are complete, also where nothing is said any more.
        self.open.retain(|_, open| now < open.ends);
        let known = self.open.get(load_balancer);
        if known.is_none_or(|open| open.bucket != *bucket) {
            let open = self.begin(load_balancer, bucket, now)?;
            self.open.insert(Arc::clone(load_balancer), open);
        }
        let open = self.open.get_mut(load_balancer);
        open.map_or(Ok(()), |open| open.file.append(text))
    }

    fn begin(&self, load_balancer: &str, bucket: &Bucket, now: u64) -> io::Result<Open> {
        let (region, name) = load_balancer
            .split_once('/')
            .unwrap_or((&self.region, load_balancer));
        let seconds = u64::from(bucket.interval_minutes) * 60;
        let ends = (now / seconds + 1) * seconds;
        let account = self.directory.join(&bucket.name).join(&bucket.prefix);
        let account = account.join("AWSLogs").join(ACCOUNT);
        let folder = account.join("elasticloadbalancing").join(region);
        let folder = folder.join(day(now));
        fs::create_dir_all(&folder)?;
        announce(&account)?;
        let mut random = [0; 4];
        rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
        let file = format!(
            "{ACCOUNT}_elasticloadbalancing_{region}_{name}_{}_{}_{:08x}.log",
            minute(ends),
            self.address,
            u32::from_be_bytes(random),
        );
        Ok(Open {
            file: Whole::open(&folder.join(file))?,
            bucket: bucket.clone(),
            ends,
        })
    }
}

fn announce(account: &Path) -> io::Result<()> {
    let path = account.join(TEST_FILE);
    if path.exists() {
        return Ok(());
    }
    fs::write(path, "elbow writes access logs of load balancers here\n")
}

fn date(seconds: u64) -> OffsetDateTime {
    let date = i64::try_from(seconds).ok();
    date.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The folders of a day.
fn day(seconds: u64) -> PathBuf {
    let date = date(seconds);
    let (year, month, day) = date.to_calendar_date();
    format!("{year:04}/{:02}/{day:02}", u8::from(month)).into()
}

/// A moment as names have it, such as `20261128T2005Z`.
fn minute(seconds: u64) -> String {
    let date = date(seconds);
    let (year, month, day) = date.to_calendar_date();
    let (hour, minute, _) = date.to_hms();
    let month = u8::from(month);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}Z")
}

/// The address that this host would be seen by from elsewhere. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // An address of documentation (RFC 5737), which only has the kernel choose a route.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T20:03:07Z.
    const NOW: u64 = 1_795_896_187;

    fn attributes(prefix: &str, interval_minutes: u8) -> Attributes {
        let bucket = Bucket::new("my-logs", prefix, interval_minutes).unwrap();
        Attributes {
            access_log: Logging::Kept(bucket),
            ..Attributes::default()
        }
    }

    /// The files of logs below a directory, with what is in them.
    fn files(directory: &Path) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut folders = vec![directory.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some() {
                    let name = path.strip_prefix(directory).unwrap();
                    let text = fs::read_to_string(&path).unwrap();
                    found.push((name.to_str().unwrap().to_owned(), text));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn names_and_intervals_are_those_of_the_classic_load_balancer() {
        let name = format!("elbow-buckets-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&directory));
        let mut buckets = Buckets::new(directory.clone(), "us-east-1");
        let (web, foreign) = (Arc::from("web"), Arc::from("eu-west-1/web"));
        let (five, hour) = (attributes("a/b", 5), attributes("", 60));
        for (name, attributes, text, now) in [
            (&web, &five, "1\n", NOW),
            (&web, &five, "2\n", NOW + 100),
            (&web, &five, "3\n", NOW + 300),
            (&foreign, &hour, "4\n", NOW),
        ] {
            buckets
                .write(name, attributes, text.as_bytes(), now)
                .unwrap();
        }
        let address = buckets.address;
        let below = |prefix: &str, region: &str, end: &str| {
            format!(
                "my-logs/{prefix}AWSLogs/000000000000/elasticloadbalancing/{region}/2026/11/28/\
                 000000000000_elasticloadbalancing_{region}_web_{end}_{address}_"
            )
        };
        let expected = [
            (below("", "eu-west-1", "20261128T2100Z"), "4\n"),
            (below("a/b/", "us-east-1", "20261128T2005Z"), "1\n2\n"),
            (below("a/b/", "us-east-1", "20261128T2010Z"), "3\n"),
        ];
        let found = files(&directory);
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for ((name, text), (start, lines)) in found.iter().zip(&expected) {
            assert!(name.starts_with(start), "{name} and not {start}");
            assert_eq!(text, lines);
        }
        let account = directory.join("my-logs/a/b/AWSLogs/000000000000");
        assert!(account.join(TEST_FILE).exists());
        fs::remove_dir_all(&directory).unwrap();
    }
}
