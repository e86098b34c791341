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
        self.beside_token_url(self.dialect.revoke_url.as_ref()?)
    }

    #[must_use]
    pub fn device_url(&self) -> Option<CanonicalUrl> {
        self.beside_token_url(self.dialect.device_url.as_ref()?)
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

    /// Tokens and the client's secret are shown there, and both are sealed for the token endpoint alone:
    /// what somebody has written beside it must be the same place.
    fn beside_token_url(&self, template: &str) -> Option<CanonicalUrl> {
        let url = self.url(template)?;
        let is_ours = matches!(self.dialect, Dialect::Catalogue(_));
        (is_ours || url.same_origin(&self.token_url()?)).then_some(url)
    }

    fn url(&self, template: &str) -> Option<CanonicalUrl> {
        self.dialect.url(template, self.tenant.as_deref())
    }
}

/// A provider that only the workspace knows.
const CUSTOM: &str = ah5_providers::custom::PROVIDER;

/// How the provider of a workspace's own client is spoken to.
#[must_use]
pub fn dialect_of(provider: &str, endpoints: Option<&Value>) -> Option<Dialect> {
    if provider != CUSTOM {
        return catalogue::oauth(provider).map(Dialect::Catalogue);
    }
    match endpoints {
        None => None,
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn own(endpoints: &Value) -> Client {
        Client {
            dialect: dialect_of("custom", Some(endpoints)).unwrap(),
            app: None,
            id: "c".into(),
            secret: None,
            tenant: None,
        }
    }

    #[test]
    fn tokens_are_shown_where_the_token_endpoint_is_and_nowhere_else() {
        let mut endpoints = json!({
            "authorize_url": "https://id.acme.example/authorize",
            "token_url": "https://id.acme.example/token",
            "revoke_url": "https://id.acme.example/revoke",
            "device_url": "https://id.acme.example/device", "pkce": true, "refresh": "rotates",
        });
        let client = own(&endpoints);
        assert!(client.revoke_url().is_some() && client.device_url().is_some());
        for elsewhere in ["https://evil.example/x", "https://id.acme.example:444/x"] {
            endpoints["revoke_url"] = elsewhere.into();
            endpoints["device_url"] = elsewhere.into();
            let client = own(&endpoints);
            assert!(client.revoke_url().is_none() && client.device_url().is_none());
        }
        // What the catalogue says of its own providers stands, whatever a row has beside it.
        let google = dialect_of("google", Some(&endpoints));
        assert!(matches!(google, Some(Dialect::Catalogue(_))));
    }
}
