//! A case's policy, written as an owner writes it: created, then part by part.

use ah5_policy::templates::{Template, Tier};
use ah5_testkit::client::{Answer, Owner};
use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

pub(super) enum Written {
    /// Its id.
    As(String),
    /// By the API, which said so.
    Refused(String),
}

pub(super) async fn write(
    owner: &Owner,
    agent: &str,
    connection: &str,
    policy: &Value,
) -> anyhow::Result<Written> {
    let policy = &whole(policy)?;
    // A case that names no mode means one that leaves reads and writes alone.
    let mut body = json!({
        "agentId": agent, "connectionId": connection, "defaultMode": "read_write",
    });
    for name in ["allowedModels", "defaultMode", "stepUpApproval"] {
        if let Some(value) = policy.get(name) {
            body[name] = value.clone();
        }
    }
    let made = owner.post("/v1/policies", &body).await?;
    if let Some(refused) = refused(&made) {
        return Ok(refused);
    }
    let made = made.expect(201)?;
    let id = made["policy"]["id"].as_str();
    let id = id.context("the policy has no id")?.to_owned();
    for (name, part) in PARTS {
        let Some(value) = policy.get(name) else {
            continue;
        };
        let path = format!("/v1/policies/{id}/{part}");
        let answer = owner.put(&path, &json!({ name: value })).await?;
        if let Some(refused) = refused(&answer) {
            return Ok(refused);
        }
        answer.expect(200)?;
    }
    Ok(Written::As(id))
}

fn refused(answer: &Answer) -> Option<Written> {
    (answer.status == 400).then(|| Written::Refused(answer.text()))
}

/// The policy with what stands in it for something else put in.
fn whole(policy: &Value) -> anyhow::Result<Value> {
    let members = policy.as_object().context("the policy is not an object")?;
    for name in members.keys() {
        let known = PARTS.iter().any(|(part, _)| part == name) || OTHERS.contains(&name.as_str());
        ensure!(known, "a policy has no member {name}");
    }
    let mut whole = policy.clone();
    if let Some(template) = policy.get("template") {
        let id = template[0].as_str().and_then(Template::find);
        let tier = template[1].as_str().and_then(Tier::from_name);
        let (id, tier) = (id.context("unknown template")?, tier.context("no tier")?);
        let made = id.generate(tier);
        whole["allowlists"] = json!(made.allowlists);
        whole["rateLimits"] = json!(made.rate_limits);
        whole["rules"] = json!(made.rules);
        whole["stepUpApproval"] = "never".into();
    }
    if policy["timeWindows"] == CLOSED {
        // Three days away from today, wherever today is.
        let today = Timestamp::now().to_zoned(TimeZone::UTC).weekday();
        let day = (today.to_sunday_zero_offset() + 3) % 7;
        whole["timeWindows"] =
            json!([{"dayOfWeek": day, "startHour": 9, "endHour": 17, "timezone": "UTC"}]);
    }
    Ok(whole)
}

const CLOSED: &str = "__closed_utc__";
/// Members that have a route of their own.
const PARTS: [(&str, &str); 5] = [
    ("allowlists", "allowlists"),
    ("rateLimits", "rate-limits"),
    ("timeWindows", "time-windows"),
    ("rules", "rules"),
    ("providerConstraints", "provider-constraints"),
];
const OTHERS: [&str; 4] = ["allowedModels", "defaultMode", "stepUpApproval", "template"];
