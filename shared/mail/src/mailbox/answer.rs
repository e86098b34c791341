//! What an operation answers: a status of HTTP, and JSON or a file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    File {
        bytes: Vec<u8>,
        /// Of `Content-Disposition`.
        disposition: String,
        /// Of `Content-Type`.
        kind: String,
    },
    /// A file in base64, in the member `content` of this object: by [`Self::inline`], once the bytes
    /// are what the agent may see.
    Inline {
        bytes: Vec<u8>,
        kind: String,
        object: Box<serde_json::Map<String, serde_json::Value>>,
    },
    Json(Vec<u8>),
}

// === impl Content ===

impl Content {
    #[must_use]
    pub fn inline(mut object: serde_json::Map<String, serde_json::Value>, bytes: &[u8]) -> Vec<u8> {
        object.insert("size".to_owned(), bytes.len().into());
        object.insert("content".to_owned(), STANDARD.encode(bytes).into());
        serde_json::Value::Object(object).to_string().into_bytes()
    }
}

// === impl Answer ===

impl Answer {
    pub(super) fn ok(body: &impl Serialize) -> Self {
        Self::json(200, body)
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(text) => Self {
                status,
                content: Content::Json(text),
            },
            Err(_) => Self::error(500, "the answer cannot be written"),
        }
    }

    #[must_use]
    pub fn error(status: u16, error: &str) -> Self {
        let text = json!({"error": error}).to_string();
        Self {
            status,
            content: Content::Json(text.into_bytes()),
        }
    }

    /// A server said no.
    #[must_use]
    pub fn failed(why: &str) -> Self {
        Self::error(500, &format!("Email operation failed: {why}"))
    }

    #[must_use]
    pub fn login() -> Self {
        let error = "Email authentication failed: the server refuses the user name or the password";
        Self::error(401, error)
    }

    pub(super) fn no_folder(name: &str) -> Self {
        Self::error(404, &format!("Folder {name} not found"))
    }

    pub(super) fn no_message(uid: u32, folder: &str) -> Self {
        Self::error(404, &format!("Message {uid} not found in {folder}"))
    }

    pub(super) fn bad(error: &str) -> Self {
        Self::error(400, error)
    }
}
