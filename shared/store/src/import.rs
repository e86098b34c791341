//! The tables of another installation, of a product that agents' credentials are brought over from:
//! read once, never written. They are in schema `public` of a database of its own.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use crate::StoreError;

pub struct Workspace {
    pub id: Uuid,
    pub name: String,
    /// None where there is no such person (any more).
    pub owner: Option<Owner>,
}

pub struct Owner {
    pub id: Uuid,
    pub email: String,
    pub name: String,
    pub email_verified: bool,
    pub disabled: bool,
}

pub struct Agent {
    pub id: Uuid,
    pub name: String,
    pub description: String,
    pub icon_url: Option<String>,
    pub disabled: bool,
}

pub struct OAuthApp {
    pub id: Uuid,
    pub provider: String,
    pub client_id: String,
    /// An envelope of that product's.
    pub sealed_secret: String,
    pub tenant_id: Option<String>,
    pub label: String,
}

pub struct Connection {
    pub id: Uuid,
    pub service: String,
    pub label: String,
    pub status: String,
    pub oauth_app: Option<Uuid>,
    /// An envelope of that product's; none once it is revoked.
    pub sealed: Option<String>,
    pub granted_scopes: Vec<String>,
    pub metadata: Option<Value>,
    pub created_at: Timestamp,
}

pub struct Policy {
    pub id: Uuid,
    pub agent: Uuid,
    pub connection: Uuid,
    /// The settable part, as a request would say it.
    pub parts: Value,
}

/// # Errors
/// The database fails, or is not of that product.
pub async fn workspaces(client: &Client) -> Result<Vec<Workspace>, StoreError> {
    let sql = "select w.id, w.name, u.id, u.email, u.name, u.email_verified,
                      u.disabled_at is not null
               from public.t_workspaces w left join public.t_users u on u.id = w.owner_id
               order by w.id";
    let read = |row: &Row| Workspace {
        id: row.get(0),
        name: row.get(1),
        owner: row.get::<_, Option<Uuid>>(2).map(|id| Owner {
            id,
            email: row.get(3),
            name: row.get(4),
            email_verified: row.get(5),
            disabled: row.get(6),
        }),
    };
    all(client.query(sql, &[]).await?, read)
}

/// # Errors
/// As [`workspaces`].
pub async fn agents(client: &Client, workspace: Uuid) -> Result<Vec<Agent>, StoreError> {
    let sql = "select id, name, description, icon_url, status::text = 'disabled'
               from public.t_agents where workspace_id = $1 order by id";
    let read = |row: &Row| Agent {
        id: row.get(0),
        name: row.get(1),
        description: row.get(2),
        icon_url: row.get(3),
        disabled: row.get(4),
    };
    all(client.query(sql, &[&workspace]).await?, read)
}

/// # Errors
/// As [`workspaces`].
pub async fn oauth_apps(client: &Client, workspace: Uuid) -> Result<Vec<OAuthApp>, StoreError> {
    let sql = "select id, provider::text, client_id, encrypted_client_secret, tenant_id, label
               from public.t_workspace_oauth_apps where workspace_id = $1 order by id";
    let read = |row: &Row| OAuthApp {
        id: row.get(0),
        provider: row.get(1),
        client_id: row.get(2),
        sealed_secret: row.get(3),
        tenant_id: row.get(4),
        label: row.get(5),
    };
    all(client.query(sql, &[&workspace]).await?, read)
}

/// # Errors
/// As [`workspaces`].
pub async fn connections(client: &Client, workspace: Uuid) -> Result<Vec<Connection>, StoreError> {
    let sql = "select id, service::text, label, status::text, oauth_app_id, encrypted_tokens,
                      granted_scopes, metadata, created_at
               from public.t_connections where workspace_id = $1 order by id";
    let read = |row: &Row| Connection {
        id: row.get(0),
        service: row.get(1),
        label: row.get(2),
        status: row.get(3),
        oauth_app: row.get(4),
        sealed: row.get(5),
        granted_scopes: row.get(6),
        metadata: row.get(7),
        created_at: row.get(8),
    };
    all(client.query(sql, &[&workspace]).await?, read)
}

/// Those in force.
///
/// # Errors
/// As [`workspaces`].
pub async fn policies(client: &Client, workspace: Uuid) -> Result<Vec<Policy>, StoreError> {
    let sql = "select p.id, p.agent_id, p.connection_id, jsonb_build_object(
                   'allowedModels', p.allowed_models, 'defaultMode', p.default_mode::text,
                   'stepUpApproval', p.step_up_approval::text, 'allowlists', p.allowlists,
                   'rateLimits', p.rate_limits, 'timeWindows', p.time_windows, 'rules', p.rules,
                   'providerConstraints', p.provider_constraints)
               from public.t_policies p join public.t_agents a on a.id = p.agent_id
               where a.workspace_id = $1 and p.status::text = 'active' order by p.id";
    let read = |row: &Row| Policy {
        id: row.get(0),
        agent: row.get(1),
        connection: row.get(2),
        parts: row.get(3),
    };
    all(client.query(sql, &[&workspace]).await?, read)
}

fn all<T>(rows: Vec<Row>, read: impl Fn(&Row) -> T) -> Result<Vec<T>, StoreError> {
    Ok(rows.iter().map(read).collect())
}
