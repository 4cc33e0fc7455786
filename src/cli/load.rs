//! From flags, and the file that they name, to a [`Config`] or to the reason why there is none.
//!
//! Shell: it reads the file. Not here: what a key or a flag may say (`config`).

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Check, Demo, Run};
use crate::config::{self, Config, Mistake, Problems, Sources, Stickiness};
use crate::control::Files;
use crate::sys::unix_seconds;

/// Longest configuration file that is read; a thousand load balancers with a thousand backends each
/// fit. Beyond it, or on an endless one such as a device, the file is refused.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why a command ends before it starts. No state was changed and nothing was opened.
#[derive(Debug)]
pub enum Failure {
    /// The arguments cannot be understood, or what they say together does not hold.
    Usage(String),
    /// The configuration file cannot be read.
    Unreadable {
        /// The file as it was named.
        file: PathBuf,
        /// What the operating system said.
        error: io::Error,
    },
    /// The configuration file does not hold.
    Configuration(Problems),
    /// The certificates, authorities and secrets that it names do not hold; a line for each, at
    /// least one.
    Certificates(Vec<String>),
}

impl Failure {
    /// The exit code of all of them: bad usage or configuration, as opposed to 1 for a failure of
    /// the running process.
    pub const EXIT_CODE: u8 = 2;

    /// What is wrong, a line for each problem; at least one.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Configuration(problems) => {
                let file = problems.file_name();
                let problems = problems.list().iter();
                problems
                    .map(|problem| format!("{file}:{problem}"))
                    .collect()
            }
            Self::Certificates(problems) => problems.clone(),
            Self::Usage(_) | Self::Unreadable { .. } => vec![self.to_string()],
        }
    }
}

impl From<Mistake> for Failure {
    fn from(mistake: Mistake) -> Self {
        Self::Usage(mistake.to_string())
    }
}

impl fmt::Display for Failure {
    /// One line, unless a file has several problems: then a line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(mistake) => f.write_str(mistake),
            Self::Unreadable { file, error } => {
                write!(f, "cannot read {}: {error}", file.display())
            }
            Self::Configuration(problems) => match problems.list() {
                [only] => write!(f, "{}:{only}", problems.file_name()),
                _ => write!(f, "the configuration does not hold\n{problems}"),
            },
            Self::Certificates(problems) => match &problems[..] {
                [only] => f.write_str(only),
                _ => write!(
                    f,
                    "the files that it names do not hold\n{}",
                    problems.join("\n")
                ),
            },
        }
    }
}

impl std::error::Error for Failure {}

/// The configuration that `elbow run` was asked for, from its file or its flags, and where each
/// part of it comes from.
///
/// Called again on a reload, it reads the file again and keeps the flags.
pub fn load(run: &Run) -> Result<(Config, Sources), Failure> {
    let overrides = run.host.overrides(run.admin.clone());
    match (&run.config, run.listen) {
        (Some(file), _) => {
            let (config, sources) = read(file)?;
            let config = config.override_host(overrides.clone())?;
            Ok((config, sources.with_overrides(overrides)))
        }
        (None, Some(listen)) => {
            let stickiness = run.sticky.map(Stickiness::for_seconds).transpose()?;
            let stickiness = stickiness.or_else(|| run.sticky_app.clone());
            let mut sources = Sources::default().with_overrides(overrides.clone());
            let config = Config::from_flags(listen, &run.backend, stickiness, overrides)?;
            for balancer in &config.load_balancers {
                let flags = "flags --listen, --backend and --sticky or --sticky-app";
                sources.change(&balancer.name, flags.to_owned());
            }
            Ok((config, sources))
        }
        (None, None) => Err(Failure::Usage(
            "either --config or --listen is needed".to_owned(),
        )),
    }
}

/// The configuration of `elbow demo`, once its backends listen.
pub fn load_demo(demo: &Demo, backends: &[SocketAddr]) -> Result<Config, Failure> {
    let config = Config::demo(demo.listen, demo.admin.clone(), backends)?;
    Ok(config.override_host(demo.host.overrides(None))?)
}

/// What a command that ends at once says: on stdout if `exit_code` is 0, else on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text, without the last line's end.
    pub text: String,
    /// 0, 1 if what was asked for could not be done, or [`Failure::EXIT_CODE`].
    pub exit_code: u8,
}

impl Answer {
    /// What a running elbow was asked for, or why it could not be done.
    pub(super) fn of(asked: Result<String, String>) -> Self {
        match asked {
            Ok(text) => Self { text, exit_code: 0 },
            Err(clause) => Self {
                text: format!("elbow: {clause}"),
                exit_code: 1,
            },
        }
    }
}

/// Does `elbow check`: a summary of the file, or all of its problems.
pub fn check(check: &Check) -> Answer {
    let failed = |text| Answer {
        text,
        exit_code: Failure::EXIT_CODE,
    };
    let with_certificates = |config: Config| {
        Files::load(&config, unix_seconds())
            .map(|_| config)
            .map_err(Failure::Certificates)
    };
    let read = read(&check.config).map(|(config, _)| config);
    match read.and_then(with_certificates) {
        Ok(config) => {
            let text = format!("{}: no problems\n{config}", check.config.display());
            Answer { text, exit_code: 0 }
        }
        Err(Failure::Configuration(problems)) => failed(problems.to_string()),
        Err(
            failure @ (Failure::Usage(_) | Failure::Unreadable { .. } | Failure::Certificates(_)),
        ) => failed(format!("elbow: {failure}")),
    }
}

fn read(file: &Path) -> Result<(Config, Sources), Failure> {
    let text = read_text(file).map_err(|error| Failure::Unreadable {
        file: file.to_owned(),
        error,
    })?;
    let name = file.display().to_string();
    config::parse_with_sources(&text, &name).map_err(Failure::Configuration)
}

fn read_text(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    let bytes = File::open(file)?
        .take(FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)?;
    if bytes as u64 > FILE_BYTES_MAX {
        let mistake = format!("longer than {FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, mistake));
    }
    Ok(text)
}
