//! `control-plane serve`: opens what is needed, answers until told to stop, then drains.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use ah5_edge::announce;
use ah5_edge::connection::{Drain, Phase, told_to_stop};
use ah5_net::Upstreams;
use ah5_security::ring::held::Held;
use ah5_store::StoreError;
use ah5_store::migrate::{self, MigrateError};

use crate::admin::{self, Admin};
use crate::app::App;
use crate::channels::courier;
use crate::config::Config;
use crate::jobs;
use crate::keys::Keys;
use crate::listener;
use crate::mail::carrier::Carrier;
use crate::mail::postman;
use crate::notices::hub::follow;
use crate::router;

const HOUSEKEEPING: Duration = Duration::from_secs(3600);
/// Between two looks for the database.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

pub async fn run(config: Config) -> anyhow::Result<()> {
    let pool = config.database.pool(config.pool_size);
    let (listen, admin_listen) = (bind(config.listen).await?, bind(config.admin).await?);
    let address_file = config.address_file.clone();
    let (drain, keep_alive) = (config.drain, config.keep_alive);
    let own = [listen.local_addr()?, admin_listen.local_addr()?];
    let net = outbound(&config, &own)?;
    let carrier = match &config.mail {
        Some(mail) => Some(Carrier::new(&mail.provider)?),
        None => None,
    };
    tell_of_mail(&config);
    let ring = Held::from(config.ring.open_patiently().await?);
    tokio::spawn(ah5_keyring::follow(config.ring.clone(), ring.clone()));
    let app = App::new(config, ring, pool, &net);
    let handed = &app.config.refresh_folder;
    app.refresher
        .prepare()
        .with_context(|| format!("cannot keep refreshed tokens in {}", handed.display()))?;
    let draining = Arc::new(AtomicBool::new(false));
    let admin = Admin {
        app: app.clone(),
        draining: draining.clone(),
        metrics: ah5_telemetry::metrics::install(),
    };
    let (listening, administering) = (listen.local_addr()?, admin_listen.local_addr()?);
    tokio::spawn(axum::serve(admin_listen, admin::router(admin)).into_future());
    tracing::info!(%listening, admin = %administering, "the control plane is listening");
    if let Some(path) = address_file {
        announce::addresses(&path, listening, administering)?;
    }
    let (phase, phases) = watch::channel(Phase::Serving);
    tokio::spawn(leave(phase, draining, drain));
    let closed = || app.hub.close();
    let serving = listener::serve(listen, router::build(&app), keep_alive, phases, closed);
    tokio::pin!(serving);
    let opening = open(&app);
    tokio::select! {
        () = &mut serving => {}
        opened = opening => {
            opened?;
            tokio::spawn(keep_house(app.clone()));
            tokio::spawn(follow::run(app.clone()));
            tokio::spawn(jobs::alarms::run(app.clone()));
            tokio::spawn(jobs::approvals::run(app.clone()));
            tokio::spawn(courier::run(app.clone()));
            tokio::spawn(jobs::keys::run(app.clone()));
            tokio::spawn(app.refresher.clone().replay());
            tokio::spawn(jobs::refresh::run(app.clone()));
            tokio::spawn(jobs::reauth::run(app.clone()));
            tokio::spawn(jobs::revocations::run(app.clone()));
            if let Some(carrier) = carrier {
                tokio::spawn(postman::run(app.clone(), carrier));
            }
            serving.await;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

fn tell_of_mail(config: &Config) {
    match &config.mail {
        Some(mail) if mail.proves_addresses() => {}
        Some(_) => tracing::warn!(
            "mail goes to a folder only: new addresses are taken at their word (loopback origin)"
        ),
        None if config.origin.is_loopback() => tracing::warn!(
            "no mail is configured: new addresses are taken at their word (loopback origin)"
        ),
        None => tracing::warn!("no mail is configured: sign-up is closed"),
    }
}

pub fn outbound(config: &Config, own: &[SocketAddr]) -> anyhow::Result<Upstreams> {
    let mut own_addrs = own.to_vec();
    own_addrs.extend(config.database.addresses());
    let settings = config.outbound.clone();
    let net = ah5_net::Config {
        exemptions: settings.exemptions,
        extra_ca: settings.extra_ca,
        own_addrs,
        own_origins: config.origin.spellings(),
        resolve_overrides: settings.overrides,
        ..ah5_net::Config::default()
    };
    Upstreams::new(net).context("the way out cannot be set up")
}

/// Waits for the database, however long that takes. One that is there and does not fit is the
/// operator's to mend.
async fn open(app: &App) -> anyhow::Result<()> {
    let mut pause = FIRST_PAUSE;
    loop {
        let asked = Instant::now();
        match try_open(app).await {
            Ok(keys) => {
                app.renew_keys(keys, asked);
                tracing::info!("the control plane is ready");
                return Ok(());
            }
            Err(error) if is_passing(&error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the database is not available yet"
                );
            }
            Err(error) => return Err(error),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

async fn try_open(app: &App) -> anyhow::Result<Keys> {
    let (client, _driver) = app.config.database.connect().await?;
    migrate::check(&client).await?;
    Keys::load(app).await
}

/// Not there, starting, or about to become the primary.
fn is_passing(error: &anyhow::Error) -> bool {
    let store = error.downcast_ref::<StoreError>();
    let schema = error.downcast_ref::<MigrateError>();
    matches!(store, Some(StoreError::Unavailable(_)))
        || matches!(
            schema,
            Some(MigrateError::Standby | MigrateError::Store(StoreError::Unavailable(_)))
        )
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

/// Waits for the word to stop, then goes through the phases: the balancer is given time to notice,
/// answers under way are finished, and at the deadline what is left is cut.
async fn leave(phase: watch::Sender<Phase>, draining: Arc<AtomicBool>, drain: Drain) {
    told_to_stop().await;
    draining.store(true, Ordering::Relaxed);
    sleep(drain.delay).await;
    phase.send_replace(Phase::Closing);
    // Every connection is gone when nobody hears of phases any more.
    if timeout(drain.deadline, phase.closed()).await.is_err() {
        phase.send_replace(Phase::Ending);
        phase.closed().await;
    }
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
            ah5_store::approvals::prune(&db).await?;
            ah5_store::quotas::prune(&db).await?;
            ah5_store::ceremonies::prune(&db).await?;
            ah5_store::channel_outbox::prune(&db).await?;
            ah5_store::sessions::prune(&db).await?;
            ah5_store::agent_tokens::prune(&db).await?;
            ah5_store::assertions::prune(&db).await?;
            ah5_store::mail_proofs::prune(&db).await?;
            ah5_store::notifications::prune(&db).await?;
            ah5_store::pending_connections::prune(&db).await?;
            ah5_store::revocations::prune(&db).await?;
            ah5_store::sign_in_flows::prune(&db).await?;
            ah5_store::throttle::prune(&db).await?;
            ah5_store::vending::prune(&db).await?;
            let late = ah5_store::mail_outbox::prune(&db).await?;
            if late > 0 {
                tracing::error!(
                    late,
                    "letters were given up: no mail server took them in time"
                );
            }
            Ok::<(), StoreError>(())
        };
        if let Err(error) = done.await {
            tracing::warn!(%error, "housekeeping failed; it is tried again in an hour");
        }
    }
}
