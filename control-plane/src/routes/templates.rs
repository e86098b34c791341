//! Action templates and guards, for whoever writes a policy. Read only.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use ah5_contracts::id::ConnectionId;
use ah5_policy::templates::{Guard, Preset, Template, Tier};
use ah5_store::tenant::Tenant;
use ah5_store::{connections, policies};

use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};

/// A time zone is taken and has no meaning: templates have no time windows.
#[derive(Deserialize)]
pub struct Wanted {
    tier: Option<String>,
}

/// `GET /v1/templates/{provider}`
pub async fn list(Path(provider): Path<String>) -> AppResult {
    known(&provider)?;
    let templates = Template::of_provider(&provider).map(|template| {
        let made = template.generate(Tier::Standard);
        json!({
            "id": template.id, "name": template.name, "description": template.description,
            "provider": provider, "sensitive": template.writes(),
            "allowlists": made.allowlists,
        })
    });
    Ok(Json(json!({"templates": templates.collect::<Vec<_>>()})).into_response())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Purpose {
    connection_id: Option<String>,
    action_template_id: Option<String>,
}

/// `GET /v1/templates/{provider}/rules`, by provider, service or template. A connection, or the
/// template that its owner has in mind, makes it exact.
pub async fn rules(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    purpose: Result<Query<Purpose>, QueryRejection>,
) -> AppResult {
    let purpose = readable(purpose)?;
    let meant = purpose.action_template_id.as_deref();
    let template = match (meant.and_then(Template::find), &purpose.connection_id) {
        (None, Some(id)) => of_connection(&app, &caller, id).await?,
        (template, _) => template,
    };
    let fits = |template: &&Template| template.service == name || template.provider == name;
    let template = template.filter(fits);
    let template = template.or_else(|| Template::find(&name));
    // Without a word on the connection: the one that manages, as clients expect.
    let template = template.or_else(|| Template::of_service(&name).last());
    let (presets, provider) = match template {
        Some(template) => (Some(Preset::of(template)), &*template.provider),
        None => (Preset::of_provider(&name), &*name),
    };
    let presets = presets.ok_or_else(|| unknown(&name))?;
    Ok(Json(json!({
        "presets": presets.map(preset_json), "templates": single_rules(provider),
    }))
    .into_response())
}

/// The template that the connection's policy has, or that its scopes allow.
async fn of_connection(
    app: &App,
    caller: &Caller,
    id: &str,
) -> Result<Option<&'static Template>, AppError> {
    let id: ConnectionId = id.parse().map_err(|_| {
        AppError::bad_request("querystring/connectionId must match format \"uuid\"")
    })?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let Some(connection) = connections::lock(&tenant, id).await? else {
        return Ok(None);
    };
    let used = policies::template_of_connection(&tenant, id).await?;
    let used = used.and_then(|id| Template::find(&id));
    Ok(used.or_else(|| Template::for_grants(&connection.service, &connection.granted_scopes)))
}

fn preset_json(preset: Preset) -> Value {
    let mut json = json!({
        "id": preset.tier.as_str(), "name": preset.name, "description": preset.description,
        "rules": preset.rules,
        "recommended": {"defaultMode": preset.default_mode, "stepUpApproval": preset.step_up},
    });
    if let Some(label) = preset.rate_limit_label {
        json["rateLimitLabel"] = label.into();
    }
    json
}

fn single_rules(provider: &str) -> Vec<Value> {
    let guards = Guard::all().filter(|guard| has_rules(guard, provider));
    let single = guards.map(|guard| {
        json!({
            "id": guard.id, "name": guard.name, "description": guard.description,
            "provider": provider, "preset": guard.preset_tier.as_str(),
            "requestRules": guard.request_rules(provider),
            "responseRules": guard.response_rules(provider),
        })
    });
    single.collect()
}

/// `GET /v1/templates/{provider}/guards`
pub async fn guards(Path(provider): Path<String>) -> AppResult {
    known(&provider)?;
    let guards = Guard::all().filter(|guard| has_rules(guard, &provider));
    let guards: Vec<Value> = guards
        .map(|guard| {
            json!({
                "id": guard.id, "category": guard.category, "name": guard.name,
                "description": guard.description, "risk": guard.risk,
                "presetTier": guard.preset_tier.as_str(), "providers": [provider],
                "requestRules": guard.request_rules(&provider),
                "responseRules": guard.response_rules(&provider),
            })
        })
        .collect();
    let categories = CATEGORIES
        .map(|(id, name, description)| json!({"id": id, "name": name, "description": description}));
    Ok(Json(json!({"categories": categories, "guards": guards})).into_response())
}

/// # Errors
/// A name is given twice.
fn readable<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, AppError> {
    let Query(query) = query.map_err(|_| AppError::bad_request("querystring must be object"))?;
    Ok(query)
}

/// `GET /v1/templates/{template or service}/config?tier=`
pub async fn config(
    Path(name): Path<String>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> AppResult {
    let wanted = readable(wanted)?;
    let tier = wanted
        .tier
        .ok_or_else(|| AppError::bad_request("querystring must have required property 'tier'"))?;
    let tier = Tier::from_name(&tier).ok_or_else(|| {
        AppError::bad_request("querystring/tier must be equal to one of the allowed values")
    })?;
    let template = find(&name).ok_or_else(|| unknown(&name))?;
    let made = template.generate(tier);
    let mode = match tier {
        Tier::Minimal => "read_only",
        Tier::Standard => "read_write",
        Tier::Strict => "custom",
    };
    Ok(Json(json!({
        "allowlists": made.allowlists, "rateLimits": made.rate_limits, "timeWindows": [],
        "stepUpApproval": "never", "defaultMode": mode,
    }))
    .into_response())
}

fn find(name: &str) -> Option<&'static Template> {
    Template::find(name).or_else(|| Template::of_service(name).next())
}

fn has_rules(guard: &Guard, provider: &str) -> bool {
    !guard.request_rules(provider).is_empty() || !guard.response_rules(provider).is_empty()
}

fn known(provider: &str) -> Result<(), AppError> {
    if PROVIDERS.contains(&provider) {
        return Ok(());
    }
    let text = "params/provider must be equal to one of the allowed values";
    Err(AppError::bad_request(text))
}

fn unknown(name: &str) -> AppError {
    AppError::bad_request(format!("Unknown action template or service: {name}"))
}

const PROVIDERS: [&str; 12] = [
    "google",
    "microsoft",
    "telegram",
    "slack",
    "anthropic",
    "openai",
    "gemini",
    "openrouter",
    "notion",
    "trello",
    "jira",
    "email",
];
const CATEGORIES: [(&str, &str, &str); 8] = [
    (
        "content_safety",
        "Content safety",
        "What may be said and shown",
    ),
    ("messaging", "Messaging", "Sending to people"),
    ("file_sharing", "File sharing", "Who may see files"),
    ("calendar", "Calendar", "Events and their guests"),
    (
        "data_reading",
        "Data reading",
        "What may be read and taken away",
    ),
    ("destructive", "Destructive", "What cannot be undone"),
    ("admin", "Administration", "Settings of accounts"),
    ("llm_safety", "Model safety", "Prompts and their cost"),
];
