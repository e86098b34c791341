//! `control-plane panic`: stops everything in a workspace whose people can't do it themselves.

use std::fmt::Write as _;

use ah5_contracts::audit::ActorKind;
use ah5_contracts::id::WorkspaceId;
use ah5_store::tenant::Tenant;
use ah5_store::{vending, workspaces};
use anyhow::{anyhow, bail};
use clap::Args;
use serde_json::Value;

use super::plain;
use crate::app::App;
use crate::panic::{self, AtProvider, Radius, outstanding_json};

#[derive(Args)]
pub struct Command {
    /// The workspace's id
    workspace: WorkspaceId,
    /// Turn every agent off; turning them on again undoes it
    #[arg(long)]
    stop: bool,
    /// Revoke the connections that this digest names, for good; run without it first to see them
    #[arg(long, value_name = "DIGEST")]
    revoke: Option<String>,
}

pub async fn run(app: App, command: Command) -> anyhow::Result<String> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, command.workspace).await?;
    if workspaces::current(&tenant).await?.is_none() {
        bail!("there is no workspace {}", command.workspace);
    }
    let actor = (ActorKind::System, String::new());
    let failed = |error: crate::error::AppError| anyhow!("{error:?}");
    let mut said = String::new();
    if command.stop {
        let stopped = panic::stop(&app, &tenant, &actor).await.map_err(failed)?;
        writeln!(said, "{stopped} agent(s) are turned off")?;
    }
    if let Some(digest) = &command.revoke {
        let revoked = panic::revoke(&app, &tenant, &actor, digest).await;
        let Some(revoked) = revoked.map_err(failed)? else {
            bail!("the connections are not those of this digest: run it without --revoke and look");
        };
        for it in &revoked {
            let then = match it.at_provider {
                AtProvider::Queued => "its provider is being told",
                AtProvider::ByHand => "delete the key, or our access, at the provider",
            };
            writeln!(
                said,
                "revoked {} {} ({}): {then}",
                it.id,
                plain(&it.label),
                it.service
            )?;
        }
        let out = vending::outstanding(&tenant, None).await?;
        if !out.is_empty() {
            let out = Value::Array(outstanding_json(&out));
            writeln!(
                said,
                "handed out, and good until they end at their provider:\n{out:#}"
            )?;
        }
    }
    if !command.stop && command.revoke.is_none() {
        writeln!(said, "{:#}", Radius::read(&tenant).await?.json())?;
    }
    tenant.commit().await?;
    Ok(said)
}
