//! An owner's word on whether anything is handed out of the vault: access tokens to agents (Model A),
//! credentials to admins' own programs.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_store::tenant::Tenant;
use ah5_store::vending::{self, Allowed};

use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::owners::tell_owners;
use crate::panic::outstanding_json;

pub async fn get(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let mut body = shown(vending::allowed(&tenant).await?);
    let outstanding = vending::outstanding(&tenant, None).await?;
    body["vendedTokens"] = outstanding_json(&outstanding).into();
    Ok(Json(body).into_response())
}

/// What is not named stays as it is.
pub async fn set(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let tokens = input.optional_flag("modelA")?;
    let credentials = input.optional_flag("resolve")?;
    if tokens.is_none() && credentials.is_none() {
        return Err(AppError::bad_request("body must have modelA or resolve"));
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let before = vending::allowed(&tenant).await?;
    let now = Allowed {
        tokens: tokens.unwrap_or(before.tokens),
        credentials: credentials.unwrap_or(before.credentials),
    };
    vending::allow(&tenant, now).await?;
    let record = Record::new(caller.actor(), Action::VendingChanged, shown(now));
    tell_owners(&app, &tenant, record).await?;
    tenant.commit().await?;
    Ok(Json(shown(now)).into_response())
}

fn shown(allowed: Allowed) -> Value {
    json!({"modelA": allowed.tokens, "resolve": allowed.credentials})
}
