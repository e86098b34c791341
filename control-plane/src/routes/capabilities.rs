//! What agents can be given, by the catalogue and its action templates, and what one agent has.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::Serialize;

use ah5_contracts::id::{AgentId, ConnectionId, PermissionRequestId};
use ah5_policy::templates::Template;
use ah5_providers::catalogue;
use ah5_providers::service::{Category, Credential, Service};
use ah5_store::oauth_apps;
use ah5_store::permission_requests::{self, PermissionRequest};
use ah5_store::policies::{self, InUse};
use ah5_store::tenant::Tenant;

use crate::app::{App, time};
use crate::auth::caller::Caller;
use crate::error::AppResult;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Services {
    services: Vec<Offered>,
    /// By provider.
    oauth_status: BTreeMap<&'static str, Availability>,
}

#[derive(Serialize)]
struct Offered {
    id: &'static str,
    name: &'static str,
    provider: &'static str,
    icon: &'static str,
    singleton: bool,
    actions: Vec<Action>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    id: &'static str,
    label: &'static str,
    description: &'static str,
    /// Whether calls need approval is up to the policy, not to the action.
    requires_approval: bool,
}

#[derive(Serialize)]
struct Availability {
    available: bool,
    /// Whose client it is.
    source: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mine {
    active_connections: Vec<Active>,
    pending_requests: Vec<Pending>,
    available_actions: Vec<Available>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Active {
    /// `null` where the agent names the service instead.
    connection_id: Option<ConnectionId>,
    service: String,
    provider: String,
    status: String,
    credential_type: &'static str,
    category: &'static str,
    display_name: String,
    label: String,
    action_template_id: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pending {
    id: PermissionRequestId,
    action_template_id: String,
    reason: String,
    requested_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Available {
    id: &'static str,
    service_id: &'static str,
    label: &'static str,
    description: &'static str,
    requires_approval: bool,
}

/// `GET /v1/capabilities/services`
pub async fn services(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut services: Vec<Offered> = Vec::new();
    for template in Template::all() {
        if services.iter().all(|known| known.id != template.service) {
            services.extend(catalogue::find(&template.service).map(offered));
        }
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let own = oauth_apps::list(&tenant).await?;
    tenant.commit().await?;
    let oauth_status = catalogue::dialects().map(|dialect| {
        let is_own = own.iter().any(|own| own.provider == dialect.provider);
        let installation = || app.config.oauth.lent(caller.workspace(), &dialect.provider);
        let source = match is_own {
            true => Some("bya"),
            false => installation().map(|_| "corporate"),
        };
        let available = source.is_some();
        (&*dialect.provider, Availability { available, source })
    });
    let body = Services {
        services,
        oauth_status: oauth_status.collect(),
    };
    Ok(Json(body).into_response())
}

/// `GET /v1/capabilities/me`
pub async fn me(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let agent: AgentId = caller.agent()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let used = policies::in_use(&tenant, agent).await?;
    let pending = permission_requests::pending_of(&tenant, agent).await?;
    tenant.commit().await?;
    let is_open = |template: &&Template| {
        let has = |used: &InUse| used.policy.action_template.as_deref() == Some(&template.id);
        let asked = |request: &PermissionRequest| request.action_template == template.id;
        !used.iter().any(has) && !pending.iter().any(asked)
    };
    let available_actions = Template::all().filter(is_open).map(available).collect();
    let body = Mine {
        available_actions,
        active_connections: used.into_iter().map(active).collect(),
        pending_requests: pending.into_iter().map(waiting).collect(),
    };
    Ok(Json(body).into_response())
}

fn offered(service: &'static Service) -> Offered {
    let actions = Template::of_service(&service.id).map(|template| Action {
        id: &template.id,
        label: &template.name,
        description: &template.description,
        requires_approval: false,
    });
    Offered {
        id: &service.id,
        name: &service.display_name,
        provider: &service.provider,
        icon: &service.icon,
        singleton: service.singleton,
        actions: actions.collect(),
    }
}

fn active(used: InUse) -> Active {
    let policy = used.policy;
    let service = catalogue::find(&policy.connection_service);
    let singleton = service.is_some_and(|service| service.singleton);
    Active {
        connection_id: (!singleton).then_some(policy.connection),
        credential_type: service.map_or("custom", |service| credential_type(service.credential)),
        category: service.map_or("data", |service| category(service.category)),
        display_name: service.map_or_else(
            || policy.connection_service.clone(),
            |service| service.display_name.clone(),
        ),
        service: policy.connection_service,
        provider: policy.connection_provider,
        status: used.connection_status,
        label: policy.connection_label,
        action_template_id: policy.action_template,
    }
}

fn waiting(request: PermissionRequest) -> Pending {
    Pending {
        id: request.id,
        action_template_id: request.action_template,
        reason: request.reason,
        requested_at: time(request.created_at),
    }
}

fn available(template: &'static Template) -> Available {
    Available {
        id: &template.id,
        service_id: &template.service,
        label: &template.name,
        description: &template.description,
        requires_approval: false,
    }
}

/// How an account of the service is connected, as clients know it.
pub(super) const fn credential_type(credential: Credential) -> &'static str {
    match credential {
        Credential::ApiKey => "api_key",
        Credential::BotToken => "bot_token",
        Credential::Custom => "custom",
        Credential::Email => "email",
        Credential::Oauth | Credential::OauthCustom => "oauth",
    }
}

const fn category(category: Category) -> &'static str {
    match category {
        Category::Communication => "communication",
        Category::Data => "data",
        Category::Llm => "llm",
    }
}
