//! Claims of the two kinds of token we sign (RFC 7519). They have different keys, `typ` and `aud`,
//! so that neither can ever be taken for the other.

use serde::{Deserialize, Serialize};

use crate::id::{AgentId, SessionId, UserId, WorkspaceId};

/// Prefix of an agent token; what follows is a compact JWS.
pub const AGENT_TOKEN_PREFIX: &str = "ah5t_";
/// Prefix of a personal access token.
pub const PERSONAL_TOKEN_PREFIX: &str = "ah5p_";
/// Prefix of a bootstrap secret.
pub const BOOTSTRAP_SECRET_PREFIX: &str = "ah5b_";

/// `typ` of an agent token (RFC 9068).
pub const AGENT_TOKEN_TYPE: &str = "at+jwt";
pub const AGENT_TOKEN_AUDIENCE: &str = "data-plane";
/// The longest life that an agent token may be given, in seconds: thirty days.
pub const MAX_AGENT_TOKEN_SECONDS: i64 = 30 * 24 * 3600;
pub const USER_TOKEN_TYPE: &str = "JWT";
pub const USER_TOKEN_AUDIENCE: &str = "api";
/// The life of a user token, in seconds.
pub const USER_TOKEN_SECONDS: i64 = 300;

/// An agent's token: EdDSA, two hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentClaims {
    /// `agent:<uuid>`.
    pub sub: String,
    pub wid: WorkspaceId,
    /// Good only while equal to the agent's own epoch.
    pub epoch: i64,
    pub jti: String,
    pub iss: String,
    pub aud: String,
    /// Seconds since 1970-01-01 UTC.
    pub iat: i64,
    pub exp: i64,
    /// Never issued, and minded where it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// The key without which the token is worth nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// What a token is bound to (RFC 7800, RFC 9449 §6). A token that is bound in a way that we don't
/// know is no token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The key's thumbprint (RFC 7638).
    pub jkt: String,
}

impl AgentClaims {
    #[must_use]
    pub fn subject(agent: AgentId) -> String {
        format!("agent:{agent}")
    }

    #[must_use]
    pub fn agent(&self) -> Option<AgentId> {
        self.sub.strip_prefix("agent:")?.parse().ok()
    }
}

/// A signed-in user's token: ES256, five minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserClaims {
    pub sub: UserId,
    pub wid: WorkspaceId,
    pub roles: Vec<String>,
    pub scp: Vec<String>,
    pub sid: SessionId,
    pub jti: String,
    #[serde(rename = "platformRole", default = "user")]
    pub platform_role: String,
    pub iss: String,
    pub aud: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
}

fn user() -> String {
    "user".to_owned()
}
