//! Why a call is not made, or has no answer: status, text for the caller, and what is recorded.

use std::borrow::Cow;

use ah5_contracts::error::ErrorBody;
use ah5_contracts::id::AuditId;
use ah5_edge::dpop::Fault;
use http::StatusCode;

use super::lift::Waiting;
use super::offer::Offer;

#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub kind: Kind,
    pub error: Cow<'static, str>,
    pub hint: Option<Cow<'static, str>>,
    /// Seconds (RFC 9110 §10.2.3).
    pub retry_after: Option<u32>,
    /// What the record says where the text for the caller quotes its own request.
    pub recorded: Option<&'static str>,
    /// What is wrong with how the caller proves possession of a key.
    pub proof: Option<Box<Fault>>,
    /// People are asked about it.
    pub waiting: Option<Box<Waiting>>,
}

/// For metrics and the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The caller's request is at fault.
    Caller,
    Credential,
    Denied,
    Internal,
    /// A policy's hour is used up.
    Limited,
    Overload,
    /// The provider has asked to be left alone.
    Paused,
    Stale,
    /// It has to be on record first, and can't be.
    Unrecorded,
    Upstream,
}

// === impl Refusal ===

impl Refusal {
    fn new(status: StatusCode, kind: Kind, error: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind,
            error: error.into(),
            hint: None,
            retry_after: None,
            recorded: None,
            proof: None,
            waiting: None,
        }
    }

    pub fn bad_request(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Kind::Caller, error)
    }

    pub fn unauthorized(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, Kind::Credential, error)
    }

    pub fn forbidden(error: impl Into<Cow<'static, str>>, hint: Option<String>) -> Self {
        let refusal = Self::new(StatusCode::FORBIDDEN, Kind::Denied, error);
        Self {
            hint: hint.map(Cow::Owned),
            ..refusal
        }
    }

    pub fn not_found(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, Kind::Caller, error)
    }

    pub fn conflict(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, Kind::Denied, error)
    }

    pub fn gone(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GONE, Kind::Denied, error)
    }

    pub fn timeout(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, Kind::Caller, error)
    }

    pub fn too_large(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Kind::Caller, error)
    }

    pub fn unsupported_media(given: &str) -> Self {
        let error = format!("Unsupported Media Type: {given}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Kind::Caller, error)
    }

    /// The details go to the log, never to the caller.
    pub fn internal(why: impl std::fmt::Display) -> Self {
        tracing::error!(%why, "a call could not be answered");
        let error = "Internal server error";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Kind::Internal, error)
    }

    pub fn bad_gateway(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, Kind::Upstream, error)
    }

    pub fn gateway_timeout(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, Kind::Upstream, error)
    }

    pub fn too_many(error: impl Into<Cow<'static, str>>, seconds: u32) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::Overload, error);
        refusal.retry_after(seconds)
    }

    pub fn limited(error: impl Into<Cow<'static, str>>, seconds: u32) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::Limited, error);
        refusal.retry_after(seconds)
    }

    pub fn paused(seconds: u32) -> Self {
        let error = "The provider has asked for a pause";
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Kind::Paused, error);
        refusal.retry_after(seconds).hint(format!(
            "Nothing was sent. Retry after {seconds} seconds; an approval is still good."
        ))
    }

    pub fn loop_detected(error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::LOOP_DETECTED, Kind::Caller, error)
    }

    pub fn unavailable(kind: Kind, error: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, error).retry_after(1)
    }

    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Another text for the caller.
    pub fn say(mut self, error: impl Into<Cow<'static, str>>) -> Self {
        self.error = error.into();
        self
    }

    pub const fn record_as(mut self, text: &'static str) -> Self {
        self.recorded = Some(text);
        self
    }

    pub const fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Compact JSON.
    #[must_use]
    pub fn to_json(&self, audit_id: Option<AuditId>) -> Vec<u8> {
        if let Some(waiting) = &self.waiting {
            return Offer {
                id: waiting.id,
                reason: &waiting.reason,
                expires_at: waiting.expires_at,
                hint: self.hint.as_deref().unwrap_or_default(),
                rule_label: None,
                audit_id,
            }
            .to_json();
        }
        let body = ErrorBody {
            error: self.error.clone().into_owned(),
            hint: self.hint.clone().map(Cow::into_owned),
            reason: None,
            audit_id,
            retry_after: self.retry_after,
        };
        body.to_json()
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let refusal = match &fault {
            Fault::Token(_) => Self::unauthorized("Invalid or expired API key"),
            Fault::Nonce(_) | Fault::Proof(_) => Self::unauthorized(fault.code()),
        };
        Self {
            proof: Some(Box::new(fault.clone())),
            ..refusal.hint(fault.to_string())
        }
    }
}

// === impl Kind ===

impl Kind {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Credential => "credential",
            Self::Denied => "denied",
            Self::Internal => "internal",
            Self::Limited => "limited",
            Self::Overload => "overload",
            Self::Paused => "paused",
            Self::Stale => "stale",
            Self::Unrecorded => "unrecorded",
            Self::Upstream => "upstream",
        }
    }
}
