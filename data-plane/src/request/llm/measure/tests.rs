use std::borrow::Cow;

use ah5_policy::CanonicalUrl;
use ah5_policy::budgets::Kind;
use ah5_providers::catalogue;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::*;
use crate::request::parse::{Form, Wishes};

mod bodies;

/// The measure of a call, or the words of a refusal.
fn of(service: &str, path: &str, body: &str, named: &[&str]) -> Result<Option<Measure>, String> {
    let service = catalogue::find(service).unwrap();
    let headers = HeaderMap::new();
    let asked = Asked {
        agent: ah5_contracts::id::AgentId::random(),
        approval: None,
        wishes: Wishes::default(),
        connection: ah5_contracts::id::ConnectionId::random(),
        method: if body.is_empty() {
            Method::Get
        } else {
            Method::Post
        },
        wire_method: http::Method::POST,
        url: CanonicalUrl::parse(&format!("https://h.example{path}")).unwrap(),
        headers: Cow::Borrowed(&headers),
        body: AskedBody::Bytes(Bytes::from(body.to_owned()), None),
        form: Form::Proxy,
    };
    measure(service, &asked, &|what| named.contains(&what)).map_err(|it| it.error.into_owned())
}

fn chat(members: Value) -> Result<Option<Measure>, String> {
    of("openai", "/v1/chat/completions", &members.to_string(), &[])
}

fn output(measured: Result<Option<Measure>, String>) -> u64 {
    measured.unwrap().unwrap().output
}

const CLAUDE: &str = "anthropic-messages";

#[test]
fn the_most_of_an_answer_is_what_was_asked_for_or_what_the_model_can() {
    assert_eq!(output(chat(json!({"model": "x", "max_tokens": 7}))), 7);
    assert_eq!(
        output(chat(json!({"model": "x", "max_tokens": 7, "n": 3}))),
        21
    );
    let both = json!({"model": "x", "max_tokens": 7, "max_completion_tokens": 9, "n": null});
    assert_eq!(output(chat(both)), 9);
    assert_eq!(output(chat(json!({"model": "gpt-5"}))), 128_000);
    // What this endpoint doesn't read limits nothing.
    for body in [
        json!({"model": "x"}),
        json!({"model": "x", "max_tokens": null}),
        json!({"model": "x", "max_output_tokens": 7}),
        json!({"model": "x", "maxTokens": 7}),
    ] {
        assert!(chat(body.clone()).is_err(), "{body}");
    }
    let gemini = |body: Value| {
        let path = "/v1beta/models/gemini-2.5-pro:generateContent";
        of("gemini", path, &body.to_string(), &[])
    };
    for config in [
        json!({"generationConfig": {"maxOutputTokens": 5, "candidateCount": 2}}),
        json!({"generation_config": {"max_output_tokens": "5", "candidate_count": 2}}),
    ] {
        assert_eq!(output(gemini(config)), 10);
    }
    assert_eq!(output(gemini(json!({"contents": []}))), 65_536);
    let responses = json!({"model": "x", "max_output_tokens": 4}).to_string();
    assert_eq!(output(of("openai", "/v1/responses", &responses, &[])), 4);
}

#[test]
fn a_member_that_is_there_twice_is_refused() {
    for body in [
        r#"{"model":"x","max_tokens":1,"max_tokens":100000}"#,
        r#"{"model":"x","max_tokens":1,"max_\u0074okens":100000}"#,
        r#"{"model":"x","max_tokens":"1"}"#,
        r#"{"model":"x","max_tokens":-1}"#,
        "[]",
        "{",
        r#"{"model":"x","max_tokens":1} {}"#,
    ] {
        assert!(
            of("openai", "/v1/chat/completions", body, &[]).is_err(),
            "{body}"
        );
    }
    let twice =
        r#"{"generationConfig":{"maxOutputTokens":1},"generation_config":{"maxOutputTokens":9}}"#;
    let path = "/v1beta/models/gemini-2.5-pro:generateContent";
    assert!(of("gemini", path, twice, &[]).is_err());
    let twice = r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":9}}"#;
    assert!(of("gemini", path, twice, &[]).is_err());
}

#[test]
fn words_are_bounded_by_their_bytes_and_references_by_the_model() {
    let text = json!({"model": "gpt-5", "max_tokens": 1, "messages": [{"content": "hi"}]});
    let bytes = text.to_string().len() as u64;
    let measured = chat(text).unwrap().unwrap();
    assert_eq!(measured.input, bytes + OVERHEAD);
    let link = |url: &str| {
        let part = json!({"type": "image_url", "image_url": {"url": url}});
        json!({"model": "gpt-5", "max_tokens": 1, "messages": [{"content": [part]}]})
    };
    for url in ["https://a.example/b.png", "data:image/png;base64,AAAA"] {
        assert_eq!(chat(link(url)).unwrap().unwrap().input, 400_000, "{url}");
    }
    let file = json!({"model": "gpt-5", "max_tokens": 1, "messages": [{"content": [{"file": {"file_id": "f"}}]}]});
    assert_eq!(chat(file.clone()).unwrap().unwrap().input, 400_000);
    let mut unknown = file;
    unknown["model"] = json!("x");
    assert!(chat(unknown).is_err());
}

