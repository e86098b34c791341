//! Where a password or a mailbox alone is not enough.

use ah5_contracts::id::UserId;
use deadpool_postgres::GenericClient;

use crate::routes::session::refusal::AuthResult;

/// Whether a password reset by mail must be refused because the account has a passkey, which it
/// would go around. Accounts have no passkeys yet: the crate that keeps them must ask here.
#[expect(clippy::unused_async, reason = "it will look the passkeys up")]
pub async fn reset_needs_passkey(_: &impl GenericClient, _: UserId) -> AuthResult<bool> {
    Ok(false)
}
