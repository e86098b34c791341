//! Seals everything of a workspace anew under its newest data key. Some rows at a time, each batch a
//! transaction of its own: meanwhile both keys open. A credential's version stays, so whoever is
//! about to replace it does.

use std::collections::BTreeSet;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::WorkspaceId;
use ah5_oauth::client::dialect_of;
use ah5_policy::CanonicalUrl;
use ah5_security::vault::{
    Bound, ChannelContext, DataKey, OAuthAppContext, OpenError, RequestContext, SealContext,
};
use ah5_store::sealed::{self, Approval, Channel, Credential, OAuthApp, Pending, Token};
use ah5_store::tenant::Tenant;
use serde::Deserialize as _;
use uuid::Uuid;

use super::{REFRESH, SECRET};
use crate::app::App;
use crate::oauth::begin;

#[derive(Clone, Debug, Default)]
pub struct Resealed {
    pub done: usize,
    /// What opens with neither key: it is left as it is.
    shut: BTreeSet<(Kind, Uuid)>,
}

/// The rows of one kind, at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Approvals,
    Channels,
    Credentials,
    OAuthApps,
    Pending,
    Revocations,
}

struct Batch<'a> {
    tenant: Tenant<'a>,
    key: DataKey,
    count: Resealed,
    /// The row whose turn it is; a credential's is named by its connection.
    at: (Kind, Uuid),
}

pub async fn all(app: &App, workspace: WorkspaceId) -> anyhow::Result<Resealed> {
    let mut count = Resealed::default();
    for kind in [
        Kind::Approvals,
        Kind::Channels,
        Kind::Credentials,
        Kind::OAuthApps,
        Kind::Pending,
        Kind::Revocations,
    ] {
        let mut after = Some(Uuid::nil());
        while let Some(from) = after {
            let mut db = app.db().await?;
            let tenant = Tenant::begin(&mut db, workspace).await?;
            let Some(key) = super::data_key(app, &tenant).await? else {
                anyhow::bail!("the data key of workspace {workspace} is gone");
            };
            let mut batch = Batch {
                tenant,
                key,
                count: Resealed::default(),
                at: (kind, from),
            };
            after = batch.run(kind, from).await?;
            count.add(batch.count);
            batch.tenant.commit().await?;
        }
    }
    Ok(count)
}

// === impl Batch ===

