//! Policies of both kinds, and which of their defaults a profile changes.

use super::*;

/// A file whose one listener has `listener` and whose one duration policy `p` has `keys`.
fn duration(profile: &str, listener: &str, keys: &str) -> String {
    let policy = format!("[[load_balancer.lb_cookie_policy]]\nname = \"p\"\n{keys}");
    let listener = format!("policies = [\"p\"]\n{listener}");
    format!("profile = \"{profile}\"\n{}", small(&listener, &policy))
}

/// The policy of the one listener of `text`.
fn policy(text: &str) -> DurationPolicy {
    let config = parse(text, "elbow.toml").unwrap_or_else(|problems| panic!("{text}: {problems}"));
    match config.load_balancers[0].listeners[0].stickiness.clone() {
        Some(Stickiness::Duration(policy)) => policy,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn every_key_of_a_duration_policy_arrives() {
    let keys = "expiration_seconds = 60\ncookie_name = \"__Secure-shop\"\ncookie_path = \"/shop\"\n\
                cookie_domain = \"example.com\"\nsecure = true\nhttp_only = true\n\
                same_site = \"None\"\npartitioned = true\nrefresh = \"half-life\"\n\
                idle_limit = \"5m\"\nabsolute_limit = 3600\n";
    let expected = DurationPolicy {
        name: "p".to_owned(),
        expiration_seconds: NonZeroU32::new(60),
        cookie: CookieTemplate {
            name: "__Secure-shop".to_owned(),
            path: "/shop".to_owned(),
            domain: Some("example.com".to_owned()),
            is_secure: true,
            is_http_only: true,
            same_site: Some(SameSite::None),
            is_partitioned: true,
        },
        refresh: Refresh::HalfLife,
        idle_limit: Some(Duration::from_secs(300)),
        absolute_limit: Some(Duration::from_secs(3600)),
    };
    assert_eq!(policy(&duration("clb", "", keys)), expected);
}

#[test]
fn every_key_of_an_application_policy_arrives() {
    let section = "[[load_balancer.app_cookie_policy]]\nname = \"app\"\n\
                   cookie_name = \"JSESSIONID\"\n";
    let stickiness = |keys: &str| {
        let text = small("policies = [\"app\"]", &format!("{section}{keys}"));
        let config = parse(&text, "elbow.toml").expect("the file holds");
        config.load_balancers[0].listeners[0].stickiness.clone()
    };
    let plain = ApplicationPolicy::new("app", "JSESSIONID");
    assert_eq!(stickiness(""), Some(Stickiness::Application(plain.clone())));
    let full = ApplicationPolicy {
        copies_unknown_attributes: true,
        absolute_limit: Some(Duration::from_secs(12 * 60 * 60)),
        ..plain
    };
    let keys = "copy_unknown_attributes = true\nabsolute_limit = \"12h\"\n";
    assert_eq!(stickiness(keys), Some(Stickiness::Application(full)));
}

#[test]
fn what_a_policy_may_not_say_is_refused_with_what_it_may() {
    for (keys, expected) in [
        (
            "cookie_name = \"a b\"",
            "must be 1 to 128 letters, digits and !#$%&'*+-.^_`|~",
        ),
        (
            "cookie_name = \"AWSELBCORS\"",
            "is a name of the second cookie, whose key is `cors_cookie_name`",
        ),
        (
            "cookie_path = \"shop\"",
            "must begin with / and have at most 128 characters: printable ASCII without space and ;",
        ),
        (
            "cookie_domain = \".example.com\"",
            "must not begin with a dot: subdomains are meant anyway",
        ),
        (
            "cookie_domain = \"10.0.0.1\"",
            "is an address: a cookie for one host needs no domain",
        ),
        (
            "cookie_domain = \"com\"",
            "must be a domain such as example.com, of at most 128 characters",
        ),
        ("secure = 1", "must be true or false"),
        (
            "same_site = \"lax\"",
            "must be \"Strict\", \"Lax\", \"None\" or \"off\"",
        ),
        (
            "refresh = \"sometimes\"",
            "must be \"never\", \"half-life\" or \"always\"",
        ),
        (
            "refresh = \"half-life\"",
            "needs expiration_seconds: a browser session has no half",
        ),
        (
            "idle_limit = 0",
            "must be 1 to 2147483647 seconds, or text from \"1s\" to \"2147483647s\"",
        ),
        (
            "absolute_limit = \"500ms\"",
            "must be 1 to 2147483647 seconds, or text from \"1s\" to \"2147483647s\"",
        ),
    ] {
        assert_eq!(only_mistake(&duration("clb", "", keys)), expected, "{keys}");
    }
}

#[test]
fn what_browsers_would_drop_is_refused() {
    let needs = |keys: &str| only_mistake(&duration("clb", "", keys));
    assert_eq!(
        needs("same_site = \"None\""),
        "same_site = \"None\" needs secure = true"
    );
    assert_eq!(
        needs("partitioned = true"),
        "partitioned = true needs secure = true"
    );
    assert_eq!(
        needs("cookie_name = \"__Host-a\"\nsecure = true\ncookie_path = \"/a\""),
        "a cookie_name that begins with __Host- needs cookie_path = \"/\""
    );
    let all = "cookie_name = \"__Host-a\"\ncookie_domain = \"example.com\"\npartitioned = true\n";
    assert_eq!(
        problems(&duration("clb", "", all)),
        ["10 load_balancer[0].lb_cookie_policy[0]"; 3]
    );
}

#[test]
fn an_application_policy_needs_a_cookie_that_is_not_elbows() {
    let mistake = |keys: &str| {
        let section = "[[load_balancer.app_cookie_policy]]\nname = \"app\"\n";
        only_mistake(&small("", &format!("{section}{keys}\n")))
    };
    assert_eq!(mistake(""), "is missing");
    assert_eq!(
        mistake("cookie_name = \"a;b\""),
        "must be 1 to 128 letters, digits and !#$%&'*+-.^_`|~"
    );
    assert_eq!(
        mistake("cookie_name = \"AWSALBCORS\""),
        "is a name of elbow's own cookies: name the application's"
    );
    let unknown = mistake("cookie_name = \"a\"\nidle_limit = 1");
    assert!(unknown.starts_with("is not a key here"), "{unknown}");
}

#[test]
fn policy_names_are_unique_over_both_kinds() {
    let rest = "[[load_balancer.lb_cookie_policy]]\nname = \"p\"\n\
                [[load_balancer.app_cookie_policy]]\nname = \"p\"\ncookie_name = \"a\"\n";
    let expected = ["11 load_balancer[0].app_cookie_policy[0].name = \"p\""];
    assert_eq!(problems(&small("", rest)), expected);
}

#[test]
fn a_listener_has_one_policy_of_either_kind() {
    let rest = "[[load_balancer.lb_cookie_policy]]\nname = \"p\"\n\
                [[load_balancer.app_cookie_policy]]\nname = \"q\"\ncookie_name = \"a\"\n";
    let mistake = only_mistake(&small("policies = [\"p\", \"q\"]", rest));
    assert_eq!(mistake, "a listener has at most one stickiness policy");
}

#[test]
fn the_modern_profile_makes_cookies_that_auditors_pass() {
    let modern = policy(&duration("modern", "behind_tls = true", ""));
    let expected = CookieTemplate {
        is_secure: true,
        is_http_only: true,
        same_site: Some(SameSite::Lax),
        ..CookieTemplate::default()
    };
    assert_eq!(modern.cookie, expected);
    assert_eq!(modern.refresh, Refresh::Never);
    let expires = policy(&duration("modern", "", "expiration_seconds = 60"));
    assert_eq!(expires.refresh, Refresh::HalfLife);
    let clb = policy(&duration(
        "clb",
        "behind_tls = true",
        "expiration_seconds = 60",
    ));
    assert_eq!(clb, DurationPolicy::new("p", NonZeroU32::new(60)));
}

#[test]
fn a_cookie_is_not_secure_by_default_where_a_listener_would_lose_it() {
    let second = "[[load_balancer.listener]]\nprotocol = \"HTTP\"\nport = 8081\n\
                  instance_port = 80\npolicies = [\"p\"]\n";
    for (first, second_is_behind_tls, expected) in [
        ("", "true", false),
        ("behind_tls = true", "false", false),
        ("behind_tls = true", "true", true),
    ] {
        let second = format!("{second}behind_tls = {second_is_behind_tls}\n");
        let text = duration("modern", first, &second);
        assert_eq!(policy(&text).cookie.is_secure, expected, "{text}");
    }
}

#[test]
fn a_written_key_goes_before_the_profile() {
    let keys = "expiration_seconds = 60\nsecure = false\nhttp_only = false\nsame_site = \"off\"\n\
                refresh = \"never\"\n";
    let written = policy(&duration("modern", "behind_tls = true", keys));
    assert_eq!(written, DurationPolicy::new("p", NonZeroU32::new(60)));
}

#[test]
fn a_profile_is_one_of_two() {
    let text = duration("new", "", "");
    assert_eq!(only_mistake(&text), "must be \"clb\" or \"modern\"");
}
