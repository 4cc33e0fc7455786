//! HTTP/1.1 over borrowed bytes: heads, framing, rewriting, elbow's own answers (RFC 9110, 9112).
//!
//! Not here: connections, backends, cookies. Invariant: a head that has two readings is refused
//! and never repaired, so what elbow forwards has the one reading by which it was judged.

mod body;
mod desync;
mod field;
mod head;
mod reply;
mod request;
mod response;

pub use body::{Body, BrokenBody, Framing};
pub use desync::{Classification, DesyncMode, Reason, Treatment, Verdict, classify};
pub use field::{is_known_field, is_token};
pub use head::{FieldSlots, HeadEnd, Rewrite, Version, field_slots, find_end, leading_blank};
pub use reply::{CONTINUE, Reply};
pub use request::{Forwarding, Refusal, Request, excess};
pub use response::{BadResponse, Downstream, Response};
