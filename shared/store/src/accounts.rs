//! `t_accounts`: the ways in which a person can sign in. A password, of which the hash is kept, and
//! identities elsewhere, each an (issuer, subject).

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use uuid::Uuid;

use ah5_contracts::id::UserId;

use crate::StoreError;

pub struct Account {
    pub id: Uuid,
    /// `credential`, or the name of a sign-in provider.
    pub provider: String,
    pub account: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// An identity at another party.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    pub provider: &'a str,
    pub issuer: &'a str,
    pub subject: &'a str,
}

/// Gives the user a password, or another one.
///
/// # Errors
/// The database fails.
pub async fn set_password(
    client: &impl GenericClient,
    user: UserId,
    password_hash: &str,
) -> Result<(), StoreError> {
    let sql = "
        insert into ah5.t_accounts (id, user_id, provider_id, account_id, password_hash)
        values ($1, $2, 'credential', $4, $3)
        on conflict (user_id) where provider_id = 'credential'
        do update set password_hash = excluded.password_hash, updated_at = now()";
    let (id, account) = (Uuid::new_v4(), user.to_string());
    client
        .execute(sql, &[&id, &user.uuid(), &password_hash, &account])
        .await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn password_of(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Option<String>, StoreError> {
    let sql = "select password_hash from ah5.t_accounts
               where user_id = $1 and provider_id = 'credential'";
    let row = client.query_opt(sql, &[&user.uuid()]).await?;
    Ok(row.and_then(|row| row.get(0)))
}

/// # Errors
/// `Conflict("t_accounts_identity")` if the identity is somebody's already.
pub async fn link(
    client: &impl GenericClient,
    user: UserId,
    identity: Identity<'_>,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_accounts (id, user_id, provider_id, account_id, issuer)
               values ($1, $2, $3, $4, $5)";
    let Identity {
        provider,
        issuer,
        subject,
    } = identity;
    client
        .execute(
            sql,
            &[&Uuid::new_v4(), &user.uuid(), &provider, &subject, &issuer],
        )
        .await?;
    Ok(())
}

/// Whose identity it is.
///
/// # Errors
/// The database fails.
pub async fn user_of(
    client: &impl GenericClient,
    identity: Identity<'_>,
) -> Result<Option<UserId>, StoreError> {
    let sql = "select user_id from ah5.t_accounts where issuer = $1 and account_id = $2";
    let row = client
        .query_opt(sql, &[&identity.issuer, &identity.subject])
        .await?;
    Ok(row.map(|row| UserId::from_uuid(row.get(0))))
}

/// # Errors
/// The database fails.
pub async fn of_user(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Vec<Account>, StoreError> {
    let sql = "select id, provider_id, account_id, created_at, updated_at from ah5.t_accounts
               where user_id = $1 order by created_at, id";
    let rows = client.query(sql, &[&user.uuid()]).await?;
    let account = |row: &tokio_postgres::Row| Account {
        id: row.get(0),
        provider: row.get(1),
        account: row.get(2),
        created_at: row.get(3),
        updated_at: row.get(4),
    };
    Ok(rows.iter().map(account).collect())
}
