//! As much of IMAP (RFC 9051, and RFC 3501 before it) as it takes to log in and count folders.

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_security::secret::SecretText;

use crate::conversation::{Conversation, plain};
use crate::{Fault, Way};

pub(crate) async fn folders(
    way: Way<'_>,
    server: &MailServer,
    password: &SecretText,
) -> Result<usize, Fault> {
    let mut session = Session(Conversation::open(way, server).await?);
    let greeting = session.line().await?;
    // A session that is logged in already would never get to TLS: somebody is in between.
    if !starts_with(&greeting, "* OK") {
        return Err(Fault::said(&greeting));
    }
    if server.security == MailSecurity::StartTls {
        session.send("STARTTLS").await?;
        session.done().await?.ok()?;
        session = Session(session.0.start_tls().await?);
    }
    session.send("CAPABILITY").await?;
    let answer = session.done().await?;
    let said = answer.untagged.iter();
    let capabilities: Vec<String> = said
        .filter(|line| starts_with(line, "* CAPABILITY"))
        .flat_map(|line| line.split(' ').map(str::to_ascii_uppercase))
        .collect();
    answer.ok()?;
    let can = |name: &str| capabilities.iter().any(|it| it == name);
    let verdict = if can("AUTH=PLAIN") {
        session.authenticate(server, password).await?
    } else if can("LOGINDISABLED") {
        return Err(Fault::said("the server takes no passwords"));
    } else {
        session.log_in(server, password).await?
    };
    verdict.let_in()?;
    session.send("LIST \"\" \"*\"").await?;
    let listed = session.done().await?;
    let folders = listed.untagged.iter();
    let folders = folders.filter(|it| starts_with(it, "* LIST ")).count();
    listed.ok()?;
    // It is of no matter what the server says to that.
    let _ = session.send("LOGOUT").await;
    Ok(folders)
}

struct Session(Conversation);

/// What a server says to one command.
struct Said {
    untagged: Vec<String>,
    /// Without its tag.
    last: String,
}

// === impl Session ===

impl Session {
    async fn send(&mut self, command: &str) -> Result<(), Fault> {
        self.0.send(&format!("{TAG} {command}")).await
    }

    /// SASL PLAIN: any user name and password can be said by it.
    async fn authenticate(
        &mut self,
        server: &MailServer,
        password: &SecretText,
    ) -> Result<Said, Fault> {
        self.send("AUTHENTICATE PLAIN").await?;
        if let Some(refused) = self.invited().await? {
            return Ok(refused);
        }
        self.0.send(&plain(&server.username, password)).await?;
        self.done().await
    }

    /// Both are literals, which hold anything.
    async fn log_in(&mut self, server: &MailServer, password: &SecretText) -> Result<Said, Fault> {
        let (user, word) = (&server.username, password.expose());
        self.send(&format!("LOGIN {{{}}}", user.len())).await?;
        if let Some(refused) = self.invited().await? {
            return Ok(refused);
        }
        self.0.send(&format!("{user} {{{}}}", word.len())).await?;
        if let Some(refused) = self.invited().await? {
            return Ok(refused);
        }
        self.0.send(word).await?;
        self.done().await
    }

    /// `None` if the server waits for more.
    async fn invited(&mut self) -> Result<Option<Said>, Fault> {
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await?;
            if line.starts_with('+') {
                return Ok(None);
            }
            if let Some(last) = tagged(&line) {
                return Ok(Some(Said { untagged, last }));
            }
            untagged.push(line);
        }
    }

    async fn done(&mut self) -> Result<Said, Fault> {
        let mut untagged = Vec::new();
        loop {
            let line = self.line().await?;
            if let Some(last) = tagged(&line) {
                return Ok(Said { untagged, last });
            }
            untagged.push(line);
        }
    }

    /// With its literals left out.
    async fn line(&mut self) -> Result<String, Fault> {
        let mut whole = self.0.line().await?;
        while let Some(bytes) = literal(&whole) {
            self.0.skip(bytes).await?;
            whole.truncate(whole.rfind('{').unwrap_or_default());
            whole.push_str(&self.0.line().await?);
        }
        Ok(whole)
    }
}

// === impl Said ===

impl Said {
    fn ok(self) -> Result<(), Fault> {
        if starts_with(&self.last, "OK") {
            return Ok(());
        }
        Err(Fault::said(&self.last))
    }

    /// Of a log-in: a server that is in trouble has not refused anybody (RFC 5530).
    fn let_in(self) -> Result<(), Fault> {
        let upper = self.last.to_ascii_uppercase();
        let trouble = TROUBLE.iter().any(|code| upper.contains(code));
        if upper.starts_with("NO") && !trouble {
            return Err(Fault::Login);
        }
        self.ok()
    }
}

fn tagged(line: &str) -> Option<String> {
    let rest = line.strip_prefix(TAG)?.strip_prefix(' ')?;
    Some(rest.to_owned())
}

/// How many bytes follow the line: `{12}` at its end, or `{12+}`.
fn literal(line: &str) -> Option<usize> {
    let digits = line.strip_suffix('}')?.rsplit_once('{')?.1;
    digits.strip_suffix('+').unwrap_or(digits).parse().ok()
}

fn starts_with(line: &str, start: &str) -> bool {
    let head = line.as_bytes().get(..start.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// There is never more than one command under way.
const TAG: &str = "a";
const TROUBLE: [&str; 4] = ["[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_has_not_refused_the_password() {
        let said = |last: &str| {
            let said = Said {
                untagged: Vec::new(),
                last: last.to_owned(),
            };
            said.let_in()
        };
        assert_eq!(said("OK in"), Ok(()));
        assert_eq!(said("no [AUTHENTICATIONFAILED] x"), Err(Fault::Login));
        let busy = "NO [UNAVAILABLE] Temporary authentication failure.";
        assert_eq!(said(busy), Err(Fault::Failed(busy.to_owned())));
        assert!(matches!(said("BAD what?"), Err(Fault::Failed(_))));
    }

    #[test]
    fn literals_are_known_by_their_count() {
        assert_eq!(literal("* LIST () \"/\" {12}"), Some(12));
        assert_eq!(literal("* LIST () \"/\" {3+}"), Some(3));
        assert_eq!(literal("* LIST () \"/\" INBOX"), None);
        assert_eq!(literal("{-1}"), None);
    }
}
