//! The vocabulary of the audit log: everything that a row may say has happened. Both planes write
//! from this list; readers must bear words that they don't know, since an older log may hold others.

macro_rules! actions {
    ($($variant:ident $word:literal),+ $(,)?) => {
        /// What happened. On the wire and in the database it is a word in snake case.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($variant),+
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }
        }
    };
}

actions! {
    AgentBootstrapFailed "agent_bootstrap_failed",
    AgentBootstrapSecretIssued "agent_bootstrap_secret_issued",
    AgentBootstrapped "agent_bootstrapped",
    AgentCreated "agent_created",
    AgentDeleted "agent_deleted",
    AgentDisabled "agent_disabled",
    AgentEnabled "agent_enabled",
    AgentOwnerChanged "agent_owner_changed",
    AgentTokenDenied "agent_token_denied",
    AgentTokenIssued "agent_token_issued",
    AgentTrustAdded "agent_trust_added",
    AgentTrustRemoved "agent_trust_removed",
    AgentUpdated "agent_updated",
    ApprovalApproved "approval_approved",
    ApprovalDenied "approval_denied",
    ApprovalExpired "approval_expired",
    ApprovalRequested "approval_requested",
    ChannelConfigured "channel_configured",
    ChannelDeleted "channel_deleted",
    ChannelDisabled "channel_disabled",
    ChannelEnabled "channel_enabled",
    ChannelFailed "channel_failed",
    ChannelVerified "channel_verified",
    ConnectionCreated "connection_created",
    ConnectionCredentialReplaced "connection_credential_replaced",
    ConnectionNeedsReauth "connection_needs_reauth",
    ConnectionReauthorized "connection_reauthorized",
    ConnectionRecovered "connection_recovered",
    ConnectionRenamed "connection_renamed",
    ConnectionRevoked "connection_revoked",
    ConnectionRevokedUpstream "connection_revoked_upstream",
    CredentialResolved "credential_resolved",
    DataKeyRotated "data_key_rotated",
    EmailVerified "email_verified",
    ExecutionCompleted "execution_completed",
    ExecutionDenied "execution_denied",
    ExecutionRequested "execution_requested",
    IdentityLinked "identity_linked",
    InstallationRestored "installation_restored",
    InvitationDeclined "invitation_declined",
    InvitationWithdrawn "invitation_withdrawn",
    MemberInvited "member_invited",
    MemberJoined "member_joined",
    MemberRemoved "member_removed",
    MemberRoleChanged "member_role_changed",
    OauthAppDeleted "oauth_app_deleted",
    OauthAppSaved "oauth_app_saved",
    PanicRevoked "panic_revoked",
    PanicStopped "panic_stopped",
    PasskeyAdded "passkey_added",
    PasskeyCounterRegressed "passkey_counter_regressed",
    PasskeyRemoved "passkey_removed",
    PasskeyRenamed "passkey_renamed",
    PasswordChanged "password_changed",
    PasswordReset "password_reset",
    PasswordResetRequested "password_reset_requested",
    PermissionApproved "permission_approved",
    PermissionDenied "permission_denied",
    PermissionRequested "permission_requested",
    PolicyCreated "policy_created",
    PolicyDeleted "policy_deleted",
    PolicyUpdated "policy_updated",
    RateLimitExceeded "rate_limit_exceeded",
    SessionRevoked "session_revoked",
    SigningKeysReplaced "signing_keys_replaced",
    TokenCreated "token_created",
    TokenRenamed "token_renamed",
    TokenRevoked "token_revoked",
    TokenVendDenied "token_vend_denied",
    TokenVended "token_vended",
    UserCreated "user_created",
    UserDisabled "user_disabled",
    UserEnabled "user_enabled",
    UserReauthenticated "user_reauthenticated",
    UserSignedIn "user_signed_in",
    UserSignedOut "user_signed_out",
    UserSignedUp "user_signed_up",
    UserUpdated "user_updated",
    VendingChanged "vending_changed",
    WorkspaceCreated "workspace_created",
    WorkspaceImported "workspace_imported",
    WorkspaceRenamed "workspace_renamed",
    WorkspaceShredded "workspace_shredded",
    WorkspaceTransferred "workspace_transferred",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_word_is_snake_case_and_says_what_its_name_says() {
        let mut seen = HashSet::new();
        for action in Action::ALL {
            let word = action.as_str();
            assert!(seen.insert(word), "{word} stands for two actions");
            assert!(word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
            let name = format!("{action:?}").to_lowercase();
            assert_eq!(word.replace('_', ""), name);
        }
    }
}
