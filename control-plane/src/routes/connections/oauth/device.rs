//! Connecting by a device code (RFC 8628): the person types a short code at the provider, on whatever
//! device, and asks here now and then whether that was it. The provider is asked no more often than it
//! wants, however often anybody asks here.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_contracts::id::{ConnectionId, PendingConnectionId};
use ah5_net::PoolKey;
use ah5_oauth::client::Client;
use ah5_oauth::device::{self, Device, Polled, SLOW_DOWN_SECONDS};
use ah5_oauth::token::TokenError;
use ah5_store::pending_connections::{self, By, Pending};
use ah5_store::tenant::Tenant;

use super::{person, wanted};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::oauth::begin::{SECRET, Wanted, context, keep, token_url};
use crate::oauth::clients;
use crate::oauth::complete::{EXPIRED, Failed, pool_key, secret, told};
use crate::oauth::finish::finish;
use crate::{room, vault};

/// `POST /v1/connections/device/start`
pub async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let (client, wanted) = wanted(&app, &tenant, &caller, &input).await?;
    room::check(&app, &tenant).await?;
    tenant.commit().await?;
    drop(db);
    if client.device_url().is_none() {
        let text = format!("Provider \"{}\" has no device codes", wanted.provider);
        return Err(AppError::bad_request(text).hint("Use POST /v1/connections/start"));
    }
    let id = PendingConnectionId::random();
    let key = PoolKey {
        workspace: caller.workspace(),
        connection: ConnectionId::from_uuid(id.uuid()),
    };
    let device = device::start(&app.net, key, &client, &wanted.scopes).await;
    let device = device.map_err(|error| {
        let secrets = [client.secret.as_ref()];
        AppError::bad_request(told(&wanted.provider, &error, &secrets))
    })?;
    keep_device(&app, &caller, &client, &wanted, id, &device).await?;
    let body = json!({
        "pendingConnectionId": id, "userCode": device.user_code,
        "verificationUri": device.verification_uri,
        "verificationUriComplete": device.verification_uri_complete,
        "expiresIn": device.life_seconds, "interval": device.poll_seconds,
        "client": clients::called(&client),
    });
    Ok(Json(body).into_response())
}

/// `POST /v1/connections/device/poll`
pub async fn poll(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let id: PendingConnectionId = input.id("pendingConnectionId")?;
    let Some((pending, client)) = turn(&app, &caller, id).await? else {
        return Ok(not_yet());
    };
    let workspace = caller.workspace();
    let seconds = pending.poll_seconds.unwrap_or(LEASE_SECONDS);
    let code = secret(&app, workspace, &pending, &client)
        .await
        .map_err(refused)?;
    let key = pool_key(workspace, &pending);
    match device::poll(&app.net, key, &client, &code).await {
        Ok(Polled::Tokens(tokens)) => {
            if !end(&app, &caller, id).await? {
                return Err(unknown());
            }
            let done = finish(&app, workspace, &pending, &client, &tokens).await;
            let done = done.map_err(refused)?;
            let body = json!({
                "status": "connected", "connectionId": done.connection, "policyId": done.policy,
            });
            Ok(Json(body).into_response())
        }
        Ok(Polled::Pending) | Err(TokenError::Unavailable { .. }) => {
            wait(&app, &caller, id, seconds).await?;
            Ok(not_yet())
        }
        Ok(Polled::SlowDown) => {
            wait(&app, &caller, id, seconds + SLOW_DOWN_SECONDS).await?;
            Ok(not_yet())
        }
        Err(error) => {
            end(&app, &caller, id).await?;
            let secrets = [Some(&code), client.secret.as_ref()];
            let text = told(&pending.provider, &error, &secrets);
            Err(AppError::bad_request(text))
        }
    }
}

async fn keep_device(
    app: &App,
    caller: &Caller,
    client: &Client,
    wanted: &Wanted,
    id: PendingConnectionId,
    device: &Device,
) -> AppResult<()> {
    let token_url = token_url(client)?;
    let about = wanted.about(client);
    let context = context(caller.workspace(), id, SECRET, &token_url, &about);
    let by = By::Device {
        poll_seconds: device.poll_seconds,
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let key = vault::key(app, &tenant).await?;
    let sealed = key.seal_pending(&context, &device.device_code);
    let (row, life) = ((id, &*token_url), device.life_seconds);
    keep(&tenant, client, wanted, row, &sealed, by, life).await?;
    Ok(tenant.commit().await?)
}

/// The row and its client, if the provider may be asked now. It is the person's own who began.
async fn turn(
    app: &App,
    caller: &Caller,
    id: PendingConnectionId,
) -> AppResult<Option<(Pending, Client)>> {
    let user = person(caller)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let pending = pending_connections::get(&tenant, id).await?;
    let pending = pending.filter(|it| it.user == user && it.poll_seconds.is_some());
    let pending = pending.ok_or_else(unknown)?;
    if pending.is_expired {
        pending_connections::delete(&tenant, id).await?;
        tenant.commit().await?;
        return Err(AppError::bad_request(EXPIRED));
    }
    let client = clients::exactly(app, &tenant, &pending.provider, pending.oauth_app).await?;
    let client = client.ok_or_else(|| clients::missing(&pending.provider))?;
    let is_turn = pending_connections::turn_to_poll(&tenant, id, LEASE_SECONDS).await?;
    tenant.commit().await?;
    Ok(is_turn.then_some((pending, client)))
}

async fn wait(app: &App, caller: &Caller, id: PendingConnectionId, seconds: i32) -> AppResult<()> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    pending_connections::polled(&tenant, id, seconds).await?;
    Ok(tenant.commit().await?)
}

async fn end(app: &App, caller: &Caller, id: PendingConnectionId) -> AppResult<bool> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let was_there = pending_connections::delete(&tenant, id).await?;
    tenant.commit().await?;
    Ok(was_there)
}

fn not_yet() -> axum::response::Response {
    Json(json!({"status": "pending"})).into_response()
}

fn refused(failed: Failed) -> AppError {
    match failed {
        Failed::Told(text) => AppError::bad_request(text),
        Failed::App(error) => error,
    }
}

fn unknown() -> AppError {
    AppError::not_found("Pending connection not found")
}

/// Longer than one exchange with the provider takes.
const LEASE_SECONDS: i32 = 30;
