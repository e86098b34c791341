//! The members of a workspace. Nobody gives a role as high as their own, but the owner; nobody
//! touches the owner, who can only hand the workspace over.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::UserId;
use ah5_contracts::role::Role;
use ah5_store::members::{self, Member};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::input::Input;

use super::user;

/// What an invitation or a change can make of somebody.
pub const GIVEN: [&str; 3] = ["viewer", "approver", "admin"];

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let listed: Vec<Value> = members::list(&tenant).await?.iter().map(shown).collect();
    Ok(Json(json!({ "members": listed })).into_response())
}

pub async fn set_role(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let member: UserId = id.parse()?;
    let role = role_of(&input)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let (mine, held) = roles(&tenant, &caller, member).await?;
    below(mine, held)?;
    below(mine, role)?;
    members::set_role(&tenant, member, role).await?;
    let details = json!({"userId": member, "from": held.as_str(), "to": role.as_str()});
    let record = Record::new(caller.actor(), Action::MemberRoleChanged, details);
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    Ok(Json(json!({"userId": member, "role": role.as_str()})).into_response())
}

/// Removes a member, or lets one leave. Their tokens for this workspace end with it.
pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let member: UserId = id.parse()?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let (mine, held) = roles(&tenant, &caller, member).await?;
    if held == Role::Owner {
        return Err(AppError::conflict("The owner cannot leave")
            .hint("Hand the workspace over to another member first."));
    }
    if member != user(&caller)? {
        if mine < Role::Admin {
            return Err(AppError::forbidden("This needs the role admin"));
        }
        below(mine, held)?;
    }
    members::remove(&tenant, member).await?;
    let details = json!({"userId": member, "role": held.as_str()});
    let record = Record::new(caller.actor(), Action::MemberRemoved, details);
    app.record(&tenant, record).await?;
    tenant.commit().await?;
    Ok(Json(json!({"success": true})).into_response())
}

pub fn role_of(input: &Input) -> Result<Role, AppError> {
    let text = input.text("role")?;
    let allowed = input.one_of("role", &GIVEN)?.unwrap_or(&text);
    allowed
        .parse()
        .map_err(|_| AppError::bad_request("body/role must be equal to one of the allowed values"))
}

/// Only owners deal with admins.
pub fn below(mine: Role, other: Role) -> Result<(), AppError> {
    if mine == Role::Owner || other < mine {
        return Ok(());
    }
    Err(AppError::forbidden("This needs the role owner"))
}

/// The caller's role and the member's, both locked in id order.
async fn roles(
    tenant: &Tenant<'_>,
    caller: &Caller,
    member: UserId,
) -> Result<(Role, Role), AppError> {
    let me = user(caller)?;
    let unknown = || AppError::not_found("Member not found");
    let first = members::lock(tenant, me.min(member)).await?;
    let second = members::lock(tenant, me.max(member)).await?;
    let (mine, theirs) = if me < member {
        (first, second)
    } else {
        (second, first)
    };
    Ok((mine.ok_or_else(unknown)?, theirs.ok_or_else(unknown)?))
}

fn shown(member: &Member) -> Value {
    json!({
        "userId": member.user, "name": member.name, "email": member.email,
        "role": member.role, "joinedAt": time(member.joined_at),
    })
}
