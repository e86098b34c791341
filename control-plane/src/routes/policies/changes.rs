//! `POST /v1/policies/{id}/changes`: which of these requests a changed policy would treat
//! otherwise. Nothing is sent, stored or counted.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_policy::CompiledPolicy;
use ah5_store::tenant::Tenant;

use super::asked::Asked;
use super::draft::Draft;
use super::find;
use crate::app::{App, now};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

/// `policy` (the change, as `PUT /v1/policies/{id}` and the routes of its parts take it),
/// `requests` (as `evaluate` takes one, each with its `response` if it has one).
pub async fn changes(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let Some(Value::Object(change)) = input.value("policy") else {
        return Err(AppError::bad_request("body/policy must be object"));
    };
    let change = Input::of(change.clone());
    let stored = {
        let mut db = app.db().await?;
        let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
        find(&tenant, id.parse()?).await?
    };
    let mut draft = Draft::of(&stored);
    let before = draft.compiled(&app, caller.workspace())?;
    draft.update(&app, caller.workspace(), &change, &stored)?;
    let after = draft.compiled(&app, caller.workspace())?;
    let cases = cases(&input, &stored.connection_service)?;
    let parts = draft.changed_from(&Draft::of(&stored));
    // A hundred bodies may take a while to read.
    let judged = tokio::task::spawn_blocking(move || differences(&cases, &before, &after));
    let changes = judged.await.map_err(AppError::internal)?;
    Ok(Json(json!({"parts": parts, "changes": changes})).into_response())
}

struct Case {
    asked: Asked,
    response: Option<Value>,
}

fn cases(input: &Input, service: &str) -> Result<Vec<Case>, AppError> {
    let Some(Value::Array(requests)) = input.value("requests") else {
        return Err(AppError::bad_request("body/requests must be array"));
    };
    if requests.len() > MAX_REQUESTS {
        let text = format!("body/requests must NOT have more than {MAX_REQUESTS} items");
        return Err(AppError::bad_request(text));
    }
    let now = now();
    let case = |(i, request): (usize, &Value)| {
        let Value::Object(request) = request else {
            let text = format!("body/requests/{i} must be object");
            return Err(AppError::bad_request(text));
        };
        let asked = Asked::read(request, service, now)
            .map_err(|error| error.hint(format!("The request is body/requests/{i}.")))?;
        let response = request.get("response").filter(|value| !value.is_null());
        Ok(Case {
            asked,
            response: response.cloned(),
        })
    };
    requests.iter().enumerate().map(case).collect()
}

/// Only requests of which something else becomes; that a rule has moved is no difference.
fn differences(cases: &[Case], before: &CompiledPolicy, after: &CompiledPolicy) -> Vec<Value> {
    let differing = cases.iter().enumerate().filter_map(|(i, case)| {
        let judge = |policy| case.asked.judge(policy, case.response.as_ref());
        let (before, after) = (judge(before), judge(after));
        let same = OUTCOME.iter().all(|part| before[part] == after[part]);
        (!same).then(|| json!({"request": i, "before": before, "after": after}))
    });
    differing.collect()
}

const MAX_REQUESTS: usize = 100;
const OUTCOME: [&str; 4] = ["decision", "redactedBody", "redactions", "response"];
