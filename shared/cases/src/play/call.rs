//! One call: from the case's request to what goes over the wire, and from what came back, here and
//! at the provider, to the members that cases expect.

use std::collections::BTreeMap;

use ah5_testkit::client::{Answer, Call};
use ah5_testkit::simulator::Entry;
use anyhow::{Context as _, ensure};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::provider;

/// As written: the body's members have an order, and its texts their escapes.
type Members = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct Repeated {
    char: String,
    count: usize,
}

/// The call with the case's request in its body.
pub(super) fn envelope(
    mut call: Call,
    request: &RawValue,
    connection: &str,
    approval: Option<&str>,
) -> anyhow::Result<Call> {
    let mut members: Members = serde_json::from_str(request.get())?;
    if let Some(headers) = members.remove("httpHeaders") {
        let headers: BTreeMap<String, String> = serde_json::from_str(headers.get())?;
        for (name, value) in headers {
            call = call.header(name, value);
        }
    }
    if let Some(repeated) = members.remove("bodyRepeat") {
        let Repeated { char, count } = serde_json::from_str(repeated.get())?;
        members.insert("body".into(), to_raw_value(&char.repeat(count))?);
    }
    // As clients write it: its length is limited by some policies.
    if let Some(body) = members.get_mut("body") {
        *body = RawValue::from_string(provider::compact(body.get()))?;
    }
    for name in members.keys() {
        ensure!(
            SENT.contains(&name.as_str()),
            "a request has no member {name}"
        );
    }
    members.insert("model".into(), to_raw_value("B")?);
    members.insert("connectionId".into(), to_raw_value(connection)?);
    if let Some(id) = approval {
        members.insert("approvalId".into(), to_raw_value(id)?);
    }
    let call = call.header("content-type", "application/json");
    Ok(call.body(serde_json::to_vec(&members)?))
}

/// `sent` is what the provider got.
pub(super) fn judge(
    request: &RawValue,
    answer: &Answer,
    sent: &[Entry],
) -> anyhow::Result<Map<String, Value>> {
    let body = answer.json();
    let mut judged = Map::new();
    let outcome = outcome(answer, &body, sent.len());
    judged.insert("http".into(), answer.status.as_u16().into());
    judged.insert("outcome".into(), outcome.into());
    judged.insert("rawBody".into(), answer.text().into());
    // An expected reason that is missing is not to pass for one.
    judged.insert("reason".into(), Value::Null);
    for name in ["error", "hint", "piiRedacted", "reason", "ruleLabel"] {
        if let Some(value) = body.get(name) {
            judged.insert(name.into(), value.clone());
        }
    }
    if body["model"] == "B" {
        judged.insert("status".into(), body["status"].clone());
        judged.insert("body".into(), body["body"].clone());
    } else if answer.status.is_success() && wants_raw(request)? {
        judged.insert("status".into(), answer.status.as_u16().into());
        judged.insert("body".into(), body);
    }
    if let [entry] = sent {
        judged.extend(provider::show(entry));
    }
    Ok(judged)
}

/// Said by what reached the provider, before what the answer claims.
fn outcome(answer: &Answer, body: &Value, sent: usize) -> String {
    let approval = body["approvalRequired"] == true && body["approvalRequestId"].is_string();
    match (sent, answer.status.as_u16()) {
        (1, _) => "executed".to_owned(),
        (0, 202) if approval => "approval_required".to_owned(),
        (0, 400..) => "denied".to_owned(),
        (sent, status) => format!("{status} with {sent} calls at the provider"),
    }
}

/// Whether the provider's answer was asked for without an envelope around it.
fn wants_raw(request: &RawValue) -> anyhow::Result<bool> {
    let members: Members = serde_json::from_str(request.get()).context("the request")?;
    let wanted = |name| members.get(name).is_some_and(|raw| raw.get() == "true");
    Ok(wanted("download") || wanted("stream"))
}

/// What of a case's request goes into the call as it is.
const SENT: [&str; 10] = [
    "approvalId",
    "body",
    "bypassPiiRedaction",
    "download",
    "headers",
    "method",
    "query",
    "requestFullFields",
    "stream",
    "url",
];
