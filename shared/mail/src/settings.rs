//! Where a mail server may be. Names and addresses are judged when they are dialed; here it is seen
//! to that they are names, that the port is one of mail, and that passwords travel protected.

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_net::guard::canonical_host;

use crate::Way;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Imap,
    Smtp,
}

/// What somebody typed.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a> {
    pub host: &'a str,
    pub port: u16,
    pub security: MailSecurity,
    pub username: &'a str,
}

// === impl Protocol ===

impl Protocol {
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Imap => 993,
            Self::Smtp => 587,
        }
    }

    /// What a port of this protocol speaks (RFC 8314).
    #[must_use]
    pub const fn usual(self, port: u16) -> MailSecurity {
        match (self, port) {
            (Self::Imap, 143) => MailSecurity::StartTls,
            (Self::Imap, _) | (Self::Smtp, 465) => MailSecurity::Tls,
            (Self::Smtp, _) => MailSecurity::StartTls,
        }
    }

    const fn ports(self) -> [u16; 2] {
        match self {
            Self::Imap => [993, 143],
            Self::Smtp => [587, 465],
        }
    }

    /// How the fields of it begin.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }
}

/// The operator's exemptions open other ports, and those alone do without TLS.
///
/// # Errors
/// The field, and what is wrong with it.
pub fn check(protocol: Protocol, typed: Typed<'_>, way: Way<'_>) -> Result<MailServer, String> {
    let field = protocol.field();
    let host = canonical_host(typed.host);
    let host = host.ok_or_else(|| format!("{field}Host is not a host name"))?;
    let port = typed.port;
    let exempt = way.is_exempt(&host, port);
    if !exempt && !protocol.ports().contains(&port) {
        let [one, other] = protocol.ports();
        return Err(format!("{field}Port must be {one} or {other}"));
    }
    if typed.security == MailSecurity::None && !exempt {
        return Err(format!("{field}Security must be tls or starttls"));
    }
    let username = typed.username;
    if username.is_empty() || username.len() > MAX_NAME || username.contains(char::is_control) {
        return Err("username cannot be sent".to_owned());
    }
    Ok(MailServer {
        host,
        port,
        security: typed.security,
        username: username.to_owned(),
    })
}

const MAX_NAME: usize = 320;
