//! Follows the database for the readers of this process: what is new in their workspaces, and who may
//! still read it. A NOTIFY says where to look; it may get lost, so there is a poll beside it. Rights
//! are looked at after what is new was read and before it is passed on: nobody is told anything that
//! came after his right had ended.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use ah5_contracts::id::WorkspaceId;
use ah5_store::StoreError;
use ah5_store::listen::{Channel, Listener};
use ah5_store::notifications::{self, Reader};
use ah5_store::tenant::Tenant;

use super::{Hub, Recent};
use crate::app::App;
use crate::notices::frame::Told;

/// Runs for as long as the process.
pub async fn run(app: App) {
    tokio::join!(hear(&app), follow(&app));
}

async fn hear(app: &App) {
    let channels = [Channel::Changed, Channel::Notices];
    loop {
        match Listener::connect(&app.config.listen_database, &channels).await {
            Ok(mut listener) => {
                while let Ok(hint) = listener.next().await {
                    app.hub.hint(hint);
                }
                tracing::warn!("the LISTEN connection ended; the poll goes on");
            }
            Err(error) => tracing::warn!(%error, "cannot listen; the poll goes on"),
        }
        sleep(RECONNECT_AFTER).await;
    }
}

async fn follow(app: &App) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Since then it is known that all who read may.
    let mut sure = Instant::now();
    loop {
        let polled = tokio::select! {
            () = app.hub.news.notified() => false,
            _ = ticks.tick() => true,
        };
        let begun = Instant::now();
        if polled && sure.elapsed() >= CHECK_EVERY {
            app.hub.state().doubt_all();
        }
        match round(app, polled).await {
            Ok(true) => sure = begun,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "notifications wait");
                app.hub.state().doubt_all();
            }
        }
        if sure.elapsed() > MOST_DOUBT {
            app.hub.state().end_all();
        }
        metrics::gauge!("ah5_notification_readers").set(app.hub.count());
        // What comes meanwhile is one round.
        sleep(PAUSE).await;
    }
}

/// Says whether everybody's right was looked at.
async fn round(app: &App, polled: bool) -> Result<bool, StoreError> {
    let open = app.hub.workspaces();
    if open.is_empty() {
        return Ok(true);
    }
    let mut db = app.db().await?;
    if polled {
        app.hub.compare(&notifications::heads(&db, &open).await?);
    }
    let (wanted, doubted) = app.hub.take_work();
    let mut news = Vec::new();
    for workspace in wanted {
        if let Some(recent) = read_on(&mut db, &app.hub, workspace).await? {
            news.push((workspace, recent));
        }
    }
    let told = news.iter().map(|(workspace, _)| *workspace);
    let looked_at: Vec<WorkspaceId> = told.chain(doubted).collect();
    let (numbers, readers) = app.hub.readers_of(&looked_at);
    if !readers.is_empty() {
        let live = notifications::live_readers(&db, &readers).await?;
        let ended = numbers.iter().zip(&readers).zip(live);
        let ended = ended.filter(|(_, live)| !live);
        app.hub
            .end(ended.map(|((number, reader), _)| (reader.workspace, *number)));
    }
    for (workspace, recent) in news {
        app.hub.publish(workspace, recent);
    }
    Ok(open.iter().all(|workspace| looked_at.contains(workspace)))
}

/// What the room will know next; `None` if nobody is in it.
async fn read_on(
    db: &mut Object,
    hub: &Hub,
    workspace: WorkspaceId,
) -> Result<Option<Recent>, StoreError> {
    let Some(known) = hub.known(workspace) else {
        return Ok(None);
    };
    let tenant = Tenant::begin(db, workspace).await?;
    let Some(known) = known else {
        return Ok(Some(Recent::from(notifications::head(&tenant).await?)));
    };
    let found = notifications::after(&tenant, known.last(), PAGE).await?;
    if found.is_empty() && notifications::head(&tenant).await? < known.last() {
        // A restored database. Whoever comes back begins at its end.
        hub.clear(workspace);
        return Ok(None);
    }
    if i64::try_from(found.len()) == Ok(PAGE) {
        hub.want(workspace);
    }
    let told = found.iter().map(|it| Told::new(workspace, it));
    Ok(Some(known.with(told)))
}

// === impl Hub ===

impl Hub {
    fn count(&self) -> f64 {
        f64::from(u32::try_from(self.state().readers).unwrap_or(u32::MAX))
    }

    fn workspaces(&self) -> Vec<WorkspaceId> {
        self.state().rooms.keys().copied().collect()
    }

    fn want(&self, workspace: WorkspaceId) {
        self.state().wanted.insert(workspace);
        self.news.notify_one();
    }

    /// Wants what a lost hint spoke of. A restored database may have gone back.
    fn compare(&self, heads: &[(WorkspaceId, i64)]) {
        let mut state = self.state();
        for (workspace, head) in heads {
            let room = state.rooms.get(workspace);
            let known = room.and_then(|room| room.recent.borrow().clone());
            if known.is_none_or(|known| known.last() != *head) {
                state.wanted.insert(*workspace);
            }
        }
    }

    /// Where to read on, and whose readers to look at.
    fn take_work(&self) -> (Vec<WorkspaceId>, Vec<WorkspaceId>) {
        let mut state = self.state();
        let wanted = state.wanted.drain().collect();
        (wanted, state.doubted.drain().collect())
    }

    /// What the room knows so far; `None` if nobody is in it.
    fn known(&self, workspace: WorkspaceId) -> Option<Option<Arc<Recent>>> {
        let state = self.state();
        let room = state.rooms.get(&workspace)?;
        let known = room.recent.borrow().clone();
        Some(known)
    }

    fn readers_of(&self, workspaces: &[WorkspaceId]) -> (Vec<u64>, Vec<Reader>) {
        let state = self.state();
        let rooms = workspaces.iter().filter_map(|it| state.rooms.get(it));
        let entries = rooms.flat_map(|room| &room.readers);
        entries
            .map(|(number, entry)| (*number, entry.reader))
            .unzip()
    }

    fn end(&self, seats: impl Iterator<Item = (WorkspaceId, u64)>) {
        let mut state = self.state();
        for (workspace, number) in seats {
            state.leave(workspace, number);
        }
    }

    fn clear(&self, workspace: WorkspaceId) {
        let mut state = self.state();
        if let Some(room) = state.rooms.remove(&workspace) {
            state.readers -= room.readers.len();
        }
    }

    fn publish(&self, workspace: WorkspaceId, recent: Recent) {
        if let Some(room) = self.state().rooms.get(&workspace) {
            room.recent.send_replace(Some(Arc::new(recent)));
        }
    }
}

/// How long rights may be unknown before every stream is ended.
const MOST_DOUBT: Duration = Duration::from_secs(30);
const CHECK_EVERY: Duration = Duration::from_secs(10);
const PAGE: i64 = 32;
const PAUSE: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_secs(2);
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
