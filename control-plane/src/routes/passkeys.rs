//! A person's passkeys, under the paths and in the shapes that browsers' passkey clients expect.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;

use ah5_contracts::audit::{Action, ActorKind};
use ah5_contracts::id::{PasskeyId, UserId};
use ah5_store::passkeys::{self, Passkey};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::origin;
use crate::auth::recent::Recent;
use crate::input::Input;
use crate::owners::tell_owners_of;
use crate::passkey::allowed::base64url;
use crate::routes::session::refusal::{AuthResult, Refusal};
use crate::routes::session::{current, home};

pub mod register;
pub mod sign_in;

/// A passkey as its owner sees it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    id: PasskeyId,
    name: String,
    user_id: UserId,
    #[serde(rename = "credentialID")]
    credential_id: String,
    counter: i64,
    device_type: &'static str,
    backed_up: bool,
    /// Joined by commas.
    transports: String,
    created_at: String,
    last_used_at: Option<String>,
}

pub async fn list(State(app): State<App>, headers: HeaderMap) -> AuthResult {
    let session = current(&app, &headers).await?.ok_or(Refusal::NoSession)?;
    let found = passkeys::of_user(&app.db().await?, session.user).await?;
    let shown: Vec<Shown> = found.into_iter().map(Shown::from).collect();
    Ok(Json(shown).into_response())
}

pub async fn rename(State(app): State<App>, headers: HeaderMap, input: Input) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let user = current(&app, &headers)
        .await?
        .ok_or(Refusal::NoSession)?
        .user;
    let name = name_of(&input)?.ok_or_else(|| Refusal::Field("[body.name] Required".to_owned()))?;
    let home = home(&app, user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, home).await?;
    let renamed = passkeys::rename(&*tenant, user, id_of(&input)?, &name).await?;
    let passkey = renamed.ok_or_else(not_found)?;
    app.record(&tenant, about(&passkey, Action::PasskeyRenamed))
        .await?;
    tenant.commit().await?;
    Ok(Json(json!({"passkey": Shown::from(passkey)})).into_response())
}

pub async fn remove(
    State(app): State<App>,
    Extension(Recent(session)): Extension<Recent>,
    headers: HeaderMap,
    input: Input,
) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let user = session.user;
    let home = home(&app, user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, home).await?;
    let removed = passkeys::delete(&*tenant, user, id_of(&input)?).await?;
    let passkey = removed.ok_or_else(not_found)?;
    let tenant =
        tell_owners_of(&app, tenant, user, about(&passkey, Action::PasskeyRemoved)).await?;
    tenant.commit().await?;
    Ok(Json(json!({"status": true})).into_response())
}

/// What the trail says of a change to a passkey.
fn about(passkey: &Passkey, action: Action) -> Record {
    let details = json!({"passkeyId": passkey.id, "name": passkey.name});
    let actor = (ActorKind::User, passkey.user.to_string());
    Record::new(actor, action, details)
}

fn id_of(input: &Input) -> AuthResult<PasskeyId> {
    let id = input.text("id").map_err(Refusal::field)?;
    // What is no id is no passkey's id.
    id.parse().map_err(|_| not_found())
}

fn name_of(input: &Input) -> AuthResult<Option<String>> {
    let name = input.optional_text("name").map_err(Refusal::field)?;
    let name = name.map(|name| name.trim().to_owned());
    match name {
        Some(name) if name.chars().count() > MAX_NAME => {
            Err(Refusal::Field("[body.name] Too long".to_owned()))
        }
        name => Ok(name.filter(|name| !name.is_empty())),
    }
}

fn not_found() -> Refusal {
    Refusal::Code(StatusCode::NOT_FOUND, "PASSKEY_NOT_FOUND")
}

// === impl Shown ===

impl From<Passkey> for Shown {
    fn from(passkey: Passkey) -> Self {
        let flag = |name| passkey.credential["cred"][name] == true;
        let synced = flag("backup_eligible");
        Self {
            device_type: if synced {
                "multiDevice"
            } else {
                "singleDevice"
            },
            backed_up: flag("backup_state"),
            id: passkey.id,
            user_id: passkey.user,
            credential_id: base64url(&passkey.credential_id),
            counter: passkey.counter,
            transports: passkey.transports.join(","),
            created_at: time(passkey.created_at),
            last_used_at: passkey.last_used_at.map(time),
            name: passkey.name,
        }
    }
}

const MAX_NAME: usize = 100;
