//! What deciding and compiling cost, and what a compiled policy weighs.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]

use std::hint::black_box;

use ah5_contracts::policy::Method;
use ah5_policy::compile::HTTPS_ONLY;
use ah5_policy::{Body, CanonicalUrl, CompiledPolicy, Facts, Patterns, PolicySource, decide_all};
use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

/// `count` rules of which none matches but the last: a third of them patterns that need the
/// engine, half of those the same for every policy. With `body`, one reads the body.
fn rules(count: usize, policy: usize, body: bool) -> Value {
    let rule = |i: usize| {
        let found = match (i + 1 == count, i % 3) {
            (true, _) => json!({}),
            (_, 0) if i.is_multiple_of(2) => {
                json!({"methods": ["POST"], "urlPattern": format!("^/v1/(users|groups)/{i}(/|$)")})
            }
            (_, 0) => {
                json!({"methods": ["POST"], "urlPattern": format!("^/v1/p{policy}/[a-z]+/{i}$")})
            }
            (_, 1) => json!({"methods": ["POST", "PUT"], "urlPattern": format!("^/v1/things/{i}")}),
            _ => json!({"methods": ["DELETE"]}),
        };
        json!({"label": format!("rule {i}"), "match": found, "action": "deny"})
    };
    let mut rules: Vec<Value> = (0..count).map(rule).collect();
    rules[count - 1]["action"] = json!("allow");
    if body {
        rules[count / 2] = json!({"label": "body", "action": "deny", "match": {"methods": ["POST"],
            "body": [{"path": "message.recipient", "op": "in", "value": ["a@x.example", "b@x.example"]}]}});
    }
    json!({"request": rules, "response": []})
}

fn compile(rules: &Value, patterns: &mut Patterns) -> CompiledPolicy {
    let allowlists = json!([{"baseUrl": "https://api.example.com", "methods": ["GET", "POST"],
                             "pathPatterns": ["/v1/**"]}]);
    let source = PolicySource {
        allowed_models: &["B".to_owned()],
        allowlists: &allowlists,
        default_mode: "custom",
        plain_http: HTTPS_ONLY,
        provider_constraints: None,
        rate_limits: None,
        rules,
        step_up: "never",
        time_windows: &json!([]),
    };
    CompiledPolicy::compile_with(&source, patterns).unwrap()
}

/// About a kibibyte.
fn message() -> String {
    let text = "some words of a message ".repeat(38);
    json!({"message": {"recipient": "c@y.example", "subject": "hello", "text": text}}).to_string()
}

fn decide(c: &mut Criterion) {
    let url = CanonicalUrl::parse("https://api.example.com/v1/messages/send").unwrap();
    let text = message();
    let body = Body::new(text.as_bytes(), Some("application/json"));
    c.bench_function("read a 1 KiB body", |b| b.iter(|| black_box(body).read()));
    for count in [5, 20, 200] {
        for with_body in [false, true] {
            let policy = compile(&rules(count, 0, with_body), &mut Patterns::default());
            let facts = Facts::new(Method::Post, &url, 1_772_409_600).with_body(body);
            assert!(policy.decide(&facts).is_allowed());
            let name = format!(
                "decide {count} rules{}",
                if with_body {
                    ", one reads the body"
                } else {
                    ""
                }
            );
            c.bench_function(&name, |b| {
                b.iter(|| decide_all([black_box(&policy)], &facts))
            });
        }
    }
}

fn compiling(c: &mut Criterion) {
    let stored = rules(20, 0, true);
    c.bench_function("compile 20 rules, new patterns", |b| {
        b.iter(|| compile(&stored, &mut Patterns::default()));
    });
    let mut patterns = Patterns::default();
    let _held = compile(&stored, &mut patterns);
    c.bench_function("compile 20 rules, known patterns", |b| {
        b.iter(|| compile(&stored, &mut patterns));
    });
    weigh();
}

/// By the process's resident memory, over enough policies for pages not to matter. All patterns are
/// shared, so this is what a policy weighs beyond them.
fn weigh() {
    const POLICIES: usize = 20_000;
    let stored = rules(20, 0, true);
    let mut patterns = Patterns::default();
    let mut held = vec![compile(&stored, &mut patterns)];
    held.reserve(POLICIES);
    let before = resident();
    held.extend((0..POLICIES).map(|_| compile(&stored, &mut patterns)));
    let each = (resident() - before) / POLICIES;
    println!("a policy of 20 rules weighs {each} bytes beyond its patterns");
    black_box(held);
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = decide, compiling
}
criterion_main!(benches);
