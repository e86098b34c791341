//! Adding a passkey. The person has proved himself a moment ago; his owners are told.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use webauthn_rs::prelude::RegisterPublicKeyCredential;

use ah5_contracts::audit::Action;
use ah5_contracts::id::{PasskeyId, UserId};
use ah5_store::ceremonies::Purpose;
use ah5_store::passkeys::{self, NewPasskey, Passkey};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::origin;
use crate::auth::recent::Recent;
use crate::input::Input;
use crate::owners::tell_owners_of;
use crate::passkey::{Registered, ceremony};
use crate::routes::passkeys::{Shown, about, name_of};
use crate::routes::session::home;
use crate::routes::session::refusal::{AuthResult, Refusal};

pub async fn options(
    State(app): State<App>,
    Extension(Recent(session)): Extension<Recent>,
) -> AuthResult {
    let existing = passkeys::of_user(&app.db().await?, session.user).await?;
    let existing = existing.into_iter().map(|key| key.credential_id).collect();
    let challenge = app.relying_party.register(&session, existing);
    let challenge = challenge.map_err(|error| ceremony::refusal(error, failed()))?;
    ceremony::begin(
        &app,
        Purpose::Register(session.user),
        challenge,
        |options| options,
    )
    .await
}

pub async fn verify(
    State(app): State<App>,
    Extension(Recent(session)): Extension<Recent>,
    headers: HeaderMap,
    input: Input,
) -> AuthResult {
    origin::check_auth(&headers, &app.config.origin)?;
    let name = name_of(&input)?.unwrap_or_else(|| UNNAMED.to_owned());
    let answer: RegisterPublicKeyCredential = ceremony::answer_of(&input)?;
    let state = ceremony::take(&app, &headers, Purpose::Register(session.user)).await?;
    let made = app.relying_party.registered(&answer, state);
    let made = made.map_err(|error| ceremony::refusal(error, failed()))?;
    let passkey = keep(&app, session.user, &name, &made).await?;
    Ok(ceremony::over(&app, Json(Shown::from(passkey))))
}

async fn keep(app: &App, user: UserId, name: &str, made: &Registered) -> AuthResult<Passkey> {
    let home = home(app, user).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, home).await?;
    let new = NewPasskey {
        id: PasskeyId::random(),
        user,
        name,
        credential_id: &made.credential_id,
        credential: &made.credential,
        transports: &made.transports,
    };
    let kept = passkeys::insert(&*tenant, &new).await.map_err(|error| {
        if error.is_conflict_with("t_passkeys_credential_id_key") {
            failed()
        } else {
            error.into()
        }
    })?;
    let full = || Refusal::Code(StatusCode::CONFLICT, "TOO_MANY_PASSKEYS");
    let passkey = kept.ok_or_else(full)?;
    let tenant = tell_owners_of(app, tenant, user, about(&passkey, Action::PasskeyAdded)).await?;
    tenant.commit().await?;
    Ok(passkey)
}

fn failed() -> Refusal {
    Refusal::Code(StatusCode::BAD_REQUEST, "FAILED_TO_VERIFY_REGISTRATION")
}

const UNNAMED: &str = "Passkey";
