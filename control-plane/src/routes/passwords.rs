//! Passwords: a new one by mail, another one while signed in, proof of the one there is.

use std::collections::HashMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::UserId;
use ah5_security::secret::SecretText;
use ah5_security::{hash, password, random};
use ah5_store::mail_proofs::{self, Proof, Purpose};
use ah5_store::sessions::Session;
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, accounts, agents, approvals, personal_tokens, sessions, users};

use crate::app::App;
use crate::auth::target::Target;
use crate::auth::throttle::Attempt;
use crate::auth::{origin, stronger, throttle};
use crate::input::Input;
use crate::mail::Letter;
use crate::mail::letter::LINK_MINUTES;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{current, email_of, hashing, home, record, user_json};
use crate::routes::sign_up::hash_new;
use crate::routes::verification::found;

/// The page that asks for the new password.
const RESET_PAGE: &str = "/reset-password";

/// `POST /request-password-reset {email, redirectTo?}`: the answer is the same for every address,
/// and comes before anything is looked up.
pub async fn request_reset(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let email = email_of(&input)?;
    let target = Target::field(&input, "redirectTo", &app.config.origin)?;
    let target = target.unwrap_or(Target::fixed(RESET_PAGE));
    app.aside(|app| async move { mail_link(&app, &email, &target).await })?;
    let message = "If this email exists in our system, check your email for the reset link";
    Ok(Json(json!({"status": true, "message": message})).into_response())
}

