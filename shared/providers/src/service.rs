//! One service of the catalogue: where its calls go, where its credential stands, what its headers
//! and endpoints mean. All of it is checked when the catalogue is read.

use std::sync::Arc;

use ah5_contracts::connection::Auth;
use ah5_policy::endpoints::as_served;
use ah5_policy::glob::Glob;
use ah5_policy::response::RuleFilter;
use ah5_policy::{CanonicalUrl, Endpoints, OriginPattern};
use ah5_security::secret::SecretText;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use serde::Deserialize;

use crate::inject::{InjectError, inject};
use crate::models::Spec;

#[derive(Debug)]
pub struct Service {
    pub id: String,
    pub provider: String,
    pub display_name: String,
    pub icon: String,
    pub group: String,
    pub category: Category,
    pub credential: Credential,
    /// At most one connection of it is meant when an agent names the service instead of a
    /// connection.
    pub singleton: bool,
    /// Where a connection's calls go or below. A star in the host: each connection has a host of its
    /// own there. `None`: each has a base URL of its own, or none.
    pub base: Option<OriginPattern>,
    /// Further origins that the credential may go to.
    pub hosts: Vec<OriginPattern>,
    /// Where redirects of a GET may lead: the service's own store of files. The credential never does.
    pub downloads: Vec<OriginPattern>,
    pub slot: Slot,
    /// What a credential that isn't OAuth's is good for.
    pub granted_scopes: Vec<String>,
    /// What can be asked for by OAuth.
    pub scopes: Vec<Scope>,
    /// Set on every call, over whatever the caller sent.
    pub fixed_headers: Vec<(HeaderName, HeaderValue)>,
    /// Caller headers that pass besides those of every service.
    pub plain_headers: Vec<String>,
    /// Caller headers that carry authority or arguments, besides those known for every service.
    pub acting_headers: Vec<String>,
    /// Query parameters that would change the method or whose authority is used.
    pub refused_parameters: Vec<String>,
    /// Takes a path for the same whatever its case.
    pub fold_paths: bool,
    /// Takes a member for the same whatever its name's case.
    pub case_insensitive_json: bool,
    /// Those that carry other requests, hand out authority, or have data sent elsewhere.
    pub endpoints: Endpoints,
    /// Links in answers that are authority by themselves.
    pub capability_urls: Vec<CapabilityUrls>,
    pub probe: Option<Probe>,
    /// Where the probe's answer says whose account it is.
    pub account: Option<Account>,
    /// Its language models, as far as they are known.
    pub models: Vec<Spec>,
    /// Its models are called by clients that know only a base URL and a key.
    pub llm: Option<Llm>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Communication,
    Data,
    Llm,
}

/// How an account is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    ApiKey,
    BotToken,
    /// Whatever the connection's own settings say.
    Custom,
    Email,
    Oauth,
    /// OAuth at a provider that only the workspace knows, to whatever base URL the connection has.
    OauthCustom,
}

impl Credential {
    /// Whether somebody consents at the provider, and tokens come of it.
    #[must_use]
    pub const fn is_oauth(self) -> bool {
        matches!(self, Self::Oauth | Self::OauthCustom)
    }
}

/// Where the credential goes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Slot {
    /// HTTP Basic; the connection says who the user is.
    Basic,
    Bearer,
    Header {
        name: String,
    },
    /// Behind this at the beginning of the path.
    Path {
        prefix: String,
    },
    /// The connection says, or no HTTP request carries it.
    PerConnection,
    QueryPair {
        first: String,
        second: String,
    },
}

/// A scope that OAuth can be asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// What templates call it.
    pub key: String,
    pub value: String,
    /// Asked for if nobody says otherwise.
    #[serde(default)]
    pub default: bool,
    /// Only the tenant's administrator can consent to it.
    #[serde(default)]
    pub admin_consent: bool,
}

/// Members of answers to leave out.
#[derive(Debug)]
pub struct CapabilityUrls {
    /// In lower case.
    pub(crate) paths: Vec<Glob>,
    pub(crate) filter: Arc<RuleFilter>,
}

/// Members of the probe's answer, as JSON pointers (RFC 6901); of several the first that is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The provider's own, stable name of the account.
    pub id: String,
    #[serde(default)]
    pub email: Vec<String>,
    #[serde(default)]
    pub display_name: Vec<String>,
}

/// A service of language models.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Llm {
    /// As in `/v1/vault/llm/{name}`.
    pub name: String,
    /// What its paths begin with; clients may leave it out.
    pub base_path: String,
    pub dialect: Dialect,
}

/// How requests, answers, errors and usage are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    Anthropic,
    Gemini,
    Openai,
}

/// A cheap call that tells whether a credential is good.
#[derive(Debug)]
pub struct Probe {
    pub method: Method,
    /// At this origin; `None` is the connection's own base URL.
    pub origin: Option<String>,
    pub path: String,
    pub body: Option<String>,
    /// The answers that mean "no". Anything else says nothing about the key: a provider that is
    /// down or busy has not refused it.
    pub refused_by: Vec<u16>,
    /// A member of the answer that is `true` only for a good credential.
    pub must_be_true: Option<String>,
    pub refusal: String,
}

// === impl Service ===

impl Service {
    /// The base URL of every connection; `None` if each has its own.
    #[must_use]
    pub fn base_url(&self) -> Option<&CanonicalUrl> {
        let base = self.base.as_ref()?.base();
        (!base.host().contains('*')).then_some(base)
    }

