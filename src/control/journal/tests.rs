use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::config::{Backend, CertificateFiles};
use crate::elb::{Catalog, LoadBalancer, Tag};
use crate::health::Stamp;

/// A state directory that is not there yet, removed with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let name = format!("elbow-journal-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(name);
        drop(fs::remove_dir_all(&path));
        Self(path)
    }

    fn open(&self) -> (Journal, Vec<Record>) {
        self.try_open().unwrap()
    }

    fn try_open(&self) -> io::Result<(Journal, Vec<Record>)> {
        Journal::open(Some(&self.0))
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.0.join(FILE)).unwrap()
    }

    fn write(&self, bytes: &[u8]) {
        fs::create_dir_all(&self.0).unwrap();
        fs::write(self.0.join(FILE), bytes).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A load balancer with little in it.
fn small() -> LoadBalancer {
    let text = include_str!("../../../tests/cases/elb/catalog.json");
    let catalog: Catalog = serde_json::from_str(text).unwrap();
    LoadBalancer::clone(catalog.load_balancer("inner").unwrap())
}

fn made(name: &str, tag: &str) -> Record {
    let mut load_balancer = small();
    load_balancer.name = name.to_owned();
    load_balancer.tags = vec![Tag {
        key: "said".to_owned(),
        value: tag.to_owned(),
    }];
    Record::LoadBalancer {
        region: "us-east-1".to_owned(),
        load_balancer: Arc::new(load_balancer),
        address: "127.1.0.7".parse().unwrap(),
        stanza: None,
        since_ms: Some(7),
        stamp: Stamp::default(),
    }
}

fn deleted(region: &str, name: &str, stanza: Option<u64>) -> Record {
    Record::Deleted {
        region: region.to_owned(),
        name: name.to_owned(),
        stanza,
        since_ms: Some(7),
        stamp: Stamp::default(),
    }
}

fn instance(id: &str, port: Option<u16>, stanza: Option<u64>) -> Record {
    Record::Instance {
        id: id.to_owned(),
        backend: port.map(|port| Backend {
            id: id.to_owned(),
            address: "10.0.0.1".parse().unwrap(),
            port: Some(port),
            weight: 1,
        }),
        stanza,
        since_ms: Some(7),
        stamp: Stamp::default(),
    }
}

fn certificate(arn: &str, file: Option<&str>, stanza: Option<u64>) -> Record {
    Record::Certificate {
        arn: arn.to_owned(),
        files: file.map(|file| CertificateFiles {
            chain: file.into(),
            key: None,
        }),
        stanza,
        since_ms: Some(7),
    }
}

/// A journal of three batches, and what is alive after each, before the first one too.
fn three_batches() -> (Vec<u8>, [Vec<Record>; 4]) {
    let batches = [
        vec![made("web", "1"), deleted("eu", "web", Some(u64::MAX))],
        vec![deleted("us-east-1", "web", None)],
        vec![deleted("us-east-1", "old", Some(1)), made("web", "é\n\"")],
    ];
    let mut text = text::HEAD.to_vec();
    for (number, batch) in (1..).zip(&batches) {
        text.extend(text::line(number, batch).unwrap());
    }
    let [first, _, third] = batches;
    let [web, eu] = [first[0].clone(), first[1].clone()];
    let [old, web_again] = [third[0].clone(), third[1].clone()];
    let alive = [
        vec![],
        vec![eu.clone(), web],
        vec![eu.clone()],
        vec![eu, old, web_again],
    ];
    (text, alive)
}

fn alive(contents: &text::Contents) -> Vec<Record> {
    contents.alive.records().cloned().collect()
}

/// Where each line ends.
fn ends(text: &[u8]) -> Vec<usize> {
    memchr::memchr_iter(b'\n', text).map(|at| at + 1).collect()
}

#[test]
fn what_was_appended_is_there_after_a_restart_and_is_private() {
    let directory = Directory::new("round-trip");
    let (mut journal, records) = directory.open();
    assert_eq!(records, []);
    let [first, second, other] = [made("web", "1"), made("web", "2"), made("api", "")];
    let gone = deleted("us-east-1", "of-the-file", Some(7));
    journal.append(&[first, other.clone()]).unwrap();
    journal.append(std::slice::from_ref(&second)).unwrap();
    journal.append(&[]).unwrap();
    journal.append(std::slice::from_ref(&gone)).unwrap();
    drop(journal);
    let (mut journal, records) = directory.open();
    assert_eq!(records, [other, gone.clone(), second]);
    // The API's own leaves nothing, a stanza of the file that it is deleted.
    let both = [
        deleted("us-east-1", "api", None),
        deleted("us-east-1", "web", Some(8)),
    ];
    journal.append(&both).unwrap();
    drop(journal);
    assert_eq!(directory.open().1, [gone, both[1].clone()]);
    for file in fs::read_dir(&directory.0).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn without_a_directory_nothing_is_kept() {
    let (mut journal, records) = Journal::open(None).unwrap();
    assert_eq!(records, []);
    journal.append(&[made("web", "")]).unwrap();
    assert_eq!(Journal::open(None).unwrap().1, []);
}

/// What old journals hold is read for ever, or the version changes.
#[test]
fn a_line_is_what_it_always_was() {
    let line = text::line(1, &[deleted("us-east-1", "web", Some(5))]).unwrap();
    assert_eq!(
        String::from_utf8(line).unwrap(),
        "7300632c28052892d363f206d0faad36 00000001 0000004e \
         [{\"kind\":\"deleted\",\"region\":\"us-east-1\",\"name\":\"web\",\"stanza\":5,\
         \"since_ms\":7}]\n"
    );
    let json = serde_json::to_string(&made("web", "")).unwrap();
    assert!(json.starts_with(
        "{\"kind\":\"load_balancer\",\"region\":\"us-east-1\",\"load_balancer\":{\"name\":\"web\","
    ));
    let end = ",\"address\":\"127.1.0.7\",\"stanza\":null,\"since_ms\":7}";
    assert!(json.ends_with(end), "{json}");
    let names = [
        instance("i-1", Some(80), None),
        certificate("arn:a", Some("/a.pem"), Some(5)),
    ];
    assert_eq!(
        serde_json::to_string(&names).unwrap(),
        "[{\"kind\":\"instance\",\"id\":\"i-1\",\"backend\":{\"id\":\"i-1\",\
         \"address\":\"10.0.0.1\",\"port\":80,\"weight\":1},\"stanza\":null,\
         \"since_ms\":7},\
         {\"kind\":\"certificate\",\"arn\":\"arn:a\",\"files\":{\"chain\":\"/a.pem\",\
         \"key\":null},\"stanza\":5,\"since_ms\":7}]"
    );
}

#[test]
fn what_was_written_before_there_was_a_time_is_read() {
    let json = r#"[{"kind":"deleted","region":"us-east-1","name":"web","stanza":5}]"#;
    let journal = [text::HEAD, &text::framed(1, json.as_bytes())].concat();
    let contents = text::read(&journal).expect("it holds");
    let expected = Record::Deleted {
        region: "us-east-1".to_owned(),
        name: "web".to_owned(),
        stanza: Some(5),
        since_ms: None,
        stamp: Stamp::default(),
    };
    assert_eq!(alive(&contents), [expected]);
}

#[test]
fn a_deletion_with_a_stamp_and_what_waits_are_kept_until_they_are_forgotten() {
    let directory = Directory::new("stamps");
    let (mut journal, _) = directory.open();
    let stamp = Stamp {
        wall_ms: 7,
        counter: 1,
        node: 2,
    };
    let web = made("web", "1").stamped(stamp);
    let gone = deleted("us-east-1", "gone", None).stamped(stamp);
    let nowhere = instance("i-1", None, None).stamped(stamp);
    let waits = |record: Option<Record>| Record::Waiting {
        about: "c/lb/us-east-1/web".to_owned(),
        record: record.map(Box::new),
    };
    let newer = made("web", "2").stamped(Stamp { node: 3, ..stamp });
    let all = [gone, web, nowhere, waits(Some(newer))];
    journal.append(&all).unwrap();
    drop(journal);
    let (mut journal, records) = directory.open();
    assert_eq!(records, all);
    let json = serde_json::to_string(&all[0]).unwrap();
    let end = "\"since_ms\":7,\"stamp\":{\"wall_ms\":7,\"counter\":1,\"node\":2}}";
    assert!(json.ends_with(end), "{json}");
    let forgotten = [
        deleted("us-east-1", "gone", None),
        instance("i-1", None, None),
        waits(None),
    ];
    journal.append(&forgotten).unwrap();
    drop(journal);
    assert_eq!(directory.open().1, all[1..2]);
}

#[test]
fn a_journal_can_be_looked_at_while_a_process_has_it() {
    let directory = Directory::new("peek");
    let (mut journal, _) = directory.open();
    let look = || Journal::peek(Some(&directory.0)).expect("it can be read");
    assert_eq!(look(), []);
    journal.append(&[made("web", "1")]).expect("it is kept");
    assert_eq!(look(), [made("web", "1")]);
    // The end of a write that goes on is left out, and left there.
    let line = text::line(2, &[made("shop", "2")]).unwrap();
    let torn = [&directory.bytes()[..], &line[..line.len() / 2]].concat();
    directory.write(&torn);
    assert_eq!(look(), [made("web", "1")]);
    assert_eq!(directory.bytes(), torn);
    let elsewhere = directory.0.join("no-such-directory");
    assert_eq!(
        Journal::peek(Some(&elsewhere)).expect("nothing is there"),
        []
    );
    assert_eq!(Journal::peek(None).expect("nothing is kept"), []);
    assert!(!elsewhere.exists());
}

#[test]
fn wherever_it_is_cut_whole_batches_are_left() {
    let (text, states) = three_batches();
    let ends = ends(&text);
    for length in 0..=text.len() {
        let read = text::read(&text[..length]);
        let Some(batches) = ends.iter().rposition(|&end| end <= length) else {
            // The file is never made in place, so that its head is not cut by a crash.
            assert!(matches!(read, Err(Flaw::Head(_))), "{length}");
            continue;
        };
        let contents = read.unwrap();
        assert_eq!(alive(&contents), states[batches], "{length}");
        assert_eq!(contents.whole_bytes, ends[batches], "{length}");
    }
}

#[test]
fn a_bit_that_flipped_is_found_wherever_it_is() {
    let (mut text, states) = three_batches();
    let ends = ends(&text);
    let last_line = ends[2];
    for byte in 0..text.len() {
        for bit in 0..8 {
            text[byte] ^= 1 << bit;
            match text::read(&text) {
                Ok(contents) => {
                    // It may pass for the end of a write, and what is left is as it was.
                    assert!(byte >= last_line, "byte {byte} bit {bit}");
                    assert_eq!(contents.whole_bytes, last_line);
                    assert_eq!(alive(&contents), states[2]);
                }
                Err(Flaw::Head(_)) => assert!(byte < ends[0], "byte {byte} bit {bit}"),
                Err(Flaw::Batch(at, _)) => {
                    let line = ends.iter().rposition(|&end| end <= byte).unwrap();
                    assert_eq!(at, ends[line], "byte {byte} bit {bit}");
                }
            }
            text[byte] ^= 1 << bit;
        }
    }
}

#[test]
fn a_write_that_left_zeros_or_a_page_of_them_is_cut_off() {
    let (mut text, states) = three_batches();
    let last_line = ends(&text)[2];
    for from in [last_line, last_line + 60] {
        text[from..].fill(0);
        let contents = text::read(&text).unwrap();
        assert_eq!(contents.whole_bytes, last_line);
        assert_eq!(alive(&contents), states[2]);
    }
}

#[test]
fn what_is_cut_off_is_kept_beside_it() {
    let directory = Directory::new("torn");
    let (text, states) = three_batches();
    let last_line = ends(&text)[2];
    directory.write(&text[..text.len() - 10]);
    let (mut journal, records) = directory.open();
    assert_eq!(records, states[2]);
    let damaged = fs::read(directory.0.join(DAMAGED_FILE)).unwrap();
    assert_eq!(damaged, text[last_line..text.len() - 10]);
    journal.append(&states[3]).unwrap();
    drop(journal);
    assert_eq!(directory.open().1, states[3]);
}

#[test]
fn other_damage_is_told_with_what_to_do_and_left_alone() {
    let directory = Directory::new("damaged");
    let (text, states) = three_batches();
    let [head, first, second, third] = ends(&text)[..] else {
        panic!("a head and three batches");
    };
    let with = |parts: &[&[u8]]| parts.concat();
    let mut flipped = text.clone();
    flipped[first + 80] ^= 1;
    let mut joined = text.clone();
    joined[second - 1] = b' ';
    let unheard_of = text::framed(4, b"[{\"kind\":\"unheard_of\"}]");
    let cases: [(Vec<u8>, &str, usize); 9] = [
        (Vec::new(), "is no journal", 0),
        (text[1..].to_vec(), "is no journal", 0),
        (
            with(&[b"elbow-api-journal 2\n", &text[head..]]),
            "is of version 2, this elbow reads 1",
            0,
        ),
        (flipped, "line 3 is damaged", first),
        (joined, "line 3 is damaged", first),
        (with(&[&text, b"\n\n"]), "line 5 is damaged", third),
        (
            with(&[&text[..head], &text[first..]]),
            "line 2 is not the one that was written there",
            head,
        ),
        (
            with(&[&text[..second], &text[first..]]),
            "line 4 is not the one that was written there",
            second,
        ),
        (
            with(&[&text, &unheard_of]),
            "line 5 is not understood",
            third,
        ),
    ];
    for (damaged, problem, byte) in cases {
        directory.write(&damaged);
        let error = directory.try_open().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let told = error.to_string();
        assert!(told.contains("api.journal: "), "{told}");
        assert!(told.contains(problem), "{told}");
        assert!(told.contains("move it away"), "{told}");
        assert_eq!(directory.bytes(), damaged);
        if byte > 0 {
            assert!(told.contains(&format!("truncate --size={byte} ")), "{told}");
            directory.write(&damaged[..byte]);
            let batches = ends(&damaged[..byte]).len() - 1;
            assert_eq!(directory.open().1, states[batches]);
        }
    }
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let directory = Directory::new("huge");
    directory.write(text::HEAD);
    let file = to_append(&directory.0.join(FILE)).unwrap();
    file.set_len(JOURNAL_BYTES_MAX + 1).unwrap();
    let error = directory.try_open().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert!(error.to_string().contains("move it away"), "{error}");
}

#[test]
fn a_change_beyond_the_bounds_is_refused_and_leaves_no_trace() {
    let directory = Directory::new("bounds");
    let (mut journal, _) = directory.open();
    journal.append(&[made("web", "")]).unwrap();
    let before = directory.bytes();
    let large = "x".repeat(JOURNAL_BATCH_BYTES_MAX);
    let error = journal.append(&[made("web", &large)]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(directory.bytes(), before);
    // As much as may be alive, in batches that are just not too large.
    let large = &large[..JOURNAL_BATCH_BYTES_MAX - 2048];
    let mut fitting = 0;
    while journal
        .append(&[made(&format!("web-{fitting}"), large)])
        .is_ok()
    {
        fitting += 1;
    }
    assert_eq!(fitting, JOURNAL_ALIVE_BYTES_MAX / JOURNAL_BATCH_BYTES_MAX);
    // What takes the place of something else still fits.
    journal.append(&[made("web-0", "")]).unwrap();
    drop(journal);
    let (_journal, records) = directory.open();
    assert_eq!(records.len(), 1 + fitting);
    assert!(records.contains(&made("web-0", "")));
}

#[test]
fn a_journal_is_compacted_to_exactly_what_is_alive() {
    let directory = Directory::new("compacted");
    let (mut journal, _) = directory.open();
    let gone = deleted("us-east-1", "of-the-file", Some(7));
    journal.append(std::slice::from_ref(&gone)).unwrap();
    let padding = "x".repeat(JOURNAL_SLACK_BYTES / 16);
    let (mut largest, mut compactions) = (0, 0);
    for round in 0..60 {
        let before = directory.bytes().len();
        let web = made("web", &format!("{round} {padding}"));
        let passing = [made("brief", ""), deleted("us-east-1", "brief", None)];
        journal.append(&[web]).unwrap();
        journal.append(&passing).unwrap();
        let bytes = directory.bytes().len();
        largest = largest.max(bytes);
        compactions += usize::from(bytes < before);
    }
    let line = padding.len() + 4096;
    assert!(largest <= JOURNAL_SLACK_BYTES + (JOURNAL_GROWTH + 1) * line);
    assert!((2..10).contains(&compactions), "{compactions}");
    drop(journal);
    let web = made("web", &format!("59 {padding}"));
    let (journal, records) = directory.open();
    assert_eq!(records, [gone.clone(), web.clone()]);
    // Also when it is opened.
    let expected = [
        text::HEAD.to_vec(),
        text::line(1, &[gone]).unwrap(),
        text::line(2, &[web]).unwrap(),
    ];
    assert_eq!(directory.bytes(), expected.concat());
    let alive = &journal.kept.as_ref().unwrap().alive;
    assert_eq!(alive.journal_bytes(), directory.bytes().len());
}

#[test]
fn a_compaction_that_fails_leaves_the_old_file_in_use() {
    let directory = Directory::new("not-compacted");
    let (mut journal, _) = directory.open();
    // Where the new file would be written.
    let in_the_way = directory.0.join(format!("{FILE}.new"));
    fs::create_dir(&in_the_way).unwrap();
    let padding = "x".repeat(JOURNAL_SLACK_BYTES / 4);
    for round in 0..10 {
        let web = made("web", &format!("{round} {padding}"));
        journal.append(&[web]).unwrap();
    }
    assert!(directory.bytes().len() > 2 * JOURNAL_SLACK_BYTES);
    drop(journal);
    let web = made("web", &format!("9 {padding}"));
    let (mut journal, records) = directory.open();
    assert_eq!(records, std::slice::from_ref(&web));
    assert!(directory.bytes().len() > 2 * JOURNAL_SLACK_BYTES);
    fs::remove_dir(&in_the_way).unwrap();
    // It is tried again once the file has grown some more.
    for _ in 0..5 {
        journal.append(std::slice::from_ref(&web)).unwrap();
    }
    assert!(directory.bytes().len() < JOURNAL_SLACK_BYTES);
    drop(journal);
    assert_eq!(directory.open().1, [web]);
}

#[test]
fn what_can_be_neither_written_nor_cut_off_is_healed_by_a_new_file() {
    let directory = Directory::new("poisoned");
    let (mut journal, _) = directory.open();
    let [web, lost, after] = [made("web", ""), made("lost", ""), made("after", "")];
    journal.append(std::slice::from_ref(&web)).unwrap();
    let before = directory.bytes();
    let in_the_way = directory.0.join(format!("{FILE}.new"));
    fs::create_dir(&in_the_way).unwrap();
    // Each write to it finds the disk full, and it cannot be cut.
    let full = to_append(Path::new("/dev/full")).unwrap();
    journal.kept.as_mut().unwrap().file = full;
    let error = journal.append(std::slice::from_ref(&lost)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    for _ in 0..2 {
        assert!(journal.append(std::slice::from_ref(&lost)).is_err());
    }
    assert_eq!(directory.bytes(), before);
    fs::remove_dir(&in_the_way).unwrap();
    journal.append(std::slice::from_ref(&after)).unwrap();
    drop(journal);
    assert_eq!(directory.open().1, [after, web]);
}

#[test]
fn a_new_file_whose_name_may_not_last_takes_no_change() {
    let directory = Directory::new("displaced");
    let (mut journal, _) = directory.open();
    let [web, lost, after] = [made("web", ""), made("lost", ""), made("after", "")];
    journal.append(std::slice::from_ref(&web)).unwrap();
    let in_the_way = directory.0.join(format!("{FILE}.new"));
    fs::create_dir(&in_the_way).unwrap();
    // As after a compaction whose last step failed: the name is that of another file.
    let copy = directory.0.join("copy");
    fs::write(&copy, directory.bytes()).unwrap();
    fs::rename(&copy, directory.0.join(FILE)).unwrap();
    journal
        .kept
        .as_mut()
        .unwrap()
        .compact_if_possible()
        .unwrap_err();
    journal.append(std::slice::from_ref(&lost)).unwrap_err();
    fs::remove_dir(&in_the_way).unwrap();
    journal.append(std::slice::from_ref(&after)).unwrap();
    drop(journal);
    assert_eq!(directory.open().1, [after, web]);
}

#[test]
fn a_full_disk_fails_the_change_and_keeps_what_was_there() {
    // A process of its own, since the limit is one of the process. The shell sets it, and has the
    // signal ignored that would come with it; 2 KiB are some ten lines.
    let output = Command::new("sh")
        .arg("-c")
        .arg("trap '' XFSZ && ulimit -S -f 4 && exec \"$0\" \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture"])
        .arg("control::journal::tests::in_a_process_whose_files_are_bounded")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(told.contains("1 passed;"), "{output:?}");
}

#[test]
#[ignore = "run by the test above"]
fn in_a_process_whose_files_are_bounded() {
    let limit = getrlimit(Resource::Fsize);
    if limit.current.is_none() {
        return; // by somebody who runs all that is ignored
    }
    let directory = Directory::new("full");
    let (mut journal, _) = directory.open();
    let mut kept = Vec::new();
    let failed = loop {
        let record = deleted("us-east-1", &format!("web-{:03}", kept.len()), Some(1));
        let before = directory.bytes();
        if let Err(error) = journal.append(std::slice::from_ref(&record)) {
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
            assert_eq!(directory.bytes(), before);
            break record;
        }
        kept.push(record);
    };
    assert!(kept.len() > 5);
    assert!(journal.append(std::slice::from_ref(&failed)).is_err());
    // A process that starts now finds what was kept, and room makes it go on.
    drop(journal);
    let (mut journal, records) = directory.open();
    assert_eq!(records, kept);
    let wider = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Fsize, wider).unwrap();
    journal.append(std::slice::from_ref(&failed)).unwrap();
    kept.push(failed);
    drop(journal);
    assert_eq!(directory.open().1, kept);
}

#[test]
fn a_second_elbow_is_refused_until_the_first_has_ended() {
    let directory = Directory::new("locked");
    let (journal, _) = directory.open();
    let error = directory.try_open().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    let told = error.to_string();
    assert!(
        told.contains("another elbow runs with this state_dir"),
        "{told}"
    );
    drop(journal);
    directory.open();
}

/// What a record is about, in their order on disk: first load balancers, then names.
fn about(record: &Record) -> (u8, String, String) {
    match record {
        Record::LoadBalancer {
            region,
            load_balancer,
            ..
        } => (0, region.clone(), load_balancer.name.clone()),
        Record::Deleted { region, name, .. } => (0, region.clone(), name.clone()),
        Record::Instance { id, .. } => (1, id.clone(), String::new()),
        Record::Certificate { arn, .. } => (2, arn.clone(), String::new()),
        Record::Waiting { about, .. } => (3, about.clone(), String::new()),
    }
}

/// Whether it says that there is nothing to know.
fn is_empty(record: &Record) -> bool {
    let json = serde_json::to_value(record).unwrap();
    let keys = ["load_balancer", "backend", "files", "stanza"];
    keys.iter()
        .all(|key| json.get(key).is_none_or(|value| value.is_null()))
}

/// What is alive after some batches, told the plain way.
fn model(batches: &[Vec<Record>]) -> Vec<Record> {
    let mut alive = BTreeMap::new();
    for record in batches.iter().flatten() {
        alive.insert(about(record), record.clone());
    }
    alive.retain(|_, record| !is_empty(record));
    alive.into_values().collect()
}

fn some_record() -> impl Strategy<Value = Record> {
    let name = prop_oneof![Just("a"), Just("b"), Just("c")];
    let region = prop_oneof![Just("eu"), Just("us-east-1")];
    prop_oneof![
        (name.clone(), any::<String>()).prop_map(|(name, tag)| made(name, &tag)),
        (region, name.clone(), any::<Option<u64>>())
            .prop_map(|(region, name, stanza)| deleted(region, name, stanza)),
        (name.clone(), any::<Option<u16>>(), any::<Option<u64>>())
            .prop_map(|(name, port, stanza)| instance(name, port, stanza)),
        (
            name,
            prop_oneof![Just(None), Just(Some("/a"))],
            any::<Option<u64>>()
        )
            .prop_map(|(name, file, stanza)| certificate(name, file, stanza)),
    ]
}

proptest! {
    // Each case waits for the disk some twenty times.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_journal_that_is_cut_anywhere_goes_on_from_a_whole_batch(
        batches in vec(vec(some_record(), 1..4), 1..6),
        more in vec(some_record(), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let directory = Directory::new("random");
        let (mut journal, _) = directory.open();
        for batch in &batches {
            journal.append(batch).unwrap();
        }
        drop(journal);
        let text = directory.bytes();
        let lines = ends(&text);
        prop_assert_eq!(lines.len(), 1 + batches.len());
        let length = lines[0] + cut.index(text.len() - lines[0] + 1);
        directory.write(&text[..length]);
        let whole = lines.iter().rposition(|&end| end <= length).unwrap();
        let mut left = batches[..whole].to_vec();
        let (mut journal, records) = directory.open();
        prop_assert_eq!(records, model(&left));
        journal.append(&more).unwrap();
        left.push(more);
        drop(journal);
        prop_assert_eq!(directory.open().1, model(&left));
    }
}
