//! Signed webhooks, in the form of Standard Webhooks: `webhook-id` stays the same however often a
//! message comes, `webhook-timestamp` and `webhook-signature` are of this attempt.

use ah5_contracts::id::{ChannelId, ConnectionId, WorkspaceId};
use ah5_edge::Origin;
use ah5_net::PoolKey;
use ah5_net::guard::{AddressKind, classify};
use ah5_security::secret::SecretText;
use ah5_security::vault::ChannelContext;
use ah5_security::webhook::sign;
use ah5_store::channels::Channel;
use ah5_store::tenant::Tenant;
use axum::http::{Method, Request, header};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use url::{Host, Url};
use uuid::Uuid;

use super::exchange::{Exchange, retry_after};
use super::message::Message;
use super::{Kind, Undelivered, setting};
use crate::app::{App, time};
use crate::error::AppError;
use crate::vault::data_key;

/// Where it goes, and what it is signed with.
pub struct Webhook {
    url: Url,
    secret: SecretText,
    key: PoolKey,
}

/// One message on its way.
pub struct Event<'a> {
    pub id: Uuid,
    pub at: Timestamp,
    pub message: &'a Message,
}

// === impl Webhook ===

impl Webhook {
    /// `None` for a secret that does not open for this address.
    pub async fn of(
        app: &App,
        tenant: &Tenant<'_>,
        channel: &Channel,
    ) -> Result<Option<Self>, AppError> {
        let text = setting(channel, "url");
        let (Ok(url), Some(sealed)) = (check_url(app, tenant.workspace(), text), &channel.sealed)
        else {
            return Ok(None);
        };
        let Some(key) = data_key(app, tenant).await? else {
            return Ok(None);
        };
        let secret = key.open_channel(&context(tenant.workspace(), text), sealed);
        Ok(secret.ok().map(|secret| Self {
            url,
            secret,
            key: PoolKey {
                workspace: tenant.workspace(),
                connection: own_pool(channel.id),
            },
        }))
    }

    pub fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or(0);
        format!("{host}:{port}")
    }

    pub async fn send(
        &self,
        exchange: &Exchange,
        event: &Event<'_>,
        ours: &Origin,
    ) -> Result<(), Undelivered> {
        let (id, now) = (event.id.to_string(), Timestamp::now().as_second());
        let body = body(event, ours).to_string();
        let signature = sign(&self.secret, &id, now, body.as_bytes());
        let unsendable = || Undelivered::Refused("The webhook's secret is no good".to_owned());
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.as_str())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", now)
            .header("webhook-signature", signature.ok_or_else(unsendable)?)
            .body(Bytes::from(body));
        let request = request.map_err(|_| unsendable())?;
        let (head, _) = exchange.send(self.key, request).await?.into_parts();
        let status = head.status;
        match status.as_u16() {
            200..=299 => Ok(()),
            // The receiver wants no more.
            410 => Err(Undelivered::Refused("The receiver answered 410".to_owned())),
            300..=399 => Err(Undelivered::later(format!(
                "The receiver answered {}; redirects are not followed",
                status.as_u16()
            ))),
            code => Err(Undelivered::Later {
                why: format!("The receiver answered {code}"),
                after: retry_after(&head.headers),
            }),
        }
    }
}

/// What its secret is bound to.
pub fn context(workspace: WorkspaceId, url: &str) -> ChannelContext<'_> {
    ChannelContext {
        workspace,
        channel_type: Kind::Webhook.as_str(),
        destination: url,
    }
}

/// What a name resolves to is judged at every sending; this says early what can't be right.
pub fn check_url(app: &App, workspace: WorkspaceId, text: &str) -> Result<Url, AppError> {
    let fault = |why: &str| AppError::bad_request(format!("body/config/url {why}"));
    if text.len() > MAX_URL {
        return Err(fault("is too long"));
    }
    let url = Url::parse(text).map_err(|_| fault("must be an absolute URL"))?;
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else {
        return Err(fault("must be an absolute URL"));
    };
    let name = match &host {
        Host::Domain(name) => (*name).to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    let exempt = app.config.allows_plain_http(workspace, &name, port);
    if url.scheme() != "https" && !(url.scheme() == "http" && exempt) {
        return Err(fault("must use https"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(fault("must not hold a user, a password or a fragment"));
    }
    let literal = name.parse().ok().map(classify);
    if literal.is_some_and(|kind| kind != AddressKind::Public) && !exempt {
        return Err(fault("must be a public address"));
    }
    if app
        .config
        .origin
        .is_ours(&url.origin().ascii_serialization())
    {
        return Err(fault("must not be this service itself"));
    }
    Ok(url)
}

fn body(event: &Event<'_>, ours: &Origin) -> Value {
    let message = event.message;
    let mut data = message.about.clone();
    data.insert("title".to_owned(), message.title.clone().into());
    data.insert("body".to_owned(), message.body.clone().into());
    data.insert("link".to_owned(), message.page(ours).into());
    json!({"type": message.kind(), "timestamp": time(event.at), "data": data})
}

/// Sockets are a channel's own, as a connection's are.
const fn own_pool(channel: ChannelId) -> ConnectionId {
    ConnectionId::from_uuid(channel.uuid())
}

const MAX_URL: usize = 2048;
