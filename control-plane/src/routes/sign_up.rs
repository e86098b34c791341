//! Sign-up with email and password. Where mail is sent, the answer is the same for an address that
//! has an account already: its owner is told, and nobody else.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use serde_json::json;

use ah5_contracts::id::UserId;
use ah5_security::password;
use ah5_security::secret::SecretText;
use ah5_store::users::{NewUser, User};

use crate::app::App;
use crate::auth::target::Target;
use crate::auth::{origin, throttle};
use crate::error::AppError;
use crate::input::Input;
use crate::mail::Letter;
use crate::people::{self, Verification};
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{email_of, hashing, user_json};

const MAX_NAME: usize = 200;

pub async fn sign_up(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    // Without mail no address can be proven, so only an installation for one's own machine may
    // take an address at its word.
    let Some(verification) = people::verification(&app) else {
        return Err(Refusal::Code(StatusCode::FORBIDDEN, "SIGN_UP_CLOSED"));
    };
    let email = email_of(&input)?;
    let name = name_of(&input)?;
    let target = Target::field(&input, "callbackURL", &app.config.origin)?;
    let password = SecretText::new(input.text("password").map_err(Refusal::field)?);
    let hashed = hash_new(&app, password).await?;
    let new = NewUser {
        id: UserId::random(),
        email: &email,
        name: &name,
        email_verification: verification.as_str(),
        password_hash: Some(&hashed),
    };
    let target = target.unwrap_or(Target::fixed(people::VERIFIED));
    let user = match people::create(&app, &new, None, Some(&target)).await {
        Ok(user) => user,
        Err(error) if error.is_conflict_with("t_users_email_key") => {
            existing(&app, new, verification).await?
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Json(json!({"token": null, "user": user_json(&user)})).into_response())
}

/// Hashes a password that is to be somebody's from now on.
pub async fn hash_new(app: &App, password: SecretText) -> AuthResult<String> {
    if let Some(code) = password_fault(&password) {
        return Err(Refusal::Code(StatusCode::BAD_REQUEST, code));
    }
    let hashed = hashing(app, move || password::hash(&password)).await?;
    Ok(hashed.map_err(AppError::internal)?)
}

/// A person's name for himself; it may be empty.
pub fn name_of(input: &Input) -> AuthResult<String> {
    let name = input.text("name").map_err(Refusal::field)?;
    if name.chars().count() > MAX_NAME {
        return Err(Refusal::Field("[body.name] Too long".to_owned()));
    }
    Ok(name)
}

/// What a stranger is told of an address that is taken: with mail, what he would be told of a free
/// one. Without, an address proves nothing and there is nobody to protect.
async fn existing(app: &App, new: NewUser<'_>, verification: Verification) -> AuthResult<User> {
    if verification != Verification::Pending {
        let code = "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL";
        return Err(Refusal::Code(StatusCode::UNPROCESSABLE_ENTITY, code));
    }
    if throttle::may_write(app, new.email).await? {
        let letter = Letter::taken(&app.config.origin, new.email);
        app.mail
            .post(&app.db().await?, &app.ring(), &letter)
            .await?;
        app.mail.wake();
    }
    let now = Timestamp::now();
    Ok(User {
        id: new.id,
        email: new.email.to_owned(),
        name: new.name.to_owned(),
        image: None,
        email_verification: new.email_verification.to_owned(),
        disabled: false,
        created_at: now,
        updated_at: now,
    })
}

pub fn password_fault(password: &SecretText) -> Option<&'static str> {
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
