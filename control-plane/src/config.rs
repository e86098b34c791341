//! The control plane's settings. Reading them opens nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ah5_contracts::claims::MAX_AGENT_TOKEN_SECONDS;
use ah5_contracts::id::WorkspaceId;
use ah5_edge::connection::Drain;
use ah5_edge::{Origin, client};
use ah5_keyring::Source;
use ah5_net::guard::Exemptions;
use ah5_net::resolve::ResolveOverrides;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use ah5_store::database::Database;
use ah5_store::migrate::Passwords;
use ah5_telemetry::logs;
use ipnet::IpNet;

use crate::social::config::Party;
use crate::{gates, keys, mail, oauth, social};

pub struct Config {
    pub database: Database,
    /// The same without a pooler in between, which can't pass on what is notified.
    pub listen_database: Database,
    pub pool_size: usize,
    pub ring: Source,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub address_file: Option<PathBuf>,
    pub origin: Origin,
    pub jwt_issuer: String,
    pub agent_token_ttl: i64,
    pub keys: keys::Config,
    pub bootstrap_secret_hours: i32,
    pub bootstrap_per_minute: u32,
    pub token_per_minute: u32,
    pub sign_in_per_minute: u32,
    pub failed_auth_per_minute: u32,
    /// Of everything without a limit of its own.
    pub general_per_quarter: u32,
    /// How many a workspace may have at most.
    pub workspace_connections: i64,
    /// For what providers handed out and the database does not have yet.
    pub refresh_folder: PathBuf,
    /// Whom we may call, and how.
    pub outbound: Outbound,
    pub mail: Option<mail::config::Config>,
    pub parties: Vec<Party>,
    /// Clients at providers, for connections.
    pub oauth: oauth::Config,
    pub drain: Drain,
    /// An idle connection, and a head under way, are given so long.
    pub keep_alive: Duration,
    /// How many whole months of the audit log are kept besides the running one; unset: all.
    pub audit_retention_months: Option<u16>,
    /// Who may say on whose behalf it connects.
    pub trusted_proxies: Vec<IpNet>,
    pub gates: gates::Config,
    pub build: Build,
    pub log: logs::Config,
}

/// The operator's word on outbound connections.
#[derive(Clone, Default)]
pub struct Outbound {
    pub exemptions: Exemptions,
    pub extra_ca: Option<PathBuf>,
    pub overrides: ResolveOverrides,
}

/// Which build this is, as its maker names it.
pub struct Build {
    pub number: String,
    pub date: String,
    pub commit: String,
}

// === impl Config ===

/// Kept when the machine starts anew.
const REFRESH_DIR: &str = "/var/tmp/agenthifive-refreshes";

impl Config {
    /// `None` exactly when a fault was noted.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let database = database(settings, &["DATABASE_URL"]);
        let listen_database = match settings.optional("LISTEN_DATABASE_URL") {
            Some(_) => self::database(settings, &["LISTEN_DATABASE_URL"]),
            None => database.clone(),
        };
        let ring = Source::read(settings);
        let origin = Origin::read(settings);
        // What is allowed on a loopback origin only is no second fault where the origin is one.
        let local = origin.as_ref().is_none_or(Origin::is_loopback);
        let outbound = Outbound::read(settings, local);
        let mail = mail::config::Config::read(settings, local);
        let parties = social::config::read(settings);
        // Whoever develops reloads a lot.
        let general = if local { 5000 } else { 1000 };
        Some(Self {
            pool_size: settings.positive("DB_POOL_SIZE", 10),
            listen: settings.parsed_or("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 4000))),
            admin: settings.parsed_or("ADMIN_ADDR", SocketAddr::from(([127, 0, 0, 1], 0))),
            address_file: settings.path("ADDRESS_FILE"),
            jwt_issuer: settings
                .optional("JWT_ISSUER")
                .unwrap_or_else(|| "web".into()),
            agent_token_ttl: agent_token_ttl(settings),
            keys: keys::Config::read(settings),
            bootstrap_secret_hours: settings.positive("BOOTSTRAP_SECRET_TTL_HOURS", 1),
            bootstrap_per_minute: settings.positive("RATE_LIMIT_BOOTSTRAP_PER_MINUTE", 5),
            token_per_minute: settings.positive("RATE_LIMIT_TOKEN_PER_MINUTE", 30),
            sign_in_per_minute: settings.positive("RATE_LIMIT_SIGN_IN_PER_MINUTE", 30),
            failed_auth_per_minute: settings.positive("RATE_LIMIT_FAILED_AUTH_PER_MINUTE", 300),
            workspace_connections: settings.positive("WORKSPACE_MAX_CONNECTIONS", 500),
            general_per_quarter: settings.positive("RATE_LIMIT_PER_15_MINUTES", general),
            refresh_folder: settings
                .path("REFRESH_DIR")
                .unwrap_or_else(|| REFRESH_DIR.into()),
            drain: Drain::read(settings),
            keep_alive: Duration::from_millis(settings.positive("KEEP_ALIVE_MS", 75_000)),
            audit_retention_months: months(settings),
            trusted_proxies: client::trusted_proxies(settings),
            gates: gates::Config::read(settings),
            oauth: oauth::Config::read(settings),
            build: Build::read(settings),
            log: logs::Config::read(settings),
            database: database?,
            listen_database: listen_database?,
            ring: ring?,
            outbound: outbound?,
            mail,
            parties,
            origin: origin?,
        })
    }
}

