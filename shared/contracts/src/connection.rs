//! How a connection's secret is carried to its provider.

use serde::{Deserialize, Serialize};

/// The slot in the outgoing request that the credential fills.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Auth {
    /// HTTP Basic (RFC 7617): this user name, the secret as password.
    Basic { username: String },
    /// `Authorization: Bearer` (RFC 6750).
    Bearer,
    /// A header of this name, the secret as its whole value.
    Header { name: String },
    /// The password of a mailbox: shown to its mail servers, and never in a request.
    Mail,
    /// The first segment of the path that begins with this, out of the first two: the secret
    /// stands behind it, in place of whatever the caller wrote there.
    Path { prefix: String },
    /// A query parameter of this name.
    Query { name: String },
    /// Two query parameters; the secret is their two values, a line each.
    #[serde(rename = "query_pair")]
    QueryPair { first: String, second: String },
}

impl Auth {
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer => "bearer",
            Self::Header { .. } => "header",
            Self::Mail => "mail",
            Self::Path { .. } => "path",
            Self::Query { .. } => "query",
            Self::QueryPair { .. } => "query_pair",
        }
    }

    /// The name bound together with the kind; empty if there is none.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Basic { username } => username,
            Self::Bearer | Self::Mail => "",
            Self::Header { name } | Self::Query { name } => name,
            Self::Path { prefix } => prefix,
            Self::QueryPair { first, .. } => first,
        }
    }

    /// A further name that is bound; only a pair has one.
    #[must_use]
    pub fn second_name(&self) -> Option<&str> {
        match self {
            Self::QueryPair { second, .. } => Some(second),
            _ => None,
        }
    }
}

/// Where a mailbox is read and where its letters are handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    pub imap: MailServer,
    pub smtp: MailServer,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailServer {
    /// Canonical: lower case, no trailing dot.
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub username: String,
}

/// How a mail server's connection is protected (RFC 8314).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// From the first byte.
    Tls,
    /// By a command, without which nothing else is said.
    StartTls,
    /// Not at all: only to servers that the operator exempted.
    None,
}

impl MailServer {
    /// One text for all of it: what a password is bound to.
    #[must_use]
    pub fn bound(&self) -> String {
        let Self {
            host,
            port,
            security,
            username,
        } = self;
        format!("{host}:{port} {} {username}", security.as_str())
    }
}

impl MailSecurity {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tls => "tls",
            Self::StartTls => "start_tls",
            Self::None => "none",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionStatus {
    Healthy,
    NeedsReauth,
    Revoked,
}

impl ConnectionStatus {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::NeedsReauth => "needs_reauth",
            Self::Revoked => "revoked",
        }
    }

    /// Anything unknown counts as revoked: a status from a newer schema must not open a door.
    #[must_use]
    pub fn from_stored(text: &str) -> Self {
        match text {
            "healthy" => Self::Healthy,
            "needs_reauth" => Self::NeedsReauth,
            _ => Self::Revoked,
        }
    }
}
