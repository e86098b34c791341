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
    /// The claim of access tokens that names the account's tenant.
    pub tenant_claim: Option<String>,
    /// The answer's `scope` also has what was consented to at other times.
    #[serde(default)]
    pub reports_every_consent: bool,
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

    /// Whether a workspace may describe its own provider so. `may_call` says which URLs will do: its
    /// input comes from a tenant, and people's browsers and a client's secret go there.
    ///
    /// # Errors
    /// The member at fault, and why.
    pub fn check_own(&self, may_call: impl Fn(&CanonicalUrl) -> bool) -> Result<(), String> {
        let urls = [
            ("issuer", self.issuer.as_ref()),
            ("authorize_url", Some(&self.authorize_url)),
            ("token_url", Some(&self.token_url)),
            ("revoke_url", self.revoke_url.as_ref()),
            ("device_url", self.device_url.as_ref()),
        ];
        for (name, text) in urls {
            let Some(text) = text else { continue };
            let url = CanonicalUrl::parse(text)
                .ok()
                .filter(|_| text.len() <= MAX_TEXT);
            let url = url.filter(|url| url.query().is_none() && !text.contains(['{', '#']));
            if url.is_none_or(|url| !may_call(&url)) {
                return Err(format!(
                    "{name} must be a public https URL, not ours, without a query"
                ));
            }
        }
        let token = CanonicalUrl::parse(&self.token_url).ok();
        for (name, text) in [
            ("revoke_url", &self.revoke_url),
            ("device_url", &self.device_url),
        ] {
            let url = text.as_ref().map(|text| CanonicalUrl::parse(text).ok());
            let is_beside =
                |url: Option<CanonicalUrl>| url?.same_origin(token.as_ref()?).then_some(());
            if url.is_some_and(|url| is_beside(url).is_none()) {
                return Err(format!("{name} must be of the same origin as token_url"));
            }
        }
        let parameters = &self.authorize_parameters;
        let mut members = parameters.iter().flat_map(|(name, value)| [name, value]);
        let is_long = |text: &String| text.is_empty() || text.len() > MAX_TEXT;
        if parameters.len() > MAX_PARAMETERS || members.any(is_long) {
            return Err("authorize_parameters are too many or too long".to_owned());
        }
        let ours = |name: &str| OURS.contains(&name) || name == self.scope_parameter;
        if let Some(name) = parameters.keys().find(|name| ours(name)) {
            return Err(format!("authorize_parameters must not set {name}"));
        }
        if self.scope_parameter.is_empty() || OURS.contains(&&*self.scope_parameter) {
            return Err("scope_parameter must not be one of the others".to_owned());
        }
        if self.default_tenant.is_some() {
            return Err("default_tenant is not for a provider of one's own".to_owned());
        }
        self.check_form()
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
        self.check_form()
    }

    fn check_form(&self) -> Result<(), String> {
        if self.checks_issuer && self.issuer.is_none() {
            return Err("checks_issuer needs an issuer".to_owned());
        }
        if !matches!(self.scope_separator.as_str(), " " | ",") {
            return Err("scope_separator must be a blank or a comma".to_owned());
        }
        Ok(())
    }
}

/// Parameters of the authorization request that are never the dialect's.
const OURS: [&str; 10] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_type",
    "state",
];
const MAX_TEXT: usize = 1024;
const MAX_PARAMETERS: usize = 20;

fn blank() -> String {
    " ".to_owned()
}

fn scope() -> String {
    "scope".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(changes: &str) -> Result<(), String> {
        let mut text = String::from("provider = 'custom'\npkce = true\nrefresh = 'rotates'\n");
        for line in [
            "authorize_url = 'https://id.example/auth'",
            "token_url = 'https://id.example/token'",
        ] {
            let name = line.split(' ').next().unwrap_or_default();
            if !changes.contains(name) {
                text += line;
                text.push('\n');
            }
        }
        let oauth: OAuth = toml::from_str(&(text + changes)).map_err(|error| error.to_string())?;
        oauth.check_own(|url| url.is_https() && url.host() != "ours.example")
    }

    #[test]
    fn a_provider_of_ones_own_leads_nowhere_else() {
        assert_eq!(
            own("checks_issuer = true\nissuer = 'https://id.example'"),
            Ok(())
        );
        for bad in [
            "authorize_url = 'http://id.example/auth'",
            "authorize_url = 'https://ours.example/auth'",
            "authorize_url = 'https://id.example/auth?client_id=x'",
            "authorize_url = 'javascript:alert(1)'",
            "token_url = 'https://ours.example/'",
            "token_url = 'https://{tenant}.example/'",
            "device_url = 'https://u:p@id.example/'",
            "checks_issuer = true",
            "default_tenant = 'x'",
            "scope_separator = '&'",
            "scope_parameter = 'state'",
            "authorize_parameters = { redirect_uri = 'https://evil.example' }",
            "authorize_parameters = { code_challenge_method = 'plain' }",
        ] {
            assert!(own(bad).is_err(), "{bad}");
        }
    }
}
