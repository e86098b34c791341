//! Mail to people. A handler writes a letter into the outbox table in the transaction of what it
//! tells of; the postman sends it later, so no request ever waits for a mail server. Letters hold
//! links that are secrets: they are sealed while they wait and must never be logged.

use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretBytes;
use ah5_store::{StoreError, mail_outbox};
use deadpool_postgres::GenericClient;
use tokio::sync::Notify;
use uuid::Uuid;

pub mod carrier;
pub mod config;
pub mod letter;
pub mod postman;

pub use letter::Letter;

/// Where letters are handed in.
pub struct Mail {
    from: Option<lettre::message::Mailbox>,
    waiting: Notify,
}

// === impl Mail ===

impl Mail {
    pub fn new(config: Option<&config::Config>) -> Self {
        Self {
            from: config.map(|config| config.from.clone()),
            waiting: Notify::new(),
        }
    }

    /// Hands the letter in; without mail it is dropped. Call [`Self::wake`] after the commit.
    pub async fn post(
        &self,
        client: &impl GenericClient,
        ring: &KeyRing,
        letter: &Letter,
    ) -> Result<(), StoreError> {
        let Some(from) = &self.from else {
            return Ok(());
        };
        // An address that no mail can be written to was taken before mail was configured.
        let Some(written) = letter.write(from) else {
            tracing::warn!("a letter was dropped: its address cannot be written to");
            return Ok(());
        };
        let id = Uuid::now_v7();
        let sealed = ring.seal_mail(id, &SecretBytes::new(written));
        mail_outbox::insert(client, id, &sealed, letter.life_minutes).await
    }

    /// Tells the postman of this process that something waits. Others look by themselves.
    pub fn wake(&self) {
        self.waiting.notify_one();
    }
}
