//! Stickiness: cookie text, the seal, the shard's table, verdicts and why, what Set-Cookie to send,
//! and how many sessions each backend has.
//!
//! Not here: HTTP heads (bytes come in, bytes go out) and the choice for clients without a cookie
//! (`balance`). Invariant: the table is a cache of what cookies say; losing it changes no answer.

mod census;
mod cookie;
mod explain;
mod follow;
mod moves;
mod next;
mod place;
mod seal;
mod sessions;
mod table;

pub use census::{Census, Sketch};
pub use cookie::{AppTally, own_names, write_app_lines, write_lines};
pub use explain::{Explanation, Lived, Question, Ranked, Said, Step, explain};
pub use follow::{Copying, encode_dollar_path, encode_path, strip_cookies};
pub use moves::Moved;
pub use next::Next;
pub use place::{Verdict, next_home};
pub use seal::{Binding, Key, NONCE_BYTES, Seals, VALUE_BYTES, Value};
pub use sessions::{Sessions, Stick, Tally, Visit};
