//! Opens the connection's credential for this one call and puts it into its slot: the last change
//! that a request undergoes. Nothing of the workspace is held from here on.

use std::sync::Arc;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::ConnectionId;
use ah5_contracts::policy::Method;
use ah5_net::{Body, PoolKey};
use ah5_oauth::refresh::Fresh;
use ah5_policy::response::ResponseFilter;
use ah5_policy::{CanonicalUrl, Redaction};
use ah5_providers::headers::{Forwarded, forward_request};
use ah5_providers::inject::{InjectError, inject};
use ah5_providers::scrub::Scrubber;
use ah5_providers::service::Category;
use ah5_security::secret::SecretText;
use ah5_security::vault::SealContext;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue, IF_RANGE, RANGE};
use http::request::Parts;
use http::{Request, Uri};

use super::body::MAX_LLM;
use super::claim::Claim;
use super::decide::{Judged, header_refused};
use super::dues::Dues;
use super::meter::{Meter, Metered, Sent, too_large};
use super::parse::{AskedBody, Form};
use super::renewal::Account;
use super::{Call, Caller, Refusal};
use crate::budgets::Reserved;
use crate::plane::Plane;
use crate::snapshot::Connection;

/// A request that carries its credential. Only [`unseal`] makes one.
pub struct Unsealed {
    pub request: Request<Body>,
    pub scrubber: Scrubber,
    pub exchange: Exchange,
    /// To be paid before it is sent.
    pub dues: Dues,
    pub account: Account,
}

/// What is known of an exchange with a provider, from before the sending to after the answer.
pub struct Exchange {
    pub key: PoolKey,
    pub claim: Claim,
    pub url: CanonicalUrl,
    /// Where the connection's URLs begin.
    pub base: CanonicalUrl,
    pub form: Form,
    /// Of the service.
    pub category: Category,
    pub method: Method,
    pub max_response: u64,
    pub sent: Sent,
    /// The agent is still sending the request's body.
    pub uploads: bool,
    pub redactions: Vec<Redaction>,
    /// Of budgets, until it is known what the call took.
    pub reserved: Option<Reserved>,
    pub filter: Option<Arc<ResponseFilter>>,
    /// The provider speaks another protocol, and the status is our word for what it said.
    pub translated: bool,
}

/// # Errors
/// 400 for headers or parameters that are the credential's own, 403 for headers that carry
/// authority, 413 for too large a body, 500 when the credential does not open.
pub fn unseal(
    plane: &Plane,
    caller: Caller,
    head: &Parts,
    judged: Judged<'_>,
    renewed: Option<Arc<Fresh>>,
    call: &mut Call,
) -> Result<Unsealed, Refusal> {
    let Forwarded {
        mut headers,
        dropped,
    } = headers(&caller, &judged)?;
    let Judged {
        asked,
        claim,
        limits,
        dues,
        redactions,
        filter,
        needs: _,
    } = judged;
    let connection = connection(&caller, asked.connection)?;
    if !dropped.is_empty() {
        call.dropped_headers(&dropped);
    }
    plane.cdn_loop.forward(&head.headers, &mut headers);
    // What comes back coded could hold the credential where nobody sees it.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let max = limits.max_payload_bytes.unwrap_or(match asked.form {
        Form::Llm(_) => MAX_LLM as u64,
        _ => DEFAULT_LIMIT,
    });
    let uploads = matches!(asked.body, AskedBody::Stream(..));
    let kept = match &asked.body {
        AskedBody::None => Some(Bytes::new()),
        AskedBody::Bytes(bytes, _) => Some(bytes.clone()),
        AskedBody::Stream(..) => None,
    };
    let (body, sent) = outgoing(asked.body, max)?;
    let mut request = Request::new(());
    *request.method_mut() = asked.wire_method;
    *request.uri_mut() = uri(&asked.url)?;
    *request.headers_mut() = headers;
    let (mut parts, ()) = request.into_parts();
    let account = Account::of(&caller, asked.connection, connection, renewed.as_deref());
    let account = account.replayable(&connection.auth, &parts, asked.method, kept);
    let scrubber = open(&caller, asked.connection, connection, renewed, &mut parts)?;
    call.mark();
    let exchange = Exchange {
        key: PoolKey {
            workspace: caller.workspace_id,
            connection: asked.connection,
        },
        claim,
        base: connection.base.clone(),
        url: asked.url,
        form: asked.form,
        category: connection.service.category,
        method: asked.method,
        max_response: limits.max_response_bytes.unwrap_or(DEFAULT_LIMIT),
        sent,
        uploads,
        redactions,
        reserved: None,
        filter,
        translated: false,
    };
    Ok(Unsealed {
        request: Request::from_parts(parts, body),
        scrubber,
        exchange,
        dues,
        account,
    })
}

