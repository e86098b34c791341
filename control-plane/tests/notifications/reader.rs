//! A reader of server-sent events, as a browser is one.

use std::time::Duration;

use ah5_testkit::client::{Call, Http, Owner};
use http::HeaderMap;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::timeout;

pub const STREAM: &str = "/v1/notifications/stream";

pub struct Reader {
    pub headers: HeaderMap,
    body: Incoming,
    buffer: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub data: Value,
    pub id: String,
}

// === impl Reader ===

impl Reader {
    pub async fn open(http: &Http, call: Call) -> Self {
        let response = http.open(call).await.unwrap();
        let (head, body) = response.into_parts();
        assert_eq!(head.status, 200);
        Self {
            headers: head.headers,
            body,
            buffer: Vec::new(),
        }
    }

    /// A reader who has just connected.
    pub async fn of(http: &Http, person: &Owner) -> Self {
        let mut reader = Self::open(http, Call::get(STREAM).bearer(&person.token)).await;
        assert_eq!(reader.next().await.unwrap().name, "connected");
        reader
    }

    /// The text up to the next blank line; `None` when the stream has ended.
    pub async fn frame(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame = self.buffer.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8(frame).unwrap());
            }
            let piece = timeout(PATIENCE, self.body.frame()).await;
            // A connection that was cut off has ended, too.
            let piece = piece.expect("nothing came").and_then(Result::ok)?;
            self.buffer.extend(piece.into_data().unwrap_or_default());
        }
    }

    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let frame = self.frame().await?;
            let field = |name: &str| {
                let line = frame.lines().find_map(|line| line.strip_prefix(name));
                line.map(str::to_owned)
            };
            let Some(name) = field("event: ") else {
                continue;
            };
            return Some(Event {
                name,
                data: serde_json::from_str(&field("data: ").unwrap()).unwrap(),
                id: field("id: ").unwrap(),
            });
        }
    }

    /// Of the next notification.
    pub async fn title(&mut self) -> Option<String> {
        let event = self.next().await?;
        Some(event.data["title"].as_str()?.to_owned())
    }

    /// Reads on until the stream ends.
    pub async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// Longer than a heartbeat takes.
const PATIENCE: Duration = Duration::from_secs(40);
