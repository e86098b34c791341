//! The browser is back from the provider. It completes only in a live session of the very person who
//! began, if they still may; without that session, or if it was begun with a token and so not in this
//! browser, the code waits unused ([`super::parked`]).

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};

use ah5_contracts::id::{PendingConnectionId, UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_oauth::client::{Client, Dialect};
use ah5_security::secret::SecretText;
use ah5_security::{hash, random};
use ah5_store::members;
use ah5_store::pending_connections::{self, Pending};
use ah5_store::tenant::Tenant;
use url::form_urlencoded;

use crate::app::App;
use crate::auth::cookie;
use crate::error::{AppError, AppResult};
use crate::oauth::begin::{self, CODE, about_of, context, redirect_uri, redirect_uri_of};
use crate::oauth::clients;
use crate::oauth::complete::{EXPIRED, Failed, by_code_to_its_end};
use crate::oauth::finish::Done;
use crate::routes::session::current;
use crate::vault;

/// `GET /api/connections/callback`: where providers know us; the next one does the work.
pub async fn forward(RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish();
    found(&format!("/v1/connections/callback?{query}"))
}

/// `GET /v1/connections/callback`
pub async fn callback(
    State(app): State<App>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> AppResult {
    let at = redirect_uri(&app);
    Ok(come_back(&app, &headers, &at, query.as_deref()).await)
}

/// `GET /v1/oauth/{provider}/callback`
pub async fn callback_of(
    State(app): State<App>,
    Path(provider): Path<String>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> AppResult {
    let at = redirect_uri_of(&app, &provider);
    Ok(come_back(&app, &headers, &at, query.as_deref()).await)
}

async fn come_back(app: &App, headers: &HeaderMap, at: &str, query: Option<&str>) -> Response {
    match arrive(app, headers, at, query.unwrap_or_default()).await {
        Ok(Arrived::Connected(done)) => connected(app, &done),
        Ok(Arrived::Parked(secret)) => {
            let https = app.config.origin.https;
            let cookie = cookie::set_parked(&secret, https, PARKED_SECONDS);
            (AppendHeaders([(header::SET_COOKIE, cookie)]), found(PARKED)).into_response()
        }
        Err(failed) => not_connected(app, &failed),
    }
}

enum Arrived {
    Connected(Done),
    /// With the secret that the browser keeps.
    Parked(SecretText),
}

async fn arrive(app: &App, headers: &HeaderMap, at: &str, query: &str) -> Result<Arrived, Failed> {
    if let Some(error) = one(query, "error") {
        let more = one(query, "error_description");
        return Err(Failed::Told(shown(&more.unwrap_or(error))));
    }
    let (Some(code), Some(state)) = (one(query, "code"), one(query, "state")) else {
        return Err(Failed::told("Missing code or state parameter"));
    };
    let code = SecretText::new(code);
    let state_hash = hash::sha256(state.as_bytes());
    let unknown = || Failed::told(UNKNOWN);
    let found = pending_connections::find(&app.db().await?, &state_hash).await?;
    let (workspace, id) = found.ok_or_else(unknown)?;

    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    // At another provider's address, or after it was parked, it is not told that there is one.
    let pending = pending_connections::get(&tenant, id).await?;
    let pending =
        pending.filter(|it| it.redirect_uri.as_deref() == Some(at) && it.sealed_code.is_none());
    let pending = pending.ok_or_else(unknown)?;
    let client = match checked(app, &tenant, &pending, one(query, "iss").as_deref()).await {
        Ok(client) => client,
        Err(failed) => {
            pending_connections::delete(&tenant, id).await?;
            tenant.commit().await?;
            return Err(failed);
        }
    };
    tenant.commit().await?;
    drop(db);

    if pending.asks_first || !is_here(app, headers, pending.user).await? {
        let parked = park(app, workspace, (id, &pending), &state_hash, &code).await?;
        return Ok(Arrived::Parked(parked));
    }
    let pending = take(app, workspace, id, &state_hash).await?;
    may_connect(app, workspace, pending.user).await?;
    let done = by_code_to_its_end(app, workspace, pending, client, code).await?;
    Ok(Arrived::Connected(done))
}

/// Before the code is shown to anybody: the row's time, its client as it was, and that the answer is of
/// this client's provider (RFC 9207 §2.4).
async fn checked(
    app: &App,
    tenant: &Tenant<'_>,
    pending: &Pending,
    issuer: Option<&str>,
) -> Result<Client, Failed> {
    if pending.is_expired {
        return Err(Failed::told(EXPIRED));
    }
    let client = clients::exactly(app, tenant, &pending.provider, pending.oauth_app).await?;
    let client = client.ok_or_else(|| Failed::App(clients::missing(&pending.provider)))?;
    if begin::token_url(&client)? != pending.token_url {
        return Err(Failed::told(EXPIRED));
    }
    let mixed_up = match (client.issuer(), issuer) {
        (Some(known), Some(given)) => known != given,
        (Some(_), None) => client.dialect.checks_issuer,
        // One that does not say who it is answers for nobody else either.
        (None, Some(_)) => matches!(client.dialect, Dialect::Own(_)),
        (None, None) => false,
    };
    if mixed_up {
        tracing::warn!(
            provider = pending.provider,
            "an answer of another issuer was refused"
        );
        return Err(Failed::told("The answer is from another issuer"));
    }
    Ok(client)
}

/// Of several who come with the same one gets it.
pub async fn take(
    app: &App,
    workspace: WorkspaceId,
    id: PendingConnectionId,
    hash: &[u8],
) -> Result<Pending, Failed> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let taken = pending_connections::take(&tenant, id, hash).await?;
    tenant.commit().await?;
    taken.ok_or_else(|| Failed::told(UNKNOWN))
}

/// Whether this browser is signed in as this person.
pub async fn is_here(app: &App, headers: &HeaderMap, user: UserId) -> Result<bool, AppError> {
    let here = current(app, headers).await?;
    Ok(here.is_some_and(|here| here.user == user && !here.user_disabled))
}

/// Whether the person still holds in the workspace what connecting takes.
pub async fn may_connect(app: &App, workspace: WorkspaceId, user: UserId) -> Result<(), Failed> {
    let memberships = members::of_user(&app.db().await?, user).await?;
    let mut here = memberships.iter().filter(|it| it.workspace == workspace);
    match here.any(|it| it.role >= Role::Admin) {
        true => Ok(()),
        false => Err(Failed::told(
            "You may not connect accounts in this workspace",
        )),
    }
}

async fn park(
    app: &App,
    workspace: WorkspaceId,
    (id, pending): (PendingConnectionId, &Pending),
    state_hash: &[u8],
    code: &SecretText,
) -> Result<SecretText, Failed> {
    let secret = random::token("");
    let parked_hash = hash::sha256(secret.expose().as_bytes());
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let key = vault::key(app, &tenant).await?;
    let about = about_of(pending);
    let context = context(workspace, id, CODE, &pending.token_url, &about);
    let sealed = key.seal_pending(&context, code);
    let kept = (&*sealed, &parked_hash[..]);
    let parked = pending_connections::park(&tenant, id, state_hash, kept, PARKED_SECONDS).await?;
    tenant.commit().await?;
    if parked {
        Ok(secret)
    } else {
        Err(Failed::told(UNKNOWN))
    }
}

pub fn connected(app: &App, done: &Done) -> Response {
    let mut query = format!("success=true&connectionId={}", done.connection);
    if let Some(policy) = done.policy {
        query += &format!("&policyId={policy}");
    }
    found(&format!("{}{PAGE}?{query}", app.config.origin.text))
}

pub fn not_connected(app: &App, failed: &Failed) -> Response {
    let text: String = form_urlencoded::byte_serialize(failed.text().as_bytes()).collect();
    let text = text.replace('+', "%20");
    found(&format!("{}{PAGE}?error={text}", app.config.origin.text))
}

fn found(location: &str) -> Response {
    let location = HeaderValue::from_str(location);
    let location = location.unwrap_or(HeaderValue::from_static(PAGE));
    (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
}

/// A parameter that is there once; more than once counts as none (RFC 6749 §3.1).
fn one(query: &str, name: &str) -> Option<String> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name);
    let value = values.next()?.1.into_owned();
    let bounded = !value.is_empty() && value.len() <= MAX_PARAMETER;
    (bounded && values.next().is_none()).then_some(value)
}

/// Anybody can put words here: a person reads them as text.
fn shown(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    clean.take(MAX_SHOWN).collect()
}

/// The page of connections, which the browser ends at.
const PAGE: &str = "/dashboard/connections";
const PARKED: &str = "/v1/connections/parked";
/// How long a code waits for the person to sign in.
const PARKED_SECONDS: i32 = 10 * 60;
pub const UNKNOWN: &str = "Invalid or expired state parameter";
const MAX_PARAMETER: usize = 8 * 1024;
const MAX_SHOWN: usize = 300;
