use serde_json::json;

use super::*;

fn matches(pattern: &str, text: &str) -> bool {
    Pattern::compile(pattern)
        .unwrap_or_else(|e| panic!("{e}"))
        .is_match(text)
}

#[test]
fn the_dialect_means_what_it_means_in_a_browser() {
    for (pattern, text, expected) in [
        ("/labels", "/me/labels/7", true),
        ("/labels$", "/me/labels/7", false),
        ("/v1.0/me", "/v1x0/me", true),
        ("^/a$", "/a\n", false),
        ("", "anything", true),
        ("^$", "", true),
        ("^$", "x", false),
        ("a.b", "a\nb", false),
        ("a.b", "a\u{2028}b", false),
        ("a.b", "aéb", true),
        ("^\\d+$", "١٢", false),
        ("^\\w+$", "é", false),
        ("^\\W$", "é", true),
        ("^\\s$", "\u{feff}", true),
        ("^\\S$", "\u{3000}", false),
        ("\\bpin\\b", "épin é", true),
        ("(?i)\\.exe$", "RUN.EXE", true),
        ("(?i)k", "\u{212a}", false),
        ("(?i)[a-c]é", "BÉ", true),
        ("(?i)[^k]", "K", false),
        ("{", "{", true),
        ("a{,3}", "a{,3}", true),
        ("a{2}", "aa", true),
        ("a{2}", "a", false),
        ("}]", "}]", true),
        ("^[[a]$", "[", true),
        ("^[a&&b]$", "&", true),
        ("^[+--]$", ",", true),
        ("^[\\w-.]$", "-", true),
        ("^[\\s\\S]$", "\u{1f600}", true),
        ("^[^\\W\\d]$", "a", true),
        ("^[^\\W\\d]$", "1", false),
        ("[]", "a", false),
        ("^[^]$", "\n", true),
        ("^[\\b]$", "\u{8}", true),
        ("\\/\\<", "/<", true),
        ("\\x41\\u0042\\cJ\\0", "AB\n\0", true),
        ("\\uD83D\\uDE00", "😀", true),
        ("[\\uD800-\\uDFFF]", "😀", true),
        ("(?<year>\\d{4})-x", "2026-x", true),
        ("(a|b)+?c", "abac", true),
        ("\\$body", "$body", true),
        ("a#b c", "a#b c", true),
    ] {
        assert_eq!(matches(pattern, text), expected, "{pattern} on {text:?}");
    }
}

#[test]
fn what_cannot_run_in_linear_time_is_refused_by_name() {
    for (pattern, why) in [
        ("^(?=.*a)b", "look-around"),
        ("(?!a)", "look-around"),
        ("(?<=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        ("(a)\\1", "back-references"),
        ("(?<n>a)\\k<n>", "back-references"),
        ("[bad", "class"),
        ("[z-a]", "class"),
        ("/x(?i)y", "invalid group"),
        ("(?P<n>a)", "invalid group"),
        ("(a", "parenthesis"),
        ("a)", "parenthesis"),
        ("*a", "nothing to repeat"),
        ("a**", "nothing to repeat"),
        ("a+{2}", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        ("{2}", "nothing to repeat"),
        ("a{3,2}", "out of order"),
        ("a{99999999999}", "out of order"),
        ("\\p{L}", "\\p"),
        ("\\B", "\\B"),
        ("\\c", "\\c"),
        ("\\012", "octal"),
        ("\\", "backslash"),
        ("\\uD800", "surrogate"),
        ("(?:[a-z0-9]{1000}){1000}", "too large"),
    ] {
        let error = Pattern::compile(pattern).unwrap_err().to_string();
        assert!(error.starts_with("invalid regex — "), "{error}");
        assert!(error.contains(why), "{pattern}: {error}");
    }
    assert!(Pattern::compile(&"(".repeat(200)).is_err());
    assert!(Pattern::compile(&"a".repeat(MAX_PATTERN + 1)).is_err());
}

#[test]
fn equal_patterns_are_one_object_while_anyone_holds_them() {
    let mut patterns = Patterns::default();
    let a = patterns.compile("^/v1/[a-z]+$", false).unwrap();
    let b = patterns.compile("^/v1/[a-z]+$", false).unwrap();
    assert!(Arc::ptr_eq(&a, &b));
    let folded = patterns.compile("^/v1/[a-z]+$", true).unwrap();
    assert!(folded.is_match("/V1/X") && !a.is_match("/V1/X"));
    drop((a, b));
    assert_eq!(patterns.len(), 1);
}

#[test]
fn literal_patterns_need_no_engine_and_anchored_ones_fail_early() {
    for pattern in ["/x", "^/x", "/x$", "^/x$", "^/v1\\.0/me", "", "^"] {
        let form = Pattern::compile(pattern).unwrap().form;
        assert!(!matches!(form, Form::Regex { .. }), "{pattern}: {form:?}");
    }
    for (pattern, expected) in [
        ("^/v1/pages(/|$)", vec!["/v1/pages/", "/v1/pages"]),
        (
            "^/v1/(users|groups)/7(/|$)",
            vec![
                "/v1/users/7/",
                "/v1/users/7",
                "/v1/groups/7/",
                "/v1/groups/7",
            ],
        ),
        ("^/p/[a-z]+/x$", vec!["/p/"]),
        ("^/a|/b", vec![]),
        ("/a|^/b", vec![]),
    ] {
        match Pattern::compile(pattern).unwrap().form {
            Form::Regex { prefixes, .. } => {
                let prefixes: Vec<&str> = prefixes.iter().map(|p| &**p).collect();
                assert_eq!(prefixes, expected, "{pattern}");
            }
            other => panic!("{pattern}: {other:?}"),
        }
    }
}

#[test]
fn a_hostile_pattern_costs_no_more_than_a_scan() {
    // A backtracking engine would not finish this in the life of the machine.
    let text = format!("{}!", "a".repeat(20_000));
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){20}$"] {
        assert!(!matches(pattern, &text), "{pattern}");
    }
}

#[test]
fn what_becomes_too_large_is_told_before_it_is_built() {
    assert!(Pattern::compile("(a{1,200}){1,200}").is_err());
    let mut patterns = Patterns::default();
    let large = |number: u32| format!("[^a]{{1,300}}d{number}");
    let fits = (0..100).take_while(|number| patterns.compile(&large(*number), false).is_ok());
    let fits = fits.count();
    assert!((5..30).contains(&fits), "{fits}");
    // Known or not, it is in this policy as well.
    let mut patterns = Patterns::default();
    let again = (0..100).take_while(|_| patterns.compile(&large(0), false).is_ok());
    assert_eq!(again.count(), fits);
    patterns.begin_policy();
    assert!(patterns.compile(&large(0), false).is_ok());
    // As many as people write fit in.
    patterns.begin_policy();
    for number in 0..500 {
        let usual = format!("^/v1/(users|groups)/[0-9a-f-]+/item{number}(/|$)");
        patterns.compile(&usual, false).unwrap();
    }
}

#[test]
fn patterns_of_kinds_of_ones_own_count_too() {
    let redact: Vec<_> = (0..30)
        .map(|number| json!({"type": "custom", "pattern": format!("[^a]{{1,300}}d{number}")}))
        .collect();
    let rules = json!({"response": [{"match": {}, "filter": {"redact": redact}}]});
    let error = crate::compile::Rules::compile(&rules, &mut Patterns::default(), false);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("too large together"), "{error}");
}
