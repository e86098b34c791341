//! From the provider's answer to ours: headers by list, redirects judged, the body as it is or in
//! an envelope of JSON, and without what response rules take out.

use std::sync::Arc;

use ah5_policy::CanonicalUrl;
use ah5_policy::response::content::is_event_stream;
use ah5_policy::response::{OnUnfilterable, ResponseFilter, Unfilterable};
use ah5_policy::stream::StreamFilter;
use ah5_providers::headers::{Redirect, forward_response, redirect};
use ah5_providers::scrub::Scrubber;
use ah5_providers::service::Category;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::collect::{begin, collect, filtered};
use super::forward::Provider;
use super::parse::Form;
use super::relay::{Ending, Relay};
use super::unseal::Exchange;
use super::{Call, Refusal, download, heavy, location, mailbox, wrap};
use crate::admission::Permit;
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;

/// # Errors
/// 403 for a redirect to elsewhere or an answer that rules can't filter, 502 for an answer that
/// can't be looked into.
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
    call.answered(head.status.as_u16(), exchange.sent.bytes());
    check_status(head.status)?;
    check_redirect(&head.headers, &exchange.url, &scrubber)?;
    check_coding(&head.headers)?;
    let mut headers = forward_response(&head.headers, &exchange.url);
    let (form, category) = (exchange.form, exchange.category);
    let is_budgeted = exchange.reserved.is_some();
    if form.is_transparent() {
        location::point_at_us(&mut headers, &exchange);
    }
    // Last, so that no spelling is made after it was looked for.
    let echoed = |_| Refusal::bad_gateway("The provider's answer holds the credential");
    scrubber.scrub_headers(&mut headers).map_err(echoed)?;
    remove_own_links(plane, &mut headers);
    check_size(&headers)?;
    let filter = filter(plane, &exchange, head.status, &headers);
    if filter.is_some() {
        // What is said of the body as it was does not hold for what will be left of it.
        for name in [ACCEPT_RANGES, CONTENT_LENGTH, ETAG] {
            headers.remove(name);
        }
    }
    let translated = exchange.translated;
    let outer = match translated {
        true => mailbox::outer(head.status),
        false => StatusCode::OK,
    };
    let ending = Ending {
        plane: Arc::clone(plane),
        call: call.take(),
        exchange,
        status: head.status.as_u16(),
    };
    let mut relay = Relay::new(body, scrubber, ending, permit);
    let is_model = category == Category::Llm || matches!(form, Form::Llm(_)) || is_budgeted;
    if is_model && head.status.is_success() {
        relay.read_usage(content_type(&headers));
    }
    match form {
        Form::Download | Form::Raw if head.status.is_success() => {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
            headers.entry(CONTENT_TYPE).or_insert(download::OCTETS);
            // A mailbox's file is one by itself, also if it is JSON.
            if form == Form::Download && !translated && is_json(content_type(&headers)) {
                return download::unpack(relay, head.status, headers, filter.as_deref()).await;
            }
        }
        Form::Download | Form::Envelope | Form::Raw => {
            let filter = filter.as_deref();
            let wrapped = wrap::wrap(relay, head.status, outer, &headers, filter).await?;
            return Ok(match form {
                Form::Download if !translated => answer::under(wrapped, head.status, &headers),
                _ => wrapped,
            });
        }
        Form::Llm(_) | Form::Proxy => {}
    }
    as_it_is(relay, head.status, headers, filter).await
}

/// What the answer must lose. In an event stream a link of ours may be spread over events, so that
/// it has to be read as such.
fn filter(
    plane: &Plane,
    exchange: &Exchange,
    status: StatusCode,
    headers: &HeaderMap,
) -> Option<Arc<ResponseFilter>> {
    let filter = exchange
        .filter
        .clone()
        .map(|filter| match status.is_success() {
            true => filter,
            false => Arc::new(filter.for_failure()),
        });
    if !is_event_stream(content_type(headers)) {
        return filter;
    }
    let rules = filter.as_deref().cloned().unwrap_or_default();
    Some(Arc::new(rules.with(Arc::clone(&plane.own_links_rule))))
}

fn remove_own_links(plane: &Plane, headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        let masked = plane.own_links.mask(value.as_bytes());
        if let Some(Ok(masked)) = masked.map(|masked| HeaderValue::from_bytes(&masked)) {
            *value = masked;
        }
    }
}

/// The provider's answer itself, but for what rules take out of it.
async fn as_it_is(
    mut relay: Relay,
    status: StatusCode,
    mut headers: HeaderMap,
    filter: Option<Arc<ResponseFilter>>,
) -> Result<Response<AnswerBody>, Refusal> {
    answer::from_provider(&mut headers, relay.audit_id());
    let body = match filter {
        None => AnswerBody::relay(relay),
        Some(filter) => {
            let kind = content_type(&headers);
            let kind = (!kind.is_empty()).then_some(kind);
            let stream = StreamFilter::new(Arc::clone(&filter), kind, MAX_HELD);
            if stream.takes_whole() {
                // Nothing has gone out yet if it fails, so the agent is told why.
                let bytes = collect(&mut relay).await?;
                let permit = relay.done();
                let size = bytes.len();
                let bytes = heavy::run(size, || filtered(&filter, kind, bytes)).await?;
                AnswerBody::provider(bytes, permit)
            } else {
                relay.filter_by(stream);
                if filter.action(Unfilterable::Unknown) != OnUnfilterable::Pass {
                    begin(&mut relay).await?;
                }
                AnswerBody::relay(relay)
            }
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// No part was asked for, and a connection that changes its protocol is none of HTTP's.
fn check_status(status: StatusCode) -> Result<(), Refusal> {
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(Refusal::bad_gateway(
            "The provider sent a part of an answer although all of it was asked for",
        ));
    }
    if status.is_informational() {
        return Err(Refusal::bad_gateway("The provider wants another protocol"));
    }
    Ok(())
}

/// A redirect to elsewhere would have the agent take its request to a place that nobody judged.
fn check_redirect(
    headers: &HeaderMap,
    url: &CanonicalUrl,
    scrubber: &Scrubber,
) -> Result<(), Refusal> {
    match redirect(headers, url) {
        Redirect::None | Redirect::SameOrigin => Ok(()),
        Redirect::Elsewhere(to) if scrubber.is_in(to.as_bytes()) => Err(Refusal::bad_gateway(
            "The provider's answer holds the credential",
        )),
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

fn is_json(kind: &str) -> bool {
    let essence = kind.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

pub(super) fn content_type(headers: &HeaderMap) -> &str {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Half of what front doors are set up for.
const MAX_HEAD: usize = 16 * 1024;
/// What a filter may hold back of a stream.
const MAX_HELD: usize = 1024 * 1024;
/// nginx passes such an answer on as it comes.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_no_front_door_holds_is_not_passed_on() {
        let mut headers = HeaderMap::new();
        let most = "x".repeat(MAX_HEAD - 8);
        headers.append("link", HeaderValue::from_str(&most).unwrap());
        assert!(check_size(&headers).is_ok());
        headers.append("link", HeaderValue::from_static("y"));
        assert!(check_size(&headers).is_err());
    }
}
