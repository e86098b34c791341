//! Channels: where a workspace's people are told of things besides the dashboard. A message is a row
//! written in the transaction of what it tells of; the courier sends it later, so nothing ever waits
//! for a receiver. An agent may be able to read a channel: no message carries any authority.

use ah5_store::channel_outbox;
use ah5_store::tenant::Tenant;
use ah5_store::{StoreError, channels::Channel};
use uuid::Uuid;

use crate::notices::{Notice, To};

pub mod bot;
pub mod courier;
pub mod exchange;
pub mod message;
pub mod parcel;
pub mod slack;
pub mod telegram;
pub mod webhook;

use message::Message;

/// What a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Email,
    Slack,
    Telegram,
    Webhook,
}

/// Why a message did not arrive. The texts are for the workspace's people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undelivered {
    /// Trying later may help; the receiver may have said when.
    #[error("{why}")]
    Later { why: String, after: Option<u32> },
    /// It will not get better by itself.
    #[error("{0}")]
    Refused(String),
}

/// Puts the notice into the queues of the workspace's channels, if it is of a kind that goes there.
/// A channel is for the whole workspace: what is for one person stays in the dashboard.
///
/// # Errors
/// The database fails.
pub async fn enqueue(
    tenant: &Tenant<'_>,
    notification: Uuid,
    notice: &Notice,
) -> Result<(), StoreError> {
    if notice.to != To::Everyone || !SENT.contains(&notice.kind) {
        return Ok(());
    }
    let message = Message::of(notice);
    let approval = message.approval;
    let content = message.to_json();
    let put = channel_outbox::put(tenant, notification, approval, &content, MOST_WAITING).await?;
    tracing::debug!(kind = notice.kind, channels = put, "a message waits");
    Ok(())
}

// === impl Kind ===

impl Kind {
    pub const NAMES: [&str; 4] = ["telegram", "slack", "webhook", "email"];

    pub fn from_stored(text: &str) -> Option<Self> {
        match text {
            "email" => Some(Self::Email),
            "slack" => Some(Self::Slack),
            "telegram" => Some(Self::Telegram),
            "webhook" => Some(Self::Webhook),
            _ => None,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Slack => "slack",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
        }
    }
}

// === impl Undelivered ===

impl Undelivered {
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later {
            why: why.into(),
            after: None,
        }
    }
}

/// A text of the channel's settings; empty if there is none.
pub fn setting<'a>(channel: &'a Channel, name: &str) -> &'a str {
    channel.config[name].as_str().unwrap_or_default()
}

/// The setting that says where messages go.
pub const fn address_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Email => "address",
        Kind::Slack => "channelId",
        Kind::Telegram => "chatId",
        Kind::Webhook => "url",
    }
}

/// The kinds that leave the house. Others are for the dashboard only.
const SENT: [&str; 2] = ["approval_request", "security_alert"];
/// For one channel. Beyond that they are left out: a flood helps nobody.
const MOST_WAITING: i64 = 200;
