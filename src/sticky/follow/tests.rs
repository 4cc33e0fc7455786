//! What is copied from the app's cookie, byte for byte, and what is left alone.

use proptest::prelude::*;

use super::*;

const NAME: &str = "my-app-cookie";

const CLB: Copying = Copying {
    encodes_underscores: true,
    copies_unknown: false,
};

/// What follows from one `Set-Cookie` value: the attributes, or `None` if the line binds nothing.
fn copied_by(set_cookie: &[u8], copying: &Copying) -> Option<Vec<u8>> {
    let Some(Followed::Bind(cookie)) = followed([set_cookie].into_iter(), NAME).next() else {
        return None;
    };
    let mut out = Vec::new();
    cookie.write_attributes(copying, &mut out);
    Some(out)
}

/// The attributes copied from a cookie of the right name with these.
fn copied(attributes: &str) -> String {
    let value = copied_by(format!("{NAME}=1{attributes}").as_bytes(), &CLB);
    String::from_utf8(value.expect("a line that binds")).unwrap()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn stripped(field: &str, names: &[&str]) -> String {
    written(|out| strip_cookies(field.as_bytes(), names, out))
}

#[test]
fn each_attribute_is_copied_alone_and_none_is_invented() {
    assert_eq!(copied(""), "");
    for (attribute, expected) in [
        ("Path=/app", ";PATH=/app"),
        ("Port=\"80,443\"", ";PORT=\"80,443\""),
        ("Domain=.example.com", ";DOMAIN=.example.com"),
        ("Max-Age=30", ";MAX-AGE=30"),
        (
            "Expires=Wed, 09-Jun-2027 10:18:14 GMT",
            ";EXPIRES=Wed, 09-Jun-2027 10:18:14 GMT",
        ),
        ("Version=1", ";VERSION=1"),
        ("Comment=for_you", ";COMMENT=for_you"),
        ("CommentURL=\"http://c_d/\"", ";COMMENTURL=\"http://c_d/\""),
        ("Discard", ";DISCARD"),
        ("Secure", ";SECURE"),
        ("HttpOnly", ";HTTPONLY"),
        ("SameSite=Lax", ";SAMESITE=Lax"),
    ] {
        assert_eq!(copied(&format!("; {attribute}")), expected);
        let (name, value) = attribute.split_at(attribute.find('=').unwrap_or(attribute.len()));
        for name in [name.to_lowercase(), name.to_uppercase()] {
            assert_eq!(copied(&format!(";{name}{value}")), expected);
        }
    }
}

#[test]
fn all_attributes_are_written_in_one_order() {
    assert_eq!(
        copied(
            "; samesite=None; httponly; secure; discard; commenturl=u; comment=c; version=1; \
             expires=Thu, 01 Jan 1970 00:00:00 GMT; max-age=0; domain=d; port; path=/"
        ),
        ";PATH=/;PORT;DOMAIN=d;MAX-AGE=0;EXPIRES=Thu, 01 Jan 1970 00:00:00 GMT;VERSION=1;\
         COMMENT=c;COMMENTURL=u;DISCARD;SECURE;HTTPONLY;SAMESITE=None"
    );
}

#[test]
fn secure_and_http_only_are_copied_one_by_one() {
    for (attributes, expected) in [
        ("", ""),
        ("; Secure", ";SECURE"),
        ("; HttpOnly", ";HTTPONLY"),
        ("; HttpOnly; Secure", ";SECURE;HTTPONLY"),
        ("; Secure=no; HttpOnly=", ";SECURE;HTTPONLY"),
    ] {
        assert_eq!(copied(attributes), expected);
    }
}

#[test]
fn odd_spacing_and_empty_parts_do_not_matter() {
    assert_eq!(
        copied(" ;;  Path =\t/a b ;; Max-Age= 5 ;secure ;Domain="),
        ";PATH=/a b;DOMAIN;MAX-AGE=5;SECURE"
    );
}

#[test]
fn of_an_attribute_that_comes_twice_the_last_counts() {
    assert_eq!(
        copied("; Path=/a; Max-Age=1; path=/b; Secure; Secure; Path=/c=d"),
        ";PATH=/c=d;MAX-AGE=1;SECURE"
    );
}

#[test]
fn underscores_are_encoded_in_the_path_and_nowhere_else() {
    assert_eq!(copied("; path=/my_path"), ";PATH=/my%5Fpath");
    assert_eq!(
        copied("; path=/a_b_c/_; Domain=a_b; Comment=_"),
        ";PATH=/a%5Fb%5Fc/%5F;DOMAIN=a_b;COMMENT=_"
    );
    assert_eq!(
        copied("; path=/a-b.c~d%5F%2f"),
        ";PATH=/a-b.c~d%5F%2f",
        "no other character"
    );
    let off = Copying {
        encodes_underscores: false,
        ..CLB
    };
    let value = format!("{NAME}=1; path=/my_path");
    assert_eq!(
        copied_by(value.as_bytes(), &off).unwrap(),
        b";PATH=/my_path"
    );
}

#[test]
fn quotes_are_bytes_like_others() {
    assert_eq!(copied("; Path=\"/a_b\""), ";PATH=\"/a%5Fb\"");
    assert_eq!(
        copied("; Comment=\"a; Secure; b\""),
        ";COMMENT=\"a;SECURE",
        "browsers end it there too"
    );
}

#[test]
fn bytes_beyond_ascii_survive() {
    let value = b"my-app-cookie=\xff; Comment=\xe9_\x80; Path=/\xfc_";
    assert_eq!(
        copied_by(value, &CLB).unwrap(),
        b";PATH=/\xfc%5F;COMMENT=\xe9_\x80"
    );
}

#[test]
fn unknown_attributes_are_copied_only_if_asked_for() {
    let value = format!("{NAME}=1; Partitioned; Path=/;;Priority = High ; partitioned; Secure");
    assert_eq!(
        copied_by(value.as_bytes(), &CLB).unwrap(),
        b";PATH=/;SECURE"
    );
    let all = Copying {
        copies_unknown: true,
        ..CLB
    };
    assert_eq!(
        copied_by(value.as_bytes(), &all).unwrap(),
        b";PATH=/;SECURE;Partitioned;Priority = High;partitioned"
    );
}

#[test]
fn only_the_named_cookie_is_followed() {
    for value in [
        "",
        ";",
        "my-app-cookie",
        "my-app-cookie; my-app-cookie=1",
        "My-App-Cookie=1",
        "my-app-cookie2=1",
        "x-my-app-cookie=1",
        "my-app-cookie x=1",
        "other=my-app-cookie=1",
    ] {
        let lines = [value.as_bytes()];
        assert_eq!(followed(lines.into_iter(), NAME).count(), 0, "{value:?}");
    }
    for value in ["my-app-cookie=", "my-app-cookie==;a", " my-app-cookie\t= 1"] {
        assert!(copied_by(value.as_bytes(), &CLB).is_some(), "{value:?}");
    }
}

#[test]
fn a_line_that_ends_in_a_semicolon_is_ignored() {
    for (value, is_ignored) in [
        ("my-app-cookie=x; Path=/;", true),
        ("my-app-cookie=x; Path=/; \t", true),
        ("my-app-cookie=x;", true),
        ("my-app-cookie=x; Path=/", false),
        ("my-app-cookie=x;; Path=/", false),
    ] {
        let lines = [value.as_bytes()];
        let line = followed(lines.into_iter(), NAME).next().unwrap();
        assert_eq!(matches!(line, Followed::Ignored), is_ignored, "{value:?}");
    }
}

#[test]
fn lines_beyond_the_bound_are_surplus() {
    let lines = [&b"my-app-cookie=1"[..], b"other=1"].repeat(APP_COOKIES_MAX + 2);
    let kinds: Vec<_> = followed(lines.into_iter(), NAME).collect();
    let (within, beyond) = kinds.split_at(APP_COOKIES_MAX);
    assert!(within.iter().all(|line| matches!(line, Followed::Bind(_))));
    assert!(beyond.iter().all(|line| matches!(line, Followed::Surplus)));
    assert_eq!(beyond.len(), 2);
}

#[test]
fn a_request_has_the_cookie_in_any_of_its_fields() {
    let has = |fields: &[&str]| has_cookie(fields.iter().map(|field| field.as_bytes()), NAME);
    assert!(has(&["a=b", "c=d;my-app-cookie=1"]));
    assert!(has(&["my-app-cookie="]));
    assert!(!has(&["a=my-app-cookie=1; MY-APP-COOKIE=1; my-app-cookie"]));
    assert!(!has(&["", ";;"]) && !has(&[]));
}

#[test]
fn cookies_are_stripped_and_the_rest_stays_as_it_is() {
    for (field, expected) in [
        ("AWSELB=1", ""),
        ("AWSELB=1; a=b", "a=b"),
        ("a=b; AWSELB=1", "a=b"),
        ("a=b; AWSELB=1; c=d", "a=b; c=d"),
        ("a=b;AWSELB=1;c=d", "a=b;c=d"),
        ("AWSELB=1;AWSELBCORS=2; AWSELB=3;", ""),
        ("AWSELB=1; ; AWSELBCORS=2", ""),
        ("a=\"x;  y = z ;AWSELBCORS=2", "a=\"x;  y = z "),
        (
            "awselb=1; AWSELBX=2; AWSELB; a=AWSELB=3",
            "awselb=1; AWSELBX=2; AWSELB; a=AWSELB=3",
        ),
        ("a=b;;", "a=b;;"),
    ] {
        assert_eq!(stripped(field, &["AWSELB", "AWSELBCORS"]), expected);
    }
}

#[test]
fn the_apps_own_path_is_encoded_and_nothing_else() {
    for (value, expected) in [
        (
            "a_b=c_d; Path=/my_path; Comment=x_y",
            "a_b=c_d; Path=/my%5Fpath; Comment=x_y",
        ),
        (
            "path=a_b; PATH = /_ ;path=/c_;",
            "path=a_b; PATH = /%5F ;path=/c%5F;",
        ),
        (
            "a=b; my_path=/c_d; path_=/e_f; Path",
            "a=b; my_path=/c_d; path_=/e_f; Path",
        ),
        ("a_=b", "a_=b"),
        ("", ""),
    ] {
        assert_eq!(written(|out| encode_path(value.as_bytes(), out)), expected);
    }
}

#[test]
fn a_requests_dollar_path_is_encoded_and_nothing_else() {
    for (field, expected) in [
        (
            "$Version=\"1\"; a_b=\"c_d\"; $Path=\"/my_path\"; e=f_g",
            "$Version=\"1\"; a_b=\"c_d\"; $Path=\"/my%5Fpath\"; e=f_g",
        ),
        (
            "a=b; $PATH=/_, c_d=e_f; $path=/_",
            "a=b; $PATH=/%5F, c_d=e_f; $path=/%5F",
        ),
        ("path=/a_b; Path=/c_d", "path=/a_b; Path=/c_d"),
    ] {
        assert_eq!(
            written(|out| encode_dollar_path(field.as_bytes(), out)),
            expected
        );
    }
}

/// Pieces of which cookies are made, so that random ones hit the interesting places.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "my-app-cookie",
            "a",
            "Path",
            "$Path",
            "Secure",
            "Max-Age",
            "x",
            "=",
            "=",
            ";",
            ";",
            ",",
            " ",
            "\t",
            "_",
            "\"",
            "/",
            "\r\n",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        any::<u8>().prop_map(|byte| vec![byte]),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn line_ends(text: &[u8]) -> usize {
    text.iter().filter(|byte| b"\r\n".contains(byte)).count()
}

/// The cookies of a `Cookie` value that are not of these names.
fn others<'a>(field: &'a [u8], names: &[&str]) -> Vec<&'a [u8]> {
    let is_other = |part: &&[u8]| {
        let end = part.iter().position(|&byte| byte == b'=');
        let name = end.map(|end| part[..end].trim_ascii());
        !part.is_empty() && names.iter().all(|other| name != Some(other.as_bytes()))
    };
    let cookies = field.split(|&byte| byte == b';');
    cookies.map(<[u8]>::trim_ascii).filter(is_other).collect()
}

