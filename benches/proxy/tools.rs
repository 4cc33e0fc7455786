//! What has to be installed before rivals can be compared.
//!
//! Installs nothing.

use crate::Failure;
use crate::machine::find_program;
use crate::recipes::{nginx_stream, printed_by};
use crate::rivals::Rival;

/// Names every missing program at once, with the command that installs it.
pub(crate) fn check_tools(rivals: &[Rival]) -> Result<(), Failure> {
    let pairs = [
        ("wrk", "wrk"),
        ("taskset", "util-linux"),
        ("setpriv", "util-linux"),
    ];
    let programs = rivals
        .iter()
        .filter_map(|rival| rival.package())
        .map(|name| (name, name));
    let missing: Vec<(&str, &str)> = pairs
        .into_iter()
        .chain(programs)
        .filter(|(name, _)| find_program(name).is_err())
        .chain(nginx_module(rivals))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let programs: Vec<&str> = missing.iter().map(|&(program, _)| program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|&(_, package)| package).collect();
    packages.dedup();
    let (programs, packages) = (programs.join(", "), packages.join(" "));
    Err(format!("not installed: {programs}; on Debian: apt-get install -y {packages}").into())
}

/// What nginx needs to relay bytes, if it is there without it.
fn nginx_module(rivals: &[Rival]) -> Option<(&'static str, &'static str)> {
    let nginx = rivals
        .contains(&Rival::Nginx)
        .then(|| find_program("nginx"))?;
    let build = nginx.and_then(|nginx| printed_by(&nginx, "-V")).ok()?;
    let missing = nginx_stream(&build).is_err();
    missing.then_some(("nginx's stream module", "libnginx-mod-stream"))
}
