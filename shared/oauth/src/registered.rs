//! Which client a connection was consented to: one that its workspace has registered, or the
//! installation's own. Another one's refresh token is never shown to it, nor this one's elsewhere.

use ah5_contracts::id::{OAuthAppId, WorkspaceId};
use ah5_providers::custom;
use ah5_security::vault::{DataKey, OAuthAppContext};
use ah5_store::StoreError;
use ah5_store::oauth_apps::{self, OAuthApp};
use ah5_store::tenant::Tenant;

use crate::client::Client;
use crate::installation::Installation;

/// Whose consent it was.
#[derive(Clone, Copy)]
pub struct Consented<'a> {
    pub provider: &'a str,
    pub app: Option<OAuthAppId>,
    /// As the seal of the tokens names it.
    pub token_url: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the connection's token endpoint is not its client's")]
    AnotherEndpoint,
    #[error("the installation has no client at this provider")]
    NotConfigured,
    #[error("the OAuth app is gone")]
    Gone,
    #[error("the OAuth app cannot be used: {0}")]
    Malformed(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// # Errors
/// [`ClientError`]: the tokens may be shown to nobody.
pub async fn client_of(
    tenant: &Tenant<'_>,
    key: &DataKey,
    installation: &Installation,
    consented: Consented<'_>,
) -> Result<Client, ClientError> {
    let client = match consented.app {
        Some(id) => {
            let app = oauth_apps::get(tenant, id).await?;
            client_of_app(key, tenant.workspace(), &app.ok_or(ClientError::Gone)?)?
        }
        None if consented.provider == custom::PROVIDER => return Err(ClientError::Gone),
        None => installation
            .client(consented.provider)
            .ok_or(ClientError::NotConfigured)?,
    };
    match client.token_url() {
        Some(url) if url.to_string() == consented.token_url => Ok(client),
        _ => Err(ClientError::AnotherEndpoint),
    }
}

/// # Errors
/// [`ClientError::Malformed`].
pub fn client_of_app(
    key: &DataKey,
    workspace: WorkspaceId,
    app: &OAuthApp,
) -> Result<Client, ClientError> {
    let unknown =
        ClientError::Malformed("its provider is not known, or its endpoints are malformed");
    let mut client = Client::of_app(app, None).ok_or(unknown)?;
    let token_url = client
        .token_url()
        .ok_or(ClientError::Malformed("it has no token endpoint"))?
        .to_string();
    if let Some(sealed) = &app.sealed_secret {
        let context = OAuthAppContext {
            workspace,
            app: app.id,
            version: app.version,
            provider: &app.provider,
            client_id: &app.client_id,
            token_url: &token_url,
        };
        let secret = key.open_oauth_app(&context, sealed);
        let unopened = |_| ClientError::Malformed("its secret does not open");
        client.secret = Some(secret.map_err(unopened)?);
    }
    Ok(client)
}

#[cfg(test)]
mod tests {
    use ah5_security::secret::SecretText;
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;

    fn app(provider: &str, endpoints: Option<Value>) -> OAuthApp {
        OAuthApp {
            id: OAuthAppId::random(),
            provider: provider.into(),
            client_id: "c".into(),
            sealed_secret: None,
            version: 1,
            tenant_id: None,
            endpoints,
            label: "l".into(),
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
        }
    }

    #[test]
    fn a_secret_opens_for_its_token_endpoint_only() {
        let (key, workspace) = (DataKey::generate(), WorkspaceId::random());
        let mut app = app("microsoft", None);
        app.tenant_id = Some("acme.example".into());
        let url = "https://login.microsoftonline.com/acme.example/oauth2/v2.0/token";
        let context = OAuthAppContext {
            workspace,
            app: app.id,
            version: 1,
            provider: "microsoft",
            client_id: "c",
            token_url: url,
        };
        app.sealed_secret = Some(key.seal_oauth_app(&context, &SecretText::new("s".into())));
        let client = client_of_app(&key, workspace, &app).unwrap();
        assert_eq!(client.token_url().unwrap().to_string(), url);
        assert_eq!(client.secret.unwrap().expose(), "s");
        app.tenant_id = Some("evil.example".into());
        assert!(client_of_app(&key, workspace, &app).is_err());
    }

    #[test]
    fn a_workspace_can_bring_a_provider_of_its_own() {
        let endpoints = json!({
            "provider": "custom", "authorize_url": "https://id.acme.example/authorize",
            "token_url": "https://id.acme.example/token", "pkce": true, "refresh": "rotates",
        });
        let own = app("custom", Some(endpoints));
        let (key, workspace) = (DataKey::generate(), WorkspaceId::random());
        let client = client_of_app(&key, workspace, &own).unwrap();
        let url = client.token_url().unwrap().to_string();
        assert_eq!(url, "https://id.acme.example/token");
        for bad in [
            app("custom", None),
            app("custom", Some(json!({}))),
            app("nobody", None),
        ] {
            assert!(client_of_app(&key, workspace, &bad).is_err());
        }
    }
}
