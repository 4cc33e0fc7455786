//! What not every proxy has, and how a case tells that it needs it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::case::{Case, Event, Expect, Policy, RequestStep, Setup, Step};

/// Something that not every proxy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Feature {
    /// A cookie of the proxy's own binds the session.
    DurationCookie,
    /// The application's cookie does.
    ApplicationCookie,
    /// Health checks at an interval.
    Checks,
    /// Cookies and heads in the form of CLB.
    Form,
    /// A cookie value that cannot be changed or made up.
    Seal,
    /// Cookies are good for one instance port.
    Ports,
    /// Keys of elbow's own configuration.
    Settings,
    /// Backends come, go and change while the proxy runs.
    Admin,
    /// A backend is emptied of its sessions while the proxy runs.
    Drain,
    /// Backends have weights.
    Weights,
    /// The wall clock can be set for the proxy alone; needs the program `faketime`.
    Clock,
}

impl Case {
    /// What a proxy must have to be judged by this case.
    pub(crate) fn features(&self) -> BTreeSet<Feature> {
        let mut features = self.needs.clone();
        self.setup().add_features(&mut features);
        for step in &self.step {
            match step {
                Step::Request(step) => {
                    step.add_features(&mut features);
                    step.during
                        .iter()
                        .for_each(|e| e.add_features(&mut features));
                }
                Step::Event(event) => event.add_features(&mut features),
                Step::Admin(_) => _ = features.insert(Feature::Admin),
            }
        }
        if self.behaviour {
            features.remove(&Feature::Form);
        }
        features
    }
}

impl Setup {
    fn add_features(&self, features: &mut BTreeSet<Feature>) {
        self.policy.add_features(features);
        if !self.attributes.is_empty() {
            features.insert(Feature::Settings);
        }
        if !self.weights.is_empty() {
            features.insert(Feature::Weights);
        }
        if self.listeners.iter().any(|listener| listener.behind_tls) {
            features.insert(Feature::Form);
        }
        if self.listeners.len() > 1 {
            features.insert(Feature::Ports);
        }
        if self.clock != 0 {
            features.insert(Feature::Clock);
        }
    }
}

impl Policy {
    fn add_features(&self, features: &mut BTreeSet<Feature>) {
        let (feature, settings) = match self {
            Self::None => return,
            Self::Duration { settings, .. } => (Feature::DurationCookie, settings),
            Self::Application { settings, .. } => (Feature::ApplicationCookie, settings),
        };
        features.insert(feature);
        if !settings.is_empty() {
            features.insert(Feature::Settings);
        }
    }
}

impl RequestStep {
    fn add_features(&self, features: &mut BTreeSet<Feature>) {
        if self.expect.is_about_form() {
            features.insert(Feature::Form);
        }
        let texts = self.request.each.iter().chain(&self.request.cookie);
        if texts.into_iter().any(|text| text.contains('|')) {
            features.insert(Feature::Seal);
        }
    }
}

impl Event {
    fn add_features(&self, features: &mut BTreeSet<Feature>) {
        match self {
            Self::Fail(_) | Self::Recover(_) | Self::Revive(_) | Self::AwaitDown(_) => {
                features.insert(Feature::Checks);
            }
            Self::Register(_) | Self::Deregister(_) => _ = features.insert(Feature::Admin),
            Self::Reweigh { .. } => features.extend([Feature::Admin, Feature::Weights]),
            Self::Drain(_) | Self::Undrain(_) => _ = features.insert(Feature::Drain),
            Self::Restart(restart) => {
                restart.policy.iter().for_each(|p| p.add_features(features));
                if restart.attributes.is_some() {
                    features.insert(Feature::Settings);
                }
                if restart.listeners.is_some() {
                    features.insert(Feature::Ports);
                }
                if restart.weights.is_some() {
                    features.insert(Feature::Weights);
                }
                if restart.clock.is_some() {
                    features.insert(Feature::Clock);
                }
            }
            Self::Kill(_) | Self::Move(_) | Self::Pass(_) | Self::Hold(_) | Self::Release => {}
        }
    }
}

impl Expect {
    /// Whether it looks at anything but statuses and who answered.
    fn is_about_form(&self) -> bool {
        self.sets.is_some()
            || self.set.is_some()
            || !self.hides.is_empty()
            || !self.headers.is_empty()
            || !self.has_headers.is_empty()
            || !self.no_headers.is_empty()
            || !self.seen.is_empty()
            || !self.unseen.is_empty()
    }
}
