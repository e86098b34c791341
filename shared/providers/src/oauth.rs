//! How a provider does OAuth 2: its endpoints and where it departs from the standard. Data only;
//! nothing here opens a connection.

use std::collections::BTreeMap;

use ah5_policy::CanonicalUrl;
use serde::Deserialize;

/// URLs may hold `{tenant}` where the provider has tenants: use [`OAuth::url`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    pub provider: String,
    /// Of ID tokens and of the callback's `iss`, where there are any.
    pub issuer: Option<String>,
    pub authorize_url: String,
    pub token_url: String,
    /// RFC 7009.
    pub revoke_url: Option<String>,
    /// RFC 8628.
    pub device_url: Option<String>,
    /// RFC 7636 with S256; without it only the client's secret protects the code.
    pub pkce: bool,
    /// RFC 9207: the callback's `iss` must be the issuer.
    #[serde(default)]
    pub checks_issuer: bool,
    #[serde(default = "blank")]
    pub scope_separator: String,
    #[serde(default = "scope")]
    pub scope_parameter: String,
    /// A scope without which there is no refresh token.
    pub offline_scope: Option<String>,
    /// Further parameters of the authorization request.
    #[serde(default)]
    pub authorize_parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub client_auth: ClientAuth,
    #[serde(default)]
    pub token_request: TokenRequest,
    pub refresh: Refresh,
    /// Errors of the token endpoint that mean what `invalid_grant` means.
    #[serde(default)]
    pub grant_errors: Vec<String>,
    /// What stands for `{tenant}` if an account names none.
    pub default_tenant: Option<String>,
}

/// How the client shows who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    Basic,
    #[default]
    Body,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenRequest {
    #[default]
    Form,
    Json,
}

/// What becomes of a refresh token that is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    Keeps,
    /// Access tokens do not expire.
    None,
    Rotates,
}

// === impl OAuth ===

impl OAuth {
    /// One of its URLs for a tenant, or for the default one.
    #[must_use]
    pub fn url(&self, template: &str, tenant: Option<&str>) -> Option<CanonicalUrl> {
        let tenant = tenant
            .or(self.default_tenant.as_deref())
            .unwrap_or_default();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        if !tenant.bytes().all(legal) {
            return None;
        }
        CanonicalUrl::parse(&template.replace("{tenant}", tenant)).ok()
    }

    /// Whether this error of the token endpoint says that the grant is no more.
    #[must_use]
    pub fn ends_grant(&self, error: &str) -> bool {
        self.grant_errors.iter().any(|known| known == error)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let urls = [
            self.issuer.as_ref(),
            Some(&self.authorize_url),
            Some(&self.token_url),
            self.revoke_url.as_ref(),
            self.device_url.as_ref(),
        ];
        for template in urls.into_iter().flatten() {
            let url = self.url(template, None).filter(CanonicalUrl::is_https);
            let tenant = template.contains("{tenant}") && self.default_tenant.is_none();
            if url.is_none_or(|url| url.query().is_some()) || tenant {
                return Err(format!("{template} is not an https URL"));
            }
        }
        if self.checks_issuer && self.issuer.is_none() {
            return Err("checks_issuer needs an issuer".to_owned());
        }
        if !matches!(self.scope_separator.as_str(), " " | ",") {
            return Err("scope_separator must be a blank or a comma".to_owned());
        }
        Ok(())
    }
}

fn blank() -> String {
    " ".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}
