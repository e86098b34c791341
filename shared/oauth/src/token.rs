//! The token endpoint: a code or a refresh token for new tokens (RFC 6749 §4.1.3, §6), as lenient in
//! reading as providers are in writing, and strict about what is kept.

use std::time::{Duration, SystemTime};

use ah5_net::client::Failure;
use ah5_net::{PoolKey, SendError, Upstreams};
use ah5_providers::oauth::{ClientAuth, TokenRequest};
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use jiff::Timestamp;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use crate::client::Client;

/// What a provider has handed out.
#[derive(Debug)]
pub struct TokenSet {
    pub access: SecretText,
    /// `None` where the provider keeps the one that was used, or has none.
    pub refresh: Option<SecretText>,
    pub expires_at: Option<Timestamp>,
    /// `None`: what was asked for.
    pub scopes: Option<Vec<String>>,
    /// OpenID Connect; unverified.
    pub id_token: Option<SecretText>,
}

/// The code that a person's browser brought back, and what it is redeemed with.
#[derive(Clone, Copy)]
pub struct Code<'a> {
    pub code: &'a SecretText,
    pub redirect_uri: &'a str,
    pub verifier: &'a SecretText,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// `invalid_grant`, or what the provider calls it: only a person can help.
    #[error("{0}")]
    Grant(Said),
    /// Any other refusal: the client's registration, the provider's own trouble. It may pass.
    #[error("{0}")]
    Refused(Said),
    /// No answer, or none that makes sense. With `sent` the provider may have acted on it.
    #[error("{} ({kind})", unavailable(.kind))]
    Unavailable {
        kind: &'static str,
        sent: bool,
        retry_after: Option<Duration>,
    },
}

/// A provider's words, bounded and without control characters.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub error: String,
    pub description: Option<String>,
}

/// # Errors
/// [`TokenError`].
pub async fn exchange(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    code: Code<'_>,
) -> Result<TokenSet, TokenError> {
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.code.expose()),
        ("redirect_uri", code.redirect_uri),
    ];
    if client.dialect.pkce {
        fields.push(("code_verifier", code.verifier.expose()));
    }
    ask(net, key, client, fields).await
}

/// # Errors
/// [`TokenError`].
pub async fn refresh(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    refresh_token: &SecretText,
) -> Result<TokenSet, TokenError> {
    let fields = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.expose()),
    ];
    ask(net, key, client, fields).await
}

/// A request to the token endpoint with these fields and the client's own.
pub(crate) async fn ask(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    fields: Vec<(&str, &str)>,
) -> Result<TokenSet, TokenError> {
    let url = client.token_url().ok_or_else(unsendable)?;
    let body = post(net, key, client, &url.to_string(), fields).await?;
    let tokens: Answer = serde_json::from_slice(&body).map_err(|_| senseless())?;
    tokens.check()
}

/// The body of an answer that says yes.
pub(crate) async fn post(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    url: &str,
    fields: Vec<(&str, &str)>,
) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let request = request(client, url, fields).ok_or_else(unsendable)?;
    let answer = net.fetch(key, request, MAX_ANSWER).await;
    let (head, body) = answer.map_err(TokenError::from)?.into_parts();
    let body = Zeroizing::new(body.to_vec());
    // Some say no with 200.
    let refusal = serde_json::from_slice::<Refusal>(&body).ok();
    let is_busy = head.status.is_server_error() || head.status == StatusCode::TOO_MANY_REQUESTS;
    match refusal.and_then(|refusal| {
        refusal
            .error
            .map(|error| (error, refusal.error_description))
    }) {
        _ if is_busy => Err(TokenError::Unavailable {
            kind: "status",
            sent: true,
            retry_after: ah5_net::retry_after(&head.headers, SystemTime::now()),
        }),
        Some((error, description)) => Err(refused(client, &error, description.as_deref())),
        None if head.status.is_success() => Ok(body),
        None => Err(TokenError::Refused(Said {
            error: format!("HTTP {}", head.status.as_u16()),
            description: None,
        })),
    }
}

fn request<'a>(
    client: &'a Client,
    url: &str,
    mut fields: Vec<(&'a str, &'a str)>,
) -> Option<Request<Bytes>> {
    let mut builder = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(header::ACCEPT, "application/json")
        .header(header::USER_AGENT, "AgentHiFive");
    match (client.dialect.client_auth, &client.secret) {
        (ClientAuth::Basic, Some(secret)) => {
            // RFC 6749 §2.3.1: each encoded as in a form.
            let [id, secret] = [&client.id, secret.expose()]
                .map(|part| byte_serialize(part.as_bytes()).collect::<String>());
            let pair = Zeroizing::new(format!("{id}:{}", Zeroizing::new(secret).as_str()));
            let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            builder = builder.header(header::AUTHORIZATION, value.as_str());
        }
        (_, secret) => {
            fields.push(("client_id", &client.id));
            fields.extend(secret.as_ref().map(|it| ("client_secret", it.expose())));
        }
    }
    let (kind, body) = match client.dialect.token_request {
        TokenRequest::Form => {
            let mut form = Serializer::new(String::new());
            let form = form.extend_pairs(fields).finish();
            ("application/x-www-form-urlencoded", form.into_bytes())
        }
        TokenRequest::Json => {
            let object: serde_json::Map<_, _> = fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.into()))
                .collect();
            ("application/json", serde_json::to_vec(&object).ok()?)
        }
    };
    builder
        .header(header::CONTENT_TYPE, kind)
        .header(header::CONTENT_LENGTH, body.len())
        .body(body.into())
        .ok()
}

