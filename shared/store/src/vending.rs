//! `t_vended_tokens`: tokens and credentials that were handed out, and a workspace's word on whether
//! any are.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use ah5_contracts::id::{AgentId, ConnectionId, UserId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

/// What a workspace lets out of the vault. Nothing, unless an owner said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Access tokens to agents, where a policy says so.
    pub tokens: bool,
    /// Credentials to admins.
    pub credentials: bool,
}

/// Whom something is handed to.
#[derive(Clone, Copy, Debug)]
pub enum Holder {
    Agent(AgentId),
    User(UserId),
}

/// What is about to be handed out.
#[derive(Clone, Copy, Debug)]
pub struct Vended {
    pub id: Uuid,
    pub workspace: WorkspaceId,
    pub connection: ConnectionId,
    pub holder: Holder,
    /// `None`: it is good until it is changed at its provider.
    pub expires_at: Option<Timestamp>,
}

/// Something that was handed out and may still be good.
pub struct Outstanding {
    pub connection: ConnectionId,
    pub label: String,
    pub agent: Option<AgentId>,
    pub user: Option<UserId>,
    pub vended_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

/// Writes it down, before it leaves. False if the connection is not healthy any more.
///
/// # Errors
/// The database fails; nothing may leave then.
pub async fn note(client: &impl GenericClient, vended: &Vended) -> Result<bool, StoreError> {
    let (agent, user) = match vended.holder {
        Holder::Agent(id) => (Some(id.uuid()), None),
        Holder::User(id) => (None, Some(id.uuid())),
    };
    let sql = "select ah5.note_vended($1, $2, $3, $4, $5, $6)";
    let (workspace, connection) = (vended.workspace.uuid(), vended.connection.uuid());
    let row = client
        .query_one(
            sql,
            &[
                &vended.id,
                &workspace,
                &connection,
                &agent,
                &user,
                &vended.expires_at,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// What may still be good, of one agent or of all holders: the latest of each connection and holder, what
/// lasts longest first, 500 at most.
///
/// # Errors
/// The database fails.
pub async fn outstanding(
    tenant: &Tenant<'_>,
    agent: Option<AgentId>,
) -> Result<Vec<Outstanding>, StoreError> {
    let sql = "select * from (
                   select distinct on (v.connection_id, v.agent_id, v.user_id)
                          v.connection_id, c.label, v.agent_id, v.user_id, v.vended_at, v.expires_at
                   from ah5.t_vended_tokens v
                   join ah5.t_connections c
                       on c.id = v.connection_id and c.workspace_id = v.workspace_id
                   where ($1::uuid is null or v.agent_id = $1)
                     and (v.expires_at is null or v.expires_at > now())
                   order by v.connection_id, v.agent_id, v.user_id, v.expires_at desc nulls first
               ) latest order by expires_at desc nulls first, vended_at desc limit 500";
    let rows = tenant.query(sql, &[&agent.map(AgentId::uuid)]).await?;
    let read = |row: &Row| Outstanding {
        connection: ConnectionId::from_uuid(row.get(0)),
        label: row.get(1),
        agent: row.get::<_, Option<Uuid>>(2).map(AgentId::from_uuid),
        user: row.get::<_, Option<Uuid>>(3).map(UserId::from_uuid),
        vended_at: row.get(4),
        expires_at: row.get(5),
    };
    Ok(rows.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn allowed(tenant: &Tenant<'_>) -> Result<Allowed, StoreError> {
    let sql = "select vends_tokens, resolves_credentials from ah5.t_workspaces where id = $1";
    let row = tenant.query_opt(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(row.map_or_else(Allowed::default, |row| Allowed {
        tokens: row.get(0),
        credentials: row.get(1),
    }))
}

/// # Errors
/// The database fails.
pub async fn allow(tenant: &Tenant<'_>, allowed: Allowed) -> Result<(), StoreError> {
    let sql = "update ah5.t_workspaces set vends_tokens = $2, resolves_credentials = $3,
               updated_at = now() where id = $1";
    let id = tenant.workspace().uuid();
    tenant
        .execute(sql, &[&id, &allowed.tokens, &allowed.credentials])
        .await?;
    Ok(())
}

/// Forgets what is good no more.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client.execute("select ah5.prune_vended()", &[]).await?;
    Ok(())
}
