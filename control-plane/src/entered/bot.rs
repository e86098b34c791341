//! Tokens of bots, which their provider can be asked about.

use ah5_net::PoolKey;
use ah5_providers::service::Service;
use ah5_security::secret::SecretText;
use serde_json::json;

use super::preview::preview;
use super::{Account, Entered, Outcome, PASSING, Purpose, Told, typed};
use crate::app::App;
use crate::channels::bot::Bot;
use crate::channels::{Kind, Undelivered, slack, telegram};
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub fn read(service: &'static Service, input: &Input) -> AppResult<Entered> {
    let kind = kind(service)?;
    let secret = SecretText::new(typed(input, "botToken", "botToken is required")?);
    let text = secret.expose();
    if kind == Bots::Slack && !text.starts_with("xoxb-") {
        let why = "Invalid Slack bot token format. Token must start with xoxb-";
        return Err(AppError::bad_request(why));
    }
    let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !(super::MIN_SECRET..=MAX_TOKEN).contains(&text.len()) || !sendable {
        return Err(AppError::bad_request("Invalid botToken"));
    }
    let place = service.base_url().cloned().zip(service.auth());
    let (base_url, auth) = place
        .ok_or_else(|| AppError::internal("a service with bots has no place for its token"))?;
    let label = match kind {
        Bots::Slack => "Bot token",
        Bots::Telegram => "Stored token",
    };
    let preview = preview(label, text);
    Ok(Entered {
        service,
        base_url,
        auth,
        mail: None,
        secret,
        preview,
        said: json!({}),
    })
}

pub async fn try_out(
    entered: &Entered,
    app: &App,
    owner: PoolKey,
    purpose: Purpose,
) -> AppResult<Outcome> {
    let kind = kind(entered.service)?;
    let token = SecretText::new(entered.secret.expose().to_owned());
    let bot = Bot::new(entered.service, token, owner.workspace, owner.connection);
    let bot = bot.map_err(AppError::internal)?;
    let said = match kind {
        Bots::Slack => slack::auth_test(&bot, &app.exchange).await,
        Bots::Telegram => telegram::get_me(&bot, &app.exchange).await,
    };
    let said = match said {
        Ok(said) => said,
        Err(Undelivered::Refused(why)) => {
            return Ok(Outcome::Refused(refused(kind, purpose, &why)));
        }
        Err(Undelivered::Later { why, .. }) => {
            tracing::info!(why, "a bot's token could not be checked");
            let name = kind.name();
            let error = format!("Could not reach {name} API. Please try again later.");
            return Ok(Outcome::Unknown(Told::new(error).hint(PASSING)));
        }
    };
    let text = |name: &str| said[name].as_str().map(|text| bot.quoted(text));
    Ok(Outcome::Good(match kind {
        Bots::Slack => {
            let team = text("team");
            let or = |other: &str| team.clone().unwrap_or_else(|| other.to_owned());
            Account {
                label: Some(format!("Slack {}", or("Bot"))),
                metadata: json!({
                    "botId": text("bot_id"), "botUserId": text("user_id"),
                    "teamId": text("team_id"), "teamName": team, "teamUrl": text("url"),
                }),
                detail: format!("Connected to {}", or("Slack workspace")),
            }
        }
        Bots::Telegram => {
            let user = text("username").unwrap_or_else(|| "bot".to_owned());
            Account {
                label: Some(format!("Telegram @{user}")),
                metadata: json!({
                    "botId": said["id"].as_i64(), "botUsername": text("username"),
                    "botFirstName": text("first_name"),
                }),
                detail: format!("Bot @{user} is active"),
            }
        }
    }))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bots {
    Slack,
    Telegram,
}

// === impl Bots ===

impl Bots {
    const fn name(self) -> &'static str {
        match self {
            Self::Slack => "Slack",
            Self::Telegram => "Telegram",
        }
    }
}

fn kind(service: &Service) -> AppResult<Bots> {
    match Kind::from_stored(&service.id) {
        Some(Kind::Slack) => Ok(Bots::Slack),
        Some(Kind::Telegram) => Ok(Bots::Telegram),
        _ => {
            let why = "No bot token validation implemented for provider";
            let why = format!("{why}: {}", service.provider);
            Err(AppError::bad_request(why))
        }
    }
}

fn refused(kind: Bots, purpose: Purpose, why: &str) -> Told {
    Told::new(match (kind, purpose) {
        (Bots::Slack, Purpose::Store) => format!("Slack token validation failed: {why}"),
        (Bots::Slack, Purpose::Test) => format!("Slack token is invalid: {why}"),
        (Bots::Telegram, Purpose::Store) => why.to_owned(),
        (Bots::Telegram, Purpose::Test) => {
            // Without the call and the status in front of it.
            let said = why.split_once("): ").map_or(why, |(_, said)| said);
            format!("Telegram bot token is invalid: {said}")
        }
    })
}

const MAX_TOKEN: usize = 512;
