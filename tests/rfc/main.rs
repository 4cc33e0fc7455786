//! HTTP/1.1 by the letter: what RFC 9112 and RFC 9110 bind an intermediary to, as data.
//!
//!     cargo test --test rfc                # all sections
//!     cargo test --test rfc chunked        # one of them
//!
//! Each file beside this one holds the cases of one section, told from both sides of elbow:
//!
//! ```text
//! with: max_body = 10                      # for [load_balancer.attributes]; first in a file
//!
//! case: what it is
//! rule: what the RFC says                  # and, where elbow chooses otherwise:
//! deviates: from which MUST, and why
//! > GET / HTTP/1.1                         # what the client sends
//! >> GET / HTTP/1.1                        # what the backend gets, to the byte
//! << HTTP/1.1 200 OK                       # what the backend sends
//! < HTTP/1.1 200 OK                        # what the client gets, to the byte
//! do: backend closes                       # or: client ends, backend anew
//! counts: elbow_aborted_total 1            # by how much a metric grows
//! ends: client open, backend open          # closed, reset; backend also: unasked, cut
//! ```
//!
//! A line of bytes stands for itself and CRLF; a `\` at its end takes the CRLF away. `\r`, `\n`,
//! `\t`, `\0`, `\\` and `\xHH` are bytes. In braces stand `{forwarded}`, the lines that elbow adds
//! to every request; `{ok}`, a small answer of either side; `{400}`, an answer of elbow's own that
//! closes, and `{502 open}`, one that does not; `{port}`, that of elbow; `{TEXT*COUNT}`, a text so
//! many times. `backend anew`: what follows comes on another connection. `unasked`: no byte of the
//! request reached the backend. `cut`: any number did, and the connection ended before the body.
//!
//! At the end of each case, an open connection carries one more request, and one that is closed
//! carries nothing any more. Each case runs as it is written, then byte by byte, then with its
//! first head cut in two at every place (`stage.rs`). Invariant: no case sleeps or depends on
//! another.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read the clock to have deadlines, and share records between ordinary threads"
)]

mod case;
#[expect(
    dead_code,
    unused_imports,
    reason = "the harness of tests/e2e, which has more than the cases need"
)]
#[path = "../e2e/harness/mod.rs"]
mod harness;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use case::File;
use stage::Stage;

/// A test for each file, and one that there are no others.
macro_rules! sections {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_file_has_its_test() {
            let mut names: Vec<_> = fs::read_dir(directory())
                .expect("the cases are in the repository")
                .map(|entry| entry.expect("the directory is readable").path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "http"))
                .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
                .collect();
            names.sort_unstable();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

sections! {
    chunked,
    connections,
    expect,
    fields,
    forwarding,
    framing,
    hostile_backends,
    incomplete,
    interim,
    limits,
    messages,
    request_lines,
    response_framing,
    status_lines,
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rfc")
}

/// Plays all cases of one file and says of each that fails how it did.
fn check(name: &str) {
    let text = fs::read_to_string(directory().join(name).with_extension("http"))
        .expect("the cases are in the repository");
    let file = File::parse(&text);
    let stage = Stage::new(&file.attributes);
    let failures: Vec<String> = file
        .cases
        .iter()
        .filter_map(|case| {
            let failure = stage.play(case).err()?;
            Some(format!("{}: {failure}", case.name))
        })
        .collect();
    let (failed, all) = (failures.len(), file.cases.len());
    assert!(
        failures.is_empty(),
        "{name}: {failed} of {all} cases:\n{}",
        failures.join("\n")
    );
    stage.finish();
}
