//! The digest that binds an approval to one request: agent, connection, method, URL with its query,
//! headers, body, and what is wished for besides. Two requests with the same digest do the same.

use ah5_policy::body::Json;
use ah5_security::encode::Fields;
use ah5_security::hash::sha256;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::request::parse::{Asked, AskedBody};

/// `headers` as they are sent, but for the credential.
pub fn of(asked: &Asked<'_>, headers: &HeaderMap) -> [u8; 32] {
    let fields = head(asked, headers);
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let fields = match &asked.body {
        AskedBody::Bytes(bytes, _) => match canonical(kind, bytes) {
            Some(json) => fields.text("json").bytes(&sha256(&json)),
            None => fields.text("bytes").bytes(&sha256(bytes)),
        },
        AskedBody::None => fields.text("none"),
        // Never the same twice: nothing is approved that nobody has read.
        AskedBody::Stream(..) => fields
            .text("unread")
            .bytes(&ah5_security::random::bytes::<16>()),
    };
    sha256(&fields.finish())
}

/// Of a conversation with a language model: `held` is what of its body must stay as it is.
pub fn of_conversation(asked: &Asked<'_>, headers: &HeaderMap, mut held: Json<'_>) -> [u8; 32] {
    sort(&mut held);
    let fields = head(asked, headers).text("conversation");
    sha256(&fields.bytes(&sha256(&held.to_bytes())).finish())
}

/// All but the body.
fn head(asked: &Asked<'_>, headers: &HeaderMap) -> Fields {
    let fields = Fields::new("ah5.approval.v1")
        .bytes(asked.agent.uuid().as_bytes())
        .bytes(asked.connection.uuid().as_bytes())
        .text(asked.wire_method.as_str())
        .text(&asked.url.to_string())
        .number(asked.wishes.bypass_pii.into())
        .number(asked.wishes.full_fields.into());
    let counted = bound(headers);
    let fields = fields.number(i64::try_from(counted.len()).unwrap_or(i64::MAX));
    counted.iter().fold(fields, |fields, (name, value)| {
        fields.text(name).bytes(value)
    })
}

/// In the order of their names; values of one name in their own order.
fn bound(headers: &HeaderMap) -> Vec<(&str, &[u8])> {
    let mut bound: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !is_free(name))
        .collect();
    bound.sort_by_key(|(name, _)| *name);
    bound
}

/// These differ from one sending to the next and change nothing that the call does.
fn is_free(name: &str) -> bool {
    FREE.contains(&name) || name.starts_with("x-stainless-")
}

/// JSON with the members of objects in order. Numbers stay as they were written; what two readers
/// might understand differently, members that differ only in case among it, stays as it is.
fn canonical(kind: Option<&str>, bytes: &[u8]) -> Option<Vec<u8>> {
    let essence = kind?.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    if essence != "application/json" && !essence.ends_with("+json") {
        return None;
    }
    let mut json = Json::parse(std::str::from_utf8(bytes).ok()?, true).ok()?;
    sort(&mut json);
    Some(json.to_bytes())
}

fn sort(json: &mut Json<'_>) {
    match json {
        Json::List(items) => items.iter_mut().for_each(sort),
        Json::Object(members) => {
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            members.iter_mut().for_each(|(_, value)| sort(value));
        }
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::Text(_) => {}
    }
}

