//! Tells people of approvals that wait for them, and ends those whose time is over: what nobody
//! decided expires, and what began to be redeemed and was never heard of again has an unknown outcome.
//! It is never made good again.

use std::time::Duration;

use serde_json::json;

use ah5_contracts::approval::Status;
use ah5_contracts::audit::{Action, ActorKind, Verdict};
use ah5_contracts::id::{ApprovalId, WorkspaceId};
use ah5_store::StoreError;
use ah5_store::approvals;
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::notices;
use crate::notices::approvals::Outcome;
use crate::routes::approvals::about;

/// Runs for as long as the process.
pub async fn run(app: App) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = sweep(&app).await {
            tracing::warn!(%error, "overdue approvals could not be ended; it is tried again soon");
        }
    }
}

async fn sweep(app: &App) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let lock = db.transaction().await?;
    if !approvals::lock_sweep(&lock).await? {
        return Ok(());
    }
    for (workspace, id) in approvals::unannounced(&lock, AT_ONCE).await? {
        announce(app, workspace, id).await?;
    }
    for (workspace, id) in approvals::overdue(&lock, AT_ONCE).await? {
        end(app, workspace, id).await?;
    }
    Ok(lock.commit().await?)
}

/// The one place from which people are told that an approval waits for them.
async fn announce(app: &App, workspace: WorkspaceId, id: ApprovalId) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    if let Some(waiting) = approvals::announce(&tenant, id).await? {
        tracing::info!(approval = %id, agent = %waiting.agent, "an approval waits for a person");
        notices::approvals::waits(&tenant, &waiting).await?;
    }
    tenant.commit().await
}

async fn end(app: &App, workspace: WorkspaceId, id: ApprovalId) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let Some(ended) = approvals::end_overdue(&tenant, id).await? else {
        return Ok(());
    };
    let by = || (ActorKind::System, String::new());
    let told = match Status::from_stored(&ended.status) {
        Some(Status::Expired) => {
            let details = json!({"approvalRequestId": id});
            let record = Record::new(by(), Action::ApprovalExpired, details).denied();
            Some((record, Outcome::Expired))
        }
        Some(Status::OutcomeUnknown) => {
            tracing::warn!(approval = %id, "nobody knows the outcome of an approved call");
            let details = json!({"approvalRequestId": id, "outcome": "unknown"});
            let record = Record::new(by(), Action::ExecutionCompleted, details);
            let decision = Verdict::Error;
            Some((Record { decision, ..record }, Outcome::Unknown))
        }
        // An approval that was not used: what it shows is gone.
        _ => None,
    };
    if let Some((record, outcome)) = told {
        app.record(&tenant, about(record, &ended)).await?;
        notices::approvals::resolved(&tenant, &ended, outcome).await?;
    }
    tenant.commit().await
}

const AT_ONCE: i32 = 50;
const EVERY: Duration = Duration::from_secs(1);
