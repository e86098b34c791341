//! Finds the chats that have written to a Telegram bot, so that nobody has to look for their ids.

use axum::extract::State;
use axum::response::IntoResponse as _;
use axum::{Extension, Json};
use serde_json::json;

use ah5_contracts::id::ConnectionId;
use ah5_store::connections;
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::Caller;
use crate::channels::bot::{Bot, NoBot};
use crate::channels::{Kind, Undelivered, telegram};
use crate::error::{AppError, AppResult};
use crate::input::Input;

use super::test::no_bot;

pub async fn chats(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    input: Input,
) -> AppResult {
    let id: ConnectionId = input.id("connectionId")?;
    let bot = {
        let mut db = app.db().await?;
        let tenant = Tenant::begin(&mut db, caller.workspace()).await?;
        let unknown = || AppError::not_found("Connection not found");
        let connection = connections::get(&tenant, id).await?.ok_or_else(unknown)?;
        if connection.service != Kind::Telegram.as_str() {
            return Err(AppError::bad_request(
                "Connection must be a telegram bot connection",
            ));
        }
        let bot = Bot::of(&app, &tenant, &connection).await;
        tenant.commit().await?;
        bot.map_err(|error| match error {
            NoBot::NotABot => AppError::bad_request("No bot token in connection"),
            error => no_bot(error),
        })?
    };
    let chats = telegram::chats(&bot, &app.exchange).await;
    let chats = chats.map_err(|error| match error {
        Undelivered::Refused(why) => AppError::bad_request(why),
        Undelivered::Later { .. } => AppError::bad_request("Failed to reach Telegram API"),
    })?;
    Ok(Json(json!({ "chats": chats })).into_response())
}
