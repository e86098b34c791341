//! The body of `POST /v1/vault/execute`: a provider call written down as JSON. Everything in it is
//! the caller's word. The provider's body inside is never parsed into values: it is checked and
//! passed on as it was written.

use ah5_contracts::id::{AgentId, ApprovalId, ConnectionId};
use ah5_contracts::policy::{Method, Model};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Refusal;

pub struct Envelope<'a> {
    pub model: Model,
    pub target: Target<'a>,
    /// Model B only.
    pub method: Option<Method>,
    pub url: Option<std::borrow::Cow<'a, str>>,
    pub query: Vec<(String, String)>,
    pub headers: Vec<(String, String)>,
    pub body: Option<&'a RawValue>,
    pub agent: Option<AgentId>,
    pub approval: Option<ApprovalId>,
    pub download: bool,
    pub stream: bool,
    pub full_fields: bool,
    pub bypass_pii: bool,
}

/// Which connection is meant.
pub enum Target<'a> {
    Connection(ConnectionId),
    Service(std::borrow::Cow<'a, str>),
}

/// Members, each named at most once: serde refuses a second one. Unknown ones mean nothing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    #[serde(borrow, default)]
    agent_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    approval_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bypass_pii_redaction: Option<&'a RawValue>,
    #[serde(borrow, default)]
    connection_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    download: Option<&'a RawValue>,
    #[serde(borrow, default)]
    headers: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<&'a RawValue>,
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    query: Option<&'a RawValue>,
    #[serde(borrow, default)]
    request_full_fields: Option<&'a RawValue>,
    #[serde(borrow, default)]
    service: Option<&'a RawValue>,
    #[serde(borrow, default)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
}

// === impl Envelope ===

impl<'a> Envelope<'a> {
    /// # Errors
    /// 400 that names the first member at fault, in the order in which they are read below.
    pub fn parse(text: &'a [u8]) -> Result<Self, Refusal> {
        let members: Members<'a> =
            serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        // A list would be taken for the members in order.
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(Refusal::bad_request(NOT_OBJECT));
        }
        let model = match required("model", members.model)?.as_ref() {
            "A" => Model::A,
            "B" => Model::B,
            _ => return Err(one_of("model")),
        };
        let connection = members.connection_id.map(|raw| id("connectionId", raw));
        let connection = connection.transpose()?;
        let service = optional("service", members.service)?;
        let method = method(members.method)?;
        let url = optional("url", members.url)?;
        let envelope = Self {
            model,
            target: match (connection, service) {
                (Some(id), _) => Target::Connection(id),
                (None, Some(service)) => Target::Service(service),
                (None, None) => return Err(Refusal::bad_request(NO_TARGET)),
            },
            method,
            url,
            query: pairs("query", members.query)?,
            headers: pairs("headers", members.headers)?,
            body: members.body.filter(|raw| raw.get() != "null"),
            agent: members.agent_id.map(|raw| id("agentId", raw)).transpose()?,
            approval: members
                .approval_id
                .filter(|raw| raw.get() != "null")
                .map(|raw| id("approvalId", raw))
                .transpose()?,
            download: flag("download", members.download)?,
            stream: flag("stream", members.stream)?,
            full_fields: flag("requestFullFields", members.request_full_fields)?,
            bypass_pii: flag("bypassPiiRedaction", members.bypass_pii_redaction)?,
        };
        if model == Model::B && (envelope.method.is_none() || envelope.url.is_none()) {
            return Err(Refusal::bad_request("Model B requires method and url"));
        }
        Ok(envelope)
    }
}

fn malformed(error: &serde_json::Error) -> Refusal {
    let text = error.to_string();
    if let Some(named) = text.strip_prefix("duplicate field `") {
        let name = named.split('`').next().unwrap_or_default();
        return Refusal::bad_request(format!("body/{name} is given twice"));
    }
    if error.is_data() {
        return Refusal::bad_request(NOT_OBJECT);
    }
    Refusal::bad_request("Body is not valid JSON but content-type is set to 'application/json'")
}

