//! Who is let in at the admin address: each request is judged before any route sees it.
//!
//! Not how a signature is made (`signature.rs`) nor what is done (`act.rs`). Invariants: where
//! there are credentials, what passes is `/healthz`, or has proved whose it is; what changes
//! something has been signed for that, once, by somebody who may; each refusal is counted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::time::{self, Instant};

use super::Shared;
use super::denied::{Denied, METRICS};
use super::guard;
use super::signature::{self, Claim};
use super::used::Used;
use crate::control::credentials::{Credentials, Held};
use crate::limits::{
    ADMIN_BODY_BYTES_MAX, ADMIN_HEAD_TIMEOUT, QUERY_BYTES_MAX, REFUSAL_PAUSE, SIGNATURES_USED_MAX,
};
use crate::state::{AdminRefusal, ControlLine};
use crate::sys::unix_seconds;

/// Everybody may ask how the process is.
const HEALTH: &str = "/healthz";

/// Who is let in, and what they have used up.
pub(super) struct Access {
    credentials: Credentials,
    counts: Arc<ControlLine>,
    changing: Shut<Used>,
    /// For each reason, until when the log says nothing more of it.
    quiet: Shut<[Option<Instant>; AdminRefusal::NAMES.len()]>,
}

#[expect(
    clippy::disallowed_types,
    reason = "the one thread of control has it, and never over an await"
)]
type Shut<T> = std::sync::Mutex<T>;

/// Whose request it is, for the routes.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// An access key id, or `anonymous` where there are no credentials.
    pub(super) who: String,
    /// What the signature is for; `None`: it does not say.
    pub(super) region: Option<String>,
    pub(super) peer: Option<Peer>,
    right: Right,
}

/// What a caller may do.
#[derive(Debug, Clone)]
enum Right {
    All,
    Read,
    /// Also change something, once.
    Change(Arc<Claim>),
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Lets a request through to its route, or refuses it.
pub(super) async fn admit(admin: Shared, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let peer = request.extensions().get::<Peer>().copied();
    let (request, who) = match admin.access.judge(request).await {
        Ok(admitted) => admitted,
        Err(denied) => {
            admin.access.note(&denied, peer);
            return denied.answer(&path);
        }
    };
    let answer = next.run(request).await;
    // Those of the ELB API are told by what they are (`act.rs`).
    if !method.is_safe() && path != "/" {
        let status = answer.status().as_u16();
        match answer.status().is_success() {
            true => tracing::info!(%who, %method, path, status, "done"),
            false => tracing::info!(%who, %method, path, status, "refused"),
        }
    }
    answer
}

impl Access {
    pub(super) fn new(credentials: Credentials, counts: Arc<ControlLine>) -> Self {
        let used = Used::new(unix_seconds(), SIGNATURES_USED_MAX);
        Self {
            credentials,
            counts,
            changing: Shut::new(used),
            quiet: Shut::default(),
        }
    }

    /// How many credentials there are.
    pub(super) fn credentials(&self) -> usize {
        self.credentials.now().count()
    }

    /// The request, which says whose it is, and who that is.
    async fn judge(&self, request: Request) -> Result<(Request, String), Denied> {
        let held = self.credentials.now();
        guard::check(request.method(), request.headers(), &held.names)?;
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path();
        let (caller, body) = if held.is_open() || path == HEALTH {
            (Caller::anybody(&parts), body)
        } else if path == METRICS && password(&parts.headers).is_some() {
            (by_password(&held, &parts)?, body)
        } else {
            let (caller, body) = by_signature(&held, &parts, body).await?;
            // What the ELB API is asked is known once its parameters are read (`query.rs`).
            if !parts.method.is_safe() && path != "/" {
                self.may_change(&caller)?;
            }
            (caller, Body::from(body))
        };
        let who = caller.who.clone();
        parts.extensions.insert(caller);
        Ok((Request::from_parts(parts, body), who))
    }

    /// Whether the caller may change something with the signature of this request; not again then.
    ///
    /// # Errors
    /// [`AdminRefusal::ReadOnly`], [`AdminRefusal::Replay`], [`AdminRefusal::ReplayTableFull`].
    pub(super) fn may_change(&self, caller: &Caller) -> Result<(), Denied> {
        let claim = match &caller.right {
            Right::All => return Ok(()),
            Right::Read => {
                let message = format!("The credential {} may only read", caller.who);
                return Err(Denied::new(AdminRefusal::ReadOnly, message));
            }
            Right::Change(claim) => claim,
        };
        let mut used = self.changing.lock().expect("no holder panics");
        used.take(claim, unix_seconds()).map_err(|reason| {
            let message = match reason {
                AdminRefusal::ReplayTableFull => "Rate exceeded: too many changes in a few minutes",
                _ => {
                    "Rate exceeded: a request with this signature was taken already, or could \
                      have been before elbow started; one that is signed anew is another one"
                }
            };
            Denied::new(reason, message)
        })
    }

