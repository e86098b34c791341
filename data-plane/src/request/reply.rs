//! From the provider's answer to ours: headers by list, redirects judged, the body as it is or in
//! an envelope of JSON.

use std::sync::Arc;

use ah5_policy::CanonicalUrl;
use ah5_providers::headers::{Redirect, forward_response, redirect};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::forward::Provider;
use super::parse::Form;
use super::relay::{Ending, Relay};
use super::unseal::Exchange;
use super::{Call, Refusal, wrap};
use crate::admission::Permit;
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;

/// # Errors
/// 403 for a redirect to elsewhere, 502 for an answer that can't be looked into.
pub async fn reply(
    plane: &Arc<Plane>,
    call: &mut Call,
    provider: Provider,
    permit: Permit,
) -> Result<Response<AnswerBody>, Refusal> {
    let Provider {
        response,
        mut scrubber,
        exchange,
    } = provider;
    let (head, body) = response.into_parts();
    check_redirect(&head.headers, &exchange.url)?;
    check_coding(&head.headers)?;
    let mut headers = forward_response(&head.headers, &exchange.url);
    let echoed = |_| Refusal::bad_gateway("The provider's answer holds the credential");
    scrubber.scrub_headers(&mut headers).map_err(echoed)?;
    if exchange.form == Form::Proxy {
        point_at_us(&mut headers, &exchange);
    }
    check_size(&headers)?;
    let audit_id = call.audit_id;
    let form = exchange.form;
    let relay = Relay::new(
        body,
        scrubber,
        Ending {
            plane: Arc::clone(plane),
            call: call.take(),
            exchange,
            status: head.status.as_u16(),
            permit,
        },
    );
    match form {
        Form::Raw if head.status.is_success() => {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
        }
        Form::Envelope | Form::Raw => return wrap::wrap(relay, head.status, &headers).await,
        Form::Proxy => {}
    }
    let mut response = Response::new(AnswerBody::relay(relay));
    *response.status_mut() = head.status;
    *response.headers_mut() = headers;
    answer::from_provider(response.headers_mut(), audit_id);
    Ok(response)
}

/// A redirect to elsewhere would have the agent take its request to a place that nobody judged.
fn check_redirect(headers: &HeaderMap, url: &CanonicalUrl) -> Result<(), Refusal> {
    match redirect(headers, url) {
        Redirect::None | Redirect::SameOrigin => Ok(()),
        Redirect::Elsewhere(to) => Err(Refusal::forbidden(
            format!(
                "Blocked cross-origin redirect from {} to {to}",
                url.origin()
            ),
            Some("Call the target through a connection of its own.".to_owned()),
        )
        .record_as("cross-origin redirect")),
    }
}

/// A front door takes a head that it can't hold for a replica that is ill.
fn check_size(headers: &HeaderMap) -> Result<(), Refusal> {
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > MAX_HEAD {
        return Err(Refusal::bad_gateway(
            "The head of the provider's answer is too large",
        ));
    }
    Ok(())
}

/// None was asked for, and in a coded body nothing can be found.
fn check_coding(headers: &HeaderMap) -> Result<(), Refusal> {
    let coded = headers.get_all(CONTENT_ENCODING).iter().any(|value| {
        let coding = value.as_bytes().trim_ascii();
        !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")
    });
    if coded {
        return Err(Refusal::bad_gateway(
            "The provider sent a compressed answer although none was asked for",
        ));
    }
    Ok(())
}

/// A redirect within the connection leads back through us; one out of it leads nowhere.
fn point_at_us(headers: &mut HeaderMap, exchange: &Exchange) {
    let Some(location) = headers.remove(LOCATION) else {
        return;
    };
    let target = location
        .to_str()
        .ok()
        .and_then(|text| resolve(text, &exchange.url));
    let Some(target) = target.filter(|target| target.is_below(&exchange.base)) else {
        return;
    };
    let base = exchange.base.path().trim_end_matches('/').len();
    let rest = &target.path_and_query()[base..];
    let ours = format!("/v1/proxy/{}{rest}", exchange.key.connection);
    if let Ok(ours) = HeaderValue::from_str(&ours) {
        headers.insert(LOCATION, ours);
    }
}

/// RFC 3986 §5.2, as far as redirects need it: absolute, from the root, or beside the target.
fn resolve(reference: &str, target: &CanonicalUrl) -> Option<CanonicalUrl> {
    let reference = reference.split('#').next().unwrap_or_default();
    if let Ok(absolute) = CanonicalUrl::parse(reference) {
        return Some(absolute);
    }
    // Another host, as browsers read it; the canonical form would fold it into a path.
    if reference.starts_with("//") {
        return None;
    }
    let path = match reference.as_bytes().first()? {
        b'/' => reference.to_owned(),
        b'?' => format!("{}{reference}", target.path()),
        _ => {
            let folder = target
                .path()
                .rfind('/')
                .map_or("/", |at| &target.path()[..=at]);
            format!("{folder}{reference}")
        }
    };
    CanonicalUrl::parse(&format!("{}{path}", target.origin())).ok()
}

pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Half of what front doors are set up for.
const MAX_HEAD: usize = 16 * 1024;
/// nginx passes such an answer on as it comes.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_no_front_door_holds_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        headers.append(
            "link",
            HeaderValue::from_str(&"x".repeat(MAX_HEAD - 8)).unwrap(),
        );
        assert!(check_size(&headers).is_ok());
        headers.append("link", HeaderValue::from_static("y"));
        assert!(check_size(&headers).is_err());
    }

    #[test]
    fn redirects_are_resolved_like_a_browser_does() {
        let target = CanonicalUrl::parse("https://a.example/v2/users/1?x=1").unwrap();
        for (reference, expected) in [
            ("https://a.example/v2/b#f", "https://a.example/v2/b"),
            ("/v2/c?y=2", "https://a.example/v2/c?y=2"),
            ("2", "https://a.example/v2/users/2"),
            ("../groups", "https://a.example/v2/groups"),
            ("?page=2", "https://a.example/v2/users/1?page=2"),
        ] {
            assert_eq!(resolve(reference, &target).unwrap().to_string(), expected);
        }
        for bad in ["", "//b.example/", "/a/%2e%2e/%2e%2e", "/a\\b"] {
            assert_eq!(resolve(bad, &target), None, "{bad}");
        }
    }
}
