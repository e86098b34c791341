//! What comes back to the agent: the provider's answer, less what is not for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use ah5_testkit::client::Http;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::{Value, json};
use support::{SECRET, World, answering};

#[tokio::test]
async fn an_answer_keeps_its_shape_and_loses_what_is_not_for_the_agent() {
    let world = World::open().await;
    for (path, status) in [
        ("/status/404", 404),
        ("/status/503", 503),
        ("/status/204", 204),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(answer.header("x-ah5-source"), Some("provider"));
    }
    let odd = world.get("/odd-headers").await;
    assert_eq!(odd.status, 200);
    for name in [
        "set-cookie",
        "connection",
        "x-ah5-forged",
        "proxy-authenticate",
    ] {
        assert_eq!(odd.header(name), None, "{name}");
    }
    let audit_id = odd.header("x-ah5-audit-id").unwrap();
    assert_eq!(audit_id.parse::<uuid::Uuid>().unwrap().get_version_num(), 7);
    let sized = world.get("/bytes/100000").await;
    assert_eq!(sized.header("content-length"), Some("100000"));
    assert_eq!(sized.body.len(), 100_000);
    assert_eq!(
        world.get("/bytes/100000?chunked=1").await.body.len(),
        100_000
    );
    assert_eq!(world.get("/trailers").await.status, 200);
    assert_eq!(
        world.get("/informational?status=103&count=3").await.status,
        200
    );
    let head = world
        .agent
        .proxy(&world.connection, Method::HEAD, "/bytes/5");
    let head = world.send(head).await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, Some("5"))
    );
}

#[tokio::test]
async fn the_credential_does_not_come_back_in_any_spelling() {
    let world = World::open().await;
    let spellings = [
        "body",
        "base64",
        "base64url",
        "hex",
        "hex-upper",
        "json",
        "percent",
        "split",
        "header",
        "cookie",
    ];
    for spelling in spellings {
        let answer = world.get(&format!("/leak/{spelling}")).await;
        assert_eq!(answer.status, 200, "{spelling}");
        assert!(!answer.contains(SECRET), "{spelling}");
        let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
        assert!(!answer.text().to_lowercase().contains(&hex), "{spelling}");
        // "provider-secret" in base64, at the alignment it has after "user:planted-".
        assert!(
            !answer.contains("cHJvdmlkZXItc2Vjcm"),
            "{spelling} {}",
            answer.text()
        );
        assert!(
            !answer
                .headers
                .values()
                .any(|v| v.as_bytes().ends_with(SECRET.as_bytes()))
        );
    }
    let url = world.url("/v2/leak/body");
    let envelope = world.agent.execute(&world.connection, &Method::GET, &url);
    assert!(!world.send(envelope).await.contains(SECRET));
    let rows = world.audit("execution_completed", 11).await;
    let found = rows
        .iter()
        .filter(|row| row["metadata"]["credentialRemoved"].is_u64());
    assert!(found.count() >= 8);
}

#[tokio::test]
async fn redirects_stay_with_the_connection_or_are_blocked() {
    let world = World::open().await;
    let inside = world.get("/redirect?to=/v2/echo/next%3Fa%3D1").await;
    assert_eq!(inside.status, 302);
    let expected = format!("/v1/proxy/{}/echo/next?a=1", world.connection);
    assert_eq!(inside.header("location"), Some(&*expected));
    let outside = world.get("/redirect?to=/admin").await;
    assert_eq!(
        (outside.status.as_u16(), outside.header("location")),
        (302, None)
    );
    for to in ["https://evil.test/", "//evil.test/", "%5C%5Cevil.test/"] {
        let answer = world.get(&format!("/redirect?to={to}")).await;
        let body = answer.expect(403).unwrap();
        assert!(
            body["error"]
                .as_str()
                .unwrap()
                .contains("Blocked cross-origin redirect")
        );
    }
}

#[tokio::test]
async fn what_cannot_be_looked_into_is_refused() {
    let world = World::open().await;
    world.get("/gzip").await.expect(502).unwrap();
    for path in ["/close", "/reset?after=0"] {
        let url = world.url(&format!("/v2{path}"));
        let call = world.agent.execute(&world.connection, &Method::GET, &url);
        let answer = world.send(call).await;
        let body = answer.expect(502).unwrap();
        assert_eq!(body["error"], "Provider request failed");
        assert!(body["auditId"].is_string());
    }
    let binary = world.url("/v2/bytes/5");
    let call = world
        .agent
        .execute(&world.connection, &Method::GET, &binary);
    let body = world.send(call).await.expect(200).unwrap();
    assert_eq!(body["body"]["_binaryContent"], true);
}

