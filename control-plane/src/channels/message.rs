//! What a message says, before a channel gives it its form. Agents choose names, paths and reasons:
//! their words are hostile until a channel has made them plain.

use ah5_contracts::id::ApprovalId;
use ah5_edge::Origin;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::notices::Notice;

/// As it waits in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    kind: String,
    /// One line.
    pub title: String,
    pub body: String,
    link: Option<String>,
    pub approval: Option<ApprovalId>,
    /// Ids of what it is about.
    pub about: Map<String, Value>,
}

// === impl Message ===

impl Message {
    pub fn of(notice: &Notice) -> Self {
        let id = notice.metadata.get("approvalRequestId");
        let about = ABOUT.iter().filter_map(|name| {
            let value = notice.metadata.get(*name)?.as_str()?;
            Some(((*name).to_owned(), clean(value, MAX_TITLE).into()))
        });
        Self {
            kind: notice.kind.to_owned(),
            title: line(&notice.title),
            body: clean(&notice.body, MAX_BODY),
            link: notice.link.clone(),
            approval: id.and_then(|id| id.as_str()?.parse().ok()),
            about: about.collect(),
        }
    }

    /// Says that messages arrive.
    pub fn trial() -> Self {
        Self {
            kind: "channel_test".to_owned(),
            title: "This channel works".to_owned(),
            body: "People will be told here of what waits for them.".to_owned(),
            link: None,
            approval: None,
            about: Map::new(),
        }
    }

    pub fn to_json(&self) -> Value {
        // A struct of texts is always JSON.
        serde_json::to_value(self).unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Ours: nobody else has chosen a word of it.
    pub fn heading(&self) -> &'static str {
        match self.kind.as_str() {
            "approval_request" => "A call waits for your approval",
            "channel_test" => "AgentHiFive",
            "security_alert" => "Security alert",
            _ => "AgentHiFive has news",
        }
    }

    /// Title and body, as their authors wrote them.
    pub fn said(&self) -> String {
        match self.body.is_empty() {
            true => self.title.clone(),
            false => format!("{}\n{}", self.title, self.body),
        }
    }

    /// The page that it leads to. It is one of ours, and knowing it gives no right to anything there.
    pub fn page(&self, ours: &Origin) -> Option<String> {
        let path = match self.approval {
            Some(id) => format!("/dashboard/approvals/{id}"),
            None => self.link.clone().filter(|path| is_path(path))?,
        };
        Some(format!("{}{path}", ours.text))
    }
}

/// Without what can't be seen or turns text around, and no longer than `most` characters.
pub fn clean(text: &str, most: usize) -> String {
    let visible = text.chars().filter(|c| *c == '\n' || !is_invisible(*c));
    let mut kept: String = visible.clone().take(most).collect();
    if visible.count() > most {
        kept.pop();
        kept.push('…');
    }
    kept.trim().to_owned()
}

fn line(text: &str) -> String {
    clean(&text.replace(['\n', '\r'], " "), MAX_TITLE)
}

/// Controls, and what Unicode has for direction, joining and hidden tags.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(
            u32::from(c),
            0xad | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f
                | 0xfeff | 0xfff9..=0xfffb | 0xe0000..=0xe0fff
        )
}

// Not `//host`, which is another site.
fn is_path(text: &str) -> bool {
    text.starts_with("/dashboard") && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

const ABOUT: [&str; 5] = [
    "agentId",
    "approvalRequestId",
    "connectionId",
    "permissionRequestId",
    "ruleId",
];
const MAX_TITLE: usize = 200;
const MAX_BODY: usize = 1000;

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use crate::notices::To;

    use super::*;

    /// By an agent that would like to be more than text.
    pub fn hostile() -> Message {
        Message::of(&Notice {
            kind: "approval_request",
            title: "<b>bot</b> & `x` *y* <!channel> [a](https://evil.example)".into(),
            body: "POST https://evil.example/</pre><a href=\"https://evil.example\">ok</a>\n```\u{202e}@here".into(),
            link: Some("https://evil.example/".into()),
            metadata: json!({"approvalRequestId": "0191d2c0-0000-4000-8000-000000000001", "x": "y"}),
            to: To::Everyone,
        })
    }

    #[test]
    fn text_is_bounded_and_visible() {
        let message = hostile();
        assert!(!message.said().contains('\u{202e}'));
        assert_eq!(message.about.len(), 1);
        assert_eq!(clean("a\u{200b}b\u{0}c\u{7}", 9), "abc");
        assert_eq!(clean(&"x".repeat(20), 10), format!("{}…", "x".repeat(9)));
        assert_eq!(line("a\r\nb"), "a  b");
    }

    #[test]
    fn the_only_link_is_to_a_page_of_ours() {
        let ours = Origin::parse("https://ah5.example").unwrap();
        let page = hostile().page(&ours).unwrap();
        let expected =
            "https://ah5.example/dashboard/approvals/0191d2c0-0000-4000-8000-000000000001";
        assert_eq!(page, expected);
        for (link, leads) in [
            ("/dashboard/activity", true),
            ("//evil.example", false),
            ("https://evil.example", false),
            ("/dashboard\\evil", false),
            ("/api/auth/reset-password/x", false),
        ] {
            let message = Message {
                link: Some(link.into()),
                approval: None,
                ..hostile()
            };
            assert_eq!(message.page(&ours).is_some(), leads, "{link}");
        }
    }

    #[test]
    fn it_survives_the_outbox() {
        let message = hostile();
        let back: Message = serde_json::from_value(message.to_json()).unwrap();
        assert_eq!(back, message);
    }
}
