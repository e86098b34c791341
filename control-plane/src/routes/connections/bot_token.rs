//! Connects a bot by its token, once its provider says that the token is good.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};

use ah5_contracts::audit::Action;
use ah5_contracts::id::ConnectionId;
use ah5_providers::catalogue;
use ah5_providers::service::{Credential, Service};
use ah5_security::secret::SecretText;
use ah5_security::vault::{Destinations, SealContext};
use ah5_store::connections::{self, NewConnection};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::auth::caller::Caller;
use crate::channels::bot::Bot;
use crate::channels::{Kind, Undelivered, slack, telegram};
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};

use super::check_label;
use crate::vault;

pub async fn connect(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let service = service(&input.text("service")?)?;
    let token = token(service, &input.text("botToken")?)?;
    let label = input.optional_text("label")?;
    let label = label.as_deref().map(check_label).transpose()?;
    let id = ConnectionId::random();
    let sealable = SecretText::new(token.expose().to_owned());
    let bot = Bot::new(service, token, caller.workspace(), id).map_err(AppError::internal)?;
    let who = ask(&app, &bot).await?;

    let label = label.unwrap_or_else(|| who.label.clone());
    let base = service.base_url().map(ToString::to_string);
    let (Some(base_url), Some(auth)) = (base, service.auth()) else {
        return Err(AppError::internal(
            "a service with bots has no place for its token",
        ));
    };
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let context = SealContext {
        workspace: tenant.workspace(),
        connection: id,
        field: vault::SECRET,
        version: 1,
        service: &service.id,
        auth: &auth,
        destinations: &Destinations::new(&base_url),
    };
    let sealed = vault::key(&app, &tenant).await?.seal(&context, &sealable);
    let auth = serde_json::to_value(&auth).map_err(AppError::internal)?;
    let new = NewConnection {
        id,
        provider: &service.provider,
        service: &service.id,
        label: &label,
        base_url: &base_url,
        auth: &auth,
        granted_scopes: &service.granted_scopes,
        oauth: None,
        mail: None,
        sealed: &sealed,
    };
    connections::insert(&tenant, &new).await?;
    connections::set_metadata(&tenant, id, &who.metadata).await?;
    let details = json!({"provider": service.provider, "service": service.id, "label": label});
    let record = Record::new(caller.actor(), Action::ConnectionCreated, details);
    app.record(&tenant, record.connection(id)).await?;
    tenant.commit().await?;
    let connection = json!({
        "id": id, "provider": service.provider, "service": service.id, "label": label,
        "status": "healthy", "metadata": who.metadata,
    });
    let message = format!("{} connected successfully", service.display_name);
    let body = json!({
        "connection": connection, "botInfo": who.metadata, "label": label, "message": message,
    });
    Ok(Json(body).into_response())
}

/// Whose token it is.
struct Who {
    label: String,
    metadata: Value,
}

async fn ask(app: &App, bot: &Bot) -> AppResult<Who> {
    let exchange = &app.exchange;
    let kind = bot.kind();
    let said = match kind {
        Some(Kind::Slack) => slack::auth_test(bot, exchange).await,
        Some(Kind::Telegram) => telegram::get_me(bot, exchange).await,
        _ => return Err(AppError::internal("this bot cannot be asked who it is")),
    };
    let said = said.map_err(|error| refused(kind, error))?;
    let text = |name: &str| said[name].as_str().map(|text| bot.quoted(text));
    Ok(match kind {
        Some(Kind::Slack) => Who {
            label: format!("Slack {}", text("team").unwrap_or_else(|| "Bot".to_owned())),
            metadata: json!({
                "botId": text("bot_id"), "botUserId": text("user_id"), "teamId": text("team_id"),
                "teamName": text("team"), "teamUrl": text("url"),
            }),
        },
        _ => Who {
            label: format!(
                "Telegram @{}",
                text("username").unwrap_or_else(|| "bot".to_owned())
            ),
            metadata: json!({
                "botId": said["id"].as_i64(), "botUsername": text("username"),
                "botFirstName": text("first_name"),
            }),
        },
    })
}

fn refused(kind: Option<Kind>, error: Undelivered) -> AppError {
    match (kind, error) {
        (Some(Kind::Slack), Undelivered::Refused(why)) => {
            AppError::bad_request(format!("Slack token validation failed: {why}"))
        }
        (_, Undelivered::Refused(why)) => AppError::bad_request(why),
        (kind, Undelivered::Later { why, .. }) => {
            let name = if kind == Some(Kind::Slack) {
                "Slack"
            } else {
                "Telegram"
            };
            tracing::warn!(why, "a bot's token could not be checked");
            AppError::bad_request(format!(
                "Could not reach {name} API. Please try again later."
            ))
            .hint("This may be a temporary network issue.")
        }
    }
}

fn service(id: &str) -> AppResult<&'static Service> {
    let service = catalogue::find(id);
    let service = service.ok_or_else(|| AppError::bad_request(format!("Invalid service: {id}")))?;
    if service.credential != Credential::BotToken {
        let why = format!("Service '{id}' does not use bot tokens");
        return Err(AppError::bad_request(why));
    }
    if !matches!(
        Kind::from_stored(&service.id),
        Some(Kind::Slack | Kind::Telegram)
    ) {
        let why = "No bot token validation implemented for provider";
        return Err(AppError::bad_request(format!(
            "{why}: {}",
            service.provider
        )));
    }
    Ok(service)
}

fn token(service: &Service, text: &str) -> AppResult<SecretText> {
    let token = SecretText::new(not_blank(text, "botToken is required")?);
    let text = token.expose();
    if service.id == Kind::Slack.as_str() && !text.starts_with("xoxb-") {
        let why = "Invalid Slack bot token format. Token must start with xoxb-";
        return Err(AppError::bad_request(why));
    }
    let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !(MIN_TOKEN..=MAX_TOKEN).contains(&text.len()) || !sendable {
        return Err(AppError::bad_request("Invalid botToken"));
    }
    Ok(token)
}

const MIN_TOKEN: usize = 8;
const MAX_TOKEN: usize = 512;
