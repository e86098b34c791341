//! Names of a Slack workspace's channels and people, for forms to choose from.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::{Value, json};
use tokio::time::timeout;

use ah5_contracts::id::ConnectionId;
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::channels::bot::{Bot, NoBot};
use crate::channels::{Undelivered, slack};
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub async fn lookup(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    input: Input,
) -> AppResult {
    let id: ConnectionId = id.parse()?;
    input.text("type")?;
    let kind = input.one_of("type", &["channels", "users"])?;
    let list = if kind == Some("users") {
        &USERS
    } else {
        &CHANNELS
    };
    let bot = bot(&app, &caller, id).await?;
    let turn = app.trying.take(caller.workspace());
    let _turn = turn.ok_or_else(AppError::unavailable)?;
    let items = timeout(DEADLINE, all(&app, &bot, list)).await;
    let items = items.unwrap_or_else(|_| Err(away()))?;
    Ok(Json(json!({"items": items})).into_response())
}

struct List {
    path: &'static str,
    member: &'static str,
    scope: &'static str,
    item: fn(&Bot, &Value) -> Option<Value>,
}

async fn bot(app: &App, caller: &Caller, id: ConnectionId) -> AppResult<Bot> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
    let found = connections::get(&tenant, id).await?;
    let found = found.ok_or_else(|| AppError::not_found("Connection not found"))?;
    let bad = |why: &str| AppError::bad_request(why);
    if found.service != "slack" {
        return Err(bad("Lookup is only supported for Slack connections"));
    }
    if found.status == "revoked" {
        return Err(bad("Connection is revoked"));
    }
    let bot = Bot::of(app, &tenant, &found).await.map_err(|no| match no {
        NoBot::NoToken => bad("No credentials stored for this connection"),
        NoBot::NotABot => bad("Lookup is only supported for Slack connections"),
        NoBot::Sealed => AppError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Failed to decrypt connection tokens",
        ),
        NoBot::Store(error) => error.into(),
    })?;
    tenant.commit().await?;
    Ok(bot)
}

/// Page by page, up to a bound.
async fn all(app: &App, bot: &Bot, list: &List) -> AppResult<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut path = list.path.to_owned();
        if let Some(cursor) = &cursor {
            let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
            path = format!("{path}&cursor={cursor}");
        }
        let page = slack::page(bot, &app.exchange, &path).await;
        let (page, next) = page.map_err(|error| refused(list, error))?;
        let found = page[list.member].as_array().map_or(&[][..], Vec::as_slice);
        items.extend(found.iter().filter_map(|item| (list.item)(bot, item)));
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    items.truncate(MAX_ITEMS);
    Ok(items)
}

fn refused(list: &List, error: Undelivered) -> AppError {
    match error {
        Undelivered::Refused(why) => AppError::bad_request(format!("Slack API error: {why}"))
            .hint(format!("The bot needs the scope {}.", list.scope)),
        Undelivered::Later { why, .. } => {
            tracing::info!(why, "a list of Slack's could not be read");
            away()
        }
    }
}

fn away() -> AppError {
    AppError::bad_request("Could not reach Slack API. Please try again later.")
}

fn channel(bot: &Bot, item: &Value) -> Option<Value> {
    let id = item["id"].as_str()?;
    let name = item["name"].as_str().map(|name| bot.quoted(name));
    Some(json!({
        "id": bot.quoted(id), "name": name.unwrap_or_default(),
        "isPrivate": item["is_private"] == true,
        "memberCount": item["num_members"].as_u64().unwrap_or_default(),
    }))
}

fn user(bot: &Bot, item: &Value) -> Option<Value> {
    let id = item["id"].as_str()?;
    if item["deleted"] == true || id == "USLACKBOT" {
        return None;
    }
    let texts = [
        &item["profile"]["display_name"],
        &item["real_name"],
        &item["name"],
    ];
    let mut texts = texts.into_iter().filter_map(Value::as_str);
    let shown = texts.find(|text| !text.is_empty()).unwrap_or_default();
    let name = item["name"].as_str().unwrap_or_default();
    Some(json!({
        "id": bot.quoted(id), "name": bot.quoted(name), "displayName": bot.quoted(shown),
        "isBot": item["is_bot"] == true,
    }))
}

const CHANNELS: List = List {
    path: "/api/conversations.list?types=public_channel,private_channel&exclude_archived=true\
           &limit=200",
    member: "channels",
    scope: "channels:read",
    item: channel,
};
const USERS: List = List {
    path: "/api/users.list?limit=200",
    member: "members",
    scope: "users:read",
    item: user,
};
const DEADLINE: Duration = Duration::from_secs(20);
const MAX_ITEMS: usize = 1000;
const MAX_PAGES: usize = 10;
