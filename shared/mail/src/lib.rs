//! Mailboxes that workspaces connect: where their servers may be, and whether they take a password.
//! Every server is a tenant's input; all that is said to one goes through `ah5-net`.

mod conversation;
mod imap;
pub mod settings;
mod smtp;

use std::time::Duration;

use ah5_contracts::connection::MailServer;
use ah5_contracts::id::WorkspaceId;
use ah5_net::Upstreams;
use ah5_security::secret::SecretText;
use tokio::time::timeout;

/// The way out of one workspace.
#[derive(Clone, Copy)]
pub struct Way<'a> {
    pub net: &'a Upstreams,
    pub workspace: WorkspaceId,
}

/// What became of trying a server. The texts are for the workspace's people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The server does not take this user name and password.
    #[error("the server refuses the user name or the password")]
    Login,
    /// It says nothing about the password.
    #[error("{0}")]
    Failed(String),
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
    without(password, tried.unwrap_or_else(|_| Err(too_slow())))
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
    without(password, tried.unwrap_or_else(|_| Err(too_slow())))
}

// === impl Way ===

impl Way<'_> {
    fn is_exempt(self, host: &str, port: u16) -> bool {
        self.net.is_exempt(self.workspace, host, port)
    }
}

// === impl Fault ===

impl Fault {
    /// With what a server said: one line, short, nothing invisible.
    fn said(text: &str) -> Self {
        let visible = text.chars().filter(|c| !c.is_control());
        Self::Failed(visible.take(MAX_SAID).collect::<String>().trim().to_owned())
    }
}

/// A server may say again what it was told.
fn without<T>(password: &SecretText, tried: Result<T, Fault>) -> Result<T, Fault> {
    tried.map_err(|fault| match fault {
        Fault::Failed(why) => Fault::Failed(why.replace(password.expose(), "…")),
        Fault::Login => Fault::Login,
    })
}

fn too_slow() -> Fault {
    Fault::Failed("the server took too long".to_owned())
}

/// From resolving the name to the last answer.
const DEADLINE: Duration = Duration::from_secs(12);
const MAX_SAID: usize = 160;

#[cfg(test)]
mod tests;
