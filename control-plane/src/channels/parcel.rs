//! What is to be done with a message that waits, as of now: read in one transaction, so that nothing of
//! the database is held while it is sent.

use ah5_contracts::approval::Status;
use ah5_store::approvals::{self, Approval};
use ah5_store::channel_outbox::Claimed;
use ah5_store::channels::{self, Channel};
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::error::AppError;
use crate::routes::approvals::status;

use super::bot::{Bot, NoBot};
use super::message::Message;
use super::webhook::Webhook;
use super::{Kind, address_of, setting, telegram};

pub enum Parcel {
    /// It is too late for it, or there is no way any more.
    Drop,
    Edit(Box<Bot>, Text),
    Letter,
    /// There is something wrong with the channel.
    Refuse(String),
    Send(Box<Bot>, Kind, String, Message),
    Webhook(Box<Webhook>, Message),
}

/// What a message is changed to.
pub struct Text {
    pub chat: String,
    pub number: i64,
    pub text: String,
}

pub async fn prepare(app: &App, claimed: &Claimed) -> Result<Parcel, AppError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, claimed.workspace).await?;
    let channel = channels::get(&tenant, claimed.channel).await?;
    let Some(channel) = channel.filter(|it| it.enabled && it.verified) else {
        return Ok(Parcel::Drop);
    };
    let approval = match claimed.approval {
        Some(id) => approvals::get(&tenant, id).await?,
        None => None,
    };
    let parcel = if claimed.edits {
        edit(app, &tenant, claimed, &channel, approval.as_ref()).await?
    } else {
        let waits = approval.is_none_or(|it| status(&it) == Status::Pending);
        match serde_json::from_value::<Message>(claimed.content.clone()) {
            Ok(message) if waits => parcel(app, &tenant, &channel, message).await?,
            _ => Parcel::Drop,
        }
    };
    tenant.commit().await?;
    Ok(parcel)
}

async fn parcel(
    app: &App,
    tenant: &Tenant<'_>,
    channel: &Channel,
    message: Message,
) -> Result<Parcel, AppError> {
    Ok(match Kind::from_stored(&channel.channel_type) {
        None => Parcel::Drop,
        Some(Kind::Email) => Parcel::Letter,
        Some(Kind::Webhook) => match Webhook::of(app, tenant, channel).await? {
            Some(webhook) => Parcel::Webhook(Box::new(webhook), message),
            None => Parcel::Refuse("The webhook's secret does not open".to_owned()),
        },
        Some(kind @ (Kind::Slack | Kind::Telegram)) => {
            let to = setting(channel, address_of(kind)).to_owned();
            match bot_of(app, tenant, channel).await? {
                Ok(bot) => Parcel::Send(Box::new(bot), kind, to, message),
                Err(why) => Parcel::Refuse(why),
            }
        }
    })
}

async fn edit(
    app: &App,
    tenant: &Tenant<'_>,
    claimed: &Claimed,
    channel: &Channel,
    approval: Option<&Approval>,
) -> Result<Parcel, AppError> {
    let content = &claimed.content;
    let message = serde_json::from_value::<Message>(content["message"].clone());
    let (Some(chat), Some(number)) = (content["chatId"].as_str(), content["messageId"].as_i64())
    else {
        return Ok(Parcel::Drop);
    };
    let (Some(approval), Ok(message)) = (approval, message) else {
        return Ok(Parcel::Drop);
    };
    let outcome = match Status::from_stored(&approval.status) {
        Some(Status::Denied) => "Denied",
        None | Some(Status::Expired | Status::Pending) => "Expired",
        Some(_) => "Approved",
    };
    Ok(match bot_of(app, tenant, channel).await? {
        Ok(bot) => Parcel::Edit(
            Box::new(bot),
            Text {
                chat: chat.to_owned(),
                number,
                text: telegram::ended(outcome, &message),
            },
        ),
        Err(_) => Parcel::Drop,
    })
}

/// The channel's bot, or what people are told of why there is none.
async fn bot_of(
    app: &App,
    tenant: &Tenant<'_>,
    channel: &Channel,
) -> Result<Result<Bot, String>, AppError> {
    let connection = match channel.connection {
        Some(id) => connections::get(tenant, id).await?,
        None => None,
    };
    let Some(connection) = connection else {
        return Ok(Err(NoBot::NoToken.to_string()));
    };
    match Bot::of(app, tenant, &connection).await {
        Ok(bot) => Ok(Ok(bot)),
        Err(NoBot::Store(error)) => Err(error.into()),
        Err(why) => Ok(Err(why.to_string())),
    }
}
