//! People, who act as an agent that they name: signed in, or by a personal access token. Either
//! takes the role of an admin, as of now.

use ah5_contracts::claims::UserClaims;
use ah5_contracts::id::{PersonalTokenId, SessionId, UserId};
use ah5_contracts::role::Role;
use ah5_contracts::scope::{Scope, Scopes};
use ah5_security::hash::sha256;
use ah5_security::personal;
use ah5_security::token::{TokenError, peek_kid};

use super::{Caller, Identity, Now, bad_key, unsettled};
use crate::plane::Plane;
use crate::request::Refusal;
use crate::snapshot::{PersonalToken, Published, Workspace};

/// Somebody, and what they proved it with.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    user: UserId,
    /// Of the token; a session has all.
    scopes: Option<Scopes>,
    proof: Proof,
}

#[derive(Clone, Copy, Debug)]
enum Proof {
    /// A token of this session, and the key that has verified it.
    Session(SessionId, u64),
    /// The digest of a personal token.
    Token(PersonalTokenId, [u8; 32]),
}

/// A token of somebody's session.
///
/// # Errors
/// 401, or 403 to somebody whose role is not enough.
pub async fn signed_in(plane: &Plane, jws: &str, now: Now) -> Result<Caller, Refusal> {
    let refused = || Refusal::unauthorized("Invalid or expired token");
    plane.admission.check_failures(now.client, now.seconds)?;
    let globals = plane.published.globals();
    let kid = peek_kid(jws).ok_or_else(refused)?;
    let key = globals.keys.get(&kid).ok_or_else(refused)?;
    let claims: UserClaims = key
        .verify_user(jws, &plane.jwt_issuer, now.seconds)
        .map_err(|error| match error {
            TokenError::Claims => Refusal::unauthorized("Invalid JWT claims"),
            TokenError::Expired | TokenError::Invalid => refused(),
        })?;
    if globals.revoked_sessions.contains(&claims.sid)
        || globals.disabled_users.contains(&claims.sub)
    {
        return Err(refused());
    }
    let known = plane.published.workspace(claims.wid).is_some();
    let settled = known || plane.freshener.look(claims.wid).await;
    let unknown = || if settled { refused() } else { unsettled() };
    let workspace = plane.published.workspace(claims.wid).ok_or_else(unknown)?;
    has_role(&workspace, claims.sub, refused)?;
    Ok(Caller {
        identity: Identity::User(claims.sub),
        epoch: 0,
        key: None,
        person: Some(Person {
            user: claims.sub,
            scopes: None,
            proof: Proof::Session(claims.sid, key.number()),
        }),
        nonce: None,
        workspace_id: claims.wid,
        workspace,
    })
}

/// A personal access token. It is no signature that could be checked without knowing its workspace,
/// so for one that this replica doesn't hold nothing is loaded.
///
/// # Errors
/// 401, or 403 to a token without the scope and to somebody whose role is not enough.
pub async fn by_token(plane: &Plane, text: &str, now: Now) -> Result<Caller, Refusal> {
    plane.admission.check_failures(now.client, now.seconds)?;
    let id = personal::workspace_of(text).ok_or_else(bad_key)?;
    let digest = sha256(text.as_bytes());
    let mut workspace = plane.published.workspace(id).ok_or_else(bad_key)?;
    if !workspace.personal_tokens.contains_key(&digest) {
        // It may have been made a moment ago. Nothing is proven: whoever guesses learns no more
        // from a look that failed.
        let _settled = plane.freshener.look(id).await;
        workspace = plane.published.workspace(id).ok_or_else(bad_key)?;
    }
    let token = workspace.personal_tokens.get(&digest).ok_or_else(bad_key)?;
    let PersonalToken {
        id: token_id,
        user,
        scopes,
        expires,
    } = *token;
    if expires <= now.seconds || plane.published.globals().disabled_users.contains(&user) {
        return Err(bad_key());
    }
    has_role(&workspace, user, bad_key)?;
    Ok(Caller {
        identity: Identity::User(user),
        epoch: 0,
        key: None,
        person: Some(Person {
            user,
            scopes: Some(scopes),
            proof: Proof::Token(token_id, digest),
        }),
        nonce: None,
        workspace_id: id,
        workspace,
    })
}

// === impl Person ===

impl Person {
    /// What was proved still stands, the account is not disabled, and the role of today will do.
    #[must_use]
    pub fn may_act(self, published: &Published, workspace: &Workspace) -> bool {
        let globals = published.globals();
        let proven = match self.proof {
            Proof::Session(id, key) => {
                !globals.revoked_sessions.contains(&id) && globals.holds(key)
            }
            Proof::Token(_, digest) => workspace.personal_tokens.contains_key(&digest),
        };
        proven
            && !globals.disabled_users.contains(&self.user)
            && workspace.members.get(&self.user) >= Some(&Role::Admin)
    }

    /// # Errors
    /// 403: a personal token without the scope.
    pub fn needs(self, scope: Scope) -> Result<(), Refusal> {
        match self.scopes {
            Some(scopes) if !scopes.contains(scope) => {
                let error = format!("Missing required scope: {scope}");
                Err(Refusal::forbidden(error, None))
            }
            _ => Ok(()),
        }
    }

    /// The personal token that was shown, if it was one.
    #[must_use]
    pub const fn token(self) -> Option<PersonalTokenId> {
        match self.proof {
            Proof::Session(..) => None,
            Proof::Token(id, _) => Some(id),
        }
    }
}

/// The role is today's, not the one at the time of signing.
fn has_role(
    workspace: &Workspace,
    user: UserId,
    refused: impl Fn() -> Refusal,
) -> Result<(), Refusal> {
    match workspace.members.get(&user) {
        None => Err(refused()),
        Some(role) if *role < Role::Admin => {
            Err(Refusal::forbidden("This needs the role admin", None))
        }
        Some(_) => Ok(()),
    }
}
