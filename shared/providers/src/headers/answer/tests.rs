use http::{HeaderName, HeaderValue};

use super::*;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    map
}

fn names(map: &HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[test]
fn only_harmless_headers_come_back() {
    let target = CanonicalUrl::parse("https://api.example.com/v2/a").unwrap();
    let provider = map(&[
        ("content-type", "application/json"),
        ("set-cookie", "a=b"),
        ("x-ah5-audit-id", "forged"),
        ("x-ratelimit-remaining", "9"),
        ("etag", "\"1\""),
        ("connection", "etag"),
        ("transfer-encoding", "chunked"),
        ("server", "x"),
        ("location", "/v2/b"),
    ]);
    let back = forward_response(&provider, &target);
    assert_eq!(
        names(&back),
        ["content-type", "location", "x-ratelimit-remaining"]
    );
}

#[test]
fn a_location_elsewhere_does_not_pass() {
    let target = CanonicalUrl::parse("https://api.example.com/v2/a").unwrap();
    for (location, expected) in [
        ("/b?u=http://x", Redirect::SameOrigin),
        ("b", Redirect::SameOrigin),
        ("https://API.example.com:443/b#f", Redirect::SameOrigin),
        (
            "https://evil.example/b",
            Redirect::Elsewhere("https://evil.example".into()),
        ),
        (
            "http://api.example.com/b",
            Redirect::Elsewhere("http://api.example.com".into()),
        ),
        (
            "//evil.example/b",
            Redirect::Elsewhere("another origin".into()),
        ),
        (
            "/\\evil.example/b",
            Redirect::Elsewhere("another origin".into()),
        ),
        (
            "javascript:alert(1)",
            Redirect::Elsewhere("an unreadable place".into()),
        ),
    ] {
        let provider = map(&[("location", location)]);
        assert_eq!(redirect(&provider, &target), expected, "{location}");
        let back = forward_response(&provider, &target);
        assert_eq!(
            back.contains_key("location"),
            expected == Redirect::SameOrigin
        );
    }
    assert_eq!(redirect(&HeaderMap::new(), &target), Redirect::None);
}
