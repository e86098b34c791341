//! The authenticator: turns the one credential that a request carries into a [`Caller`].

use axum::http::{HeaderMap, Method, Uri};

use ah5_contracts::audit::ActorKind;
use ah5_contracts::claims::{AGENT_TOKEN_PREFIX, PERSONAL_TOKEN_PREFIX};
use ah5_contracts::id::{AgentId, PersonalTokenId, SessionId, UserId, WorkspaceId};
use ah5_contracts::role::Role;
use ah5_contracts::scope::Scopes;
use ah5_edge::credential::{Carrier, NoCredential, Presented, presented};
use ah5_edge::dpop::{self, Fault};
use ah5_security::dpop::{Asked, thumbprint_from};
use ah5_security::token::peek_kid;
use ah5_security::{hash, personal};
use ah5_store::tenant::Tenant;
use ah5_store::{agents, members, personal_tokens, sessions, usage};

use crate::app::{App, now};
use crate::auth::{origin, proofs};
use crate::error::AppError;
use crate::routes::session::current;

#[derive(Clone, Debug)]
pub enum Caller {
    Agent {
        id: AgentId,
        workspace: WorkspaceId,
    },
    User {
        id: UserId,
        workspace: WorkspaceId,
        /// As of now, not as of when the credential was made.
        role: Role,
        via: Via,
    },
}

/// As much of a request as its credential is about.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    pub method: &'a Method,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
}

/// What a person proved with who they are.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    Personal {
        token: PersonalTokenId,
        scopes: Scopes,
    },
    /// A token of a live session.
    Session(SessionId),
}

// === impl Caller ===

impl Caller {
    /// A person's credential that no browser session stands behind.
    pub const fn is_by_token(&self) -> bool {
        matches!(
            self,
            Self::User {
                via: Via::Personal { .. },
                ..
            }
        )
    }

    pub const fn workspace(&self) -> WorkspaceId {
        match self {
            Self::Agent { workspace, .. } | Self::User { workspace, .. } => *workspace,
        }
    }

    /// The person, where it is one.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Agent { .. } => None,
            Self::User { id, .. } => Some(*id),
        }
    }

    /// The agent, on a route that is for agents.
    pub fn agent(&self) -> Result<AgentId, AppError> {
        match self {
            Self::Agent { id, .. } => Ok(*id),
            Self::User { .. } => Err(for_agents()),
        }
    }

    pub fn actor(&self) -> (ActorKind, String) {
        match self {
            Self::Agent { id, .. } => (ActorKind::Agent, id.to_string()),
            Self::User { id, .. } => (ActorKind::User, id.to_string()),
        }
    }

    /// Names what the caller showed, for the log.
    pub fn credential(&self) -> String {
        match self {
            Self::Agent { id, .. } => format!("token of agent {id}"),
            Self::User { via, .. } => match via {
                Via::Personal { token, .. } => format!("personal token {token}"),
                Via::Session(id) => format!("session {id}"),
            },
        }
    }

    /// The caller behind this request, alive and in force at this moment.
    pub async fn authenticate(app: &App, head: Head<'_>) -> Result<Self, AppError> {
        let shown = presented(head.headers);
        let shown = shown.map_err(|none| AppError::unauthorized(none.to_string()))?;
        let Presented { carrier, value } = shown;
        if value.starts_with(AGENT_TOKEN_PREFIX) {
            return agent(app, head, shown).await;
        }
        if carrier == Carrier::Dpop {
            return Err(Fault::Token("Only agents' tokens are bound to keys").into());
        }
        if value.starts_with(PERSONAL_TOKEN_PREFIX) {
            return personal_token(app, value).await;
        }
        if carrier != Carrier::Bearer {
            return Err(bad_key());
        }
        user(app, value).await
    }

    /// The person whose browser this is: by the session's cookie alone, from a page of ours, in the
    /// workspace that the query names or else the first of theirs.
    pub async fn of_cookie(app: &App, headers: &HeaderMap, uri: &Uri) -> Result<Self, AppError> {
        origin::check_exchange(headers, &app.config.origin)?;
        let missing = || AppError::unauthorized(NoCredential::Missing.to_string());
        let session = current(app, headers).await?.ok_or_else(missing)?;
        if session.user_disabled {
            return Err(bad_key());
        }
        let wanted = workspace_of(uri)?;
        let memberships = members::of_user(&app.db().await?, session.user).await?;
        let mut memberships = memberships.iter();
        let here = memberships.find(|it| wanted.is_none_or(|wanted| wanted == it.workspace));
        let here = here.ok_or_else(|| AppError::forbidden("Forbidden"))?;
        Ok(Self::User {
            id: session.user,
            workspace: here.workspace,
            role: here.role,
            via: Via::Session(session.id),
        })
    }
}

