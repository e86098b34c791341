//! Log lines on standard error: text for people, JSON for collectors.

use ah5_settings::Settings;
use tracing_subscriber::EnvFilter;

/// `LOG_LEVEL` (a level or a filter such as `info,ah5_store=debug`) and `LOG_FORMAT`.
#[derive(Clone, Debug)]
pub struct Config {
    filter: String,
    json: bool,
}

// === impl Config ===

impl Config {
    pub fn read(settings: &mut Settings) -> Self {
        let filter = settings
            .optional("LOG_LEVEL")
            .unwrap_or_else(|| "info".to_owned());
        if let Err(error) = EnvFilter::try_new(&filter) {
            settings.fault("LOG_LEVEL", error);
        }
        let format = settings
            .optional("LOG_FORMAT")
            .unwrap_or_else(|| "text".to_owned());
        if format != "text" && format != "json" {
            settings.fault("LOG_FORMAT", "must be text or json");
        }
        Self {
            filter,
            json: format == "json",
        }
    }
}

/// Starts logging. A second call changes nothing.
pub fn init(config: &Config) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error means that a subscriber is there already.
    let _ = if config.json {
        lines.json().try_init()
    } else {
        lines.with_ansi(false).try_init()
    };
}
