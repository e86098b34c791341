//! Whose client is consented to: the workspace's own, or the installation's. What was consented to
//! through one is never used through the other.

use ah5_contracts::id::{OAuthAppId, WorkspaceId};
use ah5_oauth::client::Client;
use ah5_oauth::registered::client_of_app;
use ah5_security::secret::SecretText;
use ah5_security::vault::OAuthAppContext;
use ah5_store::oauth_apps::{self, OAuthApp};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::error::{AppError, AppResult};
use crate::vault;

/// For a new connection: the workspace's own client if it has one, else the installation's.
pub async fn choose(app: &App, tenant: &Tenant<'_>, provider: &str) -> AppResult<Client> {
    if let Some(own) = own(app, tenant, provider).await? {
        return Ok(own);
    }
    let lent = app.config.oauth.lent(tenant.workspace(), provider);
    lent.ok_or_else(|| missing(provider))
}

/// The workspace's own, if it has one for this provider of the catalogue.
pub async fn own(app: &App, tenant: &Tenant<'_>, provider: &str) -> AppResult<Option<Client>> {
    match oauth_apps::of_provider(tenant, provider).await? {
        Some(own) => open(app, tenant, &own).await.map(Some),
        None => Ok(None),
    }
}

/// Exactly this one. `None` if there is none any more, or it is another provider's.
pub async fn exactly(
    app: &App,
    tenant: &Tenant<'_>,
    provider: &str,
    own: Option<OAuthAppId>,
) -> AppResult<Option<Client>> {
    let Some(id) = own else {
        return Ok(app.config.oauth.lent(tenant.workspace(), provider));
    };
    match oauth_apps::get(tenant, id).await? {
        Some(own) if own.provider == provider => open(app, tenant, &own).await.map(Some),
        _ => Ok(None),
    }
}

/// With its secret.
async fn open(app: &App, tenant: &Tenant<'_>, own: &OAuthApp) -> AppResult<Client> {
    let key = vault::key(app, tenant).await?;
    client_of_app(&key, tenant.workspace(), own).map_err(AppError::internal)
}

/// The secret of a client, sealed for it and no other.
pub async fn seal(
    app: &App,
    tenant: &Tenant<'_>,
    (id, version): (OAuthAppId, i64),
    client: &Client,
    secret: &SecretText,
) -> AppResult<Vec<u8>> {
    let no_url = || AppError::bad_request("body/tenantId makes no URL");
    let token_url = token_url(client).ok_or_else(no_url)?;
    let context = context(tenant.workspace(), id, version, client, &token_url);
    Ok(vault::key(app, tenant)
        .await?
        .seal_oauth_app(&context, secret))
}

/// As every seal has it.
pub fn token_url(client: &Client) -> Option<String> {
    client.token_url().map(|url| url.to_string())
}

/// As answers call it.
pub const fn called(client: &Client) -> &'static str {
    match client.app {
        Some(_) => "workspace",
        None => "installation",
    }
}

pub fn missing(provider: &str) -> AppError {
    let text = format!(
        "No OAuth credentials available for provider \"{provider}\". Add your own OAuth app in \
         Settings → Apps."
    );
    AppError::bad_request(text)
        .hint("POST /v1/workspace-oauth-apps, or ask the operator to set up a client.")
}

fn context<'a>(
    workspace: WorkspaceId,
    app: OAuthAppId,
    version: i64,
    client: &'a Client,
    token_url: &'a str,
) -> OAuthAppContext<'a> {
    OAuthAppContext {
        workspace,
        app,
        version,
        provider: &client.dialect.provider,
        client_id: &client.id,
        token_url,
    }
}
