//! Who answers for an agent. It gives that person no right; whoever leaves goes on being named, so
//! that the others see whose agents need somebody new.

use axum::Extension;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::UserId;
use ah5_store::agents::{self, Owner};
use ah5_store::members;
use ah5_store::tenant::Tenant;

use super::unknown;
use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

/// `PUT /v1/agents/{id}/owner`
pub async fn set(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let (id, to): (_, UserId) = (id.parse()?, input.id("userId")?);
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let before = agents::lock(&tenant, id).await?.ok_or_else(unknown)?;
    // Locked: they cannot leave at the same time.
    if members::lock(&tenant, to).await?.is_none() {
        return Err(AppError::not_found("Member not found"));
    }
    let agent = agents::set_owner(&tenant, id, Some(to)).await?;
    if agent
        .owner
        .as_ref()
        .is_some_and(|owner| owner.status != "active")
    {
        return Err(AppError::conflict("This member's account is disabled"));
    }
    let from = before.owner.map(|owner| owner.id);
    let details = json!({"from": from, "to": to});
    let record = Record::new(caller.actor(), Action::AgentOwnerChanged, details);
    app.record(&tenant, record.agent(id)).await?;
    tenant.commit().await?;
    Ok(super::shown(&agent))
}

pub(super) fn shown(owner: &Owner) -> Value {
    json!({"id": owner.id, "name": owner.name, "status": owner.status})
}
