//! How much a request may make a model use at most, for policies with budgets. An upper bound or a
//! refusal: what can't be bounded passes only if a policy names it, and then at the cost of its words.

use ah5_contracts::policy::Method;
use ah5_policy::budgets::Cap;
use ah5_policy::endpoints::as_served;
use ah5_providers::models::{self, Spec};
use ah5_providers::service::{Dialect, Service};

use super::members::{self, Fault, Members};
use super::usage::Usage;
use crate::request::Refusal;
use crate::request::parse::{Asked, AskedBody};

/// Tokens, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    pub input: u64,
    pub output: u64,
    /// `None`: nobody here knows what the model costs.
    pub spec: Option<&'static Spec>,
}

enum Endpoint {
    /// Answers cost nothing: lists of models, counts of tokens.
    Free,
    /// Makes vectors, no words.
    Embeds,
    Infers {
        /// Gemini's is in the path.
        model: Option<String>,
        /// The members that limit an answer's tokens.
        limits: &'static [&'static str],
    },
    Other,
}

/// `named` is what the policies let pass unmeasured. `None`: it uses nothing.
///
/// # Errors
/// 400 for a body that can't be read, 403 for what has no bound.
pub fn measure(
    service: &'static Service,
    asked: &Asked<'_>,
    named: &dyn Fn(&str) -> bool,
) -> Result<Option<Measure>, Refusal> {
    let dialect = service
        .llm
        .as_ref()
        .map_or(Dialect::Openai, |llm| llm.dialect);
    let path = asked.url.path();
    let (model_in_path, limits) = match endpoint(dialect, asked.method, path) {
        Endpoint::Free => return Ok(None),
        Endpoint::Embeds => (None, None),
        Endpoint::Infers { model, limits } => (model, Some(limits)),
        Endpoint::Other if named(path) => return Ok(None),
        Endpoint::Other => return Err(unmeasured(path)),
    };
    let AskedBody::Bytes(bytes, _) = &asked.body else {
        return Err(Refusal::bad_request(
            "A model call under a budget needs a body",
        ));
    };
    // A service of its owner's making may read names whatever their case, as Go's do.
    let fold_keys = service.case_insensitive_json || super::is_custom(service);
    let members = members::read(dialect, limits.unwrap_or_default(), fold_keys, bytes);
    let members = members.map_err(unreadable)?;
    if let Some(name) = members.unmeasured.iter().find(|name| !named(name)) {
        return Err(unmeasured(name));
    }
    let model = model_in_path.or_else(|| members.model.clone());
    let spec = model.and_then(|model| models::find(service, &model));
    Ok(Some(Measure {
        input: match limits {
            Some(_) => input(&members, bytes.len() as u64, spec)?,
            // Of many at once each may be as long as the model can take.
            None if members.refers => return Err(boundless()),
            None => bytes.len() as u64,
        },
        output: match limits {
            Some(_) => output(&members, spec)?,
            None => 0,
        },
        spec,
    }))
}

// === impl Measure ===

impl Measure {
    /// What it may take of a budget; `None` if that is not known.
    pub fn most(&self, cap: Cap) -> Option<u64> {
        match cap.kind.is_cost() {
            // All of it might be kept for later calls.
            true => self
                .spec
                .map(|spec| spec.cost(self.input, self.input, self.output)),
            false => Some(self.input.saturating_add(self.output)),
        }
    }

    /// What it did take; `None` if the answer doesn't say.
    pub fn spent(&self, cap: Cap, usage: &Usage) -> Option<u64> {
        let input = usage.input?;
        let output = usage.output.or((self.output == 0).then_some(0))?;
        match cap.kind.is_cost() {
            true => {
                let cached = usage.cached.unwrap_or(0);
                self.spec.map(|spec| spec.cost(input, cached, output))
            }
            false => Some(input.saturating_add(output)),
        }
    }
}

/// A token of words has one byte at least; anything else may be as large as the model can take.
fn input(members: &Members, bytes: u64, spec: Option<&Spec>) -> Result<u64, Refusal> {
    let context = spec.map(|spec| spec.context);
    match (members.refers, context) {
        (true, Some(context)) => Ok(context),
        (true, None) => Err(boundless()),
        (false, context) => Ok((bytes + OVERHEAD).min(context.unwrap_or(u64::MAX))),
    }
}

fn output(members: &Members, spec: Option<&Spec>) -> Result<u64, Refusal> {
    let most = members.most.or(spec.map(|spec| spec.max_output));
    let most = most.ok_or_else(|| {
        Refusal::forbidden(
            "Request denied: a budget needs to know how long the answer may be",
            Some("Set the request's limit of tokens, such as max_tokens.".to_owned()),
        )
    })?;
    Ok(most.saturating_mul(members.choices.max(1)))
}

fn boundless() -> Refusal {
    Refusal::forbidden(
        "Request denied: it has or refers to pictures, sounds, files or pages, and how much the model \
         can take of them is not known",
        Some("Send words alone, or use a model of the catalogue.".to_owned()),
    )
}

/// The reason may quote the body.
fn unreadable(why: Fault) -> Refusal {
    Refusal::bad_request(format!("The body can't be measured: {why}"))
        .record_as("the body can't be measured")
}

fn unmeasured(name: &str) -> Refusal {
    Refusal::forbidden(
        format!("Request denied: what {name:.100} uses can't be measured, and no budget names it"),
        Some("rateLimits.unmetered of the policy can name it.".to_owned()),
    )
    .record_as("what it uses can't be measured")
}

fn endpoint(dialect: Dialect, method: Method, path: &str) -> Endpoint {
    let served = as_served(path);
    // An unusual spelling might be another endpoint at the provider.
    if served != path && dialect != Dialect::Gemini {
        return Endpoint::Other;
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_list = path.ends_with("/models") || path.rsplit('/').nth(1) == Some("models");
    match (method, dialect) {
        (Method::Get, _) if is_list => Endpoint::Free,
        (Method::Post, Dialect::Openai) if path.ends_with("/embeddings") => Endpoint::Embeds,
        (Method::Post, Dialect::Openai) if path.ends_with("/chat/completions") => {
            infers(&["max_tokens", "max_completion_tokens"])
        }
        (Method::Post, Dialect::Openai) if path.ends_with("/responses") => {
            infers(&["max_output_tokens"])
        }
        (Method::Post, Dialect::Anthropic) if path.ends_with("/messages") => {
            infers(&["max_tokens"])
        }
        (Method::Post, Dialect::Anthropic) if path.ends_with("/messages/count_tokens") => {
            Endpoint::Free
        }
        (Method::Post, Dialect::Gemini) if is_list => gemini(last),
        _ => Endpoint::Other,
    }
}

const fn infers(limits: &'static [&'static str]) -> Endpoint {
    Endpoint::Infers {
        model: None,
        limits,
    }
}

/// `gemini-2.5-pro:generateContent`.
fn gemini(last: &str) -> Endpoint {
    match last.split_once(':') {
        Some((_, "countTokens")) => Endpoint::Free,
        Some((model, "generateContent" | "streamGenerateContent")) => Endpoint::Infers {
            model: Some(model.to_owned()),
            limits: &[],
        },
        _ => Endpoint::Other,
    }
}

/// What a provider puts around the words: roles, tools' instructions.
const OVERHEAD: u64 = 2_048;

#[cfg(test)]
mod tests;
