//! What elbow makes of cookies: the second one for CORS, several at once, forged and foreign ones.

use crate::harness::{After, Backend, Directory, Elbow, Setup, get};

fn start_sticky(one: &Backend, two: &Backend) -> Elbow {
    Setup::sticky(&[one.address, two.address], Some(60)).start(&[one, two])
}

/// Asks with these field lines until the answer could not be luck, and says whether the requests
/// were sticky to `name`; whether a new cookie came must agree each time.
fn is_sticky(elbow: &Elbow, lines: &[&str], name: &str) -> bool {
    let request = get("/", lines);
    let answers: Vec<(bool, bool)> = (0..8)
        .map(|_| {
            let response = elbow.ask(&request);
            assert_eq!(
                response.status(),
                200,
                "a cookie is never an error: {lines:?}"
            );
            (
                response.body_text() == name,
                response.cookie("AWSELB").is_none(),
            )
        })
        .collect();
    let is_bound = answers.iter().all(|(is_same, _)| *is_same);
    let keeps = answers.iter().all(|(_, keeps)| *keeps);
    let renews = answers.iter().all(|(_, keeps)| !keeps);
    assert!(
        keeps && is_bound || renews && !is_bound,
        "{lines:?}: {answers:?}"
    );
    is_bound
}

#[test]
fn behind_tls_a_twin_for_cors_comes_with_the_cookie() {
    let backend = Backend::named("one");
    for (setting, names) in [
        ("", &["AWSALBCORS"][..]),
        ("cors_cookie_name = \"AWSALBCORS\"", &["AWSALBCORS"]),
        ("cors_cookie_name = \"AWSELBCORS\"", &["AWSELBCORS"]),
        ("cors_cookie_name = \"both\"", &["AWSELBCORS", "AWSALBCORS"]),
    ] {
        let setup = Setup::sticky(&[backend.address], Some(60))
            .behind_tls()
            .attribute(setting);
        let response = setup.start(&[&backend]).ask(&get("/", &[]));
        let value = response.session();
        let mut expected = vec![format!("AWSELB={value};PATH=/;MAX-AGE=60")];
        let twin = |name: &&str| format!("{name}={value};PATH=/;MAX-AGE=60;SECURE;SAMESITE=None");
        expected.extend(names.iter().map(twin));
        assert_eq!(response.head.fields("Set-Cookie"), expected, "{setting}");
    }
}

#[test]
fn twin_of_a_browser_session_has_no_age() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], None)
        .behind_tls()
        .start(&[&backend]);
    let response = elbow.ask(&get("/", &[]));
    let value = response.session();
    let expected = [
        format!("AWSELB={value};PATH=/"),
        format!("AWSALBCORS={value};PATH=/;SECURE;SAMESITE=None"),
    ];
    assert_eq!(response.head.fields("Set-Cookie"), expected);
}

#[test]
fn in_clear_there_is_no_twin() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60))
        .attribute("cors_cookie_name = \"both\"")
        .start(&[&backend]);
    assert_eq!(elbow.ask(&get("/", &[])).head.fields("Set-Cookie").len(), 1);
}

#[test]
fn any_of_the_three_names_is_enough_wherever_it_stands() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = start_sticky(&one, &two);
    let first = elbow.ask(&get("/", &[]));
    let (name, value) = (first.body_text(), first.session());
    let junk = "0".repeat(138);
    let sticky = [
        vec![format!("Cookie: AWSELB={value}")],
        vec![format!("Cookie: AWSELBCORS={value}")],
        vec![format!("Cookie: AWSALBCORS={value}")],
        vec![format!("cookie: a=1; AWSELB={value}; b=2")],
        vec![format!("Cookie: a=1;AWSELB={value};b=2")],
        vec![format!("Cookie: AWSELB={}", value.to_lowercase())],
        // Several candidates: the first that opens for this scope wins.
        vec![format!("Cookie: AWSELB=0; AWSELB={value}")],
        vec![format!("Cookie: AWSELB={junk}; AWSALBCORS={value}")],
        vec![format!("Cookie: AWSELB={value}; AWSELB={junk}")],
        vec![
            format!("Cookie: AWSELB={junk}"),
            format!("Cookie: AWSELB={value}"),
        ],
        vec![
            "Cookie: a=1".to_owned(),
            format!("Cookie: b=2; AWSELBCORS={value}"),
        ],
    ];
    for lines in sticky {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        assert!(is_sticky(&elbow, &lines, &name), "{lines:?}");
    }
    let absent = [
        format!("Cookie: awselb={value}"),
        format!("Cookie: XAWSELB={value}"),
        format!("Cookie: AWSELBX={value}"),
        format!("Cookie: a=AWSELB={value}"),
        format!("X-Cookie: AWSELB={value}"),
    ];
    for line in absent {
        assert!(!is_sticky(&elbow, &[&line], &name), "{line}");
    }
}