/// The request's headers as they are sent, but for the credential and what belongs to this hop only.
///
/// # Errors
/// As [`unseal`].
pub fn headers(caller: &Caller, judged: &Judged<'_>) -> Result<Forwarded, Refusal> {
    let asked = &judged.asked;
    let connection = connection(caller, asked.connection)?;
    let mut forwarded = forward_request(
        &asked.headers,
        asked.form.source(),
        &connection.auth,
        connection.service,
        judged.claim.acting(),
    )
    .map_err(header_refused)?;
    let headers = &mut forwarded.headers;
    connection.service.set_fixed_headers(headers);
    // Nothing can be found in a part of an answer: neither the credential nor what rules take out.
    headers.remove(RANGE);
    headers.remove(IF_RANGE);
    if let AskedBody::Bytes(_, Some(kind)) = &asked.body
        && !headers.contains_key(CONTENT_TYPE)
    {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Ok(forwarded)
}

pub fn connection(caller: &Caller, id: ConnectionId) -> Result<&Connection, Refusal> {
    let connection = caller.workspace.connections.get(&id);
    connection.ok_or_else(|| Refusal::not_found("Connection not found"))
}

/// The plaintext lives in here only, and in the request and the scrubber that need it.
fn open(
    caller: &Caller,
    id: ConnectionId,
    connection: &Connection,
    renewed: Option<Arc<Fresh>>,
    parts: &mut Parts,
) -> Result<Scrubber, Refusal> {
    match renewed {
        Some(fresh) => put_in(&connection.auth, &fresh.access, parts),
        None => put_in(&connection.auth, &secret(caller, id, connection)?, parts),
    }
}

pub fn put_in(auth: &Auth, secret: &SecretText, parts: &mut Parts) -> Result<Scrubber, Refusal> {
    inject(auth, secret, parts).map_err(|error| match error {
        InjectError::Conflict(_) | InjectError::NoPlace(_) => {
            Refusal::bad_request(error.to_string())
        }
        InjectError::Unsendable => Refusal::internal(error),
    })?;
    Ok(Scrubber::new(auth, secret))
}

/// What is sealed for exactly this connection and these destinations.
///
/// # Errors
/// 409 if there is nothing any more, 500 if it does not open.
pub fn secret(
    caller: &Caller,
    id: ConnectionId,
    connection: &Connection,
) -> Result<SecretText, Refusal> {
    let key = caller.workspace.key.as_ref();
    let key = key.ok_or_else(|| {
        let why = "the workspace's data key does not open";
        Refusal::internal(why).say("Failed to decrypt connection tokens")
    })?;
    let credential = connection.credential.as_ref();
    let credential =
        credential.ok_or_else(|| Refusal::conflict("Connection tokens have been revoked"))?;
    let context = SealContext {
        workspace: caller.workspace_id,
        connection: id,
        field: "secret",
        version: credential.version,
        service: &connection.service.id,
        auth: &connection.auth,
        destinations: &connection.destinations,
    };
    key.open(&context, &credential.sealed).map_err(|error| {
        tracing::error!(connection = %id, %error, "a credential does not open");
        Refusal::internal("a credential does not open").say("Failed to decrypt connection tokens")
    })
}

fn outgoing(body: AskedBody, max: u64) -> Result<(Body, Sent), Refusal> {
    match body {
        AskedBody::None => Ok((Body::empty(), Sent::Known(0))),
        AskedBody::Bytes(bytes, _) => {
            check_size(bytes.len() as u64, max)?;
            let sent = Sent::Known(bytes.len() as u64);
            Ok((Body::from(bytes), sent))
        }
        AskedBody::Stream(body, Some(declared)) => {
            check_size(declared, max)?;
            // HTTP lets no more bytes through than were declared.
            Ok((Body::from(body), Sent::Known(declared)))
        }
        AskedBody::Stream(body, None) => {
            let meter = Arc::new(Meter::new(max));
            let body = Metered::new(body, Arc::clone(&meter));
            Ok((Body::boxed(body), Sent::Metered(meter)))
        }
    }
}

pub fn check_size(size: u64, max: u64) -> Result<(), Refusal> {
    if size <= max {
        return Ok(());
    }
    Err(too_large(max, format!("is {size} bytes")))
}

pub fn uri(url: &CanonicalUrl) -> Result<Uri, Refusal> {
    Uri::builder()
        .scheme(url.scheme())
        .authority(url.authority())
        .path_and_query(url.path_and_query())
        .build()
        .map_err(|_| Refusal::bad_request("Invalid URL: it cannot be sent"))
}

/// Where a policy says nothing: 10 MiB.
pub const DEFAULT_LIMIT: u64 = 10 * 1024 * 1024;
