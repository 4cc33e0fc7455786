//! `[access_log]`, and what a load balancer says of its own.
//!
//! Not here: what is in a line (`access_log`) and who writes it (`control`).

use std::path::{Component, Path, PathBuf};

use super::Mistake;
use super::read::{Field, Report, Section};

/// Longest name of a bucket (CLB.md §4.12, as S3 has it).
const BUCKET_BYTES_MAX: usize = 63;

/// Longest prefix in a bucket.
const PREFIX_BYTES_MAX: usize = 512;

/// What a prefix must not have, as the folders behind it begin with that (CLB.md §4.12).
const OWN_FOLDER: &str = "AWSLogs";

/// `[access_log]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccessLog {
    /// Where the lines of all load balancers go. `None`, the default: nowhere.
    pub to: Option<Sink>,
    /// Below it each load balancer with a [`Bucket`] has files of its own. `None`, the default:
    /// none has.
    pub directory: Option<PathBuf>,
    /// How lines are written. Default [`Format::Clb`].
    pub format: Format,
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// To the end of this file.
    File(PathBuf),
    /// To the process's output.
    Stdout,
    /// To the host's syslog, facility `local0`.
    Syslog,
}

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// CLB.md §4.12 to the letter.
    #[default]
    Clb,
    /// The same, and behind it what elbow alone has: verdict, why, shard, epoch.
    ClbAndMore,
    /// One JSON object.
    Json,
}

/// What a load balancer says of its lines.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Logging {
    /// It has none.
    Off,
    /// They go where all do.
    #[default]
    On,
    /// And to files of its own.
    Kept(Bucket),
}

/// The files of a load balancer, which stand for a bucket of S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name, which is a folder: 3–63 of `[a-z0-9.-]`.
    pub name: String,
    /// The folders in it before those that all logs have: empty, or a path without a slash at
    /// either end. At most 512 characters.
    pub prefix: String,
    /// How many minutes one file has: 5 or 60 (the default).
    pub interval_minutes: u8,
}

impl Sink {
    /// Reads a path, `-` for the output or `syslog`.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "" => Err("must be a file, - for stdout, or syslog".into()),
            "-" => Ok(Self::Stdout),
            "syslog" => Ok(Self::Syslog),
            path => Ok(Self::File(PathBuf::from(path))),
        }
    }

    /// As [`parse`](Self::parse) takes it.
    pub(super) fn text(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Stdout => Path::new("-"),
            Self::Syslog => Path::new("syslog"),
        }
    }
}

impl Format {
    const ALL: [(Self, &'static str); 3] = [
        (Self::Clb, "clb"),
        (Self::ClbAndMore, "clb+"),
        (Self::Json, "json"),
    ];

    /// As the key `format` says it.
    pub(super) fn name(self) -> &'static str {
        let (_, name) = Self::ALL[self as usize];
        name
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, name)| *name == text)
            .map(|(format, _)| format)
            .ok_or_else(|| "must be \"clb\", \"clb+\" or \"json\"".into())
    }
}

impl Bucket {
    /// One by its parts, as the ELB API and the file have them.
    ///
    /// # Errors
    /// Which part does not hold, and what it must be.
    pub fn new(name: &str, prefix: &str, interval_minutes: u8) -> Result<Self, Mistake> {
        let is_name =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        if !(3..=BUCKET_BYTES_MAX).contains(&name.len())
            || !name.bytes().all(is_name)
            || name.starts_with(['.', '-'])
            || name.ends_with(['.', '-'])
        {
            return Err(
                "bucket must be the name of one: 3 to 63 of a-z, 0-9, dots and dashes".into(),
            );
        }
        let prefix = prefix.trim_matches('/');
        let is_part = |part: Component<'_>| matches!(part, Component::Normal(_));
        if prefix.len() > PREFIX_BYTES_MAX
            || prefix.contains(OWN_FOLDER)
            || prefix.contains('\0')
            || !Path::new(prefix).components().all(is_part)
        {
            return Err(format!(
                "prefix must be folders, such as web/eu, without .. and {OWN_FOLDER}, and at most \
                 {PREFIX_BYTES_MAX} characters"
            )
            .into());
        }
        if ![5, 60].contains(&interval_minutes) {
            return Err("interval must be 5 or 60 minutes".into());
        }
        Ok(Self {
            name: name.to_owned(),
            prefix: prefix.to_owned(),
            interval_minutes,
        })
    }
}

/// Reads `[access_log]`.
pub(super) fn access_log(document: &mut Section<'_>, report: &mut Report<'_>) -> Option<AccessLog> {
    let Some(mut section) = document.section("access_log", report) else {
        return Some(AccessLog::default());
    };
    let to = section.read_or("to", None, |field| {
        field.parsed(Sink::parse, report).map(Some)
    });
    let directory = section.read_or("directory", None, |field| {
        field.parsed(directory, report).map(Some)
    });
    let format = section.read_or("format", Format::default(), |field| {
        field.parsed(Format::parse, report)
    });
    section.finish(report);
    Some(AccessLog {
        to: to?,
        directory: directory?,
        format: format?,
    })
}

fn directory(text: &str) -> Result<PathBuf, Mistake> {
    if text.is_empty() {
        return Err("must name a directory".into());
    }
    Ok(PathBuf::from(text))
}

/// Reads `access_log` of a load balancer's attributes.
pub(super) fn logging(attributes: &mut Section<'_>, report: &mut Report<'_>) -> Option<Logging> {
    let key = "access_log";
    match attributes.peek(key) {
        None => Some(Logging::default()),
        Some(value) if value.is_table() => {
            let section = attributes.section(key, report)?;
            bucket(section, report).map(Logging::Kept)
        }
        Some(_) => attributes.read_or(key, Logging::On, |field: Field<'_>| {
            let is_on = field.boolean(report)?;
            Some(if is_on { Logging::On } else { Logging::Off })
        }),
    }
}

fn bucket(mut section: Section<'_>, report: &mut Report<'_>) -> Option<Bucket> {
    let name = section.required("bucket", report);
    let name = name.and_then(|field| field.text(report));
    let prefix = section.read_or("prefix", "", |field| field.text(report));
    let interval = section.read_or("interval", 60, |field| field.integer(5..=60, report));
    let bucket = Bucket::new(name?, prefix?, u8::try_from(interval?).unwrap_or(u8::MAX))
        .map_err(|mistake| section.refuse(report, mistake));
    section.finish(report);
    bucket.ok()
}