    /// `None` if each connection has its own.
    #[must_use]
    pub fn auth(&self) -> Option<Auth> {
        match self.slot.clone() {
            Slot::Bearer => Some(Auth::Bearer),
            Slot::Header { name } => Some(Auth::Header { name }),
            Slot::Path { prefix } => Some(Auth::Path { prefix }),
            Slot::QueryPair { first, second } => Some(Auth::QueryPair { first, second }),
            Slot::Basic | Slot::PerConnection => None,
        }
    }

    /// Whether a connection may have this base URL. No operator's exemption lifts it.
    #[must_use]
    pub fn pins(&self, base: &CanonicalUrl) -> bool {
        match &self.base {
            Some(own) => own.covers(base) || self.reaches(base),
            None => matches!(
                self.credential,
                Credential::Custom | Credential::OauthCustom
            ),
        }
    }

    /// Whether calls may go there besides to the connection's base URL.
    #[must_use]
    pub fn reaches(&self, url: &CanonicalUrl) -> bool {
        self.hosts.iter().any(|host| host.covers(url))
    }

    /// Whether a redirect may be followed there.
    #[must_use]
    pub fn keeps_files_at(&self, url: &CanonicalUrl) -> bool {
        self.downloads.iter().any(|host| host.covers(url))
    }

    /// The first query parameter that no call may have, whatever its case.
    #[must_use]
    pub fn refused_parameter(&self, url: &CanonicalUrl) -> Option<&str> {
        if self.refused_parameters.is_empty() || url.query().is_none() {
            return None;
        }
        let given = |refused: &&String| {
            let mut names = url.query_pairs().map(|(name, _)| name);
            names.any(|name| name.eq_ignore_ascii_case(refused))
        };
        self.refused_parameters
            .iter()
            .find(given)
            .map(String::as_str)
    }

    /// What answers to calls of this URL must lose; `every` if other requests are in the call.
    pub fn answer_filters<'a>(
        &'a self,
        url: &'a CanonicalUrl,
        every: bool,
    ) -> impl Iterator<Item = Arc<RuleFilter>> + 'a {
        let path = as_served(url.path());
        let all = self.capability_urls.iter();
        let apply = all.filter(move |urls| every || urls.paths.iter().any(|p| p.matches(&path)));
        apply.map(|urls| Arc::clone(&urls.filter))
    }

    pub fn set_fixed_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.fixed_headers {
            headers.insert(name, value.clone());
        }
    }

    /// The request that tells whether `secret` is good for a connection with this base URL and
    /// slot; `None` for a service without a probe.
    ///
    /// # Errors
    /// A secret that no request can carry.
    pub fn probe_request(
        &self,
        base: &CanonicalUrl,
        auth: &Auth,
        secret: &SecretText,
    ) -> Option<Result<Request<&str>, InjectError>> {
        let probe = self.probe.as_ref()?;
        let origin = probe.origin.clone().unwrap_or_else(|| base.origin());
        let request = Request::builder()
            .method(probe.method.clone())
            .uri(format!("{origin}{}", probe.path))
            .body(probe.body.as_deref().unwrap_or_default())
            .ok()?;
        let (mut parts, body) = request.into_parts();
        if probe.body.is_some() {
            let json = HeaderValue::from_static("application/json");
            parts.headers.insert(http::header::CONTENT_TYPE, json);
        }
        self.set_fixed_headers(&mut parts.headers);
        Some(inject(auth, secret, &mut parts).map(|()| Request::from_parts(parts, body)))
    }
}

#[cfg(test)]
mod tests {
    use crate::catalogue::find;

    use super::*;

    #[test]
    fn a_probe_carries_the_credential_in_its_slot() {
        let secret = SecretText::new("12345:abcdefgh\nuser-token".into());
        let probe = |id: &str, auth: Option<Auth>, base: Option<&str>| {
            let service = find(id).unwrap();
            let auth = auth.or_else(|| service.auth()).unwrap();
            let base = base.map(|base| CanonicalUrl::parse(base).unwrap());
            let base = base.or_else(|| service.base_url().cloned()).unwrap();
            let secret = match auth {
                Auth::QueryPair { .. } => &secret,
                _ => &SecretText::new("12345:abcdefgh".into()),
            };
            service
                .probe_request(&base, &auth, secret)
                .unwrap()
                .unwrap()
        };
        let request = probe("anthropic-messages", None, None);
        assert_eq!(request.uri(), "https://api.anthropic.com/v1/messages");
        assert_eq!(request.headers()["x-api-key"], "12345:abcdefgh");
        assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
        let request = probe("telegram", None, None);
        assert_eq!(
            request.uri(),
            "https://api.telegram.org/bot12345:abcdefgh/getMe"
        );
        let request = probe("trello", None, None);
        let sent = "https://api.trello.com/1/members/me?key=12345%3Aabcdefgh&token=user-token";
        assert_eq!(request.uri(), sent);
        let basic = Auth::Basic {
            username: "a@b.example".into(),
        };
        let request = probe("jira", Some(basic), Some("https://acme.atlassian.net"));
        assert_eq!(
            request.uri(),
            "https://acme.atlassian.net/rest/api/3/myself"
        );
        let request = probe("google-sheets", None, None);
        assert_eq!(request.uri().host(), Some("www.googleapis.com"));
        let url = CanonicalUrl::parse("https://a.example/").unwrap();
        let custom = find("custom-http").unwrap();
        assert!(custom.probe_request(&url, &Auth::Bearer, &secret).is_none());
    }
}
