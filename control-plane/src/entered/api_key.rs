//! Keys that people copy from their provider's page.

use ah5_contracts::connection::Auth;
use ah5_net::PoolKey;
use ah5_policy::CanonicalUrl;
use ah5_providers::service::{Service, Slot};
use ah5_security::secret::SecretText;
use serde_json::{Value, json};

use super::preview::{mask, preview};
use super::probe::{self, Answer, Verdict};
use super::{Account, Entered, Outcome, Purpose, Told, key, typed};
use crate::app::App;
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub fn read(service: &'static Service, input: &Input, new: bool) -> AppResult<Entered> {
    let text = typed(input, "apiKey", "apiKey is required")?;
    if service.id == "anthropic-messages" && text.starts_with(SUBSCRIPTION) {
        return Err(AppError::bad_request(NO_SUBSCRIPTIONS));
    }
    let secret = key(text, "apiKey")?;
    match &service.slot {
        Slot::Basic => site(service, input, secret, new),
        Slot::QueryPair { .. } => pair(service, input, &secret, new),
        _ => {
            let place = service.base_url().cloned().zip(service.auth());
            let (base_url, auth) = place.ok_or_else(|| AppError::internal(NO_PLACE))?;
            let preview = preview("API key", secret.expose());
            Ok(entered(service, base_url, auth, secret, preview))
        }
    }
}

pub async fn try_out(
    entered: &Entered,
    app: &App,
    owner: PoolKey,
    purpose: Purpose,
) -> AppResult<Outcome> {
    let service = entered.service;
    let provider = &service.provider;
    let unknown = || match purpose {
        Purpose::Store => Told::new(format!(
            "Could not reach {provider} API to validate the key. Please try again."
        )),
        Purpose::Test => probe::unreachable(provider),
    };
    let Some(probe) = &service.probe else {
        return Err(AppError::internal("a service with keys has no probe"));
    };
    let Some(answer) = probe::ask(entered, app, owner).await? else {
        return Ok(Outcome::Unknown(unknown()));
    };
    Ok(match answer.verdict(probe) {
        Verdict::Good => Outcome::Good(account(entered, &answer)),
        Verdict::Refused => {
            let status = answer.status;
            let refusal = probe.refusal.replace("{status}", &status.to_string());
            Outcome::Refused(match purpose {
                Purpose::Store => Told::new(refusal),
                Purpose::Test => {
                    let name = &service.display_name;
                    let error = format!("{name} API key is invalid or expired (HTTP {status}).");
                    let hint = refusal.split_once(". ").map_or("", |(_, hint)| hint);
                    Told::new(error).hint(hint)
                }
            })
        }
        Verdict::Unknown => Outcome::Unknown(answer.unclear(provider).unwrap_or_else(unknown)),
    })
}

/// A site of one's own, and who one is there.
fn site(
    service: &'static Service,
    input: &Input,
    secret: SecretText,
    new: bool,
) -> AppResult<Entered> {
    let missing = |name: &str| match new {
        true => format!("{name} is required for Jira connections"),
        false => format!("{name} is required"),
    };
    let email = typed(input, "email", &missing("email"))?;
    // RFC 7617 §2: the first colon ends the user name.
    if email.len() > MAX_EMAIL || email.contains(|c: char| c == ':' || c.is_control()) {
        return Err(AppError::bad_request("body/email cannot be sent"));
    }
    let site = typed(input, "siteUrl", &missing("siteUrl"))?;
    let host = site_host(&site).ok_or_else(|| AppError::bad_request(BAD_SITE))?;
    let base_url = CanonicalUrl::parse(&format!("https://{host}/"));
    let base_url = base_url.ok().filter(|base| service.pins(base));
    let base_url = base_url.ok_or_else(|| AppError::bad_request(BAD_SITE))?;
    let mut preview = preview("API token", secret.expose());
    preview["tertiaryLabel"] = "Site URL".into();
    preview["tertiaryValue"] = host.clone().into();
    let auth = Auth::Basic {
        username: email.clone(),
    };
    Ok(Entered {
        said: json!({"siteUrl": host, "email": email}),
        ..entered(service, base_url, auth, secret, preview)
    })
}