/// `GET /reset-password/{token}?callbackURL=…`: the link itself. It only leads to the page.
pub async fn reset_page(
    State(app): State<App>,
    Path(token): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> AuthResult {
    let target = match query.get("callbackURL") {
        None => Target::fixed(RESET_PAGE),
        Some(text) => {
            Target::parse(text, &app.config.origin).ok_or(Refusal::bad_target("callbackURL"))?
        }
    };
    let digest = hash::sha256(token.as_bytes());
    let proof = mail_proofs::peek(&app.db().await?, &digest, Purpose::Reset).await?;
    Ok(found(&match proof {
        Some(_) => target.with("token", &token),
        None => target.with("error", "INVALID_TOKEN"),
    }))
}

/// `POST /reset-password {newPassword, token}`
pub async fn reset(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let token = SecretText::new(input.text("token").map_err(Refusal::field)?);
    let new = SecretText::new(input.text("newPassword").map_err(Refusal::field)?);
    let digest = hash::sha256(token.expose().as_bytes());
    // Hashing is dear: not for whoever has no link.
    let proof = mail_proofs::peek(&app.db().await?, &digest, Purpose::Reset).await?;
    proof.ok_or_else(invalid_token)?;
    let hashed = hash_new(&app, new).await?;
    replace(&app, &digest, &hashed).await?;
    app.mail.wake();
    Ok(done())
}

/// `POST /change-password {currentPassword, newPassword, revokeOtherSessions?}`
pub async fn change(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    let ours = &app.config.origin;
    origin::check_auth(&headers, ours)?;
    let here = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    let new = SecretText::new(input.text("newPassword").map_err(Refusal::field)?);
    check_own(&app, &here, &input, "currentPassword").await?;
    let hashed = hash_new(&app, new).await?;
    let workspace = home(&app, here.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    accounts::set_password(&*tenant, here.user, &hashed).await?;
    mail_proofs::void(&*tenant, here.user).await?;
    if input.value("revokeOtherSessions") == Some(&Value::Bool(true)) {
        sessions::revoke_all(&*tenant, here.user, Some(here.id)).await?;
    }
    let letter = Letter::password_changed(ours, &here.user_email);
    app.mail.post(&*tenant, &app.ring(), &letter).await?;
    record(&app, &tenant, here.user, Action::PasswordChanged).await?;
    tenant.commit().await?;
    app.mail.wake();
    let user = users::get(&db, here.user).await?;
    let user = user.ok_or(Refusal::NoSession)?;
    Ok(Json(json!({"token": null, "user": user_json(&user)})).into_response())
}

/// `POST /verify-password {password}`
pub async fn verify(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let here = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    check_own(&app, &here, &input, "password").await?;
    Ok(done())
}

async fn mail_link(app: &App, email: &str, target: &Target) -> AuthResult<()> {
    let found = users::by_email(&app.db().await?, email).await?;
    // An address that was never proven may be anybody's: its reader is not let in.
    let proven = found.filter(|(user, _)| user.email_verification == "proven" && !user.disabled);
    let Some((user, _)) = proven else {
        return Ok(());
    };
    if app.config.mail.is_none() || !throttle::may_write(app, email).await? {
        return Ok(());
    }
    let token = random::token("");
    let digest = hash::sha256(token.expose().as_bytes());
    let letter = Letter::reset(&app.config.origin, &user.email, &token, target.as_str());
    let proof = Proof {
        user: user.id,
        email: user.email,
    };
    let workspace = home(app, user.id).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    mail_proofs::insert(&*tenant, &digest, Purpose::Reset, &proof, LINK_MINUTES).await?;
    app.mail.post(&*tenant, &app.ring(), &letter).await?;
    record(app, &tenant, user.id, Action::PasswordResetRequested).await?;
    tenant.commit().await?;
    app.mail.wake();
    Ok(())
}

/// Spends the link and sets the password, in one transaction with all that a reset ends.
async fn replace(app: &App, digest: &[u8], hashed: &str) -> AuthResult<()> {
    let seen = mail_proofs::peek(&app.db().await?, digest, Purpose::Reset).await?;
    let seen = seen.ok_or_else(invalid_token)?;
    let workspace = home(app, seen.user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let spent = mail_proofs::spend(&*tenant, digest, Purpose::Reset).await?;
    let Proof { user, email } = spent.ok_or_else(invalid_token)?;
    if stronger::reset_needs_passkey(&*tenant, user).await? {
        return Err(Refusal::Code(StatusCode::FORBIDDEN, "PASSKEY_REQUIRED"));
    }
    // He reads the mail of the address today, too.
    if !users::prove_email(&*tenant, user, &email).await? {
        return Err(invalid_token());
    }
    accounts::set_password(&*tenant, user, hashed).await?;
    end_what_a_thief_may_hold(&tenant, user).await?;
    let letter = Letter::password_changed(&app.config.origin, &email);
    app.mail.post(&*tenant, &app.ring(), &letter).await?;
    record(app, &tenant, user, Action::PasswordReset).await?;
    tenant.commit().await?;
    Ok(())
}

/// Whoever resets a password may have lost the old one to somebody: everything that was got with it
/// ends.
pub async fn end_what_a_thief_may_hold(
    tenant: &Tenant<'_>,
    user: UserId,
) -> Result<(), StoreError> {
    mail_proofs::void(&**tenant, user).await?;
    sessions::revoke_all(&**tenant, user, None).await?;
    personal_tokens::revoke_everywhere(&**tenant, user).await?;
    agents::raise_epochs_of_owner(&**tenant, user).await?;
    approvals::void_of_owner(&**tenant, user).await?;
    Ok(())
}

/// The signed-in user's own password, in a field of the body.
pub async fn check_own(
    app: &App,
    here: &Session,
    input: &Input,
    field: &'static str,
) -> AuthResult<()> {
    let given = SecretText::new(input.text(field).map_err(Refusal::field)?);
    let attempt = Attempt::in_session(app, &here.user.to_string()).await?;
    let stored = accounts::password_of(&app.db().await?, here.user).await?;
    let matches = match stored {
        None => false,
        Some(stored) => hashing(app, move || password::verify(&given, &stored)).await?,
    };
    if !matches {
        return Err(Refusal::Code(StatusCode::BAD_REQUEST, "INVALID_PASSWORD"));
    }
    attempt.succeeded(app).await
}

fn invalid_token() -> Refusal {
    Refusal::Code(StatusCode::BAD_REQUEST, "INVALID_TOKEN")
}

fn done() -> axum::response::Response {
    Json(json!({"status": true})).into_response()
}
