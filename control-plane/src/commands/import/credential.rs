//! What is in an imported envelope, as a connection of ours has it: which slot of which host.

use ah5_contracts::connection::{Auth, Mail};
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::custom::Custom;
use ah5_providers::service::{Credential, Service, Slot};
use ah5_security::secret::SecretText;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

pub struct Imported {
    pub base_url: String,
    pub auth: Auth,
    pub secret: SecretText,
    pub oauth: Option<OAuth>,
    pub mail: Option<Mail>,
}

pub struct OAuth {
    pub token_url: String,
    pub refresh: Option<SecretText>,
    pub expires_at: Option<Timestamp>,
}

/// Every kind of it; each has its part of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    access_token: Option<SecretText>,
    refresh_token: Option<SecretText>,
    expires_at: Option<Value>,
    bot_token: Option<SecretText>,
    api_key: Option<SecretText>,
    app_key: Option<SecretText>,
    email: Option<String>,
    site_url: Option<String>,
}

/// `tenant` is that of the client that was consented to, if it is the workspace's.
///
/// # Errors
/// Why there can't be such a connection here, for the operator.
pub fn read(
    service: &Service,
    text: &SecretText,
    tenant: Option<&str>,
) -> Result<Imported, String> {
    let payload: Payload =
        serde_json::from_str(text.expose()).map_err(|_| "what it holds is of no known form")?;
    match service.credential {
        Credential::Oauth => oauth(service, payload, tenant),
        Credential::BotToken => plain(service, payload.bot_token.ok_or("it holds no bot token")?),
        Credential::ApiKey => api_key(service, payload),
        // Read on its own: [`super::mailbox`].
        Credential::Email | Credential::Custom | Credential::OauthCustom => {
            Err("that product has no such service".to_owned())
        }
    }
}

fn oauth(service: &Service, payload: Payload, tenant: Option<&str>) -> Result<Imported, String> {
    let dialect = catalogue::oauth(&service.provider).ok_or("its provider has no OAuth here")?;
    let url = dialect.url(&dialect.token_url, tenant);
    let url = url.ok_or("the tenant of its client is no good")?;
    let secret = payload.access_token.ok_or("it holds no access token")?;
    let oauth = OAuth {
        token_url: url.to_string(),
        refresh: payload.refresh_token,
        expires_at: payload.expires_at.as_ref().and_then(time),
    };
    Ok(Imported {
        oauth: Some(oauth),
        ..plain(service, secret)?
    })
}

fn api_key(service: &Service, payload: Payload) -> Result<Imported, String> {
    if payload.access_token.is_some() && payload.api_key.is_none() {
        return Err(
            "it holds a subscription's token, which is for the provider's own clients".into(),
        );
    }
    let key = payload.api_key.ok_or("it holds no key")?;
    match service.slot {
        Slot::QueryPair { .. } => {
            let first = payload.app_key.ok_or("it holds one key of two")?;
            let broken = |text: &SecretText| text.expose().chars().any(char::is_control);
            if broken(&first) || broken(&key) {
                return Err("it holds characters that cannot be sent".to_owned());
            }
            let both = format!("{}\n{}", first.expose(), key.expose());
            plain(service, SecretText::new(both))
        }
        Slot::Basic => {
            let site = payload
                .site_url
                .ok_or("it does not say which site it is for")?;
            let base = CanonicalUrl::parse(&format!("https://{site}"));
            let base = base.map_err(|_| "the site that it is for is no host")?;
            if !service.pins(&base) || base.path() != "/" {
                return Err(format!(
                    "it is for a site that is none of {}'s",
                    service.display_name
                ));
            }
            let username = payload.email.ok_or("it does not say whose it is")?;
            checked(base.to_string(), Auth::Basic { username }, key)
        }
        _ => plain(service, key),
    }
}

/// At the one place where the service has it.
fn plain(service: &Service, secret: SecretText) -> Result<Imported, String> {
    let (Some(base), Some(auth)) = (service.base_url(), service.auth()) else {
        return Err("it does not say where it is for".to_owned());
    };
    match auth {
        Auth::Path { .. } | Auth::QueryPair { .. } => Ok(Imported {
            base_url: base.to_string(),
            auth,
            secret,
            oauth: None,
            mail: None,
        }),
        auth => checked(base.to_string(), auth, secret),
    }
}

