//! What every answer carries, and what is refused before any route is looked at.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "plays clients that speak no proper HTTP"
)]

mod support;

use std::sync::Arc;

use ah5_testkit::client::{Answer, Call};
use http::Method;
use serde_json::json;
use support::{World, control_plane, error};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Writes these bytes, and reads the answer until the server closes or the head is there.
async fn raw(world: &World, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(world.stack.control_plane().listen)
        .await
        .unwrap();
    let (mut reader, mut writer) = stream.split();
    // The server may answer and close before all of it is sent.
    let write = async {
        let _ = writer.write_all(bytes).await;
        std::future::pending::<()>().await;
    };
    let read = async {
        let mut answer = Vec::new();
        while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
            let mut chunk = [0; 4096];
            match reader.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(read) => answer.extend_from_slice(&chunk[..read]),
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    tokio::select! {
        answer = read => answer,
        () = write => unreachable!("it never ends"),
    }
}

fn is_dressed(answer: &Answer, origin: &str) {
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("vary", "Origin"),
    ] {
        assert_eq!(
            answer.header(name),
            Some(value),
            "{name}: {}",
            answer.text()
        );
    }
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(answer.header("x-request-id").map(str::len), Some(32));
}

#[tokio::test]
async fn every_answer_is_dressed_whatever_it_says() {
    let world = World::open().await;
    let calls = [
        (200, Call::get("/health")),
        (200, Call::get("/v1/version")),
        (401, Call::get("/v1/agents")),
        (401, Call::get("/nowhere")),
        (404, Call::get("/nowhere").bearer(&world.owner.token)),
        (
            400,
            Call::post("/v1/agents")
                .bearer(&world.owner.token)
                .json(&json!({})),
        ),
        (
            204,
            Call::new(Method::OPTIONS, "/v1/agents")
                .header("origin", "https://x.example")
                .header("access-control-request-method", "GET"),
        ),
        (400, Call::new(Method::OPTIONS, "/v1/agents")),
    ];
    for (status, call) in calls {
        // Whoever asks from elsewhere is told the same one origin.
        for origin in [world.stack.origin(), "https://evil.example"] {
            let answer = world.send(call.clone().header("origin", origin)).await;
            assert_eq!(answer.status, status, "{call:?}");
            is_dressed(&answer, world.stack.origin());
            assert_eq!(answer.header("strict-transport-security"), None);
        }
    }
}

#[tokio::test]
async fn over_https_browsers_are_told_to_stay_there() {
    let builder = control_plane().env("PUBLIC_ORIGIN", "https://ah5.example.com");
    let stack = Arc::new(builder.env("BUILD_NUMBER", "77").start().unwrap());
    let http = ah5_testkit::client::Http::new(format!("http://{}", stack.control_plane().listen));
    let answer = http.send(Call::get("/v1/version")).await.unwrap();
    is_dressed(&answer, "https://ah5.example.com");
    let hsts = answer.header("strict-transport-security").unwrap();
    assert!(hsts.starts_with("max-age="), "{hsts}");
    assert_eq!(answer.json()["buildNumber"], "77");
}

