use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::health::{Clock, id_hash};

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("elbow-view-{}-{name}", std::process::id()));
    drop(fs::remove_dir_all(&path));
    fs::create_dir_all(&path).expect("the temporary directory is writable");
    path
}

/// The views of one load balancer, whose backend `a` has had that many lives.
fn views(lives: u64) -> Views {
    let mut clock = Clock::new(0);
    let mut view = View::default();
    let chronicle = view.chronicle_mut(id_hash("a"));
    for now in 0..lives {
        chronicle.begin(clock.stamp(10 * now + 1));
        chronicle.end(clock.stamp(10 * now + 5));
    }
    chronicle.reweigh(clock.stamp(10_000), 3);
    chronicle.begin(clock.stamp(10_001));
    Views::from([(Arc::from("web"), Arc::new(view))])
}

fn owned(views: &Views) -> Remembered {
    let pairs = views.iter();
    pairs
        .map(|(name, view)| (name.to_string(), View::clone(view)))
        .collect()
}

#[test]
fn what_was_written_is_read_and_is_private() {
    let directory = directory("round-trip");
    assert_eq!(load(Some(&directory)).unwrap(), Remembered::new());
    assert_eq!(load(None).unwrap(), Remembered::new());
    // More lives than are remembered, so that the bound is met as well.
    for lives in [0, 3, 100] {
        write(&directory, &views(lives)).unwrap();
        assert_eq!(load(Some(&directory)).unwrap(), owned(&views(lives)));
    }
    let mode = fs::metadata(directory.join(FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_file_that_does_not_hold_is_told_with_what_to_do_and_left_alone() {
    let directory = directory("damaged");
    write(&directory, &views(2)).unwrap();
    let whole = fs::read_to_string(directory.join(FILE)).unwrap();
    let cases = [
        (whole[..whole.len() / 2].to_owned(), "is damaged"),
        (String::new(), "is damaged"),
        (
            whole.replace("\"version\":1", "\"version\":2"),
            "is of version 2",
        ),
        (
            whole.replace("\"number\":1", "\"number\":9"),
            "out of order",
        ),
        (
            whole.replace("\"load_balancers\"", "\"balancers\""),
            "is damaged",
        ),
    ];
    for (text, problem) in cases {
        assert_ne!(text, whole, "the case changes something");
        fs::write(directory.join(FILE), &text).unwrap();
        let error = load(Some(&directory)).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(
            error.contains("view.json") && error.contains("move it away"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(directory.join(FILE)).unwrap(), text);
    }
    fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn the_newest_is_written_before_the_end() {
    let directory = directory("newest");
    let counts = Arc::new(ControlLine::default());
    let memory = Memory::new(Some(directory.clone()), views(0), Arc::clone(&counts));
    for lives in 1..50 {
        memory.note(views(lives));
    }
    memory.finish().await;
    assert_eq!(load(Some(&directory)).unwrap(), owned(&views(49)));
    assert_eq!(counts.view_write_errors.value(), 0);
    fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_tried_again() {
    let directory = directory("unwritable");
    let counts = Arc::new(ControlLine::default());
    // A directory stands where the file beside is to be: no user can write that.
    let obstacle = directory.join(format!("{FILE}.new"));
    fs::create_dir(&obstacle).unwrap();
    let memory = Memory::new(Some(directory.clone()), views(0), Arc::clone(&counts));
    while counts.view_write_errors.value() == 0 {
        time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!directory.join(FILE).exists());
    fs::remove_dir(&obstacle).unwrap();
    memory.note(views(1));
    memory.finish().await;
    assert_eq!(load(Some(&directory)).unwrap(), owned(&views(1)));
    assert_eq!(counts.view_write_errors.value(), 1);
    fs::remove_dir_all(&directory).unwrap();
}
