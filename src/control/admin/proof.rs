//! How a request proves whose it is: a signature, a password, or the pass of who has signed in.
//!
//! Not what may then be done (`access.rs`). Invariants: a secret is looked at only for clients that
//! have not guessed too often; what a browser sends by itself, the cookie, changes nothing without
//! the token, which only a page of this origin can know.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tokio::time::{self, Instant};

use super::access::{By, Caller, Peer, Shut};
use super::denied::Denied;
use super::guesses::{Guesser, Guesses, Network};
use super::sign_in;
use super::sign_ins::{Pass, SignIns, SignedIn};
use super::signature::Claim;
use crate::control::credentials::{Held, Holder};
use crate::limits::{
    ADMIN_BODY_BYTES_MAX, ADMIN_HEAD_TIMEOUT, GUESSERS_MAX, QUERY_BYTES_MAX, SIGN_INS_MAX,
};
use crate::state::{AdminRefusal, ControlLine};
use crate::sys::unix_seconds;

/// The field with the token of who has signed in.
const TOKEN_FIELD: &str = "x-elbow-token";

/// Who has signed in, and who tries to.
pub(super) struct Proofs {
    sign_ins: Shut<SignIns>,
    guesses: Shut<Guesses>,
    counts: Arc<ControlLine>,
}

impl Proofs {
    pub(super) fn new(counts: Arc<ControlLine>) -> Self {
        Self {
            sign_ins: Shut::new(SignIns::new(SIGN_INS_MAX)),
            guesses: Shut::new(Guesses::new(GUESSERS_MAX)),
            counts,
        }
    }

    /// Whose password it is. Only of those who may not change anything: it travels in clear.
    pub(super) fn by_password(&self, held: &Held, parts: &Parts) -> Result<Caller, Denied> {
        let denied = |message| Denied::new(AdminRefusal::Credential, message);
        let wrong = || denied("The user must be an access key id, and the password its secret");
        let bytes = BASE64_STANDARD.decode(password(&parts.headers).unwrap_or_default());
        let text = String::from_utf8(bytes.map_err(|_| wrong())?).map_err(|_| wrong())?;
        let (id, secret) = text.split_once(':').ok_or_else(wrong)?;
        let holder = held.holder(id);
        if holder.is_some_and(|holder| !holder.is_read_only) {
            return Err(denied(
                "HTTP Basic is for read-only credentials: a secret that may change things never \
                 travels",
            ));
        }
        let guesser = Guesser::new(network(parts), holder.map(|_| id));
        let is_right = |holder: &Holder| holder.has_secret(secret);
        self.judge(guesser, || {
            holder.filter(|holder| is_right(holder)).ok_or_else(wrong)
        })?;
        Ok(Caller {
            who: id.to_owned(),
            region: None,
            peer: peer(parts),
            may_change: false,
            by: By::Password,
        })
    }

    /// Whose signature it is, and the body, which it is about.
    pub(super) async fn by_signature(
        &self,
        claim: Claim,
        held: &Held,
        parts: &Parts,
        body: Body,
    ) -> Result<(Caller, Bytes), Denied> {
        claim.check(unix_seconds())?;
        let id = &claim.scope.access_key_id;
        let holder = held.holder(id);
        // An unknown id is told at once.
        let body = match holder {
            Some(_) => whole(parts, body).await?,
            None => Bytes::new(),
        };
        let guesser = Guesser::new(network(parts), holder.map(|_| &**id));
        let holder = self.judge(guesser, || {
            let holder = holder.ok_or_else(unknown)?;
            let is_right = claim.is_of(parts, &body, &holder.key);
            is_right.then_some(holder).ok_or_else(other_signature)
        })?;
        let caller = Caller {
            who: id.clone(),
            region: Some(claim.scope.region.clone()),
            peer: peer(parts),
            may_change: !holder.is_read_only,
            by: By::Signature(Arc::new(claim)),
        };
        Ok((caller, body))
    }

