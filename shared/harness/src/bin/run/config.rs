//! The settings of `make run` itself, and which settings go on to the planes. Reading them starts
//! nothing.

use std::path::PathBuf;

use ah5_settings::Settings;
use url::{Host, Url};

pub struct Config {
    /// Where everything is kept.
    pub folder: PathBuf,
    pub port: u16,
    pub replicas: usize,
    pub simulator: bool,
    pub existing_database: bool,
    /// Mail goes to a folder of ours.
    pub mail_folder: bool,
    pub passed_on: Vec<(String, String)>,
    pub faults: Vec<String>,
}

// === impl Config ===

impl Config {
    pub fn read() -> Self {
        Self::from(
            Settings::from_env(),
            std::env::vars_os().filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            }),
        )
    }

    fn from(mut settings: Settings, vars: impl Iterator<Item = (String, String)>) -> Self {
        let port = settings.parsed_or("PORT", 8080);
        if port == 0 {
            settings.fault("PORT", "must be a port that can be typed: 1 to 65535");
        }
        let replicas = settings.parsed_or("REPLICAS", 2);
        if replicas > MAX_REPLICAS {
            settings.fault("REPLICAS", format_args!("must be 0 to {MAX_REPLICAS}"));
        }
        let existing_database = settings.optional("DATABASE_URL").is_some();
        let loopback = is_loopback(&mut settings);
        let simulator = simulator(&mut settings, existing_database, loopback);
        let mail = ["EMAIL_PROVIDER", "SMTP_HOST"].map(|name| settings.optional(name));
        let folder = settings.path("LOCAL_DIR");
        let passed_on = vars.filter(|(name, value)| is_passed_on(name) && !value.is_empty());
        Self {
            folder: folder.unwrap_or_else(|| ".local".into()),
            port,
            replicas,
            simulator,
            existing_database,
            mail_folder: loopback && mail.iter().all(Option::is_none),
            passed_on: passed_on.collect(),
            faults: settings.finish().err().map_or_else(Vec::new, |it| it.0),
        }
    }
}

fn simulator(settings: &mut Settings, existing_database: bool, loopback: bool) -> bool {
    let possible = !existing_database && loopback;
    match settings.optional("SIMULATOR").as_deref() {
        None => possible,
        Some("off") => false,
        Some("on") => {
            if !possible {
                let why = "can be on only with a private database and a loopback PUBLIC_ORIGIN";
                settings.fault("SIMULATOR", why);
            }
            possible
        }
        Some(_) => {
            settings.fault("SIMULATOR", "must be on or off");
            false
        }
    }
}

