//! Signing in by passkey: the browser offers those it has, or the address names a list.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_store::ceremonies::Purpose;
use ah5_store::passkeys;
use ah5_store::sessions::Proof;
use ah5_store::tenant::Tenant;
use ah5_store::users;

use crate::app::App;
use crate::auth::origin;
use crate::error::AppError;
use crate::input::{Input, OptionalInput};
use crate::passkey::{allowed, ceremony};
use crate::router::Client;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{admit, email_of, home, open_in, user_json};

/// Any passkey of this installation that the browser finds.
pub async fn options(State(app): State<App>) -> AuthResult {
    begin(&app, Vec::new()).await
}

/// With `email`: the passkeys behind that address, for keys that browsers cannot find by themselves.
pub async fn options_for(
    State(app): State<App>,
    headers: HeaderMap,
    OptionalInput(input): OptionalInput,
) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let Some(input) = input.filter(|input| input.value("email").is_some()) else {
        return begin(&app, Vec::new()).await;
    };
    let email = email_of(&input)?;
    let ids = passkeys::ids_by_email(&app.db().await?, &email).await?;
    begin(&app, allowed::for_address(&app.ring(), &email, ids)).await
}

pub async fn verify(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    input: Input,
) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let (passkey, used) = ceremony::prove(&app, &headers, Purpose::SignIn, &input).await?;
    let found = users::get(&app.db().await?, passkey.user).await?;
    let user = found.ok_or_else(|| AppError::internal("a passkey of nobody"))?;
    admit(&user)?;
    let home = home(&app, user.id).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, home).await?;
    ceremony::note(&tenant, &passkey, &used).await?;
    let remember = input.value("rememberMe") != Some(&Value::Bool(false));
    let from = (client, &headers);
    let opened = open_in(&app, &tenant, user.id, Proof::Passkey, from, remember).await?;
    tenant.commit().await?;
    let (cookies, session) = opened;
    let session = json!({"id": session, "userId": user.id});
    let body = Json(json!({"session": session, "user": user_json(&user)}));
    Ok(ceremony::over(&app, (cookies, body).into_response()))
}

async fn begin(app: &App, allowed: Vec<Value>) -> AuthResult {
    let challenge = app.relying_party.authenticate(allowed);
    let challenge = challenge.map_err(|error| ceremony::refusal(error, Refusal::NoSession))?;
    ceremony::begin(app, Purpose::SignIn, challenge, |options| options).await
}