impl Config {
    /// Whether the operator exempts this host and port for the workspace.
    pub fn allows_plain_http(&self, workspace: WorkspaceId, host: &str, port: u16) -> bool {
        self.outbound.exemptions.covers(workspace, host, port)
    }
}

// === impl Outbound ===

impl Outbound {
    fn read(settings: &mut Settings, loopback: bool) -> Option<Self> {
        let exempt = settings.list("SSRF_ALLOWLIST_HOSTS");
        let exemptions = Exemptions::parse(&exempt, loopback);
        let resolve = settings.list("UPSTREAM_RESOLVE");
        let overrides = ResolveOverrides::parse(&resolve, loopback);
        for (name, faults) in [
            ("SSRF_ALLOWLIST_HOSTS", exemptions.as_ref().err()),
            ("UPSTREAM_RESOLVE", overrides.as_ref().err()),
        ] {
            for fault in faults.into_iter().flatten() {
                settings.fault(name, fault);
            }
        }
        let extra_ca = settings.path("UPSTREAM_CA_FILE");
        if let Some(path) = &extra_ca
            && let Err(error) = std::fs::metadata(path)
        {
            let why = format!("{}: {error}", path.display());
            settings.fault("UPSTREAM_CA_FILE", why);
        }
        Some(Self {
            exemptions: exemptions.ok()?,
            extra_ca,
            overrides: overrides.ok()?,
        })
    }
}

// === impl Build ===

impl Build {
    /// What is set when the process starts, else what was set when it was built.
    fn read(settings: &mut Settings) -> Self {
        let mut text = |name, built: Option<&str>, default: &str| {
            let given = settings.optional(name);
            given.unwrap_or_else(|| built.unwrap_or(default).to_owned())
        };
        Self {
            number: text("BUILD_NUMBER", option_env!("BUILD_NUMBER"), "dev"),
            date: text("BUILD_DATE", option_env!("BUILD_DATE"), "unknown"),
            commit: text("GIT_SHA", option_env!("GIT_SHA"), "unknown"),
        }
    }
}

/// The migration's database, and the passwords to give the login users.
pub fn migrate(settings: &mut Settings) -> Option<(Database, Passwords)> {
    let passwords = Passwords {
        control: settings
            .optional("CONTROL_LOGIN_PASSWORD")
            .map(SecretText::new),
        data: settings
            .optional("DATA_LOGIN_PASSWORD")
            .map(SecretText::new),
    };
    Some((
        database(settings, &["MIGRATE_DATABASE_URL", "DATABASE_URL"])?,
        passwords,
    ))
}

fn database(settings: &mut Settings, names: &[&'static str]) -> Option<Database> {
    let found = names
        .iter()
        .find_map(|name| Some((*name, settings.optional(name)?)));
    let Some((name, url)) = found else {
        settings.fault(names[names.len() - 1], "is required");
        return None;
    };
    Database::parse(&SecretText::new(url))
        .map_err(|error| settings.fault(name, error))
        .ok()
}

fn agent_token_ttl(settings: &mut Settings) -> i64 {
    let seconds = settings.positive("AGENT_TOKEN_TTL_SECONDS", 7200);
    if seconds > MAX_AGENT_TOKEN_SECONDS {
        let fault = format!("must be at most {MAX_AGENT_TOKEN_SECONDS} (thirty days)");
        settings.fault("AGENT_TOKEN_TTL_SECONDS", fault);
    }
    seconds
}

fn months(settings: &mut Settings) -> Option<u16> {
    let months = settings.parsed("AUDIT_RETENTION_MONTHS");
    if months == Some(0) {
        settings.fault(
            "AUDIT_RETENTION_MONTHS",
            "must be 1 or more, or unset to keep everything",
        );
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_reported_at_once() {
        let vars = [
            ("AGENT_TOKEN_TTL_SECONDS", "2592001"),
            ("AUDIT_RETENTION_MONTHS", "0"),
            ("KEY_PUBLICATION_SECONDS", "1"),
            ("KEY_ROTATION_DAYS", "-1"),
            ("DB_POOL_SIZE", "0"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,nonsense"),
            ("PUBLIC_ORIGIN", "nonsense"),
            ("UPSTREAM_RESOLVE", "nonsense"),
            ("UPSTREAM_CA_FILE", "/nowhere/ca.pem"),
            ("SMTP_HOST", "mx"),
            ("SMTP_TLS", "nonsense"),
            ("SMTP_USERNAME", "u"),
            ("LISTEN_ADDR", "x"),
        ];
        let mut settings = Settings::from_vars(vars.map(|(k, v)| (k.into(), v.into())));
        assert!(Config::read(&mut settings).is_none());
        let faults = settings.finish().unwrap_err().to_string();
        let names = vars.into_iter().filter(|(name, _)| *name != "SMTP_HOST");
        let missing = ["DATABASE_URL", "KEY_RING_FILE", "EMAIL_FROM"];
        for name in names.map(|(name, _)| name).chain(missing) {
            assert!(faults.contains(name), "{name} is missing in {faults}");
        }
    }
}
