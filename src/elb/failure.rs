//! Why a request was refused, as clients of AWS know it: a code, its HTTP status, a message, and
//! the XML of the three.
//!
//! Not here: who finds fault with what (`query.rs`, `action`, `catalog`, the admin address).
//! Invariant: clients match on codes, so that the set is closed and each has one status.

use std::fmt;

use super::NAMESPACE;
use super::xml::Xml;
use crate::limits::QUERY_BYTES_MAX;

/// A request that was not carried out. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What clients match on.
    pub code: Code,
    /// What people read; some clients match on it too (CLB.md §3.3).
    pub message: String,
}

impl Failure {
    /// A failure with words of its own.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A request with more bytes than are read.
    pub fn too_long() -> Self {
        let message = format!("The request has more than {QUERY_BYTES_MAX} bytes");
        Self::new(Code::InvalidQueryParameter, message)
    }

    /// A request that asks for what cannot be, whatever there is already.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::ValidationError, message)
    }

    /// A change that a load balancer cannot have as it is.
    pub(super) fn configuration(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidConfigurationRequest, message)
    }

    /// The body of the answer; its status is that of the code.
    pub fn to_xml(&self, request_id: &str) -> String {
        Xml::document("ErrorResponse", NAMESPACE, |x| {
            x.within("Error", |x| {
                x.text("Type", self.code.fault());
                x.text("Code", self.code.name());
                x.text("Message", &self.message);
            });
            x.text("RequestId", request_id);
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

/// The codes of CLB.md §3.3, under their names on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are AWS's, and say what they mean")]
pub enum Code {
    // Of this service.
    CertificateNotFound,
    DependencyThrottle,
    DuplicateListener,
    DuplicateLoadBalancerName,
    DuplicatePolicyName,
    DuplicateTagKeys,
    InvalidConfigurationRequest,
    InvalidInstance,
    InvalidScheme,
    InvalidSecurityGroup,
    InvalidSubnet,
    ListenerNotFound,
    LoadBalancerAttributeNotFound,
    LoadBalancerNotFound,
    OperationNotPermitted,
    PolicyNotFound,
    PolicyTypeNotFound,
    SubnetNotFound,
    TooManyLoadBalancers,
    TooManyPolicies,
    TooManyTags,
    UnsupportedProtocol,
    // Of any service of AWS.
    AccessDenied,
    IncompleteSignature,
    InternalFailure,
    InvalidAction,
    InvalidClientTokenId,
    InvalidParameterCombination,
    InvalidParameterValue,
    InvalidQueryParameter,
    MalformedQueryString,
    MissingAction,
    MissingAuthenticationToken,
    MissingParameter,
    OptInRequired,
    RequestExpired,
    ServiceUnavailable,
    SignatureDoesNotMatch,
    Throttling,
    ValidationError,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 40] = [
        Self::CertificateNotFound,
        Self::DependencyThrottle,
        Self::DuplicateListener,
        Self::DuplicateLoadBalancerName,
        Self::DuplicatePolicyName,
        Self::DuplicateTagKeys,
        Self::InvalidConfigurationRequest,
        Self::InvalidInstance,
        Self::InvalidScheme,
        Self::InvalidSecurityGroup,
        Self::InvalidSubnet,
        Self::ListenerNotFound,
        Self::LoadBalancerAttributeNotFound,
        Self::LoadBalancerNotFound,
        Self::OperationNotPermitted,
        Self::PolicyNotFound,
        Self::PolicyTypeNotFound,
        Self::SubnetNotFound,
        Self::TooManyLoadBalancers,
        Self::TooManyPolicies,
        Self::TooManyTags,
        Self::UnsupportedProtocol,
        Self::AccessDenied,
        Self::IncompleteSignature,
        Self::InternalFailure,
        Self::InvalidAction,
        Self::InvalidClientTokenId,
        Self::InvalidParameterCombination,
        Self::InvalidParameterValue,
        Self::InvalidQueryParameter,
        Self::MalformedQueryString,
        Self::MissingAction,
        Self::MissingAuthenticationToken,
        Self::MissingParameter,
        Self::OptInRequired,
        Self::RequestExpired,
        Self::ServiceUnavailable,
        Self::SignatureDoesNotMatch,
        Self::Throttling,
        Self::ValidationError,
    ];

    /// Its name on the wire.
    pub fn name(self) -> String {
        // The variants bear the names of the wire.
        format!("{self:?}")
    }

    /// The HTTP status that it comes with.
    pub fn status(self) -> u16 {
        match self {
            Self::AccessDenied
            | Self::InvalidClientTokenId
            | Self::MissingAuthenticationToken
            | Self::OptInRequired
            | Self::SignatureDoesNotMatch => 403,
            Self::MalformedQueryString => 404,
            Self::InvalidConfigurationRequest => 409,
            Self::InternalFailure => 500,
            Self::ServiceUnavailable => 503,
            Self::CertificateNotFound
            | Self::DependencyThrottle
            | Self::DuplicateListener
            | Self::DuplicateLoadBalancerName
            | Self::DuplicatePolicyName
            | Self::DuplicateTagKeys
            | Self::InvalidInstance
            | Self::InvalidScheme
            | Self::InvalidSecurityGroup
            | Self::InvalidSubnet
            | Self::ListenerNotFound
            | Self::LoadBalancerAttributeNotFound
            | Self::LoadBalancerNotFound
            | Self::OperationNotPermitted
            | Self::PolicyNotFound
            | Self::PolicyTypeNotFound
            | Self::SubnetNotFound
            | Self::TooManyLoadBalancers
            | Self::TooManyPolicies
            | Self::TooManyTags
            | Self::UnsupportedProtocol
            | Self::IncompleteSignature
            | Self::InvalidAction
            | Self::InvalidParameterCombination
            | Self::InvalidParameterValue
            | Self::InvalidQueryParameter
            | Self::MissingAction
            | Self::MissingParameter
            | Self::RequestExpired
            | Self::Throttling
            | Self::ValidationError => 400,
        }
    }

    /// Whose fault it is: `Sender` or `Receiver`.
    pub fn fault(self) -> &'static str {
        if self.status() < 500 {
            "Sender"
        } else {
            "Receiver"
        }
    }
}
