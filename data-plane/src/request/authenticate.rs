//! Who calls. The credential proves an identity; whether that identity may still act is read from
//! the snapshot at every call, so that disabling an agent ends its remembered tokens too.

use std::net::IpAddr;
use std::sync::Arc;

use ah5_contracts::audit::ActorKind;
use ah5_contracts::claims::{AGENT_TOKEN_PREFIX, AgentClaims, PERSONAL_TOKEN_PREFIX};
use ah5_contracts::id::{AgentId, UserId, WorkspaceId};
use ah5_edge::credential::{Carrier, Presented, presented};
use ah5_edge::dpop::{self, Fault};
use ah5_security::dpop::{Asked, Proof, thumbprint_from};
use ah5_security::token::peek_kid;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use self::memory::Remembered;
use super::{Kind, Refusal};
use crate::plane::Plane;
use crate::snapshot::{Globals, Workspace};

pub mod memory;
mod person;

pub use person::Person;

/// Somebody who was known and in force when the call came.
pub struct Caller {
    pub identity: Identity,
    /// Of the agent, as the token has it.
    epoch: i64,
    /// The key that has verified the agent's token; none for a person.
    pub key: Option<u64>,
    pub person: Option<Person>,
    /// For the next proof of possession.
    pub nonce: Option<HeaderValue>,
    pub workspace_id: WorkspaceId,
    pub workspace: Arc<Workspace>,
}

/// When and from where a call came.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub client: IpAddr,
    /// Since 1970-01-01 UTC.
    pub seconds: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    Agent(AgentId),
    /// A person, who acts as the agent that the request names.
    User(UserId),
}

// === impl Caller ===

impl Caller {
    /// # Errors
    /// 401, and nothing about why: whoever guesses learns nothing.
    pub async fn authenticate(plane: &Plane, head: &Parts, now: Now) -> Result<Self, Refusal> {
        let caller = Self::find(plane, head, now).await;
        if caller.as_ref().is_err_and(is_failure) {
            plane.admission.count_failure(now.client, now.seconds);
        }
        caller
    }

    async fn find(plane: &Plane, head: &Parts, now: Now) -> Result<Self, Refusal> {
        let shown = presented(&head.headers);
        let shown = shown.map_err(|none| Refusal::unauthorized(none.to_string()))?;
        let Presented { carrier, value } = shown;
        if value.starts_with(AGENT_TOKEN_PREFIX) {
            return agent(plane, head, shown, now).await;
        }
        if carrier == Carrier::Dpop {
            return Err(Fault::Token("Only agents' tokens are bound to keys").into());
        }
        if value.starts_with(PERSONAL_TOKEN_PREFIX) {
            return person::by_token(plane, value, now).await;
        }
        if carrier != Carrier::Bearer {
            return Err(bad_key());
        }
        person::signed_in(plane, value, now).await
    }

    /// Takes the workspace as it is published now.
    ///
    /// # Errors
    /// The caller may no longer act in it.
    pub fn renew(&mut self, plane: &Plane) -> Result<(), Refusal> {
        let workspace = plane.published.workspace(self.workspace_id);
        self.workspace = workspace.ok_or_else(bad_key)?;
        let still = match (self.identity, self.person) {
            (Identity::Agent(id), _) => {
                let globals = plane.published.globals();
                self.key.is_some_and(|key| globals.holds(key))
                    && is_in_force(&self.workspace, id, self.epoch)
            }
            (Identity::User(_), Some(person)) => person.may_act(&plane.published, &self.workspace),
            (Identity::User(_), None) => false,
        };
        if still { Ok(()) } else { Err(bad_key()) }
    }
}

// === impl Identity ===

impl Identity {
    #[must_use]
    pub fn actor(self) -> (ActorKind, String) {
        match self {
            Self::Agent(id) => (ActorKind::Agent, id.to_string()),
            Self::User(id) => (ActorKind::User, id.to_string()),
        }
    }
}

/// Whether somebody guesses. Who is only asked for another nonce has proved the key.
fn is_failure(refusal: &Refusal) -> bool {
    let asked_again = matches!(refusal.proof.as_deref(), Some(Fault::Nonce(_)));
    refusal.status == StatusCode::UNAUTHORIZED && !asked_again
}

