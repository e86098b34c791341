//! `GET /v1/notifications/stream`: notifications as they come, as server-sent events. Browsers open it
//! by the session's cookie, since they can send no header with it, and come back by themselves with
//! the id of the last event that they got.

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::mpsc;

use ah5_store::notifications::{self, Reader, Right};
use ah5_store::tenant::Tenant;

use crate::app::App;
use crate::auth::caller::{Caller, Via};
use crate::error::{AppError, AppResult};
use crate::listener::Hangup;
use crate::notices::feed::{Feed, QUEUE};
use crate::notices::frame::{Position, connected};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Params {
    /// For the first time; afterwards browsers say it in a header.
    last_event_id: Option<String>,
}

pub async fn open(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    hangup: Option<Extension<Hangup>>,
    headers: HeaderMap,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let Query(params) = params.map_err(|_| AppError::bad_request("querystring must be object"))?;
    let reader = reader(&caller)?;
    let seat = app.hub.join(&app, reader).map_err(|_| too_many())?;
    let head = head(&app, &reader).await?;
    let known = headers.get("last-event-id").and_then(|it| it.to_str().ok());
    let known = known.or(params.last_event_id.as_deref());
    let known = known.and_then(|text| Position::parse(text, reader.workspace));
    // What the database does not have, a restored one, say, can't be gone on from.
    let cursor = known.map_or(head, |seq| seq.min(head));
    let position = Position {
        workspace: reader.workspace,
        seq: cursor,
    };
    let (out, frames) = mpsc::channel(QUEUE);
    let retry = rand::random_range(RETRY_MILLIS);
    out.try_send(connected(position, retry))
        .map_err(AppError::internal)?;
    let feed = Feed {
        app,
        seat,
        cursor,
        out,
        hangup: hangup.map(|Extension(hangup)| hangup),
    };
    tokio::spawn(feed.run());
    let frames = stream::unfold(frames, |mut frames| async move {
        let frame = frames.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(frame), frames))
    });
    let kind = [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        // No proxy may hold it back.
        ("x-accel-buffering", "no"),
    ];
    Ok((kind, Body::from_stream(frames)).into_response())
}

fn reader(caller: &Caller) -> Result<Reader, AppError> {
    match caller {
        Caller::Agent { .. } => Err(AppError::forbidden(
            "This endpoint is not available to agents",
        )),
        Caller::User {
            id, workspace, via, ..
        } => Ok(Reader {
            user: *id,
            workspace: *workspace,
            by: match via {
                Via::Personal { token, .. } => Right::Token(*token),
                Via::Session(session) => Right::Session(*session),
            },
        }),
    }
}

async fn head(app: &App, reader: &Reader) -> Result<i64, AppError> {
    let mut db = app.db().await?;
    let tenant = Tenant::begin(&mut db, reader.workspace).await?;
    Ok(notifications::head(&tenant).await?)
}

fn too_many() -> AppError {
    let text = "Too many streams are open";
    let error = AppError::new(StatusCode::TOO_MANY_REQUESTS, text);
    error.retry_after(RETRY_SECONDS)
}

/// Readers of a process that went away come back one after the other.
const RETRY_MILLIS: std::ops::Range<u64> = 1000..4000;
const RETRY_SECONDS: u32 = 30;
