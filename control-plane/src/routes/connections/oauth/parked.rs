//! A code came back to a browser in which the person was not signed in, or in which they had not begun.
//! It waits there, unused; signed in, the person is shown what would be connected to what, and asked. Only that browser can
//! answer, and only as the person who began: a link that was sent to somebody else connects nothing.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use url::form_urlencoded::byte_serialize;

use ah5_contracts::id::{AgentId, WorkspaceId};
use ah5_providers::catalogue;
use ah5_security::hash;
use ah5_store::pending_connections::{self, Pending};
use ah5_store::tenant::Tenant;
use ah5_store::{agents, workspaces};

use super::callback::{UNKNOWN, connected, is_here, may_connect, not_connected, take};
use crate::app::App;
use crate::auth::{cookie, origin};
use crate::error::{AppError, AppResult};
use crate::input::form::FormOrInput;
use crate::oauth::begin::{CODE, about_of, context};
use crate::oauth::clients;
use crate::oauth::complete::{Failed, by_code_to_its_end};
use crate::oauth::finish::Done;
use crate::page::{escaped, page};
use crate::routes::session::current;
use crate::vault;

/// `GET /v1/connections/parked`
pub async fn show(State(app): State<App>, headers: HeaderMap) -> AppResult {
    let Some((workspace, _, pending)) = find(&app, &headers).await? else {
        return Ok(gone());
    };
    if current(&app, &headers).await?.is_none() {
        let back: String = byte_serialize(b"/v1/connections/parked").collect();
        let body = format!(
            "<p>Sign in as the person who began to connect this account; within ten minutes, and in this \
             browser.</p><p><a href=\"/login?callbackURL={back}\">Sign in</a></p>"
        );
        return Ok(page(StatusCode::UNAUTHORIZED, "Sign in to go on", &body));
    }
    if !is_here(&app, &headers, pending.user).await? {
        return Ok(not_yours());
    }
    let body = question(&app, workspace, &pending).await?;
    Ok(page(StatusCode::OK, "Connect this account?", &body))
}

/// `POST /v1/connections/parked`: the answer, from our own page.
pub async fn decide(
    State(app): State<App>,
    headers: HeaderMap,
    FormOrInput { input, .. }: FormOrInput,
) -> AppResult {
    let foreign = |_| AppError::forbidden("Forbidden");
    origin::check_auth(&headers, &app.config.origin).map_err(foreign)?;
    origin::check_exchange(&headers, &app.config.origin)?;
    let Some((workspace, hash, pending)) = find(&app, &headers).await? else {
        return Ok(gone());
    };
    if !is_here(&app, &headers, pending.user).await? {
        return Ok(not_yours());
    }
    let decision = input.one_of("decision", &["connect", "cancel"])?;
    // Whatever is decided, it is decided once.
    let ended = match take(&app, workspace, pending.id, &hash).await {
        Ok(pending) if decision == Some("connect") => go_on(&app, workspace, pending).await,
        Ok(_) => Err(Failed::told("The connection was cancelled")),
        Err(failed) => Err(failed),
    };
    let mut answer = match &ended {
        Ok(done) => connected(&app, done),
        Err(failed) => not_connected(&app, failed),
    };
    *answer.status_mut() = StatusCode::SEE_OTHER;
    let cleared = cookie::clear_parked(app.config.origin.https);
    Ok((AppendHeaders([(header::SET_COOKIE, cleared)]), answer).into_response())
}

/// The row whose code this browser keeps, and under what.
async fn find(
    app: &App,
    headers: &HeaderMap,
) -> AppResult<Option<(WorkspaceId, [u8; 32], Pending)>> {
    let Some(secret) = cookie::parked(headers, app.config.origin.https) else {
        return Ok(None);
    };
    let hash = hash::sha256(secret.expose().as_bytes());
    let found = pending_connections::find(&app.db().await?, &hash).await?;
    let Some((workspace, id)) = found else {
        return Ok(None);
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let pending = pending_connections::get(&tenant, id).await?;
    tenant.commit().await?;
    let waits = |pending: &Pending| pending.sealed_code.is_some() && !pending.is_expired;
    Ok(pending
        .filter(waits)
        .map(|pending| (workspace, hash, pending)))
}

/// What is about to happen: which account, for which workspace, for which agent.
async fn question(app: &App, workspace: WorkspaceId, pending: &Pending) -> AppResult<String> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let here = workspaces::current(&tenant).await?;
    let here = here.map(|here| here.name).unwrap_or_default();
    let agent = pending.metadata["agentId"].as_str();
    let agent = match agent.and_then(|id| id.parse::<AgentId>().ok()) {
        Some(agent) => agents::get(&tenant, agent).await?.map(|agent| agent.name),
        None => None,
    };
    tenant.commit().await?;
    let service = catalogue::find(&pending.service);
    let service = service.map_or(&*pending.service, |service| &*service.display_name);
    let entry = |name: &str, text: &str| format!("<dt>{name}</dt><dd>{}</dd>", escaped(text));
    let renewed = match pending.reauth {
        Some(_) => "The connection that there is gets the new consent.",
        None => "A new connection is made.",
    };
    let why = match pending.asks_first {
        true => "This was begun with a personal token of yours, and not in this browser.",
        false => "The provider has sent you back while you were not signed in here.",
    };
    Ok(format!(
        "<p>{why} Nothing was connected yet. {renewed}</p><dl>{}{}{}{}{}</dl><form method=\"post\" action=\"/v1/connections/parked\">\
         <button name=\"decision\" value=\"connect\">Connect</button>\
         <button name=\"decision\" value=\"cancel\">Cancel</button></form>",
        entry("Account at", service),
        entry("Called", &pending.label),
        entry("For the workspace", &here),
        entry("Asked for by the agent", agent.as_deref().unwrap_or("none")),
        entry("It may", &pending.scopes.join(", ")),
    ))
}

async fn go_on(app: &App, workspace: WorkspaceId, pending: Pending) -> Result<Done, Failed> {
    may_connect(app, workspace, pending.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let client = clients::exactly(app, &tenant, &pending.provider, pending.oauth_app).await?;
    let client = client.ok_or_else(|| Failed::App(clients::missing(&pending.provider)))?;
    let key = vault::key(app, &tenant).await?;
    tenant.commit().await?;
    let about = about_of(&pending);
    let context = context(workspace, pending.id, CODE, &pending.token_url, &about);
    let sealed = pending.sealed_code.as_deref().unwrap_or_default();
    let code = key.open_pending(&context, sealed);
    let code = code.map_err(|_| Failed::told(UNKNOWN))?;
    by_code_to_its_end(app, workspace, pending, client, code).await
}

fn gone() -> Response {
    let body = "<p>Begin again where you wanted to connect an account.</p>";
    page(StatusCode::NOT_FOUND, "Nothing waits here", body)
}

fn not_yours() -> Response {
    let body = "<p>Somebody else began to connect this account. Nothing was connected. If a link led \
                you here that somebody sent you, tell whoever runs this installation.</p>";
    page(StatusCode::FORBIDDEN, "This is not yours to connect", body)
}
