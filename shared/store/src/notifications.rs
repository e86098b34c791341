//! `t_notifications` and `t_notification_heads`: what people are told in the product. Rows are
//! numbered in the order of their commits, so the last number that was seen is a place to go on from.

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use serde_json::Value;
use tokio_postgres::Row;
use uuid::Uuid;

use ah5_contracts::id::{NotificationId, PersonalTokenId, SessionId, UserId, WorkspaceId};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Notification {
    pub id: NotificationId,
    /// Of the workspace, from 1.
    pub seq: i64,
    /// Only for this person; `None`: for everybody in the workspace.
    pub to: Option<UserId>,
    pub kind: String,
    pub title: String,
    pub body: String,
    pub link: Option<String>,
    pub metadata: Value,
    pub read: bool,
    pub created_at: Timestamp,
}

pub struct NewNotification<'a> {
    pub id: NotificationId,
    pub to: Option<UserId>,
    pub kind: &'a str,
    pub title: &'a str,
    pub body: &'a str,
    pub link: Option<&'a str>,
    pub metadata: &'a Value,
}

/// Which of a workspace's notifications to list.
pub struct Listing {
    /// For this person's eyes.
    pub reader: UserId,
    /// None that came later than this one.
    pub up_to: i64,
    pub unread_only: bool,
    pub limit: i64,
    pub offset: i64,
}

/// Who reads on and by what right.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    pub user: UserId,
    pub workspace: WorkspaceId,
    pub by: Right,
}

#[derive(Clone, Copy, Debug)]
pub enum Right {
    Session(SessionId),
    Token(PersonalTokenId),
}

