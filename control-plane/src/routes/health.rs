//! Liveness and version. Static on purpose: readiness is on the admin listener.

use axum::Json;
use serde_json::{Value, json};

pub async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

pub async fn version() -> Json<Value> {
    let of = |value: Option<&'static str>, default: &'static str| value.unwrap_or(default);
    Json(json!({
        "buildNumber": of(option_env!("BUILD_NUMBER"), "dev"),
        "buildDate": of(option_env!("BUILD_DATE"), "unknown"),
        "gitSha": of(option_env!("GIT_SHA"), "unknown"),
    }))
}
