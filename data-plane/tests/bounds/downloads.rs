//! `download: true`: the file itself, or an envelope that nobody takes for the file.

use ah5_testkit::client::{Answer, Call};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};

use crate::change;
use crate::support::{self, SECRET, World};

/// A download of what the provider is told to answer.
fn download(world: &World, head: &str, body: &str) -> Call {
    let length = body.len();
    let raw =
        format!("HTTP/1.1 {head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    let (method, url) = (Method::POST, world.url("/v2/raw"));
    let call = world
        .agent
        .execute_with(&world.connection, &method, &url, &Value::Null);
    let mut envelope: Value = serde_json::from_slice(&call.body).unwrap();
    envelope["download"] = true.into();
    envelope["body"] = raw.into();
    world
        .agent
        .call(Method::POST, "/v1/vault/execute")
        .json(&envelope)
}

async fn downloaded(world: &World, head: &str, body: &str) -> Answer {
    world.send(download(world, head, body)).await
}

const JSON: &str = "200 OK\r\ncontent-type: application/json; charset=utf-8";

#[tokio::test]
async fn a_file_inside_json_comes_as_its_bytes() {
    let world = World::open().await;
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let attachment = json!({
        "size": 1000, "data": URL_SAFE_NO_PAD.encode(&bytes), "mimeType": "application/pdf",
        "filename": "../Übersicht \"1\".pdf",
    });
    let answer = downloaded(&world, JSON, &attachment.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, bytes);
    for (name, value) in [
        ("content-type", "application/pdf"),
        ("content-length", "1000"),
        ("cache-control", "no-cache"),
        ("x-ah5-source", "provider"),
        (
            "content-disposition",
            "attachment; filename=\"..__bersicht _1_.pdf\"; \
             filename*=UTF-8''.._%C3%9Cbersicht%20%221%22.pdf",
        ),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    // What is no file stays what it is.
    let plain = json!({"id": "1", "data": "short"}).to_string();
    let answer = downloaded(&world, JSON, &plain).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, plain));
}

#[tokio::test]
async fn a_failed_download_has_the_providers_status_and_is_no_file() {
    let world = World::open().await;
    for status in [401, 404, 429, 500] {
        let head = format!("{status} No\r\ncontent-type: application/json\r\nretry-after: 0");
        let answer = downloaded(&world, &head, "{\"error\":\"no\"}").await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("x-ah5-source"), Some("provider"));
        assert_eq!(answer.header("retry-after"), Some("0"));
        let envelope = answer.json();
        assert_eq!(envelope["status"], status, "{envelope}");
        assert_eq!(envelope["body"]["error"], "no", "{envelope}");
        assert!(envelope["auditId"].is_string(), "{envelope}");
    }
    // Any other form of the same call has it in the envelope alone.
    let url = world.url("/v2/status/404");
    let call = world.agent.execute(&world.connection, &Method::GET, &url);
    let envelope = world.send(call).await.expect(200).unwrap();
    assert_eq!(envelope["status"], 404);
}

#[tokio::test]
async fn a_file_without_a_type_or_of_any_is_passed_on_as_it_is() {
    let world = World::open().await;
    let answer = downloaded(&world, "200 OK", "a file").await;
    assert_eq!(
        answer.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(answer.text(), "a file");
    let head = "200 OK\r\ncontent-type: text/html\r\n\
        content-disposition: attachment; filename*=UTF-8''%C3%9C.html";
    let answer = downloaded(&world, head, "<p>").await;
    assert_eq!(answer.header("content-type"), Some("text/html"));
    let disposition = answer.header("content-disposition");
    assert_eq!(
        disposition,
        Some("attachment; filename*=UTF-8''%C3%9C.html")
    );
    assert_eq!(answer.text(), "<p>");
}

#[tokio::test]
async fn what_a_file_was_coded_in_hides_nothing() {
    let world = World::closed(support::shared()).await;
    let policy = world.allow(&["GET", "POST"], "/v2/**").await;
    // The credential in hex, and that in base64: no spelling that is looked for in JSON.
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let text = format!("{:100}{hex} ssn 123-45-6789", "x");
    let file = json!({"data": URL_SAFE_NO_PAD.encode(&text), "mimeType": "text/plain"});
    let answer = downloaded(&world, JSON, &file.to_string()).await;
    assert!(answer.contains("ssn 123-45-6789"), "{}", answer.text());
    assert!(!answer.contains(&hex), "{}", answer.text());
    // Rules take out what they take out of JSON.
    let rules = json!({"request": [], "response": [
        {"match": {}, "filter": {"redact": [{"type": "ssn"}]}},
    ]});
    change(&world, &policy, &json!({"rules": rules})).await;
    let answer = downloaded(&world, JSON, &file.to_string()).await;
    assert!(!answer.contains("123-45-6789"), "{}", answer.text());
}
