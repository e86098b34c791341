//! Connections, their credentials opened and sealed anew.

use ah5_contracts::id::{ConnectionId, OAuthAppId};
use ah5_providers::catalogue;
use ah5_providers::service::Credential;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, SealContext};
use ah5_store::connections::{self, NewConnection, NewOAuth};
use ah5_store::import::{self as source, Connection};
use ah5_store::tenant::Tenant;
use anyhow::anyhow;
use serde_json::json;

use super::oauth_apps::Known;
use super::{Move, Report, attempt};
use crate::commands::import::{credential, mailbox};
use crate::{room, vault};

// === impl Move ===

impl Move<'_> {
    pub(super) async fn connections(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        apps: &[Known],
        report: &mut Report,
    ) -> anyhow::Result<()> {
        for row in source::connections(self.client, self.id.uuid()).await? {
            let Some(row) = report.readable("connection", row) else {
                continue;
            };
            let id = ConnectionId::from_uuid(row.id);
            if connections::get(tenant, id).await?.is_some() {
                report.already_here += 1;
                continue;
            }
            let came = attempt(tenant, self.connection(tenant, key, apps, &row)).await?;
            let what = format!("connection ({})", row.service);
            report.note((what.as_str(), row.id), came, |report| {
                &mut report.connections
            });
        }
        Ok(())
    }

    async fn connection(
        &self,
        tenant: &Tenant<'_>,
        key: &DataKey,
        apps: &[Known],
        row: &Connection,
    ) -> anyhow::Result<Result<(), String>> {
        let Some(service) = catalogue::find(&row.service) else {
            return Ok(Err("there is no such service here".to_owned()));
        };
        let Some(sealed) = row.sealed.as_ref().filter(|_| row.status != "revoked") else {
            return Ok(Err("it is revoked".to_owned()));
        };
        let app = apps.iter().find(|app| Some(app.id) == row.oauth_app);
        if row.oauth_app.is_some() && app.is_none() {
            return Ok(Err(
                "the OAuth app that it was made with is not there".to_owned()
            ));
        }
        let opened = self.key.open(sealed).map_err(|fault| fault.to_string());
        let client_tenant = app.and_then(|app| app.tenant.as_deref());
        let read = |text: SecretText| match service.credential {
            Credential::Email => mailbox::read(service, &text, self.way()),
            _ => credential::read(service, &text, client_tenant),
        };
        let imported = match opened.and_then(read) {
            Ok(imported) => imported,
            Err(why) => return Ok(Err(why)),
        };
        let (id, oauth) = (ConnectionId::from_uuid(row.id), imported.oauth.as_ref());
        // A key is nobody's client's.
        let app = app.filter(|_| oauth.is_some());
        let app = app.map(|app| OAuthAppId::from_uuid(app.id));
        let token_url = oauth.map(|oauth| oauth.token_url.as_str());
        let mail = imported.mail.as_ref();
        let mail = mail.map(|mail| json!({"imap": mail.imap, "smtp": mail.smtp}));
        let destinations =
            connections::destinations(&imported.base_url, token_url, app, mail.as_ref());
        let seal = |field, secret: &SecretText| {
            let context = SealContext {
                workspace: self.id,
                connection: id,
                field,
                version: 1,
                service: &service.id,
                auth: &imported.auth,
                destinations: &destinations,
            };
            key.seal(&context, secret)
        };
        let refresh = oauth.and_then(|oauth| oauth.refresh.as_ref());
        let refresh = refresh.map(|secret| seal(vault::REFRESH, secret));
        let label = match row.label.trim() {
            "" => &service.display_name,
            label => label,
        };
        let new = NewConnection {
            id,
            provider: &service.provider,
            service: &service.id,
            label,
            base_url: &imported.base_url,
            auth: &serde_json::to_value(&imported.auth)?,
            granted_scopes: &row.granted_scopes,
            oauth: oauth.map(|oauth| NewOAuth {
                app,
                token_url: &oauth.token_url,
                account: None,
                asked_scopes: &row.granted_scopes,
                sealed_refresh: refresh.as_deref(),
                expires_at: oauth.expires_at,
            }),
            mail: mail.as_ref(),
            sealed: &seal(vault::SECRET, &imported.secret),
        };
        room::check(self.app, tenant)
            .await
            .map_err(|error| anyhow!("{}", error.text()))?;
        connections::insert(tenant, &new).await?;
        if let Some(metadata) = row.metadata.as_ref().filter(|it| it.is_object()) {
            connections::set_metadata(tenant, id, metadata).await?;
        }
        Ok(Ok(()))
    }

    fn way(&self) -> ah5_mail::Way<'_> {
        ah5_mail::Way {
            net: &self.app.net,
            workspace: self.id,
        }
    }
}
