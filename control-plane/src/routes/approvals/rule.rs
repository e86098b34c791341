//! "Allow this from now on": an approval turned into a rule. The rule is shown first and saved only
//! as it was shown.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_contracts::approval::Status;
use ah5_contracts::id::ApprovalId;
use ah5_store::approvals::{self, Kind};
use ah5_store::tenant::Tenant;

use super::{preview, status, unknown};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::routes::policies::proposed::{self, Proposed};

/// `rule`, the `position` it would have among the policy's rules, and the places in the body that it
/// leaves `open` to any text.
pub async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let proposed = propose(&app, &tenant, id.parse()?).await?;
    Ok(Json(proposed.json()).into_response())
}

/// Saves `rule` at `position`. It decides nothing about the approval itself.
pub async fn save(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let rule = input.value("rule");
    let rule =
        rule.ok_or_else(|| AppError::bad_request("body must have required property 'rule'"))?;
    let position = input.value("position").and_then(serde_json::Value::as_u64);
    let position = position.and_then(|position| usize::try_from(position).ok());
    let position =
        position.ok_or_else(|| AppError::bad_request("body/position must be integer"))?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let proposed = propose(&app, &tenant, id.parse()?).await?;
    if !proposed.is(rule, position) {
        let text = "This is not the rule that would be made now";
        let hint = "The policy may have changed: read the proposal again";
        return Err(AppError::conflict(text).hint(hint));
    }
    let policy = proposed.save(&app, &tenant, &caller).await?;
    tenant.commit().await?;
    Ok(Json(json!({ "policy": policy })).into_response())
}

async fn propose(app: &App, tenant: &Tenant<'_>, id: ApprovalId) -> Result<Proposed, AppError> {
    let approval = approvals::get(tenant, id).await?.ok_or_else(unknown)?;
    if !matches!(status(&approval), Status::Pending | Status::Approved) {
        return Err(AppError::conflict("This approval is over"));
    }
    if approval.pii_bypass || approval.full_fields {
        let text = "It asks for more than a call: personal data or all fields of an answer";
        return Err(AppError::conflict(text));
    }
    if matches!(approval.kind, Kind::Limit { .. }) {
        return Err(AppError::conflict("It lifts a limit and allows no call"));
    }
    let request = preview::request(app, tenant, &approval).await?;
    let (Some(policy), Some(request)) = (approval.policy, request) else {
        return Err(AppError::conflict("The policy that asked is gone"));
    };
    let proposed = proposed::propose(app, tenant, (policy, id), &request).await?;
    if preview::holds_secrets(request) {
        return Err(AppError::conflict("A secret in it would stand in the rule"));
    }
    Ok(proposed)
}
