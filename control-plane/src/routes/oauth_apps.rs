//! OAuth clients that a workspace has registered at providers itself. Whoever sets one up decides where
//! people's consents go, so it takes recent proof, and the owner is told.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::{OAuthAppId, WorkspaceId};
use ah5_oauth::client::{Client, Dialect, dialect_of};
use ah5_providers::catalogue;
use ah5_providers::custom;
use ah5_security::secret::SecretText;
use ah5_store::connections;
use ah5_store::oauth_apps::{self, OAuthApp, Saved};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::oauth::{begin, clients};
use crate::owners::tell_owners;
use crate::routes::connections::oauth::reauth::{APP_CHANGED, APP_DELETED};

pub mod endpoints;

/// `GET /v1/workspace-oauth-apps`
pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = oauth_apps::list(&tenant).await?;
    tenant.commit().await?;
    let apps: Vec<Value> = found.iter().map(|it| shown(&app, it)).collect();
    let body = json!({"apps": apps, "callbackUrl": begin::redirect_uri(&app)});
    Ok(Json(body).into_response())
}

/// `POST /v1/workspace-oauth-apps`: a new one, or other words for the one of this provider.
pub async fn save(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let given = Given::read(&app, caller.workspace(), &input)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let old = old(&tenant, &given).await?;
    let id = old.as_ref().map_or_else(OAuthAppId::random, |old| old.id);
    let version = old.as_ref().map_or(1, |old| old.version + 1);
    let client = given.client(id)?;
    let sealed = match &given.secret {
        Some(secret) => Some(clients::seal(&app, &tenant, (id, version), &client, secret).await?),
        None => None,
    };
    let saved = Saved {
        id,
        provider: &given.provider,
        client_id: &given.client_id,
        sealed_secret: sealed.as_deref(),
        version,
        tenant_id: given.tenant.as_deref(),
        endpoints: given.endpoints.as_ref(),
        label: &given.label,
    };
    let saved = oauth_apps::save(&tenant, &saved).await?;
    // What was consented to for another client, or is shown to another endpoint, is good no more.
    let affected = match &old {
        Some(old) if is_another(old, &client) => {
            connections::end_of_app(&tenant, id, APP_CHANGED).await?
        }
        _ => 0,
    };
    let mut details = details(&saved);
    details["affectedConnections"] = affected.into();
    let record = Record::new(caller.actor(), Action::OauthAppSaved, details);
    tell_owners(&app, &tenant, record).await?;
    tenant.commit().await?;
    let status = match old {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    Ok((status, Json(shown(&app, &saved))).into_response())
}

/// `DELETE /v1/workspace-oauth-apps/{id}`. Its connections need a person from then on; none goes over to
/// the installation's client by itself.
pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: OAuthAppId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = oauth_apps::get(&tenant, id).await?.ok_or_else(unknown)?;
    let affected = connections::end_of_app(&tenant, id, APP_DELETED).await?;
    oauth_apps::delete(&tenant, id).await?;
    let mut details = details(&found);
    details["affectedConnections"] = affected.into();
    let record = Record::new(caller.actor(), Action::OauthAppDeleted, details);
    tell_owners(&app, &tenant, record).await?;
    tenant.commit().await?;
    let body = json!({"deleted": true, "affectedConnections": affected});
    Ok(Json(body).into_response())
}

/// The body, checked.
struct Given {
    /// Of a provider of the workspace's own there may be several: which one is meant.
    id: Option<OAuthAppId>,
    provider: String,
    client_id: String,
    secret: Option<SecretText>,
    tenant: Option<String>,
    endpoints: Option<Value>,
    label: String,
}

// === impl Given ===

