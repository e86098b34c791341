//! Action templates and guards, for whoever writes a policy. Read only.

use axum::Json;
use axum::extract::{Path, Query};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use ah5_policy::templates::{Guard, Template, Tier};

use crate::error::{AppError, AppResult};

#[derive(Deserialize)]
pub struct Wanted {
    tier: Option<String>,
}

/// `GET /v1/templates/{provider}`
pub async fn list(Path(provider): Path<String>) -> AppResult {
    known(&provider)?;
    let templates = of(&provider).map(|template| {
        let made = template.generate(Tier::Standard);
        json!({
            "id": template.id, "name": template.name, "description": template.name,
            "provider": provider, "sensitive": !template.id.ends_with("-read"),
            "allowlists": made.allowlists,
        })
    });
    Ok(Json(json!({"templates": templates.collect::<Vec<_>>()})).into_response())
}

/// `GET /v1/templates/{provider}/rules`, by provider, service or template.
pub async fn rules(Path(name): Path<String>) -> AppResult {
    let template = find(&name).or_else(|| of(&name).next());
    let template = template.ok_or_else(|| unknown(&name))?;
    let presets = [Tier::Minimal, Tier::Standard, Tier::Strict].map(|tier| {
        let (title, mode, step_up) = match tier {
            Tier::Minimal => ("⚠️ Minimal Protection", "read_write", "never"),
            Tier::Standard => ("🛡️ Balanced Protection", "read_write", "risk_based"),
            Tier::Strict => ("🔒 Strict Protection", "custom", "always"),
        };
        json!({
            "id": tier.as_str(), "name": title, "description": template.name,
            "rules": template.generate(tier).rules,
            "recommended": {"defaultMode": mode, "stepUpApproval": step_up},
        })
    });
    let guards = Guard::all().filter(|guard| has_rules(guard, &template.provider));
    let single = guards.map(|guard| {
        json!({
            "id": guard.id, "name": guard.name, "description": guard.description,
            "provider": template.provider, "preset": guard.preset_tier.as_str(),
            "requestRules": guard.request_rules(&template.provider),
            "responseRules": guard.response_rules(&template.provider),
        })
    });
    let single: Vec<Value> = single.collect();
    Ok(Json(json!({"presets": presets, "templates": single})).into_response())
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

/// `GET /v1/templates/{template or service}/config?tier=`
pub async fn config(Path(name): Path<String>, Query(wanted): Query<Wanted>) -> AppResult {
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
    Template::find(name).or_else(|| Template::all().find(|template| template.service == name))
}

fn of(provider: &str) -> impl Iterator<Item = &'static Template> {
    Template::all().filter(move |template| template.provider == provider)
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
