//! Which headers pass, in both directions. Lists of what may pass, not of what may not: a header
//! that nobody thought of does not go through.

use ah5_contracts::connection::Auth;
use ah5_policy::header::is_never;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::service::Service;

mod answer;

pub use answer::{Redirect, forward_response, redirect};

/// How the caller's headers reached us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Named in a body: none of them is meant for us.
    Envelope,
    /// On the request itself, where some are ours: the caller's own credential, hop-by-hop ones.
    Transparent,
}

/// What goes on to the provider.
#[derive(Debug)]
pub struct Forwarded {
    pub headers: HeaderMap,
    /// Names that were left out, for the record.
    pub dropped: Vec<HeaderName>,
}

/// The caller's headers are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderRefusal {
    #[error("header {0} carries authority or arguments, and no policy names it")]
    Acting(HeaderName),
    #[error("header {0} is set by this connection itself")]
    Injected(HeaderName),
    #[error("header {0} is not acceptable: too long, not plain text, or given twice")]
    Malformed(HeaderName),
    #[error("header {0} would make another request of this one")]
    Steering(HeaderName),
}

/// The caller's headers that carry authority or arguments, for a policy to judge: names in lower
/// case, and values. `named` are those that a policy names, whatever else is known of them.
///
/// # Errors
/// One that is not plain text, or comes twice.
pub fn acting_headers(
    caller: &HeaderMap,
    source: Source,
    service: &Service,
    named: impl Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, HeaderRefusal> {
    let mut acting: Vec<(String, String)> = Vec::new();
    for (name, value) in caller {
        let text = name.as_str();
        let acts = !is_plain(text, service)
            && !is_never(text)
            && (is_acting(text, service) || named(text));
        if !acts || is_ours(name, source) || is_nominated(name, caller, source) {
            continue;
        }
        let twice = acting.iter().any(|(known, _)| known == text);
        let value = value.to_str().ok().filter(|_| is_short_text(value));
        match value {
            Some(value) if !twice => acting.push((text.to_owned(), value.to_owned())),
            _ => return Err(HeaderRefusal::Malformed(name.clone())),
        }
    }
    Ok(acting)
}

/// The caller's headers that go on; `judged` are the acting ones that a policy let pass.
///
/// # Errors
/// Headers that would change what the call means, or that collide with the credential, are refused
/// rather than dropped: the call would not be the one that was asked for.
pub fn forward_request(
    caller: &HeaderMap,
    source: Source,
    auth: &Auth,
    service: &Service,
    judged: &[(String, String)],
) -> Result<Forwarded, HeaderRefusal> {
    let mut headers = HeaderMap::with_capacity(caller.len());
    let mut dropped = Vec::new();
    for (name, value) in caller {
        let text = name.as_str();
        if is_ours(name, source) || is_nominated(name, caller, source) {
            continue;
        }
        if is_slot(name, auth) {
            return Err(HeaderRefusal::Injected(name.clone()));
        }
        let passes = |(known, stated): &(String, String)| known == text && value == stated;
        if !is_plain(text, service) && !judged.iter().any(passes) {
            if STEERING.contains(&text) {
                return Err(HeaderRefusal::Steering(name.clone()));
            }
            if is_acting(text, service) || is_encoded_body(name, value.as_bytes()) {
                return Err(HeaderRefusal::Acting(name.clone()));
            }
            if source == Source::Envelope || !HOP_BY_HOP.contains(&text) {
                dropped.push(name.clone());
            }
            continue;
        }
        if !is_short_text(value) || (headers.contains_key(name) && !is_list(name)) {
            return Err(HeaderRefusal::Malformed(name.clone()));
        }
        headers.append(name, value.clone());
    }
    Ok(Forwarded { headers, dropped })
}

/// Headers that were for us and for nobody behind us.
fn is_ours(name: &HeaderName, source: Source) -> bool {
    let text = name.as_str();
    text.starts_with("x-ah5-")
        || (source == Source::Transparent
            && (CREDENTIALS.contains(&text) || text == "host" || text == "content-length"))
}

/// RFC 9110 §7.6.1: what `Connection` names is for this hop only. Headers named in a body came over
/// no hop.
fn is_nominated(name: &HeaderName, all: &HeaderMap, source: Source) -> bool {
    let names = |value: &HeaderValue| {
        let mut options = value.as_bytes().split(|&b| b == b',');
        options.any(|option| {
            let option = option.trim_ascii();
            option.eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    };
    source == Source::Transparent && all.get_all(header::CONNECTION).iter().any(names)
}

fn is_plain(name: &str, service: &Service) -> bool {
    PLAIN.contains(&name) || service.plain_headers.iter().any(|known| known == name)
}

fn is_acting(name: &str, service: &Service) -> bool {
    ACTING.contains(&name) || service.acting_headers.iter().any(|known| known == name)
}

/// Whether the lists of every service already say what becomes of the header.
pub(crate) fn is_common(name: &str) -> bool {
    PLAIN.contains(&name) || ACTING.contains(&name) || HOP_BY_HOP.contains(&name)
}

fn is_short_text(value: &HeaderValue) -> bool {
    let plain = |b: &u8| *b == b'\t' || (0x20..0x7f).contains(b);
    value.len() <= MAX_VALUE && value.as_bytes().iter().all(plain)
}

fn is_slot(name: &HeaderName, auth: &Auth) -> bool {
    match auth {
        Auth::Basic { .. } | Auth::Bearer => name == header::AUTHORIZATION,
        Auth::Header { name: slot } => name.as_str().eq_ignore_ascii_case(slot),
        Auth::Mail | Auth::Path { .. } | Auth::Query { .. } | Auth::QueryPair { .. } => false,
    }
}

/// A body that is coded must say so, and what says so does not pass.
fn is_encoded_body(name: &HeaderName, value: &[u8]) -> bool {
    name == header::CONTENT_ENCODING && !value.trim_ascii().eq_ignore_ascii_case(b"identity")
}

fn is_list(name: &HeaderName) -> bool {
    LISTS.contains(&name.as_str())
}

const MAX_VALUE: usize = 4096;

/// Requests: these describe the call and carry no authority.
const PLAIN: [&str; 17] = [
    "accept",
    "accept-language",
    "baggage",
    "cache-control",
    "content-language",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "range",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

/// Requests: these may come on several lines.
const LISTS: [&str; 7] = [
    "accept",
    "accept-language",
    "anthropic-beta",
    "baggage",
    "cache-control",
    "if-match",
    "if-none-match",
];

/// Requests: known to change what a call does, or on whose account.
const ACTING: [&str; 15] = [
    "depth",
    "destination",
    "dropbox-api-arg",
    "dropbox-api-path-root",
    "dropbox-api-select-admin",
    "dropbox-api-select-user",
    "if",
    "openai-organization",
    "openai-project",
    "overwrite",
    "prefer",
    "stripe-account",
    "stripe-context",
    "x-goog-user-project",
    "x-upsert",
];

/// Requests: change what was judged, the method or the URL. No policy can let them pass.
const STEERING: [&str; 5] = [
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// The proof of possession as well: it is of the agent's key and for us.
const CREDENTIALS: [&str; 4] = ["authorization", "dpop", "x-api-key", "x-goog-api-key"];

const HOP_BY_HOP: [&str; 9] = [
    "accept-encoding",
    "connection",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests;
