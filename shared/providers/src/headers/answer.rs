//! The headers of a provider's answer: which go back to the agent, and where a redirect leads.

use ah5_policy::CanonicalUrl;
use http::header::{self, HeaderMap};

use super::{Source, is_nominated};

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect {
    /// To another origin, or to something that is no URL we would call; the text is its origin.
    Elsewhere(String),
    None,
    SameOrigin,
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
            answers(name.as_str()) && !is_nominated(name, provider, Source::Transparent)
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

fn answers(name: &str) -> bool {
    ANSWERS.contains(&name)
        || ANSWER_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Answers. Never `set-cookie`, and nothing that tells of hops behind the provider.
const ANSWERS: [&str; 25] = [
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
    "retry-after-ms",
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
