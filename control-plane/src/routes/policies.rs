//! Policies: written here, compiled before they are stored, so that what a data plane finds in the
//! database compiles too.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::id::{AgentId, ConnectionId, PolicyId};
use ah5_contracts::policy::Method;
use ah5_policy::{CompiledPolicy, PolicySource};
use ah5_providers::custom;
use ah5_store::policies::{self, Policy, Settings};
use ah5_store::tenant::Tenant;
use ah5_store::{agents, connections};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

const MODES: [&str; 3] = ["read_only", "read_write", "custom"];
const STEP_UPS: [&str; 3] = ["always", "risk_based", "never"];
const PRESETS: [&str; 3] = ["minimal", "standard", "strict"];

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let (agent, connection): (AgentId, ConnectionId) =
        (input.id("agentId")?, input.id("connectionId")?);
    let mut draft = Draft::default();
    draft.read(&input)?;
    if let Some(allowlists) = input.value("allowlists") {
        draft.allowlists = checked_allowlists(&app, allowlists)?;
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if agents::get(&tenant, agent).await?.is_none() {
        return Err(AppError::not_found("Agent not found in this workspace"));
    }
    if connections::lock(&tenant, connection)
        .await?
        .is_none_or(|c| c.status == "revoked")
    {
        return Err(AppError::not_found(
            "Connection not found in this workspace",
        ));
    }
    draft.compile(&app)?;
    let id = PolicyId::random();
    policies::insert(&tenant, id, agent, connection, &draft.settings()).await?;
    let record = Record::new(caller.actor(), "policy_created", json!({"policyId": id}));
    app.record(
        &tenant,
        record.policy(id).agent(agent).connection(connection),
    )
    .await?;
    let stored = find(&tenant, id).await?;
    tenant.commit().await?;
    Ok((
        StatusCode::CREATED,
        Json(json!({"policy": policy_json(&stored)})),
    )
        .into_response())
}

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let shown = policies::list(&tenant).await?;
    let shown = shown.iter().map(|policy| {
        let mut json = policy_json(policy);
        json["connectionLabel"] = policy.connection_label.clone().into();
        json["connectionProvider"] = policy.connection_provider.clone().into();
        json["status"] = policy.status.clone().into();
        json
    });
    Ok(Json(json!({"policies": shown.collect::<Vec<_>>()})).into_response())
}

pub async fn update(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    change(&app, &caller, &id, |draft| draft.read(&input)).await
}

pub async fn set_allowlists(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let allowlists = input
        .value("allowlists")
        .ok_or_else(|| AppError::bad_request("body must have required property 'allowlists'"))?;
    let allowlists = checked_allowlists(&app, allowlists)?;
    change(&app, &caller, &id, |draft| {
        draft.allowlists = allowlists;
        Ok(())
    })
    .await
}

pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let policy = find(&tenant, id.parse()?).await?;
    policies::delete(&tenant, policy.id).await?;
    record(&app, &tenant, &caller, "policy_deleted", &policy).await?;
    tenant.commit().await?;
    Ok(Json(json!({"deleted": true})).into_response())
}

/// As every answer shows a policy.
pub fn policy_json(policy: &Policy) -> Value {
    json!({
        "id": policy.id, "agentId": policy.agent, "connectionId": policy.connection,
        "allowedModels": policy.allowed_models, "defaultMode": policy.default_mode,
        "stepUpApproval": policy.step_up_approval, "allowlists": policy.allowlists,
        "rateLimits": policy.rate_limits, "timeWindows": policy.time_windows, "rules": policy.rules,
        "providerConstraints": policy.provider_constraints, "securityPreset": policy.security_preset,
        "createdAt": time(policy.created_at), "updatedAt": time(policy.updated_at),
    })
}

async fn change(
    app: &App,
    caller: &Caller,
    id: &str,
    apply: impl FnOnce(&mut Draft) -> Result<(), AppError>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let policy = find(&tenant, id.parse()?).await?;
    let mut draft = Draft::of(&policy);
    apply(&mut draft)?;
    draft.compile(app)?;
    policies::update(&tenant, policy.id, &draft.settings()).await?;
    record(app, &tenant, caller, "policy_updated", &policy).await?;
    let stored = find(&tenant, policy.id).await?;
    tenant.commit().await?;
    Ok(Json(json!({"policy": policy_json(&stored)})).into_response())
}

async fn find(tenant: &Tenant<'_>, id: PolicyId) -> Result<Policy, AppError> {
    let found = policies::lock(tenant, id).await?;
    found.ok_or_else(|| AppError::not_found("Policy not found"))
}

async fn record(
    app: &App,
    tenant: &Tenant<'_>,
    caller: &Caller,
    action: &str,
    policy: &Policy,
) -> Result<(), AppError> {
    let record = Record::new(caller.actor(), action, json!({"policyId": policy.id}));
    let record = record
        .policy(policy.id)
        .agent(policy.agent)
        .connection(policy.connection);
    app.record(tenant, record).await?;
    Ok(())
}

/// A policy being written.
struct Draft {
    models: Vec<String>,
    mode: String,
    step_up: String,
    preset: Option<String>,
    allowlists: Value,
    rate_limits: Option<Value>,
    time_windows: Value,
    rules: Value,
    constraints: Option<Value>,
}

