//! Proof of an address by a mailed link.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use ah5_contracts::audit::Action;
use ah5_security::hash;
use ah5_store::mail_proofs::{self, Proof, Purpose};
use ah5_store::tenant::Tenant;
use ah5_store::{accounts, users};

use crate::app::App;
use crate::auth::target::Target;
use crate::auth::{origin, throttle};
use crate::input::Input;
use crate::people;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{current, email_of, home, record};

/// `GET /verify-email?token=…&callbackURL=…`: the link itself.
pub async fn verify(
    State(app): State<App>,
    headers: HeaderMap,
    Query(query): Query<HashMap<String, String>>,
) -> AuthResult {
    let ours = &app.config.origin;
    let target = match query.get("callbackURL") {
        None => None,
        Some(text) => Some(Target::parse(text, ours).ok_or(Refusal::bad_target("callbackURL"))?),
    };
    let token = query.get("token").map_or("", String::as_str);
    let fault = match use_link(&app, &headers, token).await {
        Ok(()) => None,
        Err(Refusal::Code(_, code)) => Some(code),
        Err(other) => return Err(other),
    };
    match (target, fault) {
        (Some(target), None) => Ok(found(&target)),
        (Some(target), Some(code)) => Ok(found(&target.with("error", &code.to_lowercase()))),
        (None, None) => Ok(Json(json!({"status": true, "user": null})).into_response()),
        (None, Some(code)) => Err(Refusal::Code(StatusCode::UNAUTHORIZED, code)),
    }
}

/// `POST /send-verification-email {email, callbackURL?}`: another link. The answer is the same for
/// every address.
pub async fn send(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let email = email_of(&input)?;
    let target = Target::field(&input, "callbackURL", &app.config.origin)?;
    let target = target.unwrap_or(Target::fixed(people::VERIFIED));
    app.aside(|app| async move {
        let found = users::by_email(&app.db().await?, &email).await?;
        let unproven = found.filter(|(user, _)| user.email_verification != "proven");
        let Some((user, _)) = unproven.filter(|(user, _)| !user.disabled) else {
            return Ok(());
        };
        if throttle::may_write(&app, &email).await? {
            let db = app.db().await?;
            people::ask_to_verify(&app, &db, user.id, &user.email, &target).await?;
            app.mail.wake();
        }
        Ok(())
    })?;
    Ok(Json(json!({"status": true})).into_response())
}

/// 302 to a page of ours.
pub fn found(target: &Target) -> Response {
    let location = [(header::LOCATION, target.as_str().to_owned())];
    (StatusCode::FOUND, location).into_response()
}

async fn use_link(app: &App, headers: &HeaderMap, token: &str) -> AuthResult<()> {
    let invalid = || Refusal::Code(StatusCode::UNAUTHORIZED, "INVALID_TOKEN");
    let digest = hash::sha256(token.as_bytes());
    let seen = mail_proofs::peek(&app.db().await?, &digest, Purpose::Verify).await?;
    let seen = seen.ok_or_else(invalid)?;
    // Who signs in elsewhere chose the address freely. Opening the letter must not make its reader
    // vouch for a stranger's account: only the two together prove anything.
    let password = accounts::password_of(&app.db().await?, seen.user).await?;
    if password.is_none() {
        let here = current(app, headers).await?;
        if here.is_none_or(|session| session.user != seen.user) {
            return Err(Refusal::Code(StatusCode::UNAUTHORIZED, "SIGN_IN_FIRST"));
        }
    }
    let workspace = home(app, seen.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let spent = mail_proofs::spend(&*tenant, &digest, Purpose::Verify).await?;
    let Proof { user, email } = spent.ok_or_else(invalid)?;
    if !users::prove_email(&*tenant, user, &email).await? {
        return Err(invalid());
    }
    record(app, &tenant, user, Action::EmailVerified).await?;
    tenant.commit().await?;
    Ok(())
}
