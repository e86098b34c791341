//! The bytes of the requests, written once: the same for every proxy, but for the path.

use bytes::Bytes;

/// Size of a body, in and out.
pub const BODY: usize = 1024;

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// 1 KiB of JSON back.
    Get,
    /// 1 KiB of JSON each way.
    Post,
}

// === impl Shape ===

impl Shape {
    pub fn request(self, path: &str, token: &str) -> Bytes {
        let common = format!(
            "host: localhost\r\nuser-agent: ah5-bench\r\naccept: application/json\r\n\
             authorization: Bearer {token}\r\n"
        );
        match self {
            Self::Get => format!("GET {path} HTTP/1.1\r\n{common}\r\n").into(),
            Self::Post => {
                let head = format!(
                    "POST {path} HTTP/1.1\r\n{common}content-type: application/json\r\n\
                     content-length: {BODY}\r\n\r\n"
                );
                [head.into_bytes(), json()].concat().into()
            }
        }
    }
}

/// A JSON object of exactly `BODY` bytes with the usual mix of values.
pub fn json() -> Vec<u8> {
    let items: Vec<String> = (0..20)
        .map(|number| format!(r#"{{"id":{number},"name":"item {number}","done":false}}"#))
        .collect();
    let start = format!(r#"{{"items":[{}],"note":""#, items.join(","));
    let filler = "x".repeat(BODY - start.len() - END.len());
    format!("{start}{filler}{END}").into_bytes()
}

const END: &str = r#""}"#;

#[cfg(test)]
mod tests {
    use super::{BODY, Shape, json};
    use crate::http1::Message;

    #[test]
    fn the_body_is_json_of_the_promised_size() {
        assert_eq!(json().len(), BODY);
        let value: serde_json::Value = serde_json::from_slice(&json()).unwrap();
        assert_eq!(value["items"][19]["id"], 19);
    }

    #[test]
    fn requests_are_whole_messages() {
        for (shape, body) in [(Shape::Get, 0), (Shape::Post, BODY)] {
            let bytes = shape.request("/a", "token");
            let message = Message::request(&bytes).unwrap().unwrap();
            assert_eq!((message.body, message.len()), (body, bytes.len()));
        }
    }
}
