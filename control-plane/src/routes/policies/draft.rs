//! A policy being written: taken apart, checked by the engine that will enforce it, put into rows.

use serde_json::{Map, Value, json};

use ah5_contracts::policy::Method;
use ah5_policy::{CompileError, CompiledPolicy, PolicySource};
use ah5_providers::custom;
use ah5_store::policies::{Policy, Settings};

use crate::app::App;
use crate::error::AppError;
use crate::input::Input;

/// A policy being written.
pub(super) struct Draft {
    models: Vec<String>,
    mode: String,
    step_up: String,
    preset: Option<String>,
    pub(super) allowlists: Value,
    pub(super) rate_limits: Option<Value>,
    pub(super) time_windows: Value,
    pub(super) rules: Value,
    pub(super) constraints: Option<Value>,
}

// === impl Draft ===

impl Draft {
    pub(super) fn of(policy: &Policy) -> Self {
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

    pub(super) fn read(&mut self, input: &Input) -> Result<(), AppError> {
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
        self.read_parts(input);
        Ok(())
    }

    /// What is given with the policy counts as much as what is set later by a route of its own.
    fn read_parts(&mut self, input: &Input) {
        let given = |name: &str| input.value(name).cloned();
        let set = |name: &str, slot: &mut Value| *slot = given(name).unwrap_or(slot.take());
        set("timeWindows", &mut self.time_windows);
        set("rules", &mut self.rules);
        if input.has("rateLimits") {
            self.rate_limits = given("rateLimits");
        }
        if input.has("providerConstraints") {
            self.constraints = given("providerConstraints");
        }
    }

    /// Takes the columns that are given, as a whole policy shows them.
    pub(super) fn overlay(&mut self, changes: &Map<String, Value>) -> Result<(), AppError> {
        let changes = Input::of(changes.clone());
        self.read(&changes)?;
        if let Some(allowlists) = changes.value("allowlists") {
            self.allowlists = allowlists.clone();
        }
        Ok(())
    }

    /// Whether a data plane will be able to serve it.
    pub(super) fn compile(&self, app: &App) -> Result<(), AppError> {
        self.compiled(app).map(drop)
    }

    pub(super) fn compiled(&self, app: &App) -> Result<CompiledPolicy, AppError> {
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
        CompiledPolicy::compile(&source).map_err(|error| AppError::bad_request(told(&error)))
    }

    pub(super) fn settings(&self) -> Settings<'_> {
        Settings {
            allowed_models: &self.models,
            default_mode: &self.mode,
            step_up_approval: &self.step_up,
            security_preset: self.preset.as_deref(),
            allowlists: &self.allowlists,
            rate_limits: self.rate_limits.as_ref(),
            time_windows: Some(&self.time_windows),
            rules: Some(&self.rules),
            provider_constraints: self.constraints.as_ref(),
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

/// A fault in the words that clients of the reference know, where it has words for it.
fn told(error: &CompileError) -> String {
    if let Some(text) = error.in_rules() {
        return format!("Invalid rules: {text}");
    }
    let own = ["Invalid timezone: ", "timezone is required"];
    if own.iter().any(|start| error.why.starts_with(start)) {
        return error.why.clone();
    }
    if error.path.starts_with("providerConstraints") {
        return format!("Invalid provider constraints: {} {}", error.path, error.why);
    }
    format!("body/{} {}", error.path, error.why)
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
pub(super) fn checked_allowlists(app: &App, value: &Value) -> Result<Value, AppError> {
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

const MODES: [&str; 3] = ["read_only", "read_write", "custom"];
const STEP_UPS: [&str; 3] = ["always", "risk_based", "never"];
const PRESETS: [&str; 3] = ["minimal", "standard", "strict"];
