//! Which scopes a person is asked to consent to.

use ah5_contracts::id::ConnectionId;
use ah5_oauth::client::Client;
use ah5_policy::templates::Template;
use ah5_providers::service::{Credential, Service};
use ah5_store::connections::Connection;
use ah5_store::policies::Policy;

use crate::error::{AppError, AppResult};
use crate::input::Input;

/// As they are given, or those of the service that are meant if nothing is said.
pub fn given(input: &Input, service: &Service) -> AppResult<Vec<String>> {
    let Some(value) = input.value("scopes") else {
        return Ok(defaults(service));
    };
    // One alone stands for a list of one.
    let list = match value.as_array() {
        Some(list) => list.as_slice(),
        None => std::slice::from_ref(value),
    };
    let scope = |(i, scope): (usize, &serde_json::Value)| {
        let text = scope.as_str().map(str::trim);
        text.filter(|text| is_scope(text))
            .map(str::to_owned)
            .ok_or_else(|| AppError::bad_request(format!("body/scopes/{i} must be a scope")))
    };
    if list.len() > MAX_SCOPES {
        let text = format!("body/scopes must NOT have more than {MAX_SCOPES} items");
        return Err(AppError::bad_request(text));
    }
    list.iter().enumerate().map(scope).collect()
}

pub fn defaults(service: &Service) -> Vec<String> {
    let meant = service.scopes.iter().filter(|scope| scope.default);
    meant.map(|scope| scope.value.clone()).collect()
}

/// Only what the service is known to have, by key or value, each once; then what the provider wants for
/// a refresh token.
pub fn known(scopes: &[String], service: &Service, client: &Client) -> AppResult<Vec<String>> {
    let mut known: Vec<String> = Vec::new();
    for scope in scopes {
        let listed = service
            .scopes
            .iter()
            .find(|it| it.key == *scope || it.value == *scope);
        let is_free = service.credential == Credential::OauthCustom
            || OF_OPENID.contains(&&**scope)
            || client.dialect.offline_scope.as_ref() == Some(scope);
        let value = match listed {
            Some(listed) => &listed.value,
            None if is_free => scope,
            None => {
                let (name, values) = (&service.display_name, service.scopes.iter());
                let values: Vec<&str> = values.map(|scope| &*scope.value).collect();
                let text = format!("{name} has no scope \"{scope}\"");
                return Err(AppError::bad_request(text)
                    .hint(format!("Its scopes are: {}", values.join(", "))));
            }
        };
        if !known.contains(value) {
            known.push(value.clone());
        }
    }
    let offline = client.dialect.offline_scope.iter();
    let offline: Vec<String> = offline.filter(|it| !known.contains(it)).cloned().collect();
    known.extend(offline);
    Ok(known)
}

/// Everything that was asked for before, and what the policies of today need.
pub fn again(connection: &Connection, policies: &[Policy]) -> Vec<String> {
    let of = |id: ConnectionId| move |policy: &&Policy| policy.connection == id;
    let active = policies.iter().filter(of(connection.id));
    let templates = active
        .filter(|policy| policy.status == "active")
        .filter_map(|policy| Template::find(policy.action_template.as_ref()?));
    let needed = templates.flat_map(Template::scopes);
    let before = match connection.asked_scopes.is_empty() {
        true => &connection.granted_scopes,
        false => &connection.asked_scopes,
    };
    let mut all: Vec<String> = Vec::new();
    for scope in before.iter().chain(needed) {
        if !all.contains(scope) {
            all.push(scope.clone());
        }
    }
    all
}

/// What of the provider's answer was granted here. Without a word of it: what was asked for.
pub fn granted(
    client: &Client,
    asked: &[String],
    said: Option<&[String]>,
    refreshes: bool,
) -> Vec<String> {
    let Some(said) = said else {
        return asked.to_vec();
    };
    let bare = |scope: &str| {
        scope
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let mut granted: Vec<String> = Vec::new();
    for scope in said {
        if !client.dialect.reports_every_consent {
            granted.push(scope.clone());
            continue;
        }
        // With and without the resource, in any case.
        let meant = asked.iter().find(|asked| bare(asked) == bare(scope));
        match meant {
            Some(asked) => granted.push(asked.clone()),
            None if OF_OPENID.contains(&&**scope) => granted.push(scope.clone()),
            None => {}
        }
    }
    let offline = client.dialect.offline_scope.iter();
    let offline = offline.filter(|it| refreshes && asked.contains(it) && !granted.contains(it));
    let offline: Vec<String> = offline.cloned().collect();
    granted.extend(offline);
    granted
}

/// RFC 6749 §3.3, less what separates lists.
fn is_scope(text: &str) -> bool {
    let legal = |b: u8| matches!(b, 0x21 | 0x23..=0x2b | 0x2d..=0x5b | 0x5d..=0x7e);
    (1..=MAX_SCOPE).contains(&text.len()) && text.bytes().all(legal)
}

/// Who the account is, and nothing of it.
const OF_OPENID: [&str; 4] = ["openid", "email", "profile", "offline_access"];
const MAX_SCOPES: usize = 50;
const MAX_SCOPE: usize = 256;
