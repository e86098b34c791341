//! The provider at the other end: answers every call as the case says and remembers what it got.

use std::sync::{Arc, Mutex, PoisonError};

use ah5_testkit::simulator::{Body, Entry, Options, Received, Simulator};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use crate::Case;

pub(super) struct Provider {
    pub simulator: Simulator,
    reply: Arc<Mutex<Reply>>,
}

#[derive(Clone)]
struct Reply {
    status: StatusCode,
    content_type: HeaderValue,
    body: String,
}

// === impl Provider ===

impl Provider {
    pub async fn start(hosts: &[(String, u16)]) -> anyhow::Result<Self> {
        let options = Options {
            names: hosts.iter().map(|(name, _)| name.clone()).collect(),
            ..Options::default()
        };
        let simulator = Simulator::start_with(options).await?;
        let reply = Arc::new(Mutex::new(Reply::default()));
        let shared = Arc::clone(&reply);
        simulator.on("/*", move |_: Received| {
            let reply = shared.lock().unwrap_or_else(PoisonError::into_inner);
            std::future::ready(reply.response())
        });
        Ok(Self { simulator, reply })
    }

    /// Answers as this case has it from now on.
    pub fn answer_as(&self, case: &Case) -> anyhow::Result<()> {
        *self.reply.lock().unwrap_or_else(PoisonError::into_inner) = Reply::of(case)?;
        Ok(())
    }

    /// What it was sent so far.
    pub fn count(&self) -> usize {
        self.simulator.journal().len()
    }

    /// What it was sent after so many.
    pub fn since(&self, count: usize) -> Vec<Entry> {
        self.simulator.journal().split_off(count)
    }
}

// === impl Reply ===

impl Default for Reply {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            content_type: HeaderValue::from_static(JSON),
            body: r#"{"ok":true}"#.to_owned(),
        }
    }
}

impl Reply {
    fn of(case: &Case) -> anyhow::Result<Self> {
        let mut reply = Self::default();
        if let Some(status) = case.response_status {
            reply.status = StatusCode::from_u16(status)?;
        }
        if let Some(kind) = &case.response_content_type {
            reply.content_type = HeaderValue::from_str(kind)?;
        }
        if let Some(body) = &case.response {
            let json = reply.content_type.to_str()?.contains("json");
            reply.body = match serde_json::from_str::<String>(body.get()) {
                Ok(text) if !json => text,
                _ => compact(body.get()),
            };
        }
        Ok(reply)
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, self.content_type.clone());
        response
    }
}

/// The members that an answer shows of a request at the provider.
pub(super) fn show(entry: &Entry) -> Map<String, Value> {
    let host = entry.header("host").unwrap_or_default();
    let mut headers = Map::new();
    for (name, value) in &entry.headers {
        let joined = match headers.get(name).and_then(Value::as_str) {
            Some(before) => format!("{before}, {value}"),
            None => value.clone(),
        };
        headers.insert(name.to_ascii_lowercase(), joined.into());
    }
    let text = String::from_utf8_lossy(&entry.body);
    let body = serde_json::from_str(&text).unwrap_or_else(|_| Value::from(text));
    Map::from_iter([
        (
            "upstreamUrl".to_owned(),
            format!("https://{host}{}", entry.target).into(),
        ),
        ("upstreamHeaders".to_owned(), headers.into()),
        ("upstreamBody".to_owned(), body),
    ])
}

/// JSON without the blanks between its parts; members stay in their order.
pub(super) fn compact(json: &str) -> String {
    let (mut within, mut escaped) = (false, false);
    let mut kept = String::with_capacity(json.len());
    for c in json.chars() {
        if within || !c.is_ascii_whitespace() {
            kept.push(c);
        }
        within ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
    }
    kept
}

const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_and_texts_and_the_order_stay() {
        let json = r#"{ "b" : "x \" : y\\" , "a": [ 1,  2 ] }"#;
        assert_eq!(compact(json), r#"{"b":"x \" : y\\","a":[1,2]}"#);
    }
}
