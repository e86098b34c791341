//! The last step: a request is approved, by the connection that was made for it, or denied. Whoever
//! comes second is told so.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::{ConnectionId, PermissionRequestId};
use ah5_policy::templates::Template;
use ah5_store::connections;
use ah5_store::pending_connections;
use ah5_store::permission_requests::{self, PermissionRequest, Resolution};
use ah5_store::tenant::Tenant;

use super::{find, resolved};
use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

/// `DELETE /v1/agent-permission-requests/{id}`. May be repeated.
pub async fn deny(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: PermissionRequestId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if permission_requests::resolve(&tenant, id, Resolution::Denied, caller.user()).await? {
        // What was begun for it leads nowhere any more.
        pending_connections::delete_of_request(&tenant, id).await?;
        let request = find(&tenant, id).await?;
        let record = Record::new(caller.actor(), Action::PermissionDenied, details(&request));
        let record = record.agent(request.agent).denied();
        app.record(&tenant, record).await?;
        tenant.commit().await?;
        return Ok(success());
    }
    match &*find(&tenant, id).await?.status {
        "denied" => Ok(success()),
        status => Err(resolved(status)),
    }
}

/// `PATCH /v1/agent-permission-requests/{id}/approve-complete`. May be repeated.
pub async fn complete(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let (id, connection): (_, ConnectionId) = (id.parse()?, input.id("connectionId")?);
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let request = find(&tenant, id).await?;
    check(&tenant, &request, connection).await?;
    let approved = Resolution::Approved(connection);
    if permission_requests::resolve(&tenant, id, approved, caller.user()).await? {
        let record = Record::new(
            caller.actor(),
            Action::PermissionApproved,
            details(&request),
        );
        let record = record.agent(request.agent).connection(connection);
        app.record(&tenant, record).await?;
        tenant.commit().await?;
        return Ok(success());
    }
    let request = find(&tenant, id).await?;
    if request.status == "approved" && request.connection == Some(connection) {
        return Ok(success());
    }
    Err(resolved(&request.status))
}

/// The connection is this workspace's, in use, and to what the agent asked for.
async fn check(
    tenant: &Tenant<'_>,
    request: &PermissionRequest,
    connection: ConnectionId,
) -> Result<(), AppError> {
    // Locked: it cannot be revoked at the same time.
    let found = connections::lock(tenant, connection).await?;
    let found = found
        .filter(|connection| connection.status != "revoked")
        .ok_or_else(|| AppError::not_found("Connection not found"))?;
    let meant = Template::find(&request.action_template).map(|template| &*template.service);
    if meant == Some(&*found.service) {
        return Ok(());
    }
    let (meant, used) = (meant.unwrap_or_default(), found.service);
    Err(AppError::bad_request(format!(
        "Service mismatch: the action template is for \"{meant}\" but connection uses \"{used}\""
    )))
}

fn details(request: &PermissionRequest) -> Value {
    json!({"permissionRequestId": request.id, "actionTemplateId": request.action_template})
}

fn success() -> axum::response::Response {
    Json(json!({"success": true})).into_response()
}