/// Holds the workspace's number until the end of `tenant`: let it be the last thing that a
/// transaction does, and the only workspace's or the next in the order of ids.
///
/// # Errors
/// The database fails.
pub async fn insert(tenant: &Tenant<'_>, new: &NewNotification<'_>) -> Result<i64, StoreError> {
    // The payload is the workspace alone, so that a transaction's duplicates fold.
    let sql = "
        with head as (
            insert into ah5.t_notification_heads as h (workspace_id, seq) values ($1, 1)
            on conflict (workspace_id) do update set seq = h.seq + 1 returning seq
        ), made as (
            insert into ah5.t_notifications
                (id, workspace_id, seq, user_id, kind, title, body, link_url, metadata)
            select $2, $1, seq, $3, $4, $5, $6, $7, $8 from head returning seq
        )
        select seq, pg_notify('ah5_notices', $9) from made";
    let workspace = tenant.workspace();
    let to = new.to.map(UserId::uuid);
    let statement = tenant.prepare_cached(sql).await?;
    let row = tenant
        .query_one(
            &statement,
            &[
                &workspace.uuid(),
                &new.id.uuid(),
                &to,
                &new.kind,
                &new.title,
                &new.body,
                &new.link,
                &new.metadata,
                &workspace.to_string(),
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// The number of the newest; 0 where there was never any.
///
/// # Errors
/// The database fails.
pub async fn head(tenant: &Tenant<'_>) -> Result<i64, StoreError> {
    let row = tenant
        .query_opt("select seq from ah5.t_notification_heads", &[])
        .await?;
    Ok(row.map_or(0, |row| row.get(0)))
}

/// The heads of these workspaces, as far as they have one.
///
/// # Errors
/// The database fails.
pub async fn heads(
    client: &impl GenericClient,
    workspaces: &[WorkspaceId],
) -> Result<Vec<(WorkspaceId, i64)>, StoreError> {
    let ids: Vec<Uuid> = workspaces.iter().map(|id| id.uuid()).collect();
    let sql = "select workspace_id, seq from ah5.notification_heads($1)";
    let rows = client.query(sql, &[&ids]).await?;
    let head = |row: &Row| (WorkspaceId::from_uuid(row.get(0)), row.get(1));
    Ok(rows.iter().map(head).collect())
}

/// Newest first.
///
/// # Errors
/// The database fails.
pub async fn list(tenant: &Tenant<'_>, listing: &Listing) -> Result<Vec<Notification>, StoreError> {
    let sql = format!(
        "select {COLUMNS} from ah5.t_notifications
         where (user_id is null or user_id = $1) and seq <= $2 and (read_at is null or not $3)
         order by seq desc limit $4 offset $5"
    );
    let Listing {
        reader,
        up_to,
        unread_only,
        limit,
        offset,
    } = listing;
    let rows = tenant
        .query(&sql, &[&reader.uuid(), up_to, unread_only, limit, offset])
        .await?;
    Ok(rows.iter().map(read).collect())
}

/// What came after this number, whomever it is for, oldest first.
///
/// # Errors
/// The database fails.
pub async fn after(
    tenant: &Tenant<'_>,
    seq: i64,
    most: i64,
) -> Result<Vec<Notification>, StoreError> {
    let sql =
        format!("select {COLUMNS} from ah5.t_notifications where seq > $1 order by seq limit $2");
    let rows = tenant.query(&sql, &[&seq, &most]).await?;
    Ok(rows.iter().map(read).collect())
}

/// # Errors
/// The database fails.
pub async fn unread(tenant: &Tenant<'_>, reader: UserId) -> Result<i64, StoreError> {
    let sql = "select count(*) from ah5.t_notifications
               where (user_id is null or user_id = $1) and read_at is null";
    Ok(tenant.query_one(sql, &[&reader.uuid()]).await?.get(0))
}

/// Says whether there is such a one for this person, be it read already.
///
/// # Errors
/// The database fails.
pub async fn mark_read(
    tenant: &Tenant<'_>,
    reader: UserId,
    id: NotificationId,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_notifications set read_at = coalesce(read_at, now())
               where id = $2 and (user_id is null or user_id = $1)";
    let changed = tenant.execute(sql, &[&reader.uuid(), &id.uuid()]).await?;
    Ok(changed == 1)
}

/// Says how many had not been read.
///
/// # Errors
/// The database fails.
pub async fn mark_all_read(tenant: &Tenant<'_>, reader: UserId) -> Result<u64, StoreError> {
    let sql = "update ah5.t_notifications set read_at = now()
               where (user_id is null or user_id = $1) and read_at is null";
    Ok(tenant.execute(sql, &[&reader.uuid()]).await?)
}

/// Which of them may still read: of each, in their order.
///
/// # Errors
/// The database fails.
pub async fn live_readers(
    client: &impl GenericClient,
    readers: &[Reader],
) -> Result<Vec<bool>, StoreError> {
    let users: Vec<Uuid> = readers.iter().map(|it| it.user.uuid()).collect();
    let workspaces: Vec<Uuid> = readers.iter().map(|it| it.workspace.uuid()).collect();
    let of = |right: fn(Right) -> Option<Uuid>| -> Vec<Option<Uuid>> {
        readers.iter().map(|it| right(it.by)).collect()
    };
    let (sessions, tokens) = (of(Right::session), of(Right::token));
    let sql = "select place from ah5.live_readers($1, $2, $3, $4)";
    let rows = client
        .query(sql, &[&users, &workspaces, &sessions, &tokens])
        .await?;
    let mut live = vec![false; readers.len()];
    for row in rows {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        if let Some(live) = live.get_mut(place) {
            *live = true;
        }
    }
    Ok(live)
}

/// Drops what is older than this, and of each workspace all but the newest.
///
/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "select ah5.prune_notifications($1, $2)";
    client.execute(sql, &[&KEPT_DAYS, &MOST_KEPT]).await?;
    Ok(())
}

// === impl Right ===

impl Right {
    const fn session(self) -> Option<Uuid> {
        match self {
            Self::Session(id) => Some(id.uuid()),
            Self::Token(_) => None,
        }
    }

    const fn token(self) -> Option<Uuid> {
        match self {
            Self::Session(_) => None,
            Self::Token(id) => Some(id.uuid()),
        }
    }
}

const COLUMNS: &str = "id, seq, user_id, kind, title, body, link_url, metadata,
    read_at is not null as read, created_at";
const KEPT_DAYS: i32 = 90;
/// Of one workspace.
const MOST_KEPT: i64 = 5000;

fn read(row: &Row) -> Notification {
    Notification {
        id: NotificationId::from_uuid(row.get("id")),
        seq: row.get("seq"),
        to: row.get::<_, Option<_>>("user_id").map(UserId::from_uuid),
        kind: row.get("kind"),
        title: row.get("title"),
        body: row.get("body"),
        link: row.get("link_url"),
        metadata: row.get("metadata"),
        read: row.get("read"),
        created_at: row.get("created_at"),
    }
}
