//! What must hold for every input.

use ah5_contracts::policy::Method;
use ah5_policy::compile::HTTPS_ONLY;
use ah5_policy::{CanonicalUrl, CompiledPolicy, Facts, PolicySource, decide_all};
use proptest::prelude::*;
use serde_json::{Value, json};

fn compile(allowlists: &Value) -> CompiledPolicy {
    CompiledPolicy::compile(&PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists,
        default_mode: "read_write",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules: &json!({}),
        step_up: "never",
        time_windows: &json!([]),
    })
    .expect("the test's policy compiles")
}

fn entry(base: &str, pattern: &str) -> Value {
    json!({"baseUrl": base, "methods": ["GET"], "pathPatterns": [pattern]})
}

/// Pieces that meet often enough to matter.
fn rough_path() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "a", "b", "..", ".", "%2e", "%2E", "%2f", "%5c", "%25", "%252e", "%", ";", "//", "é",
        " ", "%41", "~", "*", "?", "&x=1", "=", "+", "\\", "#", "@", ":", "\u{0}",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// The plain meaning of a pattern, slowly.
fn reference(pattern: &[u8], path: &[u8]) -> bool {
    if pattern == b"/**" && path.is_empty() {
        return true;
    }
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|n| reference(rest, &path[n..])),
        [b'*', rest @ ..] => (0..=path.len())
            .take_while(|&n| !path[..n].contains(&b'/'))
            .any(|n| reference(rest, &path[n..])),
        [byte, rest @ ..] => path.first() == Some(byte) && reference(rest, &path[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_canonical_form_is_a_fixed_point(rough in rough_path()) {
        if let Ok(url) = CanonicalUrl::parse(&format!("https://h.example/{rough}")) {
            let text = url.to_string();
            prop_assert_eq!(&CanonicalUrl::parse(&text), &Ok(url));
        }
    }

    /// Another parser, which resolves and encodes by its own rules, finds nothing to change.
    #[test]
    fn others_read_the_canonical_form_as_it_stands(rough in rough_path()) {
        if let Ok(ours) = CanonicalUrl::parse(&format!("https://h.example/{rough}")) {
            let theirs = url::Url::parse(&ours.to_string()).unwrap();
            prop_assert_eq!(theirs.path(), ours.path());
            prop_assert_eq!(theirs.host_str(), Some(ours.host()));
            prop_assert!(theirs.fragment().is_none() && theirs.username().is_empty());
            let pairs: Vec<_> = ours.query_pairs().collect();
            let theirs: Vec<_> = theirs.query_pairs().filter(|(n, v)| !n.is_empty() || !v.is_empty()).collect();
            let pairs: Vec<_> = pairs.into_iter().filter(|(n, v)| !n.is_empty() || !v.is_empty()).collect();
            prop_assert_eq!(theirs, pairs);
        }
    }

    /// By the grammar of RFC 3986, whose normal form it already is.
    #[test]
    fn a_strict_reader_finds_the_canonical_form_normal(rough in rough_path()) {
        if let Ok(ours) = CanonicalUrl::parse(&format!("https://h.example/{rough}")) {
            let text = ours.to_string();
            let strict = fluent_uri::Uri::parse(text.as_str()).expect("RFC 3986 allows it");
            prop_assert_eq!(strict.path().as_str(), ours.path());
            prop_assert_eq!(strict.query().map(|query| query.as_str()), ours.query());
            prop_assert!(!strict.has_fragment());
            let normal = strict.normalize();
            prop_assert_eq!(normal.as_str(), text.as_str());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,60}") {
        let _ = CanonicalUrl::parse(&text);
        let _ = CanonicalUrl::parse(&format!("https://{text}"));
    }

    #[test]
    fn a_joined_url_is_below_its_base(rough in rough_path(), base in "(/[ab]{1,2}){0,2}/?") {
        let base = CanonicalUrl::parse(&format!("https://h.example{base}")).unwrap();
        let (path, query) = match rough.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rough.as_str(), None),
        };
        if let Ok(url) = CanonicalUrl::join(&base, path, query) {
            prop_assert!(url.is_below(&base), "{} is not below {}", url, base);
            prop_assert!(!url.path().split('/').any(|s| s == ".." || s == "."));
            prop_assert_eq!(CanonicalUrl::parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn a_pattern_means_what_it_says(
        pattern in "/[ab/*]{0,8}(/\\*\\*)?",
        path in "(/[ab]{1,3}){0,4}/?",
    ) {
        let Ok(glob) = ah5_policy::glob::Glob::compile(&pattern) else { return Ok(()) };
        // Three stars mean two.
        let mut plain = pattern.clone();
        while plain.contains("***") {
            plain = plain.replace("***", "**");
        }
        prop_assert_eq!(
            glob.matches(&path),
            reference(plain.as_bytes(), path.as_bytes()),
            "{} on {}", pattern, path
        );
    }

    #[test]
    fn what_no_entry_covers_is_denied(rough in rough_path(), host in "[a-c]\\.example") {
        let policy = compile(&json!([entry("https://a.example/a", "/a/*")]));
        let Ok(url) = CanonicalUrl::parse(&format!("https://{host}/{rough}")) else {
            return Ok(());
        };
        let facts = Facts::new(Method::Get, &url, 0);
        let segments: Vec<&str> = url.path().split('/').collect();
        let covered = url.host() == "a.example" && segments.len() == 3 && segments[1] == "a";
        prop_assert_eq!(policy.decide(&facts).is_allowed(), covered, "{}", url);
        let write = Facts { method: Method::Post, ..facts };
        prop_assert!(!policy.decide(&write).is_allowed());
    }

    #[test]
    fn another_policy_never_loosens_the_strictest(path in "(/[ab]{1,2}){1,3}") {
        let url = CanonicalUrl::parse(&format!("https://a.example{path}")).unwrap();
        let facts = Facts::new(Method::Get, &url, 0);
        let narrow = compile(&json!([entry("https://a.example", "/a/**")]));
        let custom = CompiledPolicy::compile(&PolicySource {
            allowed_models: &["B".to_owned()],
            allowlists: &json!([entry("https://a.example", "/**")]),
            default_mode: "custom",
            plain_http: HTTPS_ONLY,
            provider_constraints: None,
            rate_limits: None,
            rules: &json!({}),
            step_up: "never",
            time_windows: &json!([]),
        }).unwrap();
        prop_assert!(!decide_all([&narrow, &custom], &facts).decision.is_allowed());
        prop_assert!(!decide_all([&custom, &narrow], &facts).decision.is_allowed());
    }
}
