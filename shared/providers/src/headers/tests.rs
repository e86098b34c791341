use super::*;
use http::HeaderValue;

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
fn only_plain_headers_reach_the_provider() {
    let caller = map(&[
        ("Authorization", "Bearer ah5t_mine"),
        ("X-Goog-Api-Key", "ah5t_mine"),
        ("Host", "ah5.example"),
        ("Content-Length", "3"),
        ("Connection", "keep-alive, range"),
        ("Range", "bytes=0-1"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "1.2.3.4"),
        ("X-Ah5-Approval-Id", "x"),
        ("Accept", "a"),
        ("Accept", "b"),
        ("Content-Type", "application/json"),
        ("X-Something", "y"),
    ]);
    let out = forward_request(&caller, Source::Transparent, &Auth::Bearer, &[]).unwrap();
    assert_eq!(names(&out.headers), ["accept", "content-type"]);
    assert_eq!(out.headers.get_all("accept").iter().count(), 2);
    let mut dropped: Vec<_> = out.dropped.iter().map(HeaderName::as_str).collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["cookie", "x-forwarded-for", "x-something"]);
}

#[test]
fn what_changes_the_call_is_refused_not_dropped() {
    for name in [
        "X-HTTP-Method-Override",
        "Prefer",
        "Stripe-Account",
        "Dropbox-API-Arg",
    ] {
        let refused = forward_request(
            &map(&[(name, "x")]),
            Source::Transparent,
            &Auth::Bearer,
            &[],
        );
        assert!(matches!(refused, Err(HeaderRefusal::Acting(_))), "{name}");
    }
    let coded = map(&[("content-encoding", "gzip")]);
    assert!(forward_request(&coded, Source::Transparent, &Auth::Bearer, &[]).is_err());
}

#[test]
fn the_slot_of_the_credential_is_not_the_callers_to_fill() {
    let slot = Auth::Header {
        name: "X-Token".into(),
    };
    let caller = map(&[("x-token", "mine")]);
    for source in [Source::Envelope, Source::Transparent] {
        let refused = forward_request(&caller, source, &slot, &[]).unwrap_err();
        assert!(matches!(refused, HeaderRefusal::Injected(_)));
    }
    let named = map(&[("authorization", "Bearer mine")]);
    assert!(forward_request(&named, Source::Envelope, &Auth::Bearer, &[]).is_err());
    // On the request itself it is the caller's credential for us.
    let out = forward_request(&named, Source::Transparent, &Auth::Bearer, &[]).unwrap();
    assert!(out.headers.is_empty());
}

#[test]
fn malformed_values_are_refused() {
    let long = "x".repeat(MAX_VALUE + 1);
    for caller in [
        map(&[("accept", &long)]),
        map(&[("user-agent", "caf\u{e9}")]),
        map(&[("range", "bytes=0-1"), ("range", "bytes=2-3")]),
        map(&[("content-type", "a/b"), ("content-type", "c/d")]),
    ] {
        let refused = forward_request(&caller, Source::Envelope, &Auth::Bearer, &[]);
        assert!(matches!(refused, Err(HeaderRefusal::Malformed(_))));
    }
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
