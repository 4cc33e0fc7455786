//! Signs what the commands ask, where the environment has a credential, as AWS's own clients do.
//!
//! Not how a signature is judged (`control`).

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use ureq::http::{HeaderValue, Request};

use crate::sys::unix_seconds;

/// The region that is signed for unless the environment names one.
const REGION: &str = "us-east-1";

/// The field by which AWS's own clients tell their requests apart.
const INVOCATION: &str = "amz-sdk-invocation-id";

/// The service that is signed for.
const SERVICE: &str = "elasticloadbalancing";

/// A credential and where it is used.
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
}

impl Signer {
    /// `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY`, and `AWS_REGION` or `AWS_DEFAULT_REGION`;
    /// `None` unless there are both of the former.
    pub(super) fn of_environment() -> Option<Self> {
        let id = variable("AWS_ACCESS_KEY_ID")?;
        let secret = variable("AWS_SECRET_ACCESS_KEY")?;
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        Some(Self {
            credentials: Credentials::new(id, secret, None, None, "environment"),
            region: region.unwrap_or_else(|| REGION.to_owned()),
        })
    }

    /// Adds the fields of a signature, and one that no other request has: two equal ones within a
    /// second would have one signature, which changes something once. The request has its `Host`
    /// field, as it is sent.
    pub(super) fn sign(&self, request: &mut Request<String>) -> Result<(), String> {
        let mut number = [0; 16];
        aws_lc_rs::rand::fill(&mut number)
            .map_err(|_| "there are no random bytes to sign with".to_owned())?;
        let number = u128::from_ne_bytes(number).to_string();
        let number = HeaderValue::try_from(number).expect("digits are a value");
        request.headers_mut().insert(INVOCATION, number);
        let told = |error: &dyn std::error::Error| format!("cannot sign the request: {error}");
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(SERVICE)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds()))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| told(&error))?;
        let fields = request.headers().iter();
        let fields = fields.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(
            request.method().as_str(),
            request.uri().to_string(),
            fields,
            SignableBody::Bytes(request.body().as_bytes()),
        );
        let signed = sign(signable.map_err(|error| told(&error))?, &params.into());
        let (made, _) = signed.map_err(|error| told(&error))?.into_parts();
        made.apply_to_request_http1x(request);
        Ok(())
    }
}

/// A variable of the environment that is not empty.
fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "secrets do not stand in flags, which everybody on the host can read"
    )]
    let text = std::env::var(name).ok()?;
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_in_fields_of_the_request() {
        let signer = Signer {
            credentials: Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"),
            region: "eu-west-1".to_owned(),
        };
        let signed = || {
            let request = Request::get("http://127.0.0.1:9090/v1/drains?a=b").header("host", "x");
            let mut request = request.body(String::new()).expect("it is a request");
            signer.sign(&mut request).expect("it is signed");
            request
        };
        let request = signed();
        let field = |name: &str| request.headers()[name].to_str().expect("ASCII").to_owned();
        assert_eq!(field("x-amz-date").len(), 16);
        let authorization = field("authorization");
        assert_ne!(signed().headers()["authorization"], *authorization);
        let scope = "/eu-west-1/elasticloadbalancing/aws4_request, \
                     SignedHeaders=amz-sdk-invocation-id;host;x-amz-date,";
        assert!(
            authorization.contains("Credential=AKIDEXAMPLE/"),
            "{authorization}"
        );
        assert!(authorization.contains(scope), "{authorization}");
    }
}
