//! `t_pending_connections`: consents that people were sent to a provider for. Each is used once, by
//! taking its row out.

use deadpool_postgres::GenericClient;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::id::{
    ConnectionId, OAuthAppId, PendingConnectionId, PermissionRequestId, UserId, WorkspaceId,
};

use crate::StoreError;
use crate::tenant::Tenant;

pub struct Pending {
    pub id: PendingConnectionId,
    /// Who began, and nobody else may end it.
    pub user: UserId,
    pub provider: String,
    pub service: String,
    pub label: String,
    pub base_url: String,
    pub oauth_app: Option<OAuthAppId>,
    pub token_url: String,
    pub scopes: Vec<String>,
    pub reauth: Option<ConnectionId>,
    pub metadata: Value,
    pub sealed_secret: Vec<u8>,
    /// `None`: by a device code.
    pub redirect_uri: Option<String>,
    pub sealed_code: Option<Vec<u8>>,
    pub poll_seconds: Option<i32>,
    pub is_expired: bool,
    /// It was begun with a token: a browser that comes back is asked before it ends.
    pub asks_first: bool,
}

pub struct New<'a> {
    pub id: PendingConnectionId,
    pub user: UserId,
    pub provider: &'a str,
    pub service: &'a str,
    pub label: &'a str,
    pub base_url: &'a str,
    pub oauth_app: Option<OAuthAppId>,
    pub token_url: &'a str,
    pub scopes: &'a [String],
    pub reauth: Option<ConnectionId>,
    pub metadata: &'a Value,
    /// Sealed for this row.
    pub sealed_secret: &'a [u8],
    pub by: By<'a>,
    pub asks_first: bool,
    pub life_seconds: i32,
}

/// How the consent comes back.
#[derive(Clone, Copy)]
pub enum By<'a> {
    /// With the browser, and this state.
    Browser {
        state_hash: &'a [u8],
        redirect_uri: &'a str,
    },
    /// Asked for as often as this.
    Device { poll_seconds: i32 },
}

/// Unless there are too many already: says whether it was written.
///
/// # Errors
/// The database fails.
pub async fn insert(tenant: &Tenant<'_>, new: &New<'_>) -> Result<bool, StoreError> {
    let (state_hash, redirect_uri, poll_seconds) = match new.by {
        By::Browser {
            state_hash,
            redirect_uri,
        } => (Some(state_hash), Some(redirect_uri), None),
        By::Device { poll_seconds } => (None, None, Some(poll_seconds)),
    };
    let many = "select count(*), count(*) filter (where user_id = $1)
                from ah5.t_pending_connections where expires_at > now()";
    let row = tenant.query_one(many, &[&new.user.uuid()]).await?;
    // Nobody takes up the room of all.
    if row.get::<_, i64>(0) >= MAX_PENDING || row.get::<_, i64>(1) >= MAX_PENDING / 4 {
        return Ok(false);
    }
    let sql = "insert into ah5.t_pending_connections
                   (id, workspace_id, user_id, provider, service, label, base_url, oauth_app_id,
                    token_url, scopes, reauth_connection_id, metadata, sealed_secret, state_hash,
                    redirect_uri, poll_seconds, asks_first, next_poll_at, expires_at)
               values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                       now() + make_interval(secs => $18), now() + make_interval(secs => $19))";
    let app = new.oauth_app.map(OAuthAppId::uuid);
    let reauth = new.reauth.map(ConnectionId::uuid);
    tenant
        .execute(
            sql,
            &[
                &new.id.uuid(),
                &tenant.workspace().uuid(),
                &new.user.uuid(),
                &new.provider,
                &new.service,
                &new.label,
                &new.base_url,
                &app,
                &new.token_url,
                &new.scopes,
                &reauth,
                new.metadata,
                &new.sealed_secret,
                &state_hash,
                &redirect_uri,
                &poll_seconds,
                &new.asks_first,
                &poll_seconds.map(f64::from),
                &f64::from(new.life_seconds),
            ],
        )
        .await?;
    Ok(true)
}

/// Ends every consent of the workspace that is under way.
///
/// # Errors
/// The database fails.
pub async fn delete_all(tenant: &Tenant<'_>) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_pending_connections where workspace_id = $1";
    tenant.execute(sql, &[&tenant.workspace().uuid()]).await?;
    Ok(())
}

/// Where the row of this state, or of this parked code, is.
///
/// # Errors
/// The database fails.
pub async fn find(
    client: &impl GenericClient,
    hash: &[u8],
) -> Result<Option<(WorkspaceId, PendingConnectionId)>, StoreError> {
    let sql = "select workspace_id, id from ah5.find_pending_connection($1)";
    let row = client.query_opt(sql, &[&hash]).await?;
    Ok(row.map(|row| {
        (
            WorkspaceId::from_uuid(row.get(0)),
            PendingConnectionId::from_uuid(row.get(1)),
        )
    }))
}

