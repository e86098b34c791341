//! `t_webauthn_ceremonies`: challenges that were handed out and wait for their one answer. A
//! challenge is no secret, so the state is stored as it is.

use deadpool_postgres::GenericClient;
use serde_json::Value;

use ah5_contracts::id::UserId;

use crate::StoreError;

/// What a ceremony is for, and whose it is. It is good for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Reauthenticate(UserId),
    Register(UserId),
    SignIn,
}

/// Keeps the ceremony for five minutes. A person has one of a kind at a time; what nobody answered
/// goes as others come.
///
/// # Errors
/// The database fails.
pub async fn insert(
    client: &impl GenericClient,
    token_hash: &[u8],
    purpose: Purpose,
    state: &Value,
) -> Result<(), StoreError> {
    let (name, user) = (purpose.as_str(), purpose.user().map(UserId::uuid));
    let sql = "
        with gone as (
            delete from ah5.t_webauthn_ceremonies
            where expires_at < now() or (user_id = $3 and purpose = $2)
        )
        insert into ah5.t_webauthn_ceremonies (token_hash, purpose, user_id, state)
        values ($1, $2, $3, $4)";
    client
        .execute(sql, &[&token_hash, &name, &user, state])
        .await?;
    Ok(())
}

/// The state of the ceremony, which ends by this, be it for this purpose or not.
///
/// # Errors
/// The database fails.
pub async fn take(
    client: &impl GenericClient,
    token_hash: &[u8],
    purpose: Purpose,
) -> Result<Option<Value>, StoreError> {
    let sql = "delete from ah5.t_webauthn_ceremonies where token_hash = $1
               returning state, expires_at > now() and purpose = $2
                                and user_id is not distinct from $3";
    let (name, user) = (purpose.as_str(), purpose.user().map(UserId::uuid));
    let row = client
        .query_opt(sql, &[&token_hash, &name, &user])
        .await?
        .filter(|row| row.get(1));
    Ok(row.map(|row| row.get(0)))
}

/// Drops what nobody answered in time.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_webauthn_ceremonies where expires_at < now()";
    client.execute(sql, &[]).await?;
    Ok(())
}

// === impl Purpose ===

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Reauthenticate(_) => "reauthenticate",
            Self::Register(_) => "register",
            Self::SignIn => "sign_in",
        }
    }

    const fn user(self) -> Option<UserId> {
        match self {
            Self::Reauthenticate(user) | Self::Register(user) => Some(user),
            Self::SignIn => None,
        }
    }
}
