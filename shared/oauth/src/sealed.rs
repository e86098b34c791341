//! A connection's tokens, sealed and opened for as long as an exchange needs them. Both are bound to
//! the connection, to the version of the credential, and to where they may be shown.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, Destinations, OpenError, SealContext};
use ah5_store::connections::Connection;
use ah5_store::revocations::Revocation;
use serde::Deserialize as _;
use serde_json::Value;

/// Fields of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Refresh,
    Secret,
}

/// Whose tokens they are, and what binds them.
pub struct Owner {
    workspace: WorkspaceId,
    connection: ConnectionId,
    service: String,
    auth: Auth,
    destinations: Destinations,
}

// === impl Owner ===

impl Owner {
    /// # Errors
    /// [`OpenError`] for a slot that this build doesn't know: nothing was sealed for it.
    pub fn of(workspace: WorkspaceId, connection: &Connection) -> Result<Self, OpenError> {
        Ok(Self {
            workspace,
            connection: connection.id,
            service: connection.service.clone(),
            auth: auth(&connection.auth)?,
            destinations: connection.destinations(),
        })
    }

    /// # Errors
    /// As [`Self::of`].
    pub fn of_revocation(
        workspace: WorkspaceId,
        revocation: &Revocation,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            workspace,
            connection: revocation.connection,
            service: revocation.service.clone(),
            auth: auth(&revocation.auth)?,
            destinations: revocation.destinations(),
        })
    }

    /// # Errors
    /// [`OpenError`].
    pub fn open(
        &self,
        key: &DataKey,
        field: Field,
        version: i64,
        sealed: &[u8],
    ) -> Result<SecretText, OpenError> {
        key.open(&self.context(field, version), sealed)
    }

    #[must_use]
    pub fn seal(&self, key: &DataKey, field: Field, version: i64, token: &SecretText) -> Vec<u8> {
        key.seal(&self.context(field, version), token)
    }

    /// Under the key of today; `None` if it is already.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn reseal(
        &self,
        key: &DataKey,
        field: Field,
        version: i64,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, OpenError> {
        key.reseal(&self.context(field, version), sealed)
    }

    fn context(&self, field: Field, version: i64) -> SealContext<'_> {
        SealContext {
            workspace: self.workspace,
            connection: self.connection,
            field: match field {
                Field::Refresh => "refresh",
                Field::Secret => "secret",
            },
            version,
            service: &self.service,
            auth: &self.auth,
            destinations: &self.destinations,
        }
    }
}

fn auth(stored: &Value) -> Result<Auth, OpenError> {
    Auth::deserialize(stored).map_err(|_| OpenError)
}