/// The whole of it must be one label below the provider's domain: whatever looks like that only at
/// its end is another host.
fn site_host(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_prefix("https://").unwrap_or(&text);
    let host = text.strip_suffix('/').unwrap_or(text);
    let label = host.strip_suffix(".atlassian.net")?;
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let is_label = (1..=63).contains(&label.len()) && label.bytes().all(legal);
    is_label.then(|| host.to_owned())
}

/// An app's key and a person's token.
fn pair(
    service: &'static Service,
    input: &Input,
    token: &SecretText,
    new: bool,
) -> AppResult<Entered> {
    let mut missing = "appKey (Trello Power-Up API key) is required".to_owned();
    if new {
        missing.push_str(" for Trello connections");
    }
    let app_key = key(typed(input, "appKey", &missing)?, "appKey")?;
    let place = service.base_url().cloned().zip(service.auth());
    let (base_url, auth) = place.ok_or_else(|| AppError::internal(NO_PLACE))?;
    let mut preview = preview("User token", token.expose());
    preview["secondaryLabel"] = "App key".into();
    preview["secondaryMasked"] = mask(app_key.expose()).into();
    let both = format!("{}\n{}", app_key.expose(), token.expose());
    Ok(entered(
        service,
        base_url,
        auth,
        SecretText::new(both),
        preview,
    ))
}

fn entered(
    service: &'static Service,
    base_url: CanonicalUrl,
    auth: Auth,
    secret: SecretText,
    preview: Value,
) -> Entered {
    Entered {
        service,
        base_url,
        auth,
        mail: None,
        secret,
        preview,
        said: json!({}),
    }
}

fn account(entered: &Entered, answer: &Answer) -> Account {
    let text = |path: &str| answer.text(entered, path);
    let name = &entered.service.display_name;
    let valid = format!("{name} API key is valid");
    let (metadata, detail) = match entered.service.id.as_str() {
        "jira" => (json!({"displayName": text("/displayName")}), valid),
        "notion" => {
            let bot = text("/name");
            let shown = bot.as_deref().unwrap_or("Notion bot");
            let detail = format!("Connected as {shown}");
            let owner = text("/bot/owner/user/id");
            (json!({"botName": bot, "botOwnerId": owner}), detail)
        }
        "trello" => {
            let (full, user) = (text("/fullName"), text("/username"));
            (json!({"fullName": full, "username": user}), valid)
        }
        _ => (json!({}), valid),
    };
    Account {
        label: None,
        metadata,
        detail,
    }
}

const BAD_SITE: &str = "Jira site URL must end with .atlassian.net (Jira Cloud only)";
const MAX_EMAIL: usize = 254;
const NO_PLACE: &str = "a service with keys has no place for them";
const SUBSCRIPTION: &str = "sk-ant-oat";
/// Also the answer of the route that would import them.
pub const NO_SUBSCRIPTIONS: &str = "Anthropic subscription tokens are not supported: they are for \
    Anthropic's own applications. Connect with an API key from console.anthropic.com.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_one_label_below_its_provider() {
        for good in [
            "acme.atlassian.net",
            "https://acme.atlassian.net",
            "https://Acme-2.Atlassian.net/",
        ] {
            assert!(site_host(good).is_some(), "{good}");
        }
        for bad in [
            "evil.example/.atlassian.net",
            "evil.example#.atlassian.net",
            "evil.example?.atlassian.net",
            "evil.example\\.atlassian.net",
            "user@acme.atlassian.net",
            "a.b.atlassian.net",
            "acme.atlassian.net.",
            "acme.atlassian.net:8080",
            "acme.atlassian.net/path",
            "http://acme.atlassian.net",
            ".atlassian.net",
            "atlassian.net",
            "acme。atlassian.net",
            "evil.example\r\n.atlassian.net",
            "acme.atlassian.net.evil.example",
            "acme%2eatlassian.net",
        ] {
            assert_eq!(site_host(bad), None, "{bad}");
        }
    }
}
