//! Small, bounded exchanges with a party, through the guarded way out.

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::{PoolKey, Upstreams};
use axum::http::{Method, Request, StatusCode, header};
use bytes::Bytes;
use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::PartyError;

#[derive(Clone)]
pub struct Fetch {
    net: Upstreams,
    key: PoolKey,
}

/// What is sent.
pub enum Ask<'a> {
    /// GET, with a bearer token.
    Get(Option<&'a str>),
    /// POST of a form, with the authorization header's value.
    Form(&'a [(&'a str, &'a str)], Option<String>),
}

// === impl Fetch ===

impl Fetch {
    /// To parties that the operator names: such connections belong to no workspace.
    pub const fn new(net: Upstreams) -> Self {
        Self { net, key: NOBODYS }
    }

    /// To parties that the workspace names.
    pub fn of(&self, workspace: WorkspaceId) -> Self {
        let net = self.net.clone();
        let key = PoolKey {
            workspace,
            ..NOBODYS
        };
        Self { net, key }
    }

    /// The status and the body. Redirects are not followed.
    pub async fn send(&self, url: &str, ask: &Ask<'_>) -> Result<(StatusCode, Bytes), PartyError> {
        let url = Url::parse(url).map_err(|_| PartyError::Unavailable)?;
        let mut request = Request::builder()
            .uri(url.as_str())
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, "AgentHiFive");
        let body = match ask {
            Ask::Get(bearer) => {
                if let Some(token) = bearer {
                    request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
                }
                Bytes::new()
            }
            Ask::Form(fields, authorization) => {
                let form = "application/x-www-form-urlencoded";
                request = request
                    .method(Method::POST)
                    .header(header::CONTENT_TYPE, form);
                if let Some(value) = authorization {
                    request = request.header(header::AUTHORIZATION, value);
                }
                let mut text = url::form_urlencoded::Serializer::new(String::new());
                text.extend_pairs(*fields).finish().into()
            }
        };
        let length = body.len();
        let request = request.header(header::CONTENT_LENGTH, length).body(body);
        let request = request.map_err(|_| PartyError::Unavailable)?;
        let answer = self.net.fetch(self.key, request, MAX_ANSWER).await;
        let (head, body) = answer
            .map_err(|error| {
                tracing::warn!(host = url.host_str(), why = error.kind(), "no answer");
                PartyError::Unavailable
            })?
            .into_parts();
        Ok((head.status, body))
    }

    /// A JSON object from an answer that says 200.
    pub async fn object(&self, url: &str, ask: &Ask<'_>) -> Result<Value, PartyError> {
        let (status, body) = self.send(url, ask).await?;
        let object = serde_json::from_slice::<Value>(&body).ok();
        let object = object.filter(|value| status == StatusCode::OK && !value.is_null());
        object.ok_or(PartyError::Unavailable)
    }

    /// Whether a browser may be sent there, too.
    pub fn is_safe(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return false;
        };
        match url.scheme() {
            "https" => true,
            "http" => self.net.is_exempt(self.key.workspace, host, port),
            _ => false,
        }
    }
}

const NOBODYS: PoolKey = PoolKey {
    workspace: WorkspaceId::from_uuid(Uuid::nil()),
    connection: ConnectionId::from_uuid(Uuid::nil()),
};
const MAX_ANSWER: usize = 256 * 1024;
