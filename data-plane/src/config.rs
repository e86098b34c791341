//! The data plane's settings. Reading them opens nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_edge::connection::Drain;
use ah5_edge::{Origin, client};
use ah5_keyring::Source;
use ah5_net::guard::Exemptions;
use ah5_net::resolve::ResolveOverrides;
use ah5_oauth::installation::Installation;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use ah5_store::database::Database;
use ah5_telemetry::logs;
use ipnet::IpNet;

use crate::admission::Limits;
use crate::{listener, spool};

pub struct Config {
    pub database: Database,
    /// The same database without a pooler in between.
    pub listen_database: Database,
    /// The database user has more rights than the data plane needs.
    pub shares_database_user: bool,
    pub ring: Source,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub address_file: Option<PathBuf>,
    pub origin: Origin,
    pub jwt_issuer: String,
    pub max_staleness: Duration,
    pub drain: Drain,
    pub limits: Limits,
    /// The installation's clients at providers.
    pub clients: Arc<Installation>,
    pub listener: listener::Config,
    pub spool: spool::Config,
    pub required_via: spool::Via,
    pub trusted_proxies: Vec<IpNet>,
    pub upstream: Upstream,
    pub log: logs::Config,
}

/// How providers are reached.
pub struct Upstream {
    pub exemptions: Exemptions,
    pub extra_ca: Option<PathBuf>,
    pub overrides: ResolveOverrides,
    /// Further listeners of this installation that no call may reach.
    pub protected: Vec<SocketAddr>,
}

// === impl Config ===

impl Config {
    /// `None` exactly when a fault was noted.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let own = settings.optional("DATA_PLANE_DATABASE_URL");
        let shares_database_user = own.is_none();
        let url = own.or_else(|| settings.optional("DATABASE_URL"));
        let database = database(settings, url);
        let listen_database = match settings.optional("LISTEN_DATABASE_URL") {
            Some(url) => database_if(settings, "LISTEN_DATABASE_URL", Some(url)),
            None => database.clone(),
        };
        let ring = Source::read(settings);
        let origin = Origin::read(settings);
        let loopback = origin.as_ref().is_some_and(Origin::is_loopback);
        let upstream = Upstream::read(settings, loopback);
        let spool = spool(settings);
        let required_via = required_via(settings);
        let listener = listener::Config::read(settings);
        Some(Self {
            shares_database_user,
            listen: settings.parsed_or("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 4100))),
            admin: settings.parsed_or("ADMIN_ADDR", SocketAddr::from(([127, 0, 0, 1], 0))),
            address_file: settings.path("ADDRESS_FILE"),
            jwt_issuer: settings
                .optional("JWT_ISSUER")
                .unwrap_or_else(|| "web".into()),
            max_staleness: Duration::from_millis(settings.positive("MAX_STALENESS_MS", 10_000)),
            drain: Drain::read(settings),
            limits: limits(settings),
            clients: Arc::new(Installation::read(settings)),
            trusted_proxies: client::trusted_proxies(settings),
            log: logs::Config::read(settings),
            database: database?,
            listen_database: listen_database?,
            ring: ring?,
            origin: origin?,
            listener: listener?,
            spool: spool?,
            required_via: required_via?,
            upstream: upstream?,
        })
    }
}

// === impl Upstream ===

impl Upstream {
    fn read(settings: &mut Settings, loopback: bool) -> Option<Self> {
        let exempt = settings.list("SSRF_ALLOWLIST_HOSTS");
        let exemptions = each(
            settings,
            "SSRF_ALLOWLIST_HOSTS",
            Exemptions::parse(&exempt, loopback),
        );
        let resolve = settings.list("UPSTREAM_RESOLVE");
        let overrides = each(
            settings,
            "UPSTREAM_RESOLVE",
            ResolveOverrides::parse(&resolve, loopback),
        );
        let extra_ca = settings.path("UPSTREAM_CA_FILE");
        if let Some(path) = &extra_ca
            && let Err(error) = std::fs::metadata(path)
        {
            settings.fault(
                "UPSTREAM_CA_FILE",
                format_args!("{}: {error}", path.display()),
            );
        }
        let mut protected = Vec::new();
        for text in settings.list("PROTECTED_ADDRS") {
            match text.parse() {
                Ok(addr) => protected.push(addr),
                Err(_) => settings.fault("PROTECTED_ADDRS", "must be a list of address:port"),
            }
        }
        Some(Self {
            exemptions: exemptions?,
            extra_ca,
            overrides: overrides?,
            protected,
        })
    }
}

