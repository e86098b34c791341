//! What people are told: a row in the transaction of the change that it tells of, seen in the product
//! at once ([`hub`]) and handed on to the workspace's channels. Names and reasons in it may have been
//! chosen by an agent that wants to be believed: texts are plain, short, and hold no secret of ours;
//! links lead to pages of ours only.

use serde_json::Value;

use ah5_contracts::id::{NotificationId, UserId};
use ah5_store::StoreError;
use ah5_store::notifications::{self, NewNotification};
use ah5_store::tenant::Tenant;

use crate::channels;

pub mod approvals;
pub mod feed;
pub mod frame;
pub mod hub;
pub mod text;

#[derive(Clone, Debug)]
pub struct Notice {
    /// A word that clients know: see [`kind`].
    pub kind: &'static str,
    pub title: String,
    pub body: String,
    /// The path of a page of ours.
    pub link: Option<String>,
    /// An object for programs: ids, never texts to be shown.
    pub metadata: Value,
    pub to: To,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// All members of the workspace.
    Everyone,
    One(UserId),
}

/// The last thing a transaction does in a workspace: until its end nobody else can tell this
/// workspace anything. A transaction that goes through several does so in the order of their ids.
pub async fn notify(tenant: &Tenant<'_>, notice: &Notice) -> Result<(), StoreError> {
    let id = NotificationId::random();
    let notice = Notice {
        title: text::plain(&notice.title, MOST_TITLE),
        body: text::plain(&notice.body, MOST_BODY),
        ..notice.clone()
    };
    let new = NewNotification {
        id,
        to: notice.to.user(),
        kind: notice.kind,
        title: &notice.title,
        body: &notice.body,
        link: notice.link.as_deref(),
        metadata: &notice.metadata,
    };
    notifications::insert(tenant, &new).await?;
    channels::enqueue(tenant, id.uuid(), &notice).await
}

// === impl To ===

impl To {
    const fn user(self) -> Option<UserId> {
        match self {
            Self::Everyone => None,
            Self::One(user) => Some(user),
        }
    }
}

pub mod kind {
    //! What a notification is about.

    /// A single call waits for a person.
    pub const APPROVAL_REQUEST: &str = "approval_request";
    /// What became of one.
    pub const APPROVAL_RESOLVED: &str = "approval_resolved";
    /// An account has to be connected again.
    pub const CONNECTION_NEEDS_REAUTH: &str = "connection_needs_reauth";
    /// An agent asks to be allowed something.
    pub const PERMISSION_REQUEST: &str = "permission_request";
    pub const SECURITY_ALERT: &str = "security_alert";
}

/// Where people decide.
pub const APPROVALS_PAGE: &str = "/dashboard/approvals";
pub const ACTIVITY_PAGE: &str = "/dashboard/activity";
pub const CONNECTIONS_PAGE: &str = "/dashboard/connections";
pub const AGENTS_PAGE: &str = "/dashboard/agents";
pub const SETTINGS_PAGE: &str = "/dashboard/settings";

const MOST_BODY: usize = 1000;
const MOST_TITLE: usize = 200;
