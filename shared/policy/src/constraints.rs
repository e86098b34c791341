//! Provider constraints: which chats, channels and tenants a call may name. Every place in which a
//! provider accepts such a name is looked at: query, form and JSON, whatever the case.

use serde_json::Value;

use crate::body::{Json, Reading, View};
use crate::compile::CompileError;
use crate::decide::Facts;
use crate::stored::Stored;

#[cfg(test)]
mod tests;
mod trim;

pub use trim::Trim;

/// Compiled constraints.
#[derive(Clone, Debug)]
pub enum Constraints {
    Microsoft {
        tenants: Names,
        chats: Names,
        channels: Names,
    },
    Slack {
        channels: Names,
        /// Whose direct messages an answer may show.
        users: Names,
    },
    Telegram {
        chats: Names,
    },
}

/// A list of names; an empty one restricts nothing.
#[derive(Clone, Debug, Default)]
pub struct Names(Box<[Box<str>]>);

/// What a call that keeps to its constraints is trusted with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Every target is a listed one: nobody has to approve it.
    pub target: bool,
    /// What comes back is from a listed place.
    pub response: bool,
}

// === impl Constraints ===

impl Constraints {
    /// # Errors
    /// Names the first field at fault.
    pub fn compile(stored: &Value) -> Result<Self, CompileError> {
        let provider = stored.get("provider").and_then(Value::as_str);
        let object = |known: &[&str]| Stored::object(stored, AT, known);
        match provider {
            Some("microsoft") => {
                let lists = ["allowedTenantIds", "allowedChatIds", "allowedChannelIds"];
                let stored = object(&["provider", lists[0], lists[1], lists[2]])?;
                Ok(Self::Microsoft {
                    tenants: Names::compile(&stored, lists[0])?,
                    chats: Names::compile(&stored, lists[1])?,
                    channels: Names::compile(&stored, lists[2])?,
                })
            }
            Some("slack") => {
                let stored = object(&["provider", "allowedChannelIds", "allowedUserIds"])?;
                Ok(Self::Slack {
                    channels: Names::compile(&stored, "allowedChannelIds")?,
                    users: Names::compile(&stored, "allowedUserIds")?,
                })
            }
            Some("telegram") => {
                let stored = object(&["provider", "allowedChatIds"])?;
                stored.required("allowedChatIds")?;
                let chats = Names::compile(&stored, "allowedChatIds")?;
                Ok(Self::Telegram { chats })
            }
            _ => Err(CompileError::new(
                format!("{AT}/provider"),
                "must be equal to one of the allowed values",
            )),
        }
    }

    /// # Errors
    /// The refusal to show.
    pub(crate) fn check(&self, facts: &Facts<'_>, body: &Reading<'_>) -> Result<Trust, String> {
        match self {
            Self::Microsoft {
                tenants,
                chats,
                channels,
            } => microsoft(facts, tenants, chats, channels),
            Self::Slack { channels, .. } => slack(facts, body, channels),
            Self::Telegram { chats } => telegram(facts, body, chats),
        }
    }

    /// What a successful answer to the call must be held to. The call has passed [`Self::check`].
    pub(crate) fn trim(&self, facts: &Facts<'_>, body: &Reading<'_>) -> Option<Trim> {
        Trim::of(self, facts, body)
    }
}

// === impl Names ===

impl Names {
    fn compile(stored: &Stored<'_>, name: &str) -> Result<Self, CompileError> {
        let names = stored.texts(name, MAX_NAMES)?;
        if let Some(at) = names.iter().position(|name| name.is_empty()) {
            let why = "must NOT have fewer than 1 characters";
            return Err(stored.error(&format!("{name}/{at}"), why));
        }
        let mut names: Vec<Box<str>> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        Ok(Self(names.into()))
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.0.binary_search_by(|known| (**known).cmp(name)).is_ok()
    }

