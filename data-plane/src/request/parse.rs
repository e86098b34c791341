//! From what was sent to the effective request: one connection, one agent, one canonical URL. This
//! very value is judged and sent; only the credential is added to it after.

use std::borrow::Cow;

use ah5_contracts::id::{AgentId, ApprovalId, ConnectionId};
use ah5_contracts::policy::Method;
use ah5_policy::CanonicalUrl;
use ah5_providers::headers::Source;
use ah5_providers::service::Dialect;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use hyper::body::{Body as _, Incoming};
use serde_json::value::RawValue;

use super::envelope::{Envelope, Target};
use super::target::{acting_as, by_service, find, only};
use super::{Caller, Refusal, mailbox};
use crate::plane::Plane;

pub struct Asked<'h> {
    pub agent: AgentId,
    /// The approval that the caller redeems.
    pub approval: Option<ApprovalId>,
    pub wishes: Wishes,
    pub connection: ConnectionId,
    pub method: Method,
    /// HEAD is judged as the GET that it is without a body.
    pub wire_method: http::Method,
    pub url: CanonicalUrl,
    /// The caller's, not filtered yet.
    pub headers: Cow<'h, HeaderMap>,
    pub body: AskedBody,
    pub form: Form,
}

/// What the agent asks for beyond the call itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// To send personal data that a rule would replace.
    pub bypass_pii: bool,
    /// To get fields that response rules take out.
    pub full_fields: bool,
}

pub enum AskedBody {
    /// Bytes, and their type where the caller's headers name none.
    Bytes(Bytes, Option<&'static str>),
    None,
    /// Passed through as it comes; its length, if it was declared.
    Stream(Incoming, Option<u64>),
}

/// How the caller wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The file itself if it is a success. Otherwise an envelope under the provider's status, lest it be
    /// saved as the file.
    Download,
    /// JSON around the provider's answer.
    Envelope,
    /// The provider's answer itself, and ours in its form.
    Llm(Dialect),
    /// The provider's answer itself.
    Proxy,
    /// The provider's answer itself if it is a success, an envelope otherwise.
    Raw,
}

// === impl Asked ===

impl Asked<'_> {
    /// The type that the body will be sent as.
    pub fn content_type(&self) -> Option<&str> {
        let named = self.headers.get(CONTENT_TYPE);
        let named = named.and_then(|value| value.to_str().ok());
        match &self.body {
            AskedBody::Bytes(_, default) => named.or(*default),
            AskedBody::None | AskedBody::Stream(..) => named,
        }
    }
}

// === impl Form ===

impl Form {
    /// Whether the request itself is the provider's.
    pub const fn is_transparent(self) -> bool {
        matches!(self, Self::Llm(_) | Self::Proxy)
    }

    pub const fn source(self) -> Source {
        match self {
            Self::Download | Self::Envelope | Self::Raw => Source::Envelope,
            Self::Llm(_) | Self::Proxy => Source::Transparent,
        }
    }
}

/// `POST /v1/vault/execute`.
pub async fn envelope<'h>(
    plane: &Plane,
    caller: &mut Caller,
    head: &'h Parts,
    envelope: Envelope<'_>,
) -> Result<Asked<'h>, Refusal> {
    // Before the URL, so that a vanished connection is not hidden behind a typo.
    let connection = connection_of(plane, caller, &envelope).await?;
    // Both are there: the envelope was checked.
    let method = envelope.method.unwrap_or(Method::Get);
    let target = envelope.url.as_deref().unwrap_or_default();
    let mut url = match mailbox::url(caller, connection, target)? {
        Some(url) => url,
        None => canonical(target)?,
    };
    let query = envelope.query.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    url.merge(query).map_err(invalid)?;
    mailbox::name_folder(caller, connection, &mut url)?;
    Ok(Asked {
        agent: acting_as(caller, head, envelope.agent)?,
        approval: envelope.approval,
        wishes: Wishes {
            bypass_pii: envelope.bypass_pii,
            full_fields: envelope.full_fields,
        },
        connection,
        method,
        wire_method: wire(method),
        url,
        headers: Cow::Owned(named_headers(&envelope.headers)?),
        body: match envelope.body {
            Some(raw) => json_or_text(raw)?,
            None => AskedBody::None,
        },
        form: match (envelope.download, envelope.stream) {
            (true, _) => Form::Download,
            (false, true) => Form::Raw,
            (false, false) => Form::Envelope,
        },
    })
}

/// The healthy connection that an envelope is for.
pub async fn connection_of(
    plane: &Plane,
    caller: &mut Caller,
    envelope: &Envelope<'_>,
) -> Result<ConnectionId, Refusal> {
    let id = match &envelope.target {
        Target::Connection(id) => *id,
        Target::Service(name) => by_service(caller, name)?,
    };
    find(plane, caller, id).await?;
    Ok(id)
}

