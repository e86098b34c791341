//! The one place where the control plane opens a provider credential: the token of a bot, so that it
//! can speak to the workspace's people. Only services with bots, and only towards the service's own
//! host, whatever the connection's row says: what was sealed for another place does not open.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::PoolKey;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::inject::inject;
use ah5_providers::service::{Credential, Service};
use ah5_security::secret::SecretText;
use ah5_security::vault::{Destinations, SealContext};
use ah5_store::StoreError;
use ah5_store::connections::Connection;
use ah5_store::credentials;
use ah5_store::tenant::Tenant;
use axum::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::Value;

use crate::app::App;
use crate::vault::{self, data_key};

use super::Undelivered;
use super::exchange::{Exchange, retry_after};
use super::message::clean;

/// A bot that can be spoken through.
pub struct Bot {
    service: &'static Service,
    base: &'static CanonicalUrl,
    auth: Auth,
    token: SecretText,
    key: PoolKey,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum NoBot {
    #[error("the connection's service has no bots")]
    NotABot,
    /// The connection was revoked.
    #[error("Connection has no tokens — reconnect the bot")]
    NoToken,
    #[error("Failed to decrypt bot token")]
    Sealed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a provider said: the status, and its object.
pub struct Said {
    pub status: StatusCode,
    pub json: Value,
    pub after: Option<u32>,
}

// === impl Bot ===

impl Bot {
    /// With a token that somebody has just typed.
    pub fn new(
        service: &'static Service,
        token: SecretText,
        workspace: WorkspaceId,
        connection: ConnectionId,
    ) -> Result<Self, NoBot> {
        let (base, auth) = place(service).ok_or(NoBot::NotABot)?;
        let key = PoolKey {
            workspace,
            connection,
        };
        Ok(Self {
            service,
            base,
            auth,
            token,
            key,
        })
    }

    /// With the token of a connection, whatever its health.
    pub async fn of(
        app: &App,
        tenant: &Tenant<'_>,
        connection: &Connection,
    ) -> Result<Self, NoBot> {
        let service = catalogue::find(&connection.service).ok_or(NoBot::NotABot)?;
        let (base, auth) = place(service).ok_or(NoBot::NotABot)?;
        let sealed = credentials::get(tenant, connection.id).await?;
        let sealed = sealed.ok_or(NoBot::NoToken)?;
        let context = SealContext {
            workspace: tenant.workspace(),
            connection: connection.id,
            field: vault::SECRET,
            version: sealed.version,
            service: &service.id,
            auth: &auth,
            destinations: &Destinations::new(&base.to_string()),
        };
        let key = data_key(app, tenant).await?.ok_or(NoBot::Sealed)?;
        let token = key.open(&context, &sealed.sealed).map_err(|error| {
            tracing::error!(connection = %connection.id, %error, "a bot's token does not open");
            NoBot::Sealed
        })?;
        Self::new(service, token, tenant.workspace(), connection.id)
    }

    pub fn host(&self) -> String {
        self.base.authority().to_owned()
    }

    /// Asks the provider who the bot is.
    pub async fn probe(&self, exchange: &Exchange) -> Result<Said, Undelivered> {
        let request = self
            .service
            .probe_request(self.base, &self.auth, &self.token);
        let request = request.and_then(Result::ok).ok_or_else(unsendable)?;
        let request = request.map(|body| Bytes::copy_from_slice(body.as_bytes()));
        self.exchange(exchange, request).await
    }

    /// POST of an object to a path below the service's host.
    pub async fn call(
        &self,
        exchange: &Exchange,
        path: &str,
        body: &Value,
    ) -> Result<Said, Undelivered> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base.origin()))
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .body(Bytes::from(body.to_string()));
        let (mut parts, body) = request.map_err(|_| unsendable())?.into_parts();
        inject(&self.auth, &self.token, &mut parts).map_err(|_| unsendable())?;
        self.exchange(exchange, Request::from_parts(parts, body))
            .await
    }

    /// GET of a path with its query, for a long answer.
    pub async fn read(&self, exchange: &Exchange, path: &str) -> Result<Said, Undelivered> {
        let request = Request::get(format!("{}{path}", self.base.origin())).body(Bytes::new());
        let (mut parts, body) = request.map_err(|_| unsendable())?.into_parts();
        inject(&self.auth, &self.token, &mut parts).map_err(|_| unsendable())?;
        let request = Request::from_parts(parts, body);
        let answer = exchange.send_for(self.key, request, MAX_PAGE).await?;
        Ok(said(answer))
    }

    /// What a provider says of itself, short and without the token.
    pub fn quoted(&self, text: &str) -> String {
        clean(&text.replace(self.token.expose(), "…"), MAX_QUOTED).replace('\n', " ")
    }

    async fn exchange(
        &self,
        exchange: &Exchange,
        request: Request<Bytes>,
    ) -> Result<Said, Undelivered> {
        Ok(said(exchange.send(self.key, request).await?))
    }
}

fn said(answer: Response<Bytes>) -> Said {
    let (head, body) = answer.into_parts();
    Said {
        status: head.status,
        json: serde_json::from_slice(&body).unwrap_or_default(),
        after: retry_after(&head.headers),
    }
}

/// Where a bot's token goes, and how.
fn place(service: &'static Service) -> Option<(&'static CanonicalUrl, Auth)> {
    let is_bots = service.credential == Credential::BotToken;
    Some((service.base_url()?, service.auth()?)).filter(|_| is_bots)
}

fn unsendable() -> Undelivered {
    Undelivered::Refused("The bot's token cannot be sent".to_owned())
}

const MAX_PAGE: usize = 1024 * 1024;
const MAX_QUOTED: usize = 200;
