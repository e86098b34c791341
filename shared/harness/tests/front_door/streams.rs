//! Nothing is held back, and nothing goes on for nobody.

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use http_body_util::channel::Channel;

use crate::Fixture;
use crate::support::{self, request, send};

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
