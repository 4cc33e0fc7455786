//! Whole exchanges: a client's connection with several requests on it, cut anywhere, through a real
//! shard to a backend that answers well or badly; judged by what was written.
//!
//! Input: four bytes for how the client sends and how much of it, four for each request
//! (`script.rs`). The shard runs in this process over real sockets, so what it covers counts.
//! Invariant: whatever the order in which bytes arrive, what is checked holds.
#![no_main]

mod answer;
mod backend;
mod judge;
#[path = "../route.rs"]
mod route;
mod script;
mod stage;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use script::Script;
use stage::Stage;

thread_local! {
    /// Started with the first input; it ends with the process.
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    STAGE.with_borrow_mut(|stage| {
        let stage = stage.get_or_insert_with(Stage::new);
        if let Some(script) = Script::read(input, stage.next_play()) {
            let played = stage.play(&script);
            judge::check(&script, &played);
        }
    });
});
