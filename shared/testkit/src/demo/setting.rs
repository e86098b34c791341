//! The beginning: everybody there is, and what the agent may do.

use anyhow::Context as _;
use serde_json::json;

use super::cast::{Cast, Provider};
use super::print::Printer;
use super::run_file::RunFile;
use crate::client::{Agent, Call, Http, Owner};

pub(super) async fn prepare(run: &RunFile, out: &mut Printer) -> anyhow::Result<Cast> {
    let provider = Provider::new(run).await?;
    let front = Http::new(run.origin.trim_end_matches('/'));
    let health = front.send(Call::get("/health")).await;
    let health = health.context("the stack does not answer; is `make run` still running?")?;
    health.expect(200).context("the front door's /health")?;

    out.step("A person signs up, signs in and gets a token");
    let owner = Owner::sign_up(&front, &run.origin).await?;
    out.got(format_args!(
        "{}, with a workspace of their own",
        owner.email
    ));

    out.step("The owner creates an agent");
    let made = owner.create_agent("demo agent").await?;
    out.got(format_args!(
        "agent {}, and a bootstrap secret for it",
        made.id
    ));

    out.step("The agent makes an ES256 key, enrols with it and gets a token");
    let agent = Agent::ready(&front, &run.origin, made).await?;
    out.got("a token; the private key never left the agent");

    out.step("The owner connects an account at the provider");
    let (base, auth) = (provider.base_url(), json!({"kind": "bearer"}));
    let connection = owner.connect(&base, &auth, &provider.secret).await?;
    out.got(format_args!(
        "connection {connection} to {base}, its secret sealed"
    ));
    Ok(Cast {
        owner,
        agent,
        connection,
        provider,
    })
}

/// Reading only; the id is for changing it later.
pub(super) async fn write_policy(cast: &Cast, out: &mut Printer) -> anyhow::Result<String> {
    out.step("The owner writes a policy: the agent may GET below the base URL");
    let allowlists = cast.provider.allowlists(&["GET"]);
    let (agent, connection) = (&cast.agent.id, &cast.connection);
    let policy = cast.owner.allow(agent, connection, &allowlists).await?;
    out.got(format_args!(
        "policy {policy}; all else is denied by default"
    ));
    Ok(policy)
}
