use super::*;

fn canonical(text: &str) -> String {
    CanonicalUrl::parse(text)
        .unwrap_or_else(|e| panic!("{text}: {e}"))
        .to_string()
}

#[test]
fn one_target_has_one_spelling() {
    for (text, expected) in [
        ("HTTPS://API.Example.COM:443/X", "https://api.example.com/X"),
        ("https://api.example.com", "https://api.example.com/"),
        (
            "https://api.example.com?a=1",
            "https://api.example.com/?a=1",
        ),
        ("https://api.example.com/?", "https://api.example.com/"),
        ("  https://api.example.com/a ", "https://api.example.com/a"),
        (
            "https://api.example.com/a/./b/../c",
            "https://api.example.com/a/c",
        ),
        (
            "https://api.example.com/a/%2E%2e/b",
            "https://api.example.com/b",
        ),
        (
            "https://api.example.com/%61%7e%3a",
            "https://api.example.com/a~:",
        ),
        (
            "https://api.example.com/a:b@c!$'()*+,;=&",
            "https://api.example.com/a:b@c!$'()*+,;%3D%26",
        ),
        (
            "https://api.example.com/café",
            "https://api.example.com/caf%C3%A9",
        ),
        (
            "https://api.example.com/a b|c",
            "https://api.example.com/a%20b%7Cc",
        ),
        (
            "https://api.example.com/a/%252e%252E/b",
            "https://api.example.com/b",
        ),
        (
            "https://api.example.com/compare/main...next",
            "https://api.example.com/compare/main...next",
        ),
        (
            "https://api.example.com/a?q=%7e%2f b&c=%26",
            "https://api.example.com/a?q=~/%20b&c=%26",
        ),
        (
            "https://api.example.com//a///b//",
            "https://api.example.com/a/b/",
        ),
        (
            "https://api.example.com/a/../b//c",
            "https://api.example.com/b/c",
        ),
        ("http://api.example.com:80/a/", "http://api.example.com/a/"),
        (
            "https://api.example.com:8443/",
            "https://api.example.com:8443/",
        ),
        (
            "https://\u{ff41}pi.example.com/a",
            "https://api.example.com/a",
        ),
        ("https://0x7f.1/", "https://127.0.0.1/"),
        ("https://[2001:DB8:0::1]:444/", "https://[2001:db8::1]:444/"),
    ] {
        assert_eq!(canonical(text), expected, "{text}");
        assert_eq!(canonical(expected), expected);
    }
}

#[test]
fn a_semicolon_starts_no_parameter_for_anyone() {
    for query in ["a=1;admin=true", "a=1%3badmin=true", "a=1%3Badmin=true"] {
        let url = CanonicalUrl::parse(&format!("https://h.example/?{query}")).unwrap();
        assert_eq!(url.query(), Some("a=1%3Badmin=true"));
        let pairs: Vec<_> = url.query_pairs().collect();
        assert_eq!(pairs, [("a".into(), "1;admin=true".into())]);
    }
}

#[test]
fn ambiguity_is_refused_by_name() {
    use UrlError as E;
    for (text, error) in [
        ("api.example.com/a", E::NotAbsolute),
        ("/a", E::NotAbsolute),
        ("ftp://h.example/", E::NotAbsolute),
        ("https://u@h.example/", E::UserInfo),
        ("https://api.example.com@evil.example/a", E::UserInfo),
        ("https://h.example/#f", E::Fragment),
        ("https://h.example\\@evil.example/", E::Backslash),
        ("https://h.example/a\\b", E::Backslash),
        ("https://h.example/a%5Cb", E::EncodedSlash),
        ("https://h.example/a%2fb", E::EncodedSlash),
        ("https://h.example/a/..%2fb", E::Traversal),
        ("https://h.example/report..txt", E::Traversal),
        ("https://h.example/a%252fb", E::DoubleEncoding),
        ("https://h.example/%25252e%25252e/b", E::DoubleEncoding),
        ("https://h.example/100%25", E::Escape),
        ("https://h.example/%25252e/b", E::DoubleEncoding),
        ("https://h.example/a%00b", E::PathControl),
        ("https://h.example/a\nb", E::Control),
        ("https://h.example/%0ab", E::PathControl),
        ("https://h.example/%zz", E::Escape),
        ("https://h.example/%", E::Escape),
        ("https://h.example/%ff", E::Escape),
        ("https://h.example/?a=%f", E::Escape),
        ("https://h.example/?a=%ff", E::Escape),
        ("https://h.example/?a=%00", E::Control),
        ("https://h.example/a//../b", E::EmptySegment),
        ("https://h.example/..", E::AboveRoot),
        ("https://h.example/a/../../b", E::AboveRoot),
        ("https://h.example/a/..;x/b", E::PathParameter),
        ("https:///a", E::Host),
        ("https://h.example./", E::Host),
        ("https://h..example/", E::Host),
        ("https://*.example/", E::Host),
        ("https://h%2eexample/", E::Host),
        ("https://[fe80::1%25eth0]/", E::Host),
        ("https://h.example:0/", E::Port),
        ("https://h.example:/", E::Port),
        ("https://h.example:99999/", E::Port),
        ("https://h.example:+80/", E::Port),
    ] {
        assert_eq!(CanonicalUrl::parse(text).unwrap_err(), error, "{text}");
    }
    let long = format!("https://h.example/{}", "a".repeat(MAX_URL));
    assert_eq!(CanonicalUrl::parse(&long).unwrap_err(), E::TooLong);
}

#[test]
fn join_stays_below_its_base() {
    let base = CanonicalUrl::parse("https://api.example.com:8443/v2").unwrap();
    for (path, query, expected) in [
        ("", None, "/v2"),
        ("/", None, "/v2/"),
        ("users/1", None, "/v2/users/1"),
        ("/users/./1/../2", Some("a=b c"), "/v2/users/2?a=b%20c"),
        ("a", Some(""), "/v2/a"),
        ("https://evil.example/", None, ""),
        ("..", None, ""),
        ("a/../..", None, ""),
        ("%2e%2e/v3", None, ""),
        ("//evil.example/", None, "/v2/evil.example/"),
    ] {
        match CanonicalUrl::join(&base, path, query) {
            Ok(url) => {
                assert_eq!(url.path_and_query(), expected, "{path}");
                assert!(url.is_below(&base));
            }
            Err(_) => assert_eq!(expected, "", "{path} was refused"),
        }
    }
    assert_eq!(
        CanonicalUrl::join(&base, "a/../../b", None).unwrap_err(),
        UrlError::OutsideBase
    );
    let sibling = CanonicalUrl::parse("https://api.example.com:8443/v2x").unwrap();
    assert!(!sibling.is_below(&base));
}

#[test]
fn merged_parameters_replace_those_of_the_same_name() {
    let mut url = CanonicalUrl::parse("https://h.example/a?x=1&%61lt=json&x=2&y=3").unwrap();
    url.merge([("alt", "media"), ("x", "a b&c"), ("z", "é")])
        .unwrap();
    assert_eq!(url.query(), Some("x=a%20b%26c&alt=media&y=3&z=%C3%A9"));
    assert_eq!(url.path(), "/a");
    let pairs: Vec<_> = url.query_pairs().map(|(n, v)| format!("{n}:{v}")).collect();
    assert_eq!(pairs, ["x:a b&c", "alt:media", "y:3", "z:é"]);
    assert_eq!(url.merge([("a", "\0")]), Err(UrlError::Control));
}
