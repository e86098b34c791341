//! Notifications as server-sent events, and the place that a reader has reached in them.

use std::fmt;

use bytes::Bytes;
use serde_json::json;

use ah5_contracts::id::{UserId, WorkspaceId};
use ah5_store::notifications::Notification;

use crate::app::time;

/// The last notification that a reader has got, as `id:` lines have it. It says of which workspace:
/// a browser may come back with it for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub workspace: WorkspaceId,
    pub seq: i64,
}

/// One event, written once for all who read it.
#[derive(Debug)]
pub struct Told {
    pub seq: i64,
    /// Nobody else may see it.
    pub to: Option<UserId>,
    pub frame: Bytes,
}

/// The first event. From here on its reader can come back.
pub fn connected(position: Position, retry_millis: u64) -> Bytes {
    let text = format!("event: connected\ndata: {{}}\nid: {position}\nretry: {retry_millis}\n\n");
    Bytes::from(text)
}

// === impl Position ===

impl Position {
    /// Where to go on; `None` for what is no position of this workspace.
    pub fn parse(text: &str, workspace: WorkspaceId) -> Option<i64> {
        let (seq, tag) = text.split_once('-')?;
        let seq = seq.parse().ok().filter(|seq| *seq >= 0)?;
        let here = Self { workspace, seq };
        (tag == here.tag()).then_some(seq)
    }

    fn tag(&self) -> String {
        let text = self.workspace.to_string();
        text.chars().take_while(|c| *c != '-').collect()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.seq, self.tag())
    }
}

// === impl Told ===

impl Told {
    pub fn new(workspace: WorkspaceId, notification: &Notification) -> Self {
        let seq = notification.seq;
        // JSON holds no line break, so it is one `data:` line.
        let data = json!({
            "id": notification.id, "type": notification.kind, "title": notification.title,
            "body": notification.body, "linkUrl": notification.link,
            "createdAt": time(notification.created_at),
        });
        let position = Position { workspace, seq };
        let text = format!("event: notification\ndata: {data}\nid: {position}\n\n");
        Self {
            seq,
            to: notification.to,
            frame: Bytes::from(text),
        }
    }

    pub fn is_for(&self, reader: UserId) -> bool {
        self.to.is_none_or(|to| to == reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_of_one_workspace() {
        let (here, there) = (WorkspaceId::random(), WorkspaceId::random());
        let text = Position {
            workspace: here,
            seq: 7,
        }
        .to_string();
        assert_eq!(Position::parse(&text, here), Some(7));
        assert_eq!(Position::parse(&text, there), None);
        for junk in ["", "7", "-", "x-y", "-7", "7-", "99999999999999999999-a"] {
            assert_eq!(Position::parse(junk, here), None, "{junk}");
        }
        let negative = text.replacen('7', "-7", 1);
        assert_eq!(Position::parse(&negative, here), None);
    }
}
