//! A credential that somebody has typed: read in the shape its service wants, tried at its provider,
//! sealed for exactly one connection. What is stored is tried in the same way.

use ah5_contracts::connection::{Auth, Mail};
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::PoolKey;
use ah5_policy::CanonicalUrl;
use ah5_providers::catalogue;
use ah5_providers::service::{Credential, Service};
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, SealContext};
use ah5_store::connections::{self, Connection};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{AppError, AppResult};
use crate::input::{Input, not_blank};
use crate::vault;

pub mod api_key;
mod bot;
mod custom;
mod mailbox;
mod preview;
pub mod probe;

pub struct Entered {
    pub service: &'static Service,
    pub base_url: CanonicalUrl,
    pub auth: Auth,
    pub mail: Option<Mail>,
    pub secret: SecretText,
    /// What may be seen of it.
    pub preview: Value,
    /// What was said of the account: it goes with what the provider says.
    pub said: Value,
}

/// Why a credential is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It is to be stored: only what is known to work is.
    Store,
    /// It is stored; only a clear refusal is held against it.
    Test,
}

pub enum Outcome {
    Good(Account),
    /// The provider says no.
    Refused(Told),
    /// Nobody knows: the provider is away, busy or ill.
    Unknown(Told),
}

/// What a provider says of whoever the credential belongs to.
#[derive(Debug)]
pub struct Account {
    /// What to call the connection, unless somebody says otherwise.
    pub label: Option<String>,
    pub metadata: Value,
    /// A sentence for whoever tried it.
    pub detail: String,
}

/// For whoever typed the credential.
#[derive(Debug)]
pub struct Told {
    pub error: String,
    pub hint: Option<String>,
}

// === impl Entered ===

impl Entered {
    /// `known` is the connection whose credential it replaces: what is not typed stays as it is.
    pub fn read(
        app: &App,
        workspace: WorkspaceId,
        service: &'static Service,
        input: &Input,
        known: Option<&Connection>,
    ) -> AppResult<Self> {
        match service.credential {
            Credential::ApiKey => api_key::read(service, input, known.is_none()),
            Credential::BotToken => bot::read(service, input),
            Credential::Custom => custom::read(app, workspace, service, input, known),
            Credential::Email => mailbox::read(way(app, workspace), service, input, known),
            Credential::Oauth | Credential::OauthCustom => Err(AppError::conflict(
                "This connection uses OAuth reauthorization instead of inline credential updates",
            )),
        }
    }

    /// What a connection holds; `None` for a row that no route of ours has written.
    pub fn stored(connection: &Connection, secret: SecretText) -> Option<Self> {
        let service = catalogue::find(&connection.service)?;
        let base_url = CanonicalUrl::parse(&connection.base_url).ok()?;
        let mail = connection.mail.as_ref().map(Mail::deserialize);
        // Where a credential may go is in the catalogue, whatever the row says.
        service.pins(&base_url).then_some(())?;
        Some(Self {
            service,
            base_url,
            auth: Auth::deserialize(&connection.auth).ok()?,
            mail: mail.transpose().ok()?,
            secret,
            preview: Value::Null,
            said: json!({}),
        })
    }

    /// Asks the provider. Never within a transaction.
    pub async fn try_out(&self, app: &App, owner: PoolKey, purpose: Purpose) -> AppResult<Outcome> {
        let turn = app.trying.take(owner.workspace);
        let _turn = turn.ok_or_else(AppError::unavailable)?;
        match self.service.credential {
            Credential::ApiKey => api_key::try_out(self, app, owner, purpose).await,
            Credential::BotToken => bot::try_out(self, app, owner, purpose).await,
            // Nobody knows how to ask.
            Credential::Custom | Credential::OauthCustom => Ok(Outcome::Good(Account {
                label: None,
                metadata: json!({}),
                detail: String::new(),
            })),
            Credential::Email => mailbox::try_out(self, way(app, owner.workspace), purpose).await,
            Credential::Oauth => probe::by_token(self, app, owner).await,
        }
    }

    /// What has to work before it is stored.
    pub async fn confirm(&self, app: &App, owner: PoolKey) -> AppResult<Account> {
        match self.try_out(app, owner, Purpose::Store).await? {
            Outcome::Good(account) => Ok(account.with(&self.said)),
            Outcome::Refused(told) | Outcome::Unknown(told) => Err(told.into()),
        }
    }

    /// For this version of this connection's credential, and for where it goes.
    pub fn seal(
        &self,
        key: &DataKey,
        workspace: WorkspaceId,
        connection: ConnectionId,
        version: i64,
    ) -> Vec<u8> {
        let mail = self.mail();
        let base_url = self.base_url.to_string();
        let context = SealContext {
            workspace,
            connection,
            field: vault::SECRET,
            version,
            service: &self.service.id,
            auth: &self.auth,
            destinations: &connections::destinations(&base_url, None, None, mail.as_ref()),
        };
        key.seal(&context, &self.secret)
    }

    /// As it is stored.
    pub fn mail(&self) -> Option<Value> {
        let mail = self.mail.as_ref()?;
        Some(json!({"imap": mail.imap, "smtp": mail.smtp}))
    }
}

// === impl Account ===

impl Account {
    fn with(mut self, said: &Value) -> Self {
        if let (Value::Object(all), Value::Object(said)) = (&mut self.metadata, said) {
            all.extend(said.clone());
        }
        self
    }
}

// === impl Told ===

impl Told {
    fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            hint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

impl From<Told> for AppError {
    fn from(told: Told) -> Self {
        let error = Self::bad_request(told.error);
        match told.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// The workspace's way to mail servers.
fn way(app: &App, workspace: WorkspaceId) -> ah5_mail::Way<'_> {
    ah5_mail::Way {
        net: &app.net,
        workspace,
    }
}

/// What a person typed into a field, without the blanks around it.
fn typed(input: &Input, name: &str, missing: &str) -> AppResult<String> {
    let text = input.optional_text(name)?.unwrap_or_default();
    not_blank(&text, missing)
}

/// A key or token: what every slot of a request can carry, and long enough to be one.
fn key(text: String, field: &str) -> AppResult<SecretText> {
    let secret = SecretText::new(text);
    let text = secret.expose();
    if !(MIN_SECRET..=MAX_SECRET).contains(&text.len()) {
        let why = format!("body/{field} must be {MIN_SECRET} to {MAX_SECRET} bytes long");
        return Err(AppError::bad_request(why));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!("body/{field} holds characters that cannot be sent");
        return Err(AppError::bad_request(why));
    }
    Ok(secret)
}

pub const MIN_SECRET: usize = 8;
pub const MAX_SECRET: usize = 8192;
const PASSING: &str = "This may be a temporary network issue.";
