//! Hears which workspace changed. Only a hint: the version poll carries the promise.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};

use ah5_contracts::id::WorkspaceId;

use crate::StoreError;
use crate::database::Database;

/// More waiting hints than this are dropped: the poll finds what they spoke of.
const BACKLOG: usize = 1024;

pub struct Listener {
    // Dropping the client ends the connection.
    _client: Client,
    hints: mpsc::Receiver<WorkspaceId>,
    driver: JoinHandle<()>,
}

// === impl Listener ===

impl Listener {
    /// # Errors
    /// The server can't be reached.
    pub async fn connect(database: &Database) -> Result<Self, StoreError> {
        match database.connector() {
            None => Self::start(database, NoTls).await,
            Some(tls) => Self::start(database, tls).await,
        }
    }

    async fn start<T>(database: &Database, tls: T) -> Result<Self, StoreError>
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
                if let AsyncMessage::Notification(hint) = message
                    && let Ok(workspace) = hint.payload().parse()
                {
                    let _ = sender.try_send(workspace);
                }
            }
        });
        client.batch_execute("listen ah5_changed").await?;
        Ok(Self {
            _client: client,
            hints,
            driver,
        })
    }

    /// # Errors
    /// The connection is gone.
    pub async fn next(&mut self) -> Result<WorkspaceId, StoreError> {
        let hint = self.hints.recv().await;
        hint.ok_or_else(|| StoreError::Unavailable("the LISTEN connection ended".into()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
