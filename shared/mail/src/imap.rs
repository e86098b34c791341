//! As much of IMAP (RFC 9051, and RFC 3501 before it) as agents and probes need: one session, one
//! command at a time.

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_security::secret::SecretText;

use crate::conversation::{Bounds, Conversation, plain};
use crate::{Fault, Way};

pub(crate) mod command;
pub(crate) mod folder;
pub(crate) mod response;
mod utf7;

use command::{Command, Piece};
use response::{Line, Reply};

/// Whom the work is done for.
pub trait Keeper: Send {
    /// Whether there is room in memory for so many bytes more.
    fn reserve(&mut self, bytes: usize) -> bool;

    /// From here on words of the call itself go out; until then a server has heard who comes, no more.
    fn begins(&mut self);
}

pub(crate) struct Session<'a> {
    talk: Conversation,
    keeper: &'a mut dyn Keeper,
    capabilities: Vec<String>,
}

/// What a server says to one command.
pub(crate) struct Said {
    pub untagged: Vec<Line>,
    /// Without its tag.
    pub last: String,
}

/// For those who keep little and do nothing: so many bytes may still come.
struct Nobody(usize);

impl Keeper for Nobody {
    fn reserve(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or_default();
        left.is_some()
    }

    fn begins(&mut self) {}
}

pub(crate) async fn folders(
    way: Way<'_>,
    server: &MailServer,
    password: &SecretText,
) -> Result<usize, Fault> {
    let mut nobody = Nobody(LITTLE);
    let mut session = Session::log_in(way, server, password, &mut nobody).await?;
    let listed = session.run(&Command::new("LIST \"\" \"*\"")).await?.ok()?;
    let folders = listed.replies("LIST").count();
    session.log_out().await;
    Ok(folders)
}

// === impl Session ===

impl<'a> Session<'a> {
    pub(crate) async fn log_in(
        way: Way<'_>,
        server: &MailServer,
        password: &SecretText,
        keeper: &'a mut dyn Keeper,
    ) -> Result<Self, Fault> {
        let mut session = Self {
            talk: Conversation::open(way, server).await?,
            keeper,
            capabilities: Vec::new(),
        };
        let greeting = session.talk.line().await?;
        // A session that is logged in already would never get to TLS: somebody is in between.
        if !starts_with(&greeting, "* OK") {
            return Err(Fault::said(&greeting));
        }
        if server.security == MailSecurity::StartTls {
            session.run(&Command::new("STARTTLS")).await?.ok()?;
            session.talk = session.talk.start_tls().await?;
        }
        session.ask_capabilities().await?;
        let verdict = if session.can("AUTH=PLAIN") {
            session.authenticate(server, password).await?
        } else if session.can("LOGINDISABLED") {
            return Err(Fault::Failed("the server takes no passwords"));
        } else {
            session.pass(server, password).await?
        };
        verdict.let_in()?;
        Ok(session)
    }

    /// For whoever works in the mailbox: longer answers, and what the server can do for one who has
    /// logged in.
    pub(crate) async fn settle_in(&mut self) -> Result<(), Fault> {
        self.talk.bound(MUCH);
        self.ask_capabilities().await?;
        self.keeper.begins();
        Ok(())
    }

    pub(crate) fn can(&self, name: &str) -> bool {
        self.capabilities.iter().any(|it| it == name)
    }

    pub(crate) async fn run(&mut self, command: &Command) -> Result<Said, Fault> {
        let mut text = format!("{TAG} ").into_bytes();
        for piece in command.pieces() {
            match piece {
                Piece::Text(piece) => text.extend_from_slice(piece.as_bytes()),
                Piece::Literal(bytes) => {
                    text.extend_from_slice(format!("{{{}}}\r\n", bytes.len()).as_bytes());
                    self.talk.send_bytes(&text).await?;
                    text.clear();
                    if let Some(refused) = self.invited().await? {
                        return Ok(refused);
                    }
                    text.extend_from_slice(bytes);
                }
            }
        }
        text.extend_from_slice(b"\r\n");
        self.talk.send_bytes(&text).await?;
        self.done().await
    }

    /// It is of no matter what the server says to that.
    pub(crate) async fn log_out(mut self) {
        let _ = self.talk.send(&format!("{TAG} LOGOUT")).await;
    }

    async fn ask_capabilities(&mut self) -> Result<(), Fault> {
        let said = self.run(&Command::new("CAPABILITY")).await?.ok()?;
        let replies = said.replies("CAPABILITY");
        self.capabilities.clear();
        for reply in replies {
            let words = reply.words().map(str::to_ascii_uppercase);
            self.capabilities.extend(words);
        }
        Ok(())
    }

