//! The signature of a request (AWS Signature Version 4), in its `Authorization` field or in the
//! query of a presigned URL: what it claims, and whether it is that of the request.
//!
//! Not who is known and may do what (`access.rs`). The library that signs for the commands makes
//! the signature again, and the two are compared in constant time. Invariant: a claim that
//! [`Claim::is_of`] confirms was made by somebody who knows the secret, for this method, path,
//! query, body and `Host`.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Key;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use time::{Date, Month, PrimitiveDateTime, Time};

use super::denied::Denied;
use crate::control::hex;
use crate::limits::{PRESIGNED_TIME_MAX, SIGNATURE_SKEW};
use crate::state::AdminRefusal;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The service in the scope of a signature.
const SERVICE: &str = "elasticloadbalancing";

/// Longest region in the scope of a signature.
const REGION_BYTES_MAX: usize = 32;

/// The field with the time of a signature.
const DATE_FIELD: &str = "x-amz-date";

/// The parameters of a presigned URL that the signature is not about, or that the library adds.
const PARAMETERS: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

/// What a request says about its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) scope: Scope,
    /// In seconds since 1970.
    pub(super) signed_at: u64,
    /// For how many seconds a presigned URL holds; `None`: it is none.
    expires_in: Option<u64>,
    /// The fields that it is about, in lower case; `host` is among them.
    signed_fields: Vec<String>,
    pub(super) signature: [u8; 32],
}

/// Whose it is and where it holds: `AKID/20150830/us-east-1/elasticloadbalancing/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) access_key_id: String,
    day: String,
    pub(super) region: String,
    service: String,
}

/// The parts of a claim as they are written.
struct Written<'a> {
    credential: &'a str,
    signed_fields: &'a str,
    signature: &'a str,
    date: &'a str,
    expires: Option<&'a str>,
}

impl Claim {
    /// Reads the claim of a request; `None`: it makes none.
    ///
    /// # Errors
    /// [`AdminRefusal::Malformed`].
    pub(super) fn read(parts: &Parts) -> Result<Option<Self>, Denied> {
        let query = parts.uri.query().unwrap_or_default();
        let presigned = presigned(query)?;
        let mut fields = parts.headers.get_all(header::AUTHORIZATION).iter();
        match (fields.next(), fields.next(), presigned) {
            (None, None, None) => Ok(None),
            (Some(field), None, None) => {
                let text = field.to_str().map_err(|_| malformed(NOT_ASCII))?;
                let written = in_field(text, &parts.headers)?;
                Self::parse(&written).map(Some)
            }
            (None, None, Some(values)) => {
                let [
                    algorithm,
                    credential,
                    date,
                    expires,
                    signed_fields,
                    signature,
                ] = &values;
                if algorithm != ALGORITHM {
                    return Err(malformed(OTHER_ALGORITHM));
                }
                let written = Written {
                    credential,
                    signed_fields,
                    signature,
                    date,
                    expires: Some(expires),
                };
                Self::parse(&written).map(Some)
            }
            _ => Err(malformed("There is more than one signature")),
        }
    }

    fn parse(written: &Written<'_>) -> Result<Self, Denied> {
        let scope = Scope::parse(written.credential)?;
        let day = written.date.get(..8);
        let signed_at = seconds(written.date).filter(|_| day == Some(&scope.day));
        let signed_at = signed_at.ok_or_else(|| {
            malformed(
                "The date must look like 20150830T123600Z, in UTC, and begin with the day in the \
                 credential",
            )
        })?;
        let expires_in = written.expires.map(|text| {
            let seconds = text.parse().ok();
            seconds.ok_or_else(|| malformed("X-Amz-Expires must be a number of seconds"))
        });
        let signed_fields: Vec<String> = written
            .signed_fields
            .split(';')
            .map(str::to_owned)
            .collect();
        if !signed_fields.iter().any(|name| name == "host") {
            return Err(malformed("The Host field must be among the SignedHeaders"));
        }
        let signature = hex::to_bytes(written.signature)
            .ok_or_else(|| malformed("The signature must have 64 hexadecimal digits"))?;
        Ok(Self {
            scope,
            signed_at,
            expires_in: expires_in.transpose()?,
            signed_fields,
            signature,
        })
    }

    /// The last second in which it holds, since 1970.
    pub(super) fn ends_at(&self) -> u64 {
        let holds_for = self.expires_in.unwrap_or(SIGNATURE_SKEW.as_secs());
        self.signed_at.saturating_add(holds_for)
    }