#[test]
fn what_the_provider_keeps_or_runs_passes_only_by_name() {
    for (member, value, name) in [
        ("previous_response_id", json!("r"), "previous_response_id"),
        ("prompt", json!({"id": "p"}), "prompt"),
        ("tools", json!([{"type": "web_search"}]), "web_search"),
        (
            "tools",
            json!([{"type": "mcp", "server_url": "https://x.example"}]),
            "mcp",
        ),
        ("tools", json!([{}]), "tools"),
        ("service_tier", json!("priority"), "service_tier"),
    ] {
        let mut body = json!({"model": "x", "max_output_tokens": 4});
        body[member] = value;
        let text = body.to_string();
        let ask = |named: &[&str]| of("openai", "/v1/responses", &text, named);
        assert!(ask(&[]).unwrap_err().contains(name), "{text}");
        assert!(ask(&["other"]).is_err(), "{text}");
        assert!(ask(&[name]).unwrap().is_some(), "{text}");
    }
    let functions = json!([{"type": "function", "name": "f"}, {"type": "custom", "name": "g"}]);
    let body =
        json!({"model": "x", "max_output_tokens": 4, "tools": functions, "conversation": null});
    assert!(of("openai", "/v1/responses", &body.to_string(), &[]).is_ok());
    let search = json!({"tools": [{"functionDeclarations": []}, {"google_search": {}}]});
    let path = "/v1beta/models/gemini-2.5-pro:generateContent";
    assert!(
        of("gemini", path, &search.to_string(), &[])
            .unwrap_err()
            .contains("google_search")
    );
    let own = json!({"model": "x", "max_tokens": 1, "tools": [{"name": "f", "input_schema": {}}]});
    assert!(of(CLAUDE, "/v1/messages", &own.to_string(), &[]).is_ok());
}

#[test]
fn endpoints_that_make_no_words_are_free_or_denied() {
    for (service, path) in [
        ("openai", "/v1/models"),
        ("gemini", "/v1beta/models/gemini-2.5-pro"),
    ] {
        assert_eq!(of(service, path, "", &[]), Ok(None), "{path}");
    }
    assert_eq!(of(CLAUDE, "/v1/messages/count_tokens", "{}", &[]), Ok(None));
    for (service, path) in [
        ("openai", "/v1/files"),
        ("openai", "/v1/images/generations"),
        ("openai", "/v1/chat/completions/"),
        ("openai", "/v1/Chat/Completions"),
        ("openai", "/v1/completions"),
        (CLAUDE, "/v1/complete"),
        ("gemini", "/v1beta/models/m:predict"),
        ("gemini", "/v1beta/cachedContents"),
    ] {
        assert!(of(service, path, "{}", &[]).is_err(), "{path}");
        assert_eq!(of(service, path, "{}", &[path]), Ok(None), "{path}");
    }
    let texts = json!({"model": "text-embedding-3-small", "input": ["a", "b"]}).to_string();
    let measured = of("openai", "/v1/embeddings", &texts, &[])
        .unwrap()
        .unwrap();
    assert_eq!((measured.input, measured.output), (texts.len() as u64, 0));
}

#[test]
fn money_needs_a_price_and_an_answer_that_says_everything() {
    let cost = Cap {
        kind: Kind::CostDay,
        limit: 1,
    };
    let tokens = Cap {
        kind: Kind::TokensHour,
        limit: 1,
    };
    let known = chat(json!({"model": "gpt-5", "max_tokens": 1_000_000}))
        .unwrap()
        .unwrap();
    let unknown = chat(json!({"model": "x", "max_tokens": 1}))
        .unwrap()
        .unwrap();
    assert!(known.most(cost).unwrap() > 10_000_000);
    assert_eq!(unknown.most(cost), None);
    assert!(unknown.most(tokens).is_some());
    let usage = |input, output| Usage {
        model: None,
        input,
        output,
        cached: None,
    };
    assert_eq!(known.spent(tokens, &usage(Some(2), Some(3))), Some(5));
    assert_eq!(known.spent(cost, &usage(Some(100), Some(0))), Some(125));
    assert_eq!(known.spent(tokens, &usage(Some(2), None)), None);
    assert_eq!(known.spent(tokens, &usage(None, Some(3))), None);
}
