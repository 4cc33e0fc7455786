//! Load balancers and limits, page by page.
//!
//! A marker names the last entry of a page, in hexadecimal so that nobody takes it for something
//! to write by hand. The next page begins with the entry after it in order, even if that one is
//! gone by then.

use std::sync::Arc;

use super::{Catalog, LoadBalancer, World};
use crate::elb::{Answer, Failure, Page};
use crate::limits::PAGE_ENTRIES_MAX;

impl Catalog {
    /// A page of load balancers, in order of their names; only those named if any is.
    pub(super) fn describe_load_balancers(
        &self,
        names: &[String],
        page: &Page,
        world: &World<'_>,
    ) -> Result<Answer, Failure> {
        for name in names {
            self.find(name)?;
        }
        let is_meant = |one: &&Arc<LoadBalancer>| names.is_empty() || names.contains(&one.name);
        let meant = self.load_balancers().filter(is_meant);
        let (load_balancers, next) = turn(meant, |one| &one.name, page)?;
        Ok(Answer::LoadBalancers {
            load_balancers: load_balancers.into_iter().cloned().collect(),
            hosted_zone: world.hosted_zone.to_owned(),
            next,
        })
    }
}

/// How many of what there may be, in order of names.
pub(super) fn account_limits(page: &Page, world: &World<'_>) -> Result<Answer, Failure> {
    let limits = [
        ("classic-listeners", world.limits.listeners),
        ("classic-load-balancers", world.limits.load_balancers),
        ("classic-registered-instances", world.limits.instances),
    ];
    let (limits, next) = turn(limits.into_iter(), |(name, _)| name, page)?;
    Ok(Answer::Limits { limits, next })
}

/// The entries of a page and the marker of the next one, if there is one. Entries come in order of
/// their names.
fn turn<T>(
    entries: impl Iterator<Item = T>,
    name: impl Fn(&T) -> &str,
    page: &Page,
) -> Result<(Vec<T>, Option<String>), Failure> {
    let after = page.marker.as_deref().map(read_marker).transpose()?;
    let is_ahead = |entry: &T| after.as_deref().is_none_or(|after| name(entry) > after);
    let size = page.size.unwrap_or(PAGE_ENTRIES_MAX);
    let mut entries = entries.filter(is_ahead);
    let shown: Vec<T> = entries.by_ref().take(size).collect();
    let has_more = entries.next().is_some();
    let last = shown.last().filter(|_| has_more);
    let next = last.map(|last| marker(name(last)));
    Ok((shown, next))
}

fn marker(name: &str) -> String {
    name.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_marker(marker: &str) -> Result<String, Failure> {
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        let is_digits = pair.len() == 2 && pair.iter().all(u8::is_ascii_hexdigit);
        u8::from_str_radix(text, 16).ok().filter(|_| is_digits)
    };
    let bytes: Option<Vec<u8>> = marker.as_bytes().chunks(2).map(byte).collect();
    // Names have no other characters; a marker of something else is none of ours.
    let is_name = |name: &String| {
        let mut bytes = name.bytes();
        !name.is_empty() && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .filter(is_name)
        .ok_or_else(|| Failure::invalid(format!("'{marker}' is no marker of a page")))
}
