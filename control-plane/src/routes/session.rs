//! Sign-up, sign-in, sign-out and the current session: `/api/auth/*`, whose errors have a shape of
//! their own (`{"code","message"}`).

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::ActorKind;
use ah5_contracts::id::{SessionId, UserId, WorkspaceId};
use ah5_security::secret::SecretText;
use ah5_security::vault::DataKey;
use ah5_security::{hash, password, random};
use ah5_store::sessions::{self, Session};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser, User};
use ah5_store::workspaces;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::auth::rate::client_address;
use crate::auth::{cookie, origin};
use crate::error::{AppError, AppResult};
use crate::input::{Input, OptionalInput};

pub async fn sign_up(State(app): State<App>, headers: HeaderMap, input: Input) -> AppResult {
    if let Err(refusal) = origin::check_auth(&headers, &app.config.origin) {
        return Ok(refuse(StatusCode::FORBIDDEN, refusal.0));
    }
    // Without mail no address can be proven, so only an installation for one's own machine may
    // take an address at its word.
    if !app.config.origin.is_loopback() {
        return Ok(refuse(StatusCode::FORBIDDEN, "SIGN_UP_CLOSED"));
    }
    let (email, name) = (email(&input)?, input.text("name")?);
    let password = SecretText::new(input.text("password")?);
    if let Some(code) = password_fault(&password) {
        return Ok(refuse(StatusCode::BAD_REQUEST, code));
    }
    let hashed = blocking(&app, move || password::hash(&password))
        .await?
        .map_err(AppError::internal)?;
    let created = create_user(&app, &email, &name, &hashed).await;
    match created {
        Ok(user) => Ok(Json(json!({"token": null, "user": user_json(&user)})).into_response()),
        Err(error) if error.is_conflict_with("t_users_email_key") => Ok(refuse(
            StatusCode::UNPROCESSABLE_ENTITY,
            "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL",
        )),
        Err(error) => Err(error.into()),
    }
}

pub async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    input: Input,
) -> AppResult {
    if let Err(refusal) = origin::check_auth(&headers, &app.config.origin) {
        return Ok(refuse(StatusCode::FORBIDDEN, refusal.0));
    }
    let (email, given) = (email(&input)?, SecretText::new(input.text("password")?));
    let mut db = app.db().await?;
    let found = users::by_email(&db, &email).await?;
    let stored = found.as_ref().and_then(|(_, stored)| stored.clone());
    // An unknown address costs as much time as a known one.
    let stored = stored.unwrap_or_else(|| password::dummy().to_owned());
    let matches = blocking(&app, move || password::verify(&given, &stored)).await?;
    let Some((user, _)) = found.filter(|_| matches) else {
        return Ok(refuse(
            StatusCode::UNAUTHORIZED,
            "INVALID_EMAIL_OR_PASSWORD",
        ));
    };
    if user.disabled {
        return Ok(refuse(StatusCode::FORBIDDEN, "ACCOUNT_DISABLED"));
    }
    if user.email_verification == "pending" {
        return Ok(refuse(StatusCode::FORBIDDEN, "EMAIL_NOT_VERIFIED"));
    }
    let workspace = workspaces::of_member(&db, user.id)
        .await?
        .first()
        .map(|(id, _)| *id);
    let workspace = workspace.ok_or_else(|| AppError::internal("a user without a workspace"))?;
    let token = random::token("");
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|v| v.to_str().ok());
    let address = client_address(peer, &headers).to_string();
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let id = SessionId::random();
    let digest = hash::sha256(token.expose().as_bytes());
    sessions::insert(
        &*tenant,
        id,
        user.id,
        &digest,
        cookie::SESSION_DAYS,
        (&address, agent),
    )
    .await?;
    record(&app, &tenant, user.id, "user_signed_in").await?;
    tenant.commit().await?;
    let remember = input.value("rememberMe") != Some(&Value::Bool(false));
    let cookie = cookie::set_session(&token, app.config.origin.https, remember);
    // The token travels in the cookie only: a body ends up in logs and scripts.
    let body = Json(json!({"redirect": false, "token": null, "user": user_json(&user)}));
    Ok(([(header::SET_COOKIE, cookie)], body).into_response())
}

