//! Which headers pass, in both directions. Lists of what may pass, not of what may not: a header
//! that nobody thought of does not go through.

use ah5_contracts::connection::Auth;
use ah5_policy::CanonicalUrl;
use http::header::{self, HeaderMap, HeaderName};

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
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To another origin, or to something that is no URL we would call; the text is its origin.
    Elsewhere(String),
    None,
    SameOrigin,
}

/// The caller's headers that go on. `extra` are further names that the service takes.
///
/// # Errors
/// Headers that would change what the call means, or that collide with the credential, are refused
/// rather than dropped: the call would not be the one that was asked for.
pub fn forward_request(
    caller: &HeaderMap,
    source: Source,
    auth: &Auth,
    extra: &[&str],
) -> Result<Forwarded, HeaderRefusal> {
    let mut headers = HeaderMap::with_capacity(caller.len());
    let mut dropped = Vec::new();
    for (name, value) in caller {
        let text = name.as_str();
        // Headers named in a body came over no hop, so none can be for this hop only.
        let nominated = source == Source::Transparent && is_nominated(name, caller);
        if is_ours(name, source) || nominated {
            continue;
        }
        if is_slot(name, auth) {
            return Err(HeaderRefusal::Injected(name.clone()));
        }
        if !PLAIN.contains(&text) && !extra.contains(&text) {
            if ACTING.contains(&text) || is_encoded_body(name, value.as_bytes()) {
                return Err(HeaderRefusal::Acting(name.clone()));
            }
            if source == Source::Envelope || !HOP_BY_HOP.contains(&text) {
                dropped.push(name.clone());
            }
            continue;
        }
        let plain = value
            .as_bytes()
            .iter()
            .all(|&b| b == b'\t' || (0x20..0x7f).contains(&b));
        if value.len() > MAX_VALUE || !plain || (headers.contains_key(name) && !is_list(name)) {
            return Err(HeaderRefusal::Malformed(name.clone()));
        }
        headers.append(name, value.clone());
    }
    Ok(Forwarded { headers, dropped })
}

/// The provider's headers that go back to the agent. Framing is the server's business, and
/// `Location` passes only within `target`'s origin.
#[must_use]
pub fn forward_response(provider: &HeaderMap, target: &CanonicalUrl) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(provider.len());
    for (name, value) in provider {
        let passes = if name == header::LOCATION {
            redirect(provider, target) == Redirect::SameOrigin
        } else {
            answers(name.as_str()) && !is_nominated(name, provider)
        };
        if passes {
            headers.append(name, value.clone());
        }
    }
    headers
}

/// Reads `Location` as the answer to a call of `target`.
#[must_use]
pub fn redirect(provider: &HeaderMap, target: &CanonicalUrl) -> Redirect {
    let mut values = provider.get_all(header::LOCATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return match provider.contains_key(header::LOCATION) {
            true => Redirect::Elsewhere("several places".to_owned()),
            false => Redirect::None,
        };
    };
    let Ok(text) = value.to_str() else {
        return Redirect::Elsewhere("an unreadable place".to_owned());
    };
    // Browsers and clients read `\` as `/`, and `//host` as another host.
    let scheme_end = text
        .find(':')
        .filter(|&at| !text[..at].contains(['/', '?', '#']));
    if scheme_end.is_none() {
        return match text.replace('\\', "/").starts_with("//") {
            true => Redirect::Elsewhere("another origin".to_owned()),
            false => Redirect::SameOrigin,
        };
    }
    let without_fragment = text.split('#').next().unwrap_or_default();
    match CanonicalUrl::parse(without_fragment) {
        Ok(url) if url.same_origin(target) => Redirect::SameOrigin,
        Ok(url) => Redirect::Elsewhere(url.origin()),
        Err(_) => Redirect::Elsewhere("an unreadable place".to_owned()),
    }
}

/// Headers that were for us and for nobody behind us.
fn is_ours(name: &HeaderName, source: Source) -> bool {
    let text = name.as_str();
    text.starts_with("x-ah5-")
        || (source == Source::Transparent
            && (CREDENTIALS.contains(&text) || text == "host" || text == "content-length"))
}

/// RFC 9110 §7.6.1: what `Connection` names is for this hop only.
fn is_nominated(name: &HeaderName, all: &HeaderMap) -> bool {
    all.get_all(header::CONNECTION).iter().any(|value| {
        value.as_bytes().split(|&b| b == b',').any(|option| {
            option
                .trim_ascii()
                .eq_ignore_ascii_case(name.as_str().as_bytes())
        })
    })
}

fn is_slot(name: &HeaderName, auth: &Auth) -> bool {
    match auth {
        Auth::Basic { .. } | Auth::Bearer => name == header::AUTHORIZATION,
        Auth::Header { name: slot } => name.as_str().eq_ignore_ascii_case(slot),
        Auth::Query { .. } => false,
    }
}

/// A body that is coded must say so, and what says so does not pass.
fn is_encoded_body(name: &HeaderName, value: &[u8]) -> bool {
    name == header::CONTENT_ENCODING && !value.trim_ascii().eq_ignore_ascii_case(b"identity")
}

fn is_list(name: &HeaderName) -> bool {
    LISTS.contains(&name.as_str())
}

fn answers(name: &str) -> bool {
    ANSWERS.contains(&name)
        || ANSWER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
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

/// Requests: known to change what a call does, on whose account, or what its method is.
const ACTING: [&str; 20] = [
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
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
    "x-upsert",
];

const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "x-goog-api-key"];

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

/// Answers. Never `set-cookie`, and nothing that tells of hops behind the provider.
const ANSWERS: [&str; 24] = [
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "date",
    "deprecation",
    "etag",
    "expires",
    "last-modified",
    "link",
    "openai-processing-ms",
    "ratelimit",
    "request-id",
    "retry-after",
    "sunset",
    "vary",
    "x-request-id",
    "x-should-retry",
];
const ANSWER_PREFIXES: [&str; 4] = [
    "anthropic-ratelimit-",
    "ratelimit-",
    "x-rate-limit-",
    "x-ratelimit-",
];

#[cfg(test)]
mod tests;