// === impl Draft ===

impl Draft {
    fn of(policy: &Policy) -> Self {
        Self {
            models: policy.allowed_models.clone(),
            mode: policy.default_mode.clone(),
            step_up: policy.step_up_approval.clone(),
            preset: policy.security_preset.clone(),
            allowlists: policy.allowlists.clone(),
            rate_limits: policy.rate_limits.clone(),
            time_windows: policy.time_windows.clone(),
            rules: policy.rules.clone(),
            constraints: policy.provider_constraints.clone(),
        }
    }

    fn read(&mut self, input: &Input) -> Result<(), AppError> {
        if let Some(models) = input.value("allowedModels") {
            self.models = models_of(models)?;
        }
        if let Some(mode) = input.one_of("defaultMode", &MODES)? {
            mode.clone_into(&mut self.mode);
        }
        if let Some(step_up) = input.one_of("stepUpApproval", &STEP_UPS)? {
            step_up.clone_into(&mut self.step_up);
        }
        if let Some(preset) = input.one_of("securityPreset", &PRESETS)? {
            self.preset = Some(preset.to_owned());
        }
        Ok(())
    }

    /// Whether a data plane will be able to serve it.
    fn compile(&self, app: &App) -> Result<(), AppError> {
        let source = PolicySource {
            allowed_models: &self.models,
            allowlists: &self.allowlists,
            default_mode: &self.mode,
            plain_http: &|host, port| app.config.allows_plain_http(host, port),
            provider_constraints: self.constraints.as_ref(),
            rate_limits: self.rate_limits.as_ref(),
            rules: &self.rules,
            step_up: &self.step_up,
            time_windows: &self.time_windows,
        };
        CompiledPolicy::compile(&source)
            .map(drop)
            .map_err(|error| AppError::bad_request(format!("body/{} {}", error.path, error.why)))
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            allowed_models: &self.models,
            default_mode: &self.mode,
            step_up_approval: &self.step_up,
            security_preset: self.preset.as_deref(),
            allowlists: &self.allowlists,
        }
    }
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            models: vec!["B".to_owned()],
            mode: "read_only".to_owned(),
            step_up: "risk_based".to_owned(),
            preset: None,
            allowlists: json!([]),
            rate_limits: None,
            time_windows: json!([]),
            rules: json!({"request": [], "response": []}),
            constraints: None,
        }
    }
}

fn models_of(value: &Value) -> Result<Vec<String>, AppError> {
    let models = value
        .as_array()
        .ok_or_else(|| AppError::bad_request("body/allowedModels must be array"))?;
    let model = |(i, model): (usize, &Value)| match model.as_str() {
        Some("B") => Ok("B".to_owned()),
        Some("A") => Err(AppError::bad_request(format!(
            "Model A is not supported for {}. Allowed: B",
            custom::DISPLAY_NAME
        ))),
        _ => Err(AppError::bad_request(format!(
            "body/allowedModels/{i} must be equal to one of the allowed values"
        ))),
    };
    models.iter().enumerate().map(model).collect()
}

/// The contract's own messages for the common faults; the compiler finds the rest.
fn checked_allowlists(app: &App, value: &Value) -> Result<Value, AppError> {
    let bad = |text: String| Err(AppError::bad_request(text));
    let Some(entries) = value.as_array() else {
        return bad("body/allowlists must be array".into());
    };
    let mut checked = Vec::with_capacity(entries.len());
    for (i, entry) in entries.iter().enumerate() {
        let Some(base) = entry.get("baseUrl").and_then(Value::as_str) else {
            return bad(format!(
                "body/allowlists/{i} must have required property 'baseUrl'"
            ));
        };
        let Ok(url) = url::Url::parse(base) else {
            return bad(format!("Invalid base URL: {base}"));
        };
        let (host, port) = (
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(0),
        );
        if url.scheme() != "https"
            && !(url.scheme() == "http" && app.config.allows_plain_http(host, port))
        {
            return bad(format!("Base URL must use HTTPS: {base}"));
        }
        let methods = entry
            .get("methods")
            .and_then(Value::as_array)
            .filter(|m| !m.is_empty());
        let Some(methods) = methods else {
            return bad("Each allowlist entry requires at least one HTTP method".into());
        };
        if let Some(j) = methods
            .iter()
            .position(|m| m.as_str().and_then(Method::from_name).is_none())
        {
            return bad(format!(
                "body/allowlists/{i}/methods/{j} must be equal to one of the allowed values"
            ));
        }
        let patterns = entry
            .get("pathPatterns")
            .and_then(Value::as_array)
            .filter(|p| !p.is_empty());
        let Some(patterns) = patterns else {
            return bad("Each allowlist entry requires at least one path pattern".into());
        };
        if patterns
            .iter()
            .any(|p| p.as_str().is_none_or(|p| p.trim().is_empty()))
        {
            return bad("Path patterns must be non-empty strings".into());
        }
        checked.push(json!({"baseUrl": base, "methods": methods, "pathPatterns": patterns}));
    }
    Ok(Value::Array(checked))
}
