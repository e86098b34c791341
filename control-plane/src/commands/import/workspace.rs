//! One workspace that comes over, with all that is in it, in one transaction.

use ah5_contracts::id::{AgentId, ConnectionId, OAuthAppId, PolicyId, UserId, WorkspaceId};
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::service::Credential;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, OAuthAppContext, SealContext};
use ah5_store::connections::{self, NewConnection, NewOAuth};
use ah5_store::database::Client;
use ah5_store::import::{self as source, Agent, Connection, OAuthApp, Owner, Policy, Workspace};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser};
use ah5_store::{agents, imports, policies, sealed, workspaces};
use anyhow::{Context as _, anyhow, bail};
use deadpool_postgres::Object;
use serde_json::json;
use uuid::Uuid;

use super::{Report, credential, mailbox, v1};
use crate::app::App;
use crate::commands::system;
use crate::routes::policies as written;
use crate::{room, vault};

pub struct Move<'a> {
    pub app: &'a App,
    pub client: &'a Client,
    pub key: &'a v1::Key,
    pub id: WorkspaceId,
}

/// What a connection needs to know of its client.
struct Known {
    id: Uuid,
    tenant: Option<String>,
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

    async fn oauth_apps(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        report: &mut Report,
    ) -> anyhow::Result<Vec<Known>> {
        let here = sealed::oauth_app_ids(tenant).await?;
        let mut known = Vec::new();
        for app in source::oauth_apps(self.client, self.id.uuid()).await? {
            let Some(app) = report.readable("OAuth app", app) else {
                continue;
            };
            if here.contains(&app.id) {
                report.already_here += 1;
            } else {
                let came = attempt(tenant, self.oauth_app(tenant, key, &app)).await?;
                let is_here = came.is_ok();
                report.note(("OAuth app", app.id), came, |report| &mut report.oauth_apps);
                if !is_here {
                    continue;
                }
            }
            known.push(Known {
                id: app.id,
                tenant: app.tenant_id,
            });
        }
        Ok(known)
    }

    async fn oauth_app(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        app: &OAuthApp,
    ) -> anyhow::Result<Result<(), String>> {
        let url = token_url(&app.provider, app.tenant_id.as_deref());
        let Some(url) = url else {
            return Ok(Err(format!("{} has no OAuth here", app.provider)));
        };
        let secret = match self.key.open(&app.sealed_secret) {
            Ok(secret) => secret,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        let id = OAuthAppId::from_uuid(app.id);
        let context = OAuthAppContext {
            workspace: self.id,
            app: id,
            version: 1,
            provider: &app.provider,
            client_id: &app.client_id,
            token_url: &url.to_string(),
        };
        let new = sealed::NewOAuthApp {
            id,
            provider: &app.provider,
            client_id: &app.client_id,
            tenant: app.tenant_id.as_deref(),
            label: &app.label,
            sealed: &key.seal_oauth_app(&context, &secret),
        };
        Ok(match sealed::insert_oauth_app(tenant, &new).await? {
            true => Ok(()),
            false => Err("the workspace has another one of this provider here".to_owned()),
        })
    }

    async fn connections(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        apps: &[Known],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        for row in source::connections(self.client, self.id.uuid()).await? {
            let Some(row) = report.readable("connection", row) else {
                continue;
            };
            let id = ConnectionId::from_uuid(row.id);
            if connections::get(tenant, id).await?.is_some() {
                report.already_here += 1;
                continue;
            }
            let came = attempt(tenant, self.connection(tenant, key, apps, &row)).await?;
            let what = format!("connection ({})", row.service);
            report.note((what.as_str(), row.id), came, |report| {
                &mut report.connections
            });
        }
        Ok(())
    }

    async fn connection(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        apps: &[Known],
        row: &Connection,
    ) -> anyhow::Result<Result<(), String>> {
        let Some(service) = catalogue::find(&row.service) else {
            return Ok(Err("there is no such service here".to_owned()));
        };
        let Some(sealed) = row.sealed.as_ref().filter(|_| row.status != "revoked") else {
            return Ok(Err("it is revoked".to_owned()));
        };
        let app = apps.iter().find(|app| Some(app.id) == row.oauth_app);
        if row.oauth_app.is_some() && app.is_none() {
            return Ok(Err(
                "the OAuth app that it was made with is not there".to_owned()
            ));
        }
        let opened = self.key.open(sealed).map_err(|fault| fault.to_string());
        let client_tenant = app.and_then(|app| app.tenant.as_deref());
        let read = |text: SecretText| match service.credential {
            Credential::Email => mailbox::read(service, &text, self.way()),
            _ => credential::read(service, &text, client_tenant),
        };
        let imported = match opened.and_then(read) {
            Ok(imported) => imported,
            Err(why) => return Ok(Err(why)),
        };
        let (id, oauth) = (ConnectionId::from_uuid(row.id), imported.oauth.as_ref());
        // A key is nobody's client's.
        let app = app.filter(|_| oauth.is_some());
        let app = app.map(|app| OAuthAppId::from_uuid(app.id));
        let token_url = oauth.map(|oauth| oauth.token_url.as_str());
        let mail = imported.mail.as_ref();
        let mail = mail.map(|mail| json!({"imap": mail.imap, "smtp": mail.smtp}));
        let destinations =
            connections::destinations(&imported.base_url, token_url, app, mail.as_ref());
        let seal = |field, secret: &SecretText| {
            let context = SealContext {
                workspace: self.id,
                connection: id,
                field,
                version: 1,
                service: &service.id,
                auth: &imported.auth,
                destinations: &destinations,
            };
            key.seal(&context, secret)
        };
        let refresh = oauth.and_then(|oauth| oauth.refresh.as_ref());
        let refresh = refresh.map(|secret| seal(vault::REFRESH, secret));
        let label = match row.label.trim() {
            "" => &service.display_name,
            label => label,
        };
        let new = NewConnection {
            id,
            provider: &service.provider,
            service: &service.id,
            label,
            base_url: &imported.base_url,
            auth: &serde_json::to_value(&imported.auth)?,
            granted_scopes: &row.granted_scopes,
            oauth: oauth.map(|oauth| NewOAuth {
                app,
                token_url: &oauth.token_url,
                account: None,
                asked_scopes: &row.granted_scopes,
                sealed_refresh: refresh.as_deref(),
                expires_at: oauth.expires_at,
            }),
            mail: mail.as_ref(),
            sealed: &seal(vault::SECRET, &imported.secret),
        };
        room::check(self.app, tenant)
            .await
            .map_err(|error| anyhow!("{}", error.text()))?;
        connections::insert(tenant, &new).await?;
        if let Some(metadata) = row.metadata.as_ref().filter(|it| it.is_object()) {
            connections::set_metadata(tenant, id, metadata).await?;
        }
        Ok(Ok(()))
    }

    fn way(&self) -> ah5_mail::Way<'_> {
        ah5_mail::Way {
            net: &self.app.net,
            workspace: self.id,
        }
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

fn token_url(provider: &str, tenant: Option<&str>) -> Option<CanonicalUrl> {
    let dialect = catalogue::oauth(provider)?;
    dialect.url(&dialect.token_url, tenant)
}
