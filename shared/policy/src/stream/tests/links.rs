//! Links of ours in streams that no policy filters.

use serde_json::{Value, json};

use super::*;

fn own_links() -> Arc<ResponseFilter> {
    let rule = RuleFilter::own_links(&["https://ah5.example.com"]);
    Arc::new(ResponseFilter::new(vec![Arc::new(rule)]))
}

fn chat(content: &str) -> Value {
    json!({"object": "chat.completion.chunk", "choices": [{
        "index": 0, "delta": {"content": content}, "logprobs": {"content": []},
    }]})
}

fn arguments(piece: &str) -> Value {
    json!({"type": "content_block_delta", "index": 1,
        "delta": {"type": "input_json_delta", "partial_json": piece}})
}

#[test]
fn a_link_that_a_model_spells_token_by_token_does_not_pass() {
    let spelled = "see https://ah5.example.com/reset-password?token=Zm9vYmFy now";
    for size in 1..12 {
        let letters: Vec<char> = spelled.chars().collect();
        let pieces = letters
            .chunks(size)
            .map(|piece| piece.iter().collect::<String>());
        let stream = sse(&pieces.map(|piece| chat(&piece)).collect::<Vec<_>>());
        let out = run(&own_links(), SSE, &stream).unwrap();
        let text: String = events(&out)
            .iter()
            .filter_map(|event| event["choices"][0]["delta"]["content"].as_str())
            .collect();
        assert_eq!(text, "see [REDACTED] now", "{size} letters an event");
    }
}

#[test]
fn without_a_link_every_event_passes_at_once_and_as_it_is() {
    let given = [
        chat("The quick brown"),
        chat(" fox jumps over: "),
        arguments("{\"city\": \"Par"),
        arguments("is\", \"at\": 1"),
        json!({"some": "other shape", "password": "hunter2: 12345678"}),
    ];
    for of_a_kind in [&given[..2], &given[2..4], &given[4..]] {
        let mut stream = StreamFilter::new(own_links(), SSE, 1 << 16);
        for event in of_a_kind {
            let event = sse(std::slice::from_ref(event));
            let mut out = Vec::new();
            stream.push(event.as_bytes(), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), event);
        }
    }
}
