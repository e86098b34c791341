//! Liveness and version. Static on purpose: readiness is on the admin listener.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;

pub async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub async fn version(State(app): State<App>) -> Json<Value> {
    let build = &app.config.build;
    Json(json!({
        "buildNumber": build.number, "buildDate": build.date, "gitSha": build.commit,
    }))
}
