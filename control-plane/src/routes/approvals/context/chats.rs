//! Whom a message goes to, and how it begins.

use serde::Serialize;

use super::{GRAPH, Read};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Slack {
    channel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Teams {
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    team_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_preview: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Telegram {
    chat_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<String>,
}

// === impl Slack ===

impl Slack {
    pub fn of(read: &Read<'_>) -> Option<Self> {
        if read.host != "slack.com" && !read.host.ends_with(".slack.com") {
            return None;
        }
        let channel = read.argument("channel");
        Some(Self {
            channel: channel.or_else(|| read.argument("channel_id"))?,
            text: read.argument("text"),
        })
    }
}

// === impl Teams ===

impl Teams {
    pub fn of(read: &Read<'_>) -> Option<Self> {
        if read.host != GRAPH {
            return None;
        }
        let below = read.below("/v1.0/").or_else(|| read.below("/beta/"))?;
        let below = match below.as_slice() {
            ["me", rest @ ..] => rest,
            all => all,
        };
        let (chat, team, channel) = match below {
            ["chats", chat, "messages", ..] => (Some(*chat), None, None),
            ["teams", team, "channels", channel, "messages", ..] => {
                (None, Some(*team), Some(*channel))
            }
            _ => return None,
        };
        let owned = |id: Option<&str>| id.map(str::to_owned);
        Some(Self {
            chat_id: owned(chat),
            team_id: owned(team),
            channel_id: owned(channel),
            content_type: read.text(&["body", "contentType"]),
            body_preview: read.text(&["body", "content"]),
        })
    }
}

// === impl Telegram ===

impl Telegram {
    pub fn of(read: &Read<'_>) -> Option<Self> {
        if read.host != "api.telegram.org" {
            return None;
        }
        let text = read.argument("text");
        Some(Self {
            chat_id: read.argument("chat_id")?,
            text: text.or_else(|| read.argument("caption")),
            parse_mode: read.argument("parse_mode"),
        })
    }
}
