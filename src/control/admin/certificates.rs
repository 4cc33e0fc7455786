//! `/v1/certificates`: the files that the ARNs of certificates stand for.
//!
//! Not how files are read and judged (`certificates.rs` of control), nor how a name comes into
//! force (`naming.rs`). Invariant: files are read on a thread of the runtime's pool, as nobody else
//! may wait for a disk here.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use utoipa::{IntoParams, ToSchema};

use super::Shared;
use super::answer::{Answer, Refused, Sent, Trouble, json};
use super::instances::NamedBy;
use crate::config::CertificateFiles;
use crate::control::certificates::{Inspected, inspect};
use crate::control::naming::Named;
use crate::control::setup::Setup;
use crate::elb;
use crate::sys::unix_seconds;

/// A certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct Certificate {
    /// The name by which listeners and the ELB API know it.
    #[schema(example = "arn:aws:iam::123456789012:server-certificate/site")]
    arn: String,
    /// The PEM file of the certificate and those that lead from it to its issuer's.
    #[schema(example = "/etc/elbow/site.pem")]
    certificate: String,
    /// The PEM file of the key; null: it is in the same file.
    #[schema(example = "/etc/elbow/site.key")]
    certificate_key: Option<String>,
    /// Who says so: the configuration `file` or the `api`.
    named_by: NamedBy,
    /// The hosts that it is for.
    #[schema(example = json!(["example.com", "*.example.com"]))]
    hosts: Vec<String>,
    /// When it ends; null: see `problem`.
    #[schema(example = "2027-01-31T23:59:59.000Z")]
    ends: Option<String>,
    /// Why the files cannot be used as they are now; null: they can.
    problem: Option<String>,
    /// The listeners that show it.
    listeners: Vec<Shown>,
}

/// A listener that shows a certificate.
#[derive(Serialize, ToSchema)]
pub(super) struct Shown {
    /// The load balancer.
    #[schema(example = "web")]
    load_balancer: String,
    /// The port at which it listens.
    #[schema(example = 443)]
    port: u16,
}

impl Certificate {
    fn new(named: Named, inspected: Result<Inspected, String>) -> Self {
        let Named {
            arn,
            files,
            source,
            listeners,
        } = named;
        let shown = |(load_balancer, port)| Shown {
            load_balancer,
            port,
        };
        let millis = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        let (hosts, ends, problem) = match inspected {
            Ok(Inspected { hosts, ends_at }) => (hosts, Some(millis(ends_at)), None),
            Err(problem) => (Vec::new(), None, Some(problem)),
        };
        Self {
            arn,
            certificate: files.chain.display().to_string(),
            certificate_key: files.key.map(|key| key.display().to_string()),
            named_by: source.into(),
            hosts,
            ends: ends.map(elb::timestamp),
            problem,
            listeners: listeners.into_iter().map(shown).collect(),
        }
    }
}

/// Which certificates a list is to be about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// The one of this ARN; all if it is left out.
    arn: Option<String>,
}

/// Lists certificates
///
/// Those that have an ARN, by the file or by this API, with what is in their files now.
#[utoipa::path(
    get,
    path = "/v1/certificates",
    operation_id = "list_certificates",
    tag = "certificates",
    params(Of),
    responses((
        status = 200,
        description = "The certificates, in order of their ARNs",
        body = [Certificate]
    ))
)]
pub(super) async fn list(admin: Shared, of: Result<Query<Of>, QueryRejection>) -> Answer {
    let Query(of) = of?;
    let mut all = admin.order(|setup| Ok(setup.certificates())).await?;
    all.retain(|named| of.arn.as_ref().is_none_or(|arn| *arn == named.arn));
    let rows = on_disk(move || {
        let row = |named: Named| {
            let inspected = inspect(&named.files, unix_seconds());
            Certificate::new(named, inspected)
        };
        all.into_iter().map(row).collect::<Vec<_>>()
    })
    .await?;
    Ok(json(StatusCode::OK, &rows))
}

/// What an ARN is to stand for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCertificate)]
pub(super) struct Wanted {
    /// Begins with `arn:`; at most 2,048 characters of printable ASCII without space.
    #[schema(
        example = "arn:aws:iam::123456789012:server-certificate/site",
        pattern = "^arn:[!-~]*$",
        max_length = 2048
    )]
    arn: String,
    /// The absolute path, on the host of elbow, of a PEM file with the certificate and those that
    /// lead to its issuer's.
    #[schema(example = "/etc/elbow/site.pem", pattern = "^/")]
    certificate: String,
    /// The same of its key. Left out: it is in the same file.
    #[schema(example = "/etc/elbow/site.key", pattern = "^/")]
    certificate_key: Option<String>,
}

/// Names a certificate
///
/// As a `[[certificate]]` of the file does: from now on listeners can have it under that ARN, by
/// the ELB API too. The files are read at once. What was said of the ARN before is replaced;
/// listeners that show it show the new one. It holds until the file's entry of this ARN is edited.
#[utoipa::path(
    put,
    path = "/v1/certificates",
    operation_id = "name_certificate",
    tag = "certificates",
    request_body = Wanted,
    responses(
        (
            status = 200,
            description = "The ARN stood for others, and stands for these files now",
            body = Certificate
        ),
        (status = 201, description = "The ARN stands for these files", body = Certificate),
        (
            status = 400,
            description = "The ARN, a path, or what is in the files does not hold",
            body = Refused
        ),
        (
            status = 409,
            description = "A listener that shows it cannot show these, or there are as many \
                names as may be",
            body = Refused
        ),
    )
)]
pub(super) async fn put(admin: Shared, Sent(wanted): Sent<Wanted>) -> Answer {
    let Wanted {
        arn,
        certificate,
        certificate_key,
    } = wanted;
    let files = CertificateFiles::from_parts(&arn, &certificate, certificate_key.as_deref())
        .map_err(|(key, mistake)| Trouble::malformed(format!("{key} {mistake}")))?;
    let read = files.clone();
    let inspected = on_disk(move || inspect(&read, unix_seconds())).await?;
    let inspected = inspected.map_err(Trouble::malformed)?;
    let work = move |setup: &mut Setup| {
        let is_new = setup.name_certificate(&arn, files)?;
        let mut all = setup.certificates().into_iter();
        Ok((is_new, all.find(|named| named.arn == arn)))
    };
    let (is_new, named) = admin.order(work).await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let row = named.map(|named| Certificate::new(named, Ok(inspected)));
    Ok(json(status, &row))
}

/// Which certificate is to lose its name.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct The {
    /// Its ARN.
    #[param(example = "arn:aws:iam::123456789012:server-certificate/site")]
    arn: String,
}

/// Takes the name of a certificate away
#[utoipa::path(
    delete,
    path = "/v1/certificates",
    operation_id = "forget_certificate",
    tag = "certificates",
    params(The),
    responses(
        (status = 204, description = "The ARN stands for nothing any more"),
        (status = 404, description = "Nothing has that ARN", body = Refused),
        (status = 409, description = "A listener shows it", body = Refused),
    )
)]
pub(super) async fn delete(admin: Shared, the: Result<Query<The>, QueryRejection>) -> Answer {
    let Query(The { arn }) = the?;
    admin
        .order(move |setup| setup.forget_certificate(&arn))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Trouble> {
    spawn_blocking(work).await.map_err(|_| Trouble::ending())
}
