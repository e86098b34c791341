//! Secrets of a workspace, sealed and opened with its data key for as long as a request needs them.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::WorkspaceId;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, OpenError, SealContext};
use ah5_store::StoreError;
use ah5_store::connections::{Connection, Credential};
use ah5_store::tenant::Tenant;
use ah5_store::workspaces;
use serde::Deserialize as _;

use crate::app::App;
use crate::error::AppError;

/// `None` if there is none (any more) or it isn't under this ring.
pub async fn data_key(app: &App, tenant: &Tenant<'_>) -> Result<Option<DataKey>, StoreError> {
    let Some(wrapped) = workspaces::data_key(tenant).await? else {
        return Ok(None);
    };
    let ring = app.ring();
    let key = ring.unwrap(tenant.workspace(), &wrapped.ring_key_id, &wrapped.bytes);
    Ok(key.ok())
}

/// The key of a workspace that must have one.
pub async fn key(app: &App, tenant: &Tenant<'_>) -> Result<DataKey, AppError> {
    let key = data_key(app, tenant).await?;
    key.ok_or_else(|| AppError::internal("the workspace's data key does not open"))
}

/// What stands in a connection's slot: an access token, a key, a password.
pub fn open_secret(
    key: &DataKey,
    workspace: WorkspaceId,
    connection: &Connection,
    credential: &Credential,
) -> Result<SecretText, OpenError> {
    open(key, workspace, connection, credential, SECRET)
}

/// The refresh token; `None` if the connection has none.
pub fn open_refresh(
    key: &DataKey,
    workspace: WorkspaceId,
    connection: &Connection,
    credential: &Credential,
) -> Option<Result<SecretText, OpenError>> {
    credential.sealed_refresh.as_ref()?;
    Some(open(key, workspace, connection, credential, REFRESH))
}

fn open(
    key: &DataKey,
    workspace: WorkspaceId,
    connection: &Connection,
    credential: &Credential,
    field: &str,
) -> Result<SecretText, OpenError> {
    let auth = Auth::deserialize(&connection.auth).map_err(|_| OpenError)?;
    let context = SealContext {
        workspace,
        connection: connection.id,
        field,
        version: credential.version,
        service: &connection.service,
        auth: &auth,
        destinations: &connection.destinations(),
    };
    let sealed = match (field, &credential.sealed_refresh) {
        (REFRESH, Some(sealed)) => sealed,
        _ => &credential.sealed,
    };
    key.open(&context, sealed)
}

/// Fields of a credential, as they are sealed.
pub const SECRET: &str = "secret";
pub const REFRESH: &str = "refresh";