/// As if somebody had entered it.
fn checked(base_url: String, auth: Auth, secret: SecretText) -> Result<Imported, String> {
    let fits = Custom::check(&base_url, auth.clone(), &secret, |_, _| false);
    fits.map_err(|fault| fault.to_string())?;
    Ok(Imported {
        base_url,
        auth,
        secret,
        oauth: None,
        mail: None,
    })
}

/// Seconds or milliseconds since 1970, or text.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => {
            let number = number.as_i64().or_else(|| {
                // Whole seconds are enough.
                #[expect(clippy::cast_possible_truncation, reason = "out of range is no time")]
                number.as_f64().map(|seconds| seconds as i64)
            })?;
            match number {
                FIRST_MILLIS.. => Timestamp::from_millisecond(number).ok(),
                _ => Timestamp::from_second(number).ok(),
            }
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// As seconds it would be the year 5138, as milliseconds it is 1973.
const FIRST_MILLIS: i64 = 100_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn imported(service: &str, text: &str) -> Result<Imported, String> {
        let service = catalogue::find(service).unwrap();
        read(service, &SecretText::new(text.to_owned()), None)
    }

    #[test]
    fn each_kind_stands_in_its_slot() {
        for (service, text, base, secret) in [
            (
                "telegram",
                r#"{"botToken":"12345678:abcdefgh"}"#,
                "api.telegram.org",
                "12345678:abcdefgh",
            ),
            (
                "openai",
                r#"{"apiKey":"sk-0123456789"}"#,
                "api.openai.com",
                "sk-0123456789",
            ),
            (
                "trello",
                r#"{"apiKey":"token-01","appKey":"app-0123"}"#,
                "api.trello.com",
                "app-0123\ntoken-01",
            ),
            (
                "jira",
                r#"{"apiKey":"jira-0123","email":"a@b.c","siteUrl":"acme.atlassian.net"}"#,
                "acme.atlassian.net",
                "jira-0123",
            ),
        ] {
            let it = imported(service, text).unwrap_or_else(|why| panic!("{service}: {why}"));
            assert!(it.base_url.contains(base), "{}", it.base_url);
            assert_eq!(it.secret.expose(), secret);
        }
    }

    #[test]
    fn a_grant_keeps_its_refresh_token_and_its_end() {
        for end in ["1790000000", "1790000000000", "\"2026-09-21T14:13:20Z\""] {
            let text = format!(
                r#"{{"accessToken":"ya29.0123456789","refreshToken":"1//0123456789","expiresAt":{end}}}"#
            );
            let oauth = imported("google-gmail", &text).unwrap().oauth.unwrap();
            assert_eq!(oauth.refresh.unwrap().expose(), "1//0123456789");
            assert_eq!(
                oauth.expires_at.unwrap().as_second(),
                1_790_000_000,
                "{end}"
            );
            assert!(
                oauth.token_url.starts_with("https://"),
                "{}",
                oauth.token_url
            );
        }
        let text = r#"{"accessToken":"ya29.0123456789","refreshToken":null}"#;
        let oauth = imported("google-gmail", text).unwrap().oauth.unwrap();
        assert!(oauth.refresh.is_none() && oauth.expires_at.is_none());
    }

    #[test]
    fn what_there_can_not_be_here_is_not_made() {
        for (service, text, why) in [
            (
                "jira",
                r#"{"apiKey":"jira-0123","email":"a@b.c","siteUrl":"evil.example"}"#,
                "none of",
            ),
            (
                "jira",
                r#"{"apiKey":"jira-0123","email":"a@b.c","siteUrl":"evil.example/.atlassian.net"}"#,
                "none of",
            ),
            (
                "jira",
                r#"{"apiKey":"jira-0123","email":"a@b.c","siteUrl":"a.atlassian.net/x"}"#,
                "none of",
            ),
            (
                "jira",
                r#"{"apiKey":"jira-0123","email":"a:b","siteUrl":"a.atlassian.net"}"#,
                "colon",
            ),
            (
                "anthropic-messages",
                r#"{"accessToken":"sk-ant-oat01-x","refreshToken":"r"}"#,
                "subscription",
            ),
            ("openai", r#"{"apiKey":"short"}"#, "8 to 8192"),
            (
                "openai",
                "{\"apiKey\":\"sk-0123456789\\r\\nx: y\"}",
                "characters",
            ),
            ("telegram", r#"{"apiKey":"x"}"#, "no bot token"),
            ("openai", "[]", "no known form"),
        ] {
            let refused = imported(service, text).err().unwrap();
            assert!(refused.contains(why), "{service}: {refused}");
        }
    }
}
