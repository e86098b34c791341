//! `control-plane serve`: opens what is needed, answers until told to stop, then drains.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower::Layer as _;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use ah5_store::migrate;

use crate::admin::{self, Admin};
use crate::app::App;
use crate::config::Config;
use crate::edge;
use crate::keys::Keys;
use crate::router;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
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

    let router = router::build(&app)
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_TIMEOUT,
        ))
        .layer(CatchPanicLayer::custom(panicked));
    // Outside of the router: it must see the path before a route is chosen.
    let service = MapRequestLayer::new(edge::drop_trailing_slash).layer(router);
    let service =
        axum::ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(service);
    tracing::info!(%listening, admin = %administering, "the control plane is ready");
    if let Some(path) = address_file {
        write_addresses(&path, listening, administering)?;
    }
    axum::serve(listen, service)
        .with_graceful_shutdown(stop(draining, drain_delay))
        .await?;
    Ok(())
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Readers never see half a file.
fn write_addresses(path: &Path, listen: SocketAddr, admin: SocketAddr) -> anyhow::Result<()> {
    let text = json!({"listen": listen, "admin": admin, "pid": std::process::id()}).to_string();
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)?;
    Ok(())
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
            let db = app.db().await?;
            ah5_store::audit::ensure_partitions(&db).await?;
            ah5_store::assertions::prune(&db).await
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "housekeeping failed; it is tried again in an hour");
        }
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    let body = json!({"error": "Internal server error"});
    (StatusCode::INTERNAL_SERVER_ERROR, Json(body)).into_response()
}
