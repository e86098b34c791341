//! Mailboxes that workspaces connect: where their servers may be, whether they take a password, and
//! what agents do in them. Every server, and every letter, is a stranger's input; all that is said to
//! a server goes through `ah5-net`.

mod conversation;
mod imap;
pub mod mailbox;
pub mod settings;
mod smtp;

use std::time::Duration;

use ah5_contracts::connection::MailServer;
use ah5_contracts::id::WorkspaceId;
use ah5_net::Upstreams;
use ah5_net::client::Failure;
use ah5_security::secret::SecretText;
use tokio::time::timeout;

/// The way out of one workspace.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub net: &'a Upstreams,
    pub workspace: WorkspaceId,
}

/// What became of asking a server. The texts are for the workspace's people and agents.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the server broke off the connection")]
    Broken,
    /// What the server says makes no sense, or is not what we talk to it for.
    #[error("{0}")]
    Failed(&'static str),
    #[error("the server took too long")]
    Late,
    /// The server does not take this user name and password.
    #[error("the server refuses the user name or the password")]
    Login,
    /// There is no memory for what it says.
    #[error("there is no memory for the server's answer")]
    Overload,
    /// In the server's own words. They say nothing about the password.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Unreachable(Failure),
}

/// Logs in to an IMAP server (RFC 9051) and counts the mailbox's folders.
///
/// # Errors
/// Why it did not work; the password is not in it.
pub async fn try_imap(
    way: Way<'_>,
    server: &MailServer,
    password: &SecretText,
) -> Result<usize, Fault> {
    let tried = timeout(DEADLINE, imap::folders(way, server, password)).await;
    without(password, tried.unwrap_or(Err(Fault::Late)))
}

/// Logs in to a submission server (RFC 6409) and hands in nothing.
///
/// # Errors
/// As [`try_imap`].
pub async fn try_smtp(
    way: Way<'_>,
    server: &MailServer,
    password: &SecretText,
) -> Result<(), Fault> {
    let tried = timeout(DEADLINE, smtp::log_in(way, server, password)).await;
    without(password, tried.unwrap_or(Err(Fault::Late))).map(drop)
}

// === impl Way ===

impl Way<'_> {
    fn is_exempt(self, host: &str, port: u16) -> bool {
        self.net.is_exempt(self.workspace, host, port)
    }
}

// === impl Fault ===

impl Fault {
    /// With what a server said: one line, nothing invisible.
    fn said(text: &str) -> Self {
        let visible = text.chars().filter(|c| !c.is_control());
        Self::Refused(visible.collect::<String>().trim().to_owned())
    }
}

/// A server may say again what it was told. Made short only after that, so that no half of it stays.
fn without<T>(password: &SecretText, tried: Result<T, Fault>) -> Result<T, Fault> {
    tried.map_err(|fault| match fault {
        Fault::Refused(why) => {
            let why = why.replace(password.expose(), "…");
            Fault::Refused(why.chars().take(MAX_SAID).collect())
        }
        other => other,
    })
}

/// From resolving the name to the last answer.
const DEADLINE: Duration = Duration::from_secs(12);
const MAX_SAID: usize = 160;

#[cfg(test)]
mod tests;
