//! The password of a mailbox. It is tried at both of its servers, as agents will use both.

use ah5_contracts::connection::{Auth, Mail, MailSecurity, MailServer};
use ah5_mail::settings::{Protocol, Typed, check};
use ah5_mail::{Fault, Way, try_imap, try_smtp};
use ah5_providers::service::Service;
use ah5_security::secret::SecretText;
use ah5_store::connections::Connection;
use serde::Deserialize as _;
use serde_json::json;

use super::preview::preview;
use super::{Account, Entered, MAX_SECRET, MIN_SECRET, Outcome, PASSING, Purpose, Told};
use crate::error::{AppError, AppResult};
use crate::input::Input;

pub fn read(
    way: Way<'_>,
    service: &'static Service,
    input: &Input,
    known: Option<&Connection>,
) -> AppResult<Entered> {
    let stored = known.and_then(|known| Mail::deserialize(known.mail.as_ref()?).ok());
    let before = known.and_then(|known| known.metadata["email"].as_str());
    let email = optional(input, "email")?;
    let username = optional(input, "username")?.or_else(|| {
        let same = stored.as_ref().filter(|_| email.is_none());
        same.map(|mail| mail.imap.username.clone())
    });
    let email = email.or_else(|| before.map(str::to_owned));
    let email = email.ok_or_else(|| AppError::bad_request("email is required"))?;
    if email.len() > MAX_EMAIL || !email.contains('@') || email.contains(char::is_control) {
        return Err(AppError::bad_request(
            "body/email must be an e-mail address",
        ));
    }
    let username = username.unwrap_or_else(|| email.clone());
    let imap = stored.as_ref().map(|mail| &mail.imap);
    let smtp = stored.as_ref().map(|mail| &mail.smtp);
    let imap = server(way, Protocol::Imap, input, imap, &username)?;
    let smtp = server(way, Protocol::Smtp, input, smtp, &username)?;
    let secret = password(input)?;
    let base_url = service.base_url().cloned();
    let base_url = base_url.ok_or_else(|| AppError::internal("mail has no base URL"))?;
    let name = optional(input, "displayName")?;
    let name = name.or_else(|| known?.metadata["displayName"].as_str().map(str::to_owned));
    let mut said = json!({"email": email});
    if let Some(name) = name {
        said["displayName"] = name.into();
    }
    Ok(Entered {
        service,
        base_url,
        auth: Auth::Mail,
        mail: Some(Mail { imap, smtp }),
        secret,
        preview: preview("Email", &email),
        said,
    })
}

pub async fn try_out(entered: &Entered, way: Way<'_>, purpose: Purpose) -> AppResult<Outcome> {
    let mail = entered.mail.as_ref();
    let mail = mail.ok_or_else(|| AppError::internal("a mailbox without servers"))?;
    let password = &entered.secret;
    let folders = match try_imap(way, &mail.imap, password).await {
        Ok(folders) => folders,
        Err(fault) => return Ok(failed("IMAP", purpose, &fault)),
    };
    // Of a mailbox that is in use reading it is proof enough: a test hands nothing in.
    if purpose == Purpose::Store
        && let Err(fault) = try_smtp(way, &mail.smtp, password).await
    {
        return Ok(failed("SMTP", purpose, &fault));
    }
    Ok(Outcome::Good(Account {
        label: None,
        metadata: json!({}),
        detail: format!("IMAP connected — {folders} folder(s) found"),
    }))
}

/// What is not typed stays as it is, as long as the server does.
fn server(
    way: Way<'_>,
    protocol: Protocol,
    input: &Input,
    stored: Option<&MailServer>,
    username: &str,
) -> AppResult<MailServer> {
    let field = |name: &str| format!("{}{name}", protocol.field());
    let host = optional(input, &field("Host"))?;
    let same = stored.filter(|_| host.is_none());
    let host = host.or_else(|| same.map(|server| server.host.clone()));
    let missing = || AppError::bad_request(format!("{} is required", field("Host")));
    let host = host.ok_or_else(missing)?;
    let port = port(input, &field("Port"))?.or_else(|| same.map(|server| server.port));
    let port = port.unwrap_or_else(|| protocol.default_port());
    let same = same.filter(|server| server.port == port);
    let security = security(protocol, input)?.or_else(|| same.map(|server| server.security));
    let typed = Typed {
        host: &host,
        port,
        security: security.unwrap_or_else(|| protocol.usual(port)),
        username,
    };
    check(protocol, typed, way).map_err(|why| AppError::bad_request(format!("body/{why}")))
}

/// `imapTls: false` means a server that begins unprotected, and no less than STARTTLS there. What
/// SMTP speaks follows from its port: `smtpStarttls` is looked at and changes nothing.
fn security(protocol: Protocol, input: &Input) -> AppResult<Option<MailSecurity>> {
    let tls = input.optional_flag("imapTls")?;
    input.optional_flag("smtpStarttls")?;
    let name = format!("{}Security", protocol.field());
    let named = input.one_of(&name, &["tls", "starttls", "none"])?;
    Ok(match named {
        Some("tls") => Some(MailSecurity::Tls),
        Some("starttls") => Some(MailSecurity::StartTls),
        Some(_) => Some(MailSecurity::None),
        None if protocol == Protocol::Imap && tls == Some(false) => Some(MailSecurity::StartTls),
        None => None,
    })
}

/// Verbatim: blanks may be part of it.
fn password(input: &Input) -> AppResult<SecretText> {
    let text = SecretText::new(input.optional_text("password")?.unwrap_or_default());
    let password = text.expose();
    if password.trim().is_empty() {
        return Err(AppError::bad_request("password is required"));
    }
    if !(MIN_SECRET..=MAX_SECRET).contains(&password.len()) {
        let why = format!("body/password must be {MIN_SECRET} to {MAX_SECRET} bytes long");
        return Err(AppError::bad_request(why));
    }
    if password.contains(char::is_control) {
        let why = "body/password holds characters that cannot be sent";
        return Err(AppError::bad_request(why));
    }
    Ok(text)
}

fn optional(input: &Input, name: &str) -> AppResult<Option<String>> {
    let text = input.optional_text(name)?;
    let text = text.map(|text| text.trim().to_owned());
    Ok(text.filter(|text| !text.is_empty()))
}

fn port(input: &Input, name: &str) -> AppResult<Option<u16>> {
    let text = input.optional_text(name)?;
    let port = text.map(|text| text.parse().map_err(|_| name));
    port.transpose()
        .map_err(|name| AppError::bad_request(format!("body/{name} must be a port number")))
}

fn failed(protocol: &str, purpose: Purpose, fault: &Fault) -> Outcome {
    let told = match (purpose, fault) {
        (Purpose::Store, Fault::Login) => Told::new(format!(
            "{protocol} authentication failed — check username and password"
        )),
        (Purpose::Store, fault) => Told::new(format!("{protocol} connection failed: {fault}")),
        (Purpose::Test, fault) => Told::new(format!("{protocol} test failed: {fault}")),
    };
    match fault {
        Fault::Login => Outcome::Refused(told),
        _ if purpose == Purpose::Test => Outcome::Unknown(told.hint(PASSING)),
        _ => Outcome::Unknown(told),
    }
}

const MAX_EMAIL: usize = 254;
