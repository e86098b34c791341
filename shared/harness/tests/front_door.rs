//! The real nginx with the real configuration, in front of small upstreams.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::{BodyExt as _, Full};

use ah5_harness::nginx::Routing;
use ah5_harness::port::Reservation;

use support::{Door, Events, Upstream, call, door, request, send};

/// Two data planes and a control plane behind nginx.
struct Fixture {
    door: Door,
    one: Upstream,
    two: Upstream,
    control: Upstream,
    events: Events,
}

impl Fixture {
    async fn start(routing: Routing) -> Self {
        let (one, events) = Upstream::start("one").await;
        let (two, _) = Upstream::start("two").await;
        let (control, _) = Upstream::start("control").await;
        let data = [one.address, two.address];
        Self {
            door: door(routing, &data, &[control.address]),
            one,
            two,
            control,
            events,
        }
    }

    /// A single data plane, so that its events are the ones.
    async fn start_single() -> Self {
        let mut it = Self::start(Routing::Sticky).await;
        it.door = door(Routing::Sticky, &[it.one.address], &[it.control.address]);
        it
    }

    fn hits(&self) -> usize {
        self.one.hits() + self.two.hits()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_calls_go_to_data_planes_and_the_rest_to_the_control_plane() {
    let it = Fixture::start(Routing::Sticky).await;
    let data = [
        "/v1/vault/execute",
        "/vault/execute",
        "/v1/vault/llm/openai/v1/chat/completions",
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

#[tokio::test(flavor = "multi_thread")]
async fn a_plane_sees_the_path_as_the_client_wrote_it() {
    let it = Fixture::start_single().await;
    let paths = [
        "/v1/proxy/x/a%2Fb//c",
        "/v1/proxy/x/%E2%82%AC%20%41;p=1/?q=a%2Bb&&empty=",
        "/v1/proxy/x/a/./b",
    ];
    for path in paths {
        for method in ["GET", "PUT"] {
            assert_eq!(call(&it.door, method, path, "").await.0, 200);
            assert_eq!(it.one.seen().last().unwrap().target, path, "{method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_method_arrives_as_itself() {
    let it = Fixture::start_single().await;
    for path in ["/v1/proxy/c/x", "/v1/agents/a"] {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND",
        ] {
            let upstream = if path.contains("proxy") {
                &it.one
            } else {
                &it.control
            };
            let (status, _) = call(&it.door, method, path, "body").await;
            assert_eq!(status, 200, "{method} {path}");
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.method, method);
            assert!(!seen.headers.contains_key("x-ah5-method"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_speak_for_the_front_door() {
    let it = Fixture::start_single().await;
    for method in ["GET", "DELETE"] {
        let forged = Request::builder()
            .method(method)
            .uri("/v1/proxy/c")
            .header("host", "ah5.example.com")
            .header("x-forwarded-for", "9.9.9.9")
            .header("x-forwarded-proto", "gopher")
            .header("x-real-ip", "9.9.9.9")
            .header("forwarded", "for=9.9.9.9")
            .header("x-request-id", "forged")
            .header("x-ah5-method", "POST")
            .header("connection", "keep-alive, x-dropped")
            .header("authorization", "Bearer kept")
            .body(Full::<Bytes>::default())
            .unwrap();
        assert_eq!(send(&it.door, forged).await.status(), 200);
        let seen = it.one.seen().pop().unwrap();
        assert_eq!(seen.method, method);
        assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1");
        assert_eq!(seen.headers["x-forwarded-proto"], "http");
        assert_eq!(seen.headers["host"], "ah5.example.com");
        assert_eq!(seen.headers["authorization"], "Bearer kept");
        assert_ne!(seen.headers["x-request-id"], "forged");
        assert_eq!(seen.headers.get_all("x-request-id").iter().count(), 1);
        for gone in ["x-real-ip", "forwarded", "x-ah5-method", "connection"] {
            assert!(!seen.headers.contains_key(gone), "{gone}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_cannot_steer_the_front_door() {
    let it = Fixture::start_single().await;
    // Every upstream here answers with X-Accel-Redirect.
    for path in ["/v1/proxy/c", "/v1/agents"] {
        assert_eq!(call(&it.door, "GET", path, "").await.0, 200);
    }
    let all = [it.one.seen(), it.control.seen()].concat();
    assert!(all.iter().all(|seen| seen.target != "/steered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_piece_by_piece() {
    for method in ["GET", "POST", "PUT"] {
        let mut it = Fixture::start_single().await;
        let response = send(&it.door, request(method, "/v1/proxy/c/stream", "")).await;
        let mut upstream = it.events.streams.recv().await.unwrap();
        let mut body = response.into_body();
        for piece in ["one", "two", "three"] {
            upstream.send_data(Bytes::from(piece)).await.unwrap();
            // The next piece isn't sent before this one is here, so nothing may be held back.
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.into_data().unwrap(), piece, "{method}");
        }
        drop(upstream);
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_passes_piece_by_piece() {
    for method in ["POST", "PUT"] {
        let mut it = Fixture::start_single().await;
        let (mut sender, body) = Channel::<Bytes, std::convert::Infallible>::new(1);
        let upload = Request::builder()
            .method(method)
            .uri("/v1/proxy/c/upload")
            .header("host", "localhost")
            .body(body)
            .unwrap();
        let door = it.door.nginx.address();
        let answer = tokio::spawn(support::send_to(door, upload));
        for piece in ["one", "two", "three"] {
            sender.send_data(Bytes::from(piece)).await.unwrap();
            assert_eq!(it.events.bodies.recv().await.unwrap(), piece, "{method}");
        }
        drop(sender);
        assert_eq!(answer.await.unwrap().status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_call_upstream() {
    for method in ["GET", "POST", "DELETE"] {
        let mut it = Fixture::start_single().await;
        let response = send(&it.door, request(method, "/v1/proxy/c/stream", "")).await;
        let mut upstream = it.events.streams.recv().await.unwrap();
        upstream.send_data(Bytes::from("begun")).await.unwrap();
        drop(response);
        // Fails as soon as the connection from nginx is gone; until then it is taken or waits.
        while upstream.send_data(Bytes::from("more")).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_read_is_sent_a_second_time() {
    let mut it = Fixture::start(Routing::Sticky).await;
    let writes = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
    let writes = writes.map(|method| (method, 1));
    for (method, hits) in [("GET", 2), ("HEAD", 2)].into_iter().chain(writes) {
        for body in ["", "body"] {
            it.one.clear();
            it.two.clear();
            let (status, said) = call(&it.door, method, "/v1/proxy/c/die", body).await;
            assert_eq!(status, 502, "{method} {body:?}");
            assert!(
                method == "HEAD" || said.starts_with(r#"{"error":"#),
                "{said}"
            );
            assert_eq!(it.hits(), hits, "{method} {body:?}");
            // A fresh nginx: this one now takes both replicas for dead.
            it.door = door(Routing::Sticky, &[it.one.address, it.two.address], &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_goes_elsewhere_whatever_the_method() {
    // Held, so that nobody listens there while the test runs.
    let nobody = Reservation::any().unwrap();
    let dead = nobody.addresses()[0];
    let (alive, _events) = Upstream::start("alive").await;
    let (control, _) = Upstream::start("control").await;
    let large = "x".repeat(200_000);
    for dead_ones in 1..=3 {
        let mut data = vec![dead; dead_ones];
        data.push(alive.address);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            // A fresh nginx each time: it remembers who is dead.
            let door = door(Routing::Random, &data, &[control.address]);
            for body in ["", &large] {
                let (status, who) = call(&door, method, "/v1/proxy/c/x", body).await;
                assert_eq!(
                    (status, who.as_str()),
                    (StatusCode::OK, "alive"),
                    "{method}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_told_as_json() {
    let it = Fixture::start_single().await;
    let over = "x".repeat(1_048_577);
    let (status, said) = call(&it.door, "POST", "/v1/agents", &over).await;
    assert_eq!(
        (status.as_u16(), said.as_str()),
        (413, r#"{"error":"Request body is too large"}"#)
    );
    assert_eq!(it.control.hits(), 0);
    let fits = "x".repeat(1_048_576);
    assert_eq!(call(&it.door, "POST", "/v1/agents", &fits).await.0, 200);
    assert_eq!(
        call(&it.door, "PUT", "/v1/proxy/c", &over.repeat(12))
            .await
            .0,
        200
    );
    let token = Request::get("/v1/proxy/c")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", "t".repeat(16_000)));
    let response = send(&it.door, token.body(Full::<Bytes>::default()).unwrap()).await;
    assert_eq!(response.status(), 200);
    let token = Request::get("/v1/proxy/c")
        .header("host", "localhost")
        .header("authorization", format!("Bearer {}", "t".repeat(40_000)));
    let response = send(&it.door, token.body(Full::<Bytes>::default()).unwrap()).await;
    assert_eq!(response.status(), 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_replicas() {
    let mut it = Fixture::start_single().await;
    assert_eq!(call(&it.door, "GET", "/v1/proxy/c", "").await.1, "one");
    it.door.nginx.reload(vec![it.two.address]).unwrap();
    // New workers take over a moment later; every call on the way is answered.
    loop {
        let (status, who) = call(&it.door, "GET", "/v1/proxy/c", "").await;
        assert_eq!(status, 200);
        if who == "two" {
            break;
        }
    }
}

async fn replica_for(door: &Door, header: &str, value: &str) -> String {
    let request = Request::get("/v1/proxy/c")
        .header("host", "localhost")
        .header(header, value);
    let response = send(door, request.body(Full::<Bytes>::default()).unwrap()).await;
    assert_eq!(response.status(), 200);
    response.headers()["x-seen-by"].to_str().unwrap().to_owned()
}
