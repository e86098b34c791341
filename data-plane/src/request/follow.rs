//! Redirects that are followed here: from a service to where it keeps its files. Each hop is judged
//! before it is made, against the hosts that the catalogue names, and carries nothing but the URL:
//! neither the credential nor anything of the agent's.

use std::sync::Arc;

use ah5_contracts::policy::Method;
use ah5_net::client::Failure;
use ah5_net::{Body, PoolKey, ResponseBody, SendError};
use ah5_policy::CanonicalUrl;
use ah5_providers::service::Service;
use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue, LOCATION};
use http::{Request, Response, StatusCode};

use super::Refusal;
use super::dues::check_sent;
use super::forward::Provider;
use super::unseal::uri;
use crate::plane::Plane;

/// The answer itself, if it leads nowhere or to where nothing is fetched for the agent: then it is for
/// others to say what becomes of it.
///
/// # Errors
/// 403 for a hop to elsewhere, or if the call stopped being allowed meanwhile; 502 or 504 when there is no
/// answer.
pub async fn follow(
    plane: &Arc<Plane>,
    mut provider: Provider,
    is_approved: bool,
) -> Result<Provider, Refusal> {
    let service = provider.exchange.claim.service();
    let Some(service) = service.filter(|service| !service.downloads.is_empty()) else {
        return Ok(provider);
    };
    // What a person approved is the one request that was shown.
    if provider.exchange.method != Method::Get || is_approved {
        return Ok(provider);
    }
    let Some(first) = target(service, &provider.response) else {
        return Ok(provider);
    };
    let mut next = first;
    for _ in 0..MOST_HOPS {
        if provider.scrubber.is_in(next.path_and_query().as_bytes()) {
            let why = "The provider's answer holds the credential";
            return Err(Refusal::bad_gateway(why));
        }
        // Its connection is closed with it.
        provider.response = fetch(plane, provider.exchange.key, &next).await?;
        check_sent(plane, &provider.exchange)?;
        if !provider.response.headers().contains_key(LOCATION) {
            return Ok(provider);
        }
        let onward = target(service, &provider.response);
        next = onward.ok_or_else(|| {
            Refusal::forbidden(
                "Blocked redirect from where the service keeps its files",
                None,
            )
        })?;
    }
    Err(Refusal::bad_gateway("The provider redirects too often"))
}

/// Where the service keeps its files, if this is a redirect to there.
fn target(service: &Service, response: &Response<ResponseBody>) -> Option<CanonicalUrl> {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !redirects.contains(&response.status()) {
        return None;
    }
    let mut places = response.headers().get_all(LOCATION).iter();
    let (Some(place), None) = (places.next(), places.next()) else {
        return None;
    };
    let url = CanonicalUrl::parse(place.to_str().ok()?).ok()?;
    service.keeps_files_at(&url).then_some(url)
}

async fn fetch(
    plane: &Plane,
    key: PoolKey,
    url: &CanonicalUrl,
) -> Result<Response<ResponseBody>, Refusal> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    plane.cdn_loop.forward(&HeaderMap::new(), &mut headers);
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri(url)?;
    *request.headers_mut() = headers;
    let sent = plane.upstreams.send(key, request).await;
    sent.map_err(|error| failed(&error))
}

fn failed(error: &SendError) -> Refusal {
    tracing::info!(kind = error.kind(), "a redirect could not be followed");
    match &error.failure {
        Failure::Blocked(why) | Failure::Resolve(why) => Refusal::forbidden(
            format!("Redirect target blocked by SSRF protection: {why}"),
            None,
        )
        .record_as("the target of a redirect may not be called"),
        Failure::Timeout => Refusal::gateway_timeout("Provider request timed out"),
        _ => Refusal::bad_gateway("Failed to follow provider redirect"),
    }
}

const MOST_HOPS: usize = 3;
