//! Reads a request's body that we must understand ourselves: bounded in size, memory and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::request::Parts;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Refusal;
use super::parse::{Asked, AskedBody, Form};
use crate::admission::Permit;

/// From the first to the last byte.
const DEADLINE: Duration = Duration::from_secs(30);
/// What rules may be made to read.
const MAX_HELD: usize = 10 * 1024 * 1024;
/// Pictures and long conversations.
pub const MAX_LLM: usize = 32 * 1024 * 1024;

/// # Errors
/// 400, 408, 413 or 415; 503 when there is no memory for it.
pub async fn read(
    head: &Parts,
    body: Incoming,
    max: usize,
    permit: &mut Permit,
) -> Result<Bytes, Refusal> {
    check_type(head)?;
    let declared = head.headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length > max) {
        return Err(too_large());
    }
    let read = collect(body, declared.unwrap_or(0), max, permit);
    match timeout(DEADLINE, read).await {
        Ok(Ok(bytes)) if bytes.is_empty() => Err(Refusal::bad_request(EMPTY)),
        Ok(read) => read,
        Err(_) => Err(late()),
    }
}

async fn collect(
    mut body: Incoming,
    expected: usize,
    max: usize,
    permit: &mut Permit,
) -> Result<Bytes, Refusal> {
    permit.reserve(expected)?;
    let mut reserved = expected;
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::bad_request("The request's body broke off"))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        if whole.len() + piece.len() > max {
            return Err(too_large());
        }
        if whole.is_empty() && !piece.is_empty() && piece.len() == expected {
            // All of it at once, as most bodies come.
            return Ok(piece);
        }
        if whole.len() + piece.len() > reserved {
            permit.reserve(whole.len() + piece.len() - reserved)?;
            reserved = whole.len() + piece.len();
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Takes a body in that would be passed through, for rules that read it.
///
/// # Errors
/// As [`read`].
pub async fn hold(asked: &mut Asked<'_>, permit: &mut Permit) -> Result<(), Refusal> {
    let (body, declared) = match std::mem::replace(&mut asked.body, AskedBody::None) {
        AskedBody::Stream(body, declared) => (body, declared),
        other => {
            asked.body = other;
            return Ok(());
        }
    };
    let declared = usize::try_from(declared.unwrap_or(0)).unwrap_or(usize::MAX);
    let max = match asked.form {
        Form::Llm(_) => MAX_LLM,
        _ => MAX_HELD,
    };
    if declared > max {
        return Err(too_large());
    }
    let read = timeout(DEADLINE, collect(body, declared, max, permit)).await;
    let bytes = read.unwrap_or_else(|_| Err(late()))?;
    asked.body = AskedBody::Bytes(bytes, None);
    Ok(())
}

fn late() -> Refusal {
    Refusal::timeout("The request took too long")
}

/// RFC 9110 §8.3: parameters are allowed, and no type at all counts as JSON only without a body.
fn check_type(head: &Parts) -> Result<(), Refusal> {
    let Some(given) = head.headers.get(CONTENT_TYPE) else {
        let no_body = !head.headers.contains_key(TRANSFER_ENCODING)
            && head
                .headers
                .get(CONTENT_LENGTH)
                .is_none_or(|length| length == "0");
        return match no_body {
            true => Err(Refusal::bad_request("body must be object")),
            false => Err(Refusal::unsupported_media("undefined")),
        };
    };
    let given = String::from_utf8_lossy(given.as_bytes());
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else if essence.eq_ignore_ascii_case("text/plain") {
        Err(Refusal::bad_request("body must be object"))
    } else {
        Err(Refusal::unsupported_media(&given))
    }
}

fn too_large() -> Refusal {
    Refusal::too_large("Request body is too large")
}

const EMPTY: &str = "Body cannot be empty when content-type is set to 'application/json'";
