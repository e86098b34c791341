//! What the agent may not do: at all, not yet, and no longer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Method;
use serde_json::json;

use super::cast::{Cast, sticky};
use super::print::Printer;
use crate::client::{Answer, Call};

/// A call after the agent was disabled.
struct Attempt {
    path: String,
    /// Since the change was answered.
    begun: Duration,
    answer: Answer,
}

pub(super) async fn too_much(cast: &Cast, out: &mut Printer) -> anyhow::Result<()> {
    out.step("The agent tries to POST");
    let answer = cast.call(note(cast), &sticky()).await?;
    let body = answer.expect(403)?;
    let hint = body["hint"].as_str();
    let hint = hint.with_context(|| format!("the refusal has no hint: {body}"))?;
    out.got(format_args!(
        "403: {}",
        body["error"].as_str().unwrap_or_default()
    ));
    out.line(format_args!("hint: {hint}"));
    let journal = cast.provider.journal().await?;
    ensure!(
        !journal.iter().any(|entry| entry.path() == NOTE),
        "the provider was called all the same"
    );
    out.line("the provider has not heard of it");
    Ok(())
}

pub(super) async fn allowed_after_all(
    cast: &Cast,
    policy: &str,
    out: &mut Printer,
) -> anyhow::Result<()> {
    out.step("The owner changes the policy: GET and POST");
    let allowlists = cast.provider.allowlists(&["GET", "POST"]);
    cast.owner.set_allowlists(policy, &allowlists).await?;
    out.got("changed");
    out.step("The agent tries the same call again");
    let (answer, took) = cast.until_allowed(|| note(cast), &sticky()).await?;
    ensure!(
        answer.json()["status"] == 200,
        "the envelope is {}",
        answer.text()
    );
    out.got(format_args!(
        "200, allowed {} ms after the change",
        took.as_millis()
    ));
    cast.provider.prove_injected(NOTE).await
}

pub(super) async fn disabled(cast: &Cast, out: &mut Printer) -> anyhow::Result<()> {
    out.step("The owner disables the agent, while it goes on calling");
    cast.owner.disable(&cast.agent.id).await?;
    let attempts = go_on(cast, Instant::now()).await?;
    let refused = attempts.iter().find(|a| a.answer.status == 401);
    let refused = refused.context("it was never refused")?;
    let (begun, answer) = (refused.begun.as_millis(), refused.answer.text());
    out.got(format_args!(
        "401, for a call {begun} ms after the change: {answer}"
    ));

    let late = attempts.iter().filter(|attempt| attempt.begun > PROMISE);
    let late: Vec<&Attempt> = late.collect();
    ensure!(!late.is_empty(), "no call was begun later than {PROMISE:?}");
    for attempt in &late {
        let refused = attempt.answer.expect(401);
        refused.with_context(|| format!("a call {:?} after the change", attempt.begun))?;
    }
    let journal = cast.provider.journal().await?;
    let arrived = |attempt: &&&Attempt| journal.iter().any(|e| e.path() == attempt.path);
    let (calls, hits) = (late.len(), late.iter().filter(arrived).count());
    ensure!(
        hits == 0,
        "the provider got {hits} calls begun more than a second after the change"
    );
    out.line(format_args!(
        "{calls} calls begun more than a second after it: 0 reached the provider"
    ));
    no_new_token(cast, out).await
}

/// Calls for a while, each with a path of its own and through any replica.
async fn go_on(cast: &Cast, changed: Instant) -> anyhow::Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    while changed.elapsed() < PROMISE * 2 {
        let begun = changed.elapsed();
        let path = format!("/echo/late/{}", attempts.len());
        let call = cast.proxy(Method::GET, &path);
        let answer = cast.call(call, &sticky()).await?;
        attempts.push(Attempt {
            path: format!("/v2{path}"),
            begun,
            answer,
        });
        tokio::time::sleep(PAUSE).await;
    }
    Ok(attempts)
}

async fn no_new_token(cast: &Cast, out: &Printer) -> anyhow::Result<()> {
    let jti = uuid::Uuid::new_v4().to_string();
    let request = cast.agent.token_request(60, &jti)?;
    let answer = cast.agent.ask_token(&request).await?;
    answer
        .expect(401)
        .context("a new token for a disabled agent")?;
    out.line("and its key gets it no new token: 401");
    Ok(())
}

fn note(cast: &Cast) -> Call {
    let path = NOTE.trim_start_matches("/v2");
    cast.execute_with(Method::POST, path, &json!({"text": "remember the milk"}))
}

const NOTE: &str = "/v2/echo/notes";
const PAUSE: Duration = Duration::from_millis(25);
/// Within which a change is in force on every replica.
const PROMISE: Duration = Duration::from_secs(1);
