//! Streams: as they come, and filtered whatever way a model's words are cut into events.

use ah5_testkit::client::Answer;
use ah5_testkit::simulator::{Entry, Outcome};
use futures_util::future::join_all;
use http::Method;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::models::Models;

/// A provider's stream: where it is asked for, how, and where a piece of text is in an event.
struct Stream {
    rest: &'static str,
    body: fn(&str) -> Value,
    piece: &'static str,
}

const STREAMS: [Stream; 5] = [
    Stream {
        rest: "openai/chat/completions",
        body: chat,
        piece: "/choices/0/delta/content",
    },
    Stream {
        rest: "openrouter/chat/completions",
        body: chat,
        piece: "/choices/0/delta/content",
    },
    Stream {
        rest: "openai/responses",
        body: |text| json!({"model": "m", "input": text, "stream": true}),
        piece: "/delta",
    },
    Stream {
        rest: "anthropic/v1/messages",
        body: chat,
        piece: "/delta/text",
    },
    Stream {
        rest: "gemini/models/m:streamGenerateContent?alt=sse",
        body: |text| json!({"contents": [{"role": "user", "parts": [{"text": text}]}]}),
        piece: "/candidates/0/content/parts/0/text",
    },
];

fn chat(text: &str) -> Value {
    let messages = json!([{"role": "user", "content": text}]);
    json!({"model": "m", "max_tokens": 9, "messages": messages, "stream": true})
}

/// What the client puts together.
fn joined(answer: &Answer, piece: &str) -> String {
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = data.filter_map(|data| serde_json::from_str::<Value>(data).ok());
    events
        .filter_map(|event| Some(event.pointer(piece)?.as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn personal_data_is_found_wherever_a_model_cuts_it() {
    let redact = json!([{
        "label": "no addresses", "match": {}, "filter": {"redact": [{"type": "email"}]},
    }]);
    let models = Models::with(&redact).await;
    let said = "Write to jane.doe@mail.example today, or not.";
    for stream in &STREAMS {
        let models = &models;
        let cut = |at: usize| {
            let body = (stream.body)(&format!("cut:{at}:{said}"));
            async move { models.ask(stream.rest, &body).await }
        };
        let answers = join_all((1..said.len()).map(cut)).await;
        for (at, answer) in answers.iter().enumerate() {
            assert_eq!(answer.status, 200, "{}: {}", stream.rest, answer.text());
            let text = joined(answer, stream.piece);
            let left = "Write to [REDACTED] today, or not.";
            assert_eq!(text, left, "{} cut at {}", stream.rest, at + 1);
            assert!(!answer.contains("jane.doe"), "{}", stream.rest);
        }
    }
}

/// The provider is still speaking when the first of its words is here; who goes away ends it.
#[tokio::test]
async fn a_stream_passes_as_it_comes_and_ends_with_its_reader() {
    let models = Models::open().await;
    let long = format!("emit:{}", "word ".repeat(2_000));
    for stream in &STREAMS {
        let call = models.call(Method::POST, stream.rest);
        let call = call.json(&(stream.body)(&long));
        let answer = models.world.planes[0].open(call).await.unwrap();
        assert_eq!(answer.status(), 200);
        let mut body = answer.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(!first.is_empty());
        assert_eq!(last(&models, stream).await.outcome, None, "{}", stream.rest);
        drop(body);
        let gone = || async { last(&models, stream).await.outcome == Some(Outcome::Aborted) };
        models.world.until(gone).await;
    }
}

async fn last(models: &Models, stream: &Stream) -> Entry {
    let path = stream.rest.split_once('/').unwrap().1;
    let path = path.split('?').next().unwrap().trim_start_matches("v1/");
    let all = models.world.provider.journal(0).await.unwrap();
    let mut all = all.into_iter().rev();
    all.find(|entry| entry.path().ends_with(path) && entry.contains(&models.key))
        .unwrap()
}
