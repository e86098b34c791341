//! The workspace's own clients at providers, whose secrets are sealed anew.

use ah5_contracts::id::OAuthAppId;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_security::vault::{DataKey, OAuthAppContext};
use ah5_store::import::{self as source, OAuthApp};
use ah5_store::sealed;
use ah5_store::tenant::Tenant;
use uuid::Uuid;

use super::{Move, Report, attempt};

/// What a connection needs to know of its client.
pub struct Known {
    pub id: Uuid,
    pub tenant: Option<String>,
}

// === impl Move ===

impl Move<'_> {
    pub(super) async fn oauth_apps(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        report: &mut Report,
    ) -> anyhow::Result<Vec<Known>> {
        let here = sealed::oauth_app_ids(tenant).await?;
        let mut known = Vec::new();
        for app in source::oauth_apps(self.client, self.id.uuid()).await? {
            let Some(app) = report.readable("OAuth app", app) else {
                continue;
            };
            if here.contains(&app.id) {
                report.already_here += 1;
            } else {
                let came = attempt(tenant, self.oauth_app(tenant, key, &app)).await?;
                let is_here = came.is_ok();
                report.note(("OAuth app", app.id), came, |report| &mut report.oauth_apps);
                if !is_here {
                    continue;
                }
            }
            known.push(Known {
                id: app.id,
                tenant: app.tenant_id,
            });
        }
        Ok(known)
    }

    async fn oauth_app(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        app: &OAuthApp,
    ) -> anyhow::Result<Result<(), String>> {
        let url = token_url(&app.provider, app.tenant_id.as_deref());
        let Some(url) = url else {
            return Ok(Err(format!("{} has no OAuth here", app.provider)));
        };
        let secret = match self.key.open(&app.sealed_secret) {
            Ok(secret) => secret,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        let id = OAuthAppId::from_uuid(app.id);
        let context = OAuthAppContext {
            workspace: self.id,
            app: id,
            version: 1,
            provider: &app.provider,
            client_id: &app.client_id,
            token_url: &url.to_string(),
        };
        let new = sealed::NewOAuthApp {
            id,
            provider: &app.provider,
            client_id: &app.client_id,
            tenant: app.tenant_id.as_deref(),
            label: &app.label,
            sealed: &key.seal_oauth_app(&context, &secret),
        };
        Ok(match sealed::insert_oauth_app(tenant, &new).await? {
            true => Ok(()),
            false => Err("the workspace has another one of this provider here".to_owned()),
        })
    }
}

fn token_url(provider: &str, tenant: Option<&str>) -> Option<CanonicalUrl> {
    let dialect = catalogue::oauth(provider)?;
    dialect.url(&dialect.token_url, tenant)
}