    /// Whether it holds at `now`, in seconds since 1970, and for this service.
    ///
    /// # Errors
    /// [`AdminRefusal::Expired`], [`AdminRefusal::Signature`].
    pub(super) fn check(&self, now: u64) -> Result<(), Denied> {
        let expired = |message: &str| Err(Denied::new(AdminRefusal::Expired, message.to_owned()));
        if self
            .expires_in
            .is_some_and(|seconds| seconds > PRESIGNED_TIME_MAX.as_secs())
        {
            return expired("X-Amz-Expires must be at most 604800 seconds");
        }
        if self.ends_at() < now {
            return expired(
                "Signature expired: what it says of the time is over by the clock of this host",
            );
        }
        if now.saturating_add(SIGNATURE_SKEW.as_secs()) < self.signed_at {
            return expired(
                "Signature not yet current: it is of a time to come by the clock of this host",
            );
        }
        if self.scope.service != SERVICE {
            let message = format!("Credential should be scoped to correct service: '{SERVICE}'.");
            return Err(Denied::new(AdminRefusal::Signature, message));
        }
        Ok(())
    }

    /// Whether it is the signature of this request by that key.
    pub(super) fn is_of(&self, parts: &Parts, body: &[u8], key: &Key) -> bool {
        let path = parts.uri.path();
        let agrees = |mode| {
            let made = self.made(parts, body, key, mode);
            let bytes = made.and_then(|text| hex::to_bytes::<32>(&text));
            bytes.is_some_and(|bytes| verify_slices_are_equal(&bytes, &self.signature).is_ok())
        };
        // AWS encodes a path once more to sign it. Some clients do not, such as curl 7, and are
        // understood as well: unless the path could then be that of another request, with its
        // percent signs encoded.
        let is_clear = !is_plain(path) && !path.contains("%25");
        agrees(PercentEncodingMode::Double) || (is_clear && agrees(PercentEncodingMode::Single))
    }

    /// The signature that the key makes of the request.
    fn made(
        &self,
        parts: &Parts,
        body: &[u8],
        key: &Key,
        mode: PercentEncodingMode,
    ) -> Option<String> {
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = mode;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.excluded_headers = None;
        if let Some(seconds) = self.expires_in {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(seconds));
        }
        let identity = key.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.scope.region)
            .name(&self.scope.service)
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(self.signed_at))
            .settings(settings)
            .build()
            .ok()?;
        let fields = self.fields(&parts.headers)?;
        let request = SignableRequest::new(
            parts.method.as_str(),
            self.target(parts)?,
            fields.into_iter(),
            SignableBody::Bytes(body),
        );
        let (_, signature) = sign(request.ok()?, &params.into()).ok()?.into_parts();
        Some(signature)
    }

    /// The fields that it is about; `None`: one of them is not there.
    fn fields<'a>(&'a self, fields: &'a HeaderMap) -> Option<Vec<(&'a str, &'a str)>> {
        let mut all = Vec::new();
        for name in &self.signed_fields {
            let before = all.len();
            for value in fields.get_all(name) {
                all.push((name.as_str(), value.to_str().ok()?));
            }
            if all.len() == before {
                return None;
            }
        }
        Some(all)
    }

    /// Path and query, without the parameters that the library adds.
    fn target(&self, parts: &Parts) -> Option<String> {
        let path = parts.uri.path();
        if !path.starts_with('/') {
            return None;
        }
        let query = parts.uri.query().unwrap_or_default();
        let is_kept = |pair: &&str| {
            self.expires_in.is_none() || !PARAMETERS.contains(&decoded(pair).0.as_str())
        };
        let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
        Some(format!("{path}?{}", kept.join("&")))
    }

    #[cfg(test)]
    pub(super) fn of_header(access_key_id: &str, signed_at: u64, signature: [u8; 32]) -> Self {
        Self {
            scope: Scope {
                access_key_id: access_key_id.to_owned(),
                day: "19700101".to_owned(),
                region: "us-east-1".to_owned(),
                service: SERVICE.to_owned(),
            },
            signed_at,
            expires_in: None,
            signed_fields: vec!["host".to_owned()],
            signature,
        }
    }
}

