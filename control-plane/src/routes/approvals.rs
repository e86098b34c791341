//! Approvals: single calls that a policy leaves to a person. People see those of their workspace and
//! decide; an agent sees its own and waits. Nothing here sends anything.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep};

use ah5_contracts::approval::Status;
use ah5_contracts::audit::Action;
use ah5_contracts::id::{AgentId, ApprovalId, AuditId};
use ah5_contracts::role::Role;
use ah5_store::approvals::{self, Approval};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::notices;
use crate::notices::approvals::Outcome;
use crate::routes::workspace::user;
use crate::vault;

pub mod context;
pub mod preview;
pub mod rule;
pub mod shown;

use shown::{Names, Shown};

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Params {
    /// Seconds to wait for a decision.
    wait: Option<String>,
}

/// Newest first, all states.
pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = approvals::list(&tenant, own(&caller), MOST_LISTED).await?;
    let names = Names::read(&tenant).await?;
    let mut shown: Vec<Shown> = found.iter().map(|one| names.show(one)).collect();
    if may_look_inside(&caller) {
        tell(&app, &tenant, &found, &mut shown).await?;
    }
    tenant.commit().await?;
    Ok(Json(json!({ "approvals": shown })).into_response())
}

/// Says of what waits whom it speaks to. Large requests, and those behind many, are told of only when they
/// are read one by one.
async fn tell(
    app: &App,
    tenant: &Tenant<'_>,
    found: &[Approval],
    shown: &mut [Shown],
) -> Result<(), AppError> {
    let sealed = approvals::sealed_pending(tenant, MOST_TOLD, MOST_BYTES_TOLD).await?;
    if sealed.is_empty() {
        return Ok(());
    }
    // The list is good without, in a workspace whose secrets were destroyed as well.
    let Ok(key) = vault::key(app, tenant).await else {
        return Ok(());
    };
    for (approval, shown) in found.iter().zip(shown) {
        let sealed = sealed.get(&approval.id);
        let opened = sealed.map(|it| preview::unseal(&key, tenant.workspace(), approval, it));
        if let Some(Ok(request)) = opened {
            shown.tell(&request);
        }
    }
    Ok(())
}

/// Agents ask for this until there is a decision; `wait` spares them the asking.
pub async fn read(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let id: ApprovalId = id.parse()?;
    let Query(params) = params.map_err(|_| AppError::bad_request("querystring must be object"))?;
    let until = Instant::now() + wait(params.wait.as_deref());
    // Where too many wait already, the answer comes at once.
    let turn = app.waiting.try_acquire();
    loop {
        let (shown, status) = look(&app, &caller, id).await?;
        if status != Status::Pending || turn.is_err() || Instant::now() + LOOK_EVERY > until {
            return Ok(Json(json!({ "approval": shown })).into_response());
        }
        sleep(LOOK_EVERY).await;
    }
}

pub async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let (id, audit_id) = decide(&app, &caller, &id, true).await?;
    let body = json!({"approved": true, "approvalRequestId": id, "auditId": audit_id});
    Ok(Json(body).into_response())
}

pub async fn deny(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let (id, audit_id) = decide(&app, &caller, &id, false).await?;
    let body = json!({"denied": true, "approvalRequestId": id, "auditId": audit_id});
    Ok(Json(body).into_response())
}

/// The row of the trail that tells of a decision, or of the lack of one.
pub fn record(caller: &Caller, approval: &Approval, action: Action) -> Record {
    about(
        Record::new(
            caller.actor(),
            action,
            json!({"approvalRequestId": approval.id}),
        ),
        approval,
    )
}

pub fn about(record: Record, approval: &Approval) -> Record {
    let record = record.agent(approval.agent).connection(approval.connection);
    match approval.policy {
        Some(policy) => record.policy(policy),
        None => record,
    }
}

async fn look(app: &App, caller: &Caller, id: ApprovalId) -> AppResult<(Shown, Status)> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = approvals::get(&tenant, id).await?.ok_or_else(unknown)?;
    if own(caller).is_some_and(|agent| agent != found.agent) {
        return Err(unknown());
    }
    let mut shown = Names::read(&tenant).await?.show(&found);
    if may_look_inside(caller)
        && let Some(request) = preview::request(app, &tenant, &found).await?
    {
        shown.tell(&request);
        shown.preview = Some(preview::show(request));
    }
    tenant.commit().await?;
    Ok((shown, status(&found)))
}

async fn decide(
    app: &App,
    caller: &Caller,
    id: &str,
    approved: bool,
) -> AppResult<(ApprovalId, AuditId)> {
    let (id, by): (ApprovalId, _) = (id.parse()?, user(caller)?);
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let Some(decided) = approvals::decide(&tenant, id, approved, by).await? else {
        let found = approvals::get(&tenant, id).await?.ok_or_else(unknown)?;
        return Err(undecidable(&found));
    };
    let (action, outcome) = match approved {
        true => (Action::ApprovalApproved, Outcome::Approved),
        false => (Action::ApprovalDenied, Outcome::Denied),
    };
    let audit_id = app
        .record(&tenant, record(caller, &decided, action))
        .await?;
    notices::approvals::resolved(&tenant, &decided, outcome).await?;
    tenant.commit().await?;
    Ok((id, audit_id))
}

fn undecidable(found: &Approval) -> AppError {
    match status(found) {
        Status::Expired => AppError::new(StatusCode::GONE, "Approval request has expired"),
        other => {
            let word = other.as_str();
            AppError::conflict(format!("Approval request is already {word}"))
        }
    }
}

/// As of now, whatever the sweeper has got round to.
pub fn status(approval: &Approval) -> Status {
    // What this build doesn't know is no approval.
    let status = Status::from_stored(&approval.status).unwrap_or(Status::Expired);
    match approval.is_overdue {
        true => status.overdue(),
        false => status,
    }
}

/// An agent sees its own only.
const fn own(caller: &Caller) -> Option<AgentId> {
    match caller {
        Caller::Agent { id, .. } => Some(*id),
        Caller::User { .. } => None,
    }
}

/// Whoever could decide. An agent knows what it has sent.
fn may_look_inside(caller: &Caller) -> bool {
    matches!(caller, Caller::User { role, .. } if *role >= Role::Approver)
}

fn wait(text: Option<&str>) -> Duration {
    let seconds = text.and_then(|text| text.parse().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(MOST_WAIT)
}

fn unknown() -> AppError {
    AppError::not_found("Approval request not found")
}

const LOOK_EVERY: Duration = Duration::from_millis(500);
const MOST_BYTES_TOLD: i32 = 64 * 1024;
const MOST_LISTED: i64 = 200;
const MOST_TOLD: i64 = 50;
/// Well under what any answer may take.
const MOST_WAIT: Duration = Duration::from_secs(20);
