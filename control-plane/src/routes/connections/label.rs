//! Calls a connection something else.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_contracts::audit::Action;
use ah5_contracts::id::ConnectionId;
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use super::check_label;
use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub async fn set(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let id: ConnectionId = id.parse()?;
    let text = input.text("label")?;
    if !text.is_empty() && text.trim().is_empty() {
        let why = "label is required and must be a non-empty string";
        return Err(AppError::bad_request(why));
    }
    let label = check_label(&text)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = connections::lock(&tenant, id).await?;
    let found = found.ok_or_else(|| AppError::not_found("Connection not found"))?;
    if found.label != label {
        connections::rename(&tenant, id, &label).await?;
        let details = json!({"label": label, "previousLabel": found.label});
        let record = Record::new(caller.actor(), Action::ConnectionRenamed, details);
        app.record(&tenant, record.connection(id)).await?;
    }
    tenant.commit().await?;
    let connection = json!({"id": id, "label": label});
    Ok(Json(json!({"connection": connection})).into_response())
}
