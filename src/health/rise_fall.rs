//! Check results in a row become a status. One [`RiseFall`] per backend.
//!
//! ```text
//!                first success                     `unhealthy` failures in a row
//!  Registering ─────────────────► InService ──────────────────────────────► Failed
//!      │                              ▲                                     │   ▲
//!      │ `unhealthy` failures         │ `healthy` successes        success  │   │ `unhealthy`
//!      │ in a row                     │ in a row                            ▼   │ failures
//!      └──────► Failed ───────────────┴──────────────────────────────── Recovering
//!                  first success, if it has never been in service
//! ```
//!
//! Not here: when checks are made and how (`control`). Invariant: only results in a row count; one
//! of the other kind starts the count anew.

use std::fmt;

/// How many results in a row change a status, 2–10 each (0 would count as 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Successes that bring a backend back.
    pub healthy: u32,
    /// Failures that put a backend out.
    pub unhealthy: u32,
}

/// What one check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered as it should.
    Success,
    /// It did not.
    Failure(Failure),
}

/// Why a check failed; for the log, since all count the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The connection was refused.
    Refused,
    /// The connection could not be made for another reason.
    Unreachable,
    /// The answer was not complete within the check's timeout.
    TimedOut,
    /// The TLS handshake failed.
    Handshake,
    /// The connection ended before the head of the answer was complete.
    Closed,
    /// The answer was not HTTP/1.
    Malformed,
    /// The head of the answer was longer than `limits::CHECK_RESPONSE_BYTES_MAX`.
    TooLong,
    /// The answer's status was this and not 200.
    Status(u16),
}

impl Failure {
    /// Whether there was no connection, or no TLS on it, over which to ask.
    pub fn is_before_a_connection(self) -> bool {
        matches!(self, Self::Refused | Self::Unreachable | Self::Handshake)
    }
}

/// Whether a backend takes requests, and why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It does.
    InService,
    /// It does not.
    OutOfService(Reason),
}

/// Why a backend is out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// No check has succeeded since it was registered, and not enough failed to condemn it.
    Registering,
    /// It failed the unhealthy threshold.
    Failed,
    /// It was out, and has not yet passed the healthy threshold.
    Recovering,
}

/// A change of status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// What it was.
    pub from: Status,
    /// What it is now.
    pub to: Status,
    /// The result that tipped it.
    pub cause: Outcome,
}

/// The machine in the picture above.
#[derive(Debug, Clone)]
pub struct RiseFall {
    thresholds: Thresholds,
    phase: Phase,
    has_lived: bool,
}

/// A status with the results in a row that count towards the next one.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Registering { failures: u32 },
    InService { failures: u32 },
    Failed,
    Recovering { run: Run },
}

/// The results in a row of a backend that may come back or fail again.
#[derive(Debug, Clone, Copy)]
enum Run {
    Successes(u32),
    Failures(u32),
}

impl RiseFall {
    /// A backend that was just registered: out of service.
    pub fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            phase: Phase::Registering { failures: 0 },
            has_lived: false,
        }
    }

    /// A backend that is known to be in service.
    pub fn in_service(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            phase: Phase::InService { failures: 0 },
            has_lived: true,
        }
    }

    /// A backend that is known to have failed after it was in service.
    pub fn failed(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            phase: Phase::Failed,
            has_lived: true,
        }
    }

    /// From now on other numbers of results change the status; those in a row so far count.
    pub fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    /// Whether the backend takes requests.
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Registering { .. } => Status::OutOfService(Reason::Registering),
            Phase::InService { .. } => Status::InService,
            Phase::Failed => Status::OutOfService(Reason::Failed),
            Phase::Recovering { .. } => Status::OutOfService(Reason::Recovering),
        }
    }

    /// Counts a check result; says whether the status changed.
    pub fn handle(&mut self, outcome: Outcome) -> Option<Transition> {
        let from = self.status();
        self.phase = match outcome {
            Outcome::Success => self.after_success(),
            Outcome::Failure(_) => self.after_failure(),
        };
        let to = self.status();
        if from == to {
            return None;
        }
        self.has_lived |= to == Status::InService;
        Some(Transition {
            from,
            to,
            cause: outcome,
        })
    }

    fn after_success(&self) -> Phase {
        let successes = match self.phase {
            Phase::InService { .. } | Phase::Registering { .. } => {
                return Phase::InService { failures: 0 };
            }
            // A backend that has never been in service is new, however long it took to start.
            Phase::Failed if !self.has_lived => return Phase::InService { failures: 0 },
            Phase::Failed
            | Phase::Recovering {
                run: Run::Failures(_),
            } => 1,
            Phase::Recovering {
                run: Run::Successes(before),
            } => before + 1,
        };
        if successes >= self.thresholds.healthy {
            Phase::InService { failures: 0 }
        } else {
            Phase::Recovering {
                run: Run::Successes(successes),
            }
        }
    }

    fn after_failure(&self) -> Phase {
        let limit = self.thresholds.unhealthy;
        match self.phase {
            Phase::Registering { failures } if failures + 1 < limit => Phase::Registering {
                failures: failures + 1,
            },
            Phase::InService { failures } if failures + 1 < limit => Phase::InService {
                failures: failures + 1,
            },
            Phase::Recovering {
                run: Run::Failures(failures),
            } if failures + 1 < limit => Phase::Recovering {
                run: Run::Failures(failures + 1),
            },
            Phase::Recovering {
                run: Run::Successes(_),
            } if 1 < limit => Phase::Recovering {
                run: Run::Failures(1),
            },
            Phase::Registering { .. }
            | Phase::InService { .. }
            | Phase::Failed
            | Phase::Recovering { .. } => Phase::Failed,
        }
    }
}

impl Status {
    /// CLB's word for it (CLB.md §3.6).
    pub fn name(self) -> &'static str {
        match self {
            Self::InService => "InService",
            Self::OutOfService(_) => "OutOfService",
        }
    }

    /// CLB's reason code: whose doing it is (CLB.md §3.6).
    pub fn reason_code(self) -> &'static str {
        match self {
            Self::InService => "N/A",
            Self::OutOfService(Reason::Registering) => "ELB",
            Self::OutOfService(Reason::Failed | Reason::Recovering) => "Instance",
        }
    }

    /// CLB's description, to the letter (CLB.md §3.6).
    pub fn description(self) -> &'static str {
        match self {
            Self::InService => "N/A",
            Self::OutOfService(Reason::Registering) => {
                "Instance registration is still in progress."
            }
            Self::OutOfService(Reason::Failed) => {
                "Instance has failed at least the UnhealthyThreshold number of health checks \
                 consecutively."
            }
            Self::OutOfService(Reason::Recovering) => {
                "Instance has not passed the configured HealthyThreshold number of health checks \
                 consecutively."
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Success => f.write_str("check passed"),
            Self::Failure(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("no connection"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Handshake => f.write_str("TLS handshake failed"),
            Self::Closed => f.write_str("connection closed before the answer was complete"),
            Self::Malformed => f.write_str("answer is not HTTP/1"),
            Self::TooLong => f.write_str("head of the answer is too long"),
            Self::Status(status) => write!(f, "status {status} where 200 was expected"),
        }
    }
}

#[cfg(test)]
mod tests;
