//! Who gets a call.

use std::collections::BTreeMap;

use ah5_harness::nginx::Routing;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::Fixture;
use crate::support::{Door, call, send};

#[tokio::test(flavor = "multi_thread")]
async fn agents_calls_go_to_data_planes_and_the_rest_to_the_control_plane() {
    let it = Fixture::start(Routing::Sticky).await;
    let data = [
        "/v1/vault/execute",
        "/vault/execute",
        "/v1/vault/llm/openai/v1/chat/completions",
        "/v1/llm/proxy/openai/v1/models",
        "/v1/proxy",
        "/proxy",
        "/v1/proxy/c/some/path?q=1",
        "/proxy/c/x",
        "/v1/credentials/resolve",
        "/credentials/resolve",
    ];
    let control = [
        "/",
        "/health",
        "/v1/health",
        "/v1/agents",
        "/v1/proxyish",
        "/v1/vault",
        "/api/auth/session",
        "/v1/credentials",
        "/.well-known/jwks.json",
    ];
    for path in data {
        let (status, who) = call(&it.door, "POST", path, "{}").await;
        assert_eq!(status, 200, "{path}");
        assert!(who == "one" || who == "two", "{path} went to {who}");
    }
    for path in control {
        assert_eq!(call(&it.door, "GET", path, "").await.1, "control", "{path}");
    }
    for path in ["/metrics", "/readyz", "/status", "/v1/metrics", "/readyz/"] {
        assert_eq!(call(&it.door, "GET", path, "").await.0, 404, "{path}");
    }
    assert!(
        it.control
            .seen()
            .iter()
            .all(|seen| !seen.target.contains("readyz"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_stays_with_its_replica_and_callers_are_spread() {
    let it = Fixture::start(Routing::Sticky).await;
    let carriers = ["cookie", "authorization", "x-api-key", "x-goog-api-key"];
    for carrier in carriers {
        let mut counts = BTreeMap::<String, usize>::new();
        for key in 0..200 {
            let value = match carrier {
                "cookie" => format!("other=1; ah5sid=key-{key}"),
                "authorization" => format!("Bearer key-{key}"),
                _ => format!("key-{key}"),
            };
            let first = replica_for(&it.door, carrier, &value).await;
            assert_eq!(first, replica_for(&it.door, carrier, &value).await);
            *counts.entry(first).or_default() += 1;
        }
        assert!(counts.values().all(|&n| n <= 140), "{carrier}: {counts:?}");
        assert_eq!(counts.len(), 2, "{carrier}: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_decides_before_any_token() {
    let it = Fixture::start(Routing::Sticky).await;
    let mut seen = Vec::new();
    for token in 0..20 {
        let request = Request::get("/v1/proxy/c")
            .header("host", "localhost")
            .header("cookie", "ah5sid=always-the-same")
            .header("authorization", format!("Bearer {token}"));
        let response = send(&it.door, request.body(Full::<Bytes>::default()).unwrap()).await;
        seen.push(response.headers()["x-seen-by"].clone());
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn random_routing_sends_one_caller_everywhere() {
    let it = Fixture::start(Routing::Random).await;
    for _ in 0..60 {
        call(&it.door, "GET", "/v1/proxy/c", "").await;
    }
    assert!(it.one.hits() > 0 && it.two.hits() > 0);
    assert_eq!(it.hits(), 60);
}

async fn replica_for(door: &Door, header: &str, value: &str) -> String {
    let request = Request::get("/v1/proxy/c")
        .header("host", "localhost")
        .header(header, value);
    let response = send(door, request.body(Full::<Bytes>::default()).unwrap()).await;
    assert_eq!(response.status(), 200);
    response.headers()["x-seen-by"].to_str().unwrap().to_owned()
}