    /// Looks at what a client shows, unless it has guessed too often. Nothing else goes on
    /// meanwhile, so that guesses that come at once count as well.
    fn judge<T>(
        &self,
        guesser: Guesser,
        look: impl FnOnce() -> Result<T, Denied>,
    ) -> Result<T, Denied> {
        let now = Instant::now();
        let mut guesses = self.guesses.lock().expect("no holder panics");
        if let Some(left) = guesses.locked_for(&guesser, now) {
            return Err(Denied::locked_out(left));
        }
        let looked = look();
        match &looked {
            Ok(_) => guesses.succeed(&guesser),
            Err(_) if guesses.fail(guesser, now) => self.counts.guessers_forgotten.add(1),
            Err(_) => {}
        }
        looked
    }

    /// Who has signed in, by the cookie of a request; `None`: it has none.
    ///
    /// # Errors
    /// [`AdminRefusal::SignedOut`], [`AdminRefusal::Token`].
    pub(super) fn by_cookie(&self, held: &Held, parts: &Parts) -> Result<Option<Caller>, Denied> {
        let mut passes = sign_in::passes(&parts.headers).peekable();
        if passes.peek().is_none() {
            return Ok(None);
        }
        let (network, now) = (network(parts), Instant::now());
        let mut sign_ins = self.sign_ins.lock().expect("no holder panics");
        let signed_in = passes.find_map(|pass| sign_ins.find(&pass, held, network, now));
        let signed_in = signed_in.ok_or_else(|| {
            let message = "You are signed in no more: sign in again";
            Denied::new(AdminRefusal::SignedOut, message)
        })?;
        // Actions of the ELB API change things by GET as well.
        let needs_token = !parts.method.is_safe() || parts.uri.path() == "/";
        if needs_token && !has_token(&parts.headers, &signed_in.pass) {
            let message = "The token in X-Elbow-Token is missing or that of another sign-in: load \
                           the page again";
            return Err(Denied::new(AdminRefusal::Token, message));
        }
        Ok(Some(Caller {
            who: signed_in.who.clone(),
            region: None,
            peer: peer(parts),
            may_change: !signed_in.is_read_only,
            by: By::Cookie(signed_in),
        }))
    }

    /// Signs in who has proved to have a credential.
    ///
    /// # Errors
    /// There are no random bytes.
    pub(super) fn sign_in(
        &self,
        holder: &Holder,
        from: Option<Peer>,
    ) -> Result<SignedIn, Unspecified> {
        let mut sign_ins = self.sign_ins.lock().expect("no holder panics");
        let begun = sign_ins.begin(holder, network_of(from), Instant::now());
        let (signed_in, is_other_out) = begun?;
        if is_other_out {
            self.counts.sign_ins_displaced.add(1);
        }
        Ok(signed_in)
    }

    pub(super) fn sign_out(&self, pass: &Pass) {
        let mut sign_ins = self.sign_ins.lock().expect("no holder panics");
        sign_ins.end(pass);
    }
}

/// What stands after `Basic` (RFC 7617 §2).
pub(super) fn password(fields: &HeaderMap) -> Option<&str> {
    let field = fields.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = field.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| rest.trim())
}

pub(super) fn peer(parts: &Parts) -> Option<Peer> {
    parts.extensions.get().copied()
}

fn network(parts: &Parts) -> Network {
    network_of(peer(parts))
}

fn network_of(peer: Option<Peer>) -> Network {
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    Network::of(peer.map_or(nowhere, |Peer(address)| address.ip()))
}

fn has_token(fields: &HeaderMap, pass: &Pass) -> bool {
    let token = fields.get(TOKEN_FIELD);
    token.is_some_and(|token| pass.has_token(token.as_bytes()))
}

fn unknown() -> Denied {
    Denied::new(
        AdminRefusal::Credential,
        "The security token included in the request is invalid: no credential has this access key \
         id",
    )
}

fn other_signature() -> Denied {
    Denied::new(
        AdminRefusal::Signature,
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method.",
    )
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