impl Batch<'_> {
    /// The last id, unless these were all.
    async fn run(&mut self, kind: Kind, after: Uuid) -> anyhow::Result<Option<Uuid>> {
        let mut ids = Vec::new();
        match kind {
            Kind::Approvals => {
                for row in sealed::approvals(&self.tenant, after).await? {
                    ids.push(self.turn_to(kind, row.id.uuid()));
                    self.approval(row).await?;
                }
            }
            Kind::Channels => {
                for row in sealed::channels(&self.tenant, after).await? {
                    ids.push(self.turn_to(kind, row.id));
                    self.channel(row).await?;
                }
            }
            Kind::Credentials => {
                for row in sealed::credentials(&self.tenant, after).await? {
                    ids.push(self.turn_to(kind, row.connection.uuid()));
                    self.credential(row).await?;
                }
            }
            Kind::OAuthApps => {
                for row in sealed::oauth_apps(&self.tenant, after).await? {
                    ids.push(self.turn_to(kind, row.id.uuid()));
                    self.oauth_app(row).await?;
                }
            }
            Kind::Pending => {
                for row in sealed::pending(&self.tenant, after).await? {
                    ids.push(self.turn_to(kind, row.id.uuid()));
                    self.pending(row).await?;
                }
            }
            Kind::Revocations => {
                for row in sealed::revocations(&self.tenant, after).await? {
                    ids.push(self.turn_to(kind, row.id));
                    self.revocation(row).await?;
                }
            }
        }
        let is_full = i64::try_from(ids.len()).is_ok_and(|count| count >= sealed::AT_ONCE);
        Ok(ids.last().copied().filter(|_| is_full))
    }

    async fn credential(&mut self, mut row: Credential) -> anyhow::Result<()> {
        let Ok(auth) = Auth::deserialize(&row.auth) else {
            self.counted(Err(OpenError));
            return Ok(());
        };
        let context = |field| SealContext {
            workspace: self.tenant.workspace(),
            connection: row.connection,
            field,
            version: row.version,
            service: &row.service,
            auth: &auth,
            destinations: &row.destinations,
        };
        let secret = self.key.reseal(&context(SECRET), &row.sealed);
        let refresh = row.sealed_refresh.as_deref();
        let refresh = refresh.map(|sealed| self.key.reseal(&context(REFRESH), sealed));
        let secret = self.counted(secret);
        let refresh = refresh.and_then(|refresh| self.counted(refresh));
        if secret.is_none() && refresh.is_none() {
            return Ok(());
        }
        row.sealed = secret.unwrap_or(row.sealed);
        row.sealed_refresh = refresh.or(row.sealed_refresh);
        Ok(sealed::put_credential(&self.tenant, &row).await?)
    }

    async fn oauth_app(&mut self, row: OAuthApp) -> anyhow::Result<()> {
        let url = token_url(&row);
        let again = url.ok_or(OpenError).and_then(|url| {
            let context = OAuthAppContext {
                workspace: self.tenant.workspace(),
                app: row.id,
                version: row.version,
                provider: &row.provider,
                client_id: &row.client_id,
                token_url: &url.to_string(),
            };
            self.key.reseal(&context, &row.sealed)
        });
        match self.counted(again) {
            Some(again) => Ok(sealed::put_oauth_app(&self.tenant, row.id, &again).await?),
            None => Ok(()),
        }
    }

    async fn pending(&mut self, mut row: Pending) -> anyhow::Result<()> {
        let workspace = self.tenant.workspace();
        let place = (&*row.service, &*row.base_url);
        let about = begin::about(row.user, place, row.app, row.reauth, row.asks_first);
        let of = |field| begin::context(workspace, row.id, field, &row.token_url, &about);
        let secret = self.key.reseal(&of(begin::SECRET), &row.sealed_secret);
        let code = row.sealed_code.as_deref();
        let code = code.map(|sealed| self.key.reseal(&of(begin::CODE), sealed));
        let secret = self.counted(secret);
        let code = code.and_then(|code| self.counted(code));
        if secret.is_none() && code.is_none() {
            return Ok(());
        }
        row.sealed_secret = secret.unwrap_or(row.sealed_secret);
        row.sealed_code = code.or(row.sealed_code);
        Ok(sealed::put_pending(&self.tenant, &row).await?)
    }

    async fn revocation(&mut self, row: Token) -> anyhow::Result<()> {
        let Ok(auth) = Auth::deserialize(&row.auth) else {
            self.counted(Err(OpenError));
            return Ok(());
        };
        let context = SealContext {
            workspace: self.tenant.workspace(),
            connection: row.connection,
            field: if row.is_refresh { REFRESH } else { SECRET },
            version: row.version,
            service: &row.service,
            auth: &auth,
            destinations: &row.destinations,
        };
        match self.again(&context, &row.sealed) {
            Some(again) => Ok(sealed::put_revocation(&self.tenant, row.id, &again).await?),
            None => Ok(()),
        }
    }

    async fn channel(&mut self, row: Channel) -> anyhow::Result<()> {
        let context = ChannelContext {
            workspace: self.tenant.workspace(),
            channel_type: &row.channel_type,
            destination: row.config["url"].as_str().unwrap_or_default(),
        };
        match self.again(&context, &row.sealed) {
            Some(again) => Ok(sealed::put_channel(&self.tenant, row.id, &again).await?),
            None => Ok(()),
        }
    }

    async fn approval(&mut self, row: Approval) -> anyhow::Result<()> {
        let context = RequestContext {
            workspace: self.tenant.workspace(),
            approval: row.id,
            digest: &row.digest,
        };
        match self.again(&context, &row.sealed) {
            Some(again) => Ok(sealed::put_approval(&self.tenant, row.id, &again).await?),
            None => Ok(()),
        }
    }

    fn turn_to(&mut self, kind: Kind, id: Uuid) -> Uuid {
        self.at = (kind, id);
        id
    }

    fn again(&mut self, context: &impl Bound, sealed: &[u8]) -> Option<Vec<u8>> {
        let again = self.key.reseal(context, sealed);
        self.counted(again)
    }

    fn counted(&mut self, again: Result<Option<Vec<u8>>, OpenError>) -> Option<Vec<u8>> {
        match again {
            Ok(again) => {
                self.count.done += usize::from(again.is_some());
                again
            }
            Err(OpenError) => {
                self.count.shut.insert(self.at);
                None
            }
        }
    }
}

// === impl Resealed ===

impl Resealed {
    pub fn add(&mut self, more: Self) {
        self.done += more.done;
        self.shut.extend(more.shut);
    }

    /// Empty if all is well.
    pub fn remark(&self) -> String {
        if self.shut.is_empty() {
            return String::new();
        }
        let mut remark = "some values open with no key of theirs, as before, and are left as they \
                          were. Those of connections in needs_reauth are of an OAuth app that was \
                          deleted: connect the accounts anew, or revoke them. Others were changed in \
                          the database:\n"
            .to_owned();
        for (kind, id) in self.shut.iter().take(MAX_NAMED) {
            remark += &format!("  {} {id}\n", kind.named());
        }
        if let Some(more @ 1..) = self.shut.len().checked_sub(MAX_NAMED) {
            remark += &format!("  and {more} more\n");
        }
        remark
    }
}

// === impl Kind ===

impl Kind {
    /// What the row's id is one of.
    const fn named(self) -> &'static str {
        match self {
            Self::Approvals => "approval",
            Self::Channels => "notification channel",
            Self::Credentials => "connection",
            Self::OAuthApps => "OAuth app",
            Self::Pending => "pending connection",
            Self::Revocations => "revocation",
        }
    }
}

/// Where the client shows its secret, from what is stored of it.
fn token_url(app: &OAuthApp) -> Option<CanonicalUrl> {
    let dialect = dialect_of(&app.provider, app.endpoints.as_ref())?;
    dialect.url(&dialect.token_url, app.tenant.as_deref())
}

/// Of the values that are shut.
const MAX_NAMED: usize = 50;
