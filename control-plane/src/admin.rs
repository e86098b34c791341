//! The admin listener: readiness and metrics, for operators and balancers. Loopback by default,
//! and never behind the front door.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::time::timeout;

use ah5_telemetry::metrics::Renderer;

use crate::app::App;

#[derive(Clone)]
pub struct Admin {
    pub app: App,
    pub draining: Arc<AtomicBool>,
    pub metrics: Renderer,
}

pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/readyz", get(readyz))
        .route("/status", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> impl IntoResponse {
    let draining = admin.draining.load(Ordering::Relaxed);
    let asks = async {
        match admin.app.db().await {
            Ok(db) => db.simple_query("").await.is_ok(),
            Err(_) => false,
        }
    };
    let database = timeout(PATIENCE, asks).await.unwrap_or(false);
    let ready = database && admin.app.keys().is_ok() && !draining;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(json!({"ready": ready, "database": database, "draining": draining})),
    )
}

async fn metrics(State(admin): State<Admin>) -> String {
    admin.metrics.render()
}

/// Whoever asks does not wait for longer either.
const PATIENCE: Duration = Duration::from_secs(1);
