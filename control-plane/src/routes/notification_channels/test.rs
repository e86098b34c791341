//! Sends a message at once, to see whether it arrives. A channel that it arrives at is verified.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use ah5_contracts::audit::Action;
use ah5_contracts::id::ChannelId;
use ah5_store::channels::{self, Channel};
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::channels::bot::{Bot, NoBot};
use crate::channels::message::Message;
use crate::channels::webhook::{Event, Webhook};
use crate::channels::{Kind, Undelivered, address_of, setting, slack, telegram};
use crate::error::{AppError, AppResult};
use crate::mail::Letter;

use super::{code, record, unknown};

/// How to reach the channel.
enum Way {
    Bot(Box<Bot>, Kind),
    Letter,
    Webhook(Box<Webhook>),
}

pub async fn test(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let id: ChannelId = id.parse()?;
    let (channel, way) = {
        let mut db = app.db().await?;
        let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
        let channel = channels::get(&tenant, id).await?.ok_or_else(unknown)?;
        let kind = Kind::from_stored(&channel.channel_type);
        let kind =
            kind.ok_or_else(|| AppError::bad_request("Channel type not supported for testing"))?;
        let way = way(&app, &tenant, &channel, kind).await?;
        tenant.commit().await?;
        (channel, way)
    };
    let sent = match &way {
        Way::Letter => return letter(&app, &caller, &channel).await,
        Way::Bot(bot, kind) => by_bot(&app, bot, *kind, &channel).await,
        Way::Webhook(webhook) => {
            let message = Message::trial();
            let event = Event {
                id: Uuid::new_v4(),
                at: Timestamp::now(),
                message: &message,
            };
            webhook
                .send(&app.exchange, &event, &app.config.origin)
                .await
        }
    };
    if let Err(error) = sent {
        let body = json!({"ok": false, "error": error.to_string()});
        return Ok(Json(body).into_response());
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if !channels::verify(&tenant, id, channel.revision).await? {
        return Err(AppError::conflict("The channel was changed meanwhile"));
    }
    if !channel.verified {
        record(&app, &tenant, &caller, &channel, Action::ChannelVerified).await?;
    }
    tenant.commit().await?;
    Ok(Json(json!({"ok": true, "error": null})).into_response())
}

async fn way(
    app: &App,
    tenant: &Tenant<'_>,
    channel: &Channel,
    kind: Kind,
) -> Result<Way, AppError> {
    if kind == Kind::Email {
        return Ok(Way::Letter);
    }
    if kind == Kind::Webhook {
        let webhook = Webhook::of(app, tenant, channel).await?;
        let webhook = webhook.ok_or_else(|| {
            AppError::bad_request("The webhook's secret does not open")
                .hint("Save the channel again for a new one.")
        })?;
        return Ok(Way::Webhook(Box::new(webhook)));
    }
    let none = || AppError::bad_request("No connection configured for this channel");
    let id = channel.connection.ok_or_else(none)?;
    let connection = connections::get(tenant, id).await?.ok_or_else(none)?;
    let bot = Bot::of(app, tenant, &connection).await.map_err(no_bot)?;
    if setting(channel, address_of(kind)).is_empty() {
        let name = if kind == Kind::Slack {
            "channel"
        } else {
            "chat"
        };
        return Err(AppError::bad_request(format!("No {name} ID configured")));
    }
    Ok(Way::Bot(Box::new(bot), kind))
}

async fn by_bot(app: &App, bot: &Bot, kind: Kind, channel: &Channel) -> Result<(), Undelivered> {
    let (to, message) = (setting(channel, address_of(kind)), Message::trial());
    let (exchange, ours) = (&app.exchange, &app.config.origin);
    match kind {
        Kind::Slack => slack::send(bot, exchange, to, &message, ours).await,
        _ => telegram::send(bot, exchange, to, &message, ours)
            .await
            .map(drop),
    }
}

/// A letter to a proven address; to one that is not, another code.
async fn letter(app: &App, caller: &Caller, channel: &Channel) -> AppResult {
    if let Err(error) = code::may_mail(app, Kind::Email, &channel.config).await {
        let body = json!({"ok": false, "error": error.text()});
        return Ok(Json(body).into_response());
    }
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let channel = channels::lock(&tenant, channel.id).await?;
    let channel = channel.ok_or_else(unknown)?;
    if channel.verified {
        let to = setting(&channel, address_of(Kind::Email));
        let letter = Letter::channel(&app.config.origin, to, &Message::trial());
        app.mail.post(&*tenant, &app.ring(), &letter).await?;
    } else {
        code::mail(app, &tenant, &channel).await?;
    }
    tenant.commit().await?;
    app.mail.wake();
    Ok(Json(json!({"ok": true, "error": null})).into_response())
}

pub fn no_bot(error: NoBot) -> AppError {
    match error {
        NoBot::Store(error) => error.into(),
        error => AppError::bad_request(error.to_string()),
    }
}
