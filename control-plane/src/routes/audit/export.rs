//! The whole trail as a file, in a few kilobytes of memory: read step by step, each a short
//! transaction, only as fast as the reader takes it. Rows are never changed, so what is exported is
//! one consistent log; what came after the export began is not in it.

mod format;

use std::io;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use ah5_contracts::id::WorkspaceId;
use ah5_store::audit::scan::{self, Position};
use ah5_store::tenant::Tenant;

use super::event::Event;
use super::search::{self, Params, Search};
use crate::app::App;
use crate::auth::caller::Caller;
use crate::error::{AppError, AppResult};
use format::Format;

pub async fn export(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    params: Result<Query<Params>, QueryRejection>,
) -> AppResult {
    let params = search::take(params)?;
    let format = Format::of(params.format.as_deref())?;
    let search = params.search()?;
    let turn = app.exports.clone().acquire_owned();
    let turn = timeout(WAIT, turn).await.ok().and_then(Result::ok);
    let turn = turn.ok_or_else(AppError::unavailable)?;
    let mut export = Export {
        workspace: caller.workspace(),
        next: Some(search.top()),
        begun: false,
        app,
        search,
        format,
        _turn: turn,
    };
    // While nothing has been sent, a fault is still an answer.
    let first = export.step().await?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(export.run(first, sender));
    let body = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    let headers = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::CONTENT_DISPOSITION, format.disposition()),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

struct Export {
    app: App,
    workspace: WorkspaceId,
    search: Search,
    format: Format,
    next: Option<Position>,
    begun: bool,
    _turn: OwnedSemaphorePermit,
}

type Chunk = Result<Bytes, io::Error>;

// === impl Export ===

impl Export {
    /// Ends early, with a broken answer, when the database fails or the reader is too slow.
    async fn run(mut self, first: Bytes, reader: mpsc::Sender<Chunk>) {
        let end = Instant::now() + WITHIN;
        let mut chunk = first;
        loop {
            let sent = timeout(PATIENCE, reader.send(Ok(chunk))).await;
            if !matches!(sent, Ok(Ok(()))) || self.next.is_none() {
                return;
            }
            chunk = match timeout_at(end, self.step()).await {
                Ok(Ok(next)) => next,
                Ok(Err(_)) => return broken(&reader, "the database failed").await,
                Err(_) => return broken(&reader, "it took too long").await,
            };
        }
    }

    /// The next part of the file; clears `next` with the last.
    async fn step(&mut self) -> Result<Bytes, AppError> {
        let mut out = Vec::new();
        let Some(start) = self.next else {
            return Ok(Bytes::new());
        };
        let mut db = self.app.db().await?;
        let tenant = Tenant::begin(&mut db, self.workspace).await?;
        let step = scan::step(&tenant, &self.search.filter, start, STEP, STEP).await?;
        tenant.commit().await?;
        if start == self.search.top() {
            self.format.head(&mut out);
        }
        for row in &step.rows {
            for event in Event::of(row, self.search.action.as_deref()) {
                self.format.event(&mut out, event, !self.begun);
                self.begun = true;
            }
        }
        self.next = step.next;
        if self.next.is_none() {
            self.format.foot(&mut out);
        }
        Ok(out.into())
    }
}

// The reader must see that the file is not whole.
async fn broken(reader: &mpsc::Sender<Chunk>, why: &'static str) {
    tracing::warn!(why, "an export of the audit log broke off");
    let _ = timeout(PATIENCE, reader.send(Err(io::Error::other(why)))).await;
}

/// Rows that are in memory at once.
const STEP: usize = 1000;
/// How long a request waits for others to end.
const WAIT: Duration = Duration::from_secs(5);
/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(30);
const WITHIN: Duration = Duration::from_secs(1800);
