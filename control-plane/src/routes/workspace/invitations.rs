//! Invitations. They carry no secret: whoever is signed in and has proved by mail that the address
//! is theirs may take what is open for it. So a link in a mail gives nothing to whoever reads it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::InvitationId;
use ah5_store::invitations::{self, Invitation, OpenInvitation};
use ah5_store::tenant::Tenant;
use ah5_store::{members, users};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::auth::throttle;
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::mail::Letter;
use crate::routes::session;

use super::people::{below, role_of};
use super::user;

const DAYS: i32 = 7;
/// Open at a time in a workspace.
const MAX_OPEN: usize = 100;

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let email = session::email_of(&input)
        .map_err(|_| AppError::bad_request("body/email must match format \"email\""))?;
    let (role, by) = (role_of(&input)?, user(&caller)?);
    // Nobody's mailbox is flooded: the invitation stands without its letter, too.
    let may_write = throttle::may_write(&app, &email).await.unwrap_or(false);
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let mine = members::lock(&tenant, by).await?;
    below(mine.ok_or_else(unknown)?, role)?;
    if members::list(&tenant)
        .await?
        .iter()
        .any(|m| m.email == email)
    {
        return Err(AppError::conflict(
            "This address belongs to a member already",
        ));
    }
    if invitations::list(&tenant).await?.len() >= MAX_OPEN {
        return Err(AppError::conflict(format!(
            "At most {MAX_OPEN} invitations are open at a time"
        )));
    }
    let invitation = invitations::put(&tenant, &email, role, by, DAYS).await?;
    let details = json!({"email": email, "role": role.as_str()});
    let record = Record::new(caller.actor(), Action::MemberInvited, details);
    app.record(&tenant, record).await?;
    if may_write {
        let letter = Letter::invited(&app.config.origin, &email);
        app.mail.post(&*tenant, &app.ring(), &letter).await?;
    }
    tenant.commit().await?;
    app.mail.wake();
    let body = json!({"invitation": shown(&invitation)});
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let listed: Vec<Value> = invitations::list(&tenant)
        .await?
        .iter()
        .map(shown)
        .collect();
    Ok(Json(json!({ "invitations": listed })).into_response())
}

pub async fn withdraw(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: InvitationId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let taken = invitations::take(&tenant, id).await?.ok_or_else(unknown)?;
    let details = json!({"email": taken.email});
    let record = Record::new(caller.actor(), Action::InvitationWithdrawn, details);
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    Ok(Json(json!({"success": true})).into_response())
}

/// Those for the caller's own address, whatever workspace they are in now.
pub async fn mine(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let db = app.db().await?;
    let Some(email) = users::proven_email(&db, user(&caller)?).await? else {
        return Ok(Json(json!({"invitations": []})).into_response());
    };
    let open = invitations::open_for(&db, &email).await?;
    let open: Vec<Value> = open.iter().map(offered).collect();
    Ok(Json(json!({ "invitations": open })).into_response())
}

pub async fn accept(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    answer(&app, &caller, &id, true).await
}

pub async fn decline(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    answer(&app, &caller, &id, false).await
}

async fn answer(app: &App, caller: &Caller, id: &str, accepted: bool) -> AppResult {
    let (id, user): (InvitationId, _) = (id.parse()?, user(caller)?);
    let mut db = app.db().await?;
    let unproven = || {
        AppError::forbidden("Your address is not verified")
            .hint("Open the link in the verification mail, then try again.")
    };
    let email = users::proven_email(&db, user).await?.ok_or_else(unproven)?;
    let open = invitations::open_for(&db, &email).await?;
    let offer = open
        .into_iter()
        .find(|open| open.id == id)
        .ok_or_else(unknown)?;
    let tenant = Tenant::begin(&mut db, offer.workspace).await?;
    // Only one of two answers at once takes it, and only as it is now.
    let taken = invitations::take(&tenant, id).await?.ok_or_else(unknown)?;
    let role = taken.role.parse().map_err(|_| unknown())?;
    if accepted {
        members::insert(&tenant, user, role)
            .await
            .map_err(|error| {
                if error.is_conflict_with("t_workspace_members_pkey") {
                    AppError::conflict("You are a member already")
                } else {
                    error.into()
                }
            })?;
    }
    let action = if accepted {
        Action::MemberJoined
    } else {
        Action::InvitationDeclined
    };
    let details = json!({"email": taken.email, "role": taken.role});
    app.record(&tenant, Record::new(caller.actor(), action, details))
        .await?;
    tenant.commit().await?;
    Ok(Json(json!({"success": true, "workspaceId": offer.workspace})).into_response())
}

fn unknown() -> AppError {
    AppError::not_found("Invitation not found")
}

fn shown(invitation: &Invitation) -> Value {
    json!({
        "id": invitation.id, "email": invitation.email, "role": invitation.role,
        "invitedBy": invitation.invited_by, "expiresAt": time(invitation.expires_at),
        "createdAt": time(invitation.created_at),
    })
}

fn offered(open: &OpenInvitation) -> Value {
    json!({
        "id": open.id, "workspaceId": open.workspace, "workspaceName": open.workspace_name,
        "role": open.role, "expiresAt": time(open.expires_at),
    })
}
