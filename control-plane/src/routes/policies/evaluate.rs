//! `POST /v1/policies/evaluate`: what a policy, stored or only drafted, would make of a request and
//! of its answer. Nothing is sent, stored or counted.

use axum::extract::State;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::Value;

use ah5_store::tenant::Tenant;

use super::asked::Asked;
use super::draft::Draft;
use super::find;
use crate::app::{App, now};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

/// `policyId`, `policy` (drafted, or changes to the stored one), `request`, maybe `response`.
pub async fn evaluate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let stored = match input.optional_text("policyId")? {
        None => None,
        Some(id) => {
            let mut db = app.db().await?;
            let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
            Some(find(&tenant, id.parse()?).await?)
        }
    };
    let mut draft = stored.as_ref().map_or_else(Draft::default, Draft::of);
    match (input.value("policy"), &stored) {
        (Some(Value::Object(changes)), stored) => {
            let changes = Input::of(changes.clone());
            match stored {
                Some(stored) => draft.update(&app, caller.workspace(), &changes, stored)?,
                None => draft.read(&app, caller.workspace(), &changes)?,
            }
        }
        (Some(_), _) => return Err(AppError::bad_request("body/policy must be object")),
        (None, Some(_)) => {}
        (None, None) => {
            let text = "Either policyId or policy must be provided";
            return Err(AppError::bad_request(text));
        }
    }
    let policy = draft.compiled(&app, caller.workspace())?;
    let Some(Value::Object(request)) = input.value("request") else {
        return Err(AppError::bad_request("body/request must be object"));
    };
    let service = stored.map(|policy| policy.connection_service);
    let asked = Asked::read(request, &service.unwrap_or_default(), now())?;
    Ok(Json(asked.judge(&policy, input.value("response"))).into_response())
}
