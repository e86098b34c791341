//! `t_personal_tokens`, `t_personal_token_usage`: people's access tokens. Only digests are stored.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{PersonalTokenId, UserId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct PersonalToken {
    pub id: PersonalTokenId,
    pub name: String,
    pub scopes: Vec<String>,
    pub expires_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub is_expired: bool,
}

/// A token in force, and whose it is.
pub struct Holder {
    pub id: PersonalTokenId,
    pub user: UserId,
    pub scopes: Vec<String>,
    /// As of now.
    pub role: String,
}

pub struct NewToken<'a> {
    pub id: PersonalTokenId,
    pub user: UserId,
    pub name: &'a str,
    pub hash: &'a [u8],
    pub scopes: &'a [&'a str],
    pub days: i32,
}

/// # Errors
/// The database fails.
pub async fn insert(
    tenant: &Tenant<'_>,
    token: &NewToken<'_>,
) -> Result<PersonalToken, StoreError> {
    let sql = "insert into ah5.t_personal_tokens
               (id, workspace_id, user_id, name, token_hash, scopes, expires_at)
               values ($1, $2, $3, $4, $5, $6, now() + make_interval(days => $7))
               returning id, name, scopes, expires_at, null::timestamptz as last_used_at,
                         created_at, false as is_expired";
    let (id, workspace, user) = (
        token.id.uuid(),
        tenant.workspace().uuid(),
        token.user.uuid(),
    );
    let row = tenant
        .query_one(
            sql,
            &[
                &id,
                &workspace,
                &user,
                &token.name,
                &token.hash,
                &token.scopes,
                &token.days,
            ],
        )
        .await?;
    Ok(read(&row))
}

/// The user's tokens that were not revoked, oldest first; expired ones are among them.
///
/// # Errors
/// The database fails.
pub async fn of_user(tenant: &Tenant<'_>, user: UserId) -> Result<Vec<PersonalToken>, StoreError> {
    let sql = "select t.id, name, scopes, expires_at, last_used_at, created_at,
                      expires_at <= now() as is_expired
               from ah5.t_personal_tokens t
               left join ah5.t_personal_token_usage u on u.token_id = t.id
               where user_id = $1 and revoked_at is null order by created_at, t.id";
    let rows = tenant.query(sql, &[&user.uuid()]).await?;
    Ok(rows.iter().map(read).collect())
}

/// How many of the user's tokens are in force.
///
/// # Errors
/// The database fails.
pub async fn count(tenant: &Tenant<'_>, user: UserId) -> Result<i64, StoreError> {
    let sql = "select count(*) from ah5.t_personal_tokens
               where user_id = $1 and revoked_at is null and expires_at > now()";
    Ok(tenant.query_one(sql, &[&user.uuid()]).await?.get(0))
}

/// Says whether there is such a token to rename.
///
/// # Errors
/// The database fails.
pub async fn rename(
    tenant: &Tenant<'_>,
    id: PersonalTokenId,
    user: UserId,
    name: &str,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_personal_tokens set name = $3
               where id = $1 and user_id = $2 and revoked_at is null";
    let changed = tenant
        .execute(sql, &[&id.uuid(), &user.uuid(), &name])
        .await?;
    Ok(changed == 1)
}

/// Says whether there was such a token to revoke.
///
/// # Errors
/// The database fails.
pub async fn revoke(
    tenant: &Tenant<'_>,
    id: PersonalTokenId,
    user: UserId,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_personal_tokens set revoked_at = now()
               where id = $1 and user_id = $2 and revoked_at is null";
    Ok(tenant.execute(sql, &[&id.uuid(), &user.uuid()]).await? == 1)
}

/// Ends all of the user's tokens in this workspace.
///
/// # Errors
/// The database fails.
pub async fn revoke_all(tenant: &Tenant<'_>, user: UserId) -> Result<u64, StoreError> {
    let sql = "update ah5.t_personal_tokens set revoked_at = now()
               where user_id = $1 and revoked_at is null";
    Ok(tenant.execute(sql, &[&user.uuid()]).await?)
}

/// Ends every token of the user, in whatever workspace.
///
/// # Errors
/// The database fails.
pub async fn revoke_everywhere(
    client: &impl GenericClient,
    user: UserId,
) -> Result<(), StoreError> {
    client
        .execute("select ah5.revoke_tokens_of($1)", &[&user.uuid()])
        .await?;
    Ok(())
}

/// Whose token has this digest, if it is in force and its holder not disabled.
///
/// # Errors
/// The database fails.
pub async fn holder(tenant: &Tenant<'_>, hash: &[u8]) -> Result<Option<Holder>, StoreError> {
    let sql = "select t.id, t.user_id, t.scopes, m.role
               from ah5.t_personal_tokens t
               join ah5.t_workspace_members m using (workspace_id, user_id)
               join ah5.t_users u on u.id = t.user_id
               where t.token_hash = $1 and t.revoked_at is null and t.expires_at > now()
                 and u.disabled_at is null";
    let row = tenant.query_opt(sql, &[&hash]).await?;
    Ok(row.map(|row| Holder {
        id: PersonalTokenId::from_uuid(row.get(0)),
        user: UserId::from_uuid(row.get(1)),
        scopes: row.get(2),
        role: row.get(3),
    }))
}

fn read(row: &Row) -> PersonalToken {
    PersonalToken {
        id: PersonalTokenId::from_uuid(row.get("id")),
        name: row.get("name"),
        scopes: row.get("scopes"),
        expires_at: row.get("expires_at"),
        last_used_at: row.get("last_used_at"),
        created_at: row.get("created_at"),
        is_expired: row.get("is_expired"),
    }
}