    /// What the caller was allowed to change was not even begun: it may try again.
    pub(super) fn give_back(&self, caller: &Caller) {
        if let Right::Change(claim) = &caller.right {
            let mut used = self.changing.lock().expect("no holder panics");
            used.give_back(claim);
        }
    }

    /// Counts a refusal, and tells the log of it unless it was told the like a moment ago.
    pub(super) fn note(&self, denied: &Denied, peer: Option<Peer>) {
        let index = denied.reason as usize;
        self.counts.admin_refused[index].add(1);
        let now = Instant::now();
        let mut quiet = self.quiet.lock().expect("no holder panics");
        if quiet[index].is_none_or(|until| until <= now) {
            quiet[index] = Some(now + REFUSAL_PAUSE);
            let reason = denied.reason.name();
            let from = peer.map(|Peer(address)| tracing::field::display(address));
            tracing::warn!(reason, from, "admin: {}", denied.message);
        }
    }
}

impl Caller {
    /// Whoever it is: nobody has to prove it.
    fn anybody(parts: &Parts) -> Self {
        Self {
            who: "anonymous".to_owned(),
            region: signature::region(parts),
            peer: peer(parts),
            right: Right::All,
        }
    }
}

fn peer(parts: &Parts) -> Option<Peer> {
    parts.extensions.get().copied()
}

/// What stands after `Basic` (RFC 7617 §2).
fn password(fields: &HeaderMap) -> Option<&str> {
    let field = fields.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| rest.trim())
}

/// Whose password it is. Only of those who may not change anything: it travels in clear.
fn by_password(held: &Held, parts: &Parts) -> Result<Caller, Denied> {
    let denied = |message| Denied::new(AdminRefusal::Credential, message);
    let wrong = || denied("The user must be an access key id, and the password its secret");
    let bytes = BASE64_STANDARD.decode(password(&parts.headers).unwrap_or_default());
    let text = String::from_utf8(bytes.map_err(|_| wrong())?).map_err(|_| wrong())?;
    let (id, secret) = text.split_once(':').ok_or_else(wrong)?;
    let holder = held.holder(id).ok_or_else(wrong)?;
    if !holder.is_read_only {
        return Err(denied(
            "HTTP Basic is for read-only credentials: a secret that may change things never \
             travels",
        ));
    }
    if !holder.has_secret(secret) {
        return Err(wrong());
    }
    Ok(Caller {
        who: id.to_owned(),
        region: None,
        peer: peer(parts),
        right: Right::Read,
    })
}

/// Whose signature it is, and the body, which it is about.
async fn by_signature(held: &Held, parts: &Parts, body: Body) -> Result<(Caller, Bytes), Denied> {
    let unsigned = || {
        Denied::new(
            AdminRefusal::Unsigned,
            "Request is missing Authentication Token",
        )
    };
    let claim = Claim::read(parts)?.ok_or_else(unsigned)?;
    claim.check(unix_seconds())?;
    let id = &claim.scope.access_key_id;
    let unknown = "The security token included in the request is invalid: no credential has this \
                   access key id";
    let holder = held.holder(id);
    let holder = holder.ok_or_else(|| Denied::new(AdminRefusal::Credential, unknown))?;
    let body = whole(parts, body).await?;
    if !claim.is_of(parts, &body, &holder.key) {
        return Err(Denied::new(
            AdminRefusal::Signature,
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method.",
        ));
    }
    let caller = Caller {
        who: id.clone(),
        region: Some(claim.scope.region.clone()),
        peer: peer(parts),
        right: match holder.is_read_only {
            true => Right::Read,
            false => Right::Change(Arc::new(claim)),
        },
    };
    Ok((caller, body))
}

/// The body, up to the bound of its route.
async fn whole(parts: &Parts, body: Body) -> Result<Bytes, Denied> {
    let most = match parts.uri.path() {
        "/" => QUERY_BYTES_MAX,
        _ => ADMIN_BODY_BYTES_MAX,
    };
    let reading = axum::body::to_bytes(body, most);
    let denied = |message| Denied::new(AdminRefusal::Body, message);
    time::timeout(ADMIN_HEAD_TIMEOUT, reading)
        .await
        .map_err(|_| denied("The body did not come in time".to_owned()))?
        .map_err(|_| {
            denied(format!(
                "The body did not come whole, or has more than {most} bytes"
            ))
        })
}
