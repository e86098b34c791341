//! The route itself: whose key arrives where, what passes unchanged, and what is refused how.

use ah5_testkit::client::Call;
use http::Method;
use serde_json::{Value, json};

use crate::models::Models;
use crate::support::sealed::{Sealed, insert};

#[tokio::test]
async fn the_key_that_arrives_is_the_providers_and_the_callers_stays_here() {
    let models = Models::open().await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    for (rest, carrier) in [
        ("openai/chat/completions", "x-api-key"),
        ("anthropic/v1/messages", "x-api-key"),
        ("gemini/models/m:generateContent", "x-goog-api-key"),
        ("openrouter/chat/completions", "x-goog-api-key"),
    ] {
        let call = Call::post(format!("/v1/vault/llm/{rest}"));
        let call = call.header(carrier, &models.world.agent.token).json(&body);
        let answer = models.world.send(call).await;
        assert_eq!(answer.status, 200, "{rest}: {}", answer.text());
        assert_eq!(answer.headers["request-id"], "req_simulated");
    }
    for path in [
        "/v1/chat/completions",
        "/v1/messages",
        "/v1beta/models/m:generateContent",
        "/api/v1/chat/completions",
    ] {
        let seen = models.seen(path).await;
        let last = seen.last().unwrap();
        assert!(!last.contains(&models.world.agent.token), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_model_of_ours_is_refused_in_the_form_of_a_provider() {
    let models = Models::open().await;
    let body = json!({"model": "m", "messages": []});
    for (rest, status, at) in [
        ("nobody/x", 404, "/error/message"),
        ("anthropic/../../../v1/files", 400, "/error/message"),
        (
            "00000000-0000-4000-8000-000000000000/x",
            404,
            "/error/message",
        ),
    ] {
        let answer = models
            .world
            .send(models.call(Method::POST, rest).json(&body))
            .await;
        assert_eq!(answer.status, status, "{rest}: {}", answer.text());
        assert!(
            answer.json().pointer(at).is_some(),
            "{rest}: {}",
            answer.text()
        );
    }
    let nothing = models.call(Method::POST, "openai").json(&body);
    assert_eq!(models.world.send(nothing).await.status, 404);
    let denied = json!({"model": "forbidden-1", "max_tokens": 1, "messages": []});
    let call = models
        .call(Method::POST, "anthropic/v1/messages")
        .json(&denied);
    let answer = models.world.send(call).await;
    assert_eq!(answer.json()["error"]["type"], "permission_error");
    models
        .world
        .owner
        .revoke(&models.ids["gemini"])
        .await
        .unwrap();
    let gone = || async {
        let call = models.call(Method::POST, "gemini/models/m:generateContent");
        models.world.send(call.json(&body)).await.status == 404
    };
    models.world.until(gone).await;
}

#[tokio::test]
async fn a_connection_of_its_owners_making_speaks_as_most_do() {
    let models = Models::open().await;
    let world = &models.world;
    world.allow(&["POST"], "/v2/**").await;
    let body = json!({"model": "local", "messages": [{"role": "user", "content": "hi there"}]});
    let rest = format!("{}/chat/completions", world.connection);
    let answer = world
        .send(models.call(Method::POST, &rest).json(&body))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["usage"]["prompt_tokens"], 11);
}

/// Their own routes have rules of theirs, and smaller bodies.
#[tokio::test]
async fn what_is_no_models_connection_is_not_called_here() {
    let models = Models::open().await;
    let new = Sealed {
        service: "notion",
        base_url: "https://api.notion.com/",
        secret: &models.key,
        ..Sealed::default()
    };
    let id = insert(&models.world, new).await;
    models.settle().await;
    let rest = format!("{id}/v1/search");
    let answer = models.ask(&rest, &json!({"query": "x"})).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = answer.json()["error"].clone();
    assert_eq!(error["type"], "invalid_request_error");
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("is not a language model"), "{message}");
    assert!(message.contains(&format!("/v1/proxy/{id}/")), "{message}");
}

#[tokio::test]
async fn older_clients_are_led_to_the_route_with_their_query() {
    let models = Models::open().await;
    let call = Call::get("/v1/llm/proxy/openai/v1/models?limit=2");
    let answer = models.world.send(call).await;
    assert_eq!(answer.status, 308);
    let place = "/v1/vault/llm/openai/v1/models?limit=2";
    assert_eq!(answer.header("location"), Some(place));
    assert_eq!(answer.header("x-ah5-source"), Some("gateway"));
}

#[tokio::test]
async fn what_clients_read_from_headers_of_an_answer_passes() {
    let models = Models::open().await;
    let body = json!({"model": "limited", "max_tokens": 1, "messages": []});
    for rest in ["openai/chat/completions", "anthropic/v1/messages"] {
        let answer = models.ask(rest, &body).await;
        assert_eq!(answer.status, 429, "{rest}: {}", answer.text());
        for (name, value) in [
            ("retry-after", "7"),
            ("retry-after-ms", "7000"),
            ("x-ratelimit-remaining-requests", "0"),
            ("anthropic-ratelimit-tokens-remaining", "0"),
            ("x-request-id", "req_limited"),
            ("x-ah5-source", "provider"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{rest}");
        }
    }
}

#[tokio::test]
async fn bytes_that_are_no_json_pass_as_they_are() {
    let models = Models::open().await;
    // Rules that read bodies can't read these, and would refuse them.
    let none = json!({"rules": {"request": [], "response": []}});
    models.change("openai", "rules", &none).await;
    let wish = json!({"model": "tts-1", "input": "hi", "voice": "alloy"});
    let speech = models.ask("openai/audio/speech", &wish).await;
    assert_eq!(speech.status, 200, "{}", speech.text());
    assert_eq!(speech.header("content-type"), Some("audio/mpeg"));
    assert_eq!(speech.body.as_ref(), b"\xff\xfb\x90\x00\x00\x01\xfe\xff");

    let form = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\n\xff\x00\xfe\r\n--b--\r\n";
    let kind = "multipart/form-data; boundary=b";
    let call = models.call(Method::POST, "openai/audio/transcriptions");
    let call = call.header("content-type", kind).body(form.to_vec());
    let heard = models.world.send(call).await.expect(200).unwrap();
    assert_eq!(heard["type"], kind);
    let seen = models.seen("/v1/audio/transcriptions").await;
    assert_eq!(seen.last().unwrap().body.as_ref(), form);

    // Spaces, the order of members and the spelling of numbers are the caller's own.
    let text = r#"{ "model":"m", "temperature": 1.00, "messages":[ {"content":"h\u0069","role":"user"} ] }"#;
    let call = models.call(Method::POST, "openai/chat/completions");
    let call = call.header("content-type", "application/json");
    models
        .world
        .send(call.body(text))
        .await
        .expect(200)
        .unwrap();
    let seen = models.seen("/v1/chat/completions").await;
    assert_eq!(seen.last().unwrap().body, text);
}

#[tokio::test]
async fn a_body_of_many_megabytes_is_judged_and_sent() {
    let models = Models::open().await;
    let picture = "A".repeat(12 << 20);
    let message = json!({"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{picture}")}},
        {"type": "text", "text": "what is it"},
    ]});
    let body = json!({"model": "gpt-5", "messages": [message]});
    let answer = models.ask("openai/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let much = "A".repeat(33 << 20);
    let body = json!({"model": "gpt-5", "messages": [{"role": "user", "content": much}]});
    let answer = models.ask("openai/chat/completions", &body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
}

#[tokio::test]
async fn outside_of_its_hours_no_model_answers() {
    let models = Models::open().await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let never = json!([{"dayOfWeek": 0, "startHour": 0, "endHour": 0, "timezone": "UTC"}]);
    let never = json!({"timeWindows": never});
    models.change("openai", "time-windows", &never).await;
    let refused = models.ask("openai/chat/completions", &body).await;
    assert_eq!(refused.status, 403);
    let message = refused.json()["error"]["message"].clone();
    assert!(
        message.as_str().unwrap().contains("time windows"),
        "{message}"
    );
    assert!(models.seen("/v1/chat/completions").await.is_empty());
    models
        .change("openai", "time-windows", &json!({"timeWindows": []}))
        .await;
    let answer = models.ask("openai/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// The header takes an approval of the same request, once; nothing stands for another request.
#[tokio::test]
async fn what_a_person_approved_is_asked_of_the_model_once() {
    let models = Models::open().await;
    let body = json!({"model": "risky-1", "messages": [{"role": "user", "content": "hi"}]});
    let asked = models.ask("openai/chat/completions", &body).await;
    assert_eq!(
        asked.header("x-agenthifive-approval-required"),
        Some("true")
    );
    let id = asked
        .header("x-agenthifive-approval-request-id")
        .unwrap()
        .to_owned();
    let text = asked.json()["choices"][0]["message"]["content"].clone();
    assert!(
        text.as_str()
            .unwrap()
            .contains(&format!("approvalRequestId {id}. ")),
        "{text}"
    );
    let approve = format!("/v1/approvals/{id}/approve");
    let approved = models.world.owner.post(&approve, &json!({})).await.unwrap();
    approved.expect(200).unwrap();
    let redeem = |body: Value| {
        let call = models
            .call(Method::POST, "openai/chat/completions")
            .json(&body);
        let call = call.header("x-ah5-approval-id", &id);
        models.world.send(call.header("x-ah5-session-key", "any"))
    };
    let mut other = body.clone();
    other["messages"][0]["content"] = json!("ho");
    let refused = redeem(other).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let answer = redeem(body.clone()).await;
    assert_eq!(
        answer.json()["choices"][0]["message"]["content"],
        "You said: hi"
    );
    let again = redeem(body).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.json()["error"]["type"], "invalid_request_error");
    assert_eq!(models.seen("/v1/chat/completions").await.len(), 1);
}
