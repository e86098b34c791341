//! A consent's way out: what is kept of it until the person is back, and where the browser is sent.

use ah5_contracts::id::{ConnectionId, OAuthAppId, PendingConnectionId, UserId, WorkspaceId};
use ah5_oauth::authorize::{self, Consent};
use ah5_oauth::client::{Client, Dialect};
use ah5_security::vault::PendingContext;
use ah5_security::{hash, random};
use ah5_store::pending_connections::{self, By, New, Pending};
use ah5_store::tenant::Tenant;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{AppError, AppResult};
use crate::{room, vault};

use super::clients;

/// What is to be connected.
pub struct Wanted {
    pub user: UserId,
    pub provider: String,
    pub service: String,
    pub label: String,
    pub base_url: String,
    pub scopes: Vec<String>,
    pub reauth: Option<ConnectionId>,
    pub metadata: Value,
    /// Nobody has said in a browser of ours that they want it.
    pub asks_first: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Begun {
    pub pending_connection_id: PendingConnectionId,
    pub authorization_url: String,
    /// Whose client it is.
    pub client: &'static str,
}

/// Where providers send browsers back to.
pub fn redirect_uri(app: &App) -> String {
    format!("{}/api/connections/callback", app.config.origin.text)
}

/// The same with the provider's name, so that no other's answer is taken for its own.
pub fn redirect_uri_of(app: &App, provider: &str) -> String {
    format!("{}/v1/oauth/{provider}/callback", app.config.origin.text)
}

/// Of a client whose provider only the workspace knows, an address of its own: that provider could send
/// people on to another one, whose answer would come back as if it were its own.
fn redirect_uri_by(app: &App, client: &Client, shared: String) -> String {
    match (&client.dialect, client.app) {
        (Dialect::Own(_), Some(id)) => redirect_uri_of_app(app, id),
        _ => shared,
    }
}

pub fn redirect_uri_of_app(app: &App, id: OAuthAppId) -> String {
    redirect_uri_of(app, &format!("custom-{id}"))
}

/// `shared` is where other clients of its provider come back to.
pub async fn begin(
    app: &App,
    tenant: &Tenant<'_>,
    client: &Client,
    wanted: &Wanted,
    shared: String,
) -> AppResult<Begun> {
    if wanted.reauth.is_none() {
        room::check(app, tenant).await?;
    }
    let redirect_uri = &*redirect_uri_by(app, client, shared);
    let (state, verifier) = (random::token(""), authorize::verifier());
    let consent = Consent {
        redirect_uri,
        scopes: &wanted.scopes,
        state: state.expose(),
        verifier: &verifier,
    };
    let nowhere = || AppError::internal("a client without an authorization endpoint");
    let authorization_url = authorize::url(client, &consent).ok_or_else(nowhere)?;
    let state_hash = hash::sha256(state.expose().as_bytes());
    let by = By::Browser {
        state_hash: &state_hash,
        redirect_uri,
    };
    let (id, token_url) = (PendingConnectionId::random(), token_url(client)?);
    let about = wanted.about(client);
    let context = context(tenant.workspace(), id, SECRET, &token_url, &about);
    let sealed = vault::key(app, tenant)
        .await?
        .seal_pending(&context, &verifier);
    keep(
        tenant,
        client,
        wanted,
        (id, &token_url),
        &sealed,
        by,
        LIFE_SECONDS,
    )
    .await?;
    Ok(Begun {
        pending_connection_id: id,
        authorization_url,
        client: clients::called(client),
    })
}

/// Keeps what was begun.
pub async fn keep(
    tenant: &Tenant<'_>,
    client: &Client,
    wanted: &Wanted,
    (id, token_url): (PendingConnectionId, &str),
    sealed_secret: &[u8],
    by: By<'_>,
    life_seconds: i32,
) -> AppResult<()> {
    let new = New {
        id,
        user: wanted.user,
        provider: &wanted.provider,
        service: &wanted.service,
        label: &wanted.label,
        base_url: &wanted.base_url,
        oauth_app: client.app,
        token_url,
        scopes: &wanted.scopes,
        reauth: wanted.reauth,
        metadata: &wanted.metadata,
        sealed_secret,
        by,
        asks_first: wanted.asks_first,
        life_seconds,
    };
    if pending_connections::insert(tenant, &new).await? {
        return Ok(());
    }
    let text = "Too many connections of this workspace are under way";
    Err(AppError::new(StatusCode::TOO_MANY_REQUESTS, text).retry_after(60))
}

pub fn token_url(client: &Client) -> AppResult<String> {
    let nowhere = || AppError::internal("a client without a token endpoint");
    clients::token_url(client).ok_or_else(nowhere)
}

pub const fn context<'a>(
    workspace: WorkspaceId,
    pending: PendingConnectionId,
    field: &'a str,
    token_url: &'a str,
    about: &'a str,
) -> PendingContext<'a> {
    PendingContext {
        workspace,
        pending,
        field,
        token_url,
        about,
    }
}

/// Who began it, and for what: written into the row by us, or its secrets do not open.
pub fn about(
    user: UserId,
    (service, base_url): (&str, &str),
    app: Option<OAuthAppId>,
    reauth: Option<ConnectionId>,
    asks_first: bool,
) -> String {
    let mut about = vec![
        json!(user),
        json!(service),
        json!(base_url),
        json!(app),
        json!(reauth),
    ];
    if asks_first {
        about.push(json!("asks first"));
    }
    Value::Array(about).to_string()
}

pub fn about_of(pending: &Pending) -> String {
    let place = (&*pending.service, &*pending.base_url);
    about(
        pending.user,
        place,
        pending.oauth_app,
        pending.reauth,
        pending.asks_first,
    )
}

// === impl Wanted ===

impl Wanted {
    pub fn about(&self, client: &Client) -> String {
        let place = (&*self.service, &*self.base_url);
        about(self.user, place, client.app, self.reauth, self.asks_first)
    }
}

/// What a pending row seals: verifier or device code, and a code that waits.
pub const SECRET: &str = "secret";
pub const CODE: &str = "code";
/// From leaving for the provider to being back.
const LIFE_SECONDS: i32 = 15 * 60;
