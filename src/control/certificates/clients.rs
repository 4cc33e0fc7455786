//! What a listener asks of clients' certificates: by whom they are issued, and whether one must be
//! shown.
//!
//! Not which client it was (`shard::subject`). Invariant: a listener with a `client_ca` never
//! goes without one, whatever is in the file.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::{chain, in_file, read};
use crate::config::ClientAuth;
use crate::limits::{CLIENT_CA_NAMES_BYTES_MAX, CLIENT_CAS_MAX};

/// What clients are judged by.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// What a session has been judged by: whether a certificate must be shown, and all
    /// certificates of the file. A ticket must not resume under other terms than it was made by.
    pub(super) terms: Vec<u8>,
}

impl Clients {
    /// No client is asked for a certificate.
    fn nobody() -> Self {
        Self {
            verifier: WebPkiClientVerifier::no_client_auth(),
            terms: Vec::new(),
        }
    }

    /// Reads the file, if there is to be one.
    ///
    /// # Errors
    /// The file cannot be used, and why.
    pub(super) fn read(
        auth: Option<&ClientAuth>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, String> {
        let Some(auth) = auth else {
            return Ok(Self::nobody());
        };
        let text = read(&auth.ca)?;
        Self::of(auth, &text, provider).map_err(|problem| in_file(&auth.ca, problem))
    }

    fn of(auth: &ClientAuth, text: &[u8], provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let certificates = chain(text)?;
        if certificates.len() > CLIENT_CAS_MAX {
            return Err(format!("more than {CLIENT_CAS_MAX} certificates"));
        }
        let mut terms = vec![auth.is_required.into()];
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            terms.extend_from_slice(&certificate);
            let added = roots.add(certificate);
            added.map_err(|error| format!("not a certificate of an issuer: {error}"))?;
        }
        let names = roots.subjects();
        if names.iter().map(|name| name.as_ref().len()).sum::<usize>() > CLIENT_CA_NAMES_BYTES_MAX {
            return Err(format!(
                "its names are longer than {CLIENT_CA_NAMES_BYTES_MAX} bytes"
            ));
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match auth.is_required {
            true => builder,
            false => builder.allow_unauthenticated(),
        };
        let verifier = builder.build().map_err(|error| error.to_string())?;
        Ok(Self { verifier, terms })
    }
}
