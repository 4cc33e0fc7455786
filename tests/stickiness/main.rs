//! Stickiness as data: the cases under `cases/`, run from outside over real sockets.
//!
//!     cargo test --test stickiness                         # elbow, all cases
//!     cargo test --test stickiness -- WORD                 # those with WORD in file or name
//!     cargo test --test stickiness -- --proxy all --table  # and nginx and HAProxy; Markdown
//!     cargo test --test stickiness -- --pending            # those of `PENDING` as well
//!
//! The vocabulary of the cases is `case.rs`; how to write one is in `README.md`. Read on in `story`
//! (what steps do) and `expect` (how they are judged). With elbow alone a failing case fails the
//! run; what a rival fails is a row in the table. Invariant: no case sleeps or depends on another.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "tests read the clock to have deadlines, and the table is the command's answer"
)]

mod arguments;
mod case;
mod date;
mod expect;
mod feature;
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/e2e, which has more than the cases need"
)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod jar;
mod proxy;
mod report;
mod server;
mod story;
mod template;

use std::cell::RefCell;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use arguments::Arguments;
use case::{Case, CaseFile};
use proxy::Kind;
use report::{Outcome, Row};

/// Files of cases for what elbow does not do yet, and what they wait for. Without its line here a
/// file runs.
const PENDING: [(&str, &str); 5] = [
    ("application.toml", "app_cookie_policy"),
    ("settings.toml", "the keys of lb_cookie_policy"),
    ("attributes.toml", "the attributes about stickiness"),
    ("admin.toml", "/v1/load-balancers and /v1/explain"),
    ("drain.toml", "/v1/drains"),
];

/// With fewer cases than this something is wrong with the search for them.
const CASES_MIN: usize = 60;

/// How many cases run at a time; each has a proxy and several backends.
const PARALLEL: usize = 4;

/// A case and the file that it is in.
struct Found {
    file: String,
    case: Case,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            println!("{message}");
            return ExitCode::from(2);
        }
    };
    jar::check_itself();
    keep_panics();
    let cases = match find_cases() {
        Ok(cases) => cases,
        Err(message) => {
            println!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let (count, is_pending) = (cases.len(), |found: &Found| {
        pending_for(&found.file).is_some()
    });
    let chosen: Vec<Found> = cases
        .into_iter()
        .filter(|found| arguments.pending || !is_pending(found))
        .filter(|found| arguments.chooses(&found.file, &found.case.name))
        .collect();
    println!("running {} of {count} cases", chosen.len());
    let rows = run_all(&chosen, &arguments.kinds);
    conclude(&rows, &arguments, count)
}

/// Prints what came of it. Only elbow's failures count.
fn conclude(rows: &[Row], arguments: &Arguments, count: usize) -> ExitCode {
    if arguments.table {
        println!("\n{}", report::table(&arguments.kinds, rows));
    }
    let (mut passed, mut failed) = (0, 0);
    for row in rows {
        for (kind, outcome) in arguments.kinds.iter().zip(&row.outcomes) {
            match outcome {
                Outcome::Passed => passed += 1,
                Outcome::Failed(message) if *kind == Kind::Elbow || !arguments.table => {
                    failed += usize::from(*kind == Kind::Elbow);
                    println!("\nFAILED with {}: {message}", kind.name());
                }
                Outcome::Failed(_) => {}
                Outcome::NoSuchFeature(features) if *kind == Kind::Elbow => {
                    println!(
                        "LEFT OUT, {features:?} is missing here: {}: {}",
                        row.file, row.name
                    );
                }
                Outcome::NoSuchFeature(_) => {}
            }
        }
    }
    if !arguments.pending {
        for (file, feature) in PENDING {
            println!("pending: {file}, until elbow has {feature}");
        }
    }
    println!("\n{passed} passed, {failed} failed, of {count} cases in all");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn pending_for(file: &str) -> Option<&'static str> {
    PENDING
        .iter()
        .find(|(name, _)| *name == file)
        .map(|(_, feature)| *feature)
}

/// Reads all case files, in order of their names.
fn find_cases() -> Result<Vec<Found>, String> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stickiness/cases");
    let entries = fs::read_dir(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let text = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        let read: CaseFile = toml::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
        cases.extend(read.case.into_iter().map(|case| Found {
            file: file.clone(),
            case,
        }));
    }
    if cases.len() < CASES_MIN {
        return Err(format!(
            "{} cases found, at least {CASES_MIN} expected",
            cases.len()
        ));
    }
    let stray = PENDING
        .iter()
        .find(|(name, _)| !cases.iter().any(|found| found.file == *name));
    match stray {
        Some((name, _)) => Err(format!("{name} is pending and does not exist")),
        None => Ok(cases),
    }
}

/// Runs the cases, a few at a time, and gives back their rows in the order of the files.
fn run_all(cases: &[Found], kinds: &[Kind]) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                while let Some((index, found)) = {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    cases.get(index).map(|found| (index, found))
                } {
                    let outcomes = kinds.iter().map(|kind| run_one(found, *kind)).collect();
                    let row = Row {
                        file: found.file.clone(),
                        name: found.case.name.clone(),
                        requirements: found.case.requirements.clone(),
                        outcomes,
                    };
                    rows.lock().expect("no holder panics").push((index, row));
                }
            });
        }
    });
    let mut rows = rows.into_inner().expect("no holder panics");
    rows.sort_by_key(|(index, _)| *index);
    rows.into_iter().map(|(_, row)| row).collect()
}

fn run_one(found: &Found, kind: Kind) -> Outcome {
    let lacking = story::lacks(&found.case, kind);
    if !lacking.is_empty() {
        return Outcome::NoSuchFeature(lacking);
    }
    let run = AssertUnwindSafe(|| story::run(&found.case, &found.file, kind));
    match panic::catch_unwind(run) {
        Ok(()) => Outcome::Passed,
        Err(_) => {
            let message = LAST_PANIC.take();
            let name = &found.case.name;
            let is_told = message.contains(name.as_str());
            let place = if is_told {
                String::new()
            } else {
                format!("{}: {name}\n", found.file)
            };
            Outcome::Failed(format!("{place}{message}"))
        }
    }
}

thread_local! {
    /// What the last panic of this thread said.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Failures are told with their case, at the end, rather than as they happen.
fn keep_panics() {
    panic::set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("a panic without words");
        let place = panic.location().map_or(String::new(), ToString::to_string);
        LAST_PANIC.set(format!("{message}\n(told by {place})"));
    }));
}
