//! What must hold for every answer, however odd and however cut.

use std::sync::Arc;

use ah5_policy::pii::{PiiType, Recognisers};
use ah5_policy::response::{FilterSource, ResponseFilter, RuleFilter, Unfilterable};
use ah5_policy::stream::StreamFilter;
use proptest::prelude::*;
use serde_json::{Value, json};

fn types<'a>(names: &[(&'a str, Option<&'a str>)]) -> Vec<PiiType<'a>> {
    let of = |(name, pattern): &(&'a str, Option<&'a str>)| PiiType {
        name,
        pattern: *pattern,
    };
    names.iter().map(of).collect()
}

fn filter(rules: &[FilterSource<'_>]) -> Arc<ResponseFilter> {
    let compile = |rule| Arc::new(RuleFilter::compile(rule).expect("the test's rule compiles"));
    Arc::new(ResponseFilter::new(rules.iter().map(compile).collect()))
}

/// Everything, in two rules, with a pattern of the policy's own.
fn everything() -> Arc<ResponseFilter> {
    let all = types(&[("all_pii", None)]);
    let own = types(&[("custom", Some("x[0-9]{2,4}\\b")), ("email", None)]);
    filter(&[
        FilterSource {
            redact: &own,
            replacement: Some("<own 1>"),
            ..FilterSource::default()
        },
        FilterSource {
            redact: &all,
            ..FilterSource::default()
        },
    ])
}

/// The stream's output for `cuts` (sizes of pieces, repeated as needed).
fn streamed(
    rules: &Arc<ResponseFilter>,
    kind: &str,
    body: &[u8],
    cuts: &[usize],
) -> Result<Vec<u8>, Unfilterable> {
    let mut stream = StreamFilter::new(rules.clone(), Some(kind), 1 << 20);
    let mut out = Vec::new();
    let (mut rest, mut sizes) = (body, cuts.iter().cycle());
    while !rest.is_empty() {
        let size = sizes
            .next()
            .map_or(rest.len(), |size| (*size).clamp(1, rest.len()));
        let (piece, more) = rest.split_at(size);
        stream.push(piece, &mut out)?;
        rest = more;
    }
    stream.finish(&mut out)?;
    Ok(out)
}

/// Bits of text that make finds, near finds and trouble at their seams.
fn seams() -> impl Strategy<Value = String> {
    let bit = prop::sample::select(vec![
        "a",
        "alice",
        "@",
        "b.io",
        "example.com",
        ".",
        " ",
        "  ",
        "\n",
        "123",
        "-45-",
        "6789",
        "ssn ",
        "4111",
        "1111",
        "-",
        "+1 ",
        "212",
        "555",
        "1234",
        "password",
        ": ",
        "hunter2",
        "pin",
        "=",
        "https",
        "://",
        "x12",
        "x123",
        "%40",
        "%",
        "&#64;",
        "&#",
        "<wbr>",
        "<wb",
        "\\u0040",
        "\\",
        "\\n",
        "ü",
        "é",
        "联",
        "\u{200b}",
        "１２",
        "GB29",
        "NWBK",
        "fe80",
        "::",
        "1",
        "10.0.",
        "0.1",
        "mac ",
        "00",
        ":1B",
        "Tel",
        "AB",
        "C",
        "born ",
        "1985",
        "bc1q",
        "0x",
        "_",
        "token",
        "\u{a0}",
        "(",
        ")",
        "SGVsbG8gdGhlcmU",
        "\"",
        "{",
        "[",
    ]);
    prop::collection::vec(bit, 0..24).prop_map(|bits| bits.concat())
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..9, 1..8)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        seams().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "secret", "x\"y", "é", ""]);
        let members = prop::collection::vec((name, inner.clone()), 0..4);
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            members.prop_map(|list| {
                list.into_iter()
                    .map(|(name, value)| (name.to_owned(), value))
                    .collect()
            }),
        ]
    })
}

