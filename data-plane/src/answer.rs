//! Answers of our own: their headers, their bodies, and what every answer gets.

use std::pin::Pin;
use std::task::{Context, Poll};

use ah5_contracts::id::AuditId;
use ah5_edge::{cookie, dpop};
use ah5_providers::service::Dialect;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE,
    LOCATION, RETRY_AFTER, SET_COOKIE, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde_json::json;

use crate::admission::Permit;
use crate::plane::Plane;
use crate::quotas::Quota;
use crate::request::{Refusal, Relay, RelayError, llm};

pub struct AnswerBody {
    kind: Kind,
    /// Of the call, for as long as its answer is in memory.
    _permit: Option<Permit>,
}

enum Kind {
    Full(Option<Bytes>),
    /// A provider's, that had to be taken in whole.
    Provider(Option<Bytes>),
    Relay(Box<Relay>),
}

/// What an answer of ours gets besides itself. A provider's answer stays as it is, but for the nonce and
/// for how the policy's hour stands.
pub struct Dress {
    cookie: bool,
    /// The hour that the call counted in.
    pub quota: Option<Quota>,
    /// For the caller's next proof.
    pub nonce: Option<HeaderValue>,
    /// The form that the caller's program expects errors in.
    pub dialect: Option<Dialect>,
}

pub fn json(status: StatusCode, text: Vec<u8>, audit_id: Option<AuditId>) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::full(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(SOURCE, HeaderValue::from_static("gateway"));
    if let Some(id) = audit_id {
        insert_id(headers, id);
    }
    response
}

/// In the form of a provider of language models, if the caller's program expects that.
pub fn refusal(
    refusal: &Refusal,
    dialect: Option<Dialect>,
    audit_id: Option<AuditId>,
) -> Response<AnswerBody> {
    let text = match dialect {
        None => refusal.to_json(audit_id),
        Some(dialect) => llm::error::body(dialect, refusal, audit_id),
    };
    let mut response = json(refusal.status, text, audit_id);
    if let Some(seconds) = refusal.retry_after {
        let headers = response.headers_mut();
        headers.insert(RETRY_AFTER, seconds.into());
        if dialect.is_some() && seconds > PATIENCE {
            // Official clients don't wait that long, and would ask again at once.
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
    }
    if let (Some(waiting), Some(_)) = (&refusal.waiting, dialect) {
        llm::question::mark(response.headers_mut(), waiting.id);
    }
    if let Some(fault) = &refusal.proof {
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, fault.challenge());
        if let Some(nonce) = fault.nonce() {
            headers.insert(dpop::NONCE, nonce);
        }
    }
    response
}

/// An answer of ours under the provider's status, which is the provider's word and not ours.
pub fn under(
    mut response: Response<AnswerBody>,
    status: StatusCode,
    theirs: &HeaderMap,
) -> Response<AnswerBody> {
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(SOURCE, HeaderValue::from_static("provider"));
    if let Some(pause) = theirs.get(RETRY_AFTER) {
        headers.insert(RETRY_AFTER, pause.clone());
    }
    response
}

/// Marks an answer as the provider's own.
pub fn from_provider(headers: &mut HeaderMap, audit_id: AuditId) {
    headers.insert(SOURCE, HeaderValue::from_static("provider"));
    insert_id(headers, audit_id);
}

pub fn health() -> Response<AnswerBody> {
    json(StatusCode::OK, br#"{"status":"ok"}"#.to_vec(), None)
}

/// The same request belongs elsewhere (RFC 9110 §15.4.9).
pub fn moved(place: &str) -> Response<AnswerBody> {
    let mut response = json(StatusCode::PERMANENT_REDIRECT, Vec::new(), None);
    if let Ok(place) = HeaderValue::from_str(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    response
}

/// Only callers we know learn which paths exist.
pub fn not_found(head: &Parts) -> Response<AnswerBody> {
    let message = format!("Route {}:{} not found", head.method, head.uri.path());
    let body = json!({"message": message, "error": "Not Found", "statusCode": 404});
    json(StatusCode::NOT_FOUND, body.to_string().into_bytes(), None)
}

/// For when answering itself went wrong.
pub fn internal() -> Response<AnswerBody> {
    let body = br#"{"error":"Internal server error"}"#.to_vec();
    json(StatusCode::INTERNAL_SERVER_ERROR, body, None)
}

// === impl Dress ===

impl Dress {
    pub fn of(head: &Parts) -> Self {
        let sticky = cookie::value(&head.headers, cookie::STICKY).is_some();
        let health = head.uri.path().ends_with("/health");
        Self {
            cookie: !sticky && !health,
            nonce: None,
            quota: None,
            dialect: None,
        }
    }

    pub fn finish(self, plane: &Plane, mut response: Response<AnswerBody>) -> Response<AnswerBody> {
        if let Some(nonce) = self.nonce {
            response.headers_mut().entry(dpop::NONCE).or_insert(nonce);
        }
        if let Some(quota) = &self.quota {
            insert_quota(response.headers_mut(), quota);
        }
        if !matches!(response.body().kind, Kind::Full(_)) {
            return response;
        }
        let headers = response.headers_mut();
        if self.cookie {
            headers.append(SET_COOKIE, cookie::sticky(plane.origin.https));
        }
        if let Ok(origin) = HeaderValue::from_str(&plane.origin.text) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            let credentials = HeaderValue::from_static("true");
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, credentials);
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        response
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    fn full(bytes: Bytes) -> Self {
        Self {
            kind: Kind::Full(Some(bytes)),
            _permit: None,
        }
    }

    pub const fn provider(bytes: Bytes, permit: Option<Permit>) -> Self {
        Self {
            kind: Kind::Provider(Some(bytes)),
            _permit: permit,
        }
    }

    pub fn relay(relay: Relay) -> Self {
        Self {
            kind: Kind::Relay(Box::new(relay)),
            _permit: None,
        }
    }

    pub fn keeping(self, permit: Option<Permit>) -> Self {
        Self {
            _permit: permit,
            ..self
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        match &mut self.kind {
            Kind::Full(bytes) | Kind::Provider(bytes) => {
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Relay(relay) => Pin::new(relay).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Full(bytes) | Kind::Provider(bytes) => bytes.is_none(),
            Kind::Relay(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Full(bytes) | Kind::Provider(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64)
            }
            Kind::Relay(relay) => relay.size_hint(),
        }
    }
}

/// In the fields of draft-ietf-httpapi-ratelimit-headers-06. A provider that speaks of limits of its own in
/// such fields is not talked over.
fn insert_quota(headers: &mut HeaderMap, quota: &Quota) {
    let theirs = |name: &HeaderName| name.as_str().starts_with("ratelimit");
    if headers.keys().any(theirs) {
        return;
    }
    headers.insert(LIMIT, quota.hour.into());
    headers.insert(REMAINING, quota.rest.into());
    headers.insert(RESET, quota.seconds().into());
}

fn insert_id(headers: &mut HeaderMap, id: AuditId) {
    let mut text = [0; uuid_length()];
    let text = id.uuid().hyphenated().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(AUDIT_ID, value);
    }
}

const fn uuid_length() -> usize {
    36
}

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const AUDIT_ID: HeaderName = HeaderName::from_static("x-ah5-audit-id");
/// Whose answer it is: `gateway` or `provider`.
/// Seconds.
const PATIENCE: u32 = 60;
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const SOURCE: HeaderName = HeaderName::from_static("x-ah5-source");
