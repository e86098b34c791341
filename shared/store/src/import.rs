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

/// A row that holds what it can't.
pub struct Unreadable {
    pub id: Uuid,
    pub why: String,
}

pub type Readable<T> = Result<T, Unreadable>;

/// # Errors
/// The database fails, or is not of that product.
pub async fn workspaces(client: &Client) -> Result<Vec<Readable<Workspace>>, StoreError> {
    let sql = "select w.id, w.name, u.id, u.email, u.name, u.email_verified,
                      u.disabled_at is not null
               from public.t_workspaces w left join public.t_users u on u.id = w.owner_id
               order by w.id";
    let read = |row: &Row| {
        Ok(Workspace {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            owner: match row.try_get(2)? {
                None => None,
                Some(id) => Some(Owner {
                    id,
                    email: row.try_get(3)?,
                    name: row.try_get(4)?,
                    email_verified: row.try_get(5)?,
                    disabled: row.try_get(6)?,
                }),
            },
        })
    };
    Ok(all(&client.query(sql, &[]).await?, read))
}

/// # Errors
/// As [`workspaces`].
pub async fn agents(client: &Client, workspace: Uuid) -> Result<Vec<Readable<Agent>>, StoreError> {
    let sql = "select id, name, description, icon_url, status::text = 'disabled'
               from public.t_agents where workspace_id = $1 order by id";
    let read = |row: &Row| {
        Ok(Agent {
            id: row.try_get(0)?,
            name: row.try_get(1)?,
            description: row.try_get(2)?,
            icon_url: row.try_get(3)?,
            disabled: row.try_get(4)?,
        })
    };
    Ok(all(&client.query(sql, &[&workspace]).await?, read))
}

/// # Errors
/// As [`workspaces`].
pub async fn oauth_apps(
    client: &Client,
    workspace: Uuid,
) -> Result<Vec<Readable<OAuthApp>>, StoreError> {
    let sql = "select id, provider::text, client_id, encrypted_client_secret, tenant_id, label
               from public.t_workspace_oauth_apps where workspace_id = $1 order by id";
    let read = |row: &Row| {
        Ok(OAuthApp {
            id: row.try_get(0)?,
            provider: row.try_get(1)?,
            client_id: row.try_get(2)?,
            sealed_secret: row.try_get(3)?,
            tenant_id: row.try_get(4)?,
            label: row.try_get(5)?,
        })
    };
    Ok(all(&client.query(sql, &[&workspace]).await?, read))
}

/// # Errors
/// As [`workspaces`].
pub async fn connections(
    client: &Client,
    workspace: Uuid,
) -> Result<Vec<Readable<Connection>>, StoreError> {
    let sql = "select id, service::text, label, status::text, oauth_app_id, encrypted_tokens,
                      granted_scopes, metadata, created_at
               from public.t_connections where workspace_id = $1 order by id";
    let read = |row: &Row| {
        Ok(Connection {
            id: row.try_get(0)?,
            service: row.try_get(1)?,
            label: row.try_get(2)?,
            status: row.try_get(3)?,
            oauth_app: row.try_get(4)?,
            sealed: row.try_get(5)?,
            granted_scopes: row.try_get(6)?,
            metadata: row.try_get(7)?,
            created_at: row.try_get(8)?,
        })
    };
    Ok(all(&client.query(sql, &[&workspace]).await?, read))
}

/// Those in force.
///
/// # Errors
/// As [`workspaces`].
pub async fn policies(
    client: &Client,
    workspace: Uuid,
) -> Result<Vec<Readable<Policy>>, StoreError> {
    let sql = "select p.id, p.agent_id, p.connection_id, jsonb_build_object(
                   'allowedModels', p.allowed_models, 'defaultMode', p.default_mode::text,
                   'stepUpApproval', p.step_up_approval::text, 'allowlists', p.allowlists,
                   'rateLimits', p.rate_limits, 'timeWindows', p.time_windows, 'rules', p.rules,
                   'providerConstraints', p.provider_constraints)
               from public.t_policies p join public.t_agents a on a.id = p.agent_id
               where a.workspace_id = $1 and p.status::text = 'active' order by p.id";
    let read = |row: &Row| {
        Ok(Policy {
            id: row.try_get(0)?,
            agent: row.try_get(1)?,
            connection: row.try_get(2)?,
            parts: row.try_get(3)?,
        })
    };
    Ok(all(&client.query(sql, &[&workspace]).await?, read))
}

fn all<T>(
    rows: &[Row],
    read: impl Fn(&Row) -> Result<T, tokio_postgres::Error>,
) -> Vec<Readable<T>> {
    let unreadable = |row: &Row, error: tokio_postgres::Error| Unreadable {
        id: row.try_get(0).unwrap_or_default(),
        why: error.to_string(),
    };
    let read = |row| read(row).map_err(|error| unreadable(row, error));
    rows.iter().map(read).collect()
}