fn required<'a>(
    name: &str,
    raw: Option<&'a RawValue>,
) -> Result<std::borrow::Cow<'a, str>, Refusal> {
    let missing = || Refusal::bad_request(format!("body must have required property '{name}'"));
    text(name, raw.ok_or_else(missing)?)
}

fn optional<'a>(
    name: &str,
    raw: Option<&'a RawValue>,
) -> Result<Option<std::borrow::Cow<'a, str>>, Refusal> {
    raw.map(|raw| text(name, raw)).transpose()
}

fn text<'a>(name: &str, raw: &'a RawValue) -> Result<std::borrow::Cow<'a, str>, Refusal> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);
    serde_json::from_str::<Text<'a>>(raw.get())
        .map(|text| text.0)
        .map_err(|_| Refusal::bad_request(format!("body/{name} must be string")))
}

fn id<T: std::str::FromStr<Err: std::fmt::Display>>(
    name: &str,
    raw: &RawValue,
) -> Result<T, Refusal> {
    let parsed = text(name, raw)?.parse::<T>();
    parsed.map_err(|why| Refusal::bad_request(format!("body/{name} {why}")))
}

fn method(raw: Option<&RawValue>) -> Result<Option<Method>, Refusal> {
    let Some(name) = optional("method", raw)? else {
        return Ok(None);
    };
    Method::from_name(&name)
        .map(Some)
        .ok_or_else(|| one_of("method"))
}

fn flag(name: &str, raw: Option<&RawValue>) -> Result<bool, Refusal> {
    match raw.map(RawValue::get) {
        None | Some("false" | "null" | "\"false\"") => Ok(false),
        Some("true" | "\"true\"") => Ok(true),
        Some(_) => Err(Refusal::bad_request(format!("body/{name} must be boolean"))),
    }
}

/// A map of strings. Scalars are taken for their text, null for nothing, and a list of one for
/// that one, as published clients send them. A name given twice is refused.
fn pairs(name: &str, raw: Option<&RawValue>) -> Result<Vec<(String, String)>, Refusal> {
    let Some(raw) = raw.filter(|raw| raw.get() != "null") else {
        return Ok(Vec::new());
    };
    let not_object = |_| Refusal::bad_request(format!("body/{name} must be object"));
    let Pairs(found) = serde_json::from_str(raw.get()).map_err(not_object)?;
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(found.len());
    for (key, value) in found {
        if pairs.len() == MAX_PAIRS {
            let why = format!("body/{name} must NOT have more than {MAX_PAIRS} properties");
            return Err(Refusal::bad_request(why));
        }
        if pairs.iter().any(|(known, _)| *known == key) {
            return Err(Refusal::bad_request(format!(
                "body/{name}/{key:.64} is given twice"
            )));
        }
        let value = scalar(value)
            .ok_or_else(|| Refusal::bad_request(format!("body/{name}/{key:.64} must be string")))?;
        pairs.push((key, value));
    }
    Ok(pairs)
}

fn scalar(raw: &RawValue) -> Option<String> {
    let raw = raw.get();
    match raw.as_bytes().first()? {
        b'"' => serde_json::from_str(raw).ok(),
        b'n' => Some(String::new()),
        b'[' => match serde_json::from_str::<[&RawValue; 1]>(raw).ok()? {
            [only] if !only.get().starts_with('[') => scalar(only),
            _ => None,
        },
        b'{' => None,
        _ => Some(raw.to_owned()),
    }
}

/// In order, repetitions kept.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn one_of(name: &str) -> Refusal {
    Refusal::bad_request(format!(
        "body/{name} must be equal to one of the allowed values"
    ))
}

const MAX_PAIRS: usize = 100;
const NOT_OBJECT: &str = "body must be object";
const NO_TARGET: &str = "Either connectionId or service must be provided";

#[cfg(test)]
mod tests;
