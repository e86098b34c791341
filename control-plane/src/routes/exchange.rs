//! Token exchange: a session becomes a five-minute user token. And the keys to verify it with.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse as _;
use jiff::Timestamp;
use serde_json::json;

use ah5_contracts::claims::{USER_TOKEN_AUDIENCE, USER_TOKEN_SECONDS, UserClaims};
use ah5_contracts::id::WorkspaceId;
use ah5_contracts::scope;
use ah5_security::token::KeyKind;

use crate::app::{App, time};
use crate::auth::origin;
use crate::error::{AppError, AppResult};
use crate::input::OptionalInput;
use crate::keys::signer;
use crate::routes::session::{current, renew};
use crate::routes::workspace;

pub async fn exchange(
    State(app): State<App>,
    headers: HeaderMap,
    OptionalInput(input): OptionalInput,
) -> AppResult {
    origin::check_exchange(&headers, &app.config.origin)?;
    let missing = || AppError::unauthorized("Unauthorized — invalid or expired session");
    let session = current(&app, &headers).await?.ok_or_else(missing)?;
    if session.user_disabled {
        return Err(AppError::forbidden("Account disabled"));
    }
    let renewed = renew(&app, &headers, &session).await?;
    let memberships = workspace::of(&app, session.user).await?;
    let wanted: Option<WorkspaceId> = match input
        .as_ref()
        .filter(|input| input.value("workspaceId").is_some())
    {
        Some(input) => Some(input.id("workspaceId")?),
        None => None,
    };
    let mut memberships = memberships.into_iter();
    let chosen = memberships.find(|m| wanted.is_none_or(|wanted| wanted == m.workspace));
    let here = chosen.ok_or_else(|| AppError::forbidden("Forbidden"))?;
    let issued = Timestamp::now();
    let claims = UserClaims {
        sub: session.user,
        wid: here.workspace,
        roles: vec![here.role.as_str().to_owned()],
        scp: vec![scope::ALL.to_owned()],
        sid: session.id,
        jti: ah5_contracts::id::SessionId::random().to_string(),
        platform_role: "user".to_owned(),
        iss: app.config.jwt_issuer.clone(),
        aud: USER_TOKEN_AUDIENCE.to_owned(),
        iat: issued.as_second(),
        nbf: issued.as_second(),
        exp: issued.as_second() + USER_TOKEN_SECONDS,
    };
    let keys = app.keys()?;
    let key = signer(&keys, &app.db().await?, KeyKind::User).await?;
    let token = key.sign_user(&claims).map_err(AppError::internal)?;
    let expires = Timestamp::from_second(claims.exp).map_err(AppError::internal)?;
    let body = json!({"token": token, "expiresAt": time(expires)});
    Ok((renewed, Json(body)).into_response())
}

pub async fn jwks(State(app): State<App>) -> AppResult {
    let cache = [(header::CACHE_CONTROL, "public, max-age=3600")];
    Ok((cache, Json(app.keys()?.jwks.clone())).into_response())
}
