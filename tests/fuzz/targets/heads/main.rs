//! Heads: found at the same place however they come in, judged as the documents say, and written
//! anew to one reading, that of another parser.
//!
//! Input: a byte of switches; then what a client or a backend sends. Invariant: nothing here asks
//! elbow's own modules what a field is.
#![no_main]

mod fields;
mod requests;
mod responses;

use elbow::http::{HeadEnd, find_end, leading_blank};
use elbow::limits::REQUEST_HEAD_BYTES_MAX;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&switches, bytes)) = input.split_first() else {
        return;
    };
    let is_set = |bit: u8| switches & 1 << bit != 0;
    let step = usize::from(switches >> 4) + 2;
    let (start, end) = find(bytes, bytes.len().max(1));
    for step in [1, step] {
        assert_eq!(find(bytes, step), (start, end), "in steps of {step}");
    }
    let bytes = &bytes[start..];
    if let HeadEnd::At(length) = end
        && length <= REQUEST_HEAD_BYTES_MAX
    {
        let head = &bytes[..length];
        if is_set(0) {
            responses::check(head, is_set(1), is_set(2), is_set(3));
        } else {
            requests::check(head, is_set(1), is_set(2), is_set(3));
        }
    }
});

/// Where a head begins and ends that comes in steps of so many bytes, as a shard reads it.
fn find(bytes: &[u8], step: usize) -> (usize, HeadEnd) {
    let (mut start, mut searched, mut seen) = (0, 0_usize, 0);
    loop {
        let blank = leading_blank(&bytes[start..seen]);
        start += blank;
        searched = searched.saturating_sub(blank);
        let end = find_end(&bytes[start..seen], searched);
        if end != HeadEnd::Open || seen == bytes.len() {
            return (start, end);
        }
        searched = seen - start;
        seen = bytes.len().min(seen + step);
    }
}
