//! The authenticator: turns the one credential that a request carries into a [`Caller`].

use axum::http::HeaderMap;

use ah5_contracts::audit::ActorKind;
use ah5_contracts::claims::{AGENT_TOKEN_PREFIX, PERSONAL_TOKEN_PREFIX};
use ah5_contracts::id::{AgentId, UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_edge::credential::{Presented, presented};
use ah5_security::token::peek_kid;
use ah5_store::tenant::Tenant;
use ah5_store::{agents, sessions, workspaces};

use crate::app::{App, now};
use crate::error::AppError;

#[derive(Clone, Debug)]
pub enum Caller {
    Agent {
        id: AgentId,
        workspace: WorkspaceId,
    },
    User {
        id: UserId,
        workspace: WorkspaceId,
        role: Role,
    },
}

// === impl Caller ===

impl Caller {
    pub const fn workspace(&self) -> WorkspaceId {
        match self {
            Self::Agent { workspace, .. } | Self::User { workspace, .. } => *workspace,
        }
    }

    pub fn actor(&self) -> (ActorKind, String) {
        match self {
            Self::Agent { id, .. } => (ActorKind::Agent, id.to_string()),
            Self::User { id, .. } => (ActorKind::User, id.to_string()),
        }
    }

    /// The caller behind these headers, alive and in force at this moment.
    pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Self, AppError> {
        let presented =
            presented(headers).map_err(|none| AppError::unauthorized(none.to_string()))?;
        let Presented { bearer, value } = presented;
        if let Some(jws) = value.strip_prefix(AGENT_TOKEN_PREFIX) {
            return agent(app, jws).await;
        }
        if !bearer || value.starts_with(PERSONAL_TOKEN_PREFIX) {
            return Err(AppError::unauthorized("Invalid or expired API key"));
        }
        user(app, value).await
    }
}

async fn agent(app: &App, jws: &str) -> Result<Caller, AppError> {
    let refused = || AppError::unauthorized("Invalid or expired API key");
    let kid = peek_kid(jws).ok_or_else(refused)?;
    let key = app.keys.verification(&kid).ok_or_else(refused)?;
    let claims = key
        .verify_agent(jws, &app.config.origin.text, now())
        .map_err(|_| refused())?;
    let id = claims.agent().ok_or_else(refused)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, claims.wid).await?;
    let agent = agents::get(&tenant, id).await?.ok_or_else(refused)?;
    tenant.commit().await?;
    if agent.status != "active" || agent.epoch != claims.epoch {
        return Err(refused());
    }
    Ok(Caller::Agent {
        id,
        workspace: claims.wid,
    })
}

async fn user(app: &App, jws: &str) -> Result<Caller, AppError> {
    let refused = || AppError::unauthorized("Invalid or expired token");
    let kid = peek_kid(jws).ok_or_else(refused)?;
    let key = app.keys.verification(&kid).ok_or_else(refused)?;
    let claims = key
        .verify_user(jws, &app.config.jwt_issuer, now())
        .map_err(|error| match error {
            ah5_security::token::TokenError::Claims => AppError::unauthorized("Invalid JWT claims"),
            _ => refused(),
        })?;
    let db = app.db().await?;
    if !sessions::is_live(&db, claims.sid, claims.sub).await? {
        return Err(refused());
    }
    // The role is today's, not the one at the time of signing.
    let memberships = workspaces::of_member(&db, claims.sub).await?;
    let role = memberships
        .iter()
        .find(|(workspace, _)| *workspace == claims.wid);
    let (workspace, role) = *role.ok_or_else(refused)?;
    Ok(Caller::User {
        id: claims.sub,
        workspace,
        role,
    })
}
