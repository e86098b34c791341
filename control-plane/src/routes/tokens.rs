//! Personal access tokens. Shown once, at their making; a token never makes another.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::PersonalTokenId;
use ah5_contracts::scope::{ALL, Scope, Scopes};
use ah5_security::{hash, personal};
use ah5_store::personal_tokens::{self, NewToken, PersonalToken};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};
use crate::routes::workspace::user;

const MAX_NAME: usize = 100;
const MAX_DAYS: i32 = 90;
const USUAL_DAYS: i32 = 30;
/// In force at a time, of one person in one workspace.
const MAX_LIVE: i64 = 50;

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let (name, days, scopes) = (name_of(&input)?, days_of(&input)?, scopes_of(&input)?);
    let (owner, text) = (user(&caller)?, personal::make(caller.workspace()));
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if personal_tokens::count(&tenant, owner).await? >= MAX_LIVE {
        return Err(AppError::conflict(format!(
            "At most {MAX_LIVE} tokens are in force at a time"
        ))
        .hint("Revoke one that is no longer in use."));
    }
    let new = NewToken {
        id: PersonalTokenId::random(),
        user: owner,
        name: &name,
        hash: &hash::sha256(text.expose().as_bytes()),
        scopes: &scopes,
        days,
    };
    let token = personal_tokens::insert(&tenant, &new).await?;
    let details = json!({"tokenId": token.id, "name": name, "scopes": scopes});
    app.record(
        &tenant,
        Record::new(caller.actor(), Action::TokenCreated, details),
    )
    .await?;
    tenant.commit().await?;
    Ok(Json(json!({"token": shown(&token), "plainToken": text.expose()})).into_response())
}

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let tokens = personal_tokens::of_user(&tenant, user(&caller)?).await?;
    let tokens: Vec<Value> = tokens.iter().map(shown).collect();
    Ok(Json(json!({ "tokens": tokens })).into_response())
}

pub async fn rename(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let (id, name): (PersonalTokenId, _) = (id.parse()?, name_of(&input)?);
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if !personal_tokens::rename(&tenant, id, user(&caller)?, &name).await? {
        return Err(unknown());
    }
    let details = json!({"tokenId": id, "name": name});
    app.record(
        &tenant,
        Record::new(caller.actor(), Action::TokenRenamed, details),
    )
    .await?;
    tenant.commit().await?;
    Ok(Json(json!({"token": {"id": id, "name": name}})).into_response())
}

pub async fn revoke(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: PersonalTokenId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if !personal_tokens::revoke(&tenant, id, user(&caller)?).await? {
        return Err(unknown());
    }
    let details = json!({"tokenId": id});
    app.record(
        &tenant,
        Record::new(caller.actor(), Action::TokenRevoked, details),
    )
    .await?;
    tenant.commit().await?;
    Ok(Json(json!({"success": true})).into_response())
}

fn name_of(input: &Input) -> Result<String, AppError> {
    let fault = "name is required and must be a non-empty string";
    let name = not_blank(&input.text("name")?, fault)?;
    if name.chars().count() > MAX_NAME {
        return Err(AppError::bad_request(format!(
            "body/name must NOT have more than {MAX_NAME} characters"
        )));
    }
    Ok(name)
}

fn days_of(input: &Input) -> Result<i32, AppError> {
    let Some(text) = input.optional_text("expiresInDays")? else {
        return Ok(USUAL_DAYS);
    };
    let days: i32 = text
        .parse()
        .map_err(|_| AppError::bad_request("body/expiresInDays must be integer"))?;
    match days {
        ..1 => Err(AppError::bad_request("body/expiresInDays must be >= 1")),
        1..=MAX_DAYS => Ok(days),
        _ => Err(AppError::bad_request(format!(
            "body/expiresInDays must be <= {MAX_DAYS}"
        ))),
    }
}

/// What the token may do: reading only, if none is named.
fn scopes_of(input: &Input) -> Result<Vec<&'static str>, AppError> {
    let Some(value) = input.value("scopes") else {
        let read_only = Scopes::read_only();
        let every = Scope::EVERY
            .iter()
            .filter(|scope| read_only.contains(**scope));
        return Ok(every.map(|scope| scope.as_str()).collect());
    };
    let malformed = || AppError::bad_request("body/scopes must be an array of scopes");
    let names = value.as_array().filter(|names| !names.is_empty());
    let mut scopes = Vec::new();
    for (at, name) in names.ok_or_else(malformed)?.iter().enumerate() {
        let name = name.as_str().ok_or_else(malformed)?;
        let scope = if name == ALL {
            Ok(ALL)
        } else {
            name.parse().map(Scope::as_str)
        };
        let scope = scope
            .map_err(|unknown| AppError::bad_request(format!("body/scopes/{at}: {unknown}")))?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(scopes)
}

fn unknown() -> AppError {
    AppError::not_found("Token not found or already revoked")
}

fn shown(token: &PersonalToken) -> Value {
    json!({
        "id": token.id, "name": token.name, "scopes": token.scopes,
        "expiresAt": time(token.expires_at), "lastUsedAt": token.last_used_at.map(time),
        "createdAt": time(token.created_at), "isExpired": token.is_expired,
    })
}
