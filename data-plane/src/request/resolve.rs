//! `POST /v1/credentials/resolve`: gives a credential to an admin's own program, which then calls the
//! provider by itself. Off until an owner turns it on; never to agents. The database is written before
//! anything leaves, and nothing about the connection changes.

use ah5_contracts::audit::Action;
use ah5_contracts::connection::{Auth, ConnectionStatus};
use ah5_contracts::id::{ConnectionId, UserId};
use ah5_contracts::scope::Scope;
use ah5_providers::service::Credential;
use ah5_store::vending::Holder;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::vend::note;
use super::{Call, Caller, Identity, Refusal, fresh};
use crate::answer::{self, AnswerBody};
use crate::plane::Plane;
use crate::snapshot::Connection;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    kind: Option<String>,
    provider: Option<String>,
    profile_id: Option<String>,
}

/// Who may ask at all, before anything is read.
///
/// # Errors
/// 403 to agents and to tokens without the scope.
pub fn person(caller: &Caller) -> Result<UserId, Refusal> {
    match (caller.identity, caller.person) {
        (Identity::User(user), Some(person)) => {
            person.needs(Scope::CredentialsResolve)?;
            Ok(user)
        }
        _ => Err(for_people()),
    }
}

/// # Errors
/// 403 where it is not enabled, 404 where there is nothing to be had: the caller then uses
/// what it has itself.
pub async fn resolve(
    plane: &Plane,
    call: &mut Call,
    caller: &mut Caller,
    user: UserId,
    text: &[u8],
) -> Result<Response<AnswerBody>, Refusal> {
    let asked = Asked::parse(text)?;
    let (kind, provider) = (asked.kind(), asked.provider.as_deref().unwrap_or_default());
    enabled(caller)?;
    // 1. Which connection is meant?
    let id = find(caller, &asked, kind)?;
    call.resolves(id);
    let place = caller.workspace.connections.get(&id);
    let place = place.ok_or_else(|| none(provider))?;
    let (service, auth) = (place.service, place.auth.clone());
    let mut extra = serde_json::Map::new();
    if let Some(tenant) = &place.tenant {
        extra.insert("tenantId".to_owned(), (&**tenant).into());
    }
    // 2. Its credential, as good as new.
    let (secret, expires) = fresh::secret(plane, caller, id).await?;
    caller.renew(plane)?;
    enabled(caller)?;
    // 3. Written down, then handed out.
    note(
        plane,
        call,
        caller.workspace_id,
        id,
        Holder::User(user),
        expires,
    )
    .await?;
    let mut key = secret.expose();
    match &auth {
        Auth::Basic { username } => drop(extra.insert("email".to_owned(), username.clone().into())),
        Auth::QueryPair { .. } => {
            if let Some((app, token)) = key.split_once('\n') {
                extra.insert("appKey".to_owned(), app.into());
                key = token;
            }
        }
        _ => {}
    }
    let mode = match service.credential {
        Credential::Oauth => "oauth",
        Credential::BotToken => "token",
        _ => "api-key",
    };
    let ttl = ttl(expires, call.unix_seconds());
    let mut body = json!({
        "apiKey": key, "source": format!("vault:{}:{id}", service.provider), "mode": mode,
        "cacheTtlMs": ttl,
    });
    if !extra.is_empty() {
        body["extra"] = extra.into();
    }
    let text = serde_json::to_vec(&body).map_err(Refusal::internal)?;
    let mode = match (mode, expires) {
        ("oauth", None) => "oauth-permanent",
        (mode, _) => mode,
    };
    let details = json!({"kind": kind.as_str(), "provider": provider, "mode": mode});
    let audit_id = call.audit_id;
    call.handed_out(plane, Action::CredentialResolved, details)
        .await?;
    Ok(answer::json(StatusCode::OK, text, Some(audit_id)))
}

fn for_people() -> Refusal {
    Refusal::forbidden(
        "Agents cannot access credentials/resolve directly.",
        Some("Use POST /v1/vault/execute (Model B): the call is made for you.".to_owned()),
    )
}

fn enabled(caller: &Caller) -> Result<(), Refusal> {
    if caller.workspace.allowed.credentials {
        return Ok(());
    }
    let error = "credentials/resolve is not enabled for this workspace";
    Err(Refusal::forbidden(
        error,
        Some("An owner can turn it on in the workspace's settings.".to_owned()),
    ))
}

