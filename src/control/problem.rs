//! Why what `/v1` asks for is not done.
//!
//! Not how HTTP says so (`admin`). Invariant: nothing has changed then.

use crate::elb::{Code, Failure};
use crate::state::Refusal;

/// Each with words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// It says something that does not hold, whatever there is.
    Malformed(String),
    /// There is nothing of that name.
    Unknown(String),
    /// It cannot be beside what there is.
    Conflict(String),
    /// The disk does not take it.
    NotKept(String),
}

impl From<Failure> for Problem {
    fn from(Failure { code, message }: Failure) -> Self {
        match code {
            Code::LoadBalancerNotFound => Self::Unknown(message),
            Code::InvalidConfigurationRequest | Code::InvalidInstance => Self::Conflict(message),
            Code::InternalFailure => Self::NotKept(message),
            _ => Self::Malformed(message),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::NoLoadBalancer(_) | Refusal::NoBackend(_) => Self::Unknown(message),
            Refusal::NotDraining | Refusal::TooMany | Refusal::FromTheFuture => {
                Self::Conflict(message)
            }
        }
    }
}
