//! Keeps the snapshot fresh. Two readers on connections of their own find out what changed: NOTIFY
//! says so at once but may be lost, the poll of the version table twice a second misses nothing.
//! One publisher loads what they found. Knowledge counts as confirmed at the time a poll was sent,
//! and only once everything that the poll found is published.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use ah5_policy::Patterns;
use ah5_security::ring::held::{Held, InUse};
use ah5_store::StoreError;
use ah5_store::database::Database;
use ah5_store::listen::{Channel, Listener};
use ah5_store::snapshot::{GLOBAL, WorkspaceRows, load_globals, load_workspace};
use ah5_store::versions::{self, Found, Poller};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

use super::freshener::{Freshener, Stage};
use super::slow::SlowLane;
use super::{Published, Snapshot, compile};

const POLL_EVERY: Duration = Duration::from_millis(500);
const POLL_DEADLINE: Duration = Duration::from_millis(500);
const LOAD_DEADLINE: Duration = Duration::from_secs(5);
/// A workspace that takes longer goes out of the way of the others. So many of them at once, and it
/// is the database that is slow.
const FAST: Duration = Duration::from_secs(1);
const MOST_SLOW_AT_ONCE: usize = 3;
const RECONNECT_AFTER: Duration = Duration::from_millis(250);
const BACKLOG: usize = 64;

/// Tells whether plain http may be spoken to this host and port.
pub type PlainHttp = Box<dyn Fn(WorkspaceId, &str, u16) -> bool + Send + Sync>;

/// The tasks that keep the snapshot. They end when this is dropped.
pub struct Keeper {
    published: Arc<Published>,
    freshener: Arc<Freshener>,
    _tasks: JoinSet<()>,
}

pub(super) enum Finding {
    /// Somebody waits to know whether this workspace is as it was.
    Asked {
        workspace: WorkspaceId,
        stage: watch::Sender<Stage>,
    },
    Hint(WorkspaceId),
    Poll {
        sent: Instant,
        found: Found,
    },
    /// One that took its time; `None` is gone.
    Loaded {
        workspace: WorkspaceId,
        rows: Option<Box<WorkspaceRows>>,
    },
}

// === impl Keeper ===

