//! Proving oneself anew within a session: by passkey where the account has one, else by password.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use ah5_contracts::audit::{Action, ActorKind};
use ah5_store::ceremonies::Purpose;
use ah5_store::passkeys::{self, Passkey};
use ah5_store::sessions::{self, Proof, Session};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::auth::origin;
use crate::input::Input;
use crate::passkey::{Used, allowed, ceremony};
use crate::routes::passwords::check_own;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{current, home};

/// What to ask the person for: `password`, or `passkey` with the options for the browser.
pub async fn options(State(app): State<App>, headers: HeaderMap) -> AuthResult {
    let session = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    let own = passkeys::of_user(&app.db().await?, session.user).await?;
    if own.is_empty() {
        return Ok(Json(json!({"method": "password", "options": null})).into_response());
    }
    let challenge = app.relying_party.authenticate(allowed::own(&own));
    let challenge = challenge.map_err(|error| ceremony::refusal(error, failed()))?;
    let shape = |options| json!({"method": "passkey", "options": options});
    ceremony::begin(
        &app,
        Purpose::Reauthenticate(session.user),
        challenge,
        shape,
    )
    .await
}

pub async fn reauthenticate(
    State(app): State<App>,
    headers: HeaderMap,
    input: Input,
) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let session = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    if input.value("response").is_some() {
        let purpose = Purpose::Reauthenticate(session.user);
        let (passkey, used) = ceremony::prove(&app, &headers, purpose, &input).await?;
        renew(&app, &session, Some((&passkey, &used))).await?;
        return Ok(ceremony::over(&app, done()));
    }
    check_password(&app, &session, &input).await?;
    renew(&app, &session, None).await?;
    Ok(done().into_response())
}

async fn check_password(app: &App, session: &Session, input: &Input) -> AuthResult<()> {
    let own = passkeys::of_user(&app.db().await?, session.user).await?;
    if !own.is_empty() {
        return Err(Refusal::Code(StatusCode::FORBIDDEN, "PASSKEY_REQUIRED"));
    }
    check_own(app, session, input, "password").await
}

async fn renew(app: &App, session: &Session, by: Option<(&Passkey, &Used)>) -> AuthResult<()> {
    let home = home(app, session.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, home).await?;
    if let Some((passkey, used)) = by {
        ceremony::note(&tenant, passkey, used).await?;
    }
    let proof = by.map_or(Proof::Password, |_| Proof::Passkey);
    sessions::authenticated(&*tenant, session.id, proof).await?;
    let actor = (ActorKind::User, session.user.to_string());
    let details = json!({"method": proof.as_str()});
    let record = Record::new(actor, Action::UserReauthenticated, details);
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    Ok(())
}

fn done() -> Json<Value> {
    Json(json!({"status": true}))
}

fn failed() -> Refusal {
    Refusal::Code(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED")
}
