//! By what lines are sorted.
//!
//! Invariant: names decide between equals, so that lines stay where they are.

use crate::cli::top::app::requests;
use crate::control::{BackendMoment, LoadBalancerMoment};

/// By what load balancers are sorted; all but names with the most at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::top) enum Order {
    Name,
    Requests,
    Latency,
    Errors,
    Running,
    Waiting,
    Sessions,
}

impl Order {
    pub(in crate::cli::top) fn next(self) -> Self {
        match self {
            Self::Name => Self::Requests,
            Self::Requests => Self::Latency,
            Self::Latency => Self::Errors,
            Self::Errors => Self::Running,
            Self::Running => Self::Waiting,
            Self::Waiting => Self::Sessions,
            Self::Sessions => Self::Name,
        }
    }

    pub(in crate::cli::top) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Requests => "req/s",
            Self::Latency => "p99",
            Self::Errors => "5xx",
            Self::Running => "run",
            Self::Waiting => "wait",
            Self::Sessions => "sessions",
        }
    }

    pub(super) fn sort(self, balancers: &mut [&LoadBalancerMoment]) {
        balancers.sort_by(|one, other| {
            let by = match self {
                Self::Name => std::cmp::Ordering::Equal,
                Self::Requests => requests(other).total_cmp(&requests(one)),
                Self::Latency => p99(other).total_cmp(&p99(one)),
                Self::Errors => errors(other).total_cmp(&errors(one)),
                Self::Running => other.outstanding.cmp(&one.outstanding),
                Self::Waiting => other.waiting.cmp(&one.waiting),
                Self::Sessions => other.sessions.cmp(&one.sessions),
            };
            by.then_with(|| one.name.cmp(&other.name))
        });
    }
}

fn p99(balancer: &LoadBalancerMoment) -> f64 {
    balancer.latency_ms.map_or(0.0, |latency| latency.p99)
}

fn errors(balancer: &LoadBalancerMoment) -> f64 {
    balancer.answers_per_second.backend_5xx + balancer.answers_per_second.elbow_5xx
}

/// By what instances are sorted, in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::top) enum InstanceOrder {
    Name,
    Sessions,
    Running,
    Requests,
    Errors,
}

impl InstanceOrder {
    pub(in crate::cli::top) fn next(self) -> Self {
        match self {
            Self::Name => Self::Sessions,
            Self::Sessions => Self::Running,
            Self::Running => Self::Requests,
            Self::Requests => Self::Errors,
            Self::Errors => Self::Name,
        }
    }

    pub(in crate::cli::top) fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Sessions => "sessions",
            Self::Running => "run",
            Self::Requests => "req/s",
            Self::Errors => "err/s",
        }
    }

    pub(super) fn sort(self, instances: &mut [&BackendMoment]) {
        instances.sort_by(|one, other| {
            let by = match self {
                Self::Name => std::cmp::Ordering::Equal,
                Self::Sessions => other.sessions.cmp(&one.sessions),
                Self::Running => other.outstanding.cmp(&one.outstanding),
                Self::Requests => other
                    .requests_per_second
                    .total_cmp(&one.requests_per_second),
                Self::Errors => other.errors_per_second.total_cmp(&one.errors_per_second),
            };
            by.then_with(|| one.backend.cmp(&other.backend))
        });
    }
}