fn workspace_of(uri: &Uri) -> Result<Option<WorkspaceId>, AppError> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    let Some((_, text)) = pairs.find(|(name, _)| name == "workspaceId") else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| AppError::bad_request("querystring/workspaceId must match format \"uuid\""))
}

async fn agent(app: &App, head: Head<'_>, shown: Presented<'_>) -> Result<Caller, AppError> {
    let refused = bad_key;
    let jws = shown.value.strip_prefix(AGENT_TOKEN_PREFIX);
    let jws = jws.ok_or_else(refused)?;
    let kid = peek_kid(jws).ok_or_else(refused)?;
    let keys = app.keys()?;
    let key = keys.verification(&kid).ok_or_else(refused)?;
    let claims = key
        .verify_agent(jws, &app.config.origin.text, now())
        .map_err(|_| refused())?;
    let id = claims.agent().ok_or_else(refused)?;
    let bound_to = match &claims.cnf {
        Some(cnf) => Some(thumbprint_from(&cnf.jkt).ok_or_else(refused)?),
        None => None,
    };
    let asked = Asked {
        method: head.method.as_str(),
        origins: &app.origins,
        path: head.path,
        token: Some(shown.value),
        now: now(),
    };
    let proof = dpop::check(head.headers, shown.carrier, bound_to.as_ref(), &asked)?;
    if let Some(proof) = &proof {
        proofs::check_nonce(app, proof)?;
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, claims.wid).await?;
    let agent = agents::get(&tenant, id).await?.ok_or_else(refused)?;
    if agent.status != "active" || agent.epoch != claims.epoch {
        return Err(refused());
    }
    match &proof {
        Some(proof) => proofs::spend(&tenant, proof).await??,
        None if agent.require_dpop => return Err(Fault::Token(proofs::REQUIRED).into()),
        None => {}
    }
    usage::touch_agents(&**tenant, &[id]).await?;
    tenant.commit().await?;
    Ok(Caller::Agent {
        id,
        workspace: claims.wid,
    })
}

async fn user(app: &App, jws: &str) -> Result<Caller, AppError> {
    let refused = || AppError::unauthorized("Invalid or expired token");
    let kid = peek_kid(jws).ok_or_else(refused)?;
    let keys = app.keys()?;
    let key = keys.verification(&kid).ok_or_else(refused)?;
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
    let memberships = members::of_user(&db, claims.sub).await?;
    let mut memberships = memberships.iter();
    let here = memberships.find(|membership| membership.workspace == claims.wid);
    let here = here.ok_or_else(refused)?;
    Ok(Caller::User {
        id: claims.sub,
        workspace: here.workspace,
        role: here.role,
        via: Via::Session(claims.sid),
    })
}

async fn personal_token(app: &App, text: &str) -> Result<Caller, AppError> {
    let workspace = personal::workspace_of(text).ok_or_else(bad_key)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    let holder = personal_tokens::holder(&tenant, &hash::sha256(text.as_bytes())).await?;
    let holder = holder.ok_or_else(bad_key)?;
    usage::touch_personal_tokens(&**tenant, &[holder.id]).await?;
    tenant.commit().await?;
    Ok(Caller::User {
        id: holder.user,
        workspace,
        // Neither a role nor a scope that this build doesn't know gives a right.
        role: holder.role.parse().map_err(|_| bad_key())?,
        via: Via::Personal {
            token: holder.id,
            scopes: Scopes::parse(&holder.scopes).map_err(|_| bad_key())?,
        },
    })
}

pub fn for_agents() -> AppError {
    AppError::forbidden("This endpoint is only available to agents (use an agent API key)")
}

fn bad_key() -> AppError {
    AppError::unauthorized("Invalid or expired API key")
}
