//! `[[load_balancer.ssl_negotiation_policy]]`, CLB's `SSLNegotiationPolicyType`, and which policy a
//! listener goes by.
//!
//! Not here: what a policy comes to (`negotiation.rs`).

use std::collections::HashMap;

use super::negotiation::{self, SslPolicy};
use super::policy::{Policies, check_name};
use super::problem::nearest;
use super::read::{Field, Report, Section};

/// The operator's own policies of one load balancer by name; `None` for one whose entry is wrong
/// in another way, so that its use by a listener is not refused as well.
pub(super) type SslPolicies<'t> = HashMap<&'t str, Option<SslPolicy>>;

/// Reads the policies of a load balancer. `others` are its policies about stickiness, which share
/// the names.
pub(super) fn ssl_policies<'t>(
    load_balancer: &mut Section<'t>,
    others: &Policies<'_>,
    report: &mut Report<'_>,
) -> SslPolicies<'t> {
    let mut policies = SslPolicies::new();
    let sections = load_balancer.sections("ssl_negotiation_policy", report);
    for mut section in sections.unwrap_or_default() {
        let field = section.required("name", report);
        let name = field.as_ref().and_then(|field| field.text(report));
        let policy = policy(&mut section, name.unwrap_or_default(), report);
        section.finish(report);
        let (Some(field), Some(name)) = (field, name) else {
            continue;
        };
        let name_holds = field.parsed(check_name, report);
        let is_taken = others.contains_key(name);
        if policies.insert(name, name_holds.and(policy)).is_some() || is_taken {
            let mistake = "is the name of another policy of this load balancer too";
            report.refuse(&field, mistake);
        }
    }
    policies
}

fn policy(section: &mut Section<'_>, name: &str, report: &mut Report<'_>) -> Option<SslPolicy> {
    let attributes = section.field("attributes");
    let reference = section.field("reference_security_policy");
    match (attributes, reference) {
        (Some(attributes), None) => own(&attributes, name, report),
        (None, Some(reference)) => {
            let text = reference.text(report)?;
            let policy = SslPolicy::predefined(text);
            if policy.is_none() {
                let nearest = nearest(text, SslPolicy::predefined_names());
                refuse_unknown(&reference, "is no policy of CLB", nearest, report);
            }
            policy.map(|policy| policy.named(name))
        }
        (None, None) | (Some(_), Some(_)) => {
            section.refuse(
                report,
                "has either `attributes` or a `reference_security_policy`",
            );
            None
        }
    }
}

/// A policy by its attributes, each of which is told of if it is unknown.
fn own(field: &Field<'_>, name: &str, report: &mut Report<'_>) -> Option<SslPolicy> {
    let items = field.items(report)?;
    let texts = items.iter().map(|item| {
        item.parsed(negotiation::check, report)
            .and_then(|()| item.text(report))
    });
    let texts: Vec<Option<&str>> = texts.collect();
    let attributes = texts.into_iter().collect::<Option<Vec<&str>>>()?;
    match SslPolicy::from_attributes(name, &attributes) {
        Ok(policy) => Some(policy),
        Err(mistake) => {
            report.refuse(field, mistake);
            None
        }
    }
}

/// Reads `ssl_policy` of a listener: one of CLB's, or one of `policies`.
pub(super) fn ssl_policy(
    field: &Field<'_>,
    policies: &SslPolicies<'_>,
    report: &mut Report<'_>,
) -> Option<SslPolicy> {
    let name = field.text(report)?;
    if let Some(policy) = policies.get(name) {
        return policy.clone();
    }
    let predefined = SslPolicy::predefined(name);
    if predefined.is_none() {
        let mut known: Vec<&str> = SslPolicy::predefined_names().collect();
        known.extend(policies.keys().copied());
        let nearest = nearest(name, known);
        let clause = "is no policy of CLB or of this load balancer";
        refuse_unknown(field, clause, nearest, report);
    }
    predefined
}

fn refuse_unknown(field: &Field<'_>, clause: &str, nearest: Option<&str>, report: &mut Report<'_>) {
    let default = SslPolicy::default().to_string();
    let nearest = nearest.unwrap_or(&default);
    report.refuse(field, format!("{clause}; did you mean `{nearest}`?"));
}