fn refused(client: &Client, error: &str, description: Option<&str>) -> TokenError {
    let is_final = error == "invalid_grant" || client.dialect.ends_grant(error);
    let said = Said {
        error: bounded(error),
        description: description.map(bounded),
    };
    match is_final {
        true => TokenError::Grant(said),
        false => TokenError::Refused(said),
    }
}

#[derive(Deserialize)]
struct Refusal {
    error: Option<String>,
    error_description: Option<String>,
}

/// RFC 6749 §5.1.
#[derive(Deserialize)]
struct Answer {
    access_token: SecretText,
    token_type: Option<String>,
    refresh_token: Option<SecretText>,
    expires_in: Option<Seconds>,
    scope: Option<String>,
    id_token: Option<SecretText>,
}

/// Some write numbers as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
}

// === impl Answer ===

impl Answer {
    fn check(self) -> Result<TokenSet, TokenError> {
        let kind = self.token_type.as_deref().unwrap_or("bearer");
        let secrets = [Some(&self.access_token), self.refresh_token.as_ref()];
        let good = secrets.into_iter().flatten().all(is_sendable);
        if !kind.eq_ignore_ascii_case("bearer") || !good {
            return Err(senseless());
        }
        let seconds = self.expires_in.and_then(Seconds::read);
        let scopes = self.scope.filter(|scope| !scope.trim().is_empty());
        let split = |scope: String| {
            let parts = scope.split([' ', ',']).filter(|part| is_scope(part));
            parts.take(MAX_SCOPES).map(str::to_owned).collect()
        };
        Ok(TokenSet {
            access: self.access_token,
            refresh: self.refresh_token,
            expires_at: seconds.and_then(|seconds| Timestamp::now().checked_add(seconds).ok()),
            scopes: scopes.map(split),
            id_token: self.id_token,
        })
    }
}

impl Seconds {
    fn read(self) -> Option<Duration> {
        let number = match self {
            Self::Number(number) => number,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        // Ten years are as good as for ever.
        let sane = number.is_finite() && number > 0.0;
        sane.then(|| Duration::from_secs_f64(number.min(3.2e8).floor()))
    }
}

/// RFC 6749 §3.3, and of a length that is kept.
fn is_scope(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    !text.is_empty() && text.len() <= MAX_SCOPE && text.bytes().all(legal)
}

/// Fit for a header, and long enough not to be found in every answer by chance.
fn is_sendable(token: &SecretText) -> bool {
    let text = token.expose();
    (MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

// === impl TokenError ===

impl TokenError {
    /// For the log: what a provider says may hold what it was shown.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let known = |said: &Said| KNOWN.iter().find(|known| **known == said.error).copied();
        match self {
            Self::Grant(said) => known(said).unwrap_or("grant ended"),
            Self::Refused(said) => known(said).unwrap_or("refused"),
            Self::Unavailable { kind, .. } => kind,
        }
    }
}

// === impl Said ===

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.description.as_deref().unwrap_or(&self.error))
    }
}

impl From<SendError> for TokenError {
    fn from(error: SendError) -> Self {
        Self::Unavailable {
            kind: error.kind(),
            sent: error.sent && !matches!(error.failure, Failure::Blocked(_) | Failure::Resolve(_)),
            retry_after: None,
        }
    }
}

/// Whether there was an answer at all.
fn unavailable(kind: &str) -> &'static str {
    match kind {
        "malformed" => "the provider answered nothing that we understand",
        "status" => "the provider is not able to answer just now",
        _ => "the provider could not be reached",
    }
}

fn bounded(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    clean.take(MAX_SAID).collect()
}

pub(crate) const fn senseless() -> TokenError {
    TokenError::Unavailable {
        kind: "malformed",
        sent: true,
        retry_after: None,
    }
}

pub(crate) const fn unsendable() -> TokenError {
    TokenError::Unavailable {
        kind: "unsendable",
        sent: false,
        retry_after: None,
    }
}

/// RFC 6749 §5.2, RFC 7009 §2.2.1.
const KNOWN: [&str; 7] = [
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_token_type",
];
const MAX_ANSWER: usize = 64 * 1024;
const MAX_SAID: usize = 200;
const MAX_SCOPE: usize = 200;
const MAX_SCOPES: usize = 200;
const MIN_TOKEN: usize = 8;
const MAX_TOKEN: usize = 16 * 1024;

#[cfg(test)]
mod tests;
