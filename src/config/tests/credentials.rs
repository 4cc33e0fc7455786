//! `[admin]`: where it listens, what it is called, and who may ask it.

use super::*;
use crate::limits::{ADMIN_NAMES_MAX, CREDENTIALS_MAX};

const CREDENTIAL: &str = "[[admin.credential]]\naccess_key_id = \"A\"\n\
                          secret_access_key_file = \"/secret\"\n";

#[test]
fn credentials_arrive_with_the_lines_that_name_their_secrets() {
    let config = parse(FULL, "elbow.toml").expect("the file holds");
    let [one, other] = &config.admin.credentials[..] else {
        panic!("two credentials");
    };
    let line = |text: &str| 1 + FULL.lines().take_while(|line| !line.contains(text)).count();
    let expected = Credential {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key_file: "/etc/elbow/secret".into(),
        is_read_only: false,
        line: line("/etc/elbow/secret"),
    };
    assert_eq!(*one, expected);
    let expected = Credential {
        access_key_id: "prometheus".to_owned(),
        secret_access_key_file: "/etc/elbow/prometheus".into(),
        is_read_only: true,
        line: line("/etc/elbow/prometheus"),
    };
    assert_eq!(*other, expected);
    assert_eq!(config.admin.names, ["elb.example.com"]);
}

#[test]
fn an_address_that_others_reach_needs_a_credential() {
    let listen = "[admin]\nlisten = \"0.0.0.0:9090\"\n";
    let mistake = only_mistake(&small("", listen));
    assert!(
        mistake.contains("must be a loopback address") && mistake.contains("[[admin.credential]]"),
        "{mistake}"
    );
    let config = parse(&small("", &format!("{listen}{CREDENTIAL}")), "elbow.toml");
    let config = config.expect("the file holds");
    assert!(!config.admin.is_within_host());
    // Flags have the last word about where, and not about who.
    let elsewhere = |config: &Config, listen: &str| {
        config.clone().override_host(Overrides {
            admin: Some(Admin::parse(listen).expect("an address")),
            ..Overrides::default()
        })
    };
    let moved = elsewhere(&config, "10.0.0.1:9").expect("there is a credential");
    assert_eq!(moved.admin.credentials, config.admin.credentials);
    let open = parse(&small("", ""), "elbow.toml").expect("the file holds");
    let mistake = elsewhere(&open, "10.0.0.1:9").expect_err("it is open");
    assert!(
        mistake
            .to_string()
            .starts_with("the admin address must be a loopback address"),
        "{mistake}"
    );
}

#[test]
fn every_mistake_about_credentials_is_named_where_it_is() {
    let text = format!(
        "[admin]\nnames = [\"a_b\", 1]\n{CREDENTIAL}read_only = 1\n{CREDENTIAL}\
         [[admin.credential]]\naccess_key_id = \"a/b\"\nsecret = \"s\"\n\
         [[admin.credential]]\naccess_key_id = \"B\"\nsecret_access_key_file = \"\"\n"
    );
    let expected = [
        "9 admin.names[0] = \"a_b\"",
        "9 admin.names[1] = 1",
        "13 admin.credential[0].read_only = 1",
        "15 admin.credential[1].access_key_id = \"A\"",
        "17 admin.credential[2].secret_access_key_file",
        "18 admin.credential[2].access_key_id = \"a/b\"",
        "19 admin.credential[2].secret",
        "22 admin.credential[3].secret_access_key_file = \"\"",
    ];
    assert_eq!(problems(&small("", &text)), expected);
}

#[test]
fn there_are_so_many_credentials_and_names_and_no_more() {
    let credentials = |count: usize| {
        let numbered = |number| CREDENTIAL.replace("\"A\"", &format!("\"A{number}\""));
        small("", &(0..count).map(numbered).collect::<String>())
    };
    assert!(parse(&credentials(CREDENTIALS_MAX), "elbow.toml").is_ok());
    let mistake = only_mistake(&credentials(CREDENTIALS_MAX + 1));
    assert_eq!(mistake, "more than 100 [[admin.credential]]");
    let names = |count: usize| {
        let names = vec!["elb.test"; count];
        small("", &format!("[admin]\nnames = {names:?}\n"))
    };
    assert!(parse(&names(ADMIN_NAMES_MAX), "elbow.toml").is_ok());
    let mistake = only_mistake(&names(ADMIN_NAMES_MAX + 1));
    assert_eq!(mistake, "must be at most 32 names");
}
