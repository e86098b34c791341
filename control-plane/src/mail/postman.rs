//! Sends what waits in the outbox table. Every control plane runs one; a lease in the row keeps two
//! from sending the same letter, and none is held in a transaction while the mail server is slow.

use std::time::Duration;

use lettre::address::Envelope;
use tokio::time::timeout;

use ah5_store::mail_outbox::{self, Leased};

use crate::app::App;

use super::carrier::{Carrier, NotTaken};

/// Runs for as long as the process.
pub async fn run(app: App, carrier: Carrier) {
    loop {
        // Woken at once for a letter of this process, in time for those of others.
        let _ = timeout(LOOK_EVERY, app.mail.waiting.notified()).await;
        while let Some(letter) = lease(&app).await {
            deliver(&app, &carrier, letter).await;
        }
    }
}

async fn lease(app: &App) -> Option<Leased> {
    let leased = async {
        let db = app.db().await?;
        mail_outbox::lease(&db, LEASE_SECONDS).await
    };
    leased.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the outbox cannot be read");
        None
    })
}

async fn deliver(app: &App, carrier: &Carrier, letter: Leased) {
    let Leased {
        id,
        sealed,
        attempts,
    } = letter;
    let Ok(text) = app.ring().open_mail(id, &sealed) else {
        tracing::error!(%id, "a letter does not open under this key ring");
        return finish(app, id, None).await;
    };
    let taken = match envelope(app, text.expose()) {
        Some(envelope) => {
            let taking = carrier.take(id, &envelope, text.expose());
            timeout(DEADLINE, taking)
                .await
                .unwrap_or(Err(NotTaken::Later))
        }
        None => Err(NotTaken::Malformed),
    };
    let outcome = match taken {
        Ok(()) => "sent",
        Err(NotTaken::Later) => "put_off",
        Err(NotTaken::Malformed | NotTaken::Refused) => "refused",
    };
    metrics::counter!("ah5_mail_total", "outcome" => outcome).increment(1);
    match taken {
        Ok(()) => finish(app, id, None).await,
        Err(NotTaken::Later) => {
            let pause = pause(attempts);
            tracing::warn!(%id, attempts, pause, "a letter was not taken; it is tried again");
            finish(app, id, Some(pause)).await;
        }
        Err(error) => {
            tracing::warn!(%id, %error, "a letter was given up");
            finish(app, id, None).await;
        }
    }
}

/// Away with it, or later again.
async fn finish(app: &App, id: uuid::Uuid, pause: Option<i32>) {
    let done = async {
        let db = app.db().await?;
        match pause {
            None => mail_outbox::delete(&db, id).await,
            Some(seconds) => mail_outbox::put_off(&db, id, seconds).await,
        }
    };
    if let Err(error) = done.await {
        tracing::warn!(%id, %error, "the outbox cannot be written: a letter may be sent twice");
    }
}

/// Who sends it and who gets it; the latter by its own header: we wrote it, and one only.
fn envelope(app: &App, letter: &[u8]) -> Option<Envelope> {
    let text = std::str::from_utf8(letter).ok()?;
    let head = text.split("\r\n\r\n").next()?;
    let to = head.lines().find_map(|line| line.strip_prefix("To: "))?;
    let from = app.config.mail.as_ref()?.from.email.clone();
    Envelope::new(Some(from), vec![to.trim().parse().ok()?]).ok()
}

/// Ten seconds, doubling up to a quarter of an hour.
fn pause(attempts: i32) -> i32 {
    (5 << attempts.clamp(1, 8)).min(900)
}

const DEADLINE: Duration = Duration::from_secs(60);
const LEASE_SECONDS: i32 = 90;
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_quarter_of_an_hour() {
        assert_eq!([1, 2, 3, 8, 99].map(pause), [10, 20, 40, 900, 900]);
    }
}