// Whether the origin is one at all the planes say.
fn is_loopback(settings: &mut Settings) -> bool {
    let given = settings.optional("PUBLIC_ORIGIN");
    let Some(text) = given.or_else(|| settings.optional("WEB_URL")) else {
        return true;
    };
    match Url::parse(&text).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_passed_on(name: &str) -> bool {
    let bare = name.strip_suffix("_FILE").unwrap_or(name);
    // Sign-in providers have names of the operator's choice.
    let known = PASSED_ON.contains(&name) || PASSED_ON.contains(&bare);
    known || name.starts_with("AUTH_OIDC_")
}

const MAX_REPLICAS: usize = 32;

/// Settings of the planes that the operator may set.
const PASSED_ON: &[&str] = &[
    "AGENT_TOKEN_TTL_SECONDS",
    "AUDIT_REQUIRED_VIA",
    "AUDIT_RETENTION_MONTHS",
    "AUTH_GITHUB_CLIENT_ID",
    "AUTH_GITHUB_CLIENT_SECRET",
    "AUTH_GITHUB_URL",
    "AUTH_GOOGLE_CLIENT_ID",
    "AUTH_GOOGLE_CLIENT_SECRET",
    "AUTH_MICROSOFT_CLIENT_ID",
    "AUTH_MICROSOFT_CLIENT_SECRET",
    "AUTH_MICROSOFT_TENANT_ID",
    "AUTH_OIDC_PROVIDERS",
    "AWS_ACCESS_KEY_ID",
    "AWS_KMS_ENDPOINT",
    "AWS_KMS_KEY_ID",
    "AWS_REGION",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_FRONT_DOOR_ID",
    "BASIC_AUTH_PASSWORD",
    "BOOTSTRAP_SECRET_TTL_HOURS",
    "BUILD_DATE",
    "BUILD_NUMBER",
    "CONTROL_LOGIN_PASSWORD",
    "DATABASE_URL",
    "DATA_LOGIN_PASSWORD",
    "DATA_PLANE_DATABASE_URL",
    "DB_POOL_SIZE",
    "DISCORD_CLIENT_ID",
    "DISCORD_CLIENT_SECRET",
    "DRAIN_DEADLINE_MS",
    "DRAIN_DELAY_MS",
    "DROPBOX_CLIENT_ID",
    "DROPBOX_CLIENT_SECRET",
    "EMAIL_FROM",
    "EMAIL_OUTBOX_DIR",
    "EMAIL_PROVIDER",
    "GITHUB_CLIENT_ID",
    "GITHUB_CLIENT_SECRET",
    "GITLAB_CLIENT_ID",
    "GITLAB_CLIENT_SECRET",
    "GIT_SHA",
    "GOOGLE_CLIENT_ID",
    "GOOGLE_CLIENT_SECRET",
    "HUBSPOT_CLIENT_ID",
    "HUBSPOT_CLIENT_SECRET",
    "JWT_ISSUER",
    "KEEP_ALIVE_MS",
    "KEY_PUBLICATION_SECONDS",
    "KEY_RING_FILE",
    "KEY_RING_KMS",
    "KEY_ROTATION_DAYS",
    "LINEAR_CLIENT_ID",
    "LINEAR_CLIENT_SECRET",
    "LISTEN_DATABASE_URL",
    "LOG_FORMAT",
    "LOG_LEVEL",
    "MAX_BUFFERED_BYTES",
    "MAX_CALLS_IN_FLIGHT",
    "MAX_CONNECTIONS",
    "MAX_STALENESS_MS",
    "MICROSOFT_CLIENT_ID",
    "MICROSOFT_CLIENT_SECRET",
    "MICROSOFT_TENANT_ID",
    "MIGRATE_DATABASE_URL",
    "OAUTH_INSTALLATION_CLIENTS",
    "PROTECTED_ADDRS",
    "PUBLIC_ORIGIN",
    "RATE_LIMIT_BOOTSTRAP_PER_MINUTE",
    "RATE_LIMIT_FAILED_AUTH_PER_MINUTE",
    "RATE_LIMIT_PER_15_MINUTES",
    "RATE_LIMIT_SIGN_IN_PER_MINUTE",
    "RATE_LIMIT_TOKEN_PER_MINUTE",
    "RUST_BACKTRACE",
    "SALESFORCE_CLIENT_ID",
    "SALESFORCE_CLIENT_SECRET",
    "SMTP_CA_FILE",
    "SMTP_HOST",
    "SMTP_PASSWORD",
    "SMTP_PORT",
    "SMTP_TLS",
    "SMTP_USERNAME",
    "SPOOL_MAX_BYTES",
    "SPOOL_QUEUE",
    "SPOOL_SYNC_MS",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "SSRF_ALLOWLIST_HOSTS",
    "TRUSTED_PROXIES",
    "UPSTREAM_CA_FILE",
    "UPSTREAM_RESOLVE",
    "VAULT_ADDR",
    "VAULT_CA_FILE",
    "VAULT_NAMESPACE",
    "VAULT_TOKEN",
    "VAULT_TRANSIT_KEY",
    "VAULT_TRANSIT_MOUNT",
    "WEB_URL",
    "WORKSPACE_MAX_CONNECTIONS",
    "WRITE_STALL_MS",
    "ZOOM_CLIENT_ID",
    "ZOOM_CLIENT_SECRET",
];

/// Settings of the planes that are decided here: where they listen, say so and keep their spools.
/// TLS is for whoever stands in front. An import is a command of its own.
#[cfg(test)]
const DECIDED_HERE: &[&str] = &[
    "ADDRESS_FILE",
    "ADMIN_ADDR",
    "ENCRYPTION_KEY",
    "IMPORT_DATABASE_URL",
    "LISTEN_ADDR",
    "PORT",
    "REFRESH_DIR",
    "SPOOL_DIR",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(vars: &[(&str, &str)]) -> Config {
        let vars: Vec<(String, String)> = vars
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Config::from(Settings::from_vars(vars.clone()), vars.into_iter())
    }

    #[test]
    fn nothing_set_is_two_replicas_on_8080_with_the_simulator() {
        let config = read(&[]);
        assert_eq!((config.port, config.replicas), (8080, 2));
        assert!(config.simulator && !config.existing_database && config.mail_folder);
        assert!(config.faults.is_empty() && config.passed_on.is_empty());
    }

    #[test]
    fn the_simulator_stays_off_where_real_people_are_served() {
        assert!(!read(&[("SIMULATOR", "off")]).simulator);
        assert!(!read(&[("DATABASE_URL", "postgres://db/ah5")]).simulator);
        assert!(!read(&[("PUBLIC_ORIGIN", "https://ah5.example.com")]).simulator);
        assert!(read(&[("PUBLIC_ORIGIN", "http://127.0.0.1:9000")]).simulator);
        let forced = read(&[("SIMULATOR", "on"), ("WEB_URL", "https://a.example")]);
        assert!(!forced.simulator && forced.faults.len() == 1);
    }

    #[test]
    fn mail_goes_to_a_folder_only_where_nobody_else_would_wait_for_it() {
        assert!(!read(&[("SMTP_HOST", "mx")]).mail_folder);
        assert!(!read(&[("EMAIL_PROVIDER", "smtp")]).mail_folder);
        assert!(!read(&[("PUBLIC_ORIGIN", "https://ah5.example.com")]).mail_folder);
    }

    #[test]
    fn every_fault_is_found() {
        let config = read(&[("PORT", "0"), ("REPLICAS", "many"), ("SIMULATOR", "maybe")]);
        assert_eq!(config.faults.len(), 3, "{:?}", config.faults);
    }

    #[test]
    fn every_setting_of_the_planes_is_either_passed_on_or_decided_here() {
        let workspace = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let crates = [
            "control-plane",
            "data-plane",
            "shared/edge",
            "shared/keyring",
            "shared/telemetry",
        ];
        let mut names = Vec::new();
        for name in crates {
            settings_in(&workspace.join(name).join("src"), &mut names);
        }
        assert!(names.len() > 30, "{names:?}");
        names.retain(|name| {
            !PASSED_ON.contains(&name.as_str()) && !DECIDED_HERE.contains(&name.as_str())
        });
        assert_eq!(names, [""; 0], "unknown to `make run`");
    }

    /// What looks like a setting's name in the files that read settings, their tests left out.
    fn settings_in(folder: &std::path::Path, names: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                settings_in(&path, names);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.contains("ah5_settings::Settings") {
                continue;
            }
            let code = text.split("#[cfg(test)]").next().unwrap();
            let quoted = code.split('"').skip(1).step_by(2);
            let shouted = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            let named =
                |it: &&str| it.len() > 3 && it.starts_with(|c: char| c.is_ascii_uppercase());
            let found = quoted.filter(named).filter(|it| it.chars().all(shouted));
            names.extend(found.map(str::to_owned));
        }
    }

    #[test]
    fn only_known_settings_are_passed_on() {
        let config = read(&[
            ("LOG_LEVEL", "debug"),
            ("DATABASE_URL_FILE", "/dev/null"),
            ("LISTEN_ADDR", "0.0.0.0:1"),
            ("SPOOL_DIR", "/elsewhere"),
            ("AWS_PROFILE", "x"),
            ("JWT_ISSUER", ""),
            ("AUTH_OIDC_CORP_ISSUER", "https://id.example"),
            ("GOOGLE_CLIENT_SECRET_FILE", "/dev/null"),
        ]);
        let names: Vec<&str> = config.passed_on.iter().map(|(name, _)| &**name).collect();
        assert_eq!(
            names,
            [
                "LOG_LEVEL",
                "DATABASE_URL_FILE",
                "AUTH_OIDC_CORP_ISSUER",
                "GOOGLE_CLIENT_SECRET_FILE"
            ]
        );
    }
}
