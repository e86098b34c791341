//! Sign-in, sign-out and the current session.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse as _, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio::time::{Duration, timeout};

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::{SessionId, UserId, WorkspaceId};
use ah5_security::secret::SecretText;
use ah5_security::{hash, password, random};
use ah5_store::sessions::{self, Proof, Session};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, User};
use ah5_store::{StoreError, members};

use crate::app::{App, Record, time};
use crate::auth::target::Target;
use crate::auth::throttle::Attempt;
use crate::auth::{cookie, origin};
use crate::error::AppError;
use crate::input::form::FormOrInput;
use crate::input::{Input, OptionalInput};
use crate::router::Client;
use crate::routes::workspace;

use refusal::{AuthResult, Refusal};

pub mod refusal;

/// How long a password waits for its turn to be hashed.
const HASHING_WAIT: Duration = Duration::from_secs(10);

/// By JSON, or by the form of our own page, whose answers are for people.
pub async fn sign_in(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    FormOrInput { input, is_form }: FormOrInput,
) -> AuthResult {
    if !is_form {
        return Ok(by_password(&app, client, &headers, &input).await?.json());
    }
    // Any page at all can send a form: this one's origin must be shown, and ours.
    origin::check_form(&headers, &app.config.origin)?;
    match by_password(&app, client, &headers, &input).await {
        Ok(signed_in) => Ok(signed_in.lead_on()),
        Err(refusal) => Ok(refusal.page()),
    }
}

struct SignedIn {
    cookies: Cookies,
    target: Option<Target>,
    user: User,
}

async fn by_password(
    app: &App,
    client: Client,
    headers: &HeaderMap,
    input: &Input,
) -> AuthResult<SignedIn> {
    origin::check_auth(headers, &app.config.origin)?;
    let email = email_of(input)?;
    let target = Target::field(input, "callbackURL", &app.config.origin)?;
    let given = SecretText::new(input.text("password").map_err(Refusal::field)?);
    let attempt = Attempt::sign_in(app, &email, client.0).await?;
    let user = check_password(app, &email, given, attempt).await?;
    let remember = input.value("rememberMe") != Some(&Value::Bool(false));
    let from = (client, headers);
    let cookies = open(app, user.id, Proof::Password, from, remember).await?;
    Ok(SignedIn {
        cookies,
        target,
        user,
    })
}

// === impl SignedIn ===

impl SignedIn {
    fn json(self) -> Response {
        let location = self.target.as_ref();
        let location = location.map(|target| (header::LOCATION, target.as_str().to_owned()));
        // The token travels in the cookie only: a body ends up in logs and scripts.
        let mut body = json!({"redirect": false, "token": null, "user": user_json(&self.user)});
        if let Some(target) = &self.target {
            body["redirect"] = true.into();
            body["url"] = target.as_str().into();
        }
        (self.cookies, AppendHeaders(location), Json(body)).into_response()
    }

    fn lead_on(self) -> Response {
        let target = self.target.filter(Target::is_page);
        let target = target.unwrap_or(Target::fixed("/"));
        let location = [(header::LOCATION, target.as_str().to_owned())];
        (StatusCode::SEE_OTHER, self.cookies, AppendHeaders(location)).into_response()
    }
}

pub async fn sign_out(State(app): State<App>, headers: HeaderMap, _: OptionalInput) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    if let Some(session) = current(&app, &headers).await? {
        let mut db = app.db().await?;
        let memberships = members::of_user(&db, session.user).await?;
        if let Some(first) = memberships.first() {
            let tenant = Tenant::begin(&mut db, first.workspace).await?;
            sessions::revoke(&*tenant, session.id).await?;
            record(&app, &tenant, session.user, Action::UserSignedOut).await?;
            tenant.commit().await?;
        } else {
            sessions::revoke(&db, session.id).await?;
        }
    }
    let cleared = cookie::clear_session(app.config.origin.https);
    let cleared = [(header::SET_COOKIE, cleared)];
    Ok((cleared, Json(json!({"success": true}))).into_response())
}

pub async fn get_session(State(app): State<App>, headers: HeaderMap) -> AuthResult {
    let https = app.config.origin.https;
    let Some(session) = current(&app, &headers).await? else {
        let stale = cookie::session_token(&headers, https).is_some();
        let cleared = stale.then(|| (header::SET_COOKIE, cookie::clear_session(https)));
        return Ok((AppendHeaders(cleared), Json(Value::Null)).into_response());
    };
    let renewed = renew(&app, &headers, &session).await?;
    let user = json!({
        "name": session.user_name, "email": session.user_email,
        "emailVerified": session.user_verified, "image": session.user_image,
        "createdAt": time(session.user_created_at), "updatedAt": time(session.user_updated_at),
        "id": session.user,
    });
    let body = json!({"session": session_json(&session), "user": user});
    Ok((renewed, Json(body)).into_response())
}

/// The live session that the request's cookie names.
pub async fn current(app: &App, headers: &HeaderMap) -> Result<Option<Session>, AppError> {
    let Some(token) = cookie::session_token(headers, app.config.origin.https) else {
        return Ok(None);
    };
    let digest = hash::sha256(token.expose().as_bytes());
    Ok(sessions::by_token_hash(&app.db().await?, &digest).await?)
}

pub type Cookies = AppendHeaders<Vec<(HeaderName, HeaderValue)>>;

/// Puts the session's end off, if a day has passed, and the cookie's with it.
pub async fn renew(app: &App, headers: &HeaderMap, session: &Session) -> Result<Cookies, AppError> {
    let https = app.config.origin.https;
    let moved = sessions::renew(&app.db().await?, session.id, cookie::SESSION_DAYS).await?;
    let token = cookie::session_token(headers, https).filter(|_| moved);
    let remember = !cookie::is_forgetful(headers, https);
    let cookies = token.map(|token| cookie::set_session(&token, https, remember));
    let cookies = cookies.unwrap_or_default();
    let cookies = cookies.into_iter().map(|c| (header::SET_COOKIE, c));
    Ok(AppendHeaders(cookies.collect()))
}

