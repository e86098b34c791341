//! A client registered at a provider: the installation's own, or one of a workspace.

use std::ops::Deref;

use ah5_contracts::id::OAuthAppId;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::oauth::OAuth;
use ah5_security::secret::SecretText;
use ah5_store::oauth_apps::OAuthApp;
use serde::Deserialize as _;
use serde_json::Value;

pub struct Client {
    pub dialect: Dialect,
    /// `None`: the installation's own.
    pub app: Option<OAuthAppId>,
    pub id: String,
    /// A public client has none.
    pub secret: Option<SecretText>,
    /// Where the provider has tenants.
    pub tenant: Option<String>,
}

/// How its provider is spoken to.
pub enum Dialect {
    Catalogue(&'static OAuth),
    /// A provider that only the workspace knows.
    Own(Box<OAuth>),
}

// === impl Client ===

impl Client {
    /// A workspace's own. `None` for a provider that is neither in the catalogue nor described.
    #[must_use]
    pub fn of_app(app: &OAuthApp, secret: Option<SecretText>) -> Option<Self> {
        Some(Self {
            dialect: dialect_of(&app.provider, app.endpoints.as_ref())?,
            app: Some(app.id),
            id: app.client_id.clone(),
            secret,
            tenant: app.tenant_id.clone(),
        })
    }

    #[must_use]
    pub fn authorize_url(&self) -> Option<CanonicalUrl> {
        self.url(&self.dialect.authorize_url)
    }

    #[must_use]
    pub fn token_url(&self) -> Option<CanonicalUrl> {
        self.url(&self.dialect.token_url)
    }

    #[must_use]
    pub fn revoke_url(&self) -> Option<CanonicalUrl> {
        self.url(self.dialect.revoke_url.as_ref()?)
    }

    #[must_use]
    pub fn device_url(&self) -> Option<CanonicalUrl> {
        self.url(self.dialect.device_url.as_ref()?)
    }

    /// The callback's `iss` (RFC 9207), as this client must find it.
    #[must_use]
    pub fn issuer(&self) -> Option<String> {
        let tenant = self
            .tenant
            .as_ref()
            .or(self.dialect.default_tenant.as_ref());
        let issuer = self.dialect.issuer.as_ref()?;
        Some(issuer.replace("{tenant}", tenant.map_or("", String::as_str)))
    }

    fn url(&self, template: &str) -> Option<CanonicalUrl> {
        self.dialect.url(template, self.tenant.as_deref())
    }
}

/// How the provider of a workspace's own client is spoken to.
#[must_use]
pub fn dialect_of(provider: &str, endpoints: Option<&Value>) -> Option<Dialect> {
    match endpoints {
        None => catalogue::oauth(provider).map(Dialect::Catalogue),
        Some(endpoints) => {
            let mut endpoints = endpoints.clone();
            // It is what the row says, whatever stands in there.
            endpoints
                .as_object_mut()?
                .insert("provider".to_owned(), provider.into());
            let own = OAuth::deserialize(endpoints).ok()?;
            Some(Dialect::Own(Box::new(own)))
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({} at {})", self.id, self.dialect.provider)
    }
}

impl Deref for Dialect {
    type Target = OAuth;

    fn deref(&self) -> &OAuth {
        match self {
            Self::Catalogue(dialect) => dialect,
            Self::Own(dialect) => dialect,
        }
    }
}
