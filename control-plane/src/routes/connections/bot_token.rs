//! Connects a bot by its token, once its provider says that the token is good.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_providers::catalogue;
use ah5_providers::service::{Credential, Service};

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
    let service = service(&input.text("service")?)?;
    // Whoever leaves it out is told so in the words for what is left out.
    input.text("botToken")?;
    let label = input.optional_text("label")?;
    let label = label.as_deref().map(check_label).transpose()?;
    let entered = Entered::read(&app, caller.workspace(), service, &input, None)?;
    let usual = format!("{} connection", service.provider);
    let created = create(&app, &caller, &entered, label, usual).await?;
    let mut connection = created.connection;
    connection["metadata"] = created.metadata.clone();
    let message = format!("{} connected successfully", service.display_name);
    let body = json!({
        "connection": connection, "botInfo": created.metadata, "label": created.label,
        "message": message,
    });
    Ok(Json(body).into_response())
}

fn service(id: &str) -> AppResult<&'static Service> {
    let service = catalogue::find(id);
    let service = service.ok_or_else(|| AppError::bad_request(format!("Invalid service: {id}")))?;
    if service.credential != Credential::BotToken {
        let why = format!("Service '{id}' does not use bot tokens");
        return Err(AppError::bad_request(why));
    }
    Ok(service)
}
