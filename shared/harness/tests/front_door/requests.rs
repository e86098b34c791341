//! What a plane gets to see of a request, and what it never gets.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::Fixture;
use crate::support::{call, send};

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
