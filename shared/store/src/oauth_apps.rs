//! `t_workspace_oauth_apps`: clients that workspaces have registered at providers themselves.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::OAuthAppId;

use crate::StoreError;
use crate::tenant::Tenant;

pub struct OAuthApp {
    pub id: OAuthAppId,
    pub provider: String,
    pub client_id: String,
    /// `None`: a public client.
    pub sealed_secret: Option<Vec<u8>>,
    /// Counts the secrets that it has had.
    pub version: i64,
    pub tenant_id: Option<String>,
    /// Of a provider that is not in the catalogue.
    pub endpoints: Option<Value>,
    pub label: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What is written of one.
pub struct Saved<'a> {
    pub id: OAuthAppId,
    pub provider: &'a str,
    pub client_id: &'a str,
    pub sealed_secret: Option<&'a [u8]>,
    pub version: i64,
    pub tenant_id: Option<&'a str>,
    pub endpoints: Option<&'a Value>,
    pub label: &'a str,
}

/// Oldest first.
///
/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<OAuthApp>, StoreError> {
    let sql = format!("{SELECT} order by created_at, id");
    Ok(tenant.query(&sql, &[]).await?.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: OAuthAppId) -> Result<Option<OAuthApp>, StoreError> {
    // A data plane's rows are not limited to one workspace's.
    let sql = format!("{SELECT} where id = $1 and workspace_id = $2");
    let workspace = tenant.workspace().uuid();
    let row = tenant.query_opt(&sql, &[&id.uuid(), &workspace]).await?;
    Ok(row.as_ref().map(read))
}

/// The one for a provider of the catalogue.
///
/// # Errors
/// The database fails.
pub async fn of_provider(
    tenant: &Tenant<'_>,
    provider: &str,
) -> Result<Option<OAuthApp>, StoreError> {
    let sql = format!("{SELECT} where provider = $1 and provider <> 'custom'");
    let row = tenant.query_opt(&sql, &[&provider]).await?;
    Ok(row.as_ref().map(read))
}

/// Writes a new one, or over the one of this id.
///
/// # Errors
/// The database fails.
pub async fn save(tenant: &Tenant<'_>, saved: &Saved<'_>) -> Result<OAuthApp, StoreError> {
    let sql = "insert into ah5.t_workspace_oauth_apps as a
                   (id, workspace_id, provider, client_id, sealed_secret, version, tenant_id,
                    endpoints, label)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               on conflict (id) do update
               set client_id = $4, sealed_secret = $5, version = $6, tenant_id = $7,
                   endpoints = $8, label = $9, updated_at = now()
               returning *";
    let row = tenant
        .query_one(
            sql,
            &[
                &saved.id.uuid(),
                &tenant.workspace().uuid(),
                &saved.provider,
                &saved.client_id,
                &saved.sealed_secret,
                &saved.version,
                &saved.tenant_id,
                &saved.endpoints,
                &saved.label,
            ],
        )
        .await?;
    Ok(read(&row))
}

/// # Errors
/// The database fails.
pub async fn delete(tenant: &Tenant<'_>, id: OAuthAppId) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_workspace_oauth_apps where id = $1";
    tenant.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}

const SELECT: &str = "select * from ah5.t_workspace_oauth_apps";

fn read(row: &Row) -> OAuthApp {
    OAuthApp {
        id: OAuthAppId::from_uuid(row.get("id")),
        provider: row.get("provider"),
        client_id: row.get("client_id"),
        sealed_secret: row.get("sealed_secret"),
        version: row.get("version"),
        tenant_id: row.get("tenant_id"),
        endpoints: row.get("endpoints"),
        label: row.get("label"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}
