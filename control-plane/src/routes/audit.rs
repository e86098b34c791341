//! The audit trail, newest first.

pub mod event;
pub mod export;
pub mod page;
pub mod search;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Serialize;

use ah5_contracts::id::AuditId;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::AppResult;
use event::Event;
use search::{Params, limit};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    events: Vec<Event>,
    next_cursor: Option<AuditId>,
}

pub async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let params = search::take(params)?;
    let limit = limit(params.limit.as_deref(), DEFAULT_LIMIT, MAX_LIMIT);
    let search = params.search()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let page = page::read(&tenant, search, limit).await?;
    let answer = Answer {
        events: page.events,
        next_cursor: page.next,
    };
    Ok(Json(answer).into_response())
}

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;
