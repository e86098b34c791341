//! Secrets of a workspace, sealed and opened with its data key for as long as a request needs them.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::WorkspaceId;
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, OpenError, SealContext};
use ah5_store::StoreError;
use ah5_store::connections::Connection;
use ah5_store::credentials::Credential;
use ah5_store::data_keys::{self, DataKeys};
use ah5_store::tenant::Tenant;
use serde::Deserialize as _;

use crate::app::App;
use crate::error::AppError;

pub mod reseal;

/// `None` if there is none (any more) or it isn't under this ring. Until the transaction ends no
/// other key takes its place, so whatever is read or sealed in it is the key's.
pub async fn data_key(app: &App, tenant: &Tenant<'_>) -> Result<Option<DataKey>, StoreError> {
    let Some(stored) = data_keys::get(tenant).await? else {
        return Ok(None);
    };
    Ok(open_key(&app.ring(), tenant.workspace(), &stored).ok())
}

/// The key, which also opens what is under the one before it.
pub fn open_key(
    ring: &KeyRing,
    workspace: WorkspaceId,
    stored: &DataKeys,
) -> Result<DataKey, OpenError> {
    ring.unwrap_pair(workspace, &stored.current, stored.previous.as_ref())
}

/// The key of a workspace that must have one.
pub async fn key(app: &App, tenant: &Tenant<'_>) -> Result<DataKey, AppError> {
    let Some(stored) = data_keys::get(tenant).await? else {
        let gone = AppError::conflict("This workspace's secrets were destroyed");
        return Err(gone.hint("An operator has shredded it: nothing can be stored in it any more."));
    };
    let key = open_key(&app.ring(), tenant.workspace(), &stored);
    key.map_err(|_| AppError::internal("the workspace's data key does not open"))
}

/// What stands in a connection's slot: an access token, a key, a password.
pub fn open_secret(
    key: &DataKey,
    workspace: WorkspaceId,
    connection: &Connection,
    credential: &Credential,
) -> Result<SecretText, OpenError> {
    let auth = Auth::deserialize(&connection.auth).map_err(|_| OpenError)?;
    let context = SealContext {
        workspace,
        connection: connection.id,
        field: SECRET,
        version: credential.version,
        service: &connection.service,
        auth: &auth,
        destinations: &connection.destinations(),
    };
    key.open(&context, &credential.sealed)
}

/// Fields of a credential, as they are sealed.
pub const SECRET: &str = "secret";
pub const REFRESH: &str = "refresh";
