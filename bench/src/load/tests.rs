use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::pace::Pace;
use super::request::Shape;
use super::{Load, Outcome};
use crate::upstream::{TOKEN_START, Upstream};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn every_answer_counted_was_a_request_that_arrived() {
    let upstream = Upstream::start(None).await.unwrap();
    for shape in [Shape::Get, Shape::Post] {
        let before = upstream.arrived().unwrap();
        let requests = [shape.request("/a", TOKEN_START)];
        let mut load = Load::open(upstream.plain, &requests, 3).await.unwrap();
        let outcome = load.run(Pace::Max, SHORT).await.unwrap();
        let arrived = upstream.arrived().unwrap().since(&before);
        assert_eq!(outcome.first_error, None);
        assert!(outcome.latencies.is_sorted() && !outcome.latencies.is_empty());
        assert_eq!(arrived.requests, outcome.latencies.len() as u64);
        assert_eq!(arrived.with_token, arrived.requests);
    }
}

#[tokio::test]
async fn a_fixed_rate_sends_what_was_asked_for() {
    let upstream = Upstream::start(None).await.unwrap();
    let requests = [Shape::Get.request("/a", "token")];
    let mut load = Load::open(upstream.plain, &requests, 4).await.unwrap();
    let outcome = load.run(Pace::Fixed(200), SHORT).await.unwrap();
    assert_eq!((outcome.latencies.len(), outcome.errors), (40, 0));
}

#[tokio::test]
async fn a_refusal_is_an_error_and_is_shown() {
    let outcome = against("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
    assert_eq!((outcome.errors, outcome.latencies.len()), (1, 0));
    assert!(outcome.first_error.unwrap().contains("403 Forbidden"));
}

#[tokio::test]
async fn an_answer_of_another_length_is_an_error() {
    let outcome = against("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(outcome.errors, 1);
}

#[tokio::test]
async fn a_closed_connection_is_an_error() {
    assert_eq!(against("").await.errors, 1);
}

async fn against(answer: &'static str) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut [0; 1024]).await.unwrap(), 0);
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let requests = [Shape::Get.request("/a", "token")];
    let mut load = Load::open(address, &requests, 1).await.unwrap();
    load.run(Pace::Max, Duration::from_secs(5)).await.unwrap()
}
