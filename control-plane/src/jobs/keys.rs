//! Keeps the keys that this process holds as they are in the database, and does what is due about
//! them. A poll on a connection of its own, so that no load on the others delays it: a key that was
//! given up verifies nothing here within a second.

use std::sync::Arc;
use std::time::Duration;

use ah5_security::ring::held::InUse;
use ah5_store::StoreError;
use ah5_store::database::Client;
use ah5_store::ring;
use ah5_store::signing_keys::{self, StoredKey};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::app::App;
use crate::keys::{Keys, rotation};

/// Runs for as long as the process.
pub async fn run(app: App) {
    let work = Arc::new(Notify::new());
    tokio::spawn(tend(app.clone(), work.clone()));
    loop {
        match app.config.database.connect().await {
            Ok((client, _driver)) => {
                let Err(error) = follow(&app, &client, &work).await;
                tracing::warn!(%error, "the signing keys could not be read; reconnecting");
            }
            Err(error) => tracing::warn!(%error, "cannot reach the database for the signing keys"),
        }
        sleep(RECONNECT_AFTER).await;
    }
}

async fn follow(
    app: &App,
    client: &Client,
    work: &Notify,
) -> Result<std::convert::Infallible, StoreError> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut known = None;
    let mut reporter = Reporter::default();
    loop {
        ticks.tick().await;
        reporter.report(app, client).await?;
        let sent = Instant::now();
        let late = |_| StoreError::Unavailable("no answer in time".to_owned());
        let stored = timeout(DEADLINE, signing_keys::poll(client))
            .await
            .map_err(late)??;
        let in_use = app.ring();
        let state = (state(&stored), Arc::as_ptr(&in_use) as usize);
        if known.as_ref() == Some(&state) {
            app.confirm_keys(sent);
        } else {
            let keys = Keys::open(&in_use, &stored);
            tell(&keys, known.is_some());
            app.renew_keys(keys, sent);
            known = Some(state);
        }
        if !rotation::due(&in_use, &app.config.keys, &stored).is_empty() {
            work.notify_one();
        }
    }
}

/// Tells which keys of the ring this process holds: operators wait for all to hold a new one.
#[derive(Default)]
struct Reporter {
    told: Option<(Arc<InUse>, Instant)>,
}

// === impl Reporter ===

impl Reporter {
    async fn report(&mut self, app: &App, client: &Client) -> Result<(), StoreError> {
        let now = app.ring();
        let told = self.told.as_ref();
        if told.is_some_and(|(it, at)| Arc::ptr_eq(it, &now) && at.elapsed() < REPORT_EVERY) {
            return Ok(());
        }
        let late = |_| StoreError::Unavailable("no answer in time".to_owned());
        let report = ring::report(client, app.process, "control", &now);
        timeout(DEADLINE, report).await.map_err(late)??;
        self.told = Some((now, Instant::now()));
        Ok(())
    }
}

/// Beside the poll, which must not wait for it.
async fn tend(app: App, work: Arc<Notify>) {
    loop {
        work.notified().await;
        if let Err(error) = rotation::tend(&app).await {
            tracing::warn!(%error, "the signing keys could not be tended; it is tried again");
        }
        // What was done must be read before it is asked for again.
        sleep(2 * EVERY).await;
    }
}

fn tell(keys: &Keys, is_change: bool) {
    if is_change {
        tracing::info!("the signing keys have changed");
    }
    for kid in &keys.refused {
        tracing::error!(
            kid,
            "a signing key in the database is not vouched for by the key ring: it is not used"
        );
    }
    let refused = u32::try_from(keys.refused.len()).unwrap_or(u32::MAX);
    metrics::gauge!("ah5_signing_keys_refused").set(f64::from(refused));
}

/// What makes one set of keys another.
fn state(stored: &[StoredKey]) -> Vec<(String, Vec<u8>, bool)> {
    let of = |key: &StoredKey| {
        (
            key.kid.clone(),
            key.mac.clone(),
            key.sealed_private.is_some(),
        )
    };
    stored.iter().map(of).collect()
}

const REPORT_EVERY: Duration = Duration::from_secs(5);
const EVERY: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_millis(500);
const RECONNECT_AFTER: Duration = Duration::from_millis(250);
