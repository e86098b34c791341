//! A mailbox in an imported envelope: where its servers are is judged as if somebody had entered them.

use ah5_contracts::connection::{Auth, Mail, MailSecurity, MailServer};
use ah5_mail::Way;
use ah5_mail::settings::{Protocol, Typed, check};
use ah5_providers::service::Service;
use ah5_security::secret::SecretText;
use serde::Deserialize;

use super::credential::Imported;
use crate::entered::{MAX_SECRET, MIN_SECRET};

#[derive(Deserialize)]
struct Payload {
    imap: Server,
    smtp: Server,
}

#[derive(Deserialize)]
struct Server {
    host: String,
    port: u16,
    /// Of IMAP: whether it begins protected.
    tls: Option<bool>,
    username: String,
    password: SecretText,
}

/// # Errors
/// Why there can't be such a mailbox here, for the operator.
pub fn read(service: &Service, text: &SecretText, way: Way<'_>) -> Result<Imported, String> {
    let payload: Payload =
        serde_json::from_str(text.expose()).map_err(|_| "it is no mailbox of a known form")?;
    let Payload { imap, smtp } = payload;
    // One secret is sealed for both servers.
    if imap.password.expose() != smtp.password.expose() {
        return Err("its servers take two passwords: connect it anew".to_owned());
    }
    let password = imap.password.expose();
    if !(MIN_SECRET..=MAX_SECRET).contains(&password.len()) || password.contains(char::is_control) {
        return Err("its password is too short, too long or cannot be sent".to_owned());
    }
    let base_url = service.base_url().ok_or("there are no mailboxes here")?;
    let mail = Mail {
        imap: imap.checked(Protocol::Imap, way)?,
        smtp: smtp.checked(Protocol::Smtp, way)?,
    };
    Ok(Imported {
        base_url: base_url.to_string(),
        auth: Auth::Mail,
        secret: imap.password,
        oauth: None,
        mail: Some(mail),
    })
}

// === impl Server ===

impl Server {
    fn checked(&self, protocol: Protocol, way: Way<'_>) -> Result<MailServer, String> {
        // That product speaks without TLS where it is not told otherwise; here it is STARTTLS at least.
        let security = match (protocol, self.tls) {
            (Protocol::Imap, Some(false)) => MailSecurity::StartTls,
            (Protocol::Imap, _) => MailSecurity::Tls,
            (Protocol::Smtp, _) => protocol.usual(self.port),
        };
        let typed = Typed {
            host: &self.host,
            port: self.port,
            security,
            username: &self.username,
        };
        check(protocol, typed, way)
    }
}

#[cfg(test)]
mod tests {
    use ah5_contracts::id::WorkspaceId;
    use ah5_net::Upstreams;
    use ah5_providers::catalogue;
    use serde_json::{Value, json};

    use super::*;

    fn imported(net: &Upstreams, payload: &Value) -> Result<Imported, String> {
        let workspace = WorkspaceId::random();
        let service = catalogue::find("email-imap").unwrap();
        let text = SecretText::new(payload.to_string());
        read(service, &text, Way { net, workspace })
    }

    fn mailbox() -> Value {
        json!({
            "email": "a@acme.example",
            "imap": {"host": "IMAP.acme.example", "port": 993, "tls": true, "username": "a",
                     "password": "planted-pass-01"},
            "smtp": {"host": "smtp.acme.example", "port": 587, "starttls": true, "username": "a",
                     "password": "planted-pass-01"},
        })
    }

    #[tokio::test]
    async fn a_mailbox_keeps_its_servers() {
        let net = Upstreams::new(ah5_net::Config::default()).unwrap();
        let it = imported(&net, &mailbox()).unwrap();
        let mail = it.mail.unwrap();
        assert_eq!(mail.imap.host, "imap.acme.example");
        assert_eq!(mail.imap.security, MailSecurity::Tls);
        assert_eq!(mail.smtp.security, MailSecurity::StartTls);
        assert_eq!(it.secret.expose(), "planted-pass-01");
        let mut begins_plain = mailbox();
        begins_plain["imap"]["tls"] = false.into();
        begins_plain["imap"]["port"] = 143.into();
        let mail = imported(&net, &begins_plain).unwrap().mail.unwrap();
        assert_eq!(mail.imap.security, MailSecurity::StartTls);
    }

    #[tokio::test]
    async fn what_could_not_be_entered_is_not_imported() {
        let net = Upstreams::new(ah5_net::Config::default()).unwrap();
        for (at, value, why) in [
            ("/imap/port", json!(6379), "imapPort must be"),
            ("/smtp/port", json!(25), "smtpPort must be"),
            ("/imap/host", json!("a\r\nb"), "not a host name"),
            ("/smtp/password", json!("another-pass-02"), "two passwords"),
            ("/imap/username", json!("a\r\nb"), "username"),
            ("/smtp", json!(null), "no mailbox"),
        ] {
            let mut payload = mailbox();
            *payload.pointer_mut(at).unwrap() = value;
            let refused = imported(&net, &payload).err().unwrap();
            assert!(refused.contains(why), "{at}: {refused}");
        }
    }
}
