//! A row of `t_connections`: how it is read, and what its secrets are bound to.

use jiff::Timestamp;
use serde::Deserialize as _;
use serde_json::Value;
use tokio_postgres::Row;

use ah5_contracts::connection::Mail;
use ah5_contracts::id::{ConnectionId, OAuthAppId};
use ah5_security::vault::Destinations;

pub struct Connection {
    pub id: ConnectionId,
    pub provider: String,
    pub service: String,
    pub label: String,
    pub status: String,
    pub base_url: String,
    pub auth: Value,
    /// Whose client was consented to; `None` is the installation's own, or there is no OAuth.
    pub oauth_app: Option<OAuthAppId>,
    pub token_url: Option<String>,
    pub mail: Option<Value>,
    /// The provider's own name of the account.
    pub account: Option<String>,
    pub asked_scopes: Vec<String>,
    pub granted_scopes: Vec<String>,
    pub reauth_reason: Option<String>,
    pub metadata: Value,
    /// What may be seen of the credential; `None` if there is nothing.
    pub preview: Option<Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

pub(super) const COLUMNS: &str = "id, provider, service, label, status, base_url, auth, oauth_app_id, token_url, \
                       mail, account, asked_scopes, granted_scopes, reauth_reason, metadata, \
                       preview, created_at, updated_at";

pub(super) fn read(row: &Row) -> Connection {
    Connection {
        id: ConnectionId::from_uuid(row.get("id")),
        provider: row.get("provider"),
        service: row.get("service"),
        label: row.get("label"),
        status: row.get("status"),
        base_url: row.get("base_url"),
        auth: row.get("auth"),
        oauth_app: row
            .get::<_, Option<_>>("oauth_app_id")
            .map(OAuthAppId::from_uuid),
        token_url: row.get("token_url"),
        mail: row.get("mail"),
        account: row.get("account"),
        asked_scopes: row.get("asked_scopes"),
        reauth_reason: row.get("reauth_reason"),
        granted_scopes: row.get("granted_scopes"),
        metadata: row.get("metadata"),
        preview: row.get("preview"),
        created_at: row.get("created_at"),
        updated_at: row.get("updated_at"),
    }
}

// === impl Connection ===

impl Connection {
    /// What was asked for and not granted.
    #[must_use]
    pub fn missing_scopes(&self) -> Vec<&str> {
        let granted = |scope: &String| {
            let mut granted = self.granted_scopes.iter();
            granted.any(|it| it.eq_ignore_ascii_case(scope))
        };
        let missing = self.asked_scopes.iter().filter(|scope| !granted(scope));
        missing.map(String::as_str).collect()
    }

    /// What its secrets are bound to.
    #[must_use]
    pub fn destinations(&self) -> Destinations {
        destinations(
            &self.base_url,
            self.token_url.as_deref(),
            self.oauth_app,
            self.mail.as_ref(),
        )
    }
}

/// What a connection's secrets are bound to, from what its row says.
#[must_use]
pub fn destinations(
    base_url: &str,
    token_url: Option<&str>,
    oauth_app: Option<OAuthAppId>,
    mail: Option<&Value>,
) -> Destinations {
    let destinations = Destinations::new(base_url)
        .token_url(token_url)
        .oauth_app(oauth_app);
    match mail.map(Mail::deserialize) {
        None => destinations,
        Some(Ok(mail)) => destinations.mail(&mail.imap.bound(), &mail.smtp.bound()),
        // Nothing was ever sealed for it.
        Some(Err(_)) => destinations.mail("malformed", "malformed"),
    }
}
