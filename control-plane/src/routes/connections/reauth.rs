//! `POST /v1/connections/{id}/reauth`: a connection gets a new credential and stays what it is.

use axum::Extension;
use axum::extract::{Path, State};

use ah5_providers::catalogue;
use ah5_providers::service::Credential;
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use super::oauth;
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};

pub async fn reauth(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = connections::get(&tenant, id.parse()?).await?;
    tenant.commit().await?;
    drop(db);
    let found = found.ok_or_else(|| AppError::not_found("Connection not found"))?;
    if found.status == "revoked" {
        return Err(AppError::conflict("Cannot reauth a revoked connection"));
    }
    let service = catalogue::find(&found.service);
    match service.map(|service| service.credential) {
        Some(Credential::Oauth | Credential::OauthCustom) => {
            oauth::reauth::begin(&app, &caller, &found).await
        }
        _ => Err(AppError::conflict("This connection has no OAuth")),
    }
}
