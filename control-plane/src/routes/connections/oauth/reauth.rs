//! A new consent for a connection that there is. It goes to the same client: what was consented to
//! through a workspace's own is never asked for through the installation's.

use axum::Json;
use axum::response::IntoResponse as _;
use serde_json::json;

use ah5_oauth::client::Client;
use ah5_providers::service::Service;
use ah5_providers::{catalogue, custom};
use ah5_store::connections::Connection;
use ah5_store::policies;
use ah5_store::tenant::Tenant;

use super::person;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use crate::oauth::begin::{self, Wanted};
use crate::oauth::{clients, scopes};

/// The caller may, and the connection is not revoked.
pub async fn begin(app: &App, caller: &Caller, connection: &Connection) -> AppResult {
    let unknown = || clients::missing(&connection.provider);
    let service = catalogue::find(&connection.service).ok_or_else(unknown)?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let client = client(app, &tenant, connection).await?;
    let policies = policies::list(&tenant).await?;
    let wanted = Wanted {
        user: person(caller)?,
        provider: connection.provider.clone(),
        service: connection.service.clone(),
        label: connection.label.clone(),
        base_url: connection.base_url.clone(),
        scopes: asked(connection, &policies, service, &client),
        reauth: Some(connection.id),
        metadata: json!({}),
        asks_first: caller.is_by_token(),
    };
    let redirect_uri = begin::redirect_uri(app);
    let begun = begin::begin(app, &tenant, &client, &wanted, redirect_uri).await?;
    tenant.commit().await?;
    Ok(Json(begun).into_response())
}

/// The one that was consented to. Once a workspace's own is deleted, only another of its own will do.
async fn client(app: &App, tenant: &Tenant<'_>, connection: &Connection) -> AppResult<Client> {
    let (provider, app_id) = (&connection.provider, connection.oauth_app);
    if has_lost_its_app(connection) {
        let error = AppError::conflict("The OAuth app of this connection was deleted");
        // Another description of a provider of one's own would be another provider.
        if provider == custom::PROVIDER {
            return Err(error.hint("Connect the account anew, through an OAuth app that there is."));
        }
        let hint = "Add your own OAuth app for this provider, or connect the account anew.";
        let another = clients::own(app, tenant, provider).await?;
        return another.ok_or_else(|| error.hint(hint));
    }
    let client = clients::exactly(app, tenant, provider, app_id).await?;
    client.ok_or_else(|| clients::missing(provider))
}

/// It was consented to through a workspace's own, which is deleted: nobody can refresh its tokens or
/// take them back any more.
pub fn has_lost_its_app(connection: &Connection) -> bool {
    let was_own = connection.reauth_reason.as_deref() == Some(APP_DELETED)
        || connection.provider == custom::PROVIDER;
    connection.oauth_app.is_none() && connection.token_url.is_some() && was_own
}

fn asked(
    connection: &Connection,
    policies: &[policies::Policy],
    service: &Service,
    client: &Client,
) -> Vec<String> {
    let all = scopes::again(connection, policies);
    // What the catalogue does not know any more was consented to once.
    scopes::known(&all, service, client).unwrap_or(all)
}

/// Why a connection needs a person whose client is gone, or another one.
pub const APP_DELETED: &str = "oauth_app_deleted";
pub const APP_CHANGED: &str = "oauth_app_changed";