    /// SASL PLAIN: any user name and password can be said by it.
    async fn authenticate(
        &mut self,
        server: &MailServer,
        password: &SecretText,
    ) -> Result<Said, Fault> {
        self.talk.send(&format!("{TAG} AUTHENTICATE PLAIN")).await?;
        if let Some(refused) = self.invited().await? {
            return Ok(refused);
        }
        self.talk.send(&plain(&server.username, password)).await?;
        self.done().await
    }

    /// Both are literals, which hold anything. Not by [`Self::run`]: what it puts together is not wiped.
    async fn pass(&mut self, server: &MailServer, password: &SecretText) -> Result<Said, Fault> {
        let (user, word) = (&server.username, password.expose());
        self.talk
            .send(&format!("{TAG} LOGIN {{{}}}", user.len()))
            .await?;
        if let Some(refused) = self.invited().await? {
            return Ok(refused);
        }
        self.talk
            .send(&format!("{user} {{{}}}", word.len()))
            .await?;
        if let Some(refused) = self.invited().await? {
            return Ok(refused);
        }
        self.talk.send(word).await?;
        self.done().await
    }

    /// `None` if the server waits for more.
    async fn invited(&mut self) -> Result<Option<Said>, Fault> {
        let mut untagged = Vec::new();
        for _ in 0..MOST_LINES {
            let line = self.line().await?;
            if line.starts_with("+") {
                return Ok(None);
            }
            if let Some(last) = line.tagged(TAG) {
                return Ok(Some(Said { untagged, last }));
            }
            keep(&mut untagged, line);
        }
        Err(Fault::Failed("the server says too much"))
    }

    async fn done(&mut self) -> Result<Said, Fault> {
        let mut untagged = Vec::new();
        for _ in 0..MOST_LINES {
            let line = self.line().await?;
            if let Some(last) = line.tagged(TAG) {
                return Ok(Said { untagged, last });
            }
            keep(&mut untagged, line);
        }
        Err(Fault::Failed("the server says too much"))
    }

    /// A line and the literals in it.
    async fn line(&mut self) -> Result<Line, Fault> {
        let mut line = Line::default();
        loop {
            let text = self.talk.raw_line().await?;
            // Short words take much more room once they are read than in a line, and so do short lines
            // once they are kept.
            self.reserve(text.len().saturating_mul(8).saturating_add(LINE))?;
            let Some(bytes) = line.add(text) else {
                return Ok(line);
            };
            if bytes > MAX_LITERAL {
                return Err(Fault::Failed("the server says too much"));
            }
            self.reserve(bytes)?;
            line.add_literal(self.talk.take(bytes).await?);
        }
    }

    pub(crate) fn reserve(&mut self, bytes: usize) -> Result<(), Fault> {
        match self.keeper.reserve(bytes) {
            true => Ok(()),
            false => Err(Fault::Overload),
        }
    }
}

// === impl Said ===

impl Said {
    /// The replies of this kind: `* 3 EXISTS` is an `EXISTS`, as `* EXISTS` would be.
    pub(crate) fn replies(&self, kind: &str) -> impl Iterator<Item = Reply> {
        let replies = self.untagged.iter().filter(move |line| line.is(kind));
        replies.map(Line::read)
    }

    pub(crate) fn is_ok(&self) -> bool {
        starts_with(&self.last, "OK")
    }

    pub(crate) fn ok(self) -> Result<Self, Fault> {
        if self.is_ok() {
            return Ok(self);
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
        self.ok().map(drop)
    }
}

/// Empty lines say nothing.
fn keep(untagged: &mut Vec<Line>, line: Line) {
    if !line.is_empty() {
        untagged.push(line);
    }
}

fn starts_with(line: &str, start: &str) -> bool {
    let head = line.as_bytes().get(..start.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// There is never more than one command under way.
const TAG: &str = "a";
const TROUBLE: [&str; 4] = ["[UNAVAILABLE]", "[INUSE]", "[LIMIT]", "[SERVERBUG]"];
/// What keeping a line takes besides its bytes.
const LINE: usize = 256;
/// Of one answer: more than a mailbox has folders.
const MOST_LINES: usize = 50_000;
/// What a probe may hear.
const LITTLE: usize = 8 * 1024 * 1024;
/// The largest letter that is looked at, and a little more.
const MAX_LITERAL: usize = 33 * 1024 * 1024;
const MUCH: Bounds = Bounds {
    line: 1024 * 1024,
    left: 64 * 1024 * 1024,
};

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
        assert_eq!(said(busy), Err(Fault::Refused(busy.to_owned())));
        assert!(matches!(said("BAD what?"), Err(Fault::Refused(_))));
    }
}
