//! `profile`: what keys mean that are not written.
//!
//! Not here: what a key may say, which is the same in every profile. Invariant: a profile is
//! nothing but defaults; a [`Config`](super::Config) does not tell under which one it was written.

use super::attributes::{CONNECTION_DRAINING_DEFAULT, DRAIN_DEADLINE_DEFAULT};
use super::{Affinity, Attributes, CookieTemplate, DrainMode, Mistake, Refresh, SameSite};

/// Whose defaults apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// The Classic Load Balancer's, to the letter.
    Clb,
    /// What its users ask for (CLB.md §5).
    Modern,
}

impl Profile {
    /// Reads `clb` or `modern`.
    pub(super) fn parse(text: &str) -> Result<Self, Mistake> {
        match text {
            "clb" => Ok(Self::Clb),
            "modern" => Ok(Self::Modern),
            _ => Err("must be \"clb\" or \"modern\"".into()),
        }
    }

    /// `[load_balancer.attributes]`.
    pub(super) fn attributes(self) -> Attributes {
        let clb = Attributes::default();
        match self {
            Self::Clb => clb,
            Self::Modern => Attributes {
                connection_draining: Some(CONNECTION_DRAINING_DEFAULT),
                drain_mode: DrainMode::Sessions {
                    deadline: DRAIN_DEADLINE_DEFAULT,
                },
                affinity: Affinity {
                    load_bound_percent: Some(25),
                    ..clb.affinity
                },
                ..clb
            },
        }
    }

    /// The cookie of a duration policy; `is_behind_tls`: whichever listener uses the policy, its
    /// clients come by HTTPS.
    pub(super) fn cookie(self, is_behind_tls: bool) -> CookieTemplate {
        let clb = CookieTemplate::default();
        match self {
            Self::Clb => clb,
            Self::Modern => CookieTemplate {
                is_secure: is_behind_tls,
                is_http_only: true,
                same_site: Some(SameSite::Lax),
                ..clb
            },
        }
    }

    /// `refresh` of a duration policy; `expires`: its cookie has a `MAX-AGE`.
    pub(super) fn refresh(self, expires: bool) -> Refresh {
        match self {
            Self::Modern if expires => Refresh::HalfLife,
            Self::Clb | Self::Modern => Refresh::Never,
        }
    }
}
