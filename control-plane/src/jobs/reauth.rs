//! Tells owners of connections that have come to need a person, once each time, whoever noticed it: a
//! refresh in either plane, a provider that refused a call, a test.

use std::time::Duration;

use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::WorkspaceId;
use ah5_store::connections::{self, Connection};
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, refreshes, workspaces};

use crate::app::{App, Record};
use crate::notices::text::{plain, quoted};
use crate::notices::{CONNECTIONS_PAGE, Notice, To, kind, notify};

/// Runs for as long as the process.
pub async fn run(app: App) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(&app).await {
            tracing::warn!(%error, "owners could not be told; it is tried again soon");
        }
    }
}

async fn sweep(app: &App) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let lock = db.transaction().await?;
    if !refreshes::lock_notices(&lock).await? {
        return Ok(());
    }
    for (workspace, id) in refreshes::notices(&lock, AT_ONCE).await? {
        tell(app, workspace, id).await?;
    }
    Ok(lock.commit().await?)
}

async fn tell(app: &App, workspace: WorkspaceId, id: i64) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let Some((id, reason)) = refreshes::take_notice(&tenant, id).await? else {
        return Ok(());
    };
    let Some(connection) = connections::get(&tenant, id).await? else {
        return Ok(());
    };
    let details = json!({
        "provider": connection.provider, "label": connection.label, "reason": reason,
    });
    let by = (ActorKind::System, String::new());
    let record = Record::new(by, Action::ConnectionNeedsReauth, details).connection(id);
    app.record(&tenant, record).await?;
    let owner = workspaces::current(&tenant).await?.map(|here| here.owner);
    // Somebody may have seen to it already.
    if connection.status == "needs_reauth"
        && let Some(owner) = owner
    {
        let notice = notice(&connection, reason.as_deref());
        let to = To::One(owner);
        notify(&tenant, &Notice { to, ..notice }).await?;
    }
    tracing::warn!(connection = %id, reason, "a connection needs a person");
    tenant.commit().await
}

fn notice(connection: &Connection, reason: Option<&str>) -> Notice {
    let label = quoted(&connection.label);
    let why = match reason {
        Some("invalid_grant") => "the provider has ended the access that it was given",
        Some("refresh_interrupted") => {
            "a renewal of its access was cut off and the provider does not take it up again"
        }
        Some("credential_refused") => "the provider refuses its credential",
        _ => "its credential is good no more",
    };
    Notice {
        kind: kind::CONNECTION_NEEDS_REAUTH,
        title: format!("Connect again: {}", plain(&connection.label, 60)),
        body: format!("Agents cannot use {label}: {why}."),
        link: Some(CONNECTIONS_PAGE.to_owned()),
        metadata: json!({
            "connectionId": connection.id, "provider": connection.provider, "reason": reason,
        }),
        to: To::Everyone,
    }
}

const AT_ONCE: i32 = 50;
const EVERY: Duration = Duration::from_secs(1);
