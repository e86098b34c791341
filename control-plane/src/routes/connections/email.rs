//! Connects a mailbox, once both of its servers take the password.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_providers::catalogue;

use super::check_label;
use super::create::create;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::entered::Entered;
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub async fn connect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let service = catalogue::find(SERVICE);
    let service = service.ok_or_else(|| AppError::internal("the catalogue has no mail"))?;
    let label = input.optional_text("label")?;
    let label = label.as_deref().map(check_label).transpose()?;
    let entered = Entered::read(&app, caller.workspace(), service, &input, None)?;
    let email = entered.said["email"].as_str().unwrap_or_default();
    let usual = format!("{email} (IMAP/SMTP)");
    let created = create(&app, &caller, &entered, label, usual).await?;
    let message = "Email connection created successfully";
    Ok(Json(json!({"connection": created.connection, "message": message})).into_response())
}

const SERVICE: &str = "email-imap";