proptest! {
    /// Whatever an app sends, the copy adds no line to the head.
    #[test]
    fn a_copy_has_no_more_line_ends_than_the_cookie(
        mut value in text(),
        copies_unknown in any::<bool>(),
    ) {
        value.splice(..0, *b"my-app-cookie=");
        let copying = Copying { copies_unknown, ..CLB };
        if let Some(out) = copied_by(&value, &copying) {
            prop_assert!(line_ends(&out) <= line_ends(&value));
        }
    }

    /// Undoing the encoding gives the value back.
    #[test]
    fn encoding_changes_underscores_only(value in text()) {
        for encode in [encode_path, encode_dollar_path] {
            let mut out = Vec::new();
            encode(&value, &mut out);
            let decoded = String::from_utf8_lossy(&out).replace("%5F", "_");
            let original = String::from_utf8_lossy(&value).replace("%5F", "_");
            prop_assert_eq!(decoded, original);
        }
    }

    /// What is stripped is gone, what is not is all there, and a second time changes nothing.
    #[test]
    fn stripping_takes_the_named_cookies_and_no_other(field in text()) {
        let names = ["my-app-cookie", "a"];
        let mut once = Vec::new();
        strip_cookies(&field, &names, &mut once);
        prop_assert!(names.iter().all(|name| !has_cookie([&once[..]].into_iter(), name)));
        prop_assert_eq!(others(&once, &[]), others(&field, &names));
        let mut twice = Vec::new();
        strip_cookies(&once, &names, &mut twice);
        prop_assert_eq!(once, twice);
    }
}
