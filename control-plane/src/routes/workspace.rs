//! The caller's workspace.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_store::tenant::Tenant;
use ah5_store::workspaces;

use crate::app::{App, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};

pub async fn current(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = workspaces::current(&tenant).await?;
    let found = found.ok_or_else(|| AppError::not_found("Workspace not found"))?;
    let body = json!({
        "id": found.id, "name": found.name, "ownerId": found.owner,
        "createdAt": time(found.created_at), "updatedAt": time(found.updated_at),
    });
    Ok(Json(body).into_response())
}
