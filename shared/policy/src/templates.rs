//! Action templates: whole policies by what an agent is to do and how strictly. The data says which
//! hosts, rules and guards make one; the generator puts them together, and every list of rules ends
//! in one that covers whatever is left.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

mod choice;
mod preset;
#[cfg(test)]
mod tests;

pub use preset::Preset;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Minimal,
    Standard,
    Strict,
}

/// What an agent may be let do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    pub id: String,
    pub service: String,
    /// Whose guards it takes.
    pub provider: String,
    pub name: String,
    pub description: String,
    /// What a connection must have been granted for it; none where a service knows no scopes.
    #[serde(default)]
    scopes: Vec<String>,
    limits: String,
    guards: BTreeMap<Tier, Vec<String>>,
    allowlists: BTreeMap<Tier, Value>,
    rules: BTreeMap<Tier, Vec<Value>>,
}

/// A danger, and the rules against it by provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Guard {
    pub id: String,
    pub category: String,
    pub name: String,
    pub description: String,
    pub risk: String,
    pub preset_tier: Tier,
    request_rules: BTreeMap<String, Vec<Value>>,
    response_rules: BTreeMap<String, Vec<Value>>,
}

/// A policy's columns as a template makes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    pub allowlists: Value,
    pub rate_limits: Value,
    pub rules: Value,
}

// === impl Tier ===

impl Tier {
    pub const ALL: [Self; 3] = [Self::Strict, Self::Standard, Self::Minimal];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Standard => "standard",
            Self::Strict => "strict",
        }
    }

    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == name)
    }
}

// === impl Template ===

impl Template {
    pub fn all() -> impl Iterator<Item = &'static Self> {
        DATA.templates.iter()
    }

    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        Self::all().find(|template| template.id == id)
    }

    /// Of one service, the one that only reads before the one that manages.
    pub fn of_service(service: &str) -> impl Iterator<Item = &'static Self> {
        Self::all().filter(move |template| template.service == service)
    }

    pub fn of_provider(provider: &str) -> impl Iterator<Item = &'static Self> {
        Self::all().filter(move |template| template.provider == provider)
    }

    /// What a connection must have been granted for it; none where a service knows no scopes.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether it lets an agent change something at the provider.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.id.ends_with("-read")
    }

    /// The guards' rules before the template's own: what is dangerous is looked at first.
    #[must_use]
    pub fn generate(&self, tier: Tier) -> Generated {
        let guards = self.guards.get(&tier).into_iter().flatten();
        let guards: Vec<&Guard> = guards.filter_map(|id| Guard::find(id)).collect();
        let of = |rules: fn(&Guard) -> &BTreeMap<String, Vec<Value>>| -> Vec<Value> {
            let rules = guards.iter().filter_map(|g| rules(g).get(&self.provider));
            rules.flatten().cloned().collect()
        };
        let mut request = of(|guard| &guard.request_rules);
        request.extend(self.rules.get(&tier).into_iter().flatten().cloned());
        let mut response = of(|guard| &guard.response_rules);
        if response.is_empty() && tier != Tier::Minimal {
            response.clone_from(&DATA.default_response);
        }
        let mut rules = json!({"request": request, "response": response});
        if self.id.contains("contacts") {
            rules["fieldStepUpEnabled"] = (tier == Tier::Standard).into();
        }
        Generated {
            allowlists: self
                .allowlists
                .get(&tier)
                .cloned()
                .unwrap_or_else(|| json!([])),
            rate_limits: self.rate_limits(tier),
            rules,
        }
    }

    fn rate_limits(&self, tier: Tier) -> Value {
        let limits = DATA
            .limits
            .get(&self.limits)
            .and_then(|tiers| tiers.get(&tier));
        limits.map_or(Value::Null, |[an_hour, payload, response]| {
            json!({"maxRequestsPerHour": an_hour, "maxPayloadSizeBytes": payload * MIB,
                   "maxResponseSizeBytes": response * MIB})
        })
    }
}

// === impl Guard ===

impl Guard {
    pub fn all() -> impl Iterator<Item = &'static Self> {
        DATA.guards.iter()
    }

    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        Self::all().find(|guard| guard.id == id)
    }

    #[must_use]
    pub fn request_rules(&self, provider: &str) -> &[Value] {
        self.request_rules.get(provider).map_or(&[], Vec::as_slice)
    }

    #[must_use]
    pub fn response_rules(&self, provider: &str) -> &[Value] {
        self.response_rules.get(provider).map_or(&[], Vec::as_slice)
    }
}

/// What a policy for this service lets through when neither a template nor its owner says: the
/// service's own paths, or nothing at all for a service without a fixed host.
#[must_use]
pub fn default_allowlists(service: &str) -> Value {
    SERVICES.get(service).cloned().unwrap_or_else(|| json!([]))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Data {
    /// An hour's calls, and mebibytes of payload and answer.
    limits: BTreeMap<String, BTreeMap<Tier, [u64; 3]>>,
    templates: Vec<Template>,
    guards: Vec<Guard>,
    /// Where no guard filters answers.
    default_response: Vec<Value>,
}

#[allow(
    clippy::expect_used,
    reason = "the data is part of the program, and a test reads it"
)]
static DATA: LazyLock<Data> = LazyLock::new(|| {
    serde_json::from_str(include_str!("templates/data.json"))
        .expect("the templates are well-formed")
});
#[allow(
    clippy::expect_used,
    reason = "the data is part of the program, and a test reads it"
)]
static SERVICES: LazyLock<BTreeMap<String, Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("templates/services.json"))
        .expect("the services' allowlists are well-formed")
});
const MIB: u64 = 1024 * 1024;
