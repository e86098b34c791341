//! The settings of mail.

use std::net::IpAddr;
use std::path::PathBuf;

use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use lettre::message::Mailbox;

pub struct Config {
    pub from: Mailbox,
    pub provider: Provider,
}

pub enum Provider {
    /// A folder of `.eml` files, for development: whoever can read it can be anybody.
    Outbox(PathBuf),
    Smtp(Smtp),
}

pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub credentials: Option<(String, SecretText)>,
    /// PEM file of an authority trusted besides the platform's.
    pub ca_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    None,
    StartTls,
    Tls,
}

// === impl Config ===

impl Config {
    /// `None` if there is to be no mail, or a fault was noted.
    pub fn read(settings: &mut Settings, loopback: bool) -> Option<Self> {
        let named = settings.optional("EMAIL_PROVIDER");
        let smtp = settings.optional("SMTP_HOST");
        let is_outbox = named.as_deref() == Some("outbox");
        // Its faults are noted by now; the sender's follow.
        let provider = match (named.as_deref(), smtp) {
            (None, None) => return None,
            (None | Some("smtp"), Some(host)) => Smtp::read(settings, host).map(Provider::Smtp),
            (Some("smtp"), None) => {
                settings.fault("SMTP_HOST", "is required for EMAIL_PROVIDER=smtp");
                None
            }
            (Some("outbox"), _) => outbox(settings, loopback).map(Provider::Outbox),
            (Some(_), _) => {
                settings.fault("EMAIL_PROVIDER", "must be smtp or outbox");
                None
            }
        };
        let from = settings.optional("EMAIL_FROM");
        let usual = is_outbox.then(|| "AgentHiFive <noreply@localhost>".to_owned());
        let from = from.or(usual);
        let Some(Ok(from)) = from.map(|from| from.parse()) else {
            let why = "is required: an address, or a name and an address: Name <user@example.com>";
            settings.fault("EMAIL_FROM", why);
            return None;
        };
        Some(Self {
            from,
            provider: provider?,
        })
    }

    /// Whether a letter reaches its addressee and nobody else, so that answering it proves who he
    /// is.
    pub const fn proves_addresses(&self) -> bool {
        matches!(self.provider, Provider::Smtp(_))
    }
}

// === impl Smtp ===

impl Smtp {
    fn read(settings: &mut Settings, host: String) -> Option<Self> {
        let security = match settings.optional("SMTP_TLS").as_deref() {
            None | Some("starttls") => Some(Security::StartTls),
            Some("tls") => Some(Security::Tls),
            Some("none") => Some(Security::None),
            Some(_) => {
                settings.fault("SMTP_TLS", "must be starttls, tls or none");
                None
            }
        };
        let user = settings.optional("SMTP_USERNAME");
        let password = settings.optional("SMTP_PASSWORD").map(SecretText::new);
        let credentials = match (user, password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user, password)),
            _ => {
                settings.fault("SMTP_USERNAME", "and SMTP_PASSWORD go together");
                None
            }
        };
        let security = security?;
        if security == Security::None && credentials.is_some() && !is_loopback(&host) {
            settings.fault("SMTP_TLS", "must not be none where a password is sent");
            return None;
        }
        let usual = if security == Security::Tls { 465 } else { 587 };
        Some(Self {
            port: settings.positive("SMTP_PORT", usual),
            ca_file: settings.path("SMTP_CA_FILE"),
            host,
            security,
            credentials,
        })
    }
}

fn outbox(settings: &mut Settings, loopback: bool) -> Option<PathBuf> {
    if !loopback {
        settings.fault("EMAIL_PROVIDER", "can be outbox only on a loopback origin");
        return None;
    }
    let folder = settings.path("EMAIL_OUTBOX_DIR");
    if folder.is_none() {
        settings.fault("EMAIL_OUTBOX_DIR", "is required for EMAIL_PROVIDER=outbox");
    }
    folder
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use ah5_edge::Origin;

    use super::*;

    fn read(origin: &str, vars: &[(&str, &str)]) -> Result<Option<Config>, String> {
        let vars = vars.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let mut settings = Settings::from_vars(vars);
        let loopback = Origin::parse(origin).unwrap().is_loopback();
        let config = Config::read(&mut settings, loopback);
        settings.finish().map_err(|e| e.to_string())?;
        Ok(config)
    }

    #[test]
    fn a_host_is_enough_to_send_by_and_no_mail_is_no_fault() {
        let origin = "https://ah5.example";
        assert!(read(origin, &[]).unwrap().is_none());
        let vars = [("SMTP_HOST", "mx"), ("EMAIL_FROM", "A <a@b.example>")];
        let config = read(origin, &vars).unwrap().unwrap();
        let Provider::Smtp(smtp) = &config.provider else {
            panic!("not smtp");
        };
        assert_eq!((smtp.port, smtp.security), (587, Security::StartTls));
        assert!(config.proves_addresses());
    }

    #[test]
    fn what_cannot_work_or_is_not_safe_is_a_fault() {
        let public = "https://ah5.example";
        let smtp = |more: &[(&'static str, &'static str)]| {
            let mut vars = vec![("SMTP_HOST", "mx"), ("EMAIL_FROM", "a@b.example")];
            vars.extend(more);
            read(public, &vars).err().unwrap_or_default()
        };
        let clear = [
            ("SMTP_TLS", "none"),
            ("SMTP_USERNAME", "u"),
            ("SMTP_PASSWORD", "p"),
        ];
        for (more, name) in [
            (&clear[..], "SMTP_TLS"),
            (&clear[..2], "SMTP_USERNAME"),
            (&[("SMTP_TLS", "maybe")], "SMTP_TLS"),
            (&[("EMAIL_FROM", "nobody")], "EMAIL_FROM"),
            (&[("EMAIL_PROVIDER", "pigeon")], "EMAIL_PROVIDER"),
            (&[("EMAIL_PROVIDER", "outbox")], "EMAIL_PROVIDER"),
        ] {
            assert!(smtp(more).contains(name), "{name}: {}", smtp(more));
        }
        let folder = [("EMAIL_PROVIDER", "outbox"), ("EMAIL_OUTBOX_DIR", "/x")];
        let config = read("http://localhost:1", &folder).unwrap().unwrap();
        assert!(!config.proves_addresses());
    }
}
