//! Connects an account by a key that its provider takes, or any HTTP service by one.

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
use crate::entered::api_key::NO_SUBSCRIPTIONS;
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub async fn connect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let service = service(&input)?;
    // Whoever leaves it out is told so in the words for what is left out.
    input.text("apiKey")?;
    let label = input.optional_text("label")?;
    let label = label.as_deref().map(check_label).transpose()?;
    let entered = Entered::read(&app, caller.workspace(), service, &input, None)?;
    let provider = &service.provider;
    let usual = format!("{provider} connection");
    let created = create(&app, &caller, &entered, label, usual).await?;
    let message = format!("{provider} connection created successfully");
    Ok(Json(json!({"connection": created.connection, "message": message})).into_response())
}

/// Refuses what other brokers import: tokens of a subscription, which are for the provider's own
/// applications alone.
pub async fn no_subscription(_: Input) -> AppError {
    AppError::bad_request(NO_SUBSCRIPTIONS)
}

/// The provider follows from it; whoever names one must name the same.
fn service(input: &Input) -> AppResult<&'static Service> {
    let id = input.text("service")?;
    let service = catalogue::find(&id).filter(|service| takes_keys(service));
    let service = service.ok_or_else(|| not_one_of("service", |service| &service.id))?;
    let provider = input.optional_text("provider")?;
    if provider.is_some_and(|provider| provider != service.provider) {
        let why = "body/provider must be equal to one of the allowed values";
        let hint = format!("Accepted: {}", service.provider);
        return Err(AppError::bad_request(why).hint(hint));
    }
    Ok(service)
}

const fn takes_keys(service: &Service) -> bool {
    matches!(service.credential, Credential::ApiKey | Credential::Custom)
}

fn not_one_of(field: &str, name: impl Fn(&'static Service) -> &'static str) -> AppError {
    let accepted = catalogue::services().iter().filter(|it| takes_keys(it));
    let accepted: Vec<&str> = accepted.map(name).collect();
    let why = format!("body/{field} must be equal to one of the allowed values");
    AppError::bad_request(why).hint(format!("Accepted: {}", accepted.join(", ")))
}
