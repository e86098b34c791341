//! Whose account was consented to: asked of the service with the new token, else read from the ID token
//! that came along with it.

use ah5_contracts::connection::Auth;
use ah5_net::PoolKey;
use ah5_oauth::client::Client;
use ah5_oauth::token::TokenSet;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::service::{Account as Pointers, Service};
use axum::http::{HeaderValue, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::app::{App, now};

#[derive(Default)]
pub struct Account {
    /// The provider's own, stable name of it.
    pub name: Option<String>,
    /// For people to tell it by; empty if nothing is known.
    pub metadata: Map<String, Value>,
}

/// `None` in it is not an error: some providers do not say.
pub async fn of(
    app: &App,
    key: PoolKey,
    client: &Client,
    (service, base_url): (&str, &str),
    tokens: &TokenSet,
) -> Account {
    let service = catalogue::find(service);
    let pointers = service.and_then(|service| Some((service, service.account.as_ref()?)));
    let mut account = match pointers {
        Some((service, pointers)) => {
            let answer = probe(app, key, service, base_url, tokens).await;
            answer.map_or_else(Account::default, |answer| read(pointers, &answer))
        }
        None => of_id_token(client, tokens),
    };
    if let Some(tenant) = tenant(client, tokens) {
        account
            .metadata
            .insert("tenantId".to_owned(), tenant.into());
    }
    account
}

async fn probe(
    app: &App,
    key: PoolKey,
    service: &Service,
    base_url: &str,
    tokens: &TokenSet,
) -> Option<Value> {
    let base = CanonicalUrl::parse(base_url).ok()?;
    let request = service
        .probe_request(&base, &Auth::Bearer, &tokens.access)?
        .ok()?;
    let (mut head, body) = request.into_parts();
    let body = Bytes::from(body.to_owned());
    head.headers
        .insert(header::CONTENT_LENGTH, body.len().into());
    for (name, value) in [
        (header::ACCEPT, "application/json"),
        (header::USER_AGENT, "AgentHiFive"),
    ] {
        head.headers.insert(name, HeaderValue::from_static(value));
    }
    let request = Request::from_parts(head, body);
    let answer = app.net.fetch(key, request, MAX_ANSWER).await;
    match answer {
        Ok(answer) if answer.status() == StatusCode::OK => {
            serde_json::from_slice(answer.body()).ok()
        }
        Ok(answer) => {
            let status = answer.status().as_u16();
            tracing::debug!(service = service.id, status, "the account is not told");
            None
        }
        Err(error) => {
            let why = error.kind();
            tracing::warn!(
                service = service.id,
                why,
                "the account could not be asked for"
            );
            None
        }
    }
}

fn read(pointers: &Pointers, answer: &Value) -> Account {
    let text = |pointer: &String| match answer.pointer(pointer)? {
        Value::String(text) => bounded(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let shown = [
        ("email", &pointers.email),
        ("displayName", &pointers.display_name),
    ];
    let shown = shown.into_iter().filter_map(|(name, pointers)| {
        Some((name.to_owned(), pointers.iter().find_map(text)?.into()))
    });
    Account {
        name: text(&pointers.id),
        metadata: shown.collect(),
    }
}

/// It came from the token endpoint itself, so no signature is needed (OpenID Connect Core §3.1.3.7).
fn of_id_token(client: &Client, tokens: &TokenSet) -> Account {
    let claims = tokens.id_token.as_ref().and_then(|it| claims(it.expose()));
    let Some(claims) = claims.filter(|claims| is_ours(client, claims)) else {
        return Account::default();
    };
    let text = |name: &str| claims[name].as_str().and_then(bounded);
    let shown = [("email", "email"), ("displayName", "name")];
    let shown = shown
        .into_iter()
        .filter_map(|(name, claim)| Some((name.to_owned(), text(claim)?.into())));
    Account {
        name: text("sub"),
        metadata: shown.collect(),
    }
}

fn is_ours(client: &Client, claims: &Value) -> bool {
    let issuer = client.issuer();
    let audience = match &claims["aud"] {
        Value::Array(several) => several.iter().any(|one| *one == *client.id),
        one => *one == *client.id,
    };
    let lives = claims["exp"].as_i64().is_some_and(|exp| exp > now() - 60);
    audience && lives && issuer.is_none_or(|issuer| claims["iss"] == *issuer)
}

/// The directory that the account belongs to, where the provider's tokens tell. This one came straight
/// from its token endpoint.
fn tenant(client: &Client, tokens: &TokenSet) -> Option<String> {
    let claim = client.dialect.tenant_claim.as_ref()?;
    let claims = claims(tokens.access.expose())?;
    let tenant = claims[claim.as_str()].as_str()?;
    let tenant = uuid::Uuid::try_parse(tenant).ok()?;
    Some(tenant.to_string())
}

fn claims(jws: &str) -> Option<Value> {
    let mut parts = jws.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&claims).ok()
}

fn bounded(text: &str) -> Option<String> {
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_TEXT)
        .collect();
    (!clean.is_empty()).then_some(clean)
}

const MAX_ANSWER: usize = 256 * 1024;
const MAX_TEXT: usize = 255;