/// # Errors
/// The database fails.
pub async fn get(
    tenant: &Tenant<'_>,
    id: PendingConnectionId,
) -> Result<Option<Pending>, StoreError> {
    let sql = format!("select {COLUMNS} from ah5.t_pending_connections where id = $1");
    let row = tenant.query_opt(&sql, &[&id.uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// Takes out the row that still has this state, or whose code is parked under this: of several who try
/// one gets it.
///
/// # Errors
/// The database fails.
pub async fn take(
    tenant: &Tenant<'_>,
    id: PendingConnectionId,
    hash: &[u8],
) -> Result<Option<Pending>, StoreError> {
    let sql = format!(
        "delete from ah5.t_pending_connections
         where id = $1 and (state_hash = $2 or parked_hash = $2) returning {COLUMNS}"
    );
    let row = tenant.query_opt(&sql, &[&id.uuid(), &hash]).await?;
    Ok(row.as_ref().map(read))
}

/// Takes a row out whatever it is.
///
/// # Errors
/// The database fails.
pub async fn delete(tenant: &Tenant<'_>, id: PendingConnectionId) -> Result<bool, StoreError> {
    let sql = "delete from ah5.t_pending_connections where id = $1";
    Ok(tenant.execute(sql, &[&id.uuid()]).await? == 1)
}

/// What was begun before for the same request of an agent is void.
///
/// # Errors
/// The database fails.
pub async fn delete_of_request(
    tenant: &Tenant<'_>,
    request: PermissionRequestId,
) -> Result<(), StoreError> {
    let sql = "delete from ah5.t_pending_connections where metadata ->> 'permissionRequestId' = $1";
    tenant.execute(sql, &[&request.to_string()]).await?;
    Ok(())
}

/// Keeps the code that came back with this state, which is used up, for a browser that can show the
/// other secret. Says whether the state was still good.
///
/// # Errors
/// The database fails.
pub async fn park(
    tenant: &Tenant<'_>,
    id: PendingConnectionId,
    state_hash: &[u8],
    (sealed_code, parked_hash): (&[u8], &[u8]),
    life_seconds: i32,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_pending_connections
               set state_hash = null, sealed_code = $3, parked_hash = $4,
                   expires_at = now() + make_interval(secs => $5)
               where id = $1 and state_hash = $2 and expires_at > now()";
    let changed = tenant
        .execute(
            sql,
            &[
                &id.uuid(),
                &state_hash,
                &sealed_code,
                &parked_hash,
                &f64::from(life_seconds),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Whether the provider may be asked now. Who is told so has the turn, for `lease_seconds` at most.
///
/// # Errors
/// The database fails.
pub async fn turn_to_poll(
    tenant: &Tenant<'_>,
    id: PendingConnectionId,
    lease_seconds: i32,
) -> Result<bool, StoreError> {
    let sql = "update ah5.t_pending_connections
               set next_poll_at = now() + make_interval(secs => greatest(poll_seconds, $2))
               where id = $1 and next_poll_at <= now() and expires_at > now()";
    let changed = tenant.execute(sql, &[&id.uuid(), &lease_seconds]).await?;
    Ok(changed == 1)
}

/// Ends the turn: how long until the next one.
///
/// # Errors
/// The database fails.
pub async fn polled(
    tenant: &Tenant<'_>,
    id: PendingConnectionId,
    poll_seconds: i32,
) -> Result<(), StoreError> {
    let sql = "update ah5.t_pending_connections
               set poll_seconds = $2, next_poll_at = now() + make_interval(secs => $2::integer)
               where id = $1";
    tenant.execute(sql, &[&id.uuid(), &poll_seconds]).await?;
    Ok(())
}

/// # Errors
/// The database fails.
pub async fn prune(client: &impl GenericClient) -> Result<(), StoreError> {
    let sql = "select ah5.prune_pending_connections()";
    client.execute(sql, &[]).await?;
    Ok(())
}

/// Of one workspace, at a time.
const MAX_PENDING: i64 = 200;
const COLUMNS: &str = "id, user_id, provider, service, label, base_url, oauth_app_id, token_url, \
                       scopes, reauth_connection_id, metadata, sealed_secret, redirect_uri, \
                       sealed_code, poll_seconds, asks_first, expires_at <= now() as is_expired";

fn read(row: &Row) -> Pending {
    let app: Option<uuid::Uuid> = row.get("oauth_app_id");
    let reauth: Option<uuid::Uuid> = row.get("reauth_connection_id");
    Pending {
        id: PendingConnectionId::from_uuid(row.get("id")),
        user: UserId::from_uuid(row.get("user_id")),
        provider: row.get("provider"),
        service: row.get("service"),
        label: row.get("label"),
        base_url: row.get("base_url"),
        oauth_app: app.map(OAuthAppId::from_uuid),
        token_url: row.get("token_url"),
        scopes: row.get("scopes"),
        reauth: reauth.map(ConnectionId::from_uuid),
        metadata: row.get("metadata"),
        sealed_secret: row.get("sealed_secret"),
        redirect_uri: row.get("redirect_uri"),
        sealed_code: row.get("sealed_code"),
        poll_seconds: row.get("poll_seconds"),
        is_expired: row.get("is_expired"),
        asks_first: row.get("asks_first"),
    }
}
