//! Notification channels: one of each type a workspace. A new one, or a changed one, sends nothing
//! before it has proved that its messages arrive where they should.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};
use url::Url;

use ah5_contracts::audit::Action;
use ah5_contracts::id::{ChannelId, ConnectionId};
use ah5_security::secret::SecretText;
use ah5_security::webhook;
use ah5_store::channels::{self, Channel, NewChannel};
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use crate::app::{App, Record, time};
use crate::auth::caller::Caller;
use crate::channels::webhook::context;
use crate::channels::{Kind, address_of, setting};
use crate::error::{AppError, AppResult};
use crate::input::Input;
use crate::owners::tell_owners;
use crate::vault;

pub mod address;
pub mod code;
pub mod detect;
pub mod test;

pub async fn list(State(app): State<App>, Extension(caller): Extension<Caller>) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = channels::list(&tenant).await?;
    let listed = found.iter().map(|channel| {
        let mut json = shown(channel);
        if channel.channel_type == Kind::Webhook.as_str() {
            // The rest of it may be a secret of its receiver's.
            json["config"]["url"] = origin_of(setting(channel, "url")).into();
        }
        json["createdAt"] = time(channel.created_at).into();
        json
    });
    let body = json!({"channels": listed.collect::<Vec<_>>()});
    Ok(Json(body).into_response())
}

/// Makes the channel of this type, or makes it another one.
pub async fn put(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let kind = kind_of(&input)?;
    let connection = connection_of(&input, kind)?;
    let config = address::check(&app, caller.workspace(), kind, input.value("config"))?;
    code::may_mail(&app, kind, &config).await?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    if let Some(id) = connection {
        check_connection(&tenant, id, kind).await?;
    }
    let (secret, sealed) = match kind {
        Kind::Webhook => sealed_secret(&app, &tenant, &config).await?,
        Kind::Email | Kind::Slack | Kind::Telegram => (None, None),
    };
    let new = NewChannel {
        channel_type: kind.as_str(),
        connection,
        config: &config,
        sealed: sealed.as_deref(),
    };
    let channel = channels::put(&tenant, &new).await?;
    if kind == Kind::Email {
        code::mail(&app, &tenant, &channel).await?;
    }
    record(&app, &tenant, &caller, &channel, Action::ChannelConfigured).await?;
    tenant.commit().await?;
    app.mail.wake();
    let mut json = shown(&channel);
    if let Some(secret) = secret {
        // This once: what receivers check signatures with.
        json["secret"] = secret.expose().into();
    }
    Ok(Json(json!({ "channel": json })).into_response())
}

pub async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> AppResult {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let removed = channels::delete(&tenant, id.parse()?).await?;
    let removed = removed.ok_or_else(unknown)?;
    record(&app, &tenant, &caller, &removed, Action::ChannelDeleted).await?;
    tenant.commit().await?;
    Ok(Json(json!({"deleted": true})).into_response())
}

pub async fn set_enabled(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let id: ChannelId = id.parse()?;
    if !input.has("enabled") {
        let why = "body must have required property 'enabled'";
        return Err(AppError::bad_request(why));
    }
    let enabled = input.value("enabled").and_then(Value::as_bool);
    let enabled = enabled.ok_or_else(|| AppError::bad_request("body/enabled must be boolean"))?;
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let channel = channels::set_enabled(&tenant, id, enabled).await?;
    let channel = channel.ok_or_else(unknown)?;
    let action = match enabled {
        true => Action::ChannelEnabled,
        false => Action::ChannelDisabled,
    };
    record(&app, &tenant, &caller, &channel, action).await?;
    tenant.commit().await?;
    Ok(Json(json!({"id": id, "enabled": enabled})).into_response())
}

fn kind_of(input: &Input) -> Result<Kind, AppError> {
    if !input.has("channelType") {
        let why = "body must have required property 'channelType'";
        return Err(AppError::bad_request(why));
    }
    let name = input.one_of("channelType", &Kind::NAMES)?;
    let kind = name.and_then(Kind::from_stored);
    kind.ok_or_else(|| AppError::bad_request("body/channelType must be string"))
}

/// Only a bot's channel has one.
fn connection_of(input: &Input, kind: Kind) -> Result<Option<ConnectionId>, AppError> {
    match kind {
        Kind::Slack | Kind::Telegram => input.id("connectionId").map(Some),
        Kind::Email | Kind::Webhook if input.value("connectionId").is_some() => Err(
            AppError::bad_request(format!("A {} channel takes no connectionId", kind.as_str())),
        ),
        Kind::Email | Kind::Webhook => Ok(None),
    }
}

async fn check_connection(
    tenant: &Tenant<'_>,
    id: ConnectionId,
    kind: Kind,
) -> Result<(), AppError> {
    let unknown = || AppError::not_found("Connection not found");
    let found = connections::get(tenant, id).await?.ok_or_else(unknown)?;
    if found.service != kind.as_str() {
        let why = format!("Connection must be a {} bot connection", kind.as_str());
        return Err(AppError::bad_request(why));
    }
    if found.status != "healthy" {
        return Err(AppError::bad_request("Connection is not healthy"));
    }
    Ok(())
}

type Sealed = (Option<SecretText>, Option<Vec<u8>>);

async fn sealed_secret(app: &App, tenant: &Tenant<'_>, config: &Value) -> Result<Sealed, AppError> {
    let key = vault::key(app, tenant).await?;
    let (secret, url) = (
        webhook::secret(),
        config["url"].as_str().unwrap_or_default(),
    );
    let sealed = key.seal_channel(&context(tenant.workspace(), url), &secret);
    Ok((Some(secret), Some(sealed)))
}

async fn record(
    app: &App,
    tenant: &Tenant<'_>,
    caller: &Caller,
    channel: &Channel,
    action: Action,
) -> Result<(), AppError> {
    let kind = Kind::from_stored(&channel.channel_type);
    // A webhook's address may hold a secret of its receiver's.
    let to = kind.filter(|kind| *kind != Kind::Webhook);
    let to = to.map(|kind| setting(channel, address_of(kind)));
    let details = json!({"channelId": channel.id, "channelType": channel.channel_type, "to": to});
    let mut record = Record::new(caller.actor(), action, details);
    record.connection = channel.connection;
    tell_owners(app, tenant, record).await?;
    Ok(())
}

fn shown(channel: &Channel) -> Value {
    let status = if channel.verified {
        "verified"
    } else {
        "pending"
    };
    json!({
        "id": channel.id, "channelType": channel.channel_type, "enabled": channel.enabled,
        "connectionId": channel.connection, "config": channel.config,
        "verificationStatus": status, "error": channel.error,
    })
}

fn origin_of(url: &str) -> String {
    let origin = Url::parse(url).map(|url| url.origin().ascii_serialization());
    format!("{}/…", origin.unwrap_or_default())
}

fn unknown() -> AppError {
    AppError::not_found("Notification channel not found")
}