fn each<T>(settings: &mut Settings, name: &str, parsed: Result<T, Vec<String>>) -> Option<T> {
    match parsed {
        Ok(value) => Some(value),
        Err(faults) => {
            for fault in faults {
                settings.fault(name, fault);
            }
            None
        }
    }
}

fn database(settings: &mut Settings, url: Option<String>) -> Option<Database> {
    if url.is_none() {
        settings.fault("DATA_PLANE_DATABASE_URL", "is required");
    }
    database_if(settings, "DATA_PLANE_DATABASE_URL", url)
}

fn database_if(settings: &mut Settings, name: &str, url: Option<String>) -> Option<Database> {
    Database::parse(&SecretText::new(url?))
        .map_err(|error| settings.fault(name, error))
        .ok()
}

fn limits(settings: &mut Settings) -> Limits {
    Limits {
        connections: settings.positive("MAX_CONNECTIONS", 20_000),
        calls: settings.positive("MAX_CALLS_IN_FLIGHT", 10_000),
        bytes: settings.positive("MAX_BUFFERED_BYTES", 256 * 1024 * 1024),
        failed_auth_per_minute: settings.positive("RATE_LIMIT_FAILED_AUTH_PER_MINUTE", 300),
    }
}

fn spool(settings: &mut Settings) -> Option<spool::Config> {
    let sync_every = millis(settings, "SPOOL_SYNC_MS", 20);
    if sync_every.is_zero() || sync_every > spool::MAX_SYNC {
        settings.fault("SPOOL_SYNC_MS", "must be 1 to 50");
    }
    let folder = settings.path("SPOOL_DIR");
    if folder.is_none() {
        settings.fault("SPOOL_DIR", "is required: a folder of this process alone");
    }
    Some(spool::Config {
        folder: folder?,
        sync_every,
        queue: settings.positive("SPOOL_QUEUE", 65_536),
        max_bytes: settings.positive("SPOOL_MAX_BYTES", 1024 * 1024 * 1024),
    })
}

fn required_via(settings: &mut Settings) -> Option<spool::Via> {
    match settings.optional("AUDIT_REQUIRED_VIA").as_deref() {
        None | Some("spool") => Some(spool::Via::Spool),
        Some("postgres") => Some(spool::Via::Postgres),
        Some(_) => {
            settings.fault("AUDIT_REQUIRED_VIA", "must be spool or postgres");
            None
        }
    }
}

fn millis(settings: &mut Settings, name: &str, default: u64) -> Duration {
    Duration::from_millis(settings.parsed_or(name, default))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_reported_at_once() {
        let vars = [
            ("SPOOL_SYNC_MS", "51"),
            ("SSRF_ALLOWLIST_HOSTS", "169.254.169.254"),
            ("UPSTREAM_RESOLVE", "nonsense"),
            ("PUBLIC_ORIGIN", "nonsense"),
            ("MAX_CONNECTIONS", "0"),
            ("PROTECTED_ADDRS", "localhost"),
            ("TLS_CERT_FILE", "/nowhere"),
            ("AUDIT_REQUIRED_VIA", "hope"),
        ];
        let mut settings = Settings::from_vars(
            vars.into_iter()
                .chain([("GOOGLE_CLIENT_SECRET", "s")])
                .map(|(k, v)| (k.into(), v.into())),
        );
        assert!(Config::read(&mut settings).is_none());
        let faults = settings.finish().unwrap_err().to_string();
        let names = vars.map(|(name, _)| name);
        let missing = [
            "DATA_PLANE_DATABASE_URL",
            "GOOGLE_CLIENT_ID",
            "KEY_RING_FILE",
            "SPOOL_DIR",
        ];
        for name in names.into_iter().chain(missing) {
            assert!(faults.contains(name), "{name} is missing in {faults}");
        }
    }
}
