//! What a browser does with the cookies: a page of one site asks another one, which must stick.

use std::fs;
use std::io;
use std::process::Command;

use crate::authority::{Authority, Kind};
use crate::harness::{After, Backend, Directory, Head, Setup, Wire};
use crate::program::run;

/// Two sites as browsers tell them apart: by the label in front of a top-level domain.
const SITES: [&str; 2] = ["a.test", "b.test"];

/// Asks `/same` of its own site, and `/kept` and `/omitted` of the other, often each; the element
/// of that name then says who answered.
const PAGE: &str = include_str!("page.html");

/// How often the page asks each.
const TIMES: usize = 12;

/// Lets pages of one site use the cookies of another. Chromium as it comes from its makers does;
/// Debian's does not unless a profile says so.
const PREFERENCES: &str =
    r#"{"profile": {"block_third_party_cookies": false, "cookie_controls_mode": 0}}"#;

/// Without what needs a screen, more rights or room than a container has, or the world outside.
const FLAGS: [&str; 8] = [
    "--headless=new",
    "--disable-gpu",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
];

fn backend(name: &'static str) -> Backend {
    Backend::with(move |request, wire| answer(name, &request.head, wire))
}

/// The page, or the backend's name with what lets the page of another site read it.
fn answer(name: &str, head: &Head, wire: &mut Wire) -> io::Result<After> {
    let (media_type, body) = match head.target() {
        "/" => ("text/html", PAGE),
        _ => ("text/plain", name),
    };
    let origin = head.field("Origin").unwrap_or("null");
    let length = body.len();
    wire.try_send(format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nCache-Control: no-store\r\n\
         Access-Control-Allow-Origin: {origin}\r\nAccess-Control-Allow-Credentials: true\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    ))?;
    Ok(After::Keep)
}

/// What the page says after its scripts are done. The browser takes the key of that certificate for
/// trusted, knows no host but the two, and asks nobody else.
fn page(port: u16, certificate: &str) -> String {
    let home = Directory::new();
    let profile = home.path().join("Default");
    fs::create_dir(&profile).expect("the directory is writable");
    home.write("Default/Preferences", PREFERENCES);
    let hosts = SITES.map(|site| format!("MAP {site} 127.0.0.1:{port}"));
    let mut command = Command::new("chromium");
    command
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", home.path().display()))
        .arg(format!(
            "--ignore-certificate-errors-spki-list={}",
            pin(certificate)
        ))
        .arg(format!(
            "--host-resolver-rules={}, MAP * ~NOTFOUND",
            hosts.join(", ")
        ))
        // Time that stands still while an answer is waited for: the page is done long before.
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("https://{}/", SITES[0]));
    run(&mut command, "").expect_success()
}

/// The key of a certificate as Chromium is told of it: the digest of its SubjectPublicKeyInfo.
fn pin(file: &str) -> String {
    const RECIPE: &str = "openssl x509 -in \"$0\" -noout -pubkey | openssl pkey -pubin -outform der \
                          | openssl dgst -sha256 -binary | openssl base64";
    let pin = run(Command::new("sh").args(["-c", RECIPE, file]), "").expect_success();
    pin.trim().to_owned()
}

/// The words in an element of the page.
fn words<'a>(page: &'a str, id: &str) -> Vec<&'a str> {
    let begin = format!("<p id=\"{id}\">");
    let rest = page.split_once(&begin).map(|(_, rest)| rest);
    let text = rest.and_then(|rest| rest.split("</p>").next());
    let text = text.unwrap_or_else(|| panic!("no {id} in {page}"));
    text.split_whitespace().collect()
}

#[test]
fn requests_to_another_site_stick_by_the_second_cookie() {
    let authority = Authority::new();
    let certificate = authority.certify(&SITES, Kind::Ecdsa);
    let backends = [backend("one"), backend("two")];
    let elbow = Setup::sticky(&backends.each_ref().map(|b| b.address), None)
        .https(&certificate.lines())
        .start(&backends.each_ref());
    let page = page(elbow.listeners[1].port(), &certificate.file);

    for id in ["same", "kept"] {
        let mut answers = words(&page, id);
        assert_eq!(answers.len(), TIMES, "{page}");
        answers.dedup();
        assert_eq!(answers.len(), 1, "{page}");
    }
    // Without its cookies the page is nobody that could stick.
    let omitted = words(&page, "omitted");
    assert_eq!(omitted.len(), TIMES, "{page}");
    assert!(
        ["one", "two"].iter().all(|name| omitted.contains(name)),
        "{page}"
    );

    let requests = backends.each_ref().map(Backend::requests).concat();
    let cookies = |target: &str| -> Vec<Vec<String>> {
        let heads = requests.iter().map(|request| &request.head);
        let heads = heads.filter(|head| head.target() == target);
        heads.map(cookie_names).collect()
    };
    // The browser keeps the cookie without SameSite from other sites, which is why there are two.
    let mut kept = cookies("/kept");
    kept.sort_unstable();
    assert_eq!(kept[0], [""; 0], "the first has none yet");
    assert_eq!(kept[1..], vec![vec!["AWSALBCORS"]; TIMES - 1]);
    assert_eq!(cookies("/same"), vec![vec!["AWSALBCORS", "AWSELB"]; TIMES]);
    assert_eq!(cookies("/omitted"), vec![vec![""; 0]; TIMES]);
}

fn cookie_names(head: &Head) -> Vec<String> {
    let pairs = head.fields("Cookie").join("; ");
    let names = pairs.split("; ").filter_map(|pair| pair.split_once('='));
    let mut names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
    names.sort_unstable();
    names
}
