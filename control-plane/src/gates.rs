//! Optional gates before every route: a password for an installation that is not public yet, and
//! the mark of the one Azure Front Door that may forward to us. They identify nobody; what is
//! behind them asks for credentials as ever.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use ah5_edge::client;
use ah5_security::hash::{equal, sha256};
use ah5_security::secret::SecretText;
use ah5_settings::Settings;

use crate::app::{App, now};
use crate::auth::rate::Bucket;
use crate::error::AppError;

pub struct Config {
    password: Option<SecretText>,
    front_door: Option<SecretText>,
}

// === impl Config ===

impl Config {
    pub fn read(settings: &mut Settings) -> Self {
        let mut secret = |name| settings.optional(name).map(SecretText::new);
        Self {
            password: secret("BASIC_AUTH_PASSWORD"),
            front_door: secret("AZURE_FRONT_DOOR_ID"),
        }
    }

    fn knows_password(&self, path: &str, headers: &HeaderMap) -> bool {
        let Some(password) = &self.password else {
            return true;
        };
        let open = OPEN.iter().any(|prefix| path.starts_with(prefix));
        open || is_probe(path) || shows_credential(headers) || is_basic(headers, password)
    }

    fn is_from_front_door(&self, path: &str, headers: &HeaderMap) -> bool {
        let Some(id) = &self.front_door else {
            return true;
        };
        let exempt = is_probe(path) || path.starts_with(WELL_KNOWN);
        exempt
            || headers
                .get("x-azure-fdid")
                .is_some_and(|given| same(given.as_bytes(), id))
    }
}

pub async fn pass(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let (gates, headers) = (&app.config.gates, request.headers());
    let path = request.uri().path();
    if !gates.knows_password(path, headers) {
        let client = client::address(peer, headers, &app.config.trusted_proxies);
        // Whoever guesses is slowed down as with tokens.
        return match app.limits.count(Bucket::FailedAuth, client, now()) {
            Ok(_) => ask_password(),
            Err(refusal) => refusal.into_response(),
        };
    }
    if !gates.is_from_front_door(path, headers) {
        return AppError::forbidden("Forbidden").into_response();
    }
    next.run(request).await
}

fn ask_password() -> Response {
    let mut response = AppError::unauthorized("Unauthorized").into_response();
    let realm = HeaderValue::from_static("Basic realm=\"AgentHiFive\"");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, realm);
    response
}

fn is_probe(path: &str) -> bool {
    matches!(path, "/health" | "/v1/health")
}

/// Good or bad: the route itself looks at it.
fn shows_credential(headers: &HeaderMap) -> bool {
    let shown = headers.get(header::AUTHORIZATION);
    let scheme = shown.and_then(|value| value.as_bytes().split(|byte| *byte == b' ').next());
    let is_token = |scheme: &[u8]| {
        let schemes = [&b"bearer"[..], b"dpop"];
        schemes
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    };
    scheme.is_some_and(is_token)
        || headers.contains_key("x-api-key")
        || headers.contains_key("x-goog-api-key")
}

fn is_basic(headers: &HeaderMap, password: &SecretText) -> bool {
    let value = headers.get(header::AUTHORIZATION);
    let given = value.and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let given = given.and_then(|text| STANDARD.decode(text).ok());
    let given = given.as_deref().and_then(|pair| pair.strip_prefix(b"ah5:"));
    given.is_some_and(|given| same(given, password))
}

/// Digests are compared, so that not even the length shows in the time it takes.
fn same(given: &[u8], secret: &SecretText) -> bool {
    equal(&sha256(given), &sha256(secret.expose().as_bytes()))
}

const WELL_KNOWN: &str = "/.well-known/";
/// Each of these has proofs of its own.
const OPEN: [&str; 5] = [
    "/api/auth/",
    "/api/quick-action/",
    "/v1/agents/bootstrap",
    "/v1/agents/token",
    WELL_KNOWN,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(vars: &[(&str, &str)]) -> Config {
        let vars = vars.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        Config::read(&mut Settings::from_vars(vars))
    }

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let name = header::HeaderName::from_static(name);
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn no_setting_is_no_gate() {
        let (none, nothing) = (gates(&[]), HeaderMap::new());
        assert!(none.knows_password("/v1/agents", &nothing));
        assert!(none.is_from_front_door("/v1/agents", &nothing));
    }

    #[test]
    fn the_password_opens_and_no_other_does() {
        let gate = gates(&[("BASIC_AUTH_PASSWORD", "open sesame")]);
        let basic = |pair: &str| with("authorization", &format!("Basic {}", STANDARD.encode(pair)));
        assert!(gate.knows_password("/docs", &basic("ah5:open sesame")));
        for wrong in [
            "ah5:open sesam",
            "ah5:",
            "root:open sesame",
            "open sesame",
            "ah5:open sesame ",
        ] {
            assert!(!gate.knows_password("/docs", &basic(wrong)), "{wrong}");
        }
        assert!(!gate.knows_password("/docs", &with("authorization", "Basic %%")));
        assert!(gate.knows_password("/v1/agents", &with("authorization", "Bearer x")));
        assert!(gate.knows_password("/v1/agents", &with("x-api-key", "x")));
        for open in [
            "/health",
            "/v1/health",
            "/api/auth/get-session",
            "/.well-known/jwks.json",
        ] {
            assert!(gate.knows_password(open, &HeaderMap::new()), "{open}");
        }
        for shut in ["/", "/docs", "/healthy", "/api/authority", "/v1/agents"] {
            assert!(!gate.knows_password(shut, &HeaderMap::new()), "{shut}");
        }
    }

    #[test]
    fn only_the_named_front_door_passes() {
        let gate = gates(&[("AZURE_FRONT_DOOR_ID", "7b2e")]);
        assert!(gate.is_from_front_door("/v1/agents", &with("x-azure-fdid", "7b2e")));
        assert!(!gate.is_from_front_door("/v1/agents", &with("x-azure-fdid", "7b2f")));
        assert!(!gate.is_from_front_door("/v1/agents", &HeaderMap::new()));
        assert!(!gate.is_from_front_door("/api/auth/token", &HeaderMap::new()));
        assert!(gate.is_from_front_door("/health", &HeaderMap::new()));
        assert!(gate.is_from_front_door("/.well-known/jwks.json", &HeaderMap::new()));
    }
}
