//! A person's sessions: where he is signed in, and how he ends that. A session's `token` on the
//! wire is its id, a handle that signs nobody in.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::SessionId;
use ah5_store::sessions;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::origin;
use crate::input::{Input, OptionalInput};
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{current, record, session_json};
use crate::routes::workspace;

pub async fn list(State(app): State<App>, headers: HeaderMap) -> AuthResult {
    let here = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    let found = sessions::of_user(&app.db().await?, here.user).await?;
    let shown: Vec<Value> = found.iter().map(session_json).collect();
    Ok(Json(shown).into_response())
}

pub async fn revoke(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    let named = input.text("token").map_err(Refusal::field)?;
    // An unknown one has ended already.
    let Ok(named) = named.parse::<SessionId>() else {
        return Ok(done());
    };
    end(&app, &headers, |_, other| other == named).await
}

pub async fn revoke_all(
    State(app): State<App>,
    headers: HeaderMap,
    _: OptionalInput,
) -> AuthResult {
    end(&app, &headers, |_, _| true).await
}

pub async fn revoke_others(
    State(app): State<App>,
    headers: HeaderMap,
    _: OptionalInput,
) -> AuthResult {
    end(&app, &headers, |here, other| other != here).await
}

/// Ends those of the caller's own sessions that `which(this one, that one)` names.
async fn end(
    app: &App,
    headers: &HeaderMap,
    which: impl Fn(SessionId, SessionId) -> bool,
) -> AuthResult {
    origin::check_auth(headers, &app.config.origin)?;
    let here = current(app, headers).await?.ok_or(Refusal::NoSession)?;
    let memberships = workspace::of(app, here.user).await?;
    let first = memberships.first().ok_or(Refusal::NoSession)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, first.workspace).await?;
    for session in sessions::of_user(&*tenant, here.user).await? {
        if which(here.id, session.id) {
            sessions::revoke(&*tenant, session.id).await?;
            record(app, &tenant, here.user, Action::SessionRevoked).await?;
        }
    }
    tenant.commit().await?;
    Ok(done())
}

fn done() -> axum::response::Response {
    Json(json!({"status": true})).into_response()
}
