//! What a data plane needs to know of a workspace, read in one transaction together with the
//! version it belongs to.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::{Client, IsolationLevel, Transaction};
use uuid::Uuid;

use ah5_contracts::id::{
    AgentId, ConnectionId, OAuthAppId, PersonalTokenId, PolicyId, SessionId, UserId, WorkspaceId,
};

use ah5_security::vault::Destinations;

use crate::StoreError;
use crate::connections::destinations;
use crate::data_keys::{self, DataKeys};
use crate::vending::Allowed;

/// The workspace id under which global changes are versioned.
pub const GLOBAL: WorkspaceId = WorkspaceId::from_uuid(Uuid::nil());

pub struct WorkspaceRows {
    pub workspace: WorkspaceId,
    pub version: i64,
    pub allowed: Allowed,
    pub data_key: Option<DataKeys>,
    pub agents: Vec<AgentRow>,
    pub connections: Vec<ConnectionRow>,
    pub policies: Vec<PolicyRow>,
    pub members: Vec<MemberRow>,
    pub personal_tokens: Vec<PersonalTokenRow>,
}

pub struct AgentRow {
    pub id: AgentId,
    pub name: String,
    pub status: String,
    pub epoch: i64,
    pub require_dpop: bool,
}

pub struct ConnectionRow {
    pub id: ConnectionId,
    pub provider: String,
    pub service: String,
    pub label: String,
    pub status: String,
    pub base_url: String,
    pub auth: Value,
    pub created_at: Timestamp,
    /// The provider's own name for the organisation that the account belongs to.
    pub tenant: Option<String>,
    pub destinations: Destinations,
    pub mailbox: Option<MailboxRow>,
    pub credential: Option<CredentialRow>,
}

/// What is known of a mailbox but its password.
pub struct MailboxRow {
    pub servers: Value,
    /// The owner's address and name.
    pub address: Option<String>,
    pub name: Option<String>,
}

pub struct CredentialRow {
    pub version: i64,
    pub sealed: Vec<u8>,
    /// When it is good no more, as far as the provider said.
    pub expires_at: Option<Timestamp>,
    pub issued_at: Timestamp,
    /// It can be had anew.
    pub is_refreshable: bool,
}

pub struct PolicyRow {
    pub id: PolicyId,
    pub agent: AgentId,
    pub connection: ConnectionId,
    pub status: String,
    pub version: i64,
    pub allowed_models: Vec<String>,
    pub default_mode: String,
    pub step_up_approval: String,
    pub allowlists: Value,
    pub rate_limits: Option<Value>,
    pub time_windows: Value,
    pub rules: Value,
    pub provider_constraints: Option<Value>,
    /// `best_effort` or `required`.
    pub audit: String,
}

pub struct MemberRow {
    pub user: UserId,
    pub role: String,
}

pub struct PersonalTokenRow {
    pub id: PersonalTokenId,
    pub user: UserId,
    /// SHA-256 of the token's text.
    pub hash: Vec<u8>,
    pub scopes: Vec<String>,
    /// Seconds since 1970-01-01 UTC.
    pub expires: i64,
}

pub struct GlobalRows {
    pub version: i64,
    pub keys: Vec<KeyRow>,
    pub revoked_sessions: Vec<SessionId>,
    pub disabled_users: Vec<UserId>,
}

pub struct KeyRow {
    pub kid: String,
    pub kind: String,
    pub alg: String,
    pub public_jwk: Value,
    pub mac: Vec<u8>,
}

/// `None`: there is no such workspace (any more).
///
/// # Errors
/// The database fails.
pub async fn load_workspace(
    client: &mut Client,
    workspace: WorkspaceId,
) -> Result<Option<WorkspaceRows>, StoreError> {
    let tx = begin(client).await?;
    let id = workspace.uuid();
    let sql = "select vends_tokens, resolves_credentials from ah5.t_workspaces where id = $1";
    let Some(row) = tx.query_opt(sql, &[&id]).await? else {
        return Ok(None);
    };
    let allowed = Allowed {
        tokens: row.get(0),
        credentials: row.get(1),
    };
    let version = version(&tx, workspace).await?;
    let data_key = data_keys::read_at(&tx, id).await?;
    let rows = WorkspaceRows {
        workspace,
        version,
        allowed,
        data_key,
        agents: agents(&tx, id).await?,
        connections: connections(&tx, id).await?,
        policies: policies(&tx, id).await?,
        members: members(&tx, id).await?,
        personal_tokens: personal_tokens(&tx, id).await?,
    };
    tx.commit().await?;
    Ok(Some(rows))
}

/// # Errors
/// The database fails.
pub async fn load_globals(client: &mut Client) -> Result<GlobalRows, StoreError> {
    let tx = begin(client).await?;
    let keys = tx
        .query(
            "select kid, kind, alg, public_jwk, mac from ah5.v_verification_keys",
            &[],
        )
        .await?
        .into_iter()
        .map(|row| KeyRow {
            kid: row.get(0),
            kind: row.get(1),
            alg: row.get(2),
            public_jwk: row.get(3),
            mac: row.get(4),
        })
        .collect();
    let revoked = tx
        .query("select id from ah5.v_revoked_sessions", &[])
        .await?;
    let disabled = tx.query("select id from ah5.v_disabled_users", &[]).await?;
    let rows = GlobalRows {
        version: version(&tx, GLOBAL).await?,
        keys,
        revoked_sessions: revoked
            .iter()
            .map(|r| SessionId::from_uuid(r.get(0)))
            .collect(),
        disabled_users: disabled
            .iter()
            .map(|r| UserId::from_uuid(r.get(0)))
            .collect(),
    };
    tx.commit().await?;
    Ok(rows)
}

