//! Panic, in two steps: see [`crate::panic`].

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::panic::{self, Radius};

/// What is at stake; changes nothing.
pub async fn look(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    Ok(Json(Radius::read(&tenant).await?.json()).into_response())
}

/// Turns every agent off; `stop` must be said, so that no stray call does it.
pub async fn stop(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    if input.optional_flag("stop")? != Some(true) {
        return Err(AppError::bad_request("body/stop must be true"));
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let radius = Radius::read(&tenant).await?.json();
    let stopped = panic::stop(&app, &tenant, &caller.actor()).await?;
    tenant.commit().await?;
    let body = json!({"agentsDisabled": stopped, "radius": radius});
    Ok(Json(body).into_response())
}

/// Revokes every connection that the digest names.
pub async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let digest = input.text("digest")?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let revoked = panic::revoke(&app, &tenant, &caller.actor(), &digest).await?;
    let Some(revoked) = revoked else {
        let error = "The connections are not those that were confirmed";
        let hint = "GET /v1/workspaces/current/panic, look at them, and send its digest.";
        return Err(AppError::conflict(error).hint(hint));
    };
    let radius = Radius::read(&tenant).await?.json();
    tenant.commit().await?;
    let body = json!({"connections": revoked, "vendedTokens": radius["vendedTokens"]});
    Ok(Json(body).into_response())
}
