//! Identifiers. One type per kind of thing, so that an agent's id can never stand for a
//! connection's. On the wire an id is a lower-case hyphenated UUID and nothing else.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh random id (UUIDv4): these ids travel to strangers and must tell nothing.
            #[must_use]
            pub fn random() -> Self {
                Self(Uuid::new_v4())
            }

            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )+};
}

id! {
    AgentId,
    ApprovalId,
    /// One audit row. Made by [`AuditId::now`], so that rows sort by time.
    AuditId,
    /// One life of a process, from start to exit.
    BootId,
    /// Where a workspace's people are told of things.
    ChannelId,
    /// One redemption of an approval.
    ClaimId,
    ConnectionId,
    InvitationId,
    NotificationId,
    /// A client registered at a provider, of one workspace.
    OAuthAppId,
    PasskeyId,
    /// A consent that a person was sent to a provider for.
    PendingConnectionId,
    PermissionRequestId,
    PersonalTokenId,
    PolicyId,
    /// A data plane's life from start to exit.
    ReplicaId,
    SecretId,
    SessionId,
    /// One writer of audit rows: a process's life from start to exit.
    SpoolId,
    TrustId,
    UserId,
    WorkspaceId,
}

impl AuditId {
    /// A time-ordered id (UUIDv7).
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// One row tells of a call's intent and of its end. Readers are shown two events, and the intent's
    /// id is the row's with another version (8, "custom"). Rows of other origin have no such twin.
    #[must_use]
    pub fn of_intent(self) -> Option<Self> {
        (self.0.get_version_num() == 7).then(|| self.with_version(8))
    }

    /// The row that an event's id stands for.
    #[must_use]
    pub fn of_row(self) -> Self {
        match self.0.get_version_num() {
            8 => self.with_version(7),
            _ => self,
        }
    }

    fn with_version(self, version: u8) -> Self {
        let mut bytes = self.0.into_bytes();
        bytes[6] = (bytes[6] & 0x0f) | (version << 4);
        Self(Uuid::from_bytes(bytes))
    }
}

/// The text is not a hyphenated UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnId;

impl fmt::Display for NotAnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must match format \"uuid\"")
    }
}

impl std::error::Error for NotAnId {}

// `Uuid::parse_str` also takes braces, `urn:uuid:` and bare hex: several spellings of one id would
// be several keys in a cache or a rule, so only the canonical one is taken.
fn parse(text: &str) -> Result<Uuid, NotAnId> {
    if text.len() != 36 {
        return Err(NotAnId);
    }
    Uuid::try_parse(text).map_err(|_| NotAnId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_leads_back_to_its_row() {
        let row = AuditId::now();
        let intent = row.of_intent().unwrap();
        assert!(intent != row && intent.of_intent().is_none());
        assert_eq!((intent.of_row(), row.of_row()), (row, row));
        let foreign = AuditId::random();
        assert_eq!((foreign.of_intent(), foreign.of_row()), (None, foreign));
    }

    #[test]
    fn takes_only_the_hyphenated_form() {
        let id = AgentId::random();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            id.uuid().simple().to_string(),
            format!("urn:uuid:{id}"),
            format!("{{{id}}}"),
        ] {
            assert_eq!(bad.parse::<AgentId>(), Err(NotAnId), "{bad}");
        }
    }
}
