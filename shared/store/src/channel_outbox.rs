//! `t_channel_outbox` and `t_channel_messages`: messages on their way to channels, and those that
//! arrived and can be edited. Each is sent at least once, by whichever control plane comes first: a
//! claim leases the channel, and no transaction is open while a receiver is slow.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use ah5_contracts::id::{ApprovalId, ChannelId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

/// A message that the caller alone may send until the lease of its channel ends.
pub struct Claimed {
    pub id: Uuid,
    pub workspace: WorkspaceId,
    pub channel: ChannelId,
    /// Whether it changes a message that was sent.
    pub edits: bool,
    pub approval: Option<ApprovalId>,
    pub content: Value,
    /// This one included. Whoever claims it later knows a higher number, and settles it instead.
    pub attempts: i32,
    pub created_at: Timestamp,
}

/// A message as its receiver knows it.
pub struct Arrived<'a> {
    pub approval: ApprovalId,
    pub chat: &'a str,
    pub message: i64,
}

/// Puts the message into the queue of every channel that is switched on and verified and has room.
///
/// # Errors
/// The database fails.
pub async fn put(
    tenant: &Tenant<'_>,
    notification: Uuid,
    approval: Option<ApprovalId>,
    content: &Value,
    most_waiting: i64,
) -> Result<u64, StoreError> {
    let sql = "
        insert into ah5.t_channel_outbox
            (id, workspace_id, channel_id, notification_id, action, approval_id, content, expires_at)
        select gen_random_uuid(), c.workspace_id, c.id, $1::uuid, 'send', $2::uuid, $3::jsonb, now() + interval '1 day'
        from ah5.t_notification_channels c
        where c.workspace_id = $4 and c.enabled and c.verified_at is not null
          and $5 > (select count(*) from ah5.t_channel_outbox o where o.channel_id = c.id)
        on conflict do nothing";
    let (approval, workspace) = (approval.map(ApprovalId::uuid), tenant.workspace().uuid());
    let put = tenant
        .execute(
            sql,
            &[&notification, &approval, content, &workspace, &most_waiting],
        )
        .await?;
    Ok(put)
}

/// The next message of each channel that may send, in whatever workspace.
///
/// # Errors
/// The database fails.
pub async fn claim(
    client: &impl GenericClient,
    most: i32,
    lease_seconds: i32,
) -> Result<Vec<Claimed>, StoreError> {
    let sql =
        "select id, workspace_id, channel_id, action, approval_id, content, attempts, created_at
               from ah5.claim_deliveries($1, $2)";
    let rows = client.query(sql, &[&most, &lease_seconds]).await?;
    let claimed = rows.iter().map(|row| Claimed {
        id: row.get(0),
        workspace: WorkspaceId::from_uuid(row.get(1)),
        channel: ChannelId::from_uuid(row.get(2)),
        edits: row.get::<_, &str>(3) == "edit",
        approval: row.get::<_, Option<_>>(4).map(ApprovalId::from_uuid),
        content: row.get(5),
        attempts: row.get(6),
        created_at: row.get(7),
    });
    Ok(claimed.collect())
}

/// Has the messages edited whose approval no longer waits.
///
/// # Errors
/// The database fails.
pub async fn queue_edits(client: &impl GenericClient, most: i32) -> Result<(), StoreError> {
    client
        .execute("select ah5.queue_edits($1)", &[&most])
        .await?;
    Ok(())
}

/// Takes the message out of the queue; false if somebody else has it by now, or nobody.
///
/// # Errors
/// The database fails.
pub async fn settle(tenant: &Tenant<'_>, claimed: &Claimed) -> Result<bool, StoreError> {
    let sql = "delete from ah5.t_channel_outbox where id = $1 and attempts = $2";
    let settled = tenant
        .execute(sql, &[&claimed.id, &claimed.attempts])
        .await?;
    Ok(settled == 1)
}

/// Whether the message is still the caller's.
///
/// # Errors
/// The database fails.
pub async fn is_held(tenant: &Tenant<'_>, claimed: &Claimed) -> Result<bool, StoreError> {
    let sql = "select exists (select from ah5.t_channel_outbox where id = $1 and attempts = $2)";
    let row = tenant
        .query_one(sql, &[&claimed.id, &claimed.attempts])
        .await?;
    Ok(row.get(0))
}

/// Gives the message back as if it had not been claimed.
///
/// # Errors
/// The database fails.
pub async fn give_back(tenant: &Tenant<'_>, claimed: &Claimed) -> Result<(), StoreError> {
    let sql = "update ah5.t_channel_outbox set attempts = attempts - 1
               where id = $1 and attempts = $2";
    tenant
        .execute(sql, &[&claimed.id, &claimed.attempts])
        .await?;
    Ok(())
}

/// Keeps what an edit of the message will need.
///
/// # Errors
/// The database fails.
pub async fn keep(
    tenant: &Tenant<'_>,
    claimed: &Claimed,
    arrived: &Arrived<'_>,
) -> Result<(), StoreError> {
    let sql = "insert into ah5.t_channel_messages
                   (id, workspace_id, channel_id, approval_id, chat_id, message_id, content)
               values ($1, $2, $3, $4, $5, $6, $7)
               on conflict (id) do nothing";
    tenant
        .execute(
            sql,
            &[
                &claimed.id,
                &tenant.workspace().uuid(),
                &claimed.channel.uuid(),
                &arrived.approval.uuid(),
                &arrived.chat,
                &arrived.message,
                &claimed.content,
            ],
        )
        .await?;
    Ok(())
}

/// Drops what it is too late for.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    client.execute("select ah5.prune_deliveries()", &[]).await?;
    Ok(())
}
