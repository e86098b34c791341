//! `control-plane serve`: opens what is needed, answers until told to stop, then drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use ah5_edge::announce;
use ah5_store::migrate;

use crate::admin::{self, Admin};
use crate::app::App;
use crate::config::Config;
use crate::keys::Keys;
use crate::listener;
use crate::router;

const HOUSEKEEPING: Duration = Duration::from_secs(3600);

pub async fn run(config: Config) -> anyhow::Result<()> {
    let (client, _driver) = config
        .database
        .connect()
        .await
        .context("cannot reach the database")?;
    migrate::check(&client).await?;
    let pool = config.database.pool(config.pool_size);
    let keys = Keys::load(&pool, &config.ring).await?;
    let (listen, admin_listen) = (bind(config.listen).await?, bind(config.admin).await?);
    let address_file = config.address_file.clone();
    let drain_delay = config.drain_delay;
    if config.origin.is_loopback() {
        tracing::warn!(
            "no mail is configured: new addresses count as verified (loopback origin only)"
        );
    }
    let app = App::new(config, pool, keys);
    tokio::spawn(keep_house(app.clone()));

    let draining = Arc::new(AtomicBool::new(false));
    let metrics = ah5_telemetry::metrics::install();
    let admin = Admin {
        app: app.clone(),
        draining: draining.clone(),
        metrics,
    };
    let (listening, administering) = (listen.local_addr()?, admin_listen.local_addr()?);
    tokio::spawn(axum::serve(admin_listen, admin::router(admin)).into_future());

    tracing::info!(%listening, admin = %administering, "the control plane is ready");
    if let Some(path) = address_file {
        announce::addresses(&path, listening, administering)?;
    }
    let stop = stop(draining, drain_delay);
    listener::serve(listen, router::build(&app), stop).await;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Returns when the process was told to stop and the balancer has had time to notice.
async fn stop(draining: Arc<AtomicBool>, delay: Duration) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    tracing::info!("draining");
    draining.store(true, Ordering::Relaxed);
    tokio::time::sleep(delay).await;
}

/// Hourly chores; any control plane may do them at any time.
async fn keep_house(app: App) {
    let mut ticks = tokio::time::interval(HOUSEKEEPING);
    loop {
        ticks.tick().await;
        let done = async {
            let mut db = app.db().await?;
            ah5_store::audit::ensure_partitions(&db).await?;
            if let Some(months) = app.config.audit_retention_months {
                for name in ah5_store::audit::drop_expired(&mut db, months).await? {
                    tracing::info!(partition = name, "expired audit rows were dropped");
                }
            }
            ah5_store::sessions::prune(&db).await?;
            ah5_store::assertions::prune(&db).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "housekeeping failed; it is tried again in an hour");
        }
    }
}
