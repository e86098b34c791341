//! The parts of a policy that have a route of their own. Each replaces its part whole.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Map, Value, json};

use ah5_store::tenant::Tenant;

use super::allowlists::checked_allowlists;
use super::{change, find};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub async fn set_allowlists(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let allowlists = required(&input, "allowlists")?;
    let allowlists = checked_allowlists(&app, caller.workspace(), allowlists)?;
    change(&app, &caller, &id, |draft, _| {
        draft.allowlists = allowlists;
        Ok(())
    })
    .await
}

/// `null` and a body without members clear the limits.
pub async fn set_rate_limits(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    only(&input, "rateLimits")?;
    let mut limits = input.value("rateLimits").cloned();
    if let Some(limits) = &mut limits {
        whole_numbers(limits);
        let limited = |name: &str| limits.get(name).is_some();
        if limits.is_object() && !LIMITS.iter().any(|name| limited(name)) {
            let text = "maxRequestsPerHour is required when setting rate limits";
            return Err(AppError::bad_request(text));
        }
    }
    change(&app, &caller, &id, |draft, _| {
        draft.rate_limits = limits;
        Ok(())
    })
    .await
}

pub async fn set_time_windows(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let mut windows = required(&input, "timeWindows")?.clone();
    for window in windows.as_array_mut().into_iter().flatten() {
        whole_numbers(window);
    }
    change(&app, &caller, &id, |draft, _| {
        draft.time_windows = windows;
        Ok(())
    })
    .await
}

pub async fn rules(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let policy = find(&tenant, id.parse()?).await?;
    Ok(Json(json!({"rules": policy.rules})).into_response())
}

pub async fn set_rules(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let rules = required(&input, "rules")?.clone();
    for list in ["request", "response"] {
        if rules.is_object() && rules.get(list).is_none() {
            let text = format!("body/rules must have required property '{list}'");
            return Err(AppError::bad_request(text));
        }
    }
    change(&app, &caller, &id, |draft, _| {
        draft.rules = rules;
        Ok(())
    })
    .await
}

/// `null` and the empty text clear the constraints.
pub async fn set_provider_constraints(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    only(&input, "providerConstraints")?;
    let given = input.value("providerConstraints");
    let mut constraints = given.filter(|value| *value != "").cloned();
    if let Some(Value::Object(members)) = &mut constraints {
        members.values_mut().for_each(names);
    }
    change(&app, &caller, &id, |draft, policy| {
        let meant_for = constraints.as_ref().map(|c| c["provider"].as_str());
        if let Some(Some(provider)) = meant_for
            && provider != policy.connection_provider
        {
            let theirs = &policy.connection_provider;
            return Err(AppError::bad_request(format!(
                "Provider mismatch: constraints are for \"{provider}\" \
                 but connection uses \"{theirs}\""
            )));
        }
        draft.constraints = constraints;
        Ok(())
    })
    .await
}

/// One of them must be set: the other members of `rateLimits` only say more about calls that are limited.
const LIMITS: [&str; 5] = [
    "maxRequestsPerHour",
    "maxTokensPerHour",
    "maxTokensPerDay",
    "maxCostCentsPerDay",
    "maxCostCentsPerMonth",
];

fn required<'i>(input: &'i Input, name: &str) -> Result<&'i Value, AppError> {
    input
        .value(name)
        .ok_or_else(|| AppError::bad_request(format!("body must have required property '{name}'")))
}

/// Nothing at all clears the part; something by another name is a mistake and clears nothing.
fn only(input: &Input, name: &str) -> Result<(), AppError> {
    match input.has(name) || input.names().next().is_none() {
        true => Ok(()),
        false => Err(AppError::bad_request(format!(
            "body must have required property '{name}'"
        ))),
    }
}

/// Numbers may come as text.
fn whole_numbers(object: &mut Value) {
    let nothing = &mut Map::new();
    let members = object.as_object_mut().unwrap_or(nothing);
    for (_, value) in members.iter_mut().filter(|(name, _)| *name != "timezone") {
        if let Some(number) = value.as_str().and_then(|text| text.parse::<i64>().ok()) {
            *value = number.into();
        }
    }
}

/// A list of names, in which numbers are names too.
fn names(list: &mut Value) {
    for name in list.as_array_mut().into_iter().flatten() {
        if let Value::Number(number) = name {
            *name = number.to_string().into();
        }
    }
}
