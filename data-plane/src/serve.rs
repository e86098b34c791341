//! `data-plane serve`: opens what is needed, answers until told to stop, then drains. It starts
//! without Postgres too, but is not ready then.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ah5_edge::connection::{Drain, Phase, told_to_stop};
use ah5_edge::{Origin, announce};
use ah5_net::cdn_loop::CdnLoop;
use ah5_net::{Config as UpstreamConfig, Upstreams};
use ah5_oauth::refresh::{Parts, Refresher};
use ah5_policy::links::OwnLinks;
use ah5_policy::response::RuleFilter;
use ah5_security::ring::held::Held;
use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::admin::{self, Admin};
use crate::admission::Admission;
use crate::approvals::Approvals;
use crate::budgets::Budgets;
use crate::config::{Config, Upstream};
use crate::listener::Server;
use crate::pauses::Pauses;
use crate::plane::Plane;
use crate::proofs::Proofs;
use crate::quotas::Quotas;
use crate::request::authenticate::memory::Memory;
use crate::snapshot::keeper::Keeper;
use crate::spool::Spool;
use crate::streams::{self, Streams};
use crate::suspects::Suspects;
use crate::usage::{self, Usage};
use crate::vending::Vending;

/// Connections for proofs that the database remembers.
const PROOFS: usize = 2;
/// For refreshing credentials.
const REFRESHES: usize = 2;
/// Below the spool's folder: what providers handed out and the database does not have yet.
const HANDED: &str = "refreshes";
/// For the audit rows of the last answers to reach Postgres.
const FLUSH: Duration = Duration::from_secs(5);

pub async fn run(config: Config) -> anyhow::Result<()> {
    warn(&config);
    let (listen, admin_listen) = (bind(config.listen).await?, bind(config.admin).await?);
    let (listening, administering) = (listen.local_addr()?, admin_listen.local_addr()?);
    let metrics = ah5_telemetry::metrics::install();
    let own = [listening, administering];
    let upstreams = upstreams(config.upstream, &config.origin, &own, &config.database)?;
    let exempt = upstreams.clone();
    let ring = Held::from(config.ring.open_patiently().await?);
    tokio::spawn(ah5_keyring::follow(config.ring, ring.clone()));
    let handed = config.spool.folder.join(HANDED);
    let spool = Spool::start(config.spool, config.database.clone(), ring.clone())?;
    let approvals = Arc::new(Approvals::new(&config.database));
    let proofs = Proofs::new(ring.clone(), config.database.pool(PROOFS));
    let parts = Parts {
        installation: config.clients,
        pool: config.database.pool(REFRESHES),
        ring: ring.clone(),
        net: upstreams.clone(),
    };
    let refresher = Refresher::new(parts, &handed);
    refresher
        .prepare()
        .with_context(|| format!("cannot keep refreshed tokens in {}", handed.display()))?;
    tokio::spawn(refresher.clone().replay());
    let keeper = Keeper::start(
        config.database.clone(),
        config.listen_database,
        ring.clone(),
        Box::new(move |workspace, host, port| exempt.is_exempt(workspace, host, port)),
    );
    let origins = config.origin.spellings();
    let quotas = Arc::new(Quotas::new(&config.database));
    let plane = Arc::new(Plane {
        admission: Admission::new(config.limits),
        approvals,
        budgets: Arc::new(Budgets::new(quotas.pool())),
        cdn_loop: CdnLoop::new(authority(&config.origin)),
        freshener: keeper.freshener(),
        jwt_issuer: config.jwt_issuer,
        max_staleness: config.max_staleness,
        origin: config.origin,
        own_links: Arc::new(OwnLinks::new(&origins)),
        own_links_rule: Arc::new(RuleFilter::own_links(&origins)),
        origins,
        pauses: Pauses::default(),
        proofs,
        published: keeper.published(),
        quotas,
        recorder: spool.recorder(),
        refresher,
        required_via: config.required_via,
        streams: Arc::new(Streams::default()),
        suspects: Suspects::default(),
        tokens: Memory::new(),
        trusted_proxies: config.trusted_proxies,
        upstreams,
        usage: Arc::new(Usage::default()),
        vending: Vending::new(&config.database),
    });
    tokio::spawn(streams::watch(plane.clone()));
    let (used, open) = (plane.usage.clone(), plane.streams.clone());
    tokio::spawn(usage::keep(used, open, ring, config.database));
    let draining = Arc::new(AtomicBool::new(false));
    let admin = Admin {
        draining: draining.clone(),
        metrics,
        plane: plane.clone(),
        spool: spool.observer(),
    };
    tokio::spawn(admin::serve(admin_listen, admin));

    let (phase, phases) = watch::channel(Phase::Serving);
    let server = Server::new(config.listener, plane.clone(), phases);
    tracing::info!(%listening, admin = %administering, "the data plane is listening");
    if let Some(path) = config.address_file {
        announce::addresses(&path, listening, administering)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    tokio::spawn(leave(phase, draining, plane.clone(), config.drain));
    server.run(listen).await;
    spool.stop(FLUSH).await;
    tracing::info!("stopped");
    Ok(())
}

fn warn(config: &Config) {
    if config.shares_database_user {
        tracing::warn!(
            "DATA_PLANE_DATABASE_URL is not set: the data plane uses DATABASE_URL, and the \
             database does not limit what it may do"
        );
    }
    if !config.upstream.exemptions.is_empty() {
        tracing::warn!(
            "SSRF_ALLOWLIST_HOSTS is set: calls may reach these hosts at private addresses"
        );
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

fn upstreams(
    settings: Upstream,
    origin: &Origin,
    own: &[SocketAddr],
    database: &ah5_store::database::Database,
) -> anyhow::Result<Upstreams> {
    let mut own_addrs = settings.protected;
    own_addrs.extend_from_slice(own);
    own_addrs.extend(database.addresses());
    let config = UpstreamConfig {
        exemptions: settings.exemptions,
        extra_ca: settings.extra_ca,
        own_addrs,
        own_origins: origin.spellings(),
        resolve_overrides: settings.overrides,
        ..UpstreamConfig::default()
    };
    Upstreams::new(config).context("the way to providers cannot be set up")
}

/// What stands after the scheme.
fn authority(origin: &Origin) -> &str {
    origin.text.split_once("://").map_or("", |(_, rest)| rest)
}

/// Waits for the word to stop, then goes through the phases: the balancer is given time to notice,
/// answers under way are finished, and at the deadline what is left is cut and counted.
async fn leave(
    phase: watch::Sender<Phase>,
    draining: Arc<AtomicBool>,
    plane: Arc<Plane>,
    drain: Drain,
) {
    told_to_stop().await;
    draining.store(true, Ordering::Relaxed);
    sleep(drain.delay).await;
    phase.send_replace(Phase::Closing);
    // Every connection is gone when nobody hears of phases any more.
    if timeout(drain.deadline, phase.closed()).await.is_err() {
        let cut = plane.streams.cut_unless(|_| false);
        if cut > 0 {
            tracing::warn!(cut, "answers under way were ended at the deadline");
            metrics::counter!("ah5_streams_ended_at_deadline_total").increment(cut as u64);
        }
        phase.send_replace(Phase::Ending);
        phase.closed().await;
    }
}
