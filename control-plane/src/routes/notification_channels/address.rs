//! Where a channel's messages go: the one setting that each type needs. Others are kept as they are.

use ah5_contracts::id::WorkspaceId;
use serde_json::{Map, Value};

use crate::app::App;
use crate::channels::webhook::check_url;
use crate::channels::{Kind, address_of};
use crate::error::AppError;
use crate::input::Input;
use crate::routes::session::email_of;

/// The settings as they are stored: the address is a text, and one that can be right.
pub fn check(
    app: &App,
    workspace: WorkspaceId,
    kind: Kind,
    config: Option<&Value>,
) -> Result<Value, AppError> {
    let config =
        config.ok_or_else(|| AppError::bad_request("body must have required property 'config'"))?;
    let mut config: Map<String, Value> = match config {
        Value::Object(config) => config.clone(),
        _ => return Err(AppError::bad_request("body/config must be object")),
    };
    let name = address_of(kind);
    let given = Input::of(config.clone()).optional_text(name);
    let given =
        given.map_err(|_| AppError::bad_request(format!("body/config/{name} must be string")))?;
    let given = given.unwrap_or_default();
    let given = given.trim();
    if given.is_empty() {
        return Err(AppError::bad_request(missing(kind)));
    }
    let address = match kind {
        Kind::Email => email(&config)?,
        Kind::Slack => named(given, "channelId", "#-_.@")?,
        Kind::Telegram => named(given, "chatId", "-_@")?,
        Kind::Webhook => check_url(app, workspace, given)?.to_string(),
    };
    config.insert(name.to_owned(), address.into());
    let config = Value::Object(config);
    if config.to_string().len() > MAX_CONFIG {
        return Err(AppError::bad_request("body/config is too large"));
    }
    Ok(config)
}

fn email(config: &Map<String, Value>) -> Result<String, AppError> {
    let mut body = Map::new();
    let address = config.get("address").cloned();
    body.insert("email".to_owned(), address.unwrap_or_default());
    email_of(&Input::of(body))
        .map_err(|_| AppError::bad_request("body/config/address must match format \"email\""))
}

/// An id or a name as the service spells them.
fn named(text: &str, field: &str, besides: &str) -> Result<String, AppError> {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || besides.contains(c);
    if text.len() > MAX_NAME || !text.chars().all(is_legal) {
        let why = format!("body/config/{field} is not one");
        return Err(AppError::bad_request(why));
    }
    Ok(text.to_owned())
}

const fn missing(kind: Kind) -> &'static str {
    match kind {
        Kind::Email => "address is required for email channels",
        Kind::Slack => "channelId is required for Slack channels",
        Kind::Telegram => "chatId is required for Telegram channels",
        Kind::Webhook => "url is required for webhook channels",
    }
}

const MAX_CONFIG: usize = 4096;
const MAX_NAME: usize = 80;
