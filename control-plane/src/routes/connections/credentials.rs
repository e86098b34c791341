//! Puts another credential in the place of a connection's own, once its provider takes it. Nothing
//! that was revoked comes back.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Map, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::ConnectionId;
use ah5_net::PoolKey;
use ah5_providers::catalogue;
use ah5_store::connections::{self, Connection, Replacement};
use ah5_store::credentials;
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::entered::{Account, Entered};
use crate::error::{AppError, AppResult};
use crate::input::{Input, OptionalInput};
use crate::vault;

pub async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    OptionalInput(input): OptionalInput,
) -> AppResult {
    let known = super::find(&app, &caller, id.parse()?).await?;
    if known.status == "revoked" {
        return Err(AppError::conflict("Cannot update a revoked connection"));
    }
    replace(&app, &caller, &known, input, Verb::Update).await
}

/// Which of the two ways it is: they differ in what people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Reconnect,
    Update,
}

pub async fn replace(
    app: &App,
    caller: &Caller,
    known: &Connection,
    input: Option<Input>,
    verb: Verb,
) -> AppResult {
    let input = input.unwrap_or_else(|| Input::of(Map::new()));
    let service = catalogue::find(&known.service);
    let service = service
        .ok_or_else(|| AppError::bad_request(format!("Unknown service: {}", known.service)))?;
    let entered = Entered::read(app, caller.workspace(), service, &input, Some(known))?;
    let version = version(app, caller, known.id).await?;
    let owner = PoolKey {
        workspace: caller.workspace(),
        connection: known.id,
    };
    let account = entered.confirm(app, owner).await?;
    store(app, caller, known, &entered, &account, version, verb).await?;
    let connection = json!({
        "id": known.id, "provider": known.provider, "service": known.service,
        "label": known.label, "status": "healthy",
    });
    let done = match verb {
        Verb::Reconnect => "reconnected",
        Verb::Update => "credential updated",
    };
    let message = format!("{} {done} successfully", service.display_name);
    Ok(Json(json!({"connection": connection, "message": message})).into_response())
}

/// Of the credential that is to go: should it go in another way meanwhile, ours is not stored.
async fn version(app: &App, caller: &Caller, id: ConnectionId) -> AppResult<i64> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let stored = credentials::get(&tenant, id).await?;
    tenant.commit().await?;
    stored.map(|stored| stored.version).ok_or_else(lost)
}

async fn store(
    app: &App,
    caller: &Caller,
    known: &Connection,
    entered: &Entered,
    account: &Account,
    version: i64,
    verb: Verb,
) -> AppResult<()> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let key = vault::key(app, &tenant).await?;
    let sealed = entered.seal(&key, tenant.workspace(), known.id, version + 1);
    let auth = serde_json::to_value(&entered.auth).map_err(AppError::internal)?;
    let mail = entered.mail();
    let replacement = Replacement {
        base_url: &entered.base_url.to_string(),
        auth: &auth,
        mail: mail.as_ref(),
        metadata: &account.metadata,
        preview: &entered.preview,
        sealed: &sealed,
    };
    if !connections::replace_credential(&tenant, known.id, version, &replacement).await? {
        return Err(lost());
    }
    let action = match verb {
        Verb::Reconnect => Action::ConnectionReauthorized,
        Verb::Update => Action::ConnectionCredentialReplaced,
    };
    let details = json!({
        "provider": known.provider, "label": known.label, "previousStatus": known.status,
    });
    let record = Record::new(caller.actor(), action, details).connection(known.id);
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    Ok(())
}

fn lost() -> AppError {
    AppError::conflict("Conflicts with a change made at the same time")
}