async fn begin(client: &mut Client) -> Result<Transaction<'_>, StoreError> {
    let builder = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead);
    Ok(builder.read_only(true).start().await?)
}

async fn version(tx: &Transaction<'_>, workspace: WorkspaceId) -> Result<i64, StoreError> {
    let sql = "select version from ah5.t_workspace_versions where workspace_id = $1";
    let row = tx.query_opt(sql, &[&workspace.uuid()]).await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

async fn agents(tx: &Transaction<'_>, workspace: Uuid) -> Result<Vec<AgentRow>, StoreError> {
    let sql = "select id, name, status, epoch, require_dpop
               from ah5.t_agents where workspace_id = $1";
    let rows = tx.query(sql, &[&workspace]).await?;
    let agent = |row: tokio_postgres::Row| AgentRow {
        id: AgentId::from_uuid(row.get(0)),
        name: row.get(1),
        status: row.get(2),
        epoch: row.get(3),
        require_dpop: row.get(4),
    };
    Ok(rows.into_iter().map(agent).collect())
}

async fn connections(
    tx: &Transaction<'_>,
    workspace: Uuid,
) -> Result<Vec<ConnectionRow>, StoreError> {
    let sql = "
        select c.id, c.provider, c.service, c.label, c.status, c.base_url, c.auth, s.version, s.sealed,
               c.metadata->>'tenantId', s.expires_at, s.sealed_refresh is not null,
               c.token_url, c.oauth_app_id, c.mail, c.created_at, s.updated_at,
               c.metadata->>'email', c.metadata->>'displayName'
        from ah5.t_connections c
        left join ah5.t_connection_credentials s
            on s.connection_id = c.id and s.workspace_id = c.workspace_id
        where c.workspace_id = $1";
    let rows = tx.query(sql, &[&workspace]).await?;
    let connection = |row: tokio_postgres::Row| {
        let base_url: String = row.get(5);
        let (token_url, mail): (Option<String>, Option<Value>) = (row.get(12), row.get(14));
        let app = row.get::<_, Option<Uuid>>(13).map(OAuthAppId::from_uuid);
        let version: Option<i64> = row.get(7);
        ConnectionRow {
            id: ConnectionId::from_uuid(row.get(0)),
            provider: row.get(1),
            service: row.get(2),
            label: row.get(3),
            status: row.get(4),
            auth: row.get(6),
            tenant: row.get(9),
            created_at: row.get(15),
            destinations: destinations(&base_url, token_url.as_deref(), app, mail.as_ref()),
            base_url,
            mailbox: mail.map(|servers| MailboxRow {
                servers,
                address: row.get(17),
                name: row.get(18),
            }),
            credential: version.map(|version| CredentialRow {
                version,
                sealed: row.get(8),
                expires_at: row.get(10),
                issued_at: row.get(16),
                is_refreshable: row.get(11),
            }),
        }
    };
    Ok(rows.into_iter().map(connection).collect())
}

async fn policies(tx: &Transaction<'_>, workspace: Uuid) -> Result<Vec<PolicyRow>, StoreError> {
    let sql = "
        select id, agent_id, connection_id, status, version, allowed_models, default_mode,
               step_up_approval, allowlists, rate_limits, time_windows, rules, provider_constraints,
               audit
        from ah5.t_policies where workspace_id = $1 and status = 'active' order by created_at, id";
    let rows = tx.query(sql, &[&workspace]).await?;
    let policy = |row: tokio_postgres::Row| PolicyRow {
        id: PolicyId::from_uuid(row.get(0)),
        agent: AgentId::from_uuid(row.get(1)),
        connection: ConnectionId::from_uuid(row.get(2)),
        status: row.get(3),
        version: row.get(4),
        allowed_models: row.get(5),
        default_mode: row.get(6),
        step_up_approval: row.get(7),
        allowlists: row.get(8),
        rate_limits: row.get(9),
        time_windows: row.get(10),
        rules: row.get(11),
        provider_constraints: row.get(12),
        audit: row.get(13),
    };
    Ok(rows.into_iter().map(policy).collect())
}

async fn members(tx: &Transaction<'_>, workspace: Uuid) -> Result<Vec<MemberRow>, StoreError> {
    let sql = "select user_id, role from ah5.t_workspace_members where workspace_id = $1";
    let rows = tx.query(sql, &[&workspace]).await?;
    let member = |row: tokio_postgres::Row| MemberRow {
        user: UserId::from_uuid(row.get(0)),
        role: row.get(1),
    };
    Ok(rows.into_iter().map(member).collect())
}

async fn personal_tokens(
    tx: &Transaction<'_>,
    workspace: Uuid,
) -> Result<Vec<PersonalTokenRow>, StoreError> {
    let sql = "select id, user_id, token_hash, scopes, expires_at
               from ah5.v_pat_hashes where workspace_id = $1";
    let rows = tx.query(sql, &[&workspace]).await?;
    let token = |row: tokio_postgres::Row| PersonalTokenRow {
        id: PersonalTokenId::from_uuid(row.get(0)),
        user: UserId::from_uuid(row.get(1)),
        hash: row.get(2),
        scopes: row.get(3),
        expires: row.get::<_, Timestamp>(4).as_second(),
    };
    Ok(rows.into_iter().map(token).collect())
}
