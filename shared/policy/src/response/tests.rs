use super::*;

mod encoded;

fn types<'a>(names: &[&'a str]) -> Vec<PiiType<'a>> {
    let of = |name: &&'a str| PiiType {
        name,
        pattern: None,
    };
    names.iter().map(of).collect()
}

fn rule(allow: Option<&[&str]>, deny: Option<&[&str]>, redact: &[&str]) -> Arc<RuleFilter> {
    let source = FilterSource {
        allow_fields: allow,
        deny_fields: deny,
        redact: &types(redact),
        ..FilterSource::default()
    };
    Arc::new(RuleFilter::compile(&source).unwrap())
}

fn filter(rules: Vec<Arc<RuleFilter>>, body: &str) -> String {
    run(rules, Some("application/json"), body.as_bytes()).unwrap()
}

fn run(
    rules: Vec<Arc<RuleFilter>>,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<String, Unfilterable> {
    let filtered = ResponseFilter::new(rules).body(content_type, body)?;
    Ok(String::from_utf8(filtered.unwrap_or_else(|| body.to_vec())).unwrap())
}

fn redact(body: &str) -> String {
    filter(
        vec![rule(None, None, &["email", "us_ssn", "credit_card"])],
        body,
    )
}

#[test]
fn a_list_of_members_to_keep_concerns_the_top_level() {
    let keep = |names: &[&str], body| filter(vec![rule(Some(names), None, &[])], body);
    assert_eq!(keep(&["n"], r#"{"n":{"s":1},"s":2}"#), r#"{"n":{"s":1}}"#);
    assert_eq!(
        keep(&["n"], r#"[{"n":1,"s":2},{"s":3}]"#),
        r#"[{"n":1},{}]"#
    );
    assert_eq!(keep(&["n"], r#"{"items":[{"n":1}]}"#), "{}");
    assert_eq!(keep(&["a.b"], r#"{"a":{"b":1}}"#), "{}");
    assert_eq!(keep(&[], r#"{"a":1, "b":2}"#), "{}");
    assert_eq!(keep(&["b"], r#"{ "a":1, "b":2 , "c":[] }"#), r#"{ "b":2 }"#);
    assert_eq!(keep(&["a"], "42"), "42");
    let both = rule(Some(&["a"]), Some(&["a"]), &[]);
    assert_eq!(filter(vec![both], r#"{"a":1,"b":2}"#), r#"{"a":1}"#);
}

#[test]
fn several_rules_all_apply() {
    let rules = vec![
        rule(Some(&["a", "b"]), None, &[]),
        rule(Some(&["b", "c"]), None, &[]),
        rule(None, Some(&["x"]), &["email"]),
    ];
    let body = r#"{"a":1,"b":{"x":1,"m":"a@b.io"},"c":3}"#;
    assert_eq!(filter(rules, body), r#"{"b":{"m":"[REDACTED]"}}"#);
}

#[test]
fn a_member_to_drop_goes_at_every_depth_and_in_every_spelling() {
    let drop = |body| filter(vec![rule(None, Some(&["phone"]), &[])], body);
    assert_eq!(
        drop(r#"{"phone":1,"a":[{"phone":2,"m":3}]}"#),
        r#"{"a":[{"m":3}]}"#
    );
    assert_eq!(drop(r#"{"\u0070hone":1,"Phone":2}"#), r#"{"Phone":2}"#);
    assert_eq!(
        drop(r#"{"phone":1,"phone":{"a":[]},"b":2,"phone":3}"#),
        r#"{"b":2}"#
    );
    assert_eq!(drop(r#"[[{"phone":[1,{"x":"]"}]}]]"#), "[[{}]]");
}

#[test]
fn what_stays_is_copied_byte_for_byte() {
    let body = "{ \"n\" : 1e400, \"big\":123456789012345678901234567890.10 ,\r\n\"a\":\"\\u00e9\\/\", \"a\":[ ] }";
    assert_eq!(redact(body), body);
    let deep = "[".repeat(9_000) + &"]".repeat(9_000);
    assert_eq!(redact(&deep), deep);
}

#[test]
fn strings_numbers_and_names_are_all_looked_at() {
    assert_eq!(
        redact(r#"{"e":"to a@b.io","n":1}"#),
        r#"{"e":"to [REDACTED]","n":1}"#
    );
    assert_eq!(redact(r#"{"a@b.io":1}"#), r#"{"[REDACTED]":1}"#);
    assert_eq!(
        redact(r#"{"card":4111111111111111}"#),
        r#"{"card":"[REDACTED]"}"#
    );
    assert_eq!(redact(r#"{"ssn":123456789}"#), r#"{"ssn":"[REDACTED]"}"#);
    assert_eq!(redact(r#"{"id":123456789}"#), r#"{"id":123456789}"#);
    assert_eq!(
        redact(r#"{"ssn":["123456789"]}"#),
        r#"{"ssn":["[REDACTED]"]}"#
    );
    assert_eq!(redact(r#""mail a\u0040b.io\n""#), r#""mail [REDACTED]\n""#);
    assert_eq!(
        redact(r#"{"m":"alice@exam<wbr>ple.com!"}"#),
        r#"{"m":"[REDACTED]!"}"#
    );
}

#[test]
fn an_own_pattern_sees_short_numbers_too() {
    let types = [PiiType {
        name: "custom",
        pattern: Some(r"\b\d{4}\b"),
    }];
    let source = FilterSource {
        redact: &types,
        ..FilterSource::default()
    };
    let rule = Arc::new(RuleFilter::compile(&source).unwrap());
    assert_eq!(
        filter(vec![rule], r#"[1234,12345,12.5]"#),
        r#"["[REDACTED]",12345,12.5]"#
    );
}

#[test]
fn json_inside_a_string_stays_json() {
    let body = r#"{"arguments":"{\"to\":\"a\\u0040b.io\",\"card\":4111111111111111}"}"#;
    let left = r#"{"arguments":"{\"to\":\"[REDACTED]\",\"card\":\"[REDACTED]\"}"}"#;
    assert_eq!(redact(body), left);
}

#[test]
fn the_first_types_replacement_stands_for_all() {
    let source = FilterSource {
        redact: &types(&["email", "us_ssn"]),
        replacement: Some("<1>"),
        ..FilterSource::default()
    };
    let rule = Arc::new(RuleFilter::compile(&source).unwrap());
    let body = r#"{"m":"a@b.io SSN 123-45-6789"}"#;
    assert_eq!(filter(vec![rule], body), r#"{"m":"<1> SSN <1>"}"#);
}

#[test]
fn text_is_redacted_and_json_under_a_text_type_is_json() {
    let run = |content_type, body: &str| {
        run(
            vec![rule(None, None, &["email"])],
            content_type,
            body.as_bytes(),
        )
        .unwrap()
    };
    assert_eq!(run(Some("text/plain"), "mail a@b.io"), "mail [REDACTED]");
    assert_eq!(
        run(Some("text/csv; charset=utf-8"), "x,a@b.io\r\n"),
        "x,[REDACTED]\r\n"
    );
    assert_eq!(run(None, "mail a@b.io"), "mail [REDACTED]");
    assert_eq!(
        run(Some("text/html"), r#" {"a":"a\u0040b.io"}"#),
        r#" {"a":"[REDACTED]"}"#
    );
    assert_eq!(
        run(Some("application/octet-stream"), "a@b.io"),
        "[REDACTED]"
    );
    assert_eq!(
        run(Some("application/vnd.x+json"), r#"["a@b.io"]"#),
        r#"["[REDACTED]"]"#
    );
}

#[test]
fn what_cannot_be_filtered_says_why() {
    let fails = |rule: Arc<RuleFilter>, content_type, body: &[u8]| {
        run(vec![rule], Some(content_type), body).unwrap_err()
    };
    let email = || rule(None, None, &["email"]);
    let deny = || rule(None, Some(&["x"]), &[]);
    for bad in [
        "{",
        "{\"a\":01}",
        "[1,]",
        "{} {}",
        "\"\u{1}\"",
        "\"\\x\"",
        "nul",
        "{\"a\" 1}",
        "ok",
    ] {
        assert_eq!(
            fails(email(), "application/json", bad.as_bytes()),
            Unfilterable::Malformed,
            "{bad}"
        );
    }
    let too_deep = "[".repeat(20_000) + &"]".repeat(20_000);
    assert_eq!(
        fails(email(), "application/json", too_deep.as_bytes()),
        Unfilterable::Malformed
    );
    assert_eq!(
        fails(deny(), "application/json", too_deep.as_bytes()),
        Unfilterable::Malformed
    );
    assert_eq!(
        fails(email(), "application/json", b"\"\xff\""),
        Unfilterable::Malformed
    );
    assert_eq!(
        fails(deny(), "text/plain", b"x"),
        Unfilterable::FieldsOfText
    );
    assert_eq!(
        fails(email(), "text/plain", b"\xff a@b.io"),
        Unfilterable::NotUtf8
    );
    assert_eq!(
        fails(email(), "image/png", b"\x89PNG\r\n\x1a\n\0\0\xff"),
        Unfilterable::Binary
    );
    assert_eq!(
        fails(email(), "image/png", b"a@b.io"),
        Unfilterable::Mislabelled
    );
    assert_eq!(
        fails(email(), "image/png", b"\xff\xd8\xff\0"),
        Unfilterable::Mislabelled
    );
    assert_eq!(
        fails(email(), "image/png", b"\xfe\0\0"),
        Unfilterable::Unknown
    );
    assert_eq!(
        fails(email(), "application/octet-stream", b"%PDF-\xff\0"),
        Unfilterable::Unknown
    );
    assert_eq!(
        fails(email(), "application/pdf", b"%PDF-\xff /Encrypt"),
        Unfilterable::Encrypted
    );
    assert_eq!(
        fails(email(), "application/zip", b"PK\x03\x04\x14\0\x01\0\xff"),
        Unfilterable::Encrypted
    );
    assert_eq!(
        fails(email(), "text/plain; charset=utf-7", b"a+AEA-b.io"),
        Unfilterable::Mislabelled
    );
}

#[test]
fn the_strictest_rule_decides_what_becomes_of_it() {
    let of = |on_unfilterable| {
        let source = FilterSource {
            on_unfilterable,
            ..FilterSource::default()
        };
        Arc::new(RuleFilter::compile(&source).unwrap())
    };
    let action = |list: &[OnUnfilterable], why| {
        ResponseFilter::new(list.iter().map(|on| of(*on)).collect()).action(why)
    };
    use OnUnfilterable::{Approve, Pass, Refuse};
    assert_eq!(action(&[Pass], Unfilterable::Malformed), Pass);
    assert_eq!(action(&[Approve], Unfilterable::Binary), Approve);
    assert_eq!(action(&[Approve], Unfilterable::Encrypted), Refuse);
    assert_eq!(action(&[Pass, Approve], Unfilterable::Binary), Approve);
    assert_eq!(action(&[Pass, Refuse], Unfilterable::Binary), Refuse);
    assert_eq!(
        action(&[OnUnfilterable::default()], Unfilterable::Binary),
        Refuse
    );
}

#[test]
fn our_own_acting_links_never_pass() {
    let rules = || vec![Arc::new(RuleFilter::own_links(&["https://ah5.example/"]))];
    let json = |body| filter(rules(), body);
    assert_eq!(
        json(r#"{"b":"go to HTTPS://AH5.example/api/auth/reset-password/abc?x=1 now"}"#),
        r#"{"b":"go to [REDACTED] now"}"#
    );
    let passes = r#"{"b":"https://ah5.example/docs https://ah5.example.evil/reset-password/a"}"#;
    assert_eq!(json(passes), passes);
    assert_eq!(
        run(rules(), Some("image/png"), b"\xfe")
            .map_err(|why| ResponseFilter::new(rules()).action(why)),
        Err(OnUnfilterable::Pass)
    );
}

#[test]
fn a_coding_shows_in_the_first_bytes() {
    use content::{Coding, coding};
    assert_eq!(coding(b"\x1f\x8b\x08\0"), Some(Coding::Gzip));
    assert_eq!(coding(b"\x28\xb5\x2f\xfd"), Some(Coding::Zstd));
    assert_eq!(coding(b"{\"a\":1}"), None);
}
