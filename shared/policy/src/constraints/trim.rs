//! Lists that a provider answers with name chats and people that the policy does not: those items are
//! left out. What should be looked through and cannot be is an error, never passed on.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Constraints, Names, named};
use crate::body::Reading;
use crate::decide::Facts;
use crate::response::Unfilterable;

/// How one answer is trimmed.
#[derive(Clone, Debug)]
pub struct Trim {
    /// The member of the answer that is the list.
    list: &'static str,
    keeps: Keeps,
}

#[derive(Clone, Debug)]
enum Keeps {
    /// Conversations of Slack: listed channels, group messages, direct messages with listed people.
    Conversations { channels: Names, users: Names },
    /// Messages of a direct conversation: of listed people, and of nobody.
    Messages { users: Names },
    /// Updates of Telegram from listed chats.
    Updates { chats: Names },
}

// === impl Trim ===

impl Trim {
    pub(super) fn of(
        constraints: &Constraints,
        facts: &Facts<'_>,
        body: &Reading<'_>,
    ) -> Option<Self> {
        let (host, path) = (facts.url.host(), facts.url.path());
        let method = path.trim_end_matches('/').rsplit('/').next()?;
        let is = |name: &str| method.eq_ignore_ascii_case(name);
        let of = |service: &str, own: &str| facts.service == service || host == own;
        match constraints {
            Constraints::Telegram { chats }
                if of("telegram", "api.telegram.org") && !chats.is_empty() && is("getUpdates") =>
            {
                let chats = chats.clone();
                Some(Self::new("result", Keeps::Updates { chats }))
            }
            Constraints::Slack { channels, users } if of("slack", "slack.com") => {
                let (channels, users) = (channels.clone(), users.clone());
                let lists = is("conversations.list") || is("users.conversations");
                let reads = is("conversations.history") || is("conversations.replies");
                if lists && !(channels.is_empty() && users.is_empty()) {
                    let keeps = Keeps::Conversations { channels, users };
                    return Some(Self::new("channels", keeps));
                }
                (reads && !users.is_empty() && is_direct(facts, body))
                    .then(|| Self::new("messages", Keeps::Messages { users }))
            }
            _ => None,
        }
    }

    const fn new(list: &'static str, keeps: Keeps) -> Self {
        Self { list, keeps }
    }

    /// The answer without what the policy does not list, or `None` if all of it may pass.
    ///
    /// # Errors
    /// The answer is not the JSON that the provider describes.
    pub(crate) fn apply(&self, answer: &[u8]) -> Result<Option<Vec<u8>>, Unfilterable> {
        let malformed = |_| Unfilterable::Malformed;
        let mut members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(answer).map_err(malformed)?;
        let Some(list) = members.get(self.list) else {
            return Ok(None);
        };
        let items: Vec<&RawValue> = serde_json::from_str(list.get()).map_err(malformed)?;
        let mut kept = Vec::with_capacity(items.len());
        for item in &items {
            let value: Value = serde_json::from_str(item.get()).map_err(malformed)?;
            if self.keeps.has(&value) {
                kept.push(*item);
            }
        }
        if kept.len() == items.len() {
            return Ok(None);
        }
        let kept = serde_json::value::to_raw_value(&kept).map_err(malformed)?;
        members.insert(self.list.to_owned(), kept);
        serde_json::to_vec(&members).map(Some).map_err(malformed)
    }
}

// === impl Keeps ===

impl Keeps {
    fn has(&self, item: &Value) -> bool {
        match self {
            Self::Conversations { channels, users } => {
                if is_true(item, "is_mpim") {
                    return true;
                }
                if is_true(item, "is_im") {
                    return users.is_empty() || has(users, &item["user"]);
                }
                channels.is_empty() || has(channels, &item["id"])
            }
            Self::Messages { users } => {
                let user = &item["user"];
                user.is_null() || has(users, user) || item["subtype"] == "bot_message"
            }
            Self::Updates { chats } => chat(item).is_some_and(|chat| has(chats, chat)),
        }
    }
}

/// The chat that an update is from; of kinds that we do not know, none.
fn chat(update: &Value) -> Option<&Value> {
    let of_kind = |kind: &&str| update.get(*kind)?.pointer("/chat/id");
    let pressed = || update.pointer("/callback_query/message/chat/id");
    UPDATES.iter().find_map(of_kind).or_else(pressed)
}

/// Whether the call names a direct conversation.
fn is_direct(facts: &Facts<'_>, body: &Reading<'_>) -> bool {
    // What cannot be read was refused before.
    let named = named(facts, body, &["channel", "channel_id"]).unwrap_or_default();
    named
        .iter()
        .any(|channel| channel.trim().starts_with(['D', 'G']))
}

fn has(names: &Names, value: &Value) -> bool {
    match value {
        Value::String(name) => names.has(name),
        Value::Number(number) => names.has(&number.to_string()),
        _ => false,
    }
}

