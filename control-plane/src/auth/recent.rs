//! Recent re-authentication: what a stolen session must not be able to do takes a person who has
//! proved himself in the last five minutes, by a passkey if the account has one. Never an agent, nor a token.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};

use ah5_store::sessions::{self, Session};

use crate::app::App;
use crate::auth::caller::{Caller, Via};
use crate::error::AppError;
use crate::routes::session::current;
use crate::routes::session::refusal::{AuthResult, Refusal};

/// A route marked `.recent()` that works on the cookie finds the session here.
#[derive(Clone)]
pub struct Recent(pub Arc<Session>);

// === impl Recent ===

impl Recent {
    /// The session of the cookie.
    pub async fn of_cookie(app: &App, headers: &HeaderMap) -> AuthResult<Self> {
        let session = current(app, headers).await?.ok_or(Refusal::NoSession)?;
        if !sessions::is_recent(&app.db().await?, session.id).await? {
            return Err(Refusal::Code(StatusCode::FORBIDDEN, "SESSION_NOT_FRESH"));
        }
        Ok(Self(Arc::new(session)))
    }
}

/// Whether the person behind the caller's token has proved himself recently.
pub async fn check(app: &App, caller: &Caller) -> Result<(), AppError> {
    let recent = match caller {
        Caller::User {
            via: Via::Session(session),
            ..
        } => sessions::is_recent(&app.db().await?, *session).await?,
        Caller::Agent { .. } | Caller::User { .. } => false,
    };
    if recent {
        return Ok(());
    }
    let error = AppError::forbidden("This needs you to have signed in within the last 5 minutes");
    Err(error
        .reason("reauthentication_required")
        .hint("POST /api/auth/reauthenticate, then try again"))
}