    fn has_whatever_case(&self, name: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn telegram(facts: &Facts<'_>, body: &Reading<'_>, chats: &Names) -> Result<Trust, String> {
    if chats.is_empty() {
        return Ok(Trust::default());
    }
    let named = named(facts, body, &["chat_id", "from_chat_id"])?;
    if let Some(chat) = named.iter().find(|chat| !chats.has(chat)) {
        return Err(format!("Chat ID {chat} is not in the allowed chat list"));
    }
    Ok(Trust {
        target: !named.is_empty(),
        response: !named.is_empty(),
    })
}

fn slack(facts: &Facts<'_>, body: &Reading<'_>, channels: &Names) -> Result<Trust, String> {
    if channels.is_empty() {
        return Ok(Trust::default());
    }
    let members = ["channel", "channel_id", "channels", "channel_ids"];
    let mut listed = 0;
    let mut unlisted = 0;
    for value in named(facts, body, &members)? {
        for channel in value.split(',').map(str::trim).filter(|c| !c.is_empty()) {
            if channels.has(channel) {
                listed += 1;
            } else if channel.starts_with(['D', 'G']) {
                // Direct messages are not held to the list, but whom they reach is unknown.
                unlisted += 1;
            } else {
                return Err(format!(
                    "Channel {channel} is not in the allowed channel list"
                ));
            }
        }
    }
    Ok(Trust {
        target: listed > 0 && unlisted == 0,
        response: false,
    })
}

fn microsoft(
    facts: &Facts<'_>,
    tenants: &Names,
    chats: &Names,
    channels: &Names,
) -> Result<Trust, String> {
    if !tenants.is_empty() {
        let tenant = facts.tenant.unwrap_or("unknown");
        if !tenants.has_whatever_case(tenant) {
            return Err(format!(
                "Tenant ID {tenant} is not in the allowed tenant list"
            ));
        }
    }
    if !channels.is_empty()
        && let Some(way) = unnamed_channel(facts)
    {
        return Err(format!("Channel {way} is not in the allowed channel list"));
    }
    let mut trust = Trust::default();
    if !chats.is_empty() {
        for chat in segments_after(facts, "chats") {
            if !chats.has(&chat) {
                return Err(format!("Chat ID {chat} is not in the allowed chat list"));
            }
            trust.response = true;
        }
    }
    if !channels.is_empty() {
        for channel in segments_after(facts, "channels") {
            if !channels.has(&channel) {
                return Err(format!(
                    "Channel {channel} is not in the allowed channel list"
                ));
            }
            trust.response = true;
        }
    }
    let is_open = chats.is_empty() && channels.is_empty();
    if !is_open && !trust.response && expands(facts) {
        return Err(
            "What $expand adds cannot be held to the allowed chats and channels".to_owned(),
        );
    }
    Ok(trust)
}

/// A team's general channel, and those of other teams, are had without the keys that lists name.
fn unnamed_channel(facts: &Facts<'_>) -> Option<String> {
    let mut segments = facts.url.path().split('/').map(decode);
    segments.find(|segment| {
        let name = segment.split('(').next().unwrap_or_default();
        UNNAMED.iter().any(|way| way.eq_ignore_ascii_case(name))
    })
}

/// Whether the answer is to hold conversations that the path does not name. The parameter may be written
/// without its dollar.
fn expands(facts: &Facts<'_>) -> bool {
    facts.url.query_pairs().any(|(name, value)| {
        let value = value.to_ascii_lowercase();
        name.trim_start_matches('$').eq_ignore_ascii_case("expand")
            && ["channel", "chat", "message"]
                .iter()
                .any(|what| value.contains(what))
    })
}

/// The keys of a collection in the path: `chats/x` and `chats('x')`.
fn segments_after(facts: &Facts<'_>, collection: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut segments = facts.url.path().split('/').peekable();
    while let Some(segment) = segments.next() {
        let segment = decode(segment);
        if segment.eq_ignore_ascii_case(collection) {
            let key = segments.peek().filter(|key| !key.is_empty());
            found.extend(key.map(|key| decode(key)));
            continue;
        }
        let key = segment
            .split_once('(')
            .filter(|(name, _)| name.eq_ignore_ascii_case(collection));
        found.extend(key.map(|(_, key)| key.trim_matches(['\'', '"', ')']).to_owned()));
    }
    found
}

/// Every value that query and body give any of `members`.
fn named(facts: &Facts<'_>, body: &Reading<'_>, members: &[&str]) -> Result<Vec<String>, String> {
    let is_named = |name: &str| members.iter().any(|m| m.eq_ignore_ascii_case(name));
    let mut found: Vec<String> = facts
        .url
        .query_pairs()
        .filter(|(name, _)| is_named(name.trim_end_matches("[]")))
        .map(|(_, value)| value.into_owned())
        .collect();
    match body.view() {
        View::Absent | View::Words(_) => {}
        View::Data(data) => collect(data, &is_named, &mut found),
        View::Opaque(why) => {
            return Err(format!(
                "The request body cannot be checked against the provider constraints: {why}"
            ));
        }
    }
    Ok(found)
}

fn collect(value: &Json<'_>, is_named: &impl Fn(&str) -> bool, found: &mut Vec<String>) {
    match value {
        Json::List(items) => items.iter().for_each(|i| collect(i, is_named, found)),
        Json::Object(members) => {
            for (name, value) in members {
                if is_named(name) {
                    values(value, found);
                }
                collect(value, is_named, found);
            }
        }
        // Forms carry objects as JSON text.
        Json::Text(text) if text.trim_start().starts_with(['{', '[']) => {
            if let Ok(inner) = Json::parse(text, false) {
                collect(&inner, is_named, found);
            }
        }
        _ => {}
    }
}

fn values(value: &Json<'_>, found: &mut Vec<String>) {
    match value {
        Json::Text(text) => found.push(text.clone().into_owned()),
        Json::Number(raw) => found.push(crate::number::text(raw).into_owned()),
        Json::Bool(value) => found.push(value.to_string()),
        Json::List(items) => items.iter().for_each(|item| values(item, found)),
        Json::Null | Json::Object(_) => {}
    }
}

fn decode(segment: &str) -> String {
    crate::url::decode_text(segment).into_owned()
}

const AT: &str = "providerConstraints";
const UNNAMED: [&str; 3] = ["allChannels", "incomingChannels", "primaryChannel"];
const MAX_NAMES: usize = 1000;