/// What the rules on members mean, slowly.
fn without(value: &Value, allow: Option<&[&str]>, deny: &[&str]) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| without(item, allow, deny))
            .collect(),
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| {
                allow.is_none_or(|allow| allow.contains(&name.as_str()))
                    && !deny.contains(&name.as_str())
            });
            let kept = kept.map(|(name, value)| (name.clone(), without(value, None, deny)));
            kept.collect::<serde_json::Map<_, _>>().into()
        }
        scalar => scalar.clone(),
    }
}

/// How a provider tells a text, and how the client joins it.
struct Told {
    start: Value,
    piece: fn(&str) -> Value,
    end: Value,
    join: fn(&Value) -> Option<&str>,
}

impl Told {
    fn by(dialect: &str) -> Self {
        match dialect {
            "anthropic" => Self {
                start: json!({"type": "message_start"}),
                piece: |text| {
                    json!({"type": "content_block_delta", "index": 0,
                        "delta": {"type": "text_delta", "text": text}})
                },
                end: json!({"type": "content_block_stop", "index": 0}),
                join: |event| event["delta"]["text"].as_str(),
            },
            "chat" => Self {
                start: json!({"object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
                piece: |text| {
                    json!({"object": "chat.completion.chunk",
                        "choices": [{"index": 0, "delta": {"content": text}}]})
                },
                end: json!({"object": "chat.completion.chunk",
                    "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
                join: |event| event["choices"][0]["delta"]["content"].as_str(),
            },
            "responses" => Self {
                start: json!({"type": "response.created"}),
                piece: |text| json!({"type": "response.output_text.delta", "item_id": "i", "delta": text}),
                end: json!({"type": "response.output_text.done", "item_id": "i"}),
                join: |event| event["delta"].as_str(),
            },
            _ => Self {
                start: json!({"candidates": [], "usageMetadata": {}}),
                piece: |text| json!({"candidates": [{"content": {"parts": [{"text": text}]}}]}),
                end: json!({"candidates": [{"finishReason": "STOP"}]}),
                join: |event| event["candidates"][0]["content"]["parts"][0]["text"].as_str(),
            },
        }
    }

    fn stream(&self, pieces: &[String]) -> String {
        let told = pieces.iter().map(|text| (self.piece)(text));
        let events = std::iter::once(self.start.clone())
            .chain(told)
            .chain([self.end.clone()]);
        events
            .map(|event| format!("data: {event}\r\n\r\n"))
            .collect()
    }
}

proptest! {
    #[test]
    fn a_text_comes_out_the_same_however_it_is_cut(text in seams(), cuts in cuts()) {
        let rules = everything();
        let whole = rules.body(Some("text/plain"), text.as_bytes());
        let whole = whole.map(|body| body.unwrap_or_else(|| text.clone().into_bytes()));
        prop_assert_eq!(streamed(&rules, "text/plain", text.as_bytes(), &cuts), whole);
    }

    #[test]
    fn long_texts_come_out_the_same_too(
        texts in prop::collection::vec(seams(), 20..60),
        cuts in cuts(),
    ) {
        let rules = everything();
        let text = format!("t{}", texts.concat());
        let whole = rules.body(Some("text/plain"), text.as_bytes()).unwrap();
        let whole = whole.unwrap_or_else(|| text.clone().into_bytes());
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut * 17).collect();
        let cut = streamed(&rules, "text/plain", text.as_bytes(), &cuts).unwrap();
        prop_assert_eq!(String::from_utf8(cut).unwrap(), String::from_utf8(whole).unwrap());
    }

    #[test]
    fn what_a_client_joins_is_the_filtered_text(
        dialect in prop::sample::select(vec!["anthropic", "chat", "responses", "gemini"]),
        pieces in prop::collection::vec(seams(), 1..6),
        cuts in cuts(),
    ) {
        let rules = everything();
        let text = pieces.concat();
        // Structured output is filtered as JSON, which other tests cover.
        prop_assume!(!text.trim_start().starts_with('{'));
        let told = Told::by(dialect);
        let stream = told.stream(&pieces);
        let out = streamed(&rules, "text/event-stream", stream.as_bytes(), &cuts).unwrap();
        prop_assert_eq!(&out, &streamed(&rules, "text/event-stream", stream.as_bytes(), &[]).unwrap());
        let out = String::from_utf8(out).unwrap();
        let events = out.lines().filter_map(|line| line.strip_prefix("data: "));
        let events: Vec<Value> = events.map(|data| serde_json::from_str(data).unwrap()).collect();
        let joined: String = events.iter().filter_map(told.join).collect();
        let padded = format!("t {text}");
        let whole = rules.body(Some("text/plain"), padded.as_bytes()).unwrap();
        let whole = whole.map_or(padded, |body| String::from_utf8(body).unwrap());
        prop_assert_eq!(format!("t {joined}"), whole);
    }

    #[test]
    fn members_go_as_the_rules_say_and_the_rest_stays(
        body in value(),
        allow in prop::option::of(prop::sample::subsequence(vec!["a", "b", "x\"y", ""], 0..4)),
        deny in prop::sample::subsequence(vec!["b", "secret", "é"], 0..3),
    ) {
        let rules = filter(&[
            FilterSource { allow_fields: allow.as_deref(), ..FilterSource::default() },
            FilterSource { deny_fields: Some(&deny), ..FilterSource::default() },
        ]);
        for text in [body.to_string(), serde_json::to_string_pretty(&body).unwrap()] {
            let out = rules.body(Some("application/json"), text.as_bytes()).unwrap();
            let out = out.map_or(body.clone(), |out| serde_json::from_slice(&out).unwrap());
            prop_assert_eq!(out, without(&body, allow.as_deref(), &deny));
        }
    }

    #[test]
    fn filtered_json_is_json(body in value()) {
        let rules = everything();
        let text = body.to_string();
        let out = rules.body(Some("application/json"), text.as_bytes()).unwrap();
        if let Some(out) = out {
            prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
        }
    }

    #[test]
    fn we_take_for_json_exactly_what_is_json(text in "[\\[\\]{},:\"\\\\ntrue0-9.eE+\\- ]{0,14}") {
        let rules = filter(&[FilterSource { deny_fields: Some(&["a"]), ..FilterSource::default() }]);
        let ours = rules.body(Some("application/json"), text.as_bytes());
        prop_assume!(!text.is_empty());
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_depend_on_cuts(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            seams().prop_map(String::into_bytes),
            seams().prop_map(|text| format!("data: {text}\r\r\ndata:{text}\n\n").into_bytes()),
            value().prop_map(|value| format!("data: {value}\n\n{value}\n").into_bytes()),
        ],
        kind in prop::sample::select(vec![
            "text/plain", "text/event-stream", "application/x-ndjson", "application/json",
            "image/png", "message/rfc822", "application/octet-stream", "text/html; charset=utf-7",
        ]),
        cuts in cuts(),
    ) {
        let rules = everything();
        let whole = streamed(&rules, kind, &bytes, &[]);
        prop_assert_eq!(streamed(&rules, kind, &bytes, &cuts), whole.clone());
        if !bytes.is_empty() {
            let body = rules.body(Some(kind), &bytes);
            prop_assert_eq!(body.map(|body| body.unwrap_or(bytes)), whole);
        }
    }

    #[test]
    fn finds_are_in_order_apart_and_on_characters(text in seams()) {
        let all = Recognisers::compile(types(&[("all_pii", None)])).unwrap();
        let mut last = 0;
        for found in all.find(&text, None) {
            prop_assert!(found.start >= last && found.start < found.end, "{found:?}");
            prop_assert!(text.get(found.start..found.end).is_some(), "{found:?}");
            last = found.end;
        }
    }
}
