//! Writes what the targets begin with into a directory, a corpus for each: the bytes of the cases
//! of `tests/rfc`, and scripts that have everything in them once.
//!
//!     seeds DIRECTORY

use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[expect(dead_code, reason = "of a case, only what is sent is of use here")]
#[path = "../rfc/case.rs"]
mod case;

use case::{File, Step};

/// Cookies as clients and applications send them; bytes 1 to 8 stand for values (`cookies`).
const COOKIES: [&[u8]; 8] = [
    b"AWSELB=\x01; a=b; sid=\x02",
    b"a=\x01; AWSELBCORS=\x03;AWSALBCORS=\x04\nsid=\x05; =x",
    b"app=1; AWSELB=\x06; AWSELB=\x07; AWSELB=\x08",
    b"$Version=1; app=1; $Path=/a_b, AWSELB=\x01; $Path=\"/\"",
    b"app=1; Path=/a_b; Secure\napp=2; Path=/; Max-Age=3;",
    b"app=1; expires=Wed, 09-Jun-2027 10:18:14 GMT; Partitioned; SameSite=Lax",
    b";;; sid =1;AWSELB =\x01; sid",
    b"",
];

fn main() -> io::Result<()> {
    let directory = env::args_os().nth(1).map(PathBuf::from);
    let directory = directory.ok_or_else(|| io::Error::other("seeds DIRECTORY"))?;
    let mut heads = Vec::new();
    let mut framing = Vec::new();
    for bytes in requests_and_answers()? {
        let is_answer = bytes.starts_with(b"HTTP/");
        heads.push([&[u8::from(is_answer)], &bytes[..]].concat());
        heads.push([&[u8::from(is_answer) | 14], &bytes[..]].concat());
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            framing.push([b"\x03\xff\x02\x09", &bytes[at + 4..]].concat());
        }
    }
    framing.push(b"\x03\x08\x02\x0905;a\r\nhello\r\n4\r\nmore\r\n0\r\n\r\n".to_vec());
    framing.push(b"\x1a\xff\x00\x00hello and more".to_vec());
    let cookies = COOKIES.iter().enumerate().flat_map(|(index, text)| {
        let switches = [0, 1, 2 + 4 * (u8::try_from(index).unwrap_or_default() & 1)];
        switches.map(|switches| [&[switches], *text].concat())
    });
    let corpora = [
        ("heads", heads),
        ("framing", framing),
        ("cookies", cookies.collect()),
        ("datagrams", steps()),
        ("exchange", scripts()),
    ];
    for (target, seeds) in corpora {
        let corpus = directory.join(target);
        fs::create_dir_all(&corpus)?;
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(corpus.join(format!("seed-{index}")), seed)?;
        }
    }
    Ok(())
}

/// What clients and backends send in the cases of the RFCs.
fn requests_and_answers() -> io::Result<Vec<Vec<u8>>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rfc");
    let mut all = Vec::new();
    for entry in fs::read_dir(cases)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "http") {
            continue;
        }
        let file = File::parse(&fs::read_to_string(path)?);
        let steps = file.cases.into_iter().flat_map(|case| case.steps);
        all.extend(steps.filter_map(|step| match step {
            Step::ClientSends(bytes) | Step::BackendSends(bytes) => Some(bytes.at_port(80)),
            _ => None,
        }));
    }
    // Those that are long to be too long would make every mutation slow.
    all.retain(|bytes| bytes.len() < 4096);
    Ok(all)
}

/// Every datagram in order, twice and in reverse; each fault of each of them; time that goes by.
fn steps() -> Vec<Vec<u8>> {
    let hear = |which: u8| [0, which, 0, 0];
    let forward: Vec<u8> = (0..42).flat_map(hear).collect();
    let backward: Vec<u8> = (0..42).rev().flat_map(hear).collect();
    let mut all = vec![
        forward.clone(),
        [&backward[..], &forward].concat(),
        [
            &forward[..40],
            &[7, 0, 100, 60],
            &forward[..],
            &[7, 0, 255, 255],
            &forward,
        ]
        .concat(),
    ];
    for which in 0..42 {
        for fault in 3..7 {
            let step = [fault, which, which, which << 3];
            all.push([&step[..], b"and what follows", &hear(which), &hear(which)].concat());
        }
    }
    all
}

/// Each kind of request with each answer, and one that follows; each fault behind a sound one.
fn scripts() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for answer in 0..17 {
        for method in 0..6 {
            let line = answer % 8;
            let manner = answer & 1;
            let asks = [[method, line, 21 + answer % 3, answer], [method, 0, 0, 0]].concat();
            all.push([&[manner, 30, 9, 0], &asks[..]].concat());
        }
    }
    for fault in 0..20 {
        all.push(vec![3, 20, 5, 4, 0, 0, 0, 0, 192, fault, 0, 0, 2, 0, 0, 0]);
        all.push(vec![0, 0, 0, 0, 2, 0, 129, 1, 192, fault, 0, 0]);
    }
    all
}