impl Scope {
    fn parse(credential: &str) -> Result<Self, Denied> {
        let parts: Vec<&str> = credential.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = parts[..] else {
            return Err(malformed(
                "Credential must be KEY/DAY/REGION/elasticloadbalancing/aws4_request",
            ));
        };
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if region.is_empty() || region.len() > REGION_BYTES_MAX || !region.chars().all(is_name) {
            return Err(malformed(
                "The region in the Credential must be letters, digits, dashes",
            ));
        }
        Ok(Self {
            access_key_id: access_key_id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

/// The region that a signature is for, whether it is right or not; `None`: there is none for this
/// service.
pub(super) fn region(parts: &Parts) -> Option<String> {
    let field = parts.headers.get(header::AUTHORIZATION);
    let in_field = field.and_then(|field| {
        let (_, rest) = field.to_str().ok()?.split_once("Credential=")?;
        Some(rest.split(',').next()?.trim().to_owned())
    });
    let in_query = || {
        let query = parts.uri.query().unwrap_or_default();
        let mut pairs = query.split('&').map(decoded);
        pairs.find_map(|(name, value)| (name == "X-Amz-Credential").then_some(value))
    };
    let scope = Scope::parse(&in_field.or_else(in_query)?).ok()?;
    (scope.service == SERVICE).then_some(scope.region)
}

const NOT_ASCII: &str = "The Authorization field must be printable ASCII";
const OTHER_ALGORITHM: &str = "The only algorithm is AWS4-HMAC-SHA256";

fn malformed(message: &'static str) -> Denied {
    Denied::new(AdminRefusal::Malformed, message)
}

/// What an `Authorization` field says, with the date that stands in a field of its own.
fn in_field<'a>(text: &'a str, fields: &'a HeaderMap) -> Result<Written<'a>, Denied> {
    let (algorithm, rest) = text.trim().split_once(' ').unwrap_or((text, ""));
    if algorithm != ALGORITHM {
        return Err(malformed(OTHER_ALGORITHM));
    }
    let mut found = [None; 3];
    for pair in rest.split(',') {
        let (name, value) = pair.trim().split_once('=').unwrap_or((pair, ""));
        let names = ["Credential", "SignedHeaders", "Signature"];
        let place = names.iter().position(|known| *known == name);
        let place = place.and_then(|index| found.get_mut(index));
        if place.is_none_or(|place| place.replace(value).is_some()) {
            return Err(malformed(NOT_THE_THREE));
        }
    }
    let [Some(credential), Some(signed_fields), Some(signature)] = found else {
        return Err(malformed(NOT_THE_THREE));
    };
    let mut dates = fields.get_all(DATE_FIELD).iter();
    let (Some(date), None) = (dates.next(), dates.next()) else {
        return Err(malformed("There must be one X-Amz-Date field"));
    };
    Ok(Written {
        credential,
        signed_fields,
        signature,
        date: date.to_str().map_err(|_| malformed(NOT_ASCII))?,
        expires: None,
    })
}

const NOT_THE_THREE: &str =
    "The Authorization field must have Credential, SignedHeaders and Signature, each once";

/// The values of the parameters of a presigned URL; `None`: it is none.
fn presigned(query: &str) -> Result<Option<[String; 6]>, Denied> {
    let mut values = [const { None }; 6];
    for (name, value) in query.split('&').map(decoded) {
        let place = PARAMETERS.iter().position(|known| *known == name);
        let Some(place) = place.and_then(|index| values.get_mut(index)) else {
            continue;
        };
        if place.replace(value).is_some() {
            return Err(malformed(NOT_THE_SIX));
        }
    }
    if values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let all: Option<Vec<String>> = values.into_iter().collect();
    let all = all.and_then(|all| all.try_into().ok());
    all.map(Some).ok_or_else(|| malformed(NOT_THE_SIX))
}

const NOT_THE_SIX: &str = "A presigned URL must have X-Amz-Algorithm, X-Amz-Credential, \
                           X-Amz-Date, X-Amz-Expires, X-Amz-SignedHeaders and X-Amz-Signature, \
                           each once";

/// The name and the value of one parameter.
fn decoded(pair: &str) -> (String, String) {
    let mut pairs = form_urlencoded::parse(pair.as_bytes());
    let (name, value) = pairs.next().unwrap_or_default();
    (name.into_owned(), value.into_owned())
}

/// Whether a path is the same however often it is encoded.
fn is_plain(path: &str) -> bool {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes().all(is_unreserved)
}

/// Seconds since 1970 of a time such as `20150830T123600Z`.
fn seconds(text: &str) -> Option<u64> {
    let is_shaped = text.len() == 16 && text.get(8..9) == Some("T") && text.ends_with('Z');
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .parse::<u16>()
            .ok()
            .filter(|_| is_number && is_shaped)
    };
    let small = |from| u8::try_from(number(from, from + 2)?).ok();
    let month = Month::try_from(small(4)?).ok()?;
    let date = Date::from_calendar_date(i32::from(number(0, 4)?), month, small(6)?).ok()?;
    let time = Time::from_hms(small(9)?, small(11)?, small(13)?).ok()?;
    let moment = PrimitiveDateTime::new(date, time).assume_utc();
    u64::try_from(moment.unix_timestamp()).ok()
}

#[cfg(test)]
pub(super) mod tests;
