//! `t_notification_channels`: where a workspace's people are told of things, one of a kind.

use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::{ChannelId, ConnectionId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Channel {
    pub id: ChannelId,
    pub channel_type: String,
    pub enabled: bool,
    pub connection: Option<ConnectionId>,
    pub config: Value,
    /// What a webhook is signed with.
    pub sealed: Option<Vec<u8>>,
    pub revision: i64,
    pub verified: bool,
    pub error: Option<String>,
    pub created_at: Timestamp,
}

pub struct NewChannel<'a> {
    pub channel_type: &'a str,
    pub connection: Option<ConnectionId>,
    pub config: &'a Value,
    pub sealed: Option<&'a [u8]>,
}

/// Makes the channel, or makes it another one: it then has to be verified again, and what waits for
/// the old one is dropped.
///
/// # Errors
/// The database fails.
pub async fn put(tenant: &Tenant<'_>, new: &NewChannel<'_>) -> Result<Channel, StoreError> {
    let sql = format!(
        "insert into ah5.t_notification_channels
             (id, workspace_id, channel_type, connection_id, config, sealed)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (workspace_id, channel_type) do update
         set connection_id = excluded.connection_id, config = excluded.config,
             sealed = excluded.sealed, revision = t_notification_channels.revision + 1,
             verified_at = null, code_hash = null, code_attempts = 0, error = null,
             busy_until = now(), updated_at = now()
         returning {COLUMNS}"
    );
    let (id, workspace) = (ChannelId::random().uuid(), tenant.workspace().uuid());
    let connection = new.connection.map(ConnectionId::uuid);
    let row = tenant
        .query_one(
            &sql,
            &[
                &id,
                &workspace,
                &new.channel_type,
                &connection,
                new.config,
                &new.sealed,
            ],
        )
        .await?;
    let channel = read(&row);
    drop_waiting(tenant, channel.id).await?;
    let sent = "delete from ah5.t_channel_messages where channel_id = $1";
    tenant.execute(sent, &[&channel.id.uuid()]).await?;
    Ok(channel)
}

/// Oldest first.
///
/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>) -> Result<Vec<Channel>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_notification_channels order by created_at, id");
    Ok(tenant.query(&sql, &[]).await?.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn get(tenant: &Tenant<'_>, id: ChannelId) -> Result<Option<Channel>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_notification_channels where id = $1");
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// The channel, locked until the transaction ends, though not against messages that are put into its
/// queue. Whoever also touches that does this first.
///
/// # Errors
/// The database fails.
pub async fn lock(tenant: &Tenant<'_>, id: ChannelId) -> Result<Option<Channel>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from ah5.t_notification_channels where id = $1 for no key update"
    );
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// What waits for it goes, too.
///
/// # Errors
/// The database fails.
pub async fn delete(tenant: &Tenant<'_>, id: ChannelId) -> Result<Option<Channel>, StoreError> {
    let sql = format!("delete from ah5.t_notification_channels where id = $1 returning {COLUMNS}");
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// What waits for a channel that is switched off is dropped.
///
/// # Errors
/// The database fails.
pub async fn set_enabled(
    tenant: &Tenant<'_>,
    id: ChannelId,
    enabled: bool,
) -> Result<Option<Channel>, StoreError> {
    let sql = format!(
        "update ah5.t_notification_channels set enabled = $2, updated_at = now()
         where id = $1 returning {COLUMNS}"
    );
    let row = tenant.query_opt(&sql, &[&id.uuid(), &enabled]).await?;
    if !enabled {
        drop_waiting(tenant, id).await?;
    }
    Ok(row.as_ref().map(read))
}

/// Notes that messages arrive there; false if it has become another channel since.
///
/// # Errors
/// The database fails.
pub async fn verify(tenant: &Tenant<'_>, id: ChannelId, revision: i64) -> Result<bool, StoreError> {
    let sql = "update ah5.t_notification_channels
               set verified_at = coalesce(verified_at, now()), code_hash = null, error = null,
                   updated_at = now()
               where id = $1 and revision = $2";
    Ok(tenant.execute(sql, &[&id.uuid(), &revision]).await? == 1)
}

/// Keeps the digest of the code that was mailed; an older one is void.
///
/// # Errors
/// The database fails.
pub async fn set_code(
    tenant: &Tenant<'_>,
    id: ChannelId,
    hash: &[u8],
    minutes: i32,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_notification_channels
               set code_hash = $2, code_attempts = 0,
                   code_expires_at = now() + make_interval(mins => $3)
               where id = $1";
    tenant.execute(sql, &[&id.uuid(), &hash, &minutes]).await?;
    Ok(())
}

/// Counts a guess, and gives what it is held against; `None` if there is nothing to guess any more.
///
/// # Errors
/// The database fails.
pub async fn guess_code(
    tenant: &Tenant<'_>,
    id: ChannelId,
    most: i32,
) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "update ah5.t_notification_channels set code_attempts = code_attempts + 1
               where id = $1 and code_hash is not null and code_expires_at > now()
                 and code_attempts < $2
               returning code_hash";
    let row = tenant.query_opt(sql, &[&id.uuid(), &most]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// Lets the channel send again after so many seconds.
///
/// # Errors
/// The database fails.
pub async fn pause(tenant: &Tenant<'_>, id: ChannelId, seconds: i32) -> Result<(), StoreError> {
    let sql = "update ah5.t_notification_channels
               set busy_until = clock_timestamp() + make_interval(secs => $2) where id = $1";
    tenant
        .execute(sql, &[&id.uuid(), &f64::from(seconds)])
        .await?;
    Ok(())
}

/// Notes why a message was given up; true if the one before it was not.
///
/// # Errors
/// The database fails.
pub async fn fail(tenant: &Tenant<'_>, id: ChannelId, why: &str) -> Result<bool, StoreError> {
    let sql = "with before as (
                   select id, error from ah5.t_notification_channels where id = $1 for no key update)
               update ah5.t_notification_channels c set error = left($2, 300)
               from before where c.id = before.id returning before.error is null";
    let row = tenant.query_opt(sql, &[&id.uuid(), &why]).await?;
    Ok(row.is_some_and(|row| row.get(0)))
}

/// Notes that a message arrived.
///
/// # Errors
/// The database fails.
pub async fn recover(tenant: &Tenant<'_>, id: ChannelId) -> Result<(), StoreError> {
    let sql = "update ah5.t_notification_channels set error = null
               where id = $1 and error is not null";
    tenant.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}

async fn drop_waiting(tenant: &Tenant<'_>, id: ChannelId) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_channel_outbox where channel_id = $1";
    tenant.execute(sql, &[&id.uuid()]).await?;
    Ok(())
}

const COLUMNS: &str = "id, channel_type, enabled, connection_id, config, sealed, revision, \
                       verified_at is not null as verified, error, created_at";

fn read(row: &Row) -> Channel {
    let connection: Option<_> = row.get("connection_id");
    Channel {
        id: ChannelId::from_uuid(row.get("id")),
        channel_type: row.get("channel_type"),
        enabled: row.get("enabled"),
        connection: connection.map(ConnectionId::from_uuid),
        config: row.get("config"),
        sealed: row.get("sealed"),
        revision: row.get("revision"),
        verified: row.get("verified"),
        error: row.get("error"),
        created_at: row.get("created_at"),
    }
}
