//! Who is let in at the admin address: each request is judged before any route sees it.
//!
//! Not how it proves whose it is (`proof.rs`) nor what is done (`act.rs`). Invariants: where there
//! are credentials, what passes is `/healthz`, a file of the console, the question who has signed
//! in, or has proved whose it is; what changes something has been signed for that, once, or has
//! cookie and token, by somebody who may; each refusal is counted.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use super::answer::Trouble;
use super::denied::{Denied, METRICS};
use super::proof::{self, Proofs};
use super::sign_ins::{Pass, SignedIn};
use super::signature::{self, Claim};
use super::used::Used;
use super::{Shared, console, guard, sign_in};
use crate::control::credentials::{Credentials, Held};
use crate::limits::{REFUSAL_PAUSE, SIGNATURES_USED_MAX};
use crate::state::{AdminRefusal, ControlLine};
use crate::sys::unix_seconds;

/// Everybody may ask how the process is.
const HEALTH: &str = "/healthz";

/// Who is let in, and what they have used up.
pub(super) struct Access {
    credentials: Credentials,
    counts: Arc<ControlLine>,
    proofs: Proofs,
    changing: Shut<Used>,
    /// For each reason, until when the log says nothing more of it.
    quiet: Shut<[Option<Instant>; AdminRefusal::NAMES.len()]>,
}

#[expect(
    clippy::disallowed_types,
    reason = "the one thread of control has it, and never over an await"
)]
pub(super) type Shut<T> = std::sync::Mutex<T>;

/// Whose request it is, for the routes.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    /// An access key id, or `anonymous` where there are no credentials.
    pub(super) who: String,
    /// What the signature is for; `None`: it does not say.
    pub(super) region: Option<String>,
    pub(super) peer: Option<Peer>,
    pub(super) may_change: bool,
    pub(super) by: By,
}

/// How that is known.
#[derive(Debug, Clone)]
pub(super) enum By {
    /// Nobody has to prove it, or nobody has.
    Nothing,
    Password,
    /// It changes something once.
    Signature(Arc<Claim>),
    Cookie(SignedIn),
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
            proofs: Proofs::new(Arc::clone(&counts)),
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
        let (caller, body) = self.identify(&held, &parts, body).await?;
        // What the ELB API is asked is known once its parameters are read (`query.rs`).
        match parts.uri.path() {
            "/" | HEALTH => {}
            _ if parts.method.is_safe() => {}
            sign_in::PATH => self.take(&caller)?,
            _ => self.may_change(&caller)?,
        }
        let who = caller.who.clone();
        parts.extensions.insert(caller);
        Ok((Request::from_parts(parts, body), who))
    }

    /// Whose request it is. A signature goes before a cookie, which browsers send by themselves.
    async fn identify(
        &self,
        held: &Held,
        parts: &Parts,
        body: Body,
    ) -> Result<(Caller, Body), Denied> {
        let path = parts.uri.path();
        // The console's files hold no secrets, and who signs in needs them.
        let is_file = console::has(path) && parts.method.is_safe();
        if held.is_open() || path == HEALTH || is_file {
            return Ok((Caller::unknown(parts, held.is_open()), body));
        }
        if proof::password(&parts.headers).is_none() {
            if let Some(claim) = Claim::read(parts)? {
                let proved = self.proofs.by_signature(claim, held, parts, body);
                let (caller, body) = proved.await?;
                return Ok((caller, Body::from(body)));
            }
        } else if path == METRICS {
            return Ok((self.proofs.by_password(held, parts)?, body));
        }
        // A browser that knows a password for the metrics sends it everywhere.
        let is_question = path == sign_in::PATH && parts.method.is_safe();
        let signed_in = match self.proofs.by_cookie(held, parts) {
            Ok(None) | Err(_) if is_question => Some(Caller::unknown(parts, false)),
            found => found?,
        };
        let caller = signed_in.ok_or_else(|| {
            let message = "Request is missing Authentication Token";
            Denied::new(AdminRefusal::Unsigned, message)
        })?;
        Ok((caller, body))
    }

    /// Whether the caller may change something, if by a signature with that of this request; not
    /// again then.
    ///
    /// # Errors
    /// [`AdminRefusal::ReadOnly`], and those of [`take`](Self::take).
    pub(super) fn may_change(&self, caller: &Caller) -> Result<(), Denied> {
        if !caller.may_change {
            let message = format!("The credential {} may only read", caller.who);
            return Err(Denied::new(AdminRefusal::ReadOnly, message));
        }
        self.take(caller)
    }

    /// Uses a signature up.
    ///
    /// # Errors
    /// [`AdminRefusal::Replay`], [`AdminRefusal::ReplayTableFull`].
    fn take(&self, caller: &Caller) -> Result<(), Denied> {
        let By::Signature(claim) = &caller.by else {
            return Ok(());
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

    /// Signs a caller in that has proved to have a credential.
    ///
    /// # Errors
    /// It is gone by now, or there are no random bytes.
    pub(super) fn sign_in(&self, caller: &Caller) -> Result<SignedIn, Trouble> {
        let held = self.credentials.now();
        let gone = || Trouble::new(StatusCode::FORBIDDEN, "the credential is there no more");
        let holder = held.holder(&caller.who).ok_or_else(gone)?;
        self.proofs.sign_in(holder, caller.peer).map_err(|_| {
            let clause = "there are no random bytes to sign in with";
            Trouble::new(StatusCode::SERVICE_UNAVAILABLE, clause)
        })
    }

    pub(super) fn sign_out(&self, pass: &Pass) {
        self.proofs.sign_out(pass);
    }

    /// What the caller was allowed to change was not even begun: it may try again.
    pub(super) fn give_back(&self, caller: &Caller) {
        if let By::Signature(claim) = &caller.by {
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
    /// Whoever it is: nothing is proved.
    fn unknown(parts: &Parts, may_change: bool) -> Self {
        Self {
            who: "anonymous".to_owned(),
            region: signature::region(parts),
            peer: proof::peer(parts),
            may_change,
            by: By::Nothing,
        }
    }
}
