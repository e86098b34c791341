//! A policy being written: taken apart, checked by the engine that will enforce it, put into rows.

use serde_json::{Value, json};

use ah5_contracts::id::WorkspaceId;
use ah5_policy::templates::default_allowlists;
use ah5_policy::{CompileError, CompiledPolicy, PolicySource};
use ah5_providers::catalogue;
use ah5_store::policies::{Policy, Settings};

use super::allowlists::checked_allowlists;
use super::template::{self, Account, Choice, Wanted};
use crate::app::App;
use crate::error::AppError;
use crate::input::Input;

/// A policy being written.
#[derive(PartialEq)]
pub(super) struct Draft {
    models: Vec<String>,
    mode: String,
    step_up: String,
    preset: Option<String>,
    template: Option<String>,
    /// Its author knows what a token that is handed out is not bound by.
    acknowledged: bool,
    /// Whether calls are made only once they are on record.
    audit: String,
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
            template: policy.action_template.clone(),
            acknowledged: policy.acknowledged_unfiltered,
            audit: policy.audit.clone(),
            allowlists: policy.allowlists.clone(),
            rate_limits: policy.rate_limits.clone(),
            time_windows: policy.time_windows.clone(),
            rules: policy.rules.clone(),
            constraints: policy.provider_constraints.clone(),
        }
    }

    pub(super) fn made_from(choice: Choice) -> Self {
        let mut draft = Self::default();
        draft.make_from(choice);
        draft
    }

    /// What is still open in a new policy follows from its connection: a template makes it, or it
    /// lets through what the service is for.
    pub(super) fn complete(
        &mut self,
        input: &Input,
        wanted: &Wanted,
        account: Account<'_>,
    ) -> Result<(), AppError> {
        self.check_models(account.service)?;
        if let Some(choice) = wanted.choose(account)? {
            self.make_from(choice);
        } else if input.value("allowlists").is_none() {
            self.allowlists = default_allowlists(account.service);
        }
        Ok(())
    }

    /// Takes what is given, as a policy shows it, over what is stored.
    pub(super) fn update(
        &mut self,
        app: &App,
        workspace: WorkspaceId,
        input: &Input,
        policy: &Policy,
    ) -> Result<(), AppError> {
        self.read(app, workspace, input)?;
        self.check_models(&policy.connection_service)?;
        if let Some(choice) = template::again(input, policy)? {
            self.make_from(choice);
            "custom".clone_into(&mut self.mode);
        }
        Ok(())
    }

    /// The parts in which two policies differ, by name.
    pub(super) fn changed_from(&self, other: &Self) -> Vec<&'static str> {
        let parts = [
            (
                "acknowledgeUnfiltered",
                self.acknowledged != other.acknowledged,
            ),
            ("actionTemplateId", self.template != other.template),
            ("allowedModels", self.models != other.models),
            ("allowlists", self.allowlists != other.allowlists),
            ("audit", self.audit != other.audit),
            ("defaultMode", self.mode != other.mode),
            ("providerConstraints", self.constraints != other.constraints),
            ("rateLimits", self.rate_limits != other.rate_limits),
            ("rules", self.rules != other.rules),
            ("securityPreset", self.preset != other.preset),
            ("stepUpApproval", self.step_up != other.step_up),
            ("timeWindows", self.time_windows != other.time_windows),
        ];
        let changed = parts.into_iter().filter(|(_, differs)| *differs);
        changed.map(|(name, _)| name).collect()
    }

    /// What is given counts, be it here or at a part's own route.
    ///
    /// # Errors
    /// 400 for what cannot be kept, a name that is no part of a policy first: a misspelled limit limits
    /// nothing.
    pub(super) fn read(
        &mut self,
        app: &App,
        workspace: WorkspaceId,
        input: &Input,
    ) -> Result<(), AppError> {
        if let Some(name) = input.names().find(|name| !KNOWN.contains(name)) {
            let text = format!("body/{name:.64} is no part of a policy");
            return Err(AppError::bad_request(text));
        }
        if let Some(models) = input.value("allowedModels") {
            self.models = models_of(models)?;
        }
        if let Some(mode) = input.one_of("defaultMode", &MODES)? {
            mode.clone_into(&mut self.mode);
        }
        if let Some(step_up) = input.one_of("stepUpApproval", &STEP_UPS)? {
            step_up.clone_into(&mut self.step_up);
        }
        if let Some(acknowledged) = input.optional_flag("acknowledgeUnfiltered")? {
            self.acknowledged = acknowledged;
        }
        if let Some(audit) = input.one_of("audit", &AUDITS)? {
            audit.clone_into(&mut self.audit);
        }
        if let Some(allowlists) = input.value("allowlists") {
            self.allowlists = checked_allowlists(app, workspace, allowlists)?;
        }
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
        Ok(())
    }

    /// A person has chosen the tier, so nothing that its rules allow asks again.
    fn make_from(&mut self, (template, tier): Choice) {
        let made = template.generate(tier);
        self.allowlists = made.allowlists;
        self.rate_limits = Some(made.rate_limits);
        self.rules = made.rules;
        self.time_windows = json!([]);
        "never".clone_into(&mut self.step_up);
        self.preset = Some(tier.as_str().to_owned());
        self.template = Some(template.id.clone());
    }

    pub(super) fn check_models(&self, service: &str) -> Result<(), AppError> {
        if !self.models.iter().any(|model| model == "A") {
            return Ok(());
        }
        let known = catalogue::find(service);
        if known.is_some_and(|service| service.credential.is_oauth()) {
            return Ok(());
        }
        let name = known.map_or(service, |service| &service.display_name);
        let text = format!("Model A is not supported for {name}. Allowed: B");
        Err(AppError::bad_request(text))
    }

    /// Whether a data plane will be able to serve it, and its author knows what it does not bind.
    pub(super) fn compile(&self, app: &App, workspace: WorkspaceId) -> Result<(), AppError> {
        let compiled = self.compiled(app, workspace)?;
        if compiled.vends() && !compiled.is_unfiltered() && !self.acknowledged {
            let text = "A token that is handed out (Model A) is bound by no rule, constraint, response \
                        rule or allowlist of its policy, nor by its stepUpApproval or defaultMode";
            let hint = "Leave them out, allow every method and path (/**) and set stepUpApproval to \
                        never and defaultMode to read_write, or send \"acknowledgeUnfiltered\": true";
            return Err(AppError::bad_request(text).hint(hint));
        }
        Ok(())
    }

    pub(super) fn compiled(
        &self,
        app: &App,
        workspace: WorkspaceId,
    ) -> Result<CompiledPolicy, AppError> {
        let source = PolicySource {
            allowed_models: &self.models,
            allowlists: &self.allowlists,
            default_mode: &self.mode,
            plain_http: &|host, port| app.config.allows_plain_http(workspace, host, port),
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
            action_template: self.template.as_deref(),
            acknowledged_unfiltered: self.acknowledged,
            audit: &self.audit,
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
            template: None,
            acknowledged: false,
            audit: "best_effort".to_owned(),
            allowlists: json!([]),
            rate_limits: None,
            time_windows: json!([]),
            rules: json!({"request": [], "response": []}),
            constraints: None,
        }
    }
}

/// A fault in the words that published clients know, where it has words for it.
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
        Some(model @ ("A" | "B")) => Ok(model.to_owned()),
        _ => Err(AppError::bad_request(format!(
            "body/allowedModels/{i} must be equal to one of the allowed values"
        ))),
    };
    models.iter().enumerate().map(model).collect()
}

const MODES: [&str; 3] = ["read_only", "read_write", "custom"];
const AUDITS: [&str; 2] = ["best_effort", "required"];
const STEP_UPS: [&str; 3] = ["always", "risk_based", "never"];
pub(super) const PRESETS: [&str; 3] = ["minimal", "standard", "strict"];

/// Everything that a request may say of a policy, and what an answer says of it: that may be sent back.
const KNOWN: [&str; 21] = [
    "acknowledgeUnfiltered",
    "actionTemplateId",
    "agentId",
    "allowedModels",
    "allowlists",
    "audit",
    "connectionId",
    "connectionLabel",
    "connectionProvider",
    "createdAt",
    "defaultMode",
    "id",
    "policyTier",
    "providerConstraints",
    "rateLimits",
    "rules",
    "securityPreset",
    "status",
    "stepUpApproval",
    "timeWindows",
    "updatedAt",
];
