//! Asks a connection's provider whether its credential still works, and writes down what it says:
//! a clear yes or no, about the very credential that was shown to it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde_json::json;

use ah5_contracts::audit::Action;
use ah5_contracts::id::ConnectionId;
use ah5_net::PoolKey;
use ah5_oauth::refresh::RefreshError;
use ah5_providers::catalogue;
use ah5_providers::service::Credential;
use ah5_security::secret::SecretText;
use ah5_store::connections::{self, Connection};
use ah5_store::credentials;
use ah5_store::refreshes::Seen;
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::entered::probe::RECONNECT;
use crate::entered::{Entered, Outcome, Purpose, Told};
use crate::error::{AppError, AppResult};
use crate::vault;

pub async fn test(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: ConnectionId = id.parse()?;
    match look_up(&app, &caller, id).await? {
        Found::Tryable(stored) => try_out(&app, &caller, *stored).await,
        Found::Not(status, error, hint) => Ok(failure(status, &error, hint)),
    }
}

enum Found {
    Not(StatusCode, String, Option<&'static str>),
    Tryable(Box<Stored>),
}

struct Stored {
    connection: Connection,
    secret: SecretText,
    version: i64,
    /// Of a token, by what its provider said of its life.
    has_expired: bool,
}

async fn look_up(app: &App, caller: &Caller, id: ConnectionId) -> AppResult<Found> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let bad = |error: &str, hint| Found::Not(StatusCode::BAD_REQUEST, error.to_owned(), hint);
    let Some(connection) = connections::get(&tenant, id).await? else {
        let error = "Connection not found".to_owned();
        return Ok(Found::Not(StatusCode::NOT_FOUND, error, None));
    };
    if connection.status == "revoked" {
        let hint = "Create a new connection.";
        return Ok(bad("Connection is revoked", Some(hint)));
    }
    let Some(credential) = credentials::get(&tenant, id).await? else {
        let hint = "Reconnect to provide new credentials.";
        return Ok(bad("No credentials stored for this connection", Some(hint)));
    };
    let Some(service) = catalogue::find(&connection.service) else {
        let error = format!("Unknown service: {}", connection.service);
        return Ok(bad(&error, None));
    };
    if service.probe.is_none() && service.credential != Credential::Email {
        let error = format!("No test implemented for service: {}", service.id);
        return Ok(bad(&error, None));
    }
    let key = vault::key(app, &tenant).await?;
    let secret = vault::open_secret(&key, tenant.workspace(), &connection, &credential);
    let secret = secret.map_err(AppError::internal)?;
    tenant.commit().await?;
    Ok(Found::Tryable(Box::new(Stored {
        connection,
        secret,
        version: credential.version,
        has_expired: credential
            .expires_at
            .is_some_and(|at| at <= Timestamp::now()),
    })))
}

async fn try_out(app: &App, caller: &Caller, stored: Stored) -> AppResult {
    let stored = match stored.has_expired {
        true => match renewed(app, caller, stored).await {
            Ok(stored) => stored,
            Err(refusal) => return Ok(refusal),
        },
        false => stored,
    };
    let Stored {
        connection,
        secret,
        version,
        has_expired: _,
    } = stored;
    let entered = Entered::stored(&connection, secret);
    let entered = entered.ok_or_else(|| AppError::internal("a malformed connection"))?;
    let owner = PoolKey {
        workspace: caller.workspace(),
        connection: connection.id,
    };
    match entered.try_out(app, owner, Purpose::Test).await? {
        Outcome::Good(account) => {
            write_down(app, caller, &connection, version, None).await?;
            let provider = &connection.provider;
            let body = json!({"ok": true, "provider": provider, "detail": account.detail});
            Ok(Json(body).into_response())
        }
        Outcome::Refused(told) => {
            write_down(app, caller, &connection, version, Some(REFUSED)).await?;
            Ok(told_of(&told))
        }
        Outcome::Unknown(told) => Ok(told_of(&told)),
    }
}

/// A token that has run out says nothing of the consent behind it: only another one does.
async fn renewed(app: &App, caller: &Caller, stored: Stored) -> Result<Stored, Response> {
    let seen = Seen {
        workspace: caller.workspace(),
        connection: stored.connection.id,
        version: stored.version,
    };
    let service = catalogue::find(&stored.connection.service);
    let name = service.map_or("The", |service| &*service.display_name);
    let refused = |error: String, hint| failure(StatusCode::BAD_REQUEST, &error, Some(hint));
    match app.refresher.refresh(seen).await {
        Ok(fresh) => Ok(Stored {
            secret: SecretText::new(fresh.access.expose().to_owned()),
            version: fresh.version,
            has_expired: false,
            ..stored
        }),
        Err(RefreshError::Gone) => Err(refused("No refresh token available.".into(), RECONNECT)),
        Err(RefreshError::NeedsReauth) => {
            let error = format!("{name} token refresh failed: the provider refuses it");
            Err(refused(error, RECONNECT))
        }
        Err(RefreshError::Later { .. }) => {
            let error = format!("Could not reach {name} API. Please try again later.");
            Err(refused(error, "This may be a temporary network issue."))
        }
    }
}

/// That it needs a person is recorded, and told, by whoever sees that in the database. Nothing, if it
/// is known already, or the credential is no longer the one that was tried.
async fn write_down(
    app: &App,
    caller: &Caller,
    connection: &Connection,
    version: i64,
    reason: Option<&str>,
) -> AppResult<()> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let is_news = connections::set_health(&tenant, connection.id, version, reason).await?;
    if is_news && reason.is_none() {
        let details = json!({"provider": connection.provider, "label": connection.label});
        let record = Record::new(caller.actor(), Action::ConnectionRecovered, details);
        let record = record.connection(connection.id);
        app.record(&tenant, record).await?;
    }
    tenant.commit().await?;
    Ok(())
}

fn told_of(told: &Told) -> Response {
    failure(StatusCode::BAD_REQUEST, &told.error, told.hint.as_deref())
}

fn failure(status: StatusCode, error: &str, hint: Option<&str>) -> Response {
    let mut body = json!({"ok": false, "error": error});
    if let Some(hint) = hint {
        body["hint"] = hint.into();
    }
    (status, Json(body)).into_response()
}

const REFUSED: &str = "credential_refused";
