//! Calls to mailboxes. They are asked for, judged, approved, counted and recorded as every other; what
//! differs is how they are sent: by IMAP and SMTP, and what comes back is put into the form of HTTP.

use std::borrow::Cow;

use ah5_contracts::id::ConnectionId;
use ah5_mail::mailbox::{self as mail, Answer, Content, Operation};
use ah5_policy::CanonicalUrl;
use http::{Response, StatusCode};
use serde_json::json;
use serde_json::value::RawValue;

use super::parse::{Asked, AskedBody, Form, invalid};
use super::{Call, Caller, Refusal};
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::snapshot::Connection;

mod forward;

pub use forward::{Sending, forward};

pub fn is_one(caller: &Caller, id: ConnectionId) -> bool {
    let connection = caller.workspace.connections.get(&id);
    connection.is_some_and(|connection| connection.mailbox.is_some())
}

/// A mailbox's target: a path will do. `None` for what is no mailbox.
///
/// # Errors
/// 400 for what is ambiguous.
pub fn url(
    caller: &Caller,
    id: ConnectionId,
    target: &str,
) -> Result<Option<CanonicalUrl>, Refusal> {
    let connection = caller.workspace.connections.get(&id);
    let Some(connection) = connection.filter(|connection| connection.mailbox.is_some()) else {
        return Ok(None);
    };
    let target = mail::canonical(target);
    let url = if target.starts_with('/') {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*target, None),
        };
        CanonicalUrl::join(&connection.base, path, query)
    } else {
        CanonicalUrl::parse(&target)
    };
    url.map(Some).map_err(invalid)
}

/// The path of a transparent call.
pub fn path<'a>(connection: &Connection, path: &'a str) -> Cow<'a, str> {
    match &connection.mailbox {
        Some(_) => mail::canonical(path),
        None => Cow::Borrowed(path),
    }
}

/// Says in the URL which folder is meant where the caller left it out, so that rules see it.
///
/// # Errors
/// 400 if it is named twice.
pub fn name_folder(
    caller: &Caller,
    id: ConnectionId,
    url: &mut CanonicalUrl,
) -> Result<(), Refusal> {
    if !is_one(caller, id) {
        return Ok(());
    }
    let named = url.query_pairs().filter(|(name, _)| name == "folder");
    let folder = mail::folder_of(url.path(), named.map(|(_, value)| value));
    match folder.map_err(Refusal::bad_request)? {
        Some(folder) => url.merge([("folder", folder)]).map_err(invalid),
        None => Ok(()),
    }
}

/// What is to be done in the mailbox; `None` if it is for no mailbox.
///
/// # Errors
/// The answer to what is not to be done by anybody: nobody is asked about it.
pub fn errand(caller: &Caller, asked: &Asked<'_>) -> Result<Option<Operation>, Answer> {
    if !is_one(caller, asked.connection) {
        return Ok(None);
    }
    let query = asked.url.query_pairs();
    let request = mail::Request {
        method: asked.method,
        path: asked.url.path(),
        query: query
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect(),
        body: match &asked.body {
            AskedBody::Bytes(bytes, _) => bytes,
            // A body that may be read was read by now.
            AskedBody::None | AskedBody::Stream(..) => &[],
        },
        download: matches!(asked.form, Form::Download | Form::Raw),
    };
    Operation::parse(&request).map(Some)
}

/// What was not sent has an answer in the same form as what was.
///
/// # Errors
/// The answer, where it is not to be in an envelope.
pub fn refuse(
    plane: &Plane,
    call: &mut Call,
    form: Form,
    answer: Answer,
) -> Result<Response<AnswerBody>, Refusal> {
    let Content::Json(text) = answer.content else {
        return Err(Refusal::internal("a refusal is a file"));
    };
    let status = StatusCode::from_u16(answer.status).map_err(Refusal::internal)?;
    let body: &RawValue = serde_json::from_slice(&text).map_err(Refusal::internal)?;
    let said: serde_json::Value = serde_json::from_slice(&text).map_err(Refusal::internal)?;
    let error = said["error"].as_str().unwrap_or_default().to_owned();
    let refusal = Refusal {
        status,
        ..Refusal::bad_request(error).record_as("not an operation of a mailbox")
    };
    if form == Form::Proxy {
        return Err(refusal);
    }
    let audit_id = call.refused(plane, &refusal);
    let envelope = json!({
        "model": "B", "status": answer.status, "headers": {"content-type": "application/json"},
        "body": body, "auditId": audit_id, "error": refusal.error,
    });
    let text = serde_json::to_vec(&envelope).map_err(Refusal::internal)?;
    Ok(answer::json(status, text, audit_id))
}

/// The status of an envelope. That a mailbox refuses its password is not said by 401: a client would
/// take it for the end of its own token.
pub fn outer(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::UNAUTHORIZED => StatusCode::BAD_GATEWAY,
        status if status.is_success() => StatusCode::OK,
        status => status,
    }
}
