//! Sends what waits for channels. Every control plane runs one; a lease on the channel keeps two from
//! sending the same message, and none is held in a transaction while a receiver is slow.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use ah5_contracts::audit::{Action, ActorKind};
use ah5_security::random;
use ah5_store::StoreError;
use ah5_store::channel_outbox::{self, Arrived, Claimed};
use ah5_store::channels::{self, Channel};
use ah5_store::tenant::Tenant;

use crate::app::{App, Record};
use crate::error::AppError;
use crate::mail::Letter;
use crate::notices::{Notice, To, notify};

use super::parcel::{Parcel, Text, prepare};
use super::webhook::Event;
use super::{Kind, Undelivered, address_of, setting, slack, telegram};

/// Runs for as long as the process.
pub async fn run(app: App) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        // Woken at once for the next message of a channel, in time for new ones.
        let _ = timeout(LOOK_EVERY, app.exchange.settled.notified()).await;
        if let Err(error) = look(&app, &turns).await {
            tracing::warn!(%error, "what waits for channels cannot be read; it is tried again soon");
        }
    }
}

async fn look(app: &App, turns: &Arc<Semaphore>) -> Result<(), StoreError> {
    let db = app.db().await?;
    channel_outbox::queue_edits(&db, MOST_EDITS).await?;
    let free = i32::try_from(turns.available_permits()).unwrap_or(0);
    if free == 0 {
        return Ok(());
    }
    for claimed in channel_outbox::claim(&db, free, LEASE_SECONDS).await? {
        // Nobody else takes any.
        let Ok(turn) = turns.clone().try_acquire_owned() else {
            break;
        };
        tokio::spawn(deliver(app.clone(), claimed, turn));
    }
    Ok(())
}

/// What became of it.
enum Done {
    Dropped,
    /// It is a letter from here on.
    Handed,
    /// Under this number, where it can be edited.
    Sent(Option<i64>),
}

async fn deliver(app: App, claimed: Claimed, _turn: OwnedSemaphorePermit) {
    if let Err(error) = try_deliver(&app, &claimed).await {
        // The lease ends by itself: it is sent again, here or elsewhere.
        tracing::warn!(id = %claimed.id, why = error.text(), "a message was not settled");
    }
}

async fn try_deliver(app: &App, claimed: &Claimed) -> Result<(), AppError> {
    let parcel = prepare(app, claimed).await?;
    let host = match &parcel {
        Parcel::Drop | Parcel::Letter | Parcel::Refuse(_) => None,
        Parcel::Edit(bot, _) | Parcel::Send(bot, ..) => Some(bot.host()),
        Parcel::Webhook(webhook, _) => Some(webhook.host()),
    };
    let turn = match &host {
        None => None,
        Some(host) => match app.exchange.turn(host) {
            Some(turn) => Some(turn),
            None => return Ok(give_back(app, claimed).await?),
        },
    };
    let sent = send(app, claimed, parcel).await;
    drop(turn);
    let outcome = match &sent {
        Ok(Done::Dropped) => "dropped",
        Ok(Done::Handed | Done::Sent(_)) => "sent",
        Err(Undelivered::Later { .. }) => "put_off",
        Err(Undelivered::Refused(_)) => "refused",
    };
    metrics::counter!("ah5_channel_messages_total", "outcome" => outcome).increment(1);
    settle(app, claimed, sent).await?;
    app.exchange.settled.notify_one();
    Ok(())
}

async fn send(app: &App, claimed: &Claimed, parcel: Parcel) -> Result<Done, Undelivered> {
    let (exchange, ours) = (&app.exchange, &app.config.origin);
    match parcel {
        Parcel::Drop => Ok(Done::Dropped),
        Parcel::Letter => Ok(Done::Handed),
        Parcel::Refuse(why) => Err(Undelivered::Refused(why)),
        Parcel::Edit(bot, Text { chat, number, text }) => {
            telegram::edit(&bot, exchange, &chat, number, &text).await?;
            Ok(Done::Sent(None))
        }
        Parcel::Webhook(webhook, message) => {
            let (id, at) = (claimed.id, claimed.created_at);
            let event = Event {
                id,
                at,
                message: &message,
            };
            webhook.send(exchange, &event, ours).await?;
            Ok(Done::Sent(None))
        }
        Parcel::Send(bot, Kind::Slack, to, message) => {
            slack::send(&bot, exchange, &to, &message, ours).await?;
            Ok(Done::Sent(None))
        }
        Parcel::Send(bot, _, to, message) => {
            let number = telegram::send(&bot, exchange, &to, &message, ours).await?;
            Ok(Done::Sent(number))
        }
    }
}

