//! Hears that something changed, and in which workspace. Only a hint: polls carry the promises.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};

use ah5_contracts::id::WorkspaceId;

use crate::StoreError;
use crate::database::Database;

/// What is to be heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Configuration, members, tokens; the nil workspace for what belongs to none.
    Changed,
    /// There is a new notification.
    Notices,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    pub channel: Channel,
    pub workspace: WorkspaceId,
}

/// More waiting hints than this are dropped: the poll finds what they spoke of.
const BACKLOG: usize = 1024;

pub struct Listener {
    // Dropping the client ends the connection.
    _client: Client,
    hints: mpsc::Receiver<Hint>,
    driver: JoinHandle<()>,
}

// === impl Listener ===

impl Listener {
    /// # Errors
    /// The server can't be reached.
    pub async fn connect(database: &Database, channels: &[Channel]) -> Result<Self, StoreError> {
        match database.connector() {
            None => Self::start(database, channels, NoTls).await,
            Some(tls) => Self::start(database, channels, tls).await,
        }
    }

    async fn start<T>(database: &Database, channels: &[Channel], tls: T) -> Result<Self, StoreError>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, mut connection) = database.config().connect(tls).await?;
        let (sender, hints) = mpsc::channel(BACKLOG);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) =
                std::future::poll_fn(|cx| connection.poll_message(cx)).await
            {
                if let AsyncMessage::Notification(heard) = message
                    && let Some(channel) = Channel::named(heard.channel())
                    && let Ok(workspace) = heard.payload().parse()
                {
                    let _ = sender.try_send(Hint { channel, workspace });
                }
            }
        });
        for channel in channels {
            let sql = format!("listen {}", channel.as_str());
            client.batch_execute(&sql).await?;
        }
        Ok(Self {
            _client: client,
            hints,
            driver,
        })
    }

    /// # Errors
    /// The connection is gone.
    pub async fn next(&mut self) -> Result<Hint, StoreError> {
        let hint = self.hints.recv().await;
        hint.ok_or_else(|| StoreError::Unavailable("the LISTEN connection ended".into()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

// === impl Channel ===

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "ah5_changed",
            Self::Notices => "ah5_notices",
        }
    }

    fn named(name: &str) -> Option<Self> {
        let mut every = [Self::Changed, Self::Notices].into_iter();
        every.find(|channel| channel.as_str() == name)
    }
}