impl Keeper {
    /// `listen` may be another address of the same database, where a pooler stands in between.
    #[must_use]
    pub fn start(database: Database, listen: Database, ring: Held, plain_http: PlainHttp) -> Self {
        let published = Arc::new(Published::new());
        let (findings, found) = mpsc::channel(BACKLOG);
        let freshener = Arc::new(Freshener::new(findings.clone()));
        let (slow, drive) = SlowLane::new(database.clone(), findings.clone());
        let publisher = Publisher {
            published: published.clone(),
            database: database.clone(),
            opened_with: ring.now(),
            ring,
            plain_http,
            patterns: Patterns::default(),
            pending: HashSet::new(),
            generation: None,
            afresh: HashSet::new(),
            slow,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(hear(listen, findings.clone()));
        tasks.spawn(poll(database, findings));
        tasks.spawn(drive);
        tasks.spawn(publisher.run(found));
        Self {
            published,
            freshener,
            _tasks: tasks,
        }
    }

    #[must_use]
    pub fn freshener(&self) -> Arc<Freshener> {
        self.freshener.clone()
    }

    #[must_use]
    pub fn published(&self) -> Arc<Published> {
        self.published.clone()
    }
}

async fn hear(database: Database, findings: mpsc::Sender<Finding>) {
    loop {
        match Listener::connect(&database, &[Channel::Changed]).await {
            Ok(mut listener) => {
                while let Ok(hint) = listener.next().await {
                    if findings.send(Finding::Hint(hint.workspace)).await.is_err() {
                        return;
                    }
                }
                tracing::warn!("the LISTEN connection ended; the poll goes on");
            }
            Err(error) => tracing::warn!(%error, "cannot listen; the poll goes on"),
        }
        sleep(RECONNECT_AFTER).await;
    }
}

async fn poll(database: Database, findings: mpsc::Sender<Finding>) {
    loop {
        match database.connect().await {
            Ok((client, _driver)) => {
                // A new connection begins with the whole table: it may be another server's.
                if let Err(error) = poll_on(Poller::new(client), &findings).await {
                    tracing::warn!(%error, "the version poll failed; reconnecting");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot reach the database"),
        }
        if findings.is_closed() {
            return;
        }
        sleep(RECONNECT_AFTER).await;
    }
}

async fn poll_on(mut poller: Poller, findings: &mpsc::Sender<Finding>) -> Result<(), StoreError> {
    let mut ticks = interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let sent = Instant::now();
        let found = within(POLL_DEADLINE, poller.poll()).await?;
        if findings.send(Finding::Poll { sent, found }).await.is_err() {
            return Ok(());
        }
    }
}

/// A connection and the task that drives it.
type Open = (ah5_store::database::Client, tokio::task::JoinHandle<()>);

struct Publisher {
    published: Arc<Published>,
    database: Database,
    ring: Held,
    /// What the snapshot was opened with.
    opened_with: Arc<InUse>,
    plain_http: PlainHttp,
    /// Of every policy that is published: equal ones are compiled and held once.
    patterns: Patterns,
    /// Known to have changed, not loaded yet. Outlives a lost connection.
    pending: HashSet<WorkspaceId>,
    /// Of the database that the snapshot is from.
    generation: Option<Uuid>,
    /// Of these nothing is taken from what is held: it is another database's.
    afresh: HashSet<WorkspaceId>,
    slow: SlowLane,
}

// === impl Publisher ===

impl Publisher {
    async fn run(mut self, mut found: mpsc::Receiver<Finding>) {
        let mut connection = None;
        while let Some(finding) = found.recv().await {
            let mut asked = None;
            let sent = match finding {
                Finding::Asked { workspace, stage } => {
                    stage.send_replace(Stage::Reading);
                    self.check(&mut connection, workspace).await;
                    asked = Some(stage);
                    None
                }
                other => self.note(other),
            };
            if let Err(error) = self.load(&mut connection).await {
                tracing::warn!(%error, "loading failed; it is tried again at the next poll");
                connection = None;
                continue;
            }
            if let Some(stage) = asked {
                stage.send_replace(Stage::Done);
            }
            if let Some(sent) = sent {
                self.published.confirm(sent);
            }
        }
    }

    /// A version that can't be read counts as another one.
    async fn check(&mut self, connection: &mut Option<Open>, workspace: WorkspaceId) {
        let known = self.published.current.load().version(workspace);
        let stored = match connection {
            Some((client, _)) => within(POLL_DEADLINE, versions::current(client, workspace)).await,
            None => Ok(None),
        };
        if stored
            .ok()
            .flatten()
            .is_none_or(|stored| Some(stored) != known)
        {
            self.pending.insert(workspace);
        }
    }

    fn note(&mut self, finding: Finding) -> Option<Instant> {
        match finding {
            Finding::Asked { workspace, .. } | Finding::Hint(workspace) => {
                self.pending.insert(workspace);
                None
            }
            Finding::Loaded { workspace, rows } => {
                self.loaded(workspace, rows.map(|rows| *rows));
                None
            }
            Finding::Poll { sent, found } => {
                self.compare(found);
                Some(sent)
            }
        }
    }

    /// What differs has changed. In a restored database equal numbers may stand for another content,
    /// so under another generation everything has.
    fn compare(&mut self, found: Found) {
        let now = self.published.current.load();
        let before = self.generation.replace(found.generation);
        let renewed = before.is_some_and(|before| before != found.generation);
        if found.is_whole {
            let listed: HashSet<WorkspaceId> = found.changed.iter().map(|(id, _)| *id).collect();
            let held = now.workspaces.keys().copied();
            let gone = held.filter(|id| !listed.contains(id));
            self.pending.extend(gone);
        }
        if renewed {
            tracing::warn!("the database was restored: everything is loaded anew");
            self.afresh = now.workspaces.keys().copied().collect();
        }
        let news = found
            .changed
            .into_iter()
            .filter(|(id, version)| renewed || now.version(*id) != Some(*version));
        self.pending.extend(news.map(|(id, _)| id));
    }

    /// Publishes together what loads: one swap for all that one poll found. A workspace that does not
    /// load holds nobody up: it is marked as behind and loaded apart.
    async fn load(&mut self, connection: &mut Option<Open>) -> Result<(), StoreError> {
        self.follow_ring();
        self.pending.retain(|id| !self.slow.changed(*id));
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut next = Snapshot::clone(&self.published.current.load());
        let mut failed = 0;
        let mut put = Vec::new();
        for id in self.pending.clone() {
            let (client, _) = match connection {
                Some(open) => open,
                None => connection.insert(within(LOAD_DEADLINE, self.database.connect()).await?),
            };
            if id == GLOBAL {
                let rows = within(LOAD_DEADLINE, load_globals(client)).await?;
                let globals = compile::globals(rows, &self.opened_with);
                next.globals = Arc::new(globals.ok_or_else(foreign_ring)?);
                continue;
            }
            match within(FAST, load_workspace(client, id)).await {
                Ok(rows) => {
                    self.put(&mut next, id, rows);
                    put.push(id);
                }
                Err(error) if failed == MOST_SLOW_AT_ONCE => return Err(error),
                Err(error) => {
                    tracing::error!(workspace = %id, %error, "a workspace does not load in time");
                    failed += 1;
                    *connection = None;
                    self.slow.take(id);
                    next.behind.insert(id, self.published.confirmed_at());
                }
            }
        }
        self.published.publish(next);
        self.pending.clear();
        self.afresh.retain(|id| !put.contains(id));
        Ok(())
    }

    /// What another ring did not open may open now, and what it vouched for may be nobody's.
    fn follow_ring(&mut self) {
        let ring = self.ring.now();
        if Arc::ptr_eq(&ring, &self.opened_with) {
            return;
        }
        self.opened_with = ring;
        let held = self.published.current.load();
        let shut = held.workspaces.iter().filter(|(_, it)| it.key.is_none());
        self.pending.extend(shut.map(|(id, _)| *id));
        self.pending.insert(GLOBAL);
    }

    /// What was loaded apart.
    fn loaded(&mut self, id: WorkspaceId, rows: Option<WorkspaceRows>) {
        let mut next = Snapshot::clone(&self.published.current.load());
        self.put(&mut next, id, rows);
        if self.slow.loaded(id) {
            next.behind.remove(&id);
        }
        self.published.publish(next);
        self.afresh.remove(&id);
    }

    fn put(&mut self, next: &mut Snapshot, id: WorkspaceId, rows: Option<WorkspaceRows>) {
        let before = next.workspaces.get(&id).cloned();
        let before = before.filter(|_| !self.afresh.contains(&id));
        match rows {
            Some(rows) => {
                let compiled = compile::workspace(
                    rows,
                    before.as_deref(),
                    &self.opened_with,
                    &|host, port| (self.plain_http)(id, host, port),
                    &mut self.patterns,
                );
                next.workspaces.insert(id, Arc::new(compiled));
            }
            None => drop(next.workspaces.remove(&id)),
        }
    }
}

impl Snapshot {
    fn version(&self, id: WorkspaceId) -> Option<i64> {
        if id == GLOBAL {
            return Some(self.globals.version);
        }
        self.workspaces.get(&id).map(|workspace| workspace.version)
    }
}

pub(super) async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let late = |_| StoreError::Unavailable("no answer in time".to_owned());
    timeout(deadline, work).await.map_err(late)?
}

/// Nobody's token could be verified: all would be told that theirs are bad.
fn foreign_ring() -> StoreError {
    let why = "no verification key is of our key ring: is KEY_RING_FILE the one this database was made with?";
    StoreError::Bug(why.to_owned())
}