const FREE: [&str; 6] = [
    "accept-language",
    "baggage",
    "traceparent",
    "tracestate",
    "user-agent",
    "x-request-id",
];

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use ah5_contracts::id::{AgentId, ConnectionId};
    use ah5_contracts::policy::Method;
    use ah5_policy::CanonicalUrl;
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;
    use crate::request::parse::{Form, Wishes};

    fn asked(url: &str, body: &'static str) -> Asked<'static> {
        Asked {
            agent: AgentId::from_uuid(uuid::Uuid::nil()),
            approval: None,
            wishes: Wishes::default(),
            connection: ConnectionId::from_uuid(uuid::Uuid::nil()),
            method: Method::Post,
            wire_method: http::Method::POST,
            url: CanonicalUrl::parse(url).unwrap(),
            headers: Cow::Owned(HeaderMap::new()),
            body: AskedBody::Bytes(Bytes::from_static(body.as_bytes()), None),
            form: Form::Envelope,
        }
    }

    fn digest(url: &str, body: &'static str, headers: &[(&'static str, &'static str)]) -> [u8; 32] {
        let mut map = HeaderMap::new();
        map.insert("content-type", HeaderValue::from_static("application/json"));
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        of(&asked(url, body), &map)
    }

    const URL: &str = "https://api.example.com/x?a=1";

    #[test]
    fn what_does_the_same_has_the_same_digest() {
        let one = digest(URL, r#"{"a":1,"b":{"c":[1,2],"d":2}}"#, &[]);
        for (body, headers) in [
            (r#"{ "b" : {"d":2, "c":[1,2]}, "\u0061":1 }"#, &[][..]),
            (
                r#"{"a":1,"b":{"c":[1,2],"d":2}}"#,
                &[
                    ("user-agent", "x"),
                    ("traceparent", "y"),
                    ("x-stainless-os", "z"),
                ],
            ),
        ] {
            assert_eq!(digest(URL, body, headers), one, "{body}");
        }
    }

    #[test]
    fn whatever_might_do_something_else_has_another_digest() {
        let mut seen = std::collections::HashSet::new();
        for (url, body, headers) in [
            (URL, r#"{"a":[1,2],"b":1}"#, &[][..]),
            (URL, r#"{"a":[2,1],"b":1}"#, &[]),
            (URL, r#"{"a":[1,2],"b":1.0}"#, &[]),
            (URL, r#"{"a":[1,2],"b":"1"}"#, &[]),
            (URL, r#"{"a":[1,2],"B":1}"#, &[]),
            // Two readers may take another one of these.
            (URL, r#"{"a":1,"A":2}"#, &[]),
            (URL, r#"{"A":2,"a":1}"#, &[]),
            (URL, r#"{"a":1,"a":2}"#, &[]),
            (URL, r#"{"a":2,"a":1}"#, &[]),
            (URL, "", &[]),
            ("https://api.example.com/x?a=2", r#"{"a":[1,2],"b":1}"#, &[]),
            (
                "https://api.example.com/x?a=1&a=1",
                r#"{"a":[1,2],"b":1}"#,
                &[],
            ),
            (URL, r#"{"a":[1,2],"b":1}"#, &[("prefer", "x")]),
            (URL, r#"{"a":[1,2],"b":1}"#, &[("prefer", "y")]),
            (
                URL,
                r#"{"a":[1,2],"b":1}"#,
                &[("accept", "x"), ("accept", "y")],
            ),
            (
                URL,
                r#"{"a":[1,2],"b":1}"#,
                &[("accept", "y"), ("accept", "x")],
            ),
        ] {
            assert!(
                seen.insert(digest(url, body, headers)),
                "{url} {body} {headers:?}"
            );
        }
        let mut other = asked(URL, r#"{"a":[1,2],"b":1}"#);
        for change in [
            |asked: &mut Asked<'_>| asked.wishes.bypass_pii = true,
            |asked: &mut Asked<'_>| asked.wishes.full_fields = true,
            |asked: &mut Asked<'_>| asked.wire_method = http::Method::PUT,
            |asked: &mut Asked<'_>| asked.agent = AgentId::random(),
            |asked: &mut Asked<'_>| asked.connection = ConnectionId::random(),
            |asked: &mut Asked<'_>| asked.body = AskedBody::None,
        ] {
            change(&mut other);
            let mut map = HeaderMap::new();
            map.insert("content-type", HeaderValue::from_static("application/json"));
            assert!(seen.insert(of(&other, &map)));
        }
    }
}