#[tokio::test]
async fn bodies_end_at_the_policys_limit() {
    const LIMIT: usize = 10 * 1024 * 1024;
    let world = World::open().await;
    let post = |length: usize| {
        let call = world
            .agent
            .proxy(&world.connection, Method::POST, "/count/sized");
        call.header("content-type", "text/plain")
            .body("x".repeat(length))
    };
    assert_eq!(world.send(post(LIMIT)).await.status, 200);
    let refused = world.send(post(LIMIT + 1)).await.expect(413).unwrap();
    assert!(refused["hint"].as_str().unwrap().contains("10485760 bytes"));
    assert_eq!(world.seen("/v2/count/sized").await.len(), 1);

    let path = format!("/bytes/{}?chunked=1", LIMIT + 1);
    let stream = world.agent.proxy(&world.connection, Method::GET, &path);
    // Not on the connection that ends with the refusal.
    let other = Http::new(world.planes[0].base());
    let broken = other.send(stream).await.unwrap_err();
    let broken = format!("{broken:#}");
    assert!(broken.contains("broke off"), "{broken}");
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            rows.iter()
                .any(|row| row["metadata"]["fault"] == "too_large")
        })
        .await;
}

#[tokio::test]
async fn the_credential_does_not_come_back_by_way_of_a_redirect_or_in_pieces() {
    let world = World::open().await;
    let auth = json!({"kind": "query", "name": "key"});
    let base = world.url("/v2");
    let connection = world.owner.connect(&base, &auth, SECRET).await.unwrap();
    let lists = world.allowlists(&["GET"], "/v2/**");
    world
        .owner
        .allow(&world.agent.id, &connection, &lists)
        .await
        .unwrap();
    let get = |target: &str| world.agent.proxy(&connection, Method::GET, target);
    world
        .until(|| async { world.send(get("/known")).await.status == 200 })
        .await;
    let odd = format!("%25{:02x}{}", SECRET.as_bytes()[0], &SECRET[1..]);
    for to in [
        format!("//elsewhere.test/next?key={SECRET}"),
        format!("https://{SECRET}.test/"),
        format!("/v2/next?key={SECRET}"),
        format!("/v2/next?key={odd}"),
    ] {
        let answer = world
            .send(get(&format!("/redirect?to={}", to.replace('?', "%3F"))))
            .await;
        assert!(!answer.contains(SECRET), "{to}: {}", answer.text());
        let location = answer.header("location").unwrap_or_default();
        assert!(!location.contains(&SECRET[1..]), "{to}: {location}");
    }
    let ranged = get("/leak/body?param=key").header("range", "bytes=0-7");
    assert_eq!(world.send(ranged).await.status, 200);
    assert!(
        world.seen("/v2/leak/body").await[0]
            .header("range")
            .is_none()
    );
}

#[tokio::test]
async fn a_link_that_acts_for_its_reader_does_not_reach_the_agent_under_any_policy() {
    let world = World::open().await;
    let origin = world.stack.origin();
    let link = format!("{origin}/reset-password?token=planted-token-0123456789");
    let token = URL_SAFE_NO_PAD.encode(&link);
    let mail = json!({"snippet": link, "payload": {"body": {"data": token}}}).to_string();
    let sent = answering(&world, "application/json", &mail);
    let answer = world.send(sent).await.expect(200).unwrap();
    let text = answer.to_string();
    assert!(
        text.contains("removed-link") && !text.contains("planted-token"),
        "{text}"
    );
    let data = answer["payload"]["body"]["data"].as_str().unwrap();
    let data = String::from_utf8(URL_SAFE_NO_PAD.decode(data).unwrap()).unwrap();
    assert!(
        data.contains("removed-link") && !data.contains("planted"),
        "{data}"
    );

    let events: String = link
        .as_bytes()
        .chunks(5)
        .map(|piece| String::from_utf8(piece.to_vec()).unwrap())
        .map(|text| json!({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": text}}]}))
        .map(|event| format!("data: {event}\n\n"))
        .collect();
    let sent = answering(&world, "text/event-stream", &events);
    let stream = String::from_utf8(world.send(sent).await.body.to_vec()).unwrap();
    let spelled: String = stream
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str::<Value>(data).ok())
        .filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(spelled, "[REDACTED]");

    let whole = json!({"raw": format!("{}{link} end", "x ".repeat(40_000))}).to_string();
    let sent = answering(&world, "application/json", &whole);
    let answer = world.send(sent).await;
    assert_eq!(
        answer.header("content-length"),
        Some(&*whole.len().to_string())
    );
    assert_eq!(answer.body.len(), whole.len());
    assert!(!String::from_utf8_lossy(&answer.body).contains("planted"));
    world
        .until(|| async {
            let rows = world.audit("execution_completed", 1).await;
            rows.iter()
                .any(|row| row["metadata"]["ownLinksRemoved"] == 1)
        })
        .await;
}
