//! `t_refreshes`, by functions only: who may use a connection's refresh token, and what came of it.
//! Both planes refresh. And `t_reauth_notices`: connections that have come to need a person.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use uuid::Uuid;

use ah5_contracts::id::{ConnectionId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

/// A credential as somebody has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub workspace: WorkspaceId,
    pub connection: ConnectionId,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Somebody else has it, for so long at most.
    Busy(Duration),
    /// There is another credential by now.
    Fresh,
    /// Revoked, or without a refresh token.
    Gone,
    /// It failed not long ago.
    Later(Duration),
    NeedsReauth,
    /// The caller may use the token.
    Taken {
        /// Of this credential, one after the other.
        failures: u32,
        /// The token may have been used already.
        doubtful: bool,
    },
}

/// What takes the credential's place.
#[derive(Clone, Copy)]
pub struct Renewal<'a> {
    /// That is replaced.
    pub of: Seen,
    /// Both of the next version.
    pub sealed: &'a [u8],
    pub sealed_refresh: &'a [u8],
    pub expires_at: Option<Timestamp>,
    /// `None`: as they were.
    pub scopes: Option<&'a [String]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    Done,
    /// What was granted to it is to be revoked at the provider, which has been seen to.
    Revoked,
    /// Another credential had taken the place.
    Superseded,
}

/// # Errors
/// The database fails.
pub async fn lease(
    client: &impl GenericClient,
    seen: Seen,
    lease: Uuid,
    seconds: i32,
) -> Result<Lease, StoreError> {
    let sql = "select outcome, failures, doubtful, wait_ms
               from ah5.lease_refresh($1, $2, $3, $4, $5)";
    let (workspace, connection) = (seen.workspace.uuid(), seen.connection.uuid());
    let row = client
        .query_one(
            sql,
            &[&workspace, &connection, &seen.version, &lease, &seconds],
        )
        .await?;
    let wait = u64::try_from(row.get::<_, i32>(3)).unwrap_or_default();
    let wait = Duration::from_millis(wait);
    Ok(match row.get(0) {
        "busy" => Lease::Busy(wait),
        "fresh" => Lease::Fresh,
        "later" => Lease::Later(wait),
        "leased" => Lease::Taken {
            failures: u32::try_from(row.get::<_, i32>(1)).unwrap_or_default(),
            doubtful: row.get(2),
        },
        "needs_reauth" => Lease::NeedsReauth,
        _ => Lease::Gone,
    })
}

/// Notes that the token is about to be shown. False for a lease that does not last so long.
///
/// # Errors
/// The database fails.
pub async fn begin(
    client: &impl GenericClient,
    connection: ConnectionId,
    lease: Uuid,
    at_least: i32,
) -> Result<bool, StoreError> {
    let sql = "select ah5.begin_refresh($1, $2, $3)";
    let row = client
        .query_one(sql, &[&connection.uuid(), &lease, &at_least])
        .await?;
    Ok(row.get(0))
}

/// May be repeated: what was done already is `Superseded`.
///
/// # Errors
/// The database fails; whether the commit took place is then unknown.
pub async fn commit(
    client: &impl GenericClient,
    renewal: &Renewal<'_>,
) -> Result<Committed, StoreError> {
    let sql = "select ah5.commit_refresh($1, $2, $3, $4, $5, $6, $7)";
    let row = client
        .query_one(
            sql,
            &[
                &renewal.of.workspace.uuid(),
                &renewal.of.connection.uuid(),
                &renewal.of.version,
                &renewal.sealed,
                &renewal.sealed_refresh,
                &renewal.expires_at,
                &renewal.scopes,
            ],
        )
        .await?;
    Ok(match row.get(0) {
        "committed" => Committed::Done,
        "superseded" => Committed::Superseded,
        _ => Committed::Revoked,
    })
}

/// Gives the lease back; nobody gets it before the pause is over. With `doubt` the token may have been
/// used.
///
/// # Errors
/// The database fails.
pub async fn fail(
    client: &impl GenericClient,
    connection: ConnectionId,
    lease: Uuid,
    pause: Duration,
    doubt: bool,
) -> Result<(), StoreError> {
    let sql = "select ah5.fail_refresh($1, $2, $3, $4)";
    let pause = i32::try_from(pause.as_millis()).unwrap_or(i32::MAX);
    client
        .execute(sql, &[&connection.uuid(), &lease, &pause, &doubt])
        .await?;
    Ok(())
}

/// Gives the lease back and says that a person is needed. False if that is no news.
///
/// # Errors
/// The database fails.
pub async fn refuse(
    client: &impl GenericClient,
    seen: Seen,
    lease: Uuid,
    why: &str,
) -> Result<bool, StoreError> {
    let sql = "select ah5.refuse_refresh($1, $2, $3, $4)";
    let row = client
        .query_one(sql, &[&seen.connection.uuid(), &lease, &seen.version, &why])
        .await?;
    Ok(row.get(0))
}

/// Says that a person is needed: only of this very credential, and only of a healthy connection.
///
/// # Errors
/// The database fails.
pub async fn mark_needs_reauth(
    client: &impl GenericClient,
    seen: Seen,
    why: &str,
) -> Result<bool, StoreError> {
    let sql = "select ah5.mark_needs_reauth($1, $2, $3)";
    let row = client
        .query_one(sql, &[&seen.connection.uuid(), &seen.version, &why])
        .await?;
    Ok(row.get(0))
}

/// What expires soon, in whatever workspace, the soonest first.
///
/// # Errors
/// The database fails.
pub async fn due(client: &impl GenericClient, most: i32) -> Result<Vec<Seen>, StoreError> {
    let sql = "select workspace_id, connection_id, version from ah5.due_refreshes($1)";
    let rows = client.query(sql, &[&most]).await?;
    let seen = rows.iter().map(|row| Seen {
        workspace: WorkspaceId::from_uuid(row.get(0)),
        connection: ConnectionId::from_uuid(row.get(1)),
        version: row.get(2),
    });
    Ok(seen.collect())
}

/// Whether this transaction is the one that tells; until it is over no other is.
///
/// # Errors
/// The database fails.
pub async fn lock_notices(client: &impl GenericClient) -> Result<bool, StoreError> {
    let sql = "select pg_try_advisory_xact_lock(hashtextextended('ah5.reauth_notices', 0))";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

/// Of whatever workspace, the oldest first.
///
/// # Errors
/// The database fails.
pub async fn notices(
    client: &impl GenericClient,
    most: i32,
) -> Result<Vec<(WorkspaceId, i64)>, StoreError> {
    let sql = "select workspace_id, id from ah5.pending_reauth_notices($1)";
    let rows = client.query(sql, &[&most]).await?;
    let notices = rows
        .iter()
        .map(|row| (WorkspaceId::from_uuid(row.get(0)), row.get(1)));
    Ok(notices.collect())
}

/// Takes the notice away: the connection and why. `None` if somebody else did.
///
/// # Errors
/// The database fails.
pub async fn take_notice(
    tenant: &Tenant<'_>,
    id: i64,
) -> Result<Option<(ConnectionId, Option<String>)>, StoreError> {
    let sql = "delete from ah5.t_reauth_notices where id = $1 returning connection_id, reason";
    let row = tenant.query_opt(sql, &[&id]).await?;
    Ok(row.map(|row| (ConnectionId::from_uuid(row.get(0)), row.get(1))))
}
