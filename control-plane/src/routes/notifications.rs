//! Notifications as a person sees them: those of the workspace, and those for him alone. That one has
//! been read is known to all whom it is for.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use ah5_contracts::id::NotificationId;
use ah5_store::notifications::{self, Listing, Notification};
use ah5_store::tenant::Tenant;

use crate::app::{App, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::OptionalInput;
use crate::notices::frame::Position;
use crate::routes::workspace::user;

pub mod stream;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Params {
    limit: Option<String>,
    offset: Option<String>,
    unread_only: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: NotificationId,
    r#type: String,
    title: String,
    body: String,
    link_url: Option<String>,
    read: bool,
    metadata: Value,
    created_at: String,
}

/// Newest first. `lastEventId` is where the stream goes on.
pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let Query(params) = params.map_err(|_| AppError::bad_request("querystring must be object"))?;
    let limit = number("limit", params.limit.as_deref(), 50, 1, 100)?;
    let offset = number("offset", params.offset.as_deref(), 0, 0, i64::MAX)?;
    let unread_only = flag("unreadOnly", params.unread_only.as_deref())?;
    let (reader, workspace) = (user(&caller)?, caller.workspace());
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    // What is committed from here on is for the stream: on one of the two it is, never on both.
    let seq = notifications::head(&tenant).await?;
    let listing = Listing {
        reader,
        up_to: seq,
        unread_only,
        limit,
        offset,
    };
    let found = notifications::list(&tenant, &listing).await?;
    tenant.commit().await?;
    let shown: Vec<Shown> = found.into_iter().map(Shown::from).collect();
    let position = Position { workspace, seq }.to_string();
    Ok(Json(json!({"notifications": shown, "lastEventId": position})).into_response())
}

pub async fn unread_count(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let count = notifications::unread(&tenant, user(&caller)?).await?;
    tenant.commit().await?;
    Ok(Json(json!({ "count": count })).into_response())
}

/// May be repeated.
pub async fn read(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: NotificationId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if !notifications::mark_read(&tenant, user(&caller)?, id).await? {
        return Err(AppError::not_found("Notification not found"));
    }
    tenant.commit().await?;
    Ok(Json(json!({"success": true})).into_response())
}

pub async fn read_all(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    _: OptionalInput,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let updated = notifications::mark_all_read(&tenant, user(&caller)?).await?;
    tenant.commit().await?;
    Ok(Json(json!({ "updated": updated })).into_response())
}

fn number(
    name: &str,
    text: Option<&str>,
    default: i64,
    least: i64,
    most: i64,
) -> Result<i64, AppError> {
    let fault = |why: String| AppError::bad_request(format!("querystring/{name} must be {why}"));
    let Some(text) = text else {
        return Ok(default);
    };
    match text.parse::<i64>() {
        Err(_) => Err(fault("integer".to_owned())),
        Ok(number) if number < least => Err(fault(format!(">= {least}"))),
        Ok(number) if number > most => Err(fault(format!("<= {most}"))),
        Ok(number) => Ok(number),
    }
}

fn flag(name: &str, text: Option<&str>) -> Result<bool, AppError> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(AppError::bad_request(format!(
            "querystring/{name} must be equal to one of the allowed values"
        ))),
    }
}

// === impl Shown ===

impl From<Notification> for Shown {
    fn from(notification: Notification) -> Self {
        Self {
            id: notification.id,
            r#type: notification.kind,
            title: notification.title,
            body: notification.body,
            link_url: notification.link,
            read: notification.read,
            metadata: notification.metadata,
            created_at: time(notification.created_at),
        }
    }
}
