//! `t_sessions`: who is signed in. Only a hash of the cookie's token is stored.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use tokio_postgres::Row;

use ah5_contracts::id::{SessionId, UserId};

use crate::StoreError;

pub struct Session {
    pub id: SessionId,
    pub user: UserId,
    pub user_name: String,
    pub user_email: String,
    pub user_image: Option<String>,
    pub user_verified: bool,
    pub user_disabled: bool,
    pub user_created_at: Timestamp,
    pub user_updated_at: Timestamp,
    pub expires_at: Timestamp,
    pub renewed_at: Timestamp,
    pub created_at: Timestamp,
    pub ip_address: Option<String>,
    pub user_agent: Option<String>,
}

/// How a person proved himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Passkey,
    Password,
    /// At another party.
    Provider,
}

/// # Errors
/// The database fails.
pub async fn insert(
    client: &impl GenericClient,
    id: SessionId,
    user: UserId,
    token_hash: &[u8],
    days: i32,
    proof: Proof,
    (ip_address, user_agent): (&str, Option<&str>),
) -> Result<Timestamp, StoreError> {
    let sql = "
        insert into ah5.t_sessions
            (id, user_id, token_hash, expires_at, authenticated_by, ip_address, user_agent)
        values ($1, $2, $3, now() + make_interval(days => $4), $5, $6, left($7, 512))
        returning expires_at";
    let row = client
        .query_one(
            sql,
            &[
                &id.uuid(),
                &user.uuid(),
                &token_hash,
                &days,
                &proof.as_str(),
                &ip_address,
                &user_agent,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// The live session of this token.
///
/// # Errors
/// The database fails.
pub async fn by_token_hash(
    client: &impl GenericClient,
    token_hash: &[u8],
) -> Result<Option<Session>, StoreError> {
    let sql = format!("{SELECT} where s.token_hash = $1 and {LIVE}");
    Ok(client
        .query_opt(&sql, &[&token_hash])
        .await?
        .as_ref()
        .map(read))
}

/// The user's live sessions, newest first.
///
/// # Errors
/// The database fails.
pub async fn of_user(
    client: &impl GenericClient,
    user: UserId,
) -> Result<Vec<Session>, StoreError> {
    let sql = format!("{SELECT} where s.user_id = $1 and {LIVE} order by s.created_at desc");
    let rows = client.query(&sql, &[&user.uuid()]).await?;
    Ok(rows.iter().map(read).collect())
}

/// Puts the end of a session off, at most once a day; says whether it did.
///
/// # Errors
/// The database fails.
pub async fn renew(
    client: &impl GenericClient,
    id: SessionId,
    days: i32,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_sessions
               set renewed_at = now(), expires_at = now() + make_interval(days => $2)
               where id = $1 and revoked_at is null and renewed_at < now() - interval '1 day'";
    Ok(client.execute(sql, &[&id.uuid(), &days]).await? == 1)
}

/// Whether the session behind a user token still lives and its user may act.
///
/// # Errors
/// The database fails.
pub async fn is_live(
    client: &impl GenericClient,
    id: SessionId,
    user: UserId,
) -> Result<bool, StoreError> {
    let sql = "select 1 from ah5.t_sessions s join ah5.t_users u on u.id = s.user_id
               where s.id = $1 and s.user_id = $2 and s.revoked_at is null
                 and s.expires_at > now() and u.disabled_at is null";
    Ok(client
        .query_opt(sql, &[&id.uuid(), &user.uuid()])
        .await?
        .is_some())
}

/// Whether the person behind the session proved himself in the last five minutes: by a passkey, if
/// he has one.
///
/// # Errors
/// The database fails.
pub async fn is_recent(client: &impl GenericClient, id: SessionId) -> Result<bool, StoreError> {
    let sql = format!(
        "select 1 from ah5.t_sessions s
         where s.id = $1 and {LIVE} and s.authenticated_at > now() - interval '5 minutes'
           and (s.authenticated_by = 'passkey'
                or not exists (select 1 from ah5.t_passkeys p where p.user_id = s.user_id))"
    );
    Ok(client.query_opt(&sql, &[&id.uuid()]).await?.is_some())
}

/// Notes that the person behind the session has just proved himself anew.
///
/// # Errors
/// The database fails.
pub async fn authenticated(
    client: &impl GenericClient,
    id: SessionId,
    proof: Proof,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_sessions set authenticated_at = now(), authenticated_by = $2
               where id = $1 and revoked_at is null";
    client.execute(sql, &[&id.uuid(), &proof.as_str()]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn revoke(client: &impl GenericClient, id: SessionId) -> Result<(), StoreError> {
    let sql = "update ah5.t_sessions set revoked_at = now() where id = $1 and revoked_at is null";
    client.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}

/// Ends the user's sessions, but for the one to keep.
///
/// # Errors
/// The database fails.
pub async fn revoke_all(
    client: &impl GenericClient,
    user: UserId,
    keep: Option<SessionId>,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_sessions set revoked_at = now()
               where user_id = $1 and id is distinct from $2 and revoked_at is null";
    let keep = keep.map(SessionId::uuid);
    client.execute(sql, &[&user.uuid(), &keep]).await?;
    Ok(())
}

/// Drops sessions that ended a week ago or longer.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_sessions
               where least(expires_at, revoked_at) < now() - interval '7 days'";
    client.execute(sql, &[]).await?;
    Ok(())
}

// === impl Proof ===

impl Proof {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passkey => "passkey",
            Self::Password => "password",
            Self::Provider => "provider",
        }
    }
}

const SELECT: &str = "
    select s.id, s.user_id, u.name, u.email, u.image, u.email_verification <> 'pending',
           u.disabled_at is not null, u.created_at, u.updated_at, s.expires_at, s.renewed_at,
           s.created_at, s.ip_address, s.user_agent
    from ah5.t_sessions s join ah5.t_users u on u.id = s.user_id";
const LIVE: &str = "s.revoked_at is null and s.expires_at > now()";

fn read(row: &Row) -> Session {
    Session {
        id: SessionId::from_uuid(row.get(0)),
        user: UserId::from_uuid(row.get(1)),
        user_name: row.get(2),
        user_email: row.get(3),
        user_image: row.get(4),
        user_verified: row.get(5),
        user_disabled: row.get(6),
        user_created_at: row.get(7),
        user_updated_at: row.get(8),
        expires_at: row.get(9),
        renewed_at: row.get(10),
        created_at: row.get(11),
        ip_address: row.get(12),
        user_agent: row.get(13),
    }
}