pub async fn sign_out(State(app): State<App>, headers: HeaderMap, _: OptionalInput) -> AppResult {
    if let Err(refusal) = origin::check_auth(&headers, &app.config.origin) {
        return Ok(refuse(StatusCode::FORBIDDEN, refusal.0));
    }
    if let Some(session) = current(&app, &headers).await? {
        let mut db = app.db().await?;
        let workspaces = workspaces::of_member(&db, session.user).await?;
        if let Some((workspace, _)) = workspaces.first() {
            let tenant = Tenant::begin(&mut db, *workspace).await?;
            sessions::revoke(&*tenant, session.id).await?;
            record(&app, &tenant, session.user, "user_signed_out").await?;
            tenant.commit().await?;
        }
    }
    let cookie = [(
        header::SET_COOKIE,
        cookie::clear_session(app.config.origin.https),
    )];
    Ok((cookie, Json(json!({"success": true}))).into_response())
}

pub async fn get_session(State(app): State<App>, headers: HeaderMap) -> AppResult {
    let Some(session) = current(&app, &headers).await? else {
        return Ok(Json(Value::Null).into_response());
    };
    let user = json!({
        "name": session.user_name, "email": session.user_email, "emailVerified": session.user_verified,
        "image": session.user_image, "createdAt": time(session.user_created_at),
        "updatedAt": time(session.user_updated_at), "id": session.user,
    });
    let session = json!({
        "expiresAt": time(session.expires_at), "createdAt": time(session.created_at),
        "updatedAt": time(session.renewed_at), "ipAddress": session.ip_address,
        "userAgent": session.user_agent, "userId": session.user, "id": session.id,
    });
    Ok(Json(json!({"session": session, "user": user})).into_response())
}

pub async fn workspace(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = workspaces::current(&tenant).await?;
    let found = found.ok_or_else(|| AppError::not_found("Workspace not found"))?;
    let body = json!({
        "id": found.id, "name": found.name, "ownerId": found.owner,
        "createdAt": time(found.created_at), "updatedAt": time(found.updated_at),
    });
    Ok(Json(body).into_response())
}

/// The live session that the request's cookie names.
pub async fn current(app: &App, headers: &HeaderMap) -> Result<Option<Session>, AppError> {
    let Some(token) = cookie::session_token(headers, app.config.origin.https) else {
        return Ok(None);
    };
    let digest = hash::sha256(token.expose().as_bytes());
    Ok(sessions::by_token_hash(&app.db().await?, &digest).await?)
}

async fn create_user(
    app: &App,
    email: &str,
    name: &str,
    password_hash: &str,
) -> Result<User, ah5_store::StoreError> {
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
    let wrapped = app.ring().wrap(workspace, &DataKey::generate());
    let owner = if name.trim().is_empty() {
        email
    } else {
        name.trim()
    };
    workspaces::insert(&tenant, id, &format!("{owner}'s Workspace"), &wrapped).await?;
    record(app, &tenant, id, "user_signed_up").await?;
    tenant.commit().await?;
    Ok(user)
}

async fn record(
    app: &App,
    tenant: &Tenant<'_>,
    user: UserId,
    action: &str,
) -> Result<(), ah5_store::StoreError> {
    let record = Record::new((ActorKind::User, user.to_string()), action, json!({}));
    app.record(tenant, record).await.map(drop)
}

/// Runs slow, memory-hungry work off the request threads, a bounded number at a time.
async fn blocking<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    let _permit = app.hashing.acquire().await.map_err(AppError::internal)?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(AppError::internal)
}

fn email(input: &Input) -> Result<String, AppError> {
    let email = input.text("email")?.trim().to_lowercase();
    let (local, domain) = email.split_once('@').unwrap_or_default();
    let plausible = !local.is_empty() && domain.contains('.') && email.len() <= 254;
    if !plausible || email.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(AppError::bad_request("[body.email] Invalid email address"));
    }
    Ok(email)
}

fn password_fault(password: &SecretText) -> Option<&'static str> {
    match password.expose().chars().count() {
        0..8 => Some("PASSWORD_TOO_SHORT"),
        8..=128 => None,
        _ => Some("PASSWORD_TOO_LONG"),
    }
}

fn refuse(status: StatusCode, code: &str) -> Response {
    let message = match code {
        "SIGN_UP_CLOSED" => {
            "Sign-up is closed: this installation sends no mail to prove addresses with".to_owned()
        }
        code => {
            let words = code.to_lowercase().replace('_', " ");
            let mut letters = words.chars();
            let first = letters.next().map(|c| c.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    };
    (status, Json(json!({"code": code, "message": message}))).into_response()
}

fn user_json(user: &User) -> Value {
    json!({
        "name": user.name, "email": user.email, "emailVerified": user.email_verification != "pending",
        "image": user.image, "createdAt": time(user.created_at), "updatedAt": time(user.updated_at),
        "id": user.id,
    })
}
