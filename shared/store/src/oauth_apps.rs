//! `t_workspace_oauth_apps`: clients that workspaces have registered at providers.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::OAuthAppId;

use crate::StoreError;
use crate::tenant::Tenant;

pub struct OAuthApp {
    pub id: OAuthAppId,
    /// Of the catalogue, or `custom`.
    pub provider: String,
    pub client_id: String,
    /// A public client has none.
    pub sealed_secret: Option<Vec<u8>>,
    /// Counts the secrets that it has had.
    pub version: i64,
    pub tenant_id: Option<String>,
    /// How a provider is spoken to that is not in the catalogue.
    pub endpoints: Option<Value>,
    pub label: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: OAuthAppId) -> Result<Option<OAuthApp>, StoreError> {
    // A data plane's rows are not limited to one workspace's.
    let sql = format!(
        "select {COLUMNS} from ah5.t_workspace_oauth_apps where id = $1 and workspace_id = $2"
    );
    let workspace = tenant.workspace().uuid();
    let row = tenant.query_opt(&sql, &[&id.uuid(), &workspace]).await?;
    Ok(row.as_ref().map(read))
}

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

const COLUMNS: &str = "id, provider, client_id, sealed_secret, version, tenant_id, endpoints, label, \
                       created_at, updated_at";
