//! Slows down guessing of passwords, by account and by network, for all control planes together.
//! It answers before anything is looked up, so that it is the same for accounts that don't exist.
//! It never touches live sessions, passkeys or sign-in elsewhere.

use std::net::IpAddr;

use ah5_edge::client::network;
use ah5_store::throttle::{self, Key, Rule};

use crate::app::App;
use crate::routes::session::refusal::{AuthResult, Refusal};

/// A guess that is under way, and counts as failed until it is known not to have.
pub struct Attempt {
    account: Key,
    network: Option<Key>,
}

// === impl Attempt ===

impl Attempt {
    /// A password given for the address from a network.
    pub async fn sign_in(app: &App, email: &str, client: IpAddr) -> AuthResult<Self> {
        let network = network(client).to_string();
        let (account, network) = (key(app, "account", email), key(app, "network", &network));
        begin(app, network, NETWORK).await?;
        begin(app, account, ACCOUNT).await?;
        let network = Some(network);
        Ok(Self { account, network })
    }

    /// A password given within a session of the user.
    pub async fn in_session(app: &App, user: &str) -> AuthResult<Self> {
        let account = key(app, "session", user);
        begin(app, account, ACCOUNT).await?;
        let network = None;
        Ok(Self { account, network })
    }

    /// The password was right.
    pub async fn succeeded(self, app: &App) -> AuthResult<()> {
        let db = app.db().await?;
        throttle::forget(&db, self.account).await?;
        if let Some(network) = self.network {
            throttle::take_back(&db, network).await?;
        }
        Ok(())
    }
}

/// Whether one more letter may go to this address: nobody's mailbox is to be flooded through us.
pub async fn may_write(app: &App, email: &str) -> AuthResult<bool> {
    let allowed = throttle::begin(&app.db().await?, key(app, "mail", email), MAIL).await?;
    Ok(allowed.is_ok())
}

async fn begin(app: &App, key: Key, rule: Rule) -> AuthResult<()> {
    let begun = throttle::begin(&app.db().await?, key, rule).await?;
    begun.map_err(Refusal::Slow)
}

fn key(app: &App, kind: &'static str, text: &str) -> Key {
    let digest = app.ring().digest(kind, text);
    let number = i32::from_be_bytes([0, digest[0], digest[1], digest[2]]);
    let slot = number & SLOTS;
    Key { kind, slot }
}

const ACCOUNT: Rule = Rule {
    free: 5,
    max_delay_seconds: 300,
};
const MAIL: Rule = Rule {
    free: 3,
    max_delay_seconds: 900,
};
/// Many people may share one.
const NETWORK: Rule = Rule {
    free: 30,
    max_delay_seconds: 300,
};
/// 22 bits: as many rows a kind at most.
const SLOTS: i32 = 0x3f_ffff;
