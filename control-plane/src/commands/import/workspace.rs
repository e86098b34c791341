//! One workspace that comes over, with all that is in it, in one transaction.

use ah5_contracts::id::{AgentId, ConnectionId, PolicyId, UserId, WorkspaceId};
use ah5_security::vault::DataKey;
use ah5_store::database::Client;
use ah5_store::import::{self as source, Agent, Owner, Policy, Workspace};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser};
use ah5_store::{agents, connections, imports, policies, workspaces};
use anyhow::{Context as _, bail};
use deadpool_postgres::Object;

use super::{Report, v1};
use crate::app::App;
use crate::commands::system;
use crate::routes::policies as written;
use crate::vault;

mod accounts;
mod oauth_apps;

pub struct Move<'a> {
    pub app: &'a App,
    pub client: &'a Client,
    pub key: &'a v1::Key,
    pub id: WorkspaceId,
}

// === impl Move ===

impl Move<'_> {
    /// With `dry_run` all of it is done and nothing kept.
    pub async fn bring(
        &self,
        workspace: &Workspace,
        dry_run: bool,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let mut db: Object = self.app.db().await?;
        let tenant = Tenant::begin(&mut db, self.id).await?;
        self.make(&tenant, workspace, report).await?;
        let key = vault::data_key(self.app, &tenant).await?;
        let key = key.context("its data key does not open")?;
        self.agents(&tenant, report).await?;
        let apps = self.oauth_apps(&tenant, &key, report).await?;
        self.connections(&tenant, &key, &apps, report).await?;
        self.policies(&tenant, report).await?;
        if dry_run {
            return Ok(());
        }
        if !report.is_empty() {
            let record = system(super::ACTION, report.details());
            self.app.record(&tenant, record).await?;
        }
        Ok(tenant.commit().await?)
    }

    async fn make(
        &self,
        tenant: &Tenant<'_>,
        workspace: &Workspace,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        if workspaces::current(tenant).await?.is_some() {
            let source = imports::source(tenant).await?;
            if source.as_deref() != Some(self.key.fingerprint()) {
                bail!("a workspace of this id is here already, and did not come from this source");
            }
            report.already_here += 1;
            return Ok(());
        }
        let Some(owner) = &workspace.owner else {
            bail!("its owner is not there");
        };
        let owner = self.owner(tenant, owner).await?;
        let wrapped = self.app.ring().wrap(self.id, &DataKey::generate());
        workspaces::insert(tenant, owner, &workspace.name, &wrapped)
            .await
            .context("does its owner have a workspace here already?")?;
        imports::insert(tenant, self.key.fingerprint()).await?;
        report.workspaces += 1;
        Ok(())
    }

    /// By the address; a new person has no password here, and gets one by mail.
    async fn owner(&self, tenant: &Tenant<'_>, owner: &Owner) -> anyhow::Result<UserId> {
        let email = owner.email.trim().to_lowercase();
        if let Some(known) = users::by_email(&**tenant, &email).await? {
            return Ok(known.0.id);
        }
        let new = NewUser {
            id: UserId::from_uuid(owner.id),
            email: &email,
            name: &owner.name,
            email_verification: if owner.email_verified {
                "proven"
            } else {
                "pending"
            },
            password_hash: None,
        };
        let made = users::insert(&**tenant, &new).await?;
        if owner.disabled {
            users::set_disabled(&**tenant, made.id, true).await?;
        }
        Ok(made.id)
    }

    async fn agents(&self, tenant: &Tenant<'_>, report: &mut Report) -> anyhow::Result<()> {
        for row in source::agents(self.client, self.id.uuid()).await? {
            let Some(row) = report.readable("agent", row) else {
                continue;
            };
            let id = AgentId::from_uuid(row.id);
            if agents::get(tenant, id).await?.is_some() {
                report.already_here += 1;
                continue;
            }
            let came = attempt(tenant, self.agent(tenant, id, &row)).await?;
            report.note(("agent", row.id), came, |report| &mut report.agents);
        }
        Ok(())
    }

    async fn agent(
        &self,
        tenant: &Tenant<'_>,
        id: AgentId,
        row: &Agent,
    ) -> anyhow::Result<Result<(), String>> {
        if row.name.is_empty() {
            return Ok(Err("it has no name".to_owned()));
        }
        let icon = row.icon_url.as_deref();
        agents::insert(tenant, id, &row.name, &row.description, icon).await?;
        if row.disabled {
            agents::disable(tenant, id).await?;
        }
        Ok(Ok(()))
    }

    async fn policies(&self, tenant: &Tenant<'_>, report: &mut Report) -> anyhow::Result<()> {
        let here = policies::list(tenant).await?;
        for row in source::policies(self.client, self.id.uuid()).await? {
            let Some(row) = report.readable("policy", row) else {
                continue;
            };
            let id = PolicyId::from_uuid(row.id);
            if here.iter().any(|policy| policy.id == id) {
                report.already_here += 1;
                continue;
            }
            let came = attempt(tenant, self.policy(tenant, id, row)).await?;
            report.note(("policy", id.uuid()), came, |report| &mut report.policies);
        }
        Ok(())
    }

    async fn policy(
        &self,
        tenant: &Tenant<'_>,
        id: PolicyId,
        row: Policy,
    ) -> anyhow::Result<Result<(), String>> {
        let agent = AgentId::from_uuid(row.agent);
        let connection = ConnectionId::from_uuid(row.connection);
        if agents::get(tenant, agent).await?.is_none() {
            return Ok(Err("its agent was left out".to_owned()));
        }
        let Some(account) = connections::get(tenant, connection).await? else {
            return Ok(Err("its connection was left out".to_owned()));
        };
        let place = written::Place {
            id,
            agent,
            connection,
            service: &account.service,
        };
        Ok(written::import(self.app, tenant, &place, row.parts).await?)
    }
}

/// One row, undone if it can't come over: the others do not go with it.
async fn attempt(
    tenant: &Tenant<'_>,
    work: impl Future<Output = anyhow::Result<Result<(), String>>>,
) -> anyhow::Result<Result<(), String>> {
    let told = async {
        match work.await {
            Ok(came) => came,
            Err(error) => Err(format!("{error:#}")),
        }
    };
    Ok(tenant.attempt(told).await?)
}
