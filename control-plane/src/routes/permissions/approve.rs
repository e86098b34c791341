//! The first step of approving: where the person goes on to connect an account and give the agent a
//! policy. The request stays pending until that is done.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;
use url::form_urlencoded::Serializer;

use ah5_policy::templates::Template;
use ah5_providers::catalogue;
use ah5_providers::service::{Credential, Service};
use ah5_store::pending_connections;
use ah5_store::permission_requests::PermissionRequest;
use ah5_store::tenant::Tenant;

use super::{TIERS, find, resolved};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::oauth::begin::{self, Wanted};
use crate::oauth::{clients, scopes};
use crate::routes::capabilities::credential_type;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    credential_type: &'static str,
    service: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
}

/// `POST /v1/agent-permission-requests/{id}/approve`
pub async fn approve(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let tier = input.one_of("policyTier", &TIERS)?;
    let models = models(&input)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let request = find(&tenant, id.parse()?).await?;
    tenant.commit().await?;
    if request.status != "pending" {
        return Err(resolved(&request.status));
    }
    let service = service_of(&request)?;
    if service.credential == Credential::Oauth {
        if models.contains('A') {
            let text = "A template's policy hands out no tokens (Model A). Allowed: B";
            return Err(AppError::bad_request(text));
        }
        return consent(&app, &caller, &request, service, tier).await;
    }
    let body = Next {
        credential_type: credential_type(service.credential),
        service: &service.id,
        redirect_url: tier.map(|tier| page(&request, service, tier, &models)),
    };
    Ok(Json(body).into_response())
}

/// Where an account is connected by OAuth: what the template needs is asked for, and with a tier the
/// policy is made when the person is back.
async fn consent(
    app: &App,
    caller: &Caller,
    request: &PermissionRequest,
    service: &Service,
    tier: Option<&str>,
) -> AppResult {
    let nobody = || AppError::forbidden("This endpoint is not available to agents");
    let user = caller.user().ok_or_else(nobody)?;
    let template = Template::find(&request.action_template);
    let needed = template.map(|template| template.scopes().to_vec());
    let needed = needed.filter(|scopes| !scopes.is_empty());
    let needed = needed.unwrap_or_else(|| scopes::defaults(service));
    let base = service.base_url().map(ToString::to_string);
    let no_base = || AppError::internal("a template for a service without a base URL");
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let client = clients::choose(app, &tenant, &service.provider).await?;
    let mut metadata = json!({
        "agentId": request.agent, "actionTemplateId": request.action_template,
        "permissionRequestId": request.id,
    });
    if let Some(tier) = tier {
        metadata["policyTier"] = tier.into();
    }
    let name = template.map_or(&*request.action_template, |template| &*template.name);
    let wanted = Wanted {
        user,
        provider: service.provider.clone(),
        service: service.id.clone(),
        label: format!("{} - {name}", service.display_name),
        base_url: base.ok_or_else(no_base)?,
        scopes: scopes::known(&needed, service, &client)?,
        reauth: None,
        metadata,
        asks_first: caller.is_by_token(),
    };
    // Only the last one leads anywhere.
    pending_connections::delete_of_request(&tenant, request.id).await?;
    let redirect_uri = begin::redirect_uri(app);
    let begun = begin::begin(app, &tenant, &client, &wanted, redirect_uri).await?;
    tenant.commit().await?;
    let body = json!({
        "credentialType": "oauth", "pendingConnectionId": begun.pending_connection_id,
        "authorizationUrl": begun.authorization_url, "client": begun.client,
    });
    Ok(Json(body).into_response())
}

fn service_of(request: &PermissionRequest) -> Result<&'static Service, AppError> {
    let template = Template::find(&request.action_template);
    let service = template.and_then(|template| catalogue::find(&template.service));
    service.ok_or_else(|| {
        let id = &request.action_template;
        AppError::bad_request(format!("Invalid service for action template: {id}"))
    })
}

/// The dashboard's page, with all it needs filled in.
fn page(request: &PermissionRequest, service: &Service, tier: &str, models: &str) -> String {
    let query = Serializer::new(String::new())
        .append_pair("service", &service.id)
        .append_pair("agentId", &request.agent.to_string())
        .append_pair("actionTemplateId", &request.action_template)
        .append_pair("policyTier", tier)
        .append_pair("permissionRequestId", &request.id.to_string())
        .append_pair("allowedModels", models)
        .finish();
    format!("/dashboard/connections?{query}")
}

/// With commas between.
fn models(input: &Input) -> Result<String, AppError> {
    let Some(given) = input.value("allowedModels") else {
        return Ok("B".to_owned());
    };
    let given = given
        .as_array()
        .ok_or_else(|| AppError::bad_request("body/allowedModels must be array"))?;
    let has = |model: &str| given.iter().any(|given| given == model);
    if given.iter().any(|model| model != "A" && model != "B") {
        return Err(AppError::bad_request(
            "body/allowedModels must be equal to one of the allowed values",
        ));
    }
    let models: Vec<&str> = ["A", "B"].into_iter().filter(|model| has(model)).collect();
    if models.is_empty() {
        return Err(AppError::bad_request(
            "body/allowedModels must NOT have fewer than 1 items",
        ));
    }
    Ok(models.join(","))
}
