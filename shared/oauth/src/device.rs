//! Consent without a browser of our own (RFC 8628): the person types a short code at the provider, and
//! the provider is asked now and then whether they have.

use ah5_net::{PoolKey, Upstreams};
use ah5_security::secret::SecretText;
use serde::Deserialize;
use url::Url;

use crate::client::Client;
use crate::token::{TokenError, TokenSet, ask, post, senseless, unsendable};

/// What the person needs, and what we go on with.
#[derive(Debug)]
pub struct Device {
    pub device_code: SecretText,
    pub user_code: String,
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// Within our own bounds.
    pub life_seconds: i32,
    pub poll_seconds: i32,
}

/// What the provider says when it is asked.
#[derive(Debug)]
pub enum Polled {
    /// Not yet.
    Pending,
    /// Not yet, and less often from now on.
    SlowDown,
    Tokens(TokenSet),
}

/// # Errors
/// [`TokenError`]; a provider that has no device codes is `unsendable`.
pub async fn start(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    scopes: &[String],
) -> Result<Device, TokenError> {
    let url = client.device_url().ok_or_else(unsendable)?;
    let scopes = scopes.join(&client.dialect.scope_separator);
    let mut fields = Vec::new();
    if !scopes.is_empty() {
        fields.push((&*client.dialect.scope_parameter, &*scopes));
    }
    let body = post(net, key, client, &url.to_string(), fields).await?;
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| senseless())?;
    answer.check().ok_or_else(senseless)
}

/// # Errors
/// [`TokenError`]; a code that was turned down or has expired is [`TokenError::Grant`].
pub async fn poll(
    net: &Upstreams,
    key: PoolKey,
    client: &Client,
    device_code: &SecretText,
) -> Result<Polled, TokenError> {
    let fields = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", device_code.expose()),
    ];
    match ask(net, key, client, fields).await {
        Ok(tokens) => Ok(Polled::Tokens(tokens)),
        Err(TokenError::Refused(said)) => match said.error.as_str() {
            "authorization_pending" => Ok(Polled::Pending),
            "slow_down" => Ok(Polled::SlowDown),
            "access_denied"
            | "authorization_declined"
            | "bad_verification_code"
            | "expired_token" => Err(TokenError::Grant(said)),
            _ => Err(TokenError::Refused(said)),
        },
        Err(error) => Err(error),
    }
}

/// RFC 8628 §3.2. Google writes `verification_url`.
#[derive(Deserialize)]
struct Answer {
    device_code: SecretText,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(alias = "verification_url_complete")]
    verification_uri_complete: Option<String>,
    expires_in: Option<f64>,
    interval: Option<f64>,
}

// === impl Answer ===

impl Answer {
    /// What people are shown is text and a link, whoever wrote it.
    fn check(self) -> Option<Device> {
        let shown = |text: &String| {
            (1..=MAX_USER_CODE).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        let is_link = |text: &String| {
            let url = Url::parse(text).ok();
            text.len() <= MAX_LINK
                && url.is_some_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        let code = self.device_code.expose();
        let sendable = (1..=MAX_LINK).contains(&code.len()) && code.bytes().all(|b| b >= b' ');
        if !sendable || !shown(&self.user_code) || !is_link(&self.verification_uri) {
            return None;
        }
        Some(Device {
            device_code: self.device_code,
            user_code: self.user_code,
            verification_uri: self.verification_uri,
            verification_uri_complete: self.verification_uri_complete.filter(is_link),
            life_seconds: within(self.expires_in, LIFE),
            poll_seconds: within(self.interval, INTERVAL),
        })
    }
}

/// `(least, default, most)`.
fn within(given: Option<f64>, (least, default, most): (i32, i32, i32)) -> i32 {
    let given = given.filter(|it| it.is_finite());
    // Saturates; a part of a second is waited, too.
    #[allow(clippy::cast_possible_truncation, reason = "clamped before")]
    let seconds = given.map(|it| it.clamp(f64::from(least), f64::from(most)).ceil() as i32);
    seconds.unwrap_or(default)
}

const LIFE: (i32, i32, i32) = (10, 900, 900);
/// RFC 8628 §3.2: five where nothing is said.
const INTERVAL: (i32, i32, i32) = (1, 5, 60);
/// What is added when the provider says `slow_down` (RFC 8628 §3.5).
pub const SLOW_DOWN_SECONDS: i32 = 5;
const MAX_USER_CODE: usize = 64;
const MAX_LINK: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<Device> {
        serde_json::from_str::<Answer>(text).ok()?.check()
    }

    #[test]
    fn what_people_are_shown_is_a_code_and_a_link() {
        let good = check(
            r#"{"device_code":"d","user_code":"WDJB-MJHT","verification_url":"https://g.example/d",
                "expires_in":1800,"interval":0}"#,
        );
        let good = good.unwrap();
        assert_eq!((good.life_seconds, good.poll_seconds), (900, 1));
        let plain = r#"{"device_code":"d","user_code":"A","verification_uri":"https://g.example"}"#;
        assert_eq!(check(plain).unwrap().poll_seconds, 5);
        for bad in [
            r#"{"device_code":"d","user_code":"","verification_uri":"https://g.example"}"#,
            r#"{"device_code":"d","user_code":"A\n","verification_uri":"https://g.example"}"#,
            r#"{"device_code":"d","user_code":"A","verification_uri":"javascript:alert(1)"}"#,
        ] {
            assert!(check(bad).is_none(), "{bad}");
        }
    }
}