#[tokio::test]
async fn a_preflight_needs_neither_credential_nor_route() {
    let world = World::open().await;
    let preflight = Call::new(Method::OPTIONS, "/v1/agents").header("origin", world.stack.origin());
    let refused = world.send(preflight.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text()),
        (400, "Invalid Preflight Request".into())
    );
    let answer = world
        .send(preflight.header("access-control-request-method", "POST"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (204, String::new())
    );
    let allowed = answer.header("access-control-allow-methods").unwrap();
    assert_eq!(allowed, "GET, POST, PUT, DELETE, PATCH");
    let headers = answer.header("access-control-allow-headers").unwrap();
    assert_eq!(headers, "Authorization, Content-Type, X-API-Key");
    assert_eq!(answer.header("access-control-max-age"), Some("3600"));
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn a_request_keeps_its_name_if_it_is_a_sane_one() {
    let world = World::open().await;
    let named = |name: &str| Call::get("/v1/agents").header("x-request-id", name);
    let answer = world.send(named("front-7.c_2")).await;
    assert_eq!(answer.header("x-request-id"), Some("front-7.c_2"));
    for bad in ["a b", "a=\"b", &"x".repeat(65)] {
        let answer = world.send(named(bad)).await;
        let given = answer.header("x-request-id").unwrap();
        assert!(given.len() == 32 && given != bad, "{given}");
    }
}

#[tokio::test]
async fn the_name_of_a_request_is_in_its_log_lines() {
    let builder = control_plane().env("LOG_LEVEL", "ah5_control_plane=debug,control_plane=debug");
    let world = World::at(Arc::new(builder.start().unwrap())).await;
    let call = Call::get("/v1/agents").bearer(&world.owner.token);
    world
        .send(call.header("x-request-id", "find-me-again"))
        .await
        .expect(200)
        .unwrap();
    let log = world.log();
    let line = log.lines().find(|line| line.contains("find-me-again"));
    assert!(line.is_some(), "{log}");
    assert!(!log.contains(&world.owner.token));
}

#[tokio::test]
async fn a_slash_at_the_end_means_nothing_and_head_is_get_without_its_body() {
    let world = World::open().await;
    for path in [
        "/v1/agents",
        "/v1/agents/",
        "/agents",
        "/agents/",
        "/v1/audit/?limit=1",
    ] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
        let head = Call::new(Method::HEAD, path).bearer(&world.owner.token);
        let head = world.send(head).await;
        assert_eq!((head.status.as_u16(), head.body.len()), (200, 0), "{path}");
        assert!(
            head.header("content-length")
                .is_some_and(|length| length != "0")
        );
    }
    let head = Call::new(Method::HEAD, "/v1/agents/bootstrap").bearer(&world.owner.token);
    assert_eq!(world.send(head).await.status, 404);
}

#[tokio::test]
async fn no_route_takes_more_than_a_mebibyte_however_it_is_sent() {
    let world = World::open().await;
    let bearer = format!("authorization: Bearer {}\r\n", world.owner.token);
    let json = "content-type: application/json\r\n";
    for path in [
        "/v1/agents",
        "/api/auth/sign-in/email",
        "/api/auth/token",
        "/v1/agents/token",
    ] {
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{bearer}{json}");
        let declared = format!("{head}content-length: 1048577\r\n\r\n");
        let answer = raw(&world, declared.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        let mut chunked = format!("{head}transfer-encoding: chunked\r\n\r\n").into_bytes();
        for _ in 0..17 {
            chunked.extend_from_slice(b"10000\r\n");
            chunked.extend(std::iter::repeat_n(b' ', 0x10000));
            chunked.extend_from_slice(b"\r\n");
        }
        // Not even its end is waited for.
        let answer = raw(&world, &chunked).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn gates_stand_before_everything_but_the_probes() {
    let builder = control_plane()
        .env("BASIC_AUTH_PASSWORD", "open-sesame")
        .env("AZURE_FRONT_DOOR_ID", "7b2e");
    let stack = Arc::new(builder.start().unwrap());
    let http = ah5_testkit::client::Http::new(format!("http://{}", stack.control_plane().listen));
    let send = async |call: Call| http.send(call).await.unwrap();
    assert_eq!(send(Call::get("/health")).await.status, 200);
    assert_eq!(send(Call::get("/.well-known/jwks.json")).await.status, 200);

    let shut = send(Call::get("/v1/version")).await;
    assert_eq!(
        (shut.status.as_u16(), error(&shut)),
        (401, "Unauthorized".into())
    );
    assert_eq!(
        shut.header("www-authenticate"),
        Some("Basic realm=\"AgentHiFive\"")
    );
    is_dressed(&shut, stack.origin());

    // ah5:open-sesame
    let basic = || Call::get("/v1/version").header("authorization", "Basic YWg1Om9wZW4tc2VzYW1l");
    let elsewhere = send(basic()).await;
    assert_eq!(
        (elsewhere.status.as_u16(), error(&elsewhere)),
        (403, "Forbidden".into())
    );
    assert_eq!(
        send(basic().header("x-azure-fdid", "7b2f")).await.status,
        403
    );
    assert_eq!(
        send(basic().header("x-azure-fdid", "7b2e")).await.status,
        200
    );
    // The gate is no credential.
    let agents = Call::get("/v1/agents").header("authorization", "Basic YWg1Om9wZW4tc2VzYW1l");
    assert_eq!(
        send(agents.header("x-azure-fdid", "7b2e")).await.status,
        401
    );
}
