//! The first step of approving: where the person goes on to connect an account and give the agent a
//! policy. The request stays pending until that is done.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::Serialize;
use url::form_urlencoded::Serializer;

use ah5_policy::templates::Template;
use ah5_providers::catalogue;
use ah5_providers::service::{Credential, Service};
use ah5_store::permission_requests::PermissionRequest;
use ah5_store::tenant::Tenant;

use super::{TIERS, find, resolved};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;
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
        let provider = &service.provider;
        let text = format!("No OAuth credentials available for provider \"{provider}\"");
        return Err(AppError::bad_request(text)
            .hint("Accounts of this provider cannot be connected at this installation yet."));
    }
    let body = Next {
        credential_type: credential_type(service.credential),
        service: &service.id,
        redirect_url: tier.map(|tier| page(&request, service, tier, &models)),
    };
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