async fn settle(
    app: &App,
    claimed: &Claimed,
    sent: Result<Done, Undelivered>,
) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, claimed.workspace).await?;
    let Some(channel) = channels::lock(&tenant, claimed.channel).await? else {
        return Ok(());
    };
    let pause = match &sent {
        Err(Undelivered::Later { after, .. }) if claimed.attempts < MOST_ATTEMPTS => {
            Some(pause(claimed.attempts, *after))
        }
        _ => None,
    };
    let mine = match pause {
        Some(_) => channel_outbox::is_held(&tenant, claimed).await?,
        None => channel_outbox::settle(&tenant, claimed).await?,
    };
    // Somebody else has it by now, or it was taken back.
    if !mine {
        return Ok(());
    }
    channels::pause(&tenant, channel.id, pause.unwrap_or(0)).await?;
    match (sent, pause) {
        (Ok(done), _) => arrived(app, &tenant, claimed, &channel, done).await?,
        (Err(error), Some(pause)) => {
            let (id, attempts) = (claimed.id, claimed.attempts);
            tracing::warn!(%id, attempts, pause, %error, "a message did not arrive; it is tried again");
        }
        // There is nothing to edit any more, or the bot may not: the page says how it ended.
        (Err(error), None) if claimed.edits => {
            tracing::info!(id = %claimed.id, %error, "a message cannot be edited");
        }
        (Err(error), None) => give_up(app, &tenant, claimed, &channel, &error.to_string()).await?,
    }
    tenant.commit().await?;
    app.mail.wake();
    Ok(())
}

async fn arrived(
    app: &App,
    tenant: &Tenant<'_>,
    claimed: &Claimed,
    channel: &Channel,
    done: Done,
) -> Result<(), StoreError> {
    if matches!(done, Done::Dropped) {
        return Ok(());
    }
    channels::recover(tenant, channel.id).await?;
    if let (Some(approval), Done::Sent(Some(message))) = (claimed.approval, &done) {
        let arrived = Arrived {
            approval,
            chat: setting(channel, address_of(Kind::Telegram)),
            message: *message,
        };
        channel_outbox::keep(tenant, claimed, &arrived).await?;
    }
    let message = serde_json::from_value(claimed.content.clone());
    if let (Done::Handed, Ok(message)) = (done, message) {
        // In one transaction: the postman has it from here, once.
        let to = setting(channel, address_of(Kind::Email));
        let letter = Letter::channel(&app.config.origin, to, &message);
        app.mail.post(&**tenant, &app.ring(), &letter).await?;
    }
    Ok(())
}

/// People are told once, where they look anyway.
async fn give_up(
    app: &App,
    tenant: &Tenant<'_>,
    claimed: &Claimed,
    channel: &Channel,
    why: &str,
) -> Result<(), StoreError> {
    tracing::warn!(id = %claimed.id, why, "a message was given up");
    if !channels::fail(tenant, channel.id, why).await? {
        return Ok(());
    }
    let channel_type = &channel.channel_type;
    let details = json!({"channelType": channel_type, "error": why});
    let by = (ActorKind::System, String::new());
    let record = Record::new(by, Action::ChannelFailed, details);
    app.record(tenant, record).await?;
    let notice = Notice {
        kind: "channel_failed",
        title: format!("Messages to {channel_type} do not arrive"),
        body: why.to_owned(),
        link: Some("/dashboard/settings".to_owned()),
        metadata: json!({"channelId": channel.id, "channelType": channel_type}),
        to: To::Everyone,
    };
    notify(tenant, &notice).await
}

/// The host has enough under way from here.
async fn give_back(app: &App, claimed: &Claimed) -> Result<(), StoreError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, claimed.workspace).await?;
    channels::pause(&tenant, claimed.channel, 1).await?;
    channel_outbox::give_back(&tenant, claimed).await?;
    tenant.commit().await
}

/// Doubling from five seconds, give or take a quarter, and not before the receiver wants it.
fn pause(attempts: i32, after: Option<u32>) -> i32 {
    let usual = 5 << attempts.clamp(1, 8).saturating_sub(1);
    let [byte] = random::bytes::<1>();
    let jittered = usual * (192 + i32::from(byte) / 2) / 256;
    let asked = after.map_or(0, |seconds| i32::try_from(seconds).unwrap_or(i32::MAX));
    jittered.max(asked.min(MOST_PAUSE))
}

const AT_ONCE: usize = 16;
/// Longer than an exchange may take, with the reading before and the writing after it.
const LEASE_SECONDS: i32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Ten minutes in all, if the receiver names no time.
const MOST_ATTEMPTS: i32 = 8;
const MOST_EDITS: i32 = 100;
/// Longer is not waited, whatever the receiver asks for.
const MOST_PAUSE: i32 = 900;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_heed_the_receiver() {
        for (attempts, least, most) in [(1, 3, 6), (2, 7, 12), (8, 480, 800), (99, 480, 800)] {
            let pause = pause(attempts, None);
            assert!((least..=most).contains(&pause), "{attempts}: {pause}");
        }
        assert_eq!(pause(1, Some(60)), 60);
        assert_eq!(pause(1, Some(u32::MAX)), MOST_PAUSE);
        assert!(pause(8, Some(1)) > 400);
    }
}
