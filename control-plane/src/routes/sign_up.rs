//! Sign-up: a person, his workspace, and the key that will seal its credentials.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::json;

use ah5_contracts::audit::Action;
use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_security::password;
use ah5_security::secret::SecretText;
use ah5_store::StoreError;
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser, User};

use crate::app::App;
use crate::auth::origin;
use crate::error::AppError;
use crate::input::Input;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{email_of, hashing, record, user_json};
use crate::routes::workspace;

const MAX_NAME: usize = 200;

pub async fn sign_up(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    // Without mail no address can be proven, so only an installation for one's own machine may
    // take an address at its word.
    if !app.config.origin.is_loopback() {
        return Err(Refusal::Code(StatusCode::FORBIDDEN, "SIGN_UP_CLOSED"));
    }
    let email = email_of(&input)?;
    let name = input.text("name").map_err(Refusal::field)?;
    if name.chars().count() > MAX_NAME {
        return Err(Refusal::Field("[body.name] Too long".to_owned()));
    }
    let password = SecretText::new(input.text("password").map_err(Refusal::field)?);
    if let Some(code) = password_fault(&password) {
        return Err(Refusal::Code(StatusCode::BAD_REQUEST, code));
    }
    let hashed = hashing(&app, move || password::hash(&password)).await?;
    let hashed = hashed.map_err(AppError::internal)?;
    let user = create(&app, &email, &name, &hashed)
        .await
        .map_err(|error| {
            if error.is_conflict_with("t_users_email_key") {
                let code = "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL";
                Refusal::Code(StatusCode::UNPROCESSABLE_ENTITY, code)
            } else {
                error.into()
            }
        })?;
    tracing::warn!(user = %user.id, "an address counts as verified: no mail is configured");
    Ok(Json(json!({"token": null, "user": user_json(&user)})).into_response())
}

async fn create(
    app: &App,
    email: &str,
    name: &str,
    password_hash: &str,
) -> Result<User, StoreError> {
    let (id, workspace) = (UserId::random(), WorkspaceId::random());
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let new = NewUser {
        id,
        email,
        name,
        email_verification: "assumed",
        password_hash,
    };
    let user = users::insert(&*tenant, &new).await?;
    let owner = if name.trim().is_empty() {
        email
    } else {
        name.trim()
    };
    workspace::make(app, &tenant, id, &workspace::named_after(owner)).await?;
    record(app, &tenant, id, Action::UserSignedUp).await?;
    tenant.commit().await?;
    Ok(user)
}

fn password_fault(password: &SecretText) -> Option<&'static str> {
    match password.expose().chars().count() {
        0..8 => Some("PASSWORD_TOO_SHORT"),
        8..=128 => None,
        _ => Some("PASSWORD_TOO_LONG"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_8_to_128_characters() {
        let fault = |length| password_fault(&SecretText::new("ü".repeat(length)));
        assert_eq!(fault(7), Some("PASSWORD_TOO_SHORT"));
        assert_eq!((fault(8), fault(128)), (None, None));
        assert_eq!(fault(129), Some("PASSWORD_TOO_LONG"));
    }
}
