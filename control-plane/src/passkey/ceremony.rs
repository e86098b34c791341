//! A ceremony from its challenge to its one answer: the state waits in the database under the hash
//! of a token that only the browser which began it holds.

use axum::Json;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use serde_json::Value;
use webauthn_rs::prelude::PublicKeyCredential;

use ah5_contracts::audit::{Action, ActorKind};
use ah5_security::{hash, random};
use ah5_store::ceremonies::{self, Purpose};
use ah5_store::passkeys::{self, Passkey};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::auth::cookie;
use crate::input::Input;
use crate::owners::tell_owners_of;
use crate::passkey::{Challenge, PasskeyError, Used, names};
use crate::routes::session::home;
use crate::routes::session::refusal::{AuthResult, Refusal};

/// Keeps the challenge's state and gives the browser the rest, `shape`d as the route answers.
pub async fn begin(
    app: &App,
    purpose: Purpose,
    challenge: Challenge,
    shape: impl FnOnce(Value) -> Value,
) -> AuthResult {
    let token = random::token("");
    let digest = hash::sha256(token.expose().as_bytes());
    ceremonies::insert(&app.db().await?, &digest, purpose, &challenge.state).await?;
    let cookie = cookie::set_ceremony(&token, app.config.origin.https);
    let body = Json(shape(challenge.options));
    Ok((AppendHeaders([(header::SET_COOKIE, cookie)]), body).into_response())
}

/// The state of the browser's ceremony, which can be had once.
pub async fn take(app: &App, headers: &HeaderMap, purpose: Purpose) -> AuthResult<Value> {
    let missing = || Refusal::Code(StatusCode::BAD_REQUEST, "CHALLENGE_NOT_FOUND");
    let token = cookie::ceremony_token(headers, app.config.origin.https).ok_or_else(missing)?;
    let digest = hash::sha256(token.expose().as_bytes());
    let state = ceremonies::take(&app.db().await?, &digest, purpose).await?;
    state.ok_or_else(missing)
}

/// The passkey that the body's answer proves, and what is to be stored of its use.
pub async fn prove(
    app: &App,
    headers: &HeaderMap,
    purpose: Purpose,
    input: &Input,
) -> AuthResult<(Passkey, Used)> {
    let answer: PublicKeyCredential = answer_of(input)?;
    let state = take(app, headers, purpose).await?;
    let found = passkeys::by_credential_id(&app.db().await?, &answer.raw_id).await?;
    let named = found.filter(|key| {
        let other = matches!(purpose, Purpose::Reauthenticate(user) if user != key.user);
        !other && names(&answer, key.user)
    });
    let passkey = named.ok_or_else(failed)?;
    let credential = passkey.credential.clone();
    match app.relying_party.authenticated(&answer, state, credential) {
        Ok(used) => Ok((passkey, used)),
        Err(PasskeyError::Cloned) => {
            tell_of_clone(app, &passkey).await?;
            Err(failed())
        }
        Err(error) => Err(refusal(error, failed())),
    }
}

/// Notes the use in the transaction of what follows from it. A second answer that was quicker has
/// moved the counter: then nothing follows from this one.
pub async fn note(tenant: &Tenant<'_>, passkey: &Passkey, used: &Used) -> AuthResult<()> {
    let counter = i64::from(used.counter);
    if passkeys::used(&**tenant, passkey.id, &used.credential, counter).await? {
        return Ok(());
    }
    Err(failed())
}

pub fn answer_of<T: serde::de::DeserializeOwned>(input: &Input) -> AuthResult<T> {
    let fault = |why: &str| Refusal::Field(format!("[body.response] {why}"));
    let value = input.value("response").ok_or_else(|| fault("Required"))?;
    T::deserialize(value).map_err(|_| fault("Not the answer of an authenticator"))
}

/// The refusal of what the relying party would not take.
pub fn refusal(error: PasskeyError, refused: Refusal) -> Refusal {
    match error {
        PasskeyError::Cloned => refused,
        PasskeyError::Refused(why) => {
            tracing::info!(%why, "a passkey's answer was refused");
            refused
        }
        PasskeyError::Stored(_) => crate::error::AppError::internal(error).into(),
        PasskeyError::Unavailable => Refusal::Code(StatusCode::NOT_FOUND, "PASSKEYS_UNAVAILABLE"),
    }
}

/// The browser forgets the ceremony, which is over.
pub fn over(app: &App, response: impl axum::response::IntoResponse) -> Response {
    let mut response = response.into_response();
    let cleared = cookie::clear_ceremony(app.config.origin.https);
    response.headers_mut().append(header::SET_COOKIE, cleared);
    response
}

fn failed() -> Refusal {
    Refusal::Code(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED")
}

async fn tell_of_clone(app: &App, passkey: &Passkey) -> AuthResult<()> {
    let details = serde_json::json!({"passkeyId": passkey.id, "name": passkey.name});
    let actor = (ActorKind::User, passkey.user.to_string());
    let record = Record::new(actor, Action::PasskeyCounterRegressed, details).denied();
    let home = home(app, passkey.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, home).await?;
    let tenant = tell_owners_of(app, tenant, passkey.user, record).await?;
    tenant.commit().await?;
    Ok(())
}