/// `ANY /v1/proxy/{connectionId}/{path…}`: `rest` is everything after the second slash.
pub async fn by_path<'h>(
    plane: &Plane,
    caller: &mut Caller,
    head: &'h Parts,
    rest: &str,
    body: Incoming,
) -> Result<Asked<'h>, Refusal> {
    let (id, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let connection = id
        .parse()
        .map_err(|why| Refusal::bad_request(format!("params/connectionId {why}")))?;
    let found = find(plane, caller, connection).await?;
    let path = mailbox::path(found, path);
    let mut url = CanonicalUrl::join(&found.base, &path, head.uri.query()).map_err(invalid)?;
    mailbox::name_folder(caller, connection, &mut url)?;
    proxied(caller, head, connection, url, body)
}

/// `ANY /v1/proxy` with `x-ah5-connection` and `x-ah5-target`.
pub async fn by_header<'h>(
    plane: &Plane,
    caller: &mut Caller,
    head: &'h Parts,
    body: Incoming,
) -> Result<Asked<'h>, Refusal> {
    let connection = only(head, &CONNECTION)?
        .ok_or_else(|| Refusal::bad_request("Header x-ah5-connection is required"))?
        .parse()
        .map_err(|why| Refusal::bad_request(format!("headers/x-ah5-connection {why}")))?;
    let target = only(head, &TARGET)?
        .ok_or_else(|| Refusal::bad_request("Header x-ah5-target is required"))?;
    if head.uri.query().is_some() {
        return Err(Refusal::bad_request("The query belongs into x-ah5-target"));
    }
    find(plane, caller, connection).await?;
    let mut url = match mailbox::url(caller, connection, target)? {
        Some(url) => url,
        None => canonical(target)?,
    };
    mailbox::name_folder(caller, connection, &mut url)?;
    proxied(caller, head, connection, url, body)
}

pub fn proxied<'h>(
    caller: &Caller,
    head: &'h Parts,
    connection: ConnectionId,
    url: CanonicalUrl,
    body: Incoming,
) -> Result<Asked<'h>, Refusal> {
    let approval = only(head, &APPROVAL)?.map(str::parse::<ApprovalId>);
    let approval = approval
        .transpose()
        .map_err(|why| Refusal::bad_request(format!("headers/x-ah5-approval-id {why}")))?;
    let method = match head.method.as_str() {
        "HEAD" => Some(Method::Get),
        name => Method::from_name(name),
    };
    let method = method.ok_or_else(|| {
        Refusal::forbidden(
            format!("Request denied: method {} can not be allowed", head.method),
            Some(format!("Methods: {}, HEAD.", Method::NAMES.join(", "))),
        )
    })?;
    let declared = head.headers.get(CONTENT_LENGTH);
    let declared = declared.and_then(|value| value.to_str().ok()?.parse().ok());
    Ok(Asked {
        agent: acting_as(caller, head, None)?,
        approval,
        wishes: Wishes::default(),
        connection,
        method,
        wire_method: head.method.clone(),
        url,
        headers: Cow::Borrowed(&head.headers),
        body: if body.is_end_stream() {
            AskedBody::None
        } else {
            AskedBody::Stream(body, declared)
        },
        form: Form::Proxy,
    })
}

fn canonical(url: &str) -> Result<CanonicalUrl, Refusal> {
    CanonicalUrl::parse(url).map_err(invalid)
}

pub fn invalid(why: ah5_policy::UrlError) -> Refusal {
    Refusal::bad_request(format!("Invalid URL: {why}"))
}

const fn wire(method: Method) -> http::Method {
    match method {
        Method::Delete => http::Method::DELETE,
        Method::Get => http::Method::GET,
        Method::Patch => http::Method::PATCH,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
    }
}

fn named_headers(pairs: &[(String, String)]) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::with_capacity(pairs.len());
    for (name, value) in pairs {
        let illegal =
            || Refusal::bad_request(format!("body/headers/{:.64} is not a legal header", name));
        let key: HeaderName = name.parse().map_err(|_| illegal())?;
        let value = HeaderValue::from_str(value).map_err(|_| illegal())?;
        if headers.insert(key, value).is_some() {
            return Err(Refusal::bad_request(format!(
                "body/headers/{name} is given twice"
            )));
        }
    }
    Ok(headers)
}

/// A string that holds JSON is sent as that JSON, any other string as text.
fn json_or_text(raw: &RawValue) -> Result<AskedBody, Refusal> {
    if !raw.get().starts_with('"') {
        return Ok(AskedBody::Bytes(
            Bytes::copy_from_slice(raw.get().as_bytes()),
            JSON,
        ));
    }
    let text: String = serde_json::from_str(raw.get())
        .map_err(|_| Refusal::bad_request("body/body is not a well-formed string"))?;
    let kind = match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => JSON,
        Err(_) => TEXT,
    };
    Ok(AskedBody::Bytes(Bytes::from(text), kind))
}

const APPROVAL: HeaderName = HeaderName::from_static("x-ah5-approval-id");
const CONNECTION: HeaderName = HeaderName::from_static("x-ah5-connection");
const TARGET: HeaderName = HeaderName::from_static("x-ah5-target");
const JSON: Option<&str> = Some("application/json");
const TEXT: Option<&str> = Some("text/plain");
