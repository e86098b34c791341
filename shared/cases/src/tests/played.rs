//! The player with the real product. It must not be able to call a wrong answer right, so most of
//! these lines are made to fail.

use super::*;

/// The product is started once: all lines are one file.
#[test]
fn lines_are_judged_by_what_the_running_product_did() {
    let lines = lines();
    let text: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
    let mut player = Player::of(&text).unwrap();
    let report = Report::of(&text, &mut player);
    player.stop().unwrap();
    for (what, line) in &lines {
        let name = line["name"].as_str().unwrap();
        let failed = report.failed.iter().find(|(failed, _)| failed == name);
        let said = failed.map(|(_, why)| why.to_string());
        match (what, said) {
            (None, None) => {}
            (Some(member), Some(said)) => assert!(said.starts_with(member), "{name}: {said}"),
            (_, said) => panic!("{name}: {said:?}"),
        }
    }
    assert_eq!(report.passed + report.failed.len(), lines.len());
}

/// Each with what is wrong with it, if anything.
fn lines() -> Vec<(Option<&'static str>, Value)> {
    let denied = stored("decision: deny rule body");
    let redacted = stored("decision: json response redacted");
    let merged = stored("decision: query object overrides the query in the URL");
    let mut number = 0;
    let mut with = |of: &Value, changes: Value| {
        number += 1;
        let mut line = of.clone();
        line["name"] = format!("line {number} of {}", of["name"]).into();
        for (pointer, value) in changes.as_object().unwrap() {
            let (parent, member) = pointer.rsplit_once('/').unwrap();
            line.pointer_mut(parent).unwrap()[member] = value.clone();
        }
        line
    };
    let bad_pattern = json!({"request": [{"match": {"urlPattern": "("}, "action": "allow"}],
                             "response": []});
    let refused = json!({"/policy/rules": bad_pattern, "/expect": {"invalidAtValidation": true}});
    let ok = json!({"http": 200, "outcome": "executed", "body": {"ok": true},
                    "upstreamHeaders": {"Notion-Version": "2022-06-28"},
                    "upstreamHeadersAbsent": ["x-ah5-session-key"]});
    vec![
        (None, with(&denied, json!({}))),
        (None, with(&redacted, json!({}))),
        (None, with(&merged, json!({}))),
        (None, with(&denied, refused)),
        (None, with(&merged, json!({"/expect": ok}))),
        (
            None,
            with(
                &merged,
                json!({"/policy/timeWindows": "__closed_utc__",
                       "/expect": {"http": 403, "outcome": "denied"}}),
            ),
        ),
        (
            Some("outcome: "),
            with(&denied, json!({"/expect": {"outcome": "executed"}})),
        ),
        (
            Some("outcome: "),
            with(&merged, json!({"/expect": {"outcome": "denied"}})),
        ),
        (
            Some("body: "),
            with(&redacted, json!({"/expect/body": {"e": "a@b.io"}})),
        ),
        (
            Some("upstreamUrl: "),
            with(
                &merged,
                json!({"/expect/upstreamUrl": "https://api.notion.com/"}),
            ),
        ),
        (
            Some("upstreamHeaders: "),
            with(
                &merged,
                json!({"/expect/upstreamHeaders": {"notion-version": "1"}}),
            ),
        ),
        (
            Some("upstreamHeadersAbsent: "),
            with(
                &merged,
                json!({"/expect/upstreamHeadersAbsent": ["Authorization"]}),
            ),
        ),
        (
            Some("upstreamHeadersAbsent: "),
            with(
                &denied,
                json!({"/expect/upstreamHeadersAbsent": ["authorization"]}),
            ),
        ),
        (
            Some("reason: "),
            with(&denied, json!({"/expect/reason": "Guard: No"})),
        ),
        (
            Some("invalidAtValidation: "),
            with(&denied, json!({"/expect": {"invalidAtValidation": true}})),
        ),
        (
            Some("a policy has no member mood"),
            with(&denied, json!({"/policy/mood": "mild"})),
        ),
        (
            Some("a request has no member mood"),
            with(&denied, json!({"/request/mood": "mild"})),
        ),
        // Listed as answered otherwise on purpose.
        (
            Some("error: expected \"Request body is too large\""),
            stored("decision: one-mebibyte request cap in front of everything"),
        ),
    ]
}

fn stored(name: &str) -> Value {
    let lines = FILE.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut found = lines.filter(|line: &Value| line["name"] == name);
    found.next().unwrap()
}
