//! Connects an account anew: by another credential that is typed, or by another consent.

use axum::Extension;
use axum::extract::{Path, State};

use ah5_providers::catalogue;
use ah5_providers::service::Credential;

use super::credentials::{Verb, replace};
use super::oauth;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::OptionalInput;

pub async fn reauth(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    OptionalInput(input): OptionalInput,
) -> AppResult {
    let known = super::find(&app, &caller, id.parse()?).await?;
    if known.status == "revoked" {
        return Err(AppError::conflict("Cannot reauth a revoked connection"));
    }
    match catalogue::find(&known.service).map(|service| service.credential) {
        Some(Credential::Oauth | Credential::OauthCustom) => {
            oauth::reauth::begin(&app, &caller, &known).await
        }
        _ => replace(&app, &caller, &known, input, Verb::Reconnect).await,
    }
}
