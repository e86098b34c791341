//! One small call that tells whether a credential is good. A provider that is down, busy or in the
//! way has said nothing about it.

use std::time::Duration;

use ah5_net::PoolKey;
use ah5_providers::service::Probe;
use axum::http::{HeaderValue, Request, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Account, Entered, Outcome, PASSING, Told};
use crate::app::App;
use crate::channels::message::clean;
use crate::error::{AppError, AppResult};

pub struct Answer {
    pub status: u16,
    /// Null if it is none, or a long one.
    pub json: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Refused,
    Unknown,
}

/// `None` if there is no answer.
pub async fn ask(entered: &Entered, app: &App, owner: PoolKey) -> AppResult<Option<Answer>> {
    let unsendable = || AppError::bad_request("The credential cannot be sent");
    let request = entered
        .service
        .probe_request(&entered.base_url, &entered.auth, &entered.secret);
    let request = request.ok_or_else(|| AppError::internal("a service without a probe"))?;
    let request = request.map_err(|_| unsendable())?;
    let mut request = request.map(|body| Bytes::copy_from_slice(body.as_bytes()));
    let length = request.body().len().into();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("AgentHiFive"));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let service = entered.service.id.as_str();
    match timeout(DEADLINE, exchange(app, owner, request)).await {
        Ok(Ok(answer)) => Ok(Some(answer)),
        Ok(Err(error)) => {
            tracing::info!(service, %error, "a credential could not be tried");
            Ok(None)
        }
        Err(_) => {
            tracing::info!(service, "a provider took too long to try a credential");
            Ok(None)
        }
    }
}

async fn exchange(
    app: &App,
    owner: PoolKey,
    request: Request<Bytes>,
) -> Result<Answer, ah5_net::SendError> {
    let (head, body) = app.net.send(owner, request).await?.into_parts();
    // The status alone says enough, should the rest not come.
    let body = Limited::new(body, MAX_ANSWER).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    Ok(Answer {
        status: head.status.as_u16(),
        json: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

// === impl Answer ===

impl Answer {
    pub fn verdict(&self, probe: &Probe) -> Verdict {
        let told = |name: &String| self.json[name.as_str()] == true;
        match self.status {
            200..=299 if probe.must_be_true.as_ref().is_none_or(told) => Verdict::Good,
            200..=299 => Verdict::Refused,
            status if probe.refused_by.contains(&status) => Verdict::Refused,
            // A request for something may be refused for what it asks, once its sender is known.
            400 if probe.body.is_some() => Verdict::Good,
            // Busy, moved, or no such place: nobody has looked at the credential.
            _ => Verdict::Unknown,
        }
    }

    /// For somebody who reads that nothing is known. `None` where the provider is busy or ill.
    pub fn unclear(&self, provider: &str) -> Option<Told> {
        let status = self.status;
        let is_passing = matches!(status, 408 | 429 | 500..=599);
        (!is_passing).then(|| {
            let error = format!(
                "{provider} API answered HTTP {status}, which says nothing of the credential."
            );
            Told::new(error).hint("Something else may answer in the provider's place.")
        })
    }

    /// What the provider says there, short, visible and without the secret.
    pub fn text(&self, entered: &Entered, path: &str) -> Option<String> {
        quoted(entered, self.json.pointer(path)?.as_str()?)
    }
}

pub fn quoted(entered: &Entered, text: &str) -> Option<String> {
    let mut text = text.to_owned();
    for part in entered.secret.expose().split('\n') {
        text = text.replace(part, "…");
    }
    let text = clean(&text, MAX_QUOTED).replace('\n', " ");
    (!text.is_empty()).then_some(text)
}

/// The stored token of a connection by OAuth.
pub async fn by_token(entered: &Entered, app: &App, owner: PoolKey) -> AppResult<Outcome> {
    let (service, name) = (entered.service, &entered.service.display_name);
    let Some(probe) = &service.probe else {
        return Err(no_test(&service.id));
    };
    let Some(answer) = ask(entered, app, owner).await? else {
        return Ok(Outcome::Unknown(unreachable(&service.provider)));
    };
    let status = answer.status;
    let verdict = match answer.verdict(probe) {
        // Whoever says what a token's holder may not do knows the token.
        Verdict::Unknown if status == 403 => Verdict::Good,
        verdict => verdict,
    };
    Ok(match verdict {
        Verdict::Good => Outcome::Good(Account {
            label: None,
            metadata: json!({}),
            detail: match status {
                200..=299 => who(entered, &answer),
                _ => format!("{name} token is valid (API returned HTTP {status})"),
            },
        }),
        Verdict::Refused => {
            let error = format!("{name} token is invalid after refresh (HTTP {status}).");
            Outcome::Refused(Told::new(error).hint(RECONNECT))
        }
        Verdict::Unknown => {
            let provider = &service.provider;
            let unclear = answer.unclear(provider);
            Outcome::Unknown(unclear.unwrap_or_else(|| unreachable(provider)))
        }
    })
}

fn who(entered: &Entered, answer: &Answer) -> String {
    let service = entered.service;
    let found = NAMES.iter().find_map(|path| answer.text(entered, path));
    match found {
        Some(name) if service.id == "google-calendar" => format!("Connected to {name}"),
        Some(name) => format!("Connected as {name}"),
        None => format!("{} token is valid", service.display_name),
    }
}

pub fn unreachable(provider: &str) -> Told {
    let error = format!("Could not reach {provider} API. Please try again later.");
    Told::new(error).hint(PASSING)
}

fn no_test(service: &str) -> AppError {
    AppError::bad_request(format!("No test implemented for service: {service}"))
}

/// Where providers say whose token it is.
const NAMES: [&str; 9] = [
    "/emailAddress",
    "/summary",
    "/user/emailAddress",
    "/displayName",
    "/mail",
    "/names/0/displayName",
    "/login",
    "/name",
    "/username",
];
pub const RECONNECT: &str = "Click 'Reconnect' to re-authorize.";
const DEADLINE: Duration = Duration::from_secs(10);
const MAX_ANSWER: usize = 64 * 1024;
const MAX_QUOTED: usize = 200;

#[cfg(test)]
mod tests {
    use ah5_providers::catalogue::find;

    use super::*;

    fn verdict(service: &str, status: u16) -> Verdict {
        let json = json!({});
        let probe = find(service).unwrap().probe.as_ref().unwrap();
        Answer { status, json }.verdict(probe)
    }

    #[test]
    fn only_a_clear_answer_is_one() {
        for (service, status, expected) in [
            ("openai", 200, Verdict::Good),
            ("openai", 401, Verdict::Refused),
            ("openai", 429, Verdict::Unknown),
            ("openai", 503, Verdict::Unknown),
            ("openai", 404, Verdict::Unknown),
            ("jira", 404, Verdict::Unknown),
            ("jira", 302, Verdict::Unknown),
            ("jira", 400, Verdict::Unknown),
            ("gemini", 400, Verdict::Refused),
            ("anthropic-messages", 400, Verdict::Good),
            ("anthropic-messages", 404, Verdict::Unknown),
            ("anthropic-messages", 403, Verdict::Refused),
            ("anthropic-messages", 529, Verdict::Unknown),
            // It says so in the answer's body.
            ("slack", 200, Verdict::Refused),
        ] {
            assert_eq!(verdict(service, status), expected, "{service} {status}");
        }
    }
}
