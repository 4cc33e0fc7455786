//! Cookies of clients that mean no good: only what elbow has sealed leads anywhere, it leads where
//! it says, and other cookies are left as they are.
//!
//! Input: a byte of switches; then `Cookie` or `Set-Cookie` values, a line each, in which the bytes
//! 1 to 8 stand for cookie values that were made before.
#![no_main]

#[path = "../route.rs"]
mod route;
mod sessions;
mod text;
mod values;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use values::Values;

static VALUES: LazyLock<Values> = LazyLock::new(Values::new);

fuzz_target!(|input: &[u8]| {
    let Some((&switches, text)) = input.split_first() else {
        return;
    };
    let values = &*VALUES;
    let text = values.put_into(text);
    let fields = text.split(|&byte| byte == b'\n');
    // No head has these in a field.
    let fields: Vec<&[u8]> = fields
        .filter(|field| !field.contains(&b'\r') && !field.contains(&0))
        .collect();
    values.expect_seals_hold(input);
    for field in &fields {
        values.expect_opens_only_own(field);
    }
    sessions::check(values, &fields, switches & 1 != 0);
    for field in &fields {
        text::check_strip(field, sessions::OWN_NAME);
        text::check_strip(field, "");
        text::check_encoding(field);
    }
    text::check_app_lines(&fields, switches & 2 != 0, switches & 4 != 0);
});