#[test]
fn values_that_elbow_did_not_make_count_as_absent() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let elbow = start_sticky(&one, &two);
    let foreign = start_sticky(&one, &two).ask(&get("/", &[])).session();
    let first = elbow.ask(&get("/", &[]));
    let (name, value) = (first.body_text(), first.session());
    let mut forged = vec![
        String::new(),
        "0".to_owned(),
        "x".repeat(138),
        "0".repeat(138),
        "F".repeat(138),
        "A".repeat(4096),
        value[..137].to_owned(),
        value[..136].to_owned(),
        format!("{value}0"),
        format!("{value}00"),
        format!("{value}{value}"),
        format!("{}%", &value[..137]),
        format!("\"{value}\"x"),
        foreign,
    ];
    // One digit wrong: key id, nonce, scope, life, session and tag in turn.
    for at in [0, 2, 25, 40, 60, 80, 106, 137] {
        let wrong = if &value[at..=at] == "0" { "1" } else { "0" };
        forged.push(format!("{}{wrong}{}", &value[..at], &value[at + 1..]));
    }
    for value in forged {
        let line = format!("Cookie: AWSELB={value}");
        assert!(!is_sticky(&elbow, &[&line], &name), "{line}");
    }
}

#[test]
fn cookies_reach_the_backend_as_they_were_sent() {
    let backend = Backend::named("one");
    let elbow = Setup::sticky(&[backend.address], Some(60)).start(&[&backend]);
    let value = elbow.ask(&get("/", &[])).session();
    let cookies = format!("a=1; AWSELB={value};  b=\"2\"");
    elbow.ask(&get("/", &[&format!("Cookie: {cookies}")]));
    assert_eq!(backend.last().head.field("Cookie"), Some(cookies.as_str()));
}

#[test]
fn sessions_survive_a_restart_where_keys_are_kept() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let directory = Directory::new();
    let setup = Setup::sticky(&[one.address, two.address], Some(60))
        .host(format!("state_dir = {:?}", directory.path()));
    let before = setup.start(&[&one, &two]);
    let first = before.ask(&get("/", &[]));
    drop(before);
    let after = setup.start(&[&one, &two]);
    let line = format!("Cookie: AWSELB={}", first.session());
    assert!(is_sticky(&after, &[&line], &first.body_text()));
}

#[test]
fn the_apps_own_paths_are_encoded_only_where_that_is_asked_for() {
    let app = Backend::with(|_, wire| {
        wire.try_send(
            "HTTP/1.1 200 OK\r\nSet-Cookie: a_b=c_d; Path=/my_path; Max-Age=5\r\n\
             Set-Cookie: e=f\r\nContent-Length: 0\r\n\r\n",
        )?;
        Ok(After::Keep)
    });
    for (setting, first) in [
        ("", "a_b=c_d; Path=/my_path; Max-Age=5"),
        (
            "underscore_encoding = \"all-set-cookies\"",
            "a_b=c_d; Path=/my%5Fpath; Max-Age=5",
        ),
    ] {
        let elbow = Setup::new(&[app.address]).attribute(setting).start(&[&app]);
        let response = elbow.ask(&get("/", &[]));
        assert_eq!(
            response.head.fields("Set-Cookie"),
            [first, "e=f"],
            "{setting}"
        );
    }
}
