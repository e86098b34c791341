//! Bodies that hold more than words, or that two servers might read differently.

use serde_json::{Value, json};

use super::{CLAUDE, of, output};

/// A small file may be a picture of many tokens.
#[test]
fn what_is_no_words_takes_as_much_as_the_model_can() {
    let asked = |service: &str, path: &str, body: &Value| {
        let measured = of(service, path, &body.to_string(), &[]);
        measured.unwrap().unwrap().input
    };
    let openai = |part: &Value| {
        let messages = json!([{"role": "user", "content": [part]}]);
        let body = json!({"model": "gpt-5", "max_tokens": 1, "messages": messages});
        asked("openai", "/v1/chat/completions", &body)
    };
    for part in [
        json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}}),
        json!({"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}),
        json!({"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}),
        json!({"type": "image_url", "Image_URL": "data:image/png;base64,AAAA"}),
        json!({"type": "hologram", "hologram": "AAAA"}),
        json!({"image": "AAAA"}),
    ] {
        assert_eq!(openai(&part), 400_000, "{part}");
    }
    for part in [
        json!({"type": "text", "text": "data:image/png;base64,AAAA"}),
        json!({"text": ""}),
    ] {
        assert!(openai(&part) < 10_000, "{part}");
    }
    let said_aloud = json!({"model": "gpt-5", "max_tokens": 1, "messages": [{"role": "assistant", "audio": {"id": "a"}}]});
    assert_eq!(
        asked("openai", "/v1/chat/completions", &said_aloud),
        400_000
    );

    let claude = |part: &Value| {
        let messages = json!([{"role": "user", "content": [part]}]);
        let body = json!({"model": "claude-haiku-4-5", "max_tokens": 1, "messages": messages});
        asked(CLAUDE, "/v1/messages", &body)
    };
    let source = |kind: &str, media: &str| json!({"type": "document", "source": {"type": kind, "media_type": media, "data": "AAAA"}});
    let picture = json!({"type": "image", "source": source("base64", "image/png")["source"]});
    assert_eq!(claude(&picture), 200_000);
    let result = json!({"type": "tool_result", "tool_use_id": "t", "content": [picture]});
    assert_eq!(claude(&result), 200_000);
    assert_eq!(claude(&source("base64", "application/pdf")), 200_000);
    assert_eq!(claude(&source("text", "application/pdf")), 200_000);
    assert!(claude(&source("text", "text/plain")) < 10_000);

    let gemini = |part: &Value| {
        let body = json!({"contents": [{"parts": [{"text": "x"}, part]}]});
        asked(
            "gemini",
            "/v1beta/models/gemini-2.5-pro:generateContent",
            &body,
        )
    };
    for part in [
        json!({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        json!({"inline_data": {"mime_type": "audio/mp3", "data": "AAAA"}}),
        json!({"fileData": {"fileUri": "https://a.example/b"}}),
        json!({"hologram": "AAAA"}),
    ] {
        assert_eq!(gemini(&part), 1_048_576, "{part}");
    }
    assert!(gemini(&json!({"functionCall": {"name": "f", "args": {"data": "x"}}})) < 10_000);
    // Embeddings may have many of them.
    let embedded =
        json!({"model": "text-embedding-3-small", "messages": [{"content": [{"type": "image"}]}]});
    assert!(of("openai", "/v1/embeddings", &embedded.to_string(), &[]).is_err());
}

#[test]
fn items_that_stand_for_what_was_said_before_pass_only_by_name() {
    let ask = |item: &Value, named: &[&str]| {
        let body = json!({"model": "gpt-5", "max_output_tokens": 4, "input": [item]});
        of("openai", "/v1/responses", &body.to_string(), named)
    };
    for (item, name) in [
        (
            json!({"type": "item_reference", "id": "msg_1"}),
            "item_reference",
        ),
        (json!({"type": null, "id": "msg_1"}), "item_reference"),
        (json!({"id": "msg_1"}), "item_reference"),
        (
            json!({"type": "web_search_call", "id": "ws_1"}),
            "web_search_call",
        ),
        (
            json!({"type": "image_generation_call", "id": "ig_1"}),
            "image_generation_call",
        ),
    ] {
        assert!(ask(&item, &[]).unwrap_err().contains(name), "{item}");
        assert!(ask(&item, &[name]).unwrap().is_some(), "{item}");
    }
    let input = |item: &Value| ask(item, &[]).unwrap().unwrap().input;
    for item in [
        json!("hi"),
        json!({"role": "user", "content": "hi"}),
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}),
        json!({"type": "function_call_output", "call_id": "c", "output": "x"}),
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "AAAA"}),
    ] {
        assert!(input(&item) < 10_000, "{item}");
    }
    // The provider has it all.
    let kept = json!({"type": "reasoning", "id": "rs_1", "summary": []});
    assert_eq!(input(&kept), 400_000);
    let shown = json!({"type": "input_image", "image_url": "data:image/png;base64,AAAA"});
    let shown = json!({"type": "function_call_output", "call_id": "c", "output": [shown]});
    assert_eq!(input(&shown), 400_000);
    let preset = json!({"model": "x@preset/y", "max_tokens": 1}).to_string();
    let preset = of("openrouter", "/api/v1/chat/completions", &preset, &[]);
    assert!(preset.unwrap_err().contains("preset"));
}

/// Of two members of one name, or nearly so, a server may read the other.
#[test]
fn names_are_read_in_one_way_only() {
    let gemini = "/v1beta/models/gemini-2.5-pro:generateContent";
    for (service, path, body) in [
        (
            "openai",
            "/v1/responses",
            r#"{"model":"gpt-5","tools":[{"type":"web_search","type":"function"}]}"#,
        ),
        (
            "gemini",
            gemini,
            r#"{"generationConfig":{"maxOutputTokens":99999,"maxOutputTokens":1}}"#,
        ),
        (
            "gemini",
            gemini,
            r#"{"generationConfig":{"MaxOutputTokens":1}}"#,
        ),
        (
            "openai",
            "/v1/chat/completions",
            r#"{"model":"gpt-5","messages":[{"content":[],"content":"x"}]}"#,
        ),
    ] {
        let refused = of(service, path, body, &[]).unwrap_err();
        assert!(
            refused.contains("body can't be measured"),
            "{body}: {refused}"
        );
    }
    for body in [
        r#"{"model":"x","max_tokens":1,"MAX_TOKENS":9999}"#,
        r#"{"model":"x","max_tokens":1,"N":100}"#,
        r#"{"model":"x","max_tokens":1,"max_completion_toKenſ":100}"#,
        r#"{"model":"x","max_tokens":1,"Tools":[{"type":"web_search"}]}"#,
        r#"{"model":"x","max_tokens":1,"tools":[{"type":"function","Type":"web_search"}]}"#,
    ] {
        let refused = of("custom-http", "/v1/chat/completions", body, &[]).unwrap_err();
        assert!(
            refused.contains("body can't be measured"),
            "{body}: {refused}"
        );
    }
    let plain = r#"{"model":"x","max_tokens":3,"n":2,"best_of":4,"user":"u","User_":"v"}"#;
    let measured = of("custom-http", "/v1/chat/completions", plain, &[]);
    assert_eq!(output(measured), 12);
}
