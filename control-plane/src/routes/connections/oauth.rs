//! Connecting an account by OAuth: a person is sent to the provider and comes back with a code. How it
//! goes there and back is [`crate::oauth`]'s; here are the routes.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use ah5_contracts::id::{AgentId, OAuthAppId, UserId, WorkspaceId};
use ah5_oauth::client::Client;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::service::{Credential, Service};
use ah5_store::agents;
use ah5_store::tenant::Tenant;

use super::check_label;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::oauth::begin::{self, Begun, Wanted};
use crate::oauth::{clients, scopes};

pub mod callback;
pub mod device;
pub mod navigate;
pub mod parked;
pub mod reauth;

/// `POST /v1/connections/start`
pub async fn start(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let begun = begin(&app, &caller, &input, None).await?;
    Ok(Json(begun).into_response())
}

/// The redirect URI is the one for all, or that of the provider that was named.
async fn begin(
    app: &App,
    caller: &Caller,
    input: &Input,
    provider: Option<&str>,
) -> AppResult<Begun> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let (client, wanted) = wanted(app, &tenant, caller, input).await?;
    let redirect_uri = match provider {
        Some(provider) if provider == wanted.provider => begin::redirect_uri_of(app, provider),
        Some(_) => return Err(AppError::bad_request("The service is another provider's")),
        None => begin::redirect_uri(app),
    };
    let begun = begin::begin(app, &tenant, &client, &wanted, redirect_uri).await?;
    tenant.commit().await?;
    Ok(begun)
}

/// What the body asks for, checked in the order that clients know.
async fn wanted(
    app: &App,
    tenant: &Tenant<'_>,
    caller: &Caller,
    input: &Input,
) -> AppResult<(Client, Wanted)> {
    let service = service(&input.text("service")?)?;
    let asked = scopes::given(input, service)?;
    if asked.is_empty() && service.credential != Credential::OauthCustom {
        return Err(no_scopes(service));
    }
    let client = client(app, tenant, service, input).await?;
    let label = input.optional_text("label")?;
    let label = label.unwrap_or_else(|| format!("{} connection", service.display_name));
    let wanted = Wanted {
        user: person(caller)?,
        provider: service.provider.clone(),
        service: service.id.clone(),
        label: check_label(&label)?,
        base_url: base_url(app, caller.workspace(), service, input)?,
        scopes: scopes::known(&asked, service, &client)?,
        reauth: None,
        metadata: metadata(tenant, input).await?,
        asks_first: caller.is_by_token(),
    };
    Ok((client, wanted))
}

fn service(id: &str) -> AppResult<&'static Service> {
    let Some(service) = catalogue::find(id) else {
        let ids: Vec<&str> = catalogue::services().iter().map(|it| &*it.id).collect();
        let text = format!("Invalid service. Must be one of: {}", ids.join(", "));
        return Err(AppError::bad_request(text));
    };
    if service.credential == Credential::BotToken {
        return Err(AppError::bad_request(format!(
            "{} uses bot tokens, not OAuth. Use POST /connections/bot-token instead.",
            service.display_name
        )));
    }
    Ok(service)
}

/// Of what is not connected by OAuth at all there are none.
fn no_scopes(service: &Service) -> AppError {
    let error = AppError::bad_request("scopes must not be empty for OAuth connections");
    let (takes, route) = match service.credential {
        Credential::ApiKey | Credential::Custom => ("a key", "api-key"),
        Credential::Email => ("a mailbox's password", "email"),
        Credential::BotToken | Credential::Oauth | Credential::OauthCustom => return error,
    };
    let name = &service.display_name;
    error.hint(format!(
        "{name} takes {takes}: POST /v1/connections/{route}."
    ))
}

async fn client(
    app: &App,
    tenant: &Tenant<'_>,
    service: &Service,
    input: &Input,
) -> AppResult<Client> {
    match service.credential {
        Credential::Oauth => clients::choose(app, tenant, &service.provider).await,
        Credential::OauthCustom => {
            let id: OAuthAppId = input.id("oauthAppId")?;
            let own = clients::exactly(app, tenant, &service.provider, Some(id)).await?;
            own.ok_or_else(|| AppError::not_found("OAuth app not found"))
        }
        _ => Err(clients::missing(&service.provider)),
    }
}

/// The service's own, or the connection's where each has one: never ours, never plain http but to whom
/// the operator exempts, never outside of what the service is pinned to.
fn base_url(
    app: &App,
    workspace: WorkspaceId,
    service: &Service,
    input: &Input,
) -> AppResult<String> {
    if let Some(base) = service.base_url() {
        return Ok(base.to_string());
    }
    let fault = |why: &dyn std::fmt::Display| AppError::bad_request(format!("body/baseUrl {why}"));
    let base = CanonicalUrl::parse(&input.text("baseUrl")?).map_err(|why| fault(&why))?;
    if base.query().is_some() {
        return Err(fault(&"must not have a query"));
    }
    if !crate::routes::oauth_apps::endpoints::may_call(app, workspace, &base) {
        return Err(fault(&"must be a public https URL, not ours"));
    }
    if !service.pins(&base) {
        let text = format!("is not one of {}'s", service.display_name);
        return Err(fault(&text));
    }
    Ok(base.to_string())
}

/// Shown to the person before a parked code is used. It gives the agent nothing: policies do.
async fn metadata(tenant: &Tenant<'_>, input: &Input) -> AppResult<Value> {
    let mut metadata = Map::new();
    if input.optional_text("agentId")?.is_some() {
        let agent: AgentId = input.id("agentId")?;
        if agents::get(tenant, agent).await?.is_none() {
            return Err(AppError::not_found("Agent not found in this workspace"));
        }
        metadata.insert("agentId".to_owned(), json!(agent));
    }
    Ok(metadata.into())
}

fn person(caller: &Caller) -> AppResult<UserId> {
    let nobody = || AppError::forbidden("This endpoint is not available to agents");
    caller.user().ok_or_else(nobody)
}
