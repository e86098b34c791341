//! The services that a connection can be made to. A service's host is pinned here, not in a policy.

use ah5_contracts::connection::Auth;
use ah5_security::secret::SecretText;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};

use crate::custom;
use crate::inject::{InjectError, inject};

#[derive(Debug)]
pub struct Service {
    pub id: &'static str,
    pub provider: &'static str,
    pub display_name: &'static str,
    /// At most one connection of it is meant when an agent names the service instead of a
    /// connection.
    pub singleton: bool,
    /// Calls go here or below. `None`: each connection has its own.
    pub base_url: Option<&'static str>,
    pub slot: Slot,
    pub granted_scopes: &'static [&'static str],
    /// Set on every call, over whatever the caller sent.
    pub fixed_headers: &'static [(&'static str, &'static str)],
    /// Caller headers that pass besides those of every service.
    pub extra_headers: &'static [&'static str],
    pub probe: Option<Probe>,
}

/// Where the credential goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    Bearer,
    Header(&'static str),
    /// The connection says.
    PerConnection,
}

/// A cheap call that tells whether a credential is good.
#[derive(Debug)]
pub struct Probe {
    pub method: Method,
    pub path: &'static str,
    pub body: Option<&'static str>,
    /// The answers that mean "no". Anything else says nothing about the key: a provider that is
    /// down or busy has not refused it.
    pub refused_by: &'static [u16],
    pub refusal: &'static str,
}

#[must_use]
pub fn services() -> &'static [Service] {
    SERVICES
}

#[must_use]
pub fn find(id: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.id == id)
}

// === impl Service ===

impl Service {
    /// `None` if each connection has its own.
    #[must_use]
    pub fn auth(&self) -> Option<Auth> {
        match self.slot {
            Slot::Bearer => Some(Auth::Bearer),
            Slot::Header(name) => Some(Auth::Header {
                name: name.to_owned(),
            }),
            Slot::PerConnection => None,
        }
    }

    pub fn set_fixed_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in self.fixed_headers {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
    }

    /// The request that tells whether `secret` is good; `None` for a service without a probe.
    ///
    /// # Errors
    /// A secret that no header can carry.
    pub fn probe_request(
        &self,
        secret: &SecretText,
    ) -> Option<Result<Request<&'static str>, InjectError>> {
        let (probe, base, auth) = (self.probe.as_ref()?, self.base_url?, self.auth()?);
        let request = Request::builder()
            .method(probe.method.clone())
            .uri(format!("{base}{}", probe.path))
            .body(probe.body.unwrap_or_default())
            .ok()?;
        let (mut parts, body) = request.into_parts();
        if probe.body.is_some() {
            let json = HeaderValue::from_static("application/json");
            parts.headers.insert(http::header::CONTENT_TYPE, json);
        }
        self.set_fixed_headers(&mut parts.headers);
        Some(inject(&auth, secret, &mut parts).map(|()| Request::from_parts(parts, body)))
    }
}

const SERVICES: &[Service] = &[
    Service {
        id: "anthropic-messages",
        provider: "anthropic",
        display_name: "Anthropic (Claude)",
        singleton: true,
        base_url: Some("https://api.anthropic.com"),
        slot: Slot::Header("x-api-key"),
        granted_scopes: &["messages"],
        fixed_headers: &[("anthropic-version", "2023-06-01")],
        extra_headers: &["anthropic-beta"],
        probe: Some(Probe {
            method: Method::POST,
            path: "/v1/messages",
            body: Some(
                r#"{"model":"claude-haiku-4-5-20251001","max_tokens":1,"messages":[{"role":"user","content":"hi"}]}"#,
            ),
            refused_by: &[401, 403],
            refusal: "Anthropic credential is invalid. Check your key at console.anthropic.com.",
        }),
    },
    Service {
        id: "openai",
        provider: "openai",
        display_name: "OpenAI",
        singleton: true,
        base_url: Some("https://api.openai.com"),
        slot: Slot::Bearer,
        granted_scopes: &["chat", "embeddings"],
        fixed_headers: &[],
        extra_headers: &[],
        probe: Some(Probe {
            method: Method::GET,
            path: "/v1/models",
            body: None,
            refused_by: &[401, 403],
            refusal: "OpenAI API key is invalid. Check your key at platform.openai.com.",
        }),
    },
    Service {
        id: "gemini",
        provider: "gemini",
        display_name: "Google Gemini",
        singleton: true,
        base_url: Some("https://generativelanguage.googleapis.com"),
        slot: Slot::Header("x-goog-api-key"),
        granted_scopes: &["chat", "embeddings"],
        fixed_headers: &[],
        extra_headers: &[],
        probe: Some(Probe {
            method: Method::GET,
            path: "/v1beta/models",
            body: None,
            // Gemini calls an unknown key a bad request.
            refused_by: &[400, 401, 403],
            refusal: "Gemini API key is invalid. Check your key at aistudio.google.com/apikey.",
        }),
    },
    Service {
        id: "openrouter",
        provider: "openrouter",
        display_name: "OpenRouter",
        singleton: true,
        base_url: Some("https://openrouter.ai"),
        slot: Slot::Bearer,
        granted_scopes: &["chat", "embeddings"],
        fixed_headers: &[],
        extra_headers: &[],
        probe: Some(Probe {
            method: Method::GET,
            // The list of models is public and would take any key.
            path: "/api/v1/key",
            body: None,
            refused_by: &[401, 403],
            refusal: "OpenRouter API key is invalid. Check your key at openrouter.ai/settings/keys.",
        }),
    },
    Service {
        id: "notion",
        provider: "notion",
        display_name: "Notion",
        singleton: false,
        base_url: Some("https://api.notion.com"),
        slot: Slot::Bearer,
        granted_scopes: &["read", "write"],
        fixed_headers: &[("notion-version", "2022-06-28")],
        extra_headers: &[],
        probe: Some(Probe {
            method: Method::GET,
            path: "/v1/users/me",
            body: None,
            refused_by: &[401, 403],
            refusal: "Notion integration token is invalid. Check your token at notion.so/profile/integrations.",
        }),
    },
    Service {
        id: custom::SERVICE,
        provider: custom::PROVIDER,
        display_name: custom::DISPLAY_NAME,
        singleton: false,
        base_url: None,
        slot: Slot::PerConnection,
        granted_scopes: &[],
        fixed_headers: &[],
        extra_headers: &[],
        probe: None,
    },
];

#[cfg(test)]
mod tests {
    use ah5_policy::CanonicalUrl;

    use super::*;

    #[test]
    fn every_service_has_a_canonical_https_base() {
        for service in services() {
            assert_eq!(find(service.id).unwrap().id, service.id);
            let Some(base) = service.base_url else {
                continue;
            };
            let url = CanonicalUrl::parse(base).unwrap();
            assert!(url.is_https());
            assert_eq!(url.origin(), base);
            assert!(service.auth().is_some());
        }
    }

    #[test]
    fn a_probe_carries_the_credential_in_its_slot() {
        let secret = SecretText::new("sk-0123456789".into());
        let request = find("anthropic-messages")
            .unwrap()
            .probe_request(&secret)
            .unwrap()
            .unwrap();
        assert_eq!(request.uri(), "https://api.anthropic.com/v1/messages");
        assert_eq!(request.headers()["x-api-key"], "sk-0123456789");
        assert_eq!(request.headers()["anthropic-version"], "2023-06-01");
        assert!(
            find("custom-http")
                .unwrap()
                .probe_request(&secret)
                .is_none()
        );
    }
}
