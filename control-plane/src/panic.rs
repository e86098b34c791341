//! Panic: something has gone wrong, and everything is to stop. First what can be undone: every agent is
//! turned off, which ends its tokens and cuts its streams, and nothing is handed out any more. Then, by the owner alone, what can't: every
//! connection is revoked, here and as far as possible at its provider. Called by the workspace's routes
//! and by the operator's command.

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::AgentId;
use ah5_providers::catalogue;
use ah5_security::hash::sha256_of;
use ah5_store::agents::{self, Agent};
use ah5_store::connections::{self, Connection};
use ah5_store::oauth_apps::{self, OAuthApp};
use ah5_store::tenant::Tenant;
use ah5_store::vending::{self, Allowed, Outstanding};
use ah5_store::{StoreError, agent_tokens, pending_connections};
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::{App, Record, time};
use crate::error::AppError;
use crate::notices::{AGENTS_PAGE, Notice, To, kind, notify};
use crate::owners::tell_owners;
use crate::routes::connections::oauth::reauth::has_lost_its_app;

type Actor = (ActorKind, String);

/// What is at stake: all that can act, all that can be acted upon, and what is out already.
pub struct Radius {
    /// Not turned off.
    agents: Vec<Agent>,
    /// Not revoked.
    connections: Vec<Connection>,
    outstanding: Vec<Outstanding>,
    /// The workspace's own clients, by which its connections were consented to.
    apps: Vec<OAuthApp>,
}

/// One connection that was revoked.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    pub id: ah5_contracts::id::ConnectionId,
    pub label: String,
    pub service: String,
    pub at_provider: AtProvider,
}

/// What becomes of the account's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AtProvider {
    /// The provider has no way for us: a person must delete the key, or our access, there.
    ByHand,
    /// The provider is told, again and again until it has heard.
    Queued,
}

// === impl Radius ===

impl Radius {
    pub async fn read(tenant: &Tenant<'_>) -> Result<Self, StoreError> {
        let mut agents = agents::list(tenant).await?;
        agents.retain(|agent| agent.status != "disabled");
        Ok(Self {
            agents,
            connections: connections::list(tenant).await?,
            outstanding: vending::outstanding(tenant, None).await?,
            apps: oauth_apps::list(tenant).await?,
        })
    }

    /// Of the connections: who confirms it has seen what will be revoked.
    pub fn digest(&self) -> String {
        let mut ids: Vec<_> = self.connections.iter().map(|it| it.id.uuid()).collect();
        ids.sort_unstable();
        let parts: Vec<&[u8]> = ids.iter().map(|id| &id.as_bytes()[..]).collect();
        let digest = sha256_of(&parts);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn json(&self) -> Value {
        let agents = self.agents.iter();
        let agents = agents.map(|it| json!({"id": it.id, "name": it.name, "status": it.status}));
        let connections = self.connections.iter().map(|it| {
            json!({
                "id": it.id, "label": it.label, "service": it.service, "status": it.status,
                "atProvider": at_provider(it, &self.apps),
            })
        });
        json!({
            "agents": agents.collect::<Vec<_>>(),
            "connections": connections.collect::<Vec<_>>(),
            "vendedTokens": outstanding_json(&self.outstanding),
            "digest": self.digest(),
        })
    }
}

/// The first step, which turning the agents on again undoes.
pub async fn stop(app: &App, tenant: &Tenant<'_>, actor: &Actor) -> Result<usize, AppError> {
    let mut found: Vec<AgentId> = agents::list(tenant).await?.iter().map(|it| it.id).collect();
    // In one order, whoever else turns agents off.
    found.sort_unstable();
    let mut stopped = 0;
    for id in found {
        let Some(agent) = agents::lock(tenant, id).await? else {
            continue;
        };
        if agent.status == "disabled" {
            continue;
        }
        let tokens = agent_tokens::take(tenant, agent.id, agent.epoch).await?;
        agents::disable(tenant, agent.id).await?;
        let details = json!({
            "epoch": agent.epoch + 1, "tokensRevoked": tokens, "reason": "panic",
        });
        let record = Record::new(actor.clone(), Action::AgentDisabled, details);
        app.record(tenant, record.agent(agent.id)).await?;
        stopped += 1;
    }
    // Nothing is handed out any more, and no consent that is under way ends in a connection.
    vending::allow(tenant, Allowed::default()).await?;
    pending_connections::delete_all(tenant).await?;
    let details = json!({"agents": stopped});
    app.record(
        tenant,
        Record::new(actor.clone(), Action::PanicStopped, details),
    )
    .await?;
    notify(tenant, &stopped_notice(stopped)).await?;
    Ok(stopped)
}

/// The second step, which nothing undoes. `None` if the connections are not those that were confirmed.
pub async fn revoke(
    app: &App,
    tenant: &Tenant<'_>,
    actor: &Actor,
    confirmed: &str,
) -> Result<Option<Vec<Revoked>>, AppError> {
    let radius = Radius::read(tenant).await?;
    if radius.digest() != confirmed {
        return Ok(None);
    }
    pending_connections::delete_all(tenant).await?;
    let mut revoked = Vec::new();
    for connection in radius.connections {
        let Some(connection) = connections::lock(tenant, connection.id).await? else {
            continue;
        };
        if connection.status == "revoked" {
            continue;
        }
        connections::revoke(tenant, connection.id).await?;
        let details = json!({
            "provider": connection.provider, "label": connection.label,
            "previousStatus": connection.status, "reason": "panic",
        });
        let record = Record::new(actor.clone(), Action::ConnectionRevoked, details);
        app.record(tenant, record.connection(connection.id)).await?;
        revoked.push(Revoked {
            at_provider: at_provider(&connection, &radius.apps),
            id: connection.id,
            label: connection.label,
            service: connection.service,
        });
    }
    let details = json!({"connections": revoked.len()});
    let record = Record::new(actor.clone(), Action::PanicRevoked, details);
    tell_owners(app, tenant, record).await?;
    Ok(Some(revoked))
}

pub fn outstanding_json(outstanding: &[Outstanding]) -> Vec<Value> {
    let shown = outstanding.iter().map(|it| {
        json!({
            "connectionId": it.connection, "connectionLabel": it.label, "agentId": it.agent,
            "userId": it.user, "vendedAt": time(it.vended_at), "expiresAt": it.expires_at.map(time),
        })
    });
    shown.collect()
}

fn at_provider(connection: &Connection, apps: &[OAuthApp]) -> AtProvider {
    let dialect = catalogue::oauth(&connection.provider);
    let own = apps.iter().find(|it| connection.oauth_app == Some(it.id));
    let has_way = match dialect {
        Some(dialect) => dialect.revoke_url.is_some(),
        // As the workspace has described its provider.
        None => own
            .is_some_and(|it| matches!(&it.endpoints, Some(all) if all["revoke_url"].is_string())),
    };
    match connection.token_url.is_some() && has_way && !has_lost_its_app(connection) {
        true => AtProvider::Queued,
        false => AtProvider::ByHand,
    }
}

fn stopped_notice(agents: usize) -> Notice {
    Notice {
        kind: kind::SECURITY_ALERT,
        title: "Every agent was turned off".to_owned(),
        body: format!("{agents} agent(s) lost their tokens, and their calls were ended."),
        link: Some(AGENTS_PAGE.to_owned()),
        metadata: json!({"agents": agents}),
        to: To::Everyone,
    }
}