pub async fn record(
    app: &App,
    tenant: &Tenant<'_>,
    user: UserId,
    action: Action,
) -> Result<(), StoreError> {
    let record = Record::new((ActorKind::User, user.to_string()), action, json!({}));
    app.record(tenant, record).await.map(drop)
}

/// Runs slow, memory-hungry work off the request threads, a bounded number at a time.
pub async fn hashing<T: Send + 'static>(
    app: &App,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, AppError> {
    let turn = timeout(HASHING_WAIT, app.hashing.acquire()).await;
    let turn = turn.map_err(|_| AppError::unavailable())?;
    let _turn = turn.map_err(AppError::internal)?;
    tokio::task::spawn_blocking(work)
        .await
        .map_err(AppError::internal)
}

/// The address, as it is stored.
pub fn email_of(input: &Input) -> AuthResult<String> {
    let email = input.text("email").map_err(Refusal::field)?;
    let email = email.trim().to_lowercase();
    if !is_address(&email) {
        return Err(Refusal::Field(
            "[body.email] Invalid email address".to_owned(),
        ));
    }
    Ok(email)
}

/// Whether this can be somebody's address, spelt as it is stored. What can't be written to can't be
/// proven.
pub fn is_address(email: &str) -> bool {
    let (local, domain) = email.split_once('@').unwrap_or_default();
    let plausible = !local.is_empty() && domain.contains('.') && email.len() <= 254;
    let odd = email.chars().any(|c| c.is_whitespace() || c.is_control());
    plausible && !odd && email.parse::<lettre::Address>().is_ok()
}

pub fn user_json(user: &User) -> Value {
    json!({
        "name": user.name, "email": user.email,
        "emailVerified": user.email_verification != "pending", "image": user.image,
        "createdAt": time(user.created_at), "updatedAt": time(user.updated_at), "id": user.id,
    })
}

pub fn session_json(session: &Session) -> Value {
    json!({
        "expiresAt": time(session.expires_at), "token": session.id,
        "createdAt": time(session.created_at), "updatedAt": time(session.renewed_at),
        "ipAddress": session.ip_address, "userAgent": session.user_agent,
        "userId": session.user, "id": session.id,
    })
}

async fn check_password(
    app: &App,
    email: &str,
    given: SecretText,
    attempt: Attempt,
) -> AuthResult<User> {
    // No connection is held while the password waits to be hashed.
    let found = users::by_email(&app.db().await?, email).await?;
    let stored = found.as_ref().and_then(|(_, stored)| stored.clone());
    // An unknown address costs as much time as a known one.
    let matches = hashing(app, move || {
        password::verify(&given, stored.as_deref().unwrap_or(password::dummy()))
    })
    .await?;
    let Some((user, _)) = found.filter(|(_, stored)| matches && stored.is_some()) else {
        let code = "INVALID_EMAIL_OR_PASSWORD";
        return Err(Refusal::Code(StatusCode::UNAUTHORIZED, code));
    };
    attempt.succeeded(app).await?;
    admit(&user)?;
    Ok(user)
}

/// Whether this person may be signed in at all.
pub fn admit(user: &User) -> AuthResult<()> {
    if user.disabled {
        return Err(Refusal::Code(StatusCode::FORBIDDEN, "ACCOUNT_DISABLED"));
    }
    if user.email_verification == "pending" {
        return Err(Refusal::Code(StatusCode::FORBIDDEN, "EMAIL_NOT_VERIFIED"));
    }
    Ok(())
}

/// Starts a session of the user, who has just proved himself.
pub async fn open(
    app: &App,
    user: UserId,
    proof: Proof,
    from: (Client, &HeaderMap),
    remember: bool,
) -> AuthResult<Cookies> {
    let workspace = home(app, user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let (cookies, _) = open_in(app, &tenant, user, proof, from, remember).await?;
    tenant.commit().await?;
    Ok(cookies)
}

/// The same in a transaction, under a token that nobody has seen before.
pub async fn open_in(
    app: &App,
    tenant: &Tenant<'_>,
    user: UserId,
    proof: Proof,
    (client, headers): (Client, &HeaderMap),
    remember: bool,
) -> AuthResult<(Cookies, SessionId)> {
    let token = random::token("");
    let browser = headers.get(header::USER_AGENT);
    let browser = browser.and_then(|value| value.to_str().ok());
    let digest = hash::sha256(token.expose().as_bytes());
    let (id, days) = (SessionId::random(), cookie::SESSION_DAYS);
    let from = (&*client.0.to_string(), browser);
    sessions::insert(&**tenant, id, user, &digest, days, proof, from).await?;
    let actor = (ActorKind::User, user.to_string());
    let details = json!({"method": proof.as_str()});
    let record = Record::new(actor, Action::UserSignedIn, details);
    app.record(tenant, record).await?;
    // Clients take the first cookie for the session's.
    let cookies = cookie::set_session(&token, app.config.origin.https, remember);
    let cookies = cookies.into_iter().map(|c| (header::SET_COOKIE, c));
    Ok((AppendHeaders(cookies.collect()), id))
}

/// The workspace in which what a person does to his own account is recorded.
pub async fn home(app: &App, user: UserId) -> Result<WorkspaceId, AppError> {
    let memberships = workspace::of(app, user).await?;
    let first = memberships.first().map(|first| first.workspace);
    first.ok_or_else(|| AppError::internal("a user without a workspace"))
}
