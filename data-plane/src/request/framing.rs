//! What a request says of itself must not be readable in two ways: whoever stands in front of us may
//! have read it in the other. Lengths, lines and chunks are judged by HTTP itself.

use http::Version;
use http::header::{HOST, TRANSFER_ENCODING};
use http::request::Parts;

use super::Refusal;

/// # Errors
/// 400 for several hosts, and for a body in a coding that we don't undo.
pub fn check(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next();
    // RFC 9112 §3.2.
    if hosts.next().is_some() {
        return Err(Refusal::bad_request(HOSTS));
    }
    // RFC 9113 §8.3.1. In HTTP/1 the target's own host counts alone (RFC 9112 §3.2.2).
    if head.version == Version::HTTP_2
        && let (Some(host), Some(authority)) = (host, head.uri.authority())
        && !same(host.as_bytes(), authority.as_str())
    {
        return Err(Refusal::bad_request(HOSTS));
    }
    // What else a coding hides would be judged, and passed on, as the body itself.
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    let known = codings
        .next()
        .is_none_or(|it| same(it.as_bytes(), "chunked"));
    if !known || codings.next().is_some() {
        return Err(Refusal::bad_request(
            "Transfer-Encoding can only be chunked",
        ));
    }
    Ok(())
}

fn same(given: &[u8], known: &str) -> bool {
    given.eq_ignore_ascii_case(known.as_bytes())
}

const HOSTS: &str = "The request names several hosts";