/// What the credential is for, as clients name it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    ModelProvider,
    Channel,
    PluginConfig,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ModelProvider => "model_provider",
            Self::Channel => "channel",
            Self::PluginConfig => "plugin_config",
        }
    }

    /// The provider, and the service if only one will do.
    fn meant(self, name: &str) -> Option<(&'static str, Option<&'static str>)> {
        let known = match (self, name) {
            (Self::ModelProvider, "google" | "gemini") => "gemini",
            (Self::ModelProvider, "openai") | (_, "openai") => "openai",
            (_, "anthropic") => "anthropic",
            (_, "openrouter") => "openrouter",
            (Self::ModelProvider, _) => return None,
            (_, "msteams") => return Some(("microsoft", Some("microsoft-teams"))),
            (_, "google") => "google",
            (_, "microsoft") => "microsoft",
            (_, "telegram") => "telegram",
            (_, "slack") => "slack",
            (_, "github") => "github",
            (_, "gemini") => "gemini",
            (_, "notion") => "notion",
            _ => return None,
        };
        Some((known, None))
    }
}

// === impl Asked ===

impl Asked {
    fn parse(text: &[u8]) -> Result<Self, Refusal> {
        let asked: Self = serde_json::from_slice(text)
            .map_err(|_| Refusal::bad_request("body must be an object of strings"))?;
        let blank = |text: &Option<String>| text.as_deref().is_none_or(str::is_empty);
        if blank(&asked.kind) || blank(&asked.provider) {
            return Err(Refusal::bad_request("kind and provider are required"));
        }
        let known = ["model_provider", "channel", "plugin_config"];
        if !known.contains(&asked.kind.as_deref().unwrap_or_default()) {
            let error = "body/kind must be equal to one of the allowed values";
            return Err(Refusal::bad_request(error));
        }
        Ok(asked)
    }

    fn kind(&self) -> Kind {
        match self.kind.as_deref() {
            Some("model_provider") => Kind::ModelProvider,
            Some("channel") => Kind::Channel,
            _ => Kind::PluginConfig,
        }
    }
}

fn find(caller: &Caller, asked: &Asked, kind: Kind) -> Result<ConnectionId, Refusal> {
    let name = asked.provider.as_deref().unwrap_or_default();
    let connections = &caller.workspace.connections;
    let profile = asked.profile_id.as_deref();
    if let Some(id) = profile.and_then(|id| id.parse::<ConnectionId>().ok()) {
        let named = connections.get(&id).filter(|place| can_be_had(place));
        return match named.map(|place| place.status) {
            None => Err(none(name)),
            Some(ConnectionStatus::Healthy) => Ok(id),
            Some(status) => {
                let error = format!("Connection is {}", status.as_str());
                Err(Refusal::not_found(error))
            }
        };
    }
    let (provider, service) = kind.meant(name).ok_or_else(|| none(name))?;
    let fits = |place: &Connection| {
        place.service.provider == provider
            && service.is_none_or(|service| place.service.id == service)
            && place.status == ConnectionStatus::Healthy
            && can_be_had(place)
    };
    let fitting = connections.iter().filter(|(_, place)| fits(place));
    let newest = fitting.max_by_key(|(id, place)| (place.created, **id));
    newest.map(|(id, _)| *id).ok_or_else(|| none(name))
}

/// A mailbox's password, or what stands in a place of its owner's own choice, is no use to programs that
/// ask by a provider's name.
fn can_be_had(place: &Connection) -> bool {
    matches!(
        place.service.credential,
        Credential::ApiKey | Credential::BotToken | Credential::Oauth
    )
}

fn none(provider: &str) -> Refusal {
    let provider: String = provider.chars().filter(|c| !c.is_control()).collect();
    Refusal::not_found(format!("No credential found for provider: {provider:.64}"))
        .record_as("no credential found")
}

/// Milliseconds for which the caller may keep it.
fn ttl(expires: Option<Timestamp>, now: i64) -> i64 {
    let Some(expires) = expires else {
        return LONGEST_MS;
    };
    ((expires.as_second() - now - 60) * 1000).clamp(SHORTEST_MS, LONGEST_MS)
}

const LONGEST_MS: i64 = 300_000;
const SHORTEST_MS: i64 = 30_000;