fn is_true(item: &Value, name: &str) -> bool {
    item[name] == true
}

const UPDATES: [&str; 6] = [
    "message",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "my_chat_member",
    "chat_member",
];

#[cfg(test)]
mod tests {
    use ah5_contracts::policy::Method;
    use serde_json::json;

    use super::*;
    use crate::body::Body;
    use crate::url::CanonicalUrl;

    /// The list's items by `id`, of what is left of an answer; `None` if nothing was looked at.
    fn left(constraints: &Value, url: &str, list: &str, answer: &Value) -> Option<Vec<Value>> {
        let url = CanonicalUrl::parse(url).unwrap();
        let facts = Facts::new(Method::Get, &url, 0);
        let constraints = Constraints::compile(constraints).unwrap();
        let trim = constraints.trim(&facts, &Reading::new(Body::new(b"", None)))?;
        let answer = answer.to_string();
        let trimmed = trim.apply(answer.as_bytes()).unwrap();
        let left: Value =
            serde_json::from_slice(trimmed.as_deref().unwrap_or(answer.as_bytes())).unwrap();
        assert_eq!(left["ok"], true, "the rest stays");
        Some(
            left[list]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].clone())
                .collect(),
        )
    }

    #[test]
    fn updates_come_from_listed_telegram_chats_only() {
        let list = json!({"provider": "telegram", "allowedChatIds": ["-100", "7"]});
        let url = "https://api.telegram.org/bot/getUpdates";
        let answer = json!({"ok": true, "result": [
            {"id": 1, "message": {"chat": {"id": 7}}},
            {"id": 2, "message": {"chat": {"id": 8}}},
            {"id": 3, "edited_channel_post": {"chat": {"id": -100}}},
            {"id": 4, "callback_query": {"message": {"chat": {"id": 7}}}},
            {"id": 5, "inline_query": {"from": {"id": 7}}},
            {"id": 6, "my_chat_member": {"chat": {"id": 9}}},
        ]});
        assert_eq!(
            left(&list, url, "result", &answer),
            Some(vec![1.into(), 3.into(), 4.into()])
        );
        let none = json!({"provider": "telegram", "allowedChatIds": []});
        assert_eq!(left(&none, url, "result", &answer), None);
        assert_eq!(
            left(
                &list,
                "https://api.telegram.org/bot/getMe",
                "result",
                &answer
            ),
            None
        );
    }

    #[test]
    fn slack_lists_channels_and_people_of_the_policy_only() {
        let both =
            json!({"provider": "slack", "allowedChannelIds": ["C1"], "allowedUserIds": ["U1"]});
        let channels = json!({"provider": "slack", "allowedChannelIds": ["C1"]});
        let url = "https://slack.com/api/conversations.list";
        let answer = json!({"ok": true, "channels": [
            {"id": "C1"}, {"id": "C2"}, {"id": "G1", "is_mpim": true},
            {"id": "D1", "is_im": true, "user": "U1"}, {"id": "D2", "is_im": true, "user": "U2"},
        ]});
        let ids = |ids: &[&str]| Some(ids.iter().map(|id| json!(id)).collect::<Vec<_>>());
        assert_eq!(
            left(&both, url, "channels", &answer),
            ids(&["C1", "G1", "D1"])
        );
        assert_eq!(
            left(&channels, url, "channels", &answer),
            ids(&["C1", "G1", "D1", "D2"])
        );
    }

    #[test]
    fn a_direct_conversation_shows_what_listed_people_wrote() {
        let users = json!({"provider": "slack", "allowedUserIds": ["U1"]});
        let answer = json!({"ok": true, "messages": [
            {"id": 1, "user": "U1"}, {"id": 2, "user": "U2"}, {"id": 3},
            {"id": 4, "user": "U2", "subtype": "bot_message"},
        ]});
        let url = "https://slack.com/api/conversations.history?channel=D1";
        assert_eq!(
            left(&users, url, "messages", &answer),
            Some(vec![1.into(), 3.into(), 4.into()])
        );
        let public = "https://slack.com/api/conversations.history?channel=C1";
        assert_eq!(left(&users, public, "messages", &answer), None);
    }

    #[test]
    fn an_answer_that_is_not_what_it_should_be_does_not_pass() {
        let trim = Trim::new(
            "result",
            Keeps::Updates {
                chats: Names::default(),
            },
        );
        for odd in [
            "",
            "[]",
            "{\"result\":{\"message\":1}}",
            "{\"result\":[1]",
            "<html>",
        ] {
            assert_eq!(
                trim.apply(odd.as_bytes()),
                Err(Unfilterable::Malformed),
                "{odd}"
            );
        }
        assert_eq!(trim.apply(b"{\"ok\":false}"), Ok(None));
        let twice = trim
            .apply(b"{\"result\":[{\"message\":1}],\"result\":[]}")
            .unwrap();
        assert_eq!(twice, None);
    }
}
