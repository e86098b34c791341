//! Workspaces: the caller's current one, and those that somebody belongs to.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_security::vault::DataKey;
use ah5_store::members::{self, Membership};
use ah5_store::tenant::Tenant;
use ah5_store::workspaces::{self, Workspace};
use ah5_store::{StoreError, users};

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};
use crate::owners;

pub mod invitations;
pub mod panic;
pub mod people;
pub mod vending;

/// Workspaces that one person may own.
const MAX_OWNED: usize = 20;
const MAX_NAME: usize = 200;

pub async fn current(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = workspaces::current(&tenant).await?.ok_or_else(unknown)?;
    Ok(Json(shown(&found)).into_response())
}

pub async fn rename(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let name = name_of(&input)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let renamed = workspaces::rename(&tenant, &name).await?;
    let renamed = renamed.ok_or_else(unknown)?;
    let record = Record::new(
        caller.actor(),
        Action::WorkspaceRenamed,
        json!({"name": name}),
    );
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    Ok(Json(shown(&renamed)).into_response())
}

/// Where the caller may switch to: a token for another one comes from the token exchange.
pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let memberships = members::of_user(&app.db().await?, user(&caller)?).await?;
    let listed = memberships.iter().map(|membership| {
        json!({
            "id": membership.workspace, "name": membership.name,
            "role": membership.role.as_str(),
            "current": membership.workspace == caller.workspace(),
        })
    });
    Ok(Json(json!({"workspaces": listed.collect::<Vec<_>>()})).into_response())
}

pub async fn create(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let (name, owner) = (name_of(&input)?, user(&caller)?);
    let mut db = app.db().await?;
    let memberships = members::of_user(&db, owner).await?;
    if memberships.iter().filter(|m| m.owned).count() >= MAX_OWNED {
        return Err(AppError::conflict(format!(
            "One person owns at most {MAX_OWNED} workspaces"
        )));
    }
    let tenant = Tenant::begin(&mut db, WorkspaceId::random()).await?;
    make(&app, &tenant, owner, &name).await?;
    let record = Record::new(
        caller.actor(),
        Action::WorkspaceCreated,
        json!({"name": name}),
    );
    app.record(&tenant, record).await?;
    let made = workspaces::current(&tenant).await?.ok_or_else(unknown)?;
    tenant.commit().await?;
    Ok((StatusCode::CREATED, Json(shown(&made))).into_response())
}

/// Hands the workspace to another member; the owner of today stays as an admin.
pub async fn transfer(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let (from, to): (UserId, UserId) = (user(&caller)?, input.id("userId")?);
    if from == to {
        return Err(AppError::conflict("This member owns the workspace already"));
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    // In id order: two transfers at once must not wait for each other.
    for member in [from.min(to), from.max(to)] {
        let role = members::lock(&tenant, member).await?;
        let role = role.ok_or_else(|| AppError::not_found("Member not found"))?;
        if member == from && role != Role::Owner {
            return Err(AppError::conflict(
                "Conflicts with a change made at the same time",
            ));
        }
    }
    workspaces::set_owner(&tenant, to).await?;
    members::set_role(&tenant, to, Role::Owner).await?;
    members::set_role(&tenant, from, Role::Admin).await?;
    let details = json!({"from": from, "to": to});
    let record = Record::new(caller.actor(), Action::WorkspaceTransferred, details);
    owners::tell(&app, &tenant, record, &[from, to]).await?;
    let now = workspaces::current(&tenant).await?.ok_or_else(unknown)?;
    tenant.commit().await?;
    Ok(Json(shown(&now)).into_response())
}

/// Makes the workspace that `tenant` is in, with the key that will seal its credentials.
pub async fn make(
    app: &App,
    tenant: &Tenant<'_>,
    owner: UserId,
    name: &str,
) -> Result<(), StoreError> {
    let wrapped = app.ring().wrap(tenant.workspace(), &DataKey::generate());
    workspaces::insert(tenant, owner, name, &wrapped).await
}

/// The workspaces that somebody belongs to. There is always one: whoever has been taken out of the
/// last gets one of their own.
pub async fn of(app: &App, user: UserId) -> Result<Vec<Membership>, AppError> {
    let mut db = app.db().await?;
    let memberships = members::of_user(&db, user).await?;
    if !memberships.is_empty() {
        return Ok(memberships);
    }
    let name = users::name(&db, user).await?;
    let name = name.ok_or_else(|| AppError::internal("a session of nobody"))?;
    let tenant = Tenant::begin(&mut db, WorkspaceId::random()).await?;
    make(app, &tenant, user, &named_after(&name)).await?;
    tenant.commit().await?;
    Ok(members::of_user(&db, user).await?)
}

pub fn named_after(person: &str) -> String {
    format!("{person}'s Workspace")
}

/// The person who calls. The table lets nobody else to these routes.
pub fn user(caller: &Caller) -> Result<UserId, AppError> {
    let not_a_person = || AppError::forbidden("This endpoint is not available to agents");
    caller.user().ok_or_else(not_a_person)
}

fn name_of(input: &Input) -> Result<String, AppError> {
    let fault = "name is required and must be a non-empty string";
    let name = not_blank(&input.text("name")?, fault)?;
    if name.chars().count() > MAX_NAME {
        return Err(AppError::bad_request(format!(
            "body/name must NOT have more than {MAX_NAME} characters"
        )));
    }
    Ok(name)
}

fn unknown() -> AppError {
    AppError::not_found("Workspace not found")
}

fn shown(workspace: &Workspace) -> Value {
    json!({
        "id": workspace.id, "name": workspace.name, "ownerId": workspace.owner,
        "createdAt": time(workspace.created_at), "updatedAt": time(workspace.updated_at),
    })
}
