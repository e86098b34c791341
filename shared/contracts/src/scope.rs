//! Scopes: what a credential may be used for, whatever its holder may do besides.

use std::fmt;
use std::str::FromStr;

/// Stands for every scope that need not be named ([`Scope::must_be_named`]).
pub const ALL: &str = "*";

/// What every agent token carries, and all it may ever carry.
pub const OF_AGENTS: [Scope; 3] = [
    Scope::VaultExecute,
    Scope::CapabilitiesRead,
    Scope::CapabilitiesRequest,
];

/// A set of scopes, as one credential carries it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

/// Not the text of a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope: {0}")]
pub struct UnknownScope(pub String);

macro_rules! scopes {
    ($($name:ident = $text:literal),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Scope { $($name),+ }

        impl Scope {
            pub const EVERY: &[Self] = &[$(Self::$name),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

scopes! {
    ActivityRead = "activity:read",
    AgentsRead = "agents:read",
    AgentsWrite = "agents:write",
    ApprovalsRead = "approvals:read",
    ApprovalsWrite = "approvals:write",
    AuditRead = "audit:read",
    CapabilitiesRead = "capabilities:read",
    CapabilitiesRequest = "capabilities:request",
    ConnectionsRead = "connections:read",
    ConnectionsWrite = "connections:write",
    CredentialsResolve = "credentials:resolve",
    DashboardRead = "dashboard:read",
    NotificationsRead = "notifications:read",
    NotificationsWrite = "notifications:write",
    Panic = "panic",
    PoliciesRead = "policies:read",
    PoliciesWrite = "policies:write",
    TemplatesRead = "templates:read",
    TokensRead = "tokens:read",
    TokensWrite = "tokens:write",
    VaultExecute = "vault:execute",
    WorkspacesRead = "workspaces:read",
    WorkspacesWrite = "workspaces:write",
}

// === impl Scope ===

impl Scope {
    /// These hand out power, or use it on somebody's account: no wildcard implies them.
    #[must_use]
    pub const fn must_be_named(self) -> bool {
        matches!(
            self,
            Self::AgentsWrite
                | Self::ApprovalsWrite
                | Self::PoliciesWrite
                | Self::ConnectionsWrite
                | Self::TokensWrite
                | Self::CredentialsResolve
                | Self::VaultExecute
                | Self::Panic
        )
    }

    /// Whether it lets nothing be changed.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        self.as_str().ends_with(":read")
    }

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let mut every = Self::EVERY.iter();
        every
            .find(|scope| scope.as_str() == text)
            .copied()
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

// === impl Scopes ===

impl Scopes {
    /// What a credential gets that was made without naming any.
    #[must_use]
    pub fn read_only() -> Self {
        let every = Scope::EVERY.iter().copied();
        every.filter(|scope| scope.is_read_only()).collect()
    }

    /// # Errors
    /// A name that is no scope.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, UnknownScope> {
        names.iter().try_fold(Self::default(), |scopes, name| {
            Ok(Self(scopes.0 | Self::named(name.as_ref())?.0))
        })
    }

    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    fn named(name: &str) -> Result<Self, UnknownScope> {
        if name == ALL {
            let every = Scope::EVERY.iter().copied();
            return Ok(every.filter(|scope| !scope.must_be_named()).collect());
        }
        Ok(Self(name.parse::<Scope>()?.bit()))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wildcard_gives_no_power_over_accounts() {
        let all = Scopes::parse(&["*"]).unwrap();
        for &scope in Scope::EVERY {
            assert_eq!(all.contains(scope), !scope.must_be_named(), "{scope}");
        }
        assert!(
            !Scopes::parse(&["*", "panic"])
                .unwrap()
                .contains(Scope::PoliciesWrite)
        );
    }

    #[test]
    fn every_scope_is_found_by_its_own_name_only() {
        for &scope in Scope::EVERY {
            assert_eq!(scope.as_str().parse(), Ok(scope));
            let only = Scopes::parse(&[scope.as_str()]).unwrap();
            let mut held = Scope::EVERY.iter().filter(|other| only.contains(**other));
            assert_eq!(held.next(), Some(&scope));
            assert_eq!(held.next(), None);
        }
        assert!(Scopes::parse(&["agents:write", "agents"]).is_err());
    }

    #[test]
    fn nothing_named_is_nothing_but_reading() {
        let read_only = Scopes::read_only();
        assert!(read_only.contains(Scope::AuditRead));
        for scope in [Scope::AgentsWrite, Scope::VaultExecute, Scope::Panic] {
            assert!(!read_only.contains(scope));
        }
    }
}
