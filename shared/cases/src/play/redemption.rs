//! Level `redeem`: a call that needs an approval, what a person makes of it, and the call again.

use ah5_testkit::client::Answer;
use anyhow::{Context as _, bail, ensure};
use http::Method;
use serde_json::{Map, Value, json};

use super::running::{Running, Scene};
use crate::Case;
use crate::case::Prior;

pub(super) async fn play(
    running: &Running,
    scene: &Scene,
    case: &Case,
    prior: &Prior,
) -> anyhow::Result<Map<String, Value>> {
    let before = running.provider.count();
    let asked = running.send(scene, &prior.request, None).await?;
    let asked = asked.expect(202).context("the first request")?;
    ensure!(
        running.provider.count() == before,
        "the first request was sent before it was approved"
    );
    let id = asked["approvalRequestId"].as_str();
    let id = id.context("the first request: no approvalRequestId")?;
    let refused = resolve(running, scene, &prior.resolve, id).await?;
    if is_so(&prior.expire) {
        running.expire(id).await.context("the expiry")?;
    }
    if let Some(rules) = &prior.then_rules {
        let path = format!("/v1/policies/{}/rules", scene.policy);
        let answer = running.owner.put(&path, &json!({"rules": rules})).await?;
        answer.expect(200).context("the later rules")?;
        running.settle(scene).await?;
    }
    if is_so(&prior.redeem_first) {
        let first = running.send(scene, &case.request_text, Some(id)).await?;
        first.expect(200).context("the first redemption")?;
    }
    let mut judged = running.judge(scene, &case.request_text, Some(id)).await?;
    if let Some(status) = refused
        && judged["outcome"] == "denied"
    {
        judged.insert("http".into(), status.into());
    }
    if case.right_answer().get("approvalStatusAfter").is_some() {
        judged.insert("approvalStatusAfter".into(), status(running, id).await?);
    }
    Ok(judged)
}

/// The status with which the decision was refused: to whom it was, that is the answer, as long as
/// nothing was sent on the strength of it.
async fn resolve(
    running: &Running,
    scene: &Scene,
    how: &str,
    id: &str,
) -> anyhow::Result<Option<u16>> {
    let path = |verb: &str| format!("/v1/approvals/{id}/{verb}");
    match how {
        "none" => {}
        // A link leads to the page on which a person decides.
        "approve" | "quick" => person(running, &path("approve")).await?,
        "deny" => person(running, &path("deny")).await?,
        "approve_as_agent" => {
            let call = scene.agent.call(Method::POST, &path("approve"));
            let answer = scene.agent.send(call.json(&json!({}))).await?;
            return Ok((!answer.status.is_success()).then(|| answer.status.as_u16()));
        }
        other => bail!("an approval can't be resolved by {other}"),
    }
    Ok(None)
}

async fn person(running: &Running, path: &str) -> anyhow::Result<()> {
    let answer: Answer = running.owner.post(path, &json!({})).await?;
    answer.expect(200).map(drop).context("the decision")
}

async fn status(running: &Running, id: &str) -> anyhow::Result<Value> {
    let answer = running.owner.get(&format!("/v1/approvals/{id}")).await?;
    Ok(answer.expect(200)?["approval"]["status"].clone())
}

fn is_so(flag: &Value) -> bool {
    !matches!(flag, Value::Null | Value::Bool(false))
}
