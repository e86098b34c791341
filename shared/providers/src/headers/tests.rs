use super::*;
use crate::catalogue::find;

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

fn custom() -> &'static Service {
    find("custom-http").unwrap()
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
    let out = forward_request(&caller, Source::Transparent, &Auth::Bearer, custom(), &[]).unwrap();
    assert_eq!(names(&out.headers), ["accept", "content-type"]);
    assert_eq!(out.headers.get_all("accept").iter().count(), 2);
    let mut dropped: Vec<_> = out.dropped.iter().map(HeaderName::as_str).collect();
    dropped.sort_unstable();
    assert_eq!(dropped, ["cookie", "x-forwarded-for", "x-something"]);
}

#[test]
fn no_header_of_proxies_sessions_or_other_keys_reaches_any_provider() {
    for name in [
        "Cookie",
        "DPoP",
        "Forwarded",
        "Proxy-Authorization",
        "TE",
        "Trailer",
        "Via",
        "X-Ah5-Session-Key",
        "X-Api-Key",
        "X-Azure-FDID",
        "X-Csrf-Token",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Goog-Api-Key",
        "X-Real-IP",
    ] {
        for id in [
            "custom-http",
            "gemini",
            "google-gmail",
            "anthropic-messages",
            "slack",
        ] {
            let service = find(id).unwrap();
            let auth = service.auth().unwrap_or(Auth::Bearer);
            let caller = map(&[(name, "ah5t_mine")]);
            let out = forward_request(&caller, Source::Transparent, &auth, service, &[]);
            // Whatever would take the credential's place is refused, and said so.
            if let Ok(out) = out {
                assert!(out.headers.is_empty(), "{name} to {id}: {:?}", out.headers);
            }
            let written = forward_request(&caller, Source::Envelope, &auth, service, &[]);
            assert!(
                written.is_err() || written.unwrap().headers.is_empty(),
                "{name} to {id}"
            );
        }
    }
}

#[test]
fn what_changes_the_call_is_refused_not_dropped() {
    for name in ["Prefer", "Stripe-Account", "Dropbox-API-Arg"] {
        let refused = forward_request(
            &map(&[(name, "x")]),
            Source::Transparent,
            &Auth::Bearer,
            custom(),
            &[],
        );
        assert!(matches!(refused, Err(HeaderRefusal::Acting(_))), "{name}");
    }
    for name in ["X-HTTP-Method-Override", "X-Original-URL"] {
        let steering = map(&[(name, "x")]);
        let acting = acting_headers(&steering, Source::Envelope, custom(), |_| true);
        assert_eq!(acting, Ok(Vec::new()));
        let refused = forward_request(&steering, Source::Envelope, &Auth::Bearer, custom(), &[]);
        assert!(matches!(refused, Err(HeaderRefusal::Steering(_))), "{name}");
    }
    let coded = map(&[("content-encoding", "gzip")]);
    assert!(forward_request(&coded, Source::Transparent, &Auth::Bearer, custom(), &[]).is_err());
}

#[test]
fn the_slot_of_the_credential_is_not_the_callers_to_fill() {
    let slot = Auth::Header {
        name: "X-Token".into(),
    };
    let caller = map(&[("x-token", "mine")]);
    for source in [Source::Envelope, Source::Transparent] {
        let refused = forward_request(&caller, source, &slot, custom(), &[]).unwrap_err();
        assert!(matches!(refused, HeaderRefusal::Injected(_)));
    }
    let named = map(&[("authorization", "Bearer mine")]);
    assert!(forward_request(&named, Source::Envelope, &Auth::Bearer, custom(), &[]).is_err());
    // On the request itself it is the caller's credential for us.
    let out = forward_request(&named, Source::Transparent, &Auth::Bearer, custom(), &[]).unwrap();
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
        let refused = forward_request(&caller, Source::Envelope, &Auth::Bearer, custom(), &[]);
        assert!(matches!(refused, Err(HeaderRefusal::Malformed(_))));
    }
}

#[test]
fn an_acting_header_passes_once_it_was_judged() {
    let caller = map(&[
        ("Stripe-Account", "acct_1"),
        ("Connection", "prefer"),
        ("Prefer", "x"),
        ("Accept", "a"),
        ("X-Tenant", "7"),
        ("X-Api-Key", "ah5t_mine"),
    ]);
    let named = |name: &str| matches!(name, "x-tenant" | "accept" | "x-api-key");
    let mut acting = acting_headers(&caller, Source::Transparent, custom(), named).unwrap();
    acting.sort_unstable();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        acting,
        [pair("stripe-account", "acct_1"), pair("x-tenant", "7")]
    );
    let forward = |judged: &[(String, String)]| {
        forward_request(
            &caller,
            Source::Transparent,
            &Auth::Bearer,
            custom(),
            judged,
        )
    };
    let out = forward(&acting).unwrap();
    assert_eq!(
        names(&out.headers),
        ["accept", "stripe-account", "x-tenant"]
    );
    let other = [pair("stripe-account", "acct_2")];
    assert!(matches!(forward(&other), Err(HeaderRefusal::Acting(_))));
    let twice = map(&[("prefer", "a"), ("prefer", "b")]);
    let refused = acting_headers(&twice, Source::Envelope, custom(), |_| false).unwrap_err();
    assert!(matches!(refused, HeaderRefusal::Malformed(_)));
}

#[test]
fn a_service_adds_to_the_lists() {
    let gitlab = find("gitlab").unwrap();
    let sudo = map(&[("Sudo", "root")]);
    let acting = acting_headers(&sudo, Source::Envelope, gitlab, |_| false).unwrap();
    assert_eq!(acting.len(), 1);
    assert!(forward_request(&sudo, Source::Envelope, &Auth::Bearer, gitlab, &[]).is_err());
    let beta = map(&[("anthropic-beta", "a")]);
    let anthropic = find("anthropic-messages").unwrap();
    let out = forward_request(&beta, Source::Envelope, &Auth::Bearer, anthropic, &[]);
    assert_eq!(names(&out.unwrap().headers), ["anthropic-beta"]);
}
