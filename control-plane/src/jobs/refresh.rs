//! Has credentials renewed before they expire, so that no call waits for it. Every control plane looks;
//! the lease in the database says who does it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use ah5_oauth::refresh::RefreshError;
use ah5_security::random;
use ah5_store::StoreError;
use ah5_store::refreshes::{self, Seen};

use crate::app::App;

/// Runs for as long as the process.
pub async fn run(app: App) {
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        if let Err(error) = look(&app, &turns).await {
            tracing::warn!(%error, "what expires cannot be read; it is tried again soon");
        }
        // Control planes that were started together need not look together.
        let [byte] = random::bytes::<1>();
        sleep(LOOK_EVERY * (192 + u32::from(byte) / 2) / 256).await;
    }
}

async fn look(app: &App, turns: &Arc<Semaphore>) -> Result<(), StoreError> {
    let free = i32::try_from(turns.available_permits()).unwrap_or(0);
    if free == 0 {
        return Ok(());
    }
    let db = app.db().await?;
    let due = refreshes::due(&db, free).await?;
    drop(db);
    for seen in due {
        // Nobody else takes any.
        let Ok(turn) = turns.clone().try_acquire_owned() else {
            break;
        };
        let app = app.clone();
        tokio::spawn(async move {
            renew(&app, seen).await;
            drop(turn);
        });
    }
    Ok(())
}

async fn renew(app: &App, seen: Seen) {
    let outcome = match app.refresher.refresh(seen).await {
        Ok(_) => "renewed",
        Err(RefreshError::Gone) => "gone",
        Err(RefreshError::Later { .. }) => "put_off",
        Err(RefreshError::NeedsReauth) => "refused",
    };
    metrics::counter!("ah5_refreshes_total", "outcome" => outcome).increment(1);
}

const AT_ONCE: usize = 8;
const LOOK_EVERY: Duration = Duration::from_secs(4);
