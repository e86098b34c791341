use serde_json::json;

use super::*;
use crate::body::Body;
use crate::pattern::Patterns;

fn scan(kind: &str, fields: &[&str]) -> Scan {
    Scan::compile(
        &json!({"types": [{"type": kind}], "fields": fields}),
        "pii",
        &mut Patterns::default(),
    )
    .unwrap()
}

fn found(scan: &Scan, body: &str) -> Vec<(String, String)> {
    let body = Reading::new(Body::new(body.as_bytes(), None));
    let matches = scan.find(&body).into_iter();
    matches.map(|m| (m.field, m.excerpt)).collect()
}

#[test]
fn fields_name_every_place_that_they_reach() {
    for (field, body, places) in [
        ("t", "{\"t\":\"a@b.io\"}", vec!["t"]),
        ("t", "{\"T\":\"a@b.io\"}", vec!["T"]),
        (
            "[*].t",
            "[{\"t\":\"a@b.io\"},{\"u\":\"a@b.io\"}]",
            vec!["[0].t"],
        ),
        (
            "a[*][*]",
            "{\"a\":[[\"a@b.io\"],[\"x\",\"c@d.io\"]]}",
            vec!["a[0][0]", "a[1][1]"],
        ),
        (
            "m[*].c",
            "{\"m\":[{\"c\":[{\"type\":\"input_text\",\"text\":\"a@b.io\"}]}]}",
            vec!["m[0].c[0].text"],
        ),
        ("m[*].c", "{\"m\":{\"c\":\"a@b.io\"}}", vec!["m.c"]),
        ("m.c", "{\"m\":[{\"c\":\"a@b.io\"}]}", vec!["m[0].c"]),
        ("t", "{\"u\":\"a@b.io\"}", vec![]),
        (
            "$body",
            "{\"u\":{\"v\":\"a@b.io\"},\"c@d.io\":1}",
            vec!["$body", "$body"],
        ),
        ("$body", "mail a@b.io", vec!["$body"]),
    ] {
        let got: Vec<String> = found(&scan("email", &[field]), body)
            .into_iter()
            .map(|f| f.0)
            .collect();
        assert_eq!(got, places, "{field} in {body}");
    }
}

#[test]
fn numbers_and_disguised_texts_are_looked_at() {
    assert_eq!(
        found(&scan("credit_card", &["c"]), "{\"c\":4111111111111111}").len(),
        1
    );
    assert_eq!(
        found(
            &scan("us_ssn", &["t"]),
            "{\"t\":\"SSN 123\u{200b}-45-6789\"}"
        )
        .len(),
        1
    );
    assert_eq!(
        found(&scan("us_ssn", &["t"]), "{\"t\":\"SSN １２３-45-6789\"}").len(),
        1
    );
}

#[test]
fn an_excerpt_shows_forty_characters_on_either_side() {
    let text = format!(
        "{{\"t\":\"{} a@b.io {}\"}}",
        "é".repeat(50),
        "😀".repeat(50)
    );
    let (_, excerpt) = found(&scan("email", &["t"]), &text).remove(0);
    assert_eq!(
        excerpt,
        format!("...{} a@b.io {}...", "é".repeat(39), "😀".repeat(19))
    );
}

#[test]
fn custom_patterns_speak_the_dialect_of_rules() {
    let types = json!([{"type": "email"}, {"type": "custom", "pattern": "(?i)acct-\\d{4}"}]);
    let scan = Scan::compile(
        &json!({"types": types, "fields": ["a"]}),
        "pii",
        &mut Patterns::default(),
    )
    .unwrap();
    let body = Reading::new(Body::new(b"{\"a\":\"ACCT-1234\"}", None));
    assert_eq!(scan.find(&body)[0].kind, "custom_1");
    for (types, path) in [
        (
            json!([{"type": "custom", "pattern": "(?=x)"}]),
            "pii/types/0/pattern",
        ),
        (json!([{"type": "custom"}]), "pii/types/0/pattern"),
        (
            json!([{"type": "email"}, {"type": "shoe_size"}]),
            "pii/types/1/type",
        ),
        (json!([]), "pii/types"),
    ] {
        let error = Scan::compile(
            &json!({"types": types, "fields": ["a"]}),
            "pii",
            &mut Patterns::default(),
        )
        .unwrap_err();
        assert_eq!(error.path, path);
    }
}
