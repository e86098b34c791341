//! The figures at the top of the dashboard.

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use ah5_store::audit::scan;
use ah5_store::tenant::Tenant;
use ah5_store::{agents, connections};

use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// The revoked included.
    connections: i64,
    agents: i64,
    events_today: i64,
    /// There are more events: counting stopped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    events_today_capped: bool,
}

pub async fn summary(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let today = scan::count(&tenant, midnight()?, MOST_COUNTED).await?;
    let summary = Summary {
        connections: connections::count(&tenant).await?,
        agents: agents::count(&tenant).await?,
        // A call that was sent on is one row and two events.
        events_today: today.rows + today.calls,
        events_today_capped: today.rows == MOST_COUNTED,
    };
    Ok(Json(summary).into_response())
}

// Days are UTC, wherever the server and its reader are.
fn midnight() -> Result<Timestamp, AppError> {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let midnight = now.start_of_day().map_err(AppError::internal)?;
    Ok(midnight.timestamp())
}

const MOST_COUNTED: i64 = 100_000;
