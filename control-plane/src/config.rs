//! The control plane's settings. Reading them opens nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use ah5_store::database::Database;
use ah5_store::migrate::Passwords;
use ah5_telemetry::logs;
use url::Url;

pub struct Config {
    pub database: Database,
    pub pool_size: usize,
    pub ring: KeyRing,
    pub listen: SocketAddr,
    pub admin: SocketAddr,
    pub address_file: Option<PathBuf>,
    pub origin: Origin,
    pub jwt_issuer: String,
    pub agent_token_ttl: i64,
    pub bootstrap_secret_hours: i32,
    pub bootstrap_per_minute: u32,
    pub token_per_minute: u32,
    pub sign_in_per_minute: u32,
    pub plain_http_hosts: Vec<String>,
    pub drain_delay: Duration,
    pub log: logs::Config,
}

/// The one public origin of the installation.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Without a trailing slash, as browsers send it.
    pub text: String,
    pub https: bool,
    /// On a loopback origin both spellings of the host are ours.
    pub twin: Option<String>,
}

// === impl Config ===

impl Config {
    /// `None` exactly when a fault was noted.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let database = database(settings, &["DATABASE_URL"]);
        let ring = ring(settings);
        let origin = Origin::read(settings);
        Some(Self {
            pool_size: settings.parsed_or("DB_POOL_SIZE", 10),
            listen: settings.parsed_or("LISTEN_ADDR", SocketAddr::from(([127, 0, 0, 1], 4000))),
            admin: settings.parsed_or("ADMIN_ADDR", SocketAddr::from(([127, 0, 0, 1], 0))),
            address_file: settings.path("ADDRESS_FILE"),
            jwt_issuer: settings
                .optional("JWT_ISSUER")
                .unwrap_or_else(|| "web".into()),
            agent_token_ttl: settings.parsed_or("AGENT_TOKEN_TTL_SECONDS", 7200),
            bootstrap_secret_hours: settings.parsed_or("BOOTSTRAP_SECRET_TTL_HOURS", 1),
            bootstrap_per_minute: settings.parsed_or("RATE_LIMIT_BOOTSTRAP_PER_MINUTE", 5),
            token_per_minute: settings.parsed_or("RATE_LIMIT_TOKEN_PER_MINUTE", 30),
            sign_in_per_minute: settings.parsed_or("RATE_LIMIT_SIGN_IN_PER_MINUTE", 30),
            plain_http_hosts: settings.list("SSRF_ALLOWLIST_HOSTS"),
            drain_delay: Duration::from_millis(settings.parsed_or("DRAIN_DELAY_MS", 2000)),
            log: logs::Config::read(settings),
            database: database?,
            ring: ring?,
            origin: origin?,
        })
    }
}

impl Config {
    /// Whether the operator exempts this host (every port, or just this one).
    pub fn allows_plain_http(&self, host: &str, port: u16) -> bool {
        self.plain_http_hosts
            .iter()
            .any(|entry| match entry.rsplit_once(':') {
                Some((name, exact)) => name == host && exact.parse() == Ok(port),
                None => self.origin.is_loopback() && entry == host,
            })
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

fn ring(settings: &mut Settings) -> Option<KeyRing> {
    let Some(path) = settings.path("KEY_RING_FILE") else {
        settings.fault(
            "KEY_RING_FILE",
            "is required (make one with `control-plane keyring PATH`)",
        );
        return None;
    };
    KeyRing::load(&path)
        .map_err(|error| settings.fault("KEY_RING_FILE", error))
        .ok()
}

// === impl Origin ===

impl Origin {
    fn read(settings: &mut Settings) -> Option<Self> {
        let port: u16 = settings.parsed_or("PORT", 8080);
        let given = settings
            .optional("PUBLIC_ORIGIN")
            .or_else(|| settings.optional("WEB_URL"));
        let text = given.unwrap_or_else(|| format!("http://localhost:{port}"));
        let parsed = Self::parse(&text);
        if parsed.is_none() {
            settings.fault(
                "PUBLIC_ORIGIN",
                "must be scheme, host and maybe port: https://ah5.example.com",
            );
        }
        parsed
    }

    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let origin = url.origin().ascii_serialization();
        if !matches!(url.scheme(), "http" | "https") || origin != text.trim_end_matches('/') {
            return None;
        }
        let other = match url.host_str()? {
            "localhost" => Some("127.0.0.1"),
            "127.0.0.1" => Some("localhost"),
            _ => None,
        };
        let port = url
            .port()
            .map_or_else(String::new, |port| format!(":{port}"));
        let twin = other.map(|host| format!("{}://{host}{port}", url.scheme()));
        Some(Self {
            https: url.scheme() == "https",
            text: origin,
            twin,
        })
    }

    pub fn is_ours(&self, origin: &str) -> bool {
        origin == self.text || self.twin.as_deref() == Some(origin)
    }

    /// Every spelling of the origin.
    pub fn spellings(&self) -> Vec<String> {
        std::iter::once(self.text.clone())
            .chain(self.twin.clone())
            .collect()
    }

    pub const fn is_loopback(&self) -> bool {
        self.twin.is_some()
    }
}
