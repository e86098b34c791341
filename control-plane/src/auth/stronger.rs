//! Where a password or a mailbox alone is not enough.

use ah5_contracts::id::UserId;
use ah5_store::passkeys;
use deadpool_postgres::GenericClient;

use crate::routes::session::refusal::AuthResult;

/// Whether a password reset by mail must be refused because the account has a passkey, which it
/// would go around.
pub async fn reset_needs_passkey(client: &impl GenericClient, user: UserId) -> AuthResult<bool> {
    Ok(!passkeys::of_user(client, user).await?.is_empty())
}
