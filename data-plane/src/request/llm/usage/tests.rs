use super::*;

/// Cut at every place, and at every second one.
fn read(kind: &str, text: &str) -> Option<Usage> {
    let whole = {
        let mut reader = Reader::new(kind);
        reader.push(text.as_bytes());
        reader.usage()
    };
    for size in [1, 2, 7] {
        let mut reader = Reader::new(kind);
        for piece in text.as_bytes().chunks(size) {
            reader.push(piece);
        }
        assert_eq!(reader.usage(), whole, "in pieces of {size}: {text}");
    }
    whole
}

fn usage(model: &str, input: u64, output: u64) -> Option<Usage> {
    Some(Usage {
        model: Some(model.to_owned()),
        input: Some(input),
        output: Some(output),
        cached: None,
    })
}

const JSON: &str = "application/json";
const SSE: &str = "text/event-stream";

#[test]
fn reads_one_object_of_each_provider() {
    let chat = r#"{"id":"x","model":"gpt-5","choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":9}"}}],
        "usage":{"prompt_tokens":12,"completion_tokens":34,"total_tokens":46}}"#;
    assert_eq!(read(JSON, chat), usage("gpt-5", 12, 34));
    let message = r#"{"model":"claude","content":[{"type":"tool_use","input":{"usage":{"input_tokens":1}}}],
        "usage":{"input_tokens":10,"cache_creation_input_tokens":5,"cache_read_input_tokens":3,"output_tokens":7}}"#;
    let read_message = read(JSON, message).unwrap();
    assert_eq!(read_message.cached, Some(5));
    let cached = None;
    let read_message = Usage {
        cached,
        ..read_message
    };
    assert_eq!(Some(read_message), usage("claude", 18, 7));
    let gemini = r#"{"candidates":[],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":5,"thoughtsTokenCount":6},"modelVersion":"gemini-3"}"#;
    assert_eq!(read(JSON, gemini), usage("gemini-3", 4, 11));
    let list = r#"[{"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1},"modelVersion":"g"},
        {"candidates":[{"usageMetadata":{}}],"usageMetadata":{"promptTokenCount":4,"thoughtsTokenCount":6},"modelVersion":"g"}]"#;
    assert_eq!(read(JSON, list), usage("g", 4, 6));
    let twice = r#"{"model":"m","usage":{"prompt_tokens":1,"input_tokens":1,"completion_tokens":2,"output_tokens":2}}"#;
    assert_eq!(read(JSON, twice), usage("m", 1, 2));
}

#[test]
fn reads_streams_of_each_provider() {
    let chat = "data: {\"model\":\"gpt-5\",\"choices\":[{}],\"usage\":null}\n\n\
        data: {\"model\":\"gpt-5\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n";
    assert_eq!(read(SSE, chat), usage("gpt-5", 1, 2));
    let claude = "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":8,\"output_tokens\":1}}}\r\n\r\n\
        event: message_delta\r\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":20}}\r\n\r\n";
    assert_eq!(read(SSE, claude), usage("claude", 8, 20));
    let responses = "event: response.completed\ndata: {\"response\":{\"model\":\"gpt-5\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n";
    assert_eq!(read(SSE, responses), usage("gpt-5", 3, 4));
    let gemini = "data: {\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":1},\"modelVersion\":\"g\"}\r\n\r\n\
        data: {\"usageMetadata\":{\"promptTokenCount\":4,\"candidatesTokenCount\":9},\"modelVersion\":\"g\"}\r\n\r\n";
    assert_eq!(read(SSE, gemini), usage("g", 4, 9));
}

#[test]
fn a_stream_that_broke_off_has_not_said_how_long_it_is() {
    let claude = "data: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":8,\"output_tokens\":1}}}\n\n";
    let gemini = "data: {\"candidates\":[{\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":8,\"candidatesTokenCount\":1}}\n\n";
    for text in [claude, gemini] {
        let begun = read(SSE, text).unwrap();
        assert_eq!((begun.input, begun.output), (Some(8), None), "{text}");
    }
    let ended = gemini.replace("\"index\":0", "\"finishReason\":\"STOP\"");
    assert_eq!(read(SSE, &ended).unwrap().output, Some(1));
}

#[test]
fn what_is_not_said_is_not_guessed() {
    for text in [
        "",
        "{}",
        "[]",
        "{\"usage\":null}",
        "{\"usage\":{\"prompt_tokens\":\"1\"}}",
        "nonsense",
    ] {
        assert_eq!(read(JSON, text), None, "{text}");
        assert_eq!(read(SSE, &format!("data: {text}\n\n")), None, "{text}");
    }
}

#[test]
fn endless_lines_and_values_take_no_more_memory_than_they_may() {
    let mut reader = Reader::new(SSE);
    reader.push(b"data: ");
    for _ in 0..64 {
        reader.push(&[b'x'; 64 * 1024]);
    }
    let Form::Events { line, .. } = &reader.form else {
        panic!("a stream");
    };
    assert!(line.len() <= MAX_LINE);
    reader.push(b"\ndata: {\"usage\":{\"input_tokens\":1}}\n");
    assert_eq!(reader.usage().unwrap().input, Some(1));
    let mut reader = Reader::new(JSON);
    reader.push(b"{\"model\":\"");
    for _ in 0..64 {
        reader.push(&[b'x'; 64 * 1024]);
    }
    let Form::Object(scan) = &reader.form else {
        panic!("an object");
    };
    assert!(scan.object().len() <= MAX_LINE + 2);
}
