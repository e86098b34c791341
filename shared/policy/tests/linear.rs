//! Twice the input costs about twice the instructions, whatever it is made of. Counted by valgrind,
//! so that a busy machine changes nothing; `.ci/prerequisites test` installs it. Valgrind does not run
//! on every system: off Linux, where it is missing, this test says that it counted nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use ah5_contracts::policy::Method;
use ah5_policy::compile::Rules;
use ah5_policy::glob::Glob;
use ah5_policy::pattern::Pattern;
use ah5_policy::pii::PiiType;
use ah5_policy::response::{FilterSource, ResponseFilter, RuleFilter};
use ah5_policy::stream::StreamFilter;
use ah5_policy::{Body, CanonicalUrl, Patterns, Target};
use serde_json::json;

#[path = "../benches/callgrind.rs"]
mod callgrind;

use callgrind::{Counted, MISSING, counts};

fn main() {
    let mut operations = Vec::new();
    for unit in URLS {
        pair(&mut operations, "url", unit, 600, |text| {
            let url = format!("https://h.example/{text}");
            move || CanonicalUrl::parse(&url).is_ok()
        });
    }
    for pattern in GLOBS {
        pair(&mut operations, pattern, "a", 600, move |text| {
            let glob = Glob::compile(pattern).unwrap();
            let path = format!("/{text}");
            move || glob.matches(&path)
        });
    }
    for pattern in PATTERNS {
        pair(&mut operations, pattern, "a", 1500, move |text| {
            let pattern = Pattern::compile(pattern).unwrap();
            move || pattern.is_match(&text)
        });
    }
    for unit in BODIES {
        pair(&mut operations, "body", unit, 1500, body);
    }
    let rules = everything();
    for (kind, units) in [
        ("text/plain", TEXTS.as_slice()),
        ("text/event-stream", &TEXTS[..FEW]),
        ("application/x-ndjson", &TEXTS[..FEW]),
        ("application/json", &TEXTS[..FEW]),
    ] {
        for unit in units {
            let make = |text: String| filtered(Arc::clone(&rules), kind, &text);
            pair(&mut operations, kind, unit, 1200, make);
        }
    }
    let Some(counted) = counts(operations) else {
        assert_ne!(
            std::env::consts::OS,
            "linux",
            "{MISSING}: run .ci/prerequisites test"
        );
        println!("{MISSING}: nothing was tested here");
        return;
    };
    let mut too_much = Vec::new();
    for two in counted.chunks(2) {
        let (name, once, twice) = (&two[0].0, two[0].1, two[1].1);
        // What is the same for any input is not held against a small one.
        if twice * 2 > once * 5 + ALLOWANCE {
            too_much.push(format!("{name}: {once}, then {twice}"));
        }
    }
    assert!(
        too_much.is_empty(),
        "more than linear:\n{}",
        too_much.join("\n")
    );
    println!("{} inputs, none costs more than linear", counted.len() / 2);
}

/// The operation on `size` bytes and on twice as many.
fn pair<F: FnMut() -> T + 'static, T>(
    into: &mut Vec<Counted>,
    what: &str,
    unit: &str,
    size: usize,
    make: impl Fn(String) -> F,
) {
    for size in [size, size * 2] {
        let text = unit.repeat(size / unit.len());
        into.push(Counted::new(format!("{what} of {unit:?}"), make(text)));
    }
}

/// Conditions of every kind over a body that is a text, and one that is not JSON.
fn body(text: String) -> impl FnMut() {
    let conditions = json!([
        {"path": "$body", "op": "contains", "value": "needle"},
        {"path": "a.b.c", "op": "eq", "value": "x"},
        {"path": "$prompt_text", "op": "matches", "value": "(x+x+)+y"},
    ]);
    let rule = |condition| json!({"match": {"body": [condition]}, "action": "deny"});
    let rules: Vec<_> = conditions.as_array().unwrap().iter().map(rule).collect();
    let rules = json!({"request": rules});
    let rules = Rules::compile(&rules, &mut Patterns::default(), false).unwrap();
    let url = CanonicalUrl::parse("https://h.example/").unwrap();
    let bodies = [json!({"messages": [{"content": text}]}).to_string(), text];
    move || {
        for body in &bodies {
            let body = Body::new(body.as_bytes(), Some("application/json"));
            let _ = rules
                .request
                .evaluate(&Target::new(Method::Post, &url), body, None);
        }
    }
}

fn everything() -> Arc<ResponseFilter> {
    let all = [PiiType {
        name: "all_pii",
        pattern: None,
    }];
    let source = FilterSource {
        redact: &all,
        ..FilterSource::default()
    };
    let rule = Arc::new(RuleFilter::compile(&source).unwrap());
    Arc::new(ResponseFilter::new(vec![rule]))
}

/// An answer of this kind around the text, streamed through everything that may be taken out.
fn filtered(
    rules: Arc<ResponseFilter>,
    kind: &'static str,
    text: &str,
) -> impl FnMut() -> Vec<u8> + use<> {
    let answer = match kind {
        "text/event-stream" => events(text),
        "application/x-ndjson" => lines(text),
        "application/json" => json!({"a": text, "b": [text]}).to_string(),
        _ => format!("t {text}"),
    };
    move || {
        let mut stream = StreamFilter::new(rules.clone(), Some(kind), 1 << 20);
        let mut out = Vec::new();
        for piece in answer.as_bytes().chunks(100) {
            let _ = stream.push(piece, &mut out);
        }
        let _ = stream.finish(&mut out);
        out
    }
}

fn pieces(text: &str) -> impl Iterator<Item = String> {
    let chars: Vec<char> = text.chars().collect();
    let chunks: Vec<String> = chars
        .chunks(50)
        .map(|chunk| chunk.iter().collect())
        .collect();
    chunks.into_iter()
}

fn events(text: &str) -> String {
    let event = |text| {
        json!({"object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": {"content": text}}]})
    };
    pieces(text)
        .map(|text| format!("data: {}\n\n", event(text)))
        .collect()
}

fn lines(text: &str) -> String {
    pieces(text)
        .map(|text| format!("{}\n", json!({"a": text})))
        .collect()
}

/// Instructions that any call may cost.
const ALLOWANCE: u64 = 50_000;

const URLS: [&str; 6] = ["a/", "a/../", "%2e/", "%41", "?a=1&", "é"];
const GLOBS: [&str; 3] = ["/**a**a**a**b", "/*a*a*a*a*b", "/**/a/**/b/**"];
const PATTERNS: [&str; 3] = ["(a+a+)+b", "^(a|aa)*$b", "a.*a.*a.*b"];
const BODIES: [&str; 6] = ["a", "[", "{\"a\":", "\\u0061", "x+x", "\"a\","];
/// What kinds of personal data begin with, over and over.
const TEXTS: [&str; 16] = [
    "a",
    "a ",
    "1",
    "1 ",
    "1-",
    "a@",
    "@",
    ".",
    "a.",
    "(",
    ":",
    "fe80:",
    "password: ",
    "&#64;",
    "\u{200b}",
    "%40",
];
/// How many of them are tried in every kind of answer.
const FEW: usize = 5;