async fn agent(
    plane: &Plane,
    head: &Parts,
    shown: Presented<'_>,
    now: Now,
) -> Result<Caller, Refusal> {
    let jws = shown.value.strip_prefix(AGENT_TOKEN_PREFIX);
    let verified = verified(plane, jws.ok_or_else(bad_key)?, now)?;
    let mut caller = alive(plane, &verified).await?;
    if let Some(proof) = possession(plane, head, shown, &caller, &verified, now)? {
        caller.nonce = plane.proofs.spend(&proof, now.seconds).await?;
    }
    Ok(caller)
}

/// Whoever holds a token that is bound to a key must hold the key too, at every call.
fn possession(
    plane: &Plane,
    head: &Parts,
    shown: Presented<'_>,
    caller: &Caller,
    verified: &Remembered,
    now: Now,
) -> Result<Option<Proof>, Refusal> {
    let agent = caller.workspace.agents.get(&verified.agent);
    if verified.bound_to.is_none() && agent.is_none_or(|agent| agent.require_dpop) {
        let text = "The agent's tokens must be bound to a key: ask for one with a DPoP proof";
        return Err(Fault::Token(text).into());
    }
    let asked = Asked {
        method: head.method.as_str(),
        origins: &plane.origins,
        path: head.uri.path(),
        token: Some(shown.value),
        now: now.seconds,
    };
    let bound_to = verified.bound_to.as_ref();
    Ok(dpop::check(&head.headers, shown.carrier, bound_to, &asked)?)
}

/// What a token says, however often it comes.
fn verified(plane: &Plane, jws: &str, now: Now) -> Result<Remembered, Refusal> {
    let globals = plane.published.globals();
    let token = plane.tokens.fingerprint(jws);
    if let Some(known) = plane.tokens.recall(&token, globals.key_set, now.seconds) {
        return Ok(known);
    }
    // Whoever sends much that is no credential waits; what has proved good passes.
    plane.admission.check_failures(now.client, now.seconds)?;
    let fresh = verify_agent(plane, &globals, jws, now.seconds).ok_or_else(bad_key)?;
    plane.tokens.remember(token, fresh);
    Ok(fresh)
}

/// The token's agent, if it may act as of now.
async fn alive(plane: &Plane, verified: &Remembered) -> Result<Caller, Refusal> {
    if let Some(caller) = in_force(plane, verified) {
        return Ok(caller);
    }
    // The agent may have been made, or re-keyed, a moment ago.
    let settled = !may_be_news(plane, verified) || plane.freshener.look(verified.workspace).await;
    let refused = || if settled { bad_key() } else { unsettled() };
    in_force(plane, verified).ok_or_else(refused)
}

fn verify_agent(plane: &Plane, globals: &Globals, jws: &str, now: i64) -> Option<Remembered> {
    let key = globals.keys.get(&peek_kid(jws)?)?;
    let claims: AgentClaims = key.verify_agent(jws, &plane.origin.text, now).ok()?;
    let agent = claims.agent()?;
    // What is bound to no key that could be is bound to one that nobody has.
    let bound_to = match claims.cnf {
        Some(cnf) => Some(thumbprint_from(&cnf.jkt)?),
        None => None,
    };
    Some(Remembered {
        agent,
        bound_to,
        workspace: claims.wid,
        epoch: claims.epoch,
        expires: claims.exp,
        key_set: globals.key_set,
        key: key.number(),
    })
}

fn in_force(plane: &Plane, token: &Remembered) -> Option<Caller> {
    let workspace = plane.published.workspace(token.workspace)?;
    is_in_force(&workspace, token.agent, token.epoch).then_some(Caller {
        identity: Identity::Agent(token.agent),
        epoch: token.epoch,
        key: Some(token.key),
        person: None,
        nonce: None,
        workspace_id: token.workspace,
        workspace,
    })
}

/// Disabling, re-keying and deleting an agent end its tokens.
pub fn is_in_force(workspace: &Workspace, agent: AgentId, epoch: i64) -> bool {
    let agent = workspace.agents.get(&agent);
    agent.is_some_and(|agent| agent.active && agent.epoch == epoch)
}

fn may_be_news(plane: &Plane, token: &Remembered) -> bool {
    let workspace = plane.published.workspace(token.workspace);
    let agent = workspace.as_ref().and_then(|w| w.agents.get(&token.agent));
    agent.is_none_or(|agent| token.epoch > agent.epoch)
}

fn bad_key() -> Refusal {
    Refusal::unauthorized("Invalid or expired API key")
}

/// The caller shows something that may be new, and the look that would tell took too long.
pub fn unsettled() -> Refusal {
    Refusal::unavailable(
        Kind::Stale,
        "This replica has not caught up with a recent change",
    )
    .hint("Try again in a moment.")
}
