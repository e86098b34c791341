//! `control-plane workspace`: what an operator does to a whole workspace.

use ah5_contracts::audit::Action;
use ah5_contracts::id::WorkspaceId;
use ah5_store::tenant::Tenant;
use ah5_store::{data_keys, sealed, workspaces};
use anyhow::{Context as _, bail};
use clap::Subcommand;
use serde_json::json;

use super::{plain, system};
use crate::app::App;
use crate::owners::tell_owners;

#[derive(Subcommand)]
pub enum Command {
    /// Delete the workspace's data key: nothing that is stored in it opens any more, ever
    Shred {
        /// The workspace's id
        workspace: WorkspaceId,
        /// Its name, to show that it is the one you mean; without it nothing is done
        #[arg(long, value_name = "NAME")]
        yes: Option<String>,
    },
}

pub async fn run(app: App, command: Command) -> anyhow::Result<String> {
    match command {
        Command::Shred { workspace, yes } => shred(&app, workspace, yes.as_deref()).await,
    }
}

async fn shred(app: &App, id: WorkspaceId, yes: Option<&str>) -> anyhow::Result<String> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, id).await?;
    let found = workspaces::current(&tenant).await?;
    let workspace = found.context("there is no workspace with this id")?;
    let name = plain(&workspace.name);
    let Some(given) = yes else {
        let (agents, connections) = sealed::count(&tenant).await?;
        return Ok(format!(
            "This would destroy the secrets of workspace {id}, \"{name}\", for good:\n\
             its data key is deleted, {connections} connection(s) are revoked and {agents} agent(s) \
             disabled.\n{BACKUPS}\
             To do it: control-plane workspace shred {id} --yes \"{name}\"\n"
        ));
    };
    if given != name && given != workspace.name {
        bail!("the workspace is called \"{name}\": nothing was done");
    }
    let had_key = data_keys::lock(&tenant).await?.is_some();
    data_keys::delete(&tenant).await?;
    let ended = sealed::end_all(&tenant).await?;
    let details = json!({
        "connections": ended.connections, "agents": ended.agents, "oauthApps": ended.oauth_apps,
        "channels": ended.channels, "approvals": ended.approvals,
    });
    tell_owners(app, &tenant, system(Action::WorkspaceShredded, details)).await?;
    tenant.commit().await?;
    let key = match had_key {
        true => "its data key is deleted",
        false => "it had no data key any more",
    };
    Ok(format!(
        "workspace {id}, \"{name}\": {key}; ended are {} connection(s), {} agent(s), {} OAuth app(s), \
         {} signed channel(s), {} waiting approval(s)\n{BACKUPS}",
        ended.connections, ended.agents, ended.oauth_apps, ended.channels, ended.approvals
    ))
}

const BACKUPS: &str = "Backups of the database have the data key still: with one from before and the \
                       key ring of its time the secrets open. Destroy those backups, or the ring's key \
                       of then (vault rewrap, then vault retire-ring-key, and its copies). At the \
                       providers the secrets are as good as before: revoke them there.\n";
