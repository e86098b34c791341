//! The code that came back for tokens, and these for a connection. The row of the consent has been taken
//! out before: whatever comes of it, it comes once.

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::PoolKey;
use ah5_oauth::client::Client;
use ah5_oauth::token::{self, Code, TokenError};
use ah5_security::secret::SecretText;
use ah5_store::StoreError;
use ah5_store::pending_connections::Pending;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::error::AppError;
use crate::{room, vault};

use super::begin::{SECRET, about_of, context, token_url};
use super::finish::{self, Done};

/// Why nothing was connected.
#[derive(Debug)]
pub enum Failed {
    /// In words for the person.
    Told(String),
    App(AppError),
}

/// Also if the browser does not wait for it: a grant that nobody keeps would be left at the provider.
pub async fn by_code_to_its_end(
    app: &App,
    workspace: WorkspaceId,
    pending: Pending,
    client: Client,
    code: SecretText,
) -> Result<Done, Failed> {
    let app = app.clone();
    let work = async move { by_code(&app, workspace, &pending, &client, &code).await };
    let done = tokio::spawn(work).await;
    done.unwrap_or_else(|error| Err(AppError::internal(error).into()))
}

async fn by_code(
    app: &App,
    workspace: WorkspaceId,
    pending: &Pending,
    client: &Client,
    code: &SecretText,
) -> Result<Done, Failed> {
    let verifier = secret(app, workspace, pending, client).await?;
    let redirect_uri = pending.redirect_uri.as_deref();
    let code = Code {
        code,
        redirect_uri: redirect_uri.ok_or_else(|| Failed::told(EXPIRED))?,
        verifier: &verifier,
    };
    let key = pool_key(workspace, pending);
    let tokens = token::exchange(&app.net, key, client, code).await;
    let tokens = tokens.map_err(|error| {
        let why = error.word();
        tracing::warn!(provider = pending.provider, why, "a code was not redeemed");
        let secrets = [Some(code.code), Some(&verifier), client.secret.as_ref()];
        Failed::Told(told(&pending.provider, &error, &secrets))
    })?;
    finish::finish(app, workspace, pending, client, &tokens).await
}

/// The verifier or device code of the row. It opens for the token endpoint alone that it was sealed for.
pub async fn secret(
    app: &App,
    workspace: WorkspaceId,
    pending: &Pending,
    client: &Client,
) -> Result<SecretText, Failed> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, workspace).await?;
    // Before there are tokens that nothing would keep.
    if pending.reauth.is_none() {
        room::check(app, &tenant).await?;
    }
    let key = vault::key(app, &tenant).await?;
    tenant.commit().await?;
    let token_url = token_url(client)?;
    let about = about_of(pending);
    let context = context(workspace, pending.id, SECRET, &token_url, &about);
    let secret = key.open_pending(&context, &pending.sealed_secret);
    // Whoever set the client up has changed where it is shown.
    secret.map_err(|_| Failed::told(EXPIRED))
}

/// Connections to the provider on behalf of one consent.
pub fn pool_key(workspace: WorkspaceId, pending: &Pending) -> PoolKey {
    PoolKey {
        workspace,
        connection: ConnectionId::from_uuid(pending.id.uuid()),
    }
}

/// The provider's words, as clients expect them. None of what it was shown comes back in them.
pub fn told(provider: &str, error: &TokenError, secrets: &[Option<&SecretText>]) -> String {
    let text = match error {
        TokenError::Grant(said) | TokenError::Refused(said) if provider == "microsoft" => {
            let more = said.description.as_ref().map(|text| format!(" — {text}"));
            let more = more.unwrap_or_default();
            format!("Microsoft token exchange failed: {}{more}", said.error)
        }
        error => error.to_string(),
    };
    let mut secrets = secrets.iter().flatten();
    if secrets.any(|secret| text.contains(secret.expose())) {
        return "Token exchange failed".to_owned();
    }
    text
}

pub const EXPIRED: &str = "Connection request expired";

// === impl Failed ===

impl Failed {
    pub fn told(text: &str) -> Self {
        Self::Told(text.to_owned())
    }

    /// What the person reads.
    pub fn text(&self) -> &str {
        match self {
            Self::Told(text) => text,
            Self::App(error) => error.text(),
        }
    }
}

impl From<AppError> for Failed {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::App(error.into())
    }
}

#[cfg(test)]
mod tests {
    use ah5_oauth::token::Said;

    use super::*;

    #[test]
    fn what_was_shown_to_a_provider_is_not_read_back() {
        let code = SecretText::new("4/planted-code".into());
        let said = |description: &str| {
            TokenError::Grant(Said {
                error: "invalid_grant".into(),
                description: Some(description.into()),
            })
        };
        let told = |provider, text| told(provider, &said(text), &[Some(&code), None]);
        assert_eq!(told("google", "Bad Request"), "Bad Request");
        assert_eq!(
            told("google", "code 4/planted-code is old"),
            "Token exchange failed"
        );
        assert_eq!(
            told("microsoft", "AADSTS1"),
            "Microsoft token exchange failed: invalid_grant — AADSTS1"
        );
    }
}