impl Given {
    fn read(app: &App, workspace: WorkspaceId, input: &Input) -> AppResult<Self> {
        let providers: Vec<&str> = catalogue::dialects().map(|it| &*it.provider).collect();
        let known = [&providers[..], &[custom::PROVIDER]].concat();
        // Missing is another fault than unknown.
        input.text("provider")?;
        let provider = input.one_of("provider", &known)?.unwrap_or_default();
        let is_own = provider == custom::PROVIDER;
        let client_id = required(input, "clientId", MAX_CLIENT_ID)?;
        let secret = match input.has("clientSecret") || !is_own {
            true => Some(SecretText::new(required(
                input,
                "clientSecret",
                MAX_SECRET,
            )?)),
            false => None,
        };
        let dialect = catalogue::oauth(provider);
        let has_tenants = dialect.is_some_and(|dialect| dialect.default_tenant.is_some());
        let tenant = input.optional_text("tenantId")?;
        Ok(Self {
            id: match is_own && input.value("id").is_some() {
                true => Some(input.id("id")?),
                false => None,
            },
            client_id,
            secret,
            tenant: tenant.filter(|tenant| has_tenants && !tenant.is_empty()),
            endpoints: match is_own {
                true => Some(endpoints::read(app, workspace, input)?),
                false => None,
            },
            label: label(input)?,
            provider: provider.to_owned(),
        })
    }

    /// Without its secret.
    fn client(&self, id: OAuthAppId) -> AppResult<Client> {
        let dialect: Option<Dialect> = dialect_of(&self.provider, self.endpoints.as_ref());
        let client = Client {
            dialect: dialect.ok_or_else(|| AppError::internal("a provider without a dialect"))?,
            app: Some(id),
            id: self.client_id.clone(),
            secret: None,
            tenant: self.tenant.clone(),
        };
        let usable = client.token_url().is_some() && client.authorize_url().is_some();
        let fault = || AppError::bad_request("body/tenantId must be a directory's id or name");
        usable.then_some(client).ok_or_else(fault)
    }
}

async fn old(tenant: &Tenant<'_>, given: &Given) -> AppResult<Option<OAuthApp>> {
    match given.id {
        Some(id) => {
            let found = oauth_apps::get(tenant, id).await?;
            let found = found.filter(|found| found.provider == given.provider);
            found.map(Some).ok_or_else(unknown)
        }
        None if given.endpoints.is_some() => {
            if oauth_apps::list(tenant).await?.len() >= MAX_APPS {
                let text = format!("A workspace has at most {MAX_APPS} OAuth apps");
                return Err(AppError::conflict(text));
            }
            Ok(None)
        }
        None => Ok(oauth_apps::of_provider(tenant, &given.provider).await?),
    }
}

fn is_another(old: &OAuthApp, new: &Client) -> bool {
    let before = Client::of_app(old, None);
    let token_url = before.as_ref().and_then(clients::token_url);
    old.client_id != new.id || token_url != clients::token_url(new)
}

fn label(input: &Input) -> AppResult<String> {
    let label = input.text("label")?;
    let label = label.trim();
    let fault = match label.chars().count() {
        0 => "body/label must NOT have fewer than 1 characters",
        1..=100 => return Ok(label.to_owned()),
        _ => "body/label must NOT have more than 100 characters",
    };
    Err(AppError::bad_request(fault))
}

/// Legal in a form, a header and a URL.
fn required(input: &Input, name: &str, most: usize) -> AppResult<String> {
    let text = input.text(name)?;
    let text = text.trim();
    let must = |why: &str| AppError::bad_request(format!("body/{name} must {why}"));
    if text.is_empty() {
        return Err(must("NOT have fewer than 1 characters"));
    }
    if text.len() > most || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Err(must(&format!("be at most {most} printable characters")));
    }
    Ok(text.to_owned())
}

fn shown(app: &App, own: &OAuthApp) -> Value {
    let mut shown = json!({
        "id": own.id, "provider": own.provider, "clientId": own.client_id,
        "tenantId": own.tenant_id, "label": own.label, "createdAt": time(own.created_at),
        "updatedAt": time(own.updated_at),
    });
    if let Some(endpoints) = &own.endpoints {
        shown["endpoints"] = endpoints.clone();
        // To be registered there.
        shown["callbackUrl"] = begin::redirect_uri_of_app(app, own.id).into();
    }
    shown
}

fn details(app: &OAuthApp) -> Value {
    json!({
        "oauthAppId": app.id, "provider": app.provider, "clientId": app.client_id,
        "name": app.label,
    })
}

fn unknown() -> AppError {
    AppError::not_found("OAuth app not found")
}

const MAX_CLIENT_ID: usize = 512;
const MAX_SECRET: usize = 2048;
const MAX_APPS: usize = 50;
